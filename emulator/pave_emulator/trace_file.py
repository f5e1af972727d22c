"""A trace as a file, one record a line (NDJSON), and where two such files part.

A line is `[t_us, device, kind, fields]`, as `trace.Record.line` has it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from pave_emulator import trace as traces
from pave_emulator.trace import Record


class TraceFileError(ValueError):
    """`file:line: what was wrong`."""


@dataclass(frozen=True)
class Difference:
    """The first records in which two traces differ. A side is None where that trace has ended. `line` is from 1."""

    line: int
    one: Record | None
    other: Record | None


def writer(file: TextIO) -> Callable[[Record], None]:
    """A trace's subscriber that writes to `file`."""

    def write(record: Record) -> None:
        file.write(record.line() + "\n")

    return write


def parse(line: str, where: str) -> Record:
    """One line as a record; bytes stay hexadecimal. Raise TraceFileError that begins with `where`."""
    try:
        t_us, device, kind, fields = json.loads(line)
    except (ValueError, TypeError) as error:
        raise TraceFileError(f"{where}: not a record [t_us, device, kind, fields]: {line.strip()[:60]!r}") from error
    if kind not in traces.KINDS or not isinstance(t_us, int) or not isinstance(fields, dict):
        raise TraceFileError(f"{where}: not a record of this emulator: {line.strip()[:60]!r}")
    return Record(t_us, device, kind, fields)


def read(lines: Iterable[str], name: str) -> Iterable[Record]:
    """The records of a file `name`. Raise TraceFileError."""
    return (parse(line, f"{name}:{number}") for number, line in enumerate(lines, start=1))


def first_difference(one: Iterable[Record], other: Iterable[Record]) -> Difference | None:
    """Where two traces part; None when they are the same."""
    for line, (a, b) in enumerate(itertools.zip_longest(one, other), start=1):
        if a != b:
            return Difference(line, a, b)
    return None
