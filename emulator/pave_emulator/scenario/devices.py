"""A device that a scenario file names: which board lies where in the street, with which firmware."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

KIOSK = "kiosk"  # the kind of a place that is a shelter; any other is a bay
DEFAULT_KIND = "delivery"


@dataclass(frozen=True)
class DeviceEntry:
    """One device of a scenario.

    Attributes:
        name: unique in the run.
        board: board file. image: flash image.
        place: bay or kiosk where it is mounted; empty for nowhere.
        kind: of the place; selects its traffic.
        street: bays of one street that lie close are neighbours.
        position_m: east and north of any common origin.
        mac: its address, 6 bytes; None for one made from its number in the run.
        where: file and line, for errors.
    """

    name: str
    board: Path
    image: Path
    place: str = ""
    kind: str = DEFAULT_KIND
    street: str = ""
    position_m: tuple[float, float] | None = None
    mac: bytes | None = None
    where: str = field(default="", compare=False)
