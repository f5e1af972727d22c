"""Board files: which chip sits on which bus and pin. Read from `hardware/boards/*.toml`, checked, never guessed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pave_emulator.chips import PARTS
from pave_emulator.chips.chip import Chip, Environment
from pave_emulator.nearest import hint

KNOWN_TABLES = {"board", "pins", "bus", "chip", "partition"}
CHIP_KEYS = {"name", "part", "bus", "address"}


class BoardError(ValueError):
    """A board file that cannot be used: file, what, and the nearest valid name."""


@dataclass(frozen=True)
class Bus:
    """An I2C bus and the GPIO numbers it is wired to."""

    name: str
    sda: int
    scl: int
    max_hz: int


@dataclass(frozen=True)
class ChipSpec:
    """One chip as the board file has it; `pins` maps the chip's pin to a GPIO number."""

    name: str
    part: str
    bus: str
    address: int
    pins: dict[str, int]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Board:
    """A checked board file; sizes in bytes."""

    name: str
    flash_bytes: int
    psram_bytes: int
    pins: dict[str, int]
    buses: dict[str, Bus]
    chips: dict[str, ChipSpec]

    def build(self, environment: Environment) -> dict[str, Chip]:
        """New chips for one device, by name."""
        return {name: PARTS[spec.part](environment, **spec.options) for name, spec in self.chips.items()}


def load(path: Path) -> Board:
    """Read and check a board file. Raise BoardError."""
    try:
        text = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BoardError(f"{path}: {error}") from error
    return _Reader(path, text).board()


class _Reader:
    """Turns the tables of one file into a Board; every error begins with the file's name."""

    def __init__(self, path: Path, text: dict[str, Any]) -> None:
        self._path = path
        self._text = text

    def board(self) -> Board:
        for table in self._text:
            self._one_of(table, KNOWN_TABLES, "table")
        head = self._text.get("board", {})
        pins = self._text.get("pins", {})
        buses = {bus["name"]: self._bus(bus, pins) for bus in self._text.get("bus", [])}
        chips = [self._chip(chip, pins, buses) for chip in self._text.get("chip", [])]
        return Board(
            name=self._need(head, "name", "[board]"),
            flash_bytes=self._need(head, "flash_bytes", "[board]"),
            psram_bytes=head.get("psram_bytes", 0),
            pins=pins,
            buses=buses,
            chips={chip.name: chip for chip in chips},
        )

    def _bus(self, table: dict[str, Any], pins: dict[str, int]) -> Bus:
        where = f"bus {table.get('name')!r}"
        self._one_of(self._need(table, "kind", where), {"i2c"}, f"{where}: kind")
        sda, scl = (pins[self._one_of(self._need(table, key, where), pins, f"{where}: pin")] for key in ("sda", "scl"))
        return Bus(table["name"], sda, scl, table.get("max_hz", 400000))

    def _chip(self, table: dict[str, Any], pins: dict[str, int], buses: dict[str, Bus]) -> ChipSpec:
        where = f"chip {table.get('name')!r}"
        part = self._one_of(self._need(table, "part", where), PARTS, f"{where}: part")
        kind = PARTS[part]
        for key in table:
            self._one_of(key, {*CHIP_KEYS, *kind.OPTIONS, *kind.PINS}, f"{where}: key")
        wired = {key: self._one_of(table[key], pins, f"{where}: pin") for key in kind.PINS if key in table}
        return ChipSpec(
            name=self._need(table, "name", where),
            part=part,
            bus=self._one_of(self._need(table, "bus", where), buses, f"{where}: bus"),
            address=self._need(table, "address", where),
            pins={key: pins[pin] for key, pin in wired.items()},
            options={key: table[key] for key in kind.OPTIONS if key in table},
        )

    def _need(self, table: dict[str, Any], key: str, where: str) -> Any:
        if key not in table:
            raise BoardError(f"{self._path}: {where} has no {key!r}")
        return table[key]

    def _one_of(self, word: str, valid: Any, what: str) -> str:
        if word not in valid:
            raise BoardError(f"{self._path}: {what} {word!r} is unknown: {hint(word, valid)}")
        return word
