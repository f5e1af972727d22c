"""Pins over time as a Value Change Dump that GTKWave opens (IEEE 1364-2001, section 18).

Each device is a scope. Its wires are the pins it used, by the names of its board file (`gpioN` where that has none),
and `awake`: 1 while it runs, 0 asleep, x without power. The header comes before the values but needs to know which pins
were used, so values wait in a temporary file until `close`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pave_emulator import trace as traces
from pave_emulator.board import Board
from pave_emulator.trace import Record
from pave_emulator.writing import writing

AWAKE = "awake"
FIRST_CODE, CODES = 33, 94  # identifier codes are made of the characters ! to ~ (18.2.2)


class VcdWriter:
    """Subscribe it to a trace; `close` writes `path`."""

    def __init__(self, path: Path, boards: Mapping[str, Board]) -> None:
        """`boards` by device. Raise OSError now when `path` cannot be written."""
        path.write_text("")
        self._path = path
        self._names = {
            device: {number: name for name, number in board.pins.items()} for device, board in boards.items()
        }
        self._codes: dict[tuple[str, str], str] = {}
        self._values = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in close()
        self._t_us = -1

    def __call__(self, record: Record) -> None:
        """Take a record of any kind."""
        if record.kind == traces.PIN:
            number = record.fields["pin"]
            name = self._names.get(record.device, {}).get(number, f"gpio{number}")
            self._change(record, name, str(record.fields["level"]))
        elif record.kind == traces.BOOT:
            self._change(record, AWAKE, "1")
        elif record.kind == traces.SLEEP:
            self._change(record, AWAKE, "0")
        elif record.kind == traces.POWER:
            self._change(record, AWAKE, "x")

    def close(self) -> None:
        """Write the file."""
        with self._values, writing(self._path), self._path.open("w") as out:
            out.write("$version pave-emulator $end\n$timescale 1 us $end\n")
            scopes: dict[str, list[str]] = {}
            for (device, name), code in sorted(self._codes.items()):
                scopes.setdefault(device, []).append(f"$var wire 1 {code} {_identifier(name)} $end\n")
            for device, wires in scopes.items():
                out.write(f"$scope module {_identifier(device)} $end\n{''.join(wires)}$upscope $end\n")
            unknown = "".join(f"x{code}\n" for code in self._codes.values())
            out.write(f"$enddefinitions $end\n$dumpvars\n{unknown}$end\n")
            self._values.seek(0)
            shutil.copyfileobj(self._values, out)

    def _change(self, record: Record, name: str, value: str) -> None:
        code = self._codes.setdefault((record.device, name), _code(len(self._codes)))
        with writing(tempfile.gettempdir()):
            if record.t_us > self._t_us:
                self._t_us = record.t_us
                self._values.write(f"#{self._t_us}\n")
            self._values.write(f"{value}{code}\n")


def _code(number: int) -> str:
    """The n-th identifier code, from 0."""
    code = chr(FIRST_CODE + number % CODES)
    while number := number // CODES:
        number -= 1
        code = chr(FIRST_CODE + number % CODES) + code
    return code


def _identifier(name: str) -> str:
    """A name without white space, which ends a token (18.2)."""
    return "".join(character if character.isprintable() and not character.isspace() else "_" for character in name)
