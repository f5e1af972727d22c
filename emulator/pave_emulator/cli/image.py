"""`pave-emulator image`: the flash of a device that has MicroPython and nothing else, to begin with.

As `esptool write-flash` of a release leaves a board: partition table and app are there, `vfs` is erased, so the first
boot makes a file system. The app is a stand-in: the emulator brings MicroPython itself.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from pave_boards import read
from pave_boards.model import PartitionTable
from pave_boards.partitions import SUBTYPES, TYPES
from pave_emulator import board as boards
from pave_emulator.cli import outputs
from pave_emulator.cli.mistakes import mistakes
from pave_emulator.flash import app_image, partitions
from pave_emulator.reading import unread
from pave_emulator.writing import write_private

VERSION = "emulated"


def image(
    board: Annotated[Path, typer.Argument(help="board file (TOML)")],
    out: Annotated[Path, typer.Argument(help="the image to write")],
    flash: Annotated[
        Path | None, typer.Option(help="an image without MicroPython, as tools/flash.py builds it, to put it into")
    ] = None,
) -> None:
    """Write a flash image that boots: MicroPython, and an empty file system or what --flash has.

    It may hold a device's keys, so only its owner can read it.
    """
    with mistakes():
        outputs.check(out, "OUT", board)
        write_private(out, build(board, _flash(flash)))
    typer.echo(f"{out}: {boards.load(board).name}, MicroPython in the first app slot")


def _flash(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise ValueError(unread(path or Path(), "flash image", error)) from error


def build(board: Path, flash: bytes | None = None) -> bytes:
    """The image, of the chip's size. Raise BoardError; ValueError when `flash` is not of the board."""
    file = read(board, boards.CATALOGUE)
    table = encode(file.partition)
    if flash is None:
        made = bytearray(b"\xff" * file.board.flash_bytes)
        made[partitions.TABLE_OFFSET : partitions.TABLE_OFFSET + len(table)] = table
    else:
        made = bytearray(flash)
        if made[partitions.TABLE_OFFSET :][: len(table)] != table:
            raise ValueError(f"the image's partition table is not that of {board}")
    slot = next(entry for entry in file.partition if entry.type == "app")
    app = app_image.stand_in(VERSION)
    made[slot.offset : slot.offset + len(app)] = app
    return bytes(made)


def encode(entries: Iterable[PartitionTable]) -> bytes:
    """The binary partition table of a board file's [[partition]] entries."""
    table = b""
    for entry in entries:
        kind, subtype = TYPES[entry.type], SUBTYPES[entry.type][entry.subtype]
        table += partitions.ENTRY_MAGIC
        table += struct.pack("<BBII16sI", kind, subtype, entry.offset, entry.size, entry.name.encode(), 0)
    table += partitions.MD5_MAGIC + hashlib.md5(table, usedforsecurity=False).digest()
    return table.ljust(partitions.TABLE_BYTES, b"\xff")
