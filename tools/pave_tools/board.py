"""A board file (`hardware/boards/*.toml`) read into values, and refused with the file, the key and what was wrong.

The file says what is soldered: GPIO numbers by name, buses and chips that refer to those names, flash and partitions.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pave_tools.errors import BoardError, PartitionError, nearest
from pave_tools.partition import Partition, check_table
from pave_tools.tree import BOARDS_DIR

_T = TypeVar("_T", int, str)


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
    """Read a board file; raises `BoardError` with the file, the table, the key, and the nearest valid name."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"{path}: not TOML: {error}") from error
    return _Reader(path, document).board()


class _Reader:
    """Takes values out of one parsed file and complains about them by place."""

    def __init__(self, path: Path, document: dict[str, Any]):
        self.path = path
        self.document = document
        self.pins: dict[str, int] = {}

    def board(self) -> Board:
        head = self.document.get("board", {})
        self.pins = self._pins()
        buses = tuple(self._bus(table, f"[[bus]] {number}") for number, table in self._tables("bus"))
        chips = tuple(self._chip(table, f"[[chip]] {number}", buses) for number, table in self._tables("chip"))
        flash_bytes = self._take(head, "flash_bytes", int, "[board]")
        return Board(
            name=self._take(head, "name", str, "[board]"),
            mcu=self._take(head, "mcu", str, "[board]"),
            flash_bytes=flash_bytes,
            psram_bytes=self._take(head, "psram_bytes", int, "[board]"),
            pins=self.pins,
            buses=buses,
            chips=chips,
            partitions=self._partitions(flash_bytes),
        )

    def _pins(self) -> dict[str, int]:
        pins = self.document.get("pins", {})
        return {name: self._take(pins, name, int, "[pins]") for name in pins}

    def _bus(self, table: dict[str, Any], where: str) -> Bus:
        name, kind = self._take(table, "name", str, where), self._take(table, "kind", str, where)
        number, max_hz = self._take(table, "id", int, where), self._take(table, "max_hz", int, where)
        return Bus(name, kind, number, max_hz, self._pin_names(table, ("name", "kind"), where))

    def _chip(self, table: dict[str, Any], where: str, buses: tuple[Bus, ...]) -> Chip:
        bus = self._take(table, "bus", str, where) if "bus" in table else None
        kinds = {item.name: item.kind for item in buses}
        if bus is not None and bus not in (known := list(kinds)):
            raise BoardError(f"{self.path}: {where}: no bus {bus!r}{nearest(bus, known)}")
        return Chip(
            name=self._take(table, "name", str, where),
            part=self._take(table, "part", str, where),
            bus=bus,
            address=self._take(table, "address", int, where) if bus is not None and kinds[bus] == "i2c" else None,
            pins=self._pin_names(table, ("name", "part", "bus"), where),
            numbers={key: value for key, value in table.items() if type(value) is int and key != "address"},
        )

    def _pin_names(self, table: dict[str, Any], other_keys: tuple[str, ...], where: str) -> dict[str, str]:
        """Return every text value that is not one of `other_keys`: each must name a pin."""
        names = {key: value for key, value in table.items() if isinstance(value, str) and key not in other_keys}
        for key, name in names.items():
            if name not in self.pins:
                raise BoardError(f"{self.path}: {where}: {key} = {name!r} is no pin{nearest(name, self.pins)}")
        return names

    def _partitions(self, flash_bytes: int) -> tuple[Partition, ...]:
        partitions: list[Partition] = []
        for number, table in self._tables("partition"):
            where = f"[[partition]] {number}"
            texts = [self._take(table, key, str, where) for key in ("name", "type", "subtype")]
            offset, size = self._take(table, "offset", int, where), self._take(table, "size", int, where)
            partitions.append(Partition(texts[0], texts[1], texts[2], offset, size))
        try:
            check_table(partitions, flash_bytes)
        except PartitionError as error:
            raise BoardError(f"{self.path}: {error}") from error
        return tuple(partitions)

    def _tables(self, key: str) -> list[tuple[int, dict[str, Any]]]:
        tables: list[dict[str, Any]] = self.document.get(key, [])
        return list(enumerate(tables, start=1))

    def _take(self, table: dict[str, Any], key: str, kind: type[_T], where: str) -> _T:
        if key not in table:
            raise BoardError(f"{self.path}: {where} lacks {key!r}{nearest(key, table)}")
        value = table[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BoardError(f"{self.path}: {where}: {key} = {value!r} should be {kind.__name__}")
        return value
