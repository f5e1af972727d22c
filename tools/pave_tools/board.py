"""A board file (`hardware/boards/*.toml`) as the tools need it. `pave_boards` reads and checks it.

The file says what is soldered: GPIO numbers by name, buses and chips that refer to those names, flash and partitions.
"""

from dataclasses import dataclass
from pathlib import Path

import pave_boards
from pave_boards.model import BUS_LINES, ChipTable
from pave_tools.errors import BoardError, nearest
from pave_tools.partition import Partition
from pave_tools.tree import BOARDS_DIR


@dataclass(frozen=True)
class Bus:
    """A bus of the MCU: `id` is the peripheral's number, `pins` maps a signal (`sda`) to a name in `[pins]`."""

    name: str
    kind: str
    id: int
    max_hz: int
    pins: dict[str, str]


@dataclass(frozen=True)
class Chip:
    """A part of the board: `pins` as in `Bus`; `numbers` holds the other integers of its table (`width_px = 128`).

    `bus` is None for what is on no bus (a relay), `address` for what has none (on SPI a pin `cs` selects it).
    """

    name: str
    part: str
    bus: str | None
    address: int | None
    pins: dict[str, str]
    numbers: dict[str, int]


@dataclass(frozen=True)
class Board:
    """A whole board; `pins` maps names to GPIO numbers."""

    name: str
    mcu: str
    flash_bytes: int
    psram_bytes: int
    pins: dict[str, int]
    buses: tuple[Bus, ...]
    chips: tuple[Chip, ...]
    partitions: tuple[Partition, ...]

    @property
    def module(self) -> str:
        """Return the name of the generated firmware module, `pave_presence_v1` for `pave-presence-v1`."""
        return self.name.replace("-", "_")

    def partition(self, name: str) -> Partition:
        """Return the partition of that name; raises `BoardError`."""
        for partition in self.partitions:
            if partition.name == name:
                return partition
        known = [partition.name for partition in self.partitions]
        raise BoardError(f"board {self.name}: no partition {name!r}{nearest(name, known)}")


def board_path(name: str, boards_dir: Path = BOARDS_DIR) -> Path:
    """Return the file of the board of that name (`pave-presence-v1`); raises `BoardError` when there is none."""
    path = boards_dir / f"{name}.toml"
    if not path.is_file():
        known = [file.stem for file in boards_dir.glob("*.toml")]
        raise BoardError(f"no board {name!r} in {boards_dir}{nearest(name, known)}")
    return path


def load_board(path: Path) -> Board:
    """Read a board file; raises `BoardError` with a line for each fault: file, line, key, value, nearest valid name.

    Part numbers are not looked up: a board may have parts that nobody emulates.
    """
    try:
        file = pave_boards.read(path)
    except pave_boards.BoardError as error:
        raise BoardError(str(error)) from error
    return Board(
        name=file.board.name,
        mcu=file.board.mcu,
        flash_bytes=file.board.flash_bytes,
        psram_bytes=file.board.psram_bytes,
        pins=file.pins,
        buses=tuple(
            Bus(bus.name, bus.kind, bus.id, bus.max_hz, {line: getattr(bus, line) for line in BUS_LINES[bus.kind]})
            for bus in file.bus
        ),
        chips=tuple(map(_chip, file.chip)),
        partitions=tuple(Partition(p.name, p.type, p.subtype, p.offset, p.size) for p in file.partition),
    )


def _chip(chip: ChipTable) -> Chip:
    select = {key: pin for key, pin in (("cs", chip.cs), ("supply", chip.supply)) if pin is not None}
    pins = {key: pin for key, pin in chip.more.items() if isinstance(pin, str)}
    numbers = {key: number for key, number in chip.more.items() if type(number) is int}
    return Chip(chip.name, chip.part, chip.bus, chip.address, select | pins, numbers)
