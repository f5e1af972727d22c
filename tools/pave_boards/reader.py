"""Reads one board file and checks it whole."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pave_boards import shape
from pave_boards.buses import check_buses
from pave_boards.catalogue import Catalogue
from pave_boards.faults import BoardError, Fault, hint, report
from pave_boards.model import BoardFile
from pave_boards.partitions import check_partitions
from pave_boards.parts import check_parts
from pave_boards.pins import check_pins
from pave_boards.soc import FLASH_BYTES, MIB, PSRAM_BYTES, SOCS
from pave_boards.uses import uses

NAMED = ("bus", "chip", "uart", "input", "analog", "partition")


def read(path: Path, catalogue: Catalogue | None = None) -> BoardFile:
    """Read and check a board file, its parts as well where there is a catalogue of them.

    Raises:
        BoardError: not there, not TOML, or no board; with one line for each fault.
    """
    source, document = _parse(path)
    try:
        board = BoardFile.model_validate(document)
    except ValidationError as error:
        raise report(path, source, document, shape.faults(document, error)) from error
    faults = list(_check(board, catalogue))
    if faults:
        raise report(path, source, document, faults)
    return board


def _parse(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BoardError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    try:
        return source, tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r" \(at line (\d+), (column \d+)\)", str(error))  # TOML's reader says it in its text only
        what = str(error).replace(where[0], f" in {where[2]}") if where else str(error)
        line = where[1] if where else source.count("\n") + 1
        raise BoardError(f"{path}:{line}: not TOML: {what}") from error


def _check(board: BoardFile, catalogue: Catalogue | None) -> Iterator[Fault]:
    yield from _sizes(board)
    yield from _names(board)
    soc = SOCS.get(board.board.mcu)
    if soc:
        yield from check_pins(board, soc, list(uses(board, catalogue)))
    yield from check_buses(board, catalogue)
    yield from check_partitions(board)
    if catalogue:
        yield from check_parts(board, catalogue)


def _sizes(board: BoardFile) -> Iterator[Fault]:
    head = board.board
    if head.mcu not in SOCS:
        yield Fault(("board", "mcu"), f": mcu {head.mcu!r} is unknown: {hint(head.mcu, SOCS)}")
    for key, found, valid in (
        ("flash_bytes", head.flash_bytes, FLASH_BYTES),
        ("psram_bytes", head.psram_bytes, PSRAM_BYTES),
    ):
        if found not in valid:
            sizes = ", ".join(str(size // MIB) for size in valid)
            yield Fault(("board", key), f": {key} = {found}: {sizes} times {MIB} expected")


def _names(board: BoardFile) -> Iterator[Fault]:
    """Names are how the parts of a board are called: each once in its kind."""
    for table in NAMED:
        seen: set[str] = set()
        for number, entry in enumerate(getattr(board, table)):
            if entry.name in seen:
                yield Fault((table, number, "name"), f": name = {entry.name!r}: another {table} has it; choose another")
            seen.add(entry.name)
