"""A trace as a file, one record a line (NDJSON), and where two such files part.

A line is `[t_us, device, kind, fields]`, as `trace.Record.line` has it. The first is the trace's header, of kind `run`;
what emulators wrote before there was one is read without.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pave_emulator import trace as traces
from pave_emulator.reading import unread
from pave_emulator.trace import Record


class TraceFileError(ValueError):
    """`file:line: what was wrong`."""


@dataclass(frozen=True)
class Difference:
    """The first records in which two traces differ. A side is None where that trace has ended.

    `number` counts the records from 1, without the header.
    """

    number: int
    one: Record | None
    other: Record | None


@dataclass(frozen=True)
class TraceFile:
    """A trace as it was written: what it is of (empty where the file has no header), and its records behind that."""

    path: Path
    header: dict[str, Any]
    records: Iterator[Record]

    def line(self, number: int) -> int:
        """The line of the file on which the record of this number stands, from 1."""
        return number + bool(self.header)


def writer(file: TextIO) -> Callable[[Record], None]:
    """A trace's subscriber that writes to `file`."""

    def write(record: Record) -> None:
        file.write(record.line() + "\n")

    return write


def parse(line: str, where: str) -> Record:
    """One line as a record; bytes stay hexadecimal. Raise TraceFileError that begins with `where`."""
    try:
        t_us, device, kind, fields = json.loads(line)
    except (ValueError, TypeError, RecursionError) as error:
        raise TraceFileError(f"{where}: not a record [t_us, device, kind, fields]: {line.strip()[:60]!r}") from error
    if kind not in traces.KINDS or not isinstance(t_us, int) or not isinstance(fields, dict):
        raise TraceFileError(f"{where}: not a record of this emulator: {line.strip()[:60]!r}")
    return Record(t_us, device, kind, fields)


def read(path: Path) -> TraceFile:
    """A file that `writer` wrote. Raise TraceFileError, as do its records, which are read while they are asked for."""
    records = _records(path)
    first = next(records)
    if first.kind == traces.RUN:
        return TraceFile(path, first.fields, records)
    return TraceFile(path, {}, itertools.chain([first], records))


def first_difference(one: Iterable[Record], other: Iterable[Record]) -> Difference | None:
    """Where two traces part; None when they are the same."""
    for number, (a, b) in enumerate(itertools.zip_longest(one, other), start=1):
        if a != b:
            return Difference(number, a, b)
    return None


def _records(path: Path) -> Iterator[Record]:
    number = 0
    try:
        with path.open() as lines:
            for number, line in enumerate(lines, start=1):
                yield parse(line, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceFileError(unread(path, "trace", error)) from error
    if not number:
        raise TraceFileError(f"{path}: the file is empty, no trace")
