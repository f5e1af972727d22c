"""Board files: which chip sits on which bus and pin. Read from `hardware/boards/*.toml`, checked, never guessed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pave_emulator.chips import PARTS
from pave_emulator.chips.chip import Chip, Environment, I2cChip, SpiChip
from pave_emulator.nearest import hint
from pave_emulator.power.costs import Costs
from pave_emulator.power.spec import PowerError, read_mcu_currents, read_power

TABLES = {"board", "pins", "pulls", "bus", "uart", "chip", "input", "analog", "partition", "power", "mcu"}
CHIP_KEYS = {"name", "part", "bus", "address", "cs", "supply", "currents_ua"}
UART_KEYS = {"name", "id", "tx", "rx", "peer"}
INPUT_KEYS = {"name", "pin", "idle"}
ANALOG_KEYS = {"name", "pin", "measures", "divider", "switch"}
BUS_PINS = {"i2c": ("scl", "sda"), "spi": ("sck", "mosi", "miso")}
DEFAULT_MAX_HZ = {"i2c": 400_000, "spi": 10_000_000}


class BoardError(ValueError):
    """A board file that cannot be used: file, what, and the nearest valid name."""


@dataclass(frozen=True)
class Bus:
    """A bus and the GPIO numbers of its lines."""

    name: str
    kind: str
    pins: dict[str, int]
    max_hz: int


@dataclass(frozen=True)
class ChipSpec:
    """One chip as the board file has it.

    Attributes:
        pins: its outputs and the GPIO each is soldered to. inputs: the same for its inputs.
        pwm: GPIO whose PWM signal it takes. select: GPIO of its chip select (SPI).
        supply: GPIO of the switch in its supply line, None where it is always on.
        currents_ua: by power state, where the board differs from the datasheet.
    """

    name: str
    part: str
    bus: str | None
    address: int
    pins: dict[str, int]
    inputs: dict[str, int]
    pwm: int | None = None
    select: int | None = None
    supply: int | None = None
    currents_ua: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Uart:
    """A serial line: `id` is the port of the microcontroller for it, `peer` names who is at the other end."""

    name: str
    id: int
    peer: str


@dataclass(frozen=True)
class Input:
    """A pin the world holds: a button, a lid, a mains sensor. `idle` is its level when nothing is the matter."""

    name: str
    pin: int
    idle: int


@dataclass(frozen=True)
class Analog:
    """A pin with a voltage: `measures` names what (cell), `divider` is the ratio of pin to source.

    `switch` is the GPIO that connects the divider while it is high, None where it always is.
    """

    name: str
    pin: int
    measures: str
    divider: float
    switch: int | None = None


@dataclass(frozen=True)
class Board:
    """A checked board file; sizes in bytes.

    `pulls` has the level of GPIOs with a resistor to a rail; `power` and `mcu_table` are the tables `[power]` and
    `[mcu]` as `power.spec` reads them.
    """

    name: str
    mcu: str
    flash_bytes: int
    psram_bytes: int
    pins: dict[str, int]
    buses: dict[str, Bus]
    chips: dict[str, ChipSpec]
    pulls: dict[int, int]
    uarts: dict[str, Uart]
    inputs: dict[str, Input]
    analogs: dict[str, Analog]
    power: dict[str, Any]
    mcu_table: dict[str, Any]

    @property
    def mhz(self) -> int:
        """Clock of the core: 160 MHz in a build without octal PSRAM (CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ), else 240."""
        return 240 if self.psram_bytes else 160

    def build(self, environment: Environment) -> dict[str, Chip]:
        """New chips for one device, by name."""
        return {name: PARTS[spec.part](environment, **spec.options) for name, spec in self.chips.items()}

    def idle_levels(self) -> Iterable[tuple[int, int]]:
        """GPIO and level of every input when nothing is the matter."""
        return ((entry.pin, entry.idle) for entry in self.inputs.values())

    def watched_pins(self) -> set[int]:
        """GPIOs that move without the firmware: outputs of chips, inputs of the world."""
        driven = {pin for spec in self.chips.values() for pin in spec.pins.values()}
        return driven | {entry.pin for entry in self.inputs.values()}


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
        self._pins: dict[str, int] = text.get("pins", {})

    def board(self) -> Board:
        for table in self._text:
            self._one_of(table, TABLES, "table")
        head, pulls = self._text.get("board", {}), self._text.get("pulls", {})
        buses = {bus.name: bus for bus in map(self._bus, self._text.get("bus", []))}
        chips = [self._chip(chip, buses) for chip in self._text.get("chip", [])]
        return Board(
            name=self._need(head, "name", "[board]"),
            mcu=self._need(head, "mcu", "[board]"),
            flash_bytes=self._need(head, "flash_bytes", "[board]"),
            psram_bytes=head.get("psram_bytes", 0),
            pins=self._pins,
            buses=buses,
            chips={chip.name: chip for chip in chips},
            pulls={self._pins[self._one_of(name, self._pins, "[pulls]: pin")]: level for name, level in pulls.items()},
            uarts={entry.name: entry for entry in map(self._uart, self._text.get("uart", []))},
            inputs={entry.name: entry for entry in map(self._input, self._text.get("input", []))},
            analogs={entry.name: entry for entry in map(self._analog, self._text.get("analog", []))},
            power=self._power(self._text.get("power", {})),
            mcu_table=self._text.get("mcu", {}),
        )

    def _bus(self, table: dict[str, Any]) -> Bus:
        where = f"bus {table.get('name')!r}"
        kind = self._one_of(self._need(table, "kind", where), BUS_PINS, f"{where}: kind")
        self._known(table, {"name", "kind", "id", "max_hz", *BUS_PINS[kind]}, where)
        pins = {line: self._pin(table, line, where) for line in BUS_PINS[kind]}
        return Bus(self._need(table, "name", where), kind, pins, table.get("max_hz", DEFAULT_MAX_HZ[kind]))

    def _chip(self, table: dict[str, Any], buses: dict[str, Bus]) -> ChipSpec:
        where = f"chip {table.get('name')!r}"
        part = self._one_of(self._need(table, "part", where), PARTS, f"{where}: part")
        kind = PARTS[part]
        self._known(
            table, {*CHIP_KEYS, *kind.OPTIONS, *kind.PINS, *kind.INPUTS, *filter(None, [kind.PWM_INPUT])}, where
        )
        currents = table.get("currents_ua", {})
        for state in currents:
            self._one_of(state, kind.STATES_UA, f"{where}: power state")
        needs_bus, spi = issubclass(kind, I2cChip | SpiChip), issubclass(kind, SpiChip)
        return ChipSpec(
            name=self._need(table, "name", where),
            part=part,
            bus=self._one_of(self._need(table, "bus", where), buses, f"{where}: bus") if needs_bus else None,
            address=self._need(table, "address", where) if issubclass(kind, I2cChip) else 0,
            pins={key: self._pin(table, key, where) for key in kind.PINS if key in table},
            inputs={key: self._pin(table, key, where) for key in kind.INPUTS if key in table},
            pwm=self._pin(table, kind.PWM_INPUT, where) if kind.PWM_INPUT else None,
            select=self._pin(table, "cs", where) if spi else None,
            supply=self._pin(table, "supply", where) if "supply" in table else None,
            currents_ua=currents,
            options={key: table[key] for key in kind.OPTIONS if key in table},
        )

    def _uart(self, table: dict[str, Any]) -> Uart:
        where = f"uart {table.get('name')!r}"
        self._known(table, UART_KEYS, where)
        for line in ("tx", "rx"):
            self._pin(table, line, where)
        return Uart(*(self._need(table, key, where) for key in ("name", "id", "peer")))

    def _input(self, table: dict[str, Any]) -> Input:
        where = f"input {table.get('name')!r}"
        self._known(table, INPUT_KEYS, where)
        return Input(self._need(table, "name", where), self._pin(table, "pin", where), self._need(table, "idle", where))

    def _analog(self, table: dict[str, Any]) -> Analog:
        where = f"analog {table.get('name')!r}"
        self._known(table, ANALOG_KEYS, where)
        measures = self._need(table, "measures", where)
        return Analog(
            self._need(table, "name", where),
            self._pin(table, "pin", where),
            measures,
            table.get("divider", 1.0),
            self._pin(table, "switch", where) if "switch" in table else None,
        )

    def _power(self, table: dict[str, Any]) -> dict[str, Any]:
        try:
            if table:
                read_power(table)
            read_mcu_currents(self._text.get("mcu", {}), Costs(), 160)
        except PowerError as error:
            raise BoardError(f"{self._path}: {error}") from error
        return table

    def _pin(self, table: dict[str, Any], key: str, where: str) -> int:
        return self._pins[self._one_of(self._need(table, key, where), self._pins, f"{where}: pin")]

    def _known(self, table: dict[str, Any], valid: Iterable[str], where: str) -> None:
        for key in table:
            self._one_of(key, set(valid), f"{where}: key")

    def _need(self, table: dict[str, Any], key: str, where: str) -> Any:
        if key not in table:
            raise BoardError(f"{self._path}: {where} has no {key!r}")
        return table[key]

    def _one_of(self, word: str, valid: Any, what: str) -> str:
        if word not in valid:
            raise BoardError(f"{self._path}: {what} {word!r} is unknown: {hint(word, valid)}")
        return word
