"""Boards as the emulator builds them: which chip sits on which bus and pin. `pave_boards` reads and checks the files.

Names of pins are GPIO numbers from here on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pave_boards import BoardError, BoardFile, Catalogue, Part, read
from pave_boards.model import BUS_LINES, ChipTable
from pave_emulator.chips import PARTS
from pave_emulator.chips.chip import Chip, Environment, I2cChip, SpiChip, still_field
from pave_emulator.power.capacitor import CAPACITORS
from pave_emulator.power.cell import CELLS
from pave_emulator.power.regulator import KINDS
from pave_emulator.power.spec import MCU_STATES

__all__ = ["Analog", "Board", "BoardError", "Bus", "ChipSpec", "Input", "Uart", "load"]

SOURCES = ("cell",)  # voltages that an analog input may measure


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

    @property
    def machine(self) -> str:
        """What MicroPython's release for it calls it, in the banner and in os.uname()."""
        psram = "with Octal-SPIRAM " if self.psram_bytes else ""
        return f"Generic ESP32S3 module {psram}with ESP32S3"


def load(path: Path) -> Board:
    """Read and check a board file. Raise BoardError, with one line for each fault."""
    file = read(path, CATALOGUE)
    gpio, head = file.pins, file.board
    return Board(
        name=head.name,
        mcu=head.mcu,
        flash_bytes=head.flash_bytes,
        psram_bytes=head.psram_bytes,
        pins=gpio,
        buses={
            bus.name: Bus(
                bus.name, bus.kind, {line: gpio[getattr(bus, line)] for line in BUS_LINES[bus.kind]}, bus.max_hz
            )
            for bus in file.bus
        },
        chips={chip.name: _chip(chip, gpio) for chip in file.chip},
        pulls={gpio[name]: level for name, level in file.pulls.items()},
        uarts={uart.name: Uart(uart.name, uart.id, uart.peer) for uart in file.uart},
        inputs={held.name: Input(held.name, gpio[held.pin], held.idle) for held in file.input},
        analogs={
            a.name: Analog(a.name, gpio[a.pin], a.measures, a.divider, None if a.switch is None else gpio[a.switch])
            for a in file.analog
        },
        power=_power(file),
        mcu_table=file.mcu.model_dump(),
    )


def _chip(chip: ChipTable, gpio: dict[str, int]) -> ChipSpec:
    kind, more = PARTS[chip.part], chip.more
    return ChipSpec(
        name=chip.name,
        part=chip.part,
        bus=chip.bus,
        address=chip.address or 0,
        pins={key: gpio[more[key]] for key in kind.PINS if key in more},
        inputs={key: gpio[more[key]] for key in kind.INPUTS if key in more},
        pwm=gpio[more[kind.PWM_INPUT]] if kind.PWM_INPUT else None,
        select=None if chip.cs is None else gpio[chip.cs],
        supply=None if chip.supply is None else gpio[chip.supply],
        currents_ua=chip.currents_ua,
        options={key: more[key] for key in kind.OPTIONS if key in more},
    )


def _power(file: BoardFile) -> dict[str, Any]:
    """The table `[power]` as `power.spec` reads it; empty when there is none."""
    return file.power.model_dump(exclude_none=True) if file.power else {}


def _part(kind: type[Chip]) -> Part:
    def refuses(options: dict[str, Any]) -> str | None:
        try:
            kind(Environment(still_field), **options)
        except ValueError as error:
            return str(error)
        return None

    bus = "i2c" if issubclass(kind, I2cChip) else "spi" if issubclass(kind, SpiChip) else None
    return Part(bus, kind.PINS, kind.INPUTS, kind.PWM_INPUT, kind.OPTIONS, kind.STATES_UA, refuses)


CATALOGUE = Catalogue(
    parts={name: _part(kind) for name, kind in PARTS.items()},
    cells=CELLS,
    capacitors=CAPACITORS,
    regulators=KINDS,
    mcu_states=MCU_STATES,
    sources=SOURCES,
)
