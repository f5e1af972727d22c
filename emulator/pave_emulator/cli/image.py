"""`pave-emulator image`: the flash of a device that has MicroPython and nothing else, to begin with.

As `esptool write-flash` of a release leaves a board: partition table and app are there, `vfs` is erased, so the first
boot makes a file system. The app is a stand-in: the emulator brings MicroPython itself.
"""

from __future__ import annotations

import hashlib
import struct
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from pave_emulator import board as boards
from pave_emulator.board import BoardError
from pave_emulator.cli.mistakes import mistakes
from pave_emulator.flash import app_image, partitions
from pave_emulator.nearest import hint

TYPES = {"app": partitions.TYPE_APP, "data": partitions.TYPE_DATA}
SUBTYPES = {  # ESP-IDF Programming Guide, "Partition Tables"
    "app": {"factory": 0x00, "ota_0": 0x10, "ota_1": 0x11},
    "data": {"ota": 0x00, "phy": 0x01, "nvs": 0x02, "fat": 0x81, "littlefs": 0x83},
}
VERSION = "emulated"


def image(
    board: Annotated[Path, typer.Argument(help="board file (TOML)")],
    out: Annotated[Path, typer.Argument(help="the image to write")],
    flash: Annotated[
        Path | None, typer.Option(help="an image without MicroPython, as tools/flash.py builds it, to put it into")
    ] = None,
) -> None:
    """Write a flash image that boots: MicroPython, and an empty file system or what --flash has."""
    with mistakes():
        out.write_bytes(build(board, flash.read_bytes() if flash else None))
    typer.echo(f"{out}: {boards.load(board).name}, MicroPython in the first app slot")


def build(board: Path, flash: bytes | None = None) -> bytes:
    """The image, of the chip's size. Raise BoardError; ValueError when `flash` is not of the board."""
    size = boards.load(board).flash_bytes
    entries = tomllib.loads(board.read_text()).get("partition", [])
    table = encode(board, entries)
    if flash is None:
        made = bytearray(b"\xff" * size)
        made[partitions.TABLE_OFFSET : partitions.TABLE_OFFSET + len(table)] = table
    else:
        made = bytearray(flash)
        if made[partitions.TABLE_OFFSET :][: len(table)] != table:
            raise ValueError(f"the image's partition table is not that of {board}")
    slots = [entry for entry in partitions.parse(table) if entry.type == partitions.TYPE_APP]
    if not slots:
        raise BoardError(f"{board}: no partition of type 'app' that MicroPython could be in")
    app = app_image.stand_in(VERSION)
    made[slots[0].offset : slots[0].offset + len(app)] = app
    return bytes(made)


def encode(board: Path, entries: Iterable[dict[str, Any]]) -> bytes:
    """The binary partition table of a board file's [[partition]] entries. Raise BoardError."""
    table = b""
    for entry in entries:
        where = f"{board}: partition {entry.get('name')!r}"
        for key in ("name", "type", "subtype", "offset", "size"):
            if key not in entry:
                raise BoardError(f"{where} has no {key!r}")
        kind = _one_of(entry["type"], TYPES, f"{where}: type")
        subtype = _one_of(entry["subtype"], SUBTYPES[entry["type"]], f"{where}: subtype")
        fields = (kind, subtype, entry["offset"], entry["size"], entry["name"].encode(), 0)
        table += partitions.ENTRY_MAGIC + struct.pack("<BBII16sI", *fields)
    table += partitions.MD5_MAGIC + hashlib.md5(table, usedforsecurity=False).digest()
    return table.ljust(partitions.TABLE_BYTES, b"\xff")


def _one_of(word: str, valid: dict[str, int], where: str) -> int:
    if word not in valid:
        raise BoardError(f"{where} {word!r} is unknown: {hint(word, valid)}")
    return valid[word]
