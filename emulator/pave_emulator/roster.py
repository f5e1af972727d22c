"""Which devices a run has: the scenario's own, and those named on the command line. Files are checked and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pave_emulator.device_spec import DeviceSpec
from pave_emulator.nearest import hint
from pave_emulator.rtc import SlowClock
from pave_emulator.scenario.devices import DEFAULT_KIND, KIOSK, DeviceEntry
from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.site import Bay
from pave_emulator.writing import write_private

MAC_PREFIX = bytes.fromhex("24a160fe")  # an Espressif prefix; the rest counts the devices of a run
FORM = "NAME=FLASH.bin:BOARD.toml[:BAY[:KIND]]"


class RosterError(ValueError):
    """A device that cannot be: where it is named, what is wrong, and the nearest valid name."""


@dataclass(frozen=True)
class Roster:
    """The devices of one run and the places they are at."""

    specs: tuple[DeviceSpec, ...]
    bays: tuple[Bay, ...]
    kiosks: tuple[str, ...]
    positions_m: dict[str, tuple[float, float]]
    """East and north, by device; only of those that have one."""


def parse(texts: Iterable[str]) -> list[DeviceEntry]:
    """Devices of the command line, each as FORM. Raise RosterError."""
    return [_parse(text) for text in texts]


def assemble(scenario: Scenario, named: Sequence[DeviceEntry], work_dir: Path, in_place: bool = False) -> Roster:
    """The devices of the scenario and those `named` besides.

    Flash images are copied to `work_dir`/flash first, unless `in_place`. Raise RosterError for no device at all, a name
    that is taken, or a file that is not there.
    """
    entries = [*scenario.devices, *named]
    if not entries:
        raise RosterError(f"no device: give the scenario {scenario.name!r} `devices`, or say --device {FORM}")
    seen: dict[str, DeviceEntry] = {}
    for entry in entries:
        if entry.name in seen:
            raise RosterError(f"{entry.where}: device names must differ, {entry.name!r} appears more than once")
        _check(entry, entry.board, "board file", "*.toml")
        _check(entry, entry.image, "flash image", "*.bin")
        seen[entry.name] = entry
    images = {entry.name: entry.image if in_place else _copied(entry, work_dir / "flash") for entry in entries}
    specs = tuple(
        _spec(entry, images[entry.name], number, scenario.seed) for number, entry in enumerate(entries, start=1)
    )
    return Roster(
        specs,
        _bays(entries),
        tuple(dict.fromkeys(entry.place for entry in entries if entry.place and entry.kind == KIOSK)),
        {entry.name: entry.position_m for entry in entries if entry.position_m},
    )


def _parse(text: str) -> DeviceEntry:
    name, separator, rest = text.partition("=")
    image, board, place, kind, *more = [*rest.split(":"), "", "", ""][: max(4, rest.count(":") + 1)]
    if not (separator and name and image and board) or more:
        raise RosterError(f"--device {text!r}: {FORM} expected")
    return DeviceEntry(name, Path(board), Path(image), place, kind or DEFAULT_KIND, where=f"--device {name}")


def _check(entry: DeviceEntry, path: Path, what: str, pattern: str) -> None:
    if not path.is_file():
        near = hint(path.name, (found.name for found in path.parent.glob(pattern)))
        raise RosterError(f"{entry.where}: there is no {what} {path}: {near}")


def _copied(entry: DeviceEntry, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{entry.name}.bin"
    if copy.exists() and copy.samefile(entry.image):
        raise RosterError(f"{entry.where}: {entry.image} lies where the run would copy it to: say --in-place")
    write_private(copy, b"")
    shutil.copyfile(entry.image, copy)
    return copy


def _spec(entry: DeviceEntry, image: Path, number: int, seed: int) -> DeviceSpec:
    mac = entry.mac or MAC_PREFIX + number.to_bytes(2, "big")
    slow_clock = SlowClock.drawn(seed, entry.name)
    return DeviceSpec(entry.name, mac, entry.board, image, entry.place or None, slow_clock=slow_clock)


def _bays(entries: Sequence[DeviceEntry]) -> tuple[Bay, ...]:
    found: dict[str, Bay] = {}
    for entry in entries:
        if entry.place and entry.kind != KIOSK:
            found.setdefault(entry.place, Bay(entry.place, entry.kind, entry.street, entry.position_m))
    return tuple(found.values())
