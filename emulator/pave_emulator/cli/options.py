"""Options that several commands share, and what they make: a scenario, its devices and a plan."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from pave_emulator import control
from pave_emulator import roster as rosters
from pave_emulator.air.access_point import AccessPoint
from pave_emulator.roster import Roster
from pave_emulator.scenario import load as scenarios
from pave_emulator.scenario.model import Scenario

DEFAULT_WORK_DIR = Path("var/emulator")


class ClockName(enum.StrEnum):
    """Which time a run is in."""

    wall = "wall"
    virtual = "virtual"


ScenarioFile = Annotated[Path, typer.Argument(help="scenario file (YAML)")]
Devices = Annotated[list[str] | None, typer.Option("--device", help=f"{rosters.FORM}, repeatable")]
Clock = Annotated[
    ClockName, typer.Option("--clock", help="wall: real time; virtual: as fast as it goes, one seed one trace")
]
Seed = Annotated[int | None, typer.Option(help="instead of the scenario's")]
Seconds = Annotated[
    float | None,
    typer.Option("--for", min=0, help="stop after so many seconds of the run's clock; left out: at Ctrl-C"),
]
Ssid = Annotated[str, typer.Option(help="name of the access point")]
Key = Annotated[str, typer.Option(help="its key")]
WorkDir = Annotated[Path, typer.Option(help="copies of images, console logs and the control socket")]
InPlace = Annotated[bool, typer.Option("--in-place", help="let devices write to the images given, not to copies")]
Fields = Annotated[Path | None, typer.Option(help="folder for what each magnetometer was given, CSV")]

DEFAULT_SSID, DEFAULT_KEY = AccessPoint.ssid, AccessPoint.key


def read(
    scenario: Path, devices: list[str] | None, seed: int | None, work_dir: Path, in_place: bool
) -> tuple[Scenario, Roster]:
    """The scenario and its devices; images are copied. Raise ValueError, OSError."""
    loaded = scenarios.load(scenario, seed)
    control.claim(work_dir)
    return loaded, rosters.assemble(loaded, rosters.parse(devices or []), work_dir, in_place)


def endpoint(text: str | None) -> tuple[str, int] | None:
    """Host and port from HOST:PORT. Raise ValueError."""
    if text is None:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"--forward {text}: HOST:PORT expected, as in 127.0.0.1:1700")
    return host, int(port)
