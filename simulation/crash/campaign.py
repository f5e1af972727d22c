"""The whole campaign, in its long form and in a short one, with what each part did and the proof that it sees faults.

Every figure counts what ran: an acknowledged reading is one that a device was told of, in a life that then ended.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.crash import kills, power
from simulation.crash.power import Result


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    sync_readings: int  # of the run whose every sync is a SIGKILL
    write_readings: int  # of the one whose every write is one, too
    load_kills: int
    readings: int  # to be acknowledged in all, at least
    power_runs: int  # lives that are cut at every sync
    power_messages: int  # of each of them
    power_lives: int  # power cuts at random


LONG = Size(1000, 60, 1000, 1_000_000, 10, 120, 10_000)
SHORT = Size(4, 0, 2, 0, 1, 4, 25)
_CONTROL_LIVES = 300
_MEMORY = Path("/dev/shm")  # what a power cut leaves is computed, and a kill leaves everything: no disk need wear out


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes away with its context, in memory where the machine has such a place."""
    return tempfile.TemporaryDirectory(prefix="pave-crash-", dir=_MEMORY if _MEMORY.is_dir() else None)


def run(folder: Path, size: Size, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run everything; return what was done and found. Nothing is broken if "broken" is empty and "blind", too."""
    parts: dict[str, Result] = {}
    began_s = time.monotonic()

    def part(name: str, result: Result) -> None:
        parts[name] = result
        done = f"{result.crashes} crashes, {result.acknowledged} acknowledged, {len(result.broken)} broken"
        say(f"{name}: {done}, at {time.monotonic() - began_s:.0f} s")

    part("SIGKILL at every sync", kills.every_sync(folder / "kill", seed, size.sync_readings))
    if size.write_readings:
        writes = kills.every_sync(folder / "kill", seed, size.write_readings, writes=True)
        part("SIGKILL at every write", writes)
    for number in range(size.power_runs):
        cut = power.every_sync(folder / "power", seed + number, size.power_messages)
        part(f"power cut at every sync, run {number}", cut)
    part("power cut at random, torn sectors", power.lives(folder / "power", seed, size.power_lives))
    before = sum(result.acknowledged for result in parts.values())
    part("SIGKILL under load", kills.under_load(folder / "kill", seed, size.load_kills, size.readings - before))
    return {
        "seed": seed,
        "crashes": sum(result.crashes for result in parts.values()),
        "seconds": round(time.monotonic() - began_s),
        "acknowledged": sum(result.acknowledged for result in parts.values()),
        "broken": [f"{name}: {text}" for name, result in parts.items() for text in result.broken[:5]],
        "blind": blind(folder, seed, say),
    }


def blind(folder: Path, seed: int, say: Callable[[str], None]) -> list[str]:
    """Run the negative controls; return those that the campaign did not see."""
    found: dict[str, list[str]] = {}
    for name, commit in power.CONTROLS.items():
        found[name] = power.lives(folder / "control", seed, _CONTROL_LIVES, commit, stop_at_first=True).broken
    eager = kills.under_load(folder / "control", seed, _CONTROL_LIVES, eager=True)
    found["acknowledgement before the commit, killed"] = eager.broken
    for name, broken in found.items():
        say(f"negative control, {name}: {broken[0] if broken else 'NOT SEEN'}")
    return [name for name, broken in found.items() if not broken]
