"""What the emulator costs: virtual days, a thousand sensors at wall clock, a boot, an I2C transaction; where it goes.

Each run is a process of its own; figures are of what ran. `--quick` runs all of it much shorter, to see that it works:
its figures are not to be quoted. A missed goal is printed and is no failure; a device that crashed or stands still, and
two traces of one seed, are.
"""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console

from benchmarks import _emulator_boot, _emulator_i2c, _emulator_profile, _emulator_thousand, _emulator_virtual
from benchmarks._measures import Figures, Goal, Measure, machine, show_goals

MEASURES = {
    "day": Measure(_emulator_virtual.day, _emulator_virtual.show),
    "month": Measure(_emulator_virtual.month, _emulator_virtual.show),
    "thousand": Measure(_emulator_thousand.measure, _emulator_thousand.show),
    "boot": Measure(_emulator_boot.measure, _emulator_boot.show),
    "i2c": Measure(_emulator_i2c.measure, _emulator_i2c.show),
    "profile": Measure(_emulator_profile.measure, _emulator_profile.show),
}


GOALS = (
    Goal(
        "a day of the site in virtual time, s",
        "day",
        lambda found: max(run["wall_s"] for run in found["runs"]),
        at_most=_emulator_virtual.DAY_GOAL_S,
    ),
    Goal(
        "1,000 sensors at wall clock, CPU, % of 2 cores",
        "thousand",
        lambda found: found["ran"]["cpu_percent"],
        at_most=_emulator_thousand.CPU_GOAL_PERCENT,
    ),
    Goal(
        "1,000 sensors at wall clock, memory, GB",
        "thousand",
        lambda found: max(found["boot"]["peak_gb"], found["ran"]["peak_gb"]),
        at_most=_emulator_thousand.MEMORY_GOAL_GB,
    ),
)


def failures(found: dict[str, Figures]) -> list[str]:
    """What must not be, in one line each."""
    told = list(found.get("thousand", {}).get("failures", ()))
    if not found.get("day", {}).get("same_hash", True):
        told.append("day: two runs of one seed gave two traces")
    for name in ("day", "month"):
        runs = found.get(name, {}).get("runs", ())
        crashes = sum(run["crashes"] + run["watchdog_resets"] for run in runs)
        if crashes:
            told.append(f"{name}: {crashes} crashes and bites of the watchdog")
    return told


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.emulator", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="all of it in less than a minute")
    parser.add_argument("--only", action="append", choices=sorted(MEASURES), metavar="NAME",
                        help=f"of {', '.join(MEASURES)}; repeatable")  # fmt: skip
    return parser.parse_args()


def main() -> int:
    """Measure and print; return the exit status."""
    given = arguments()
    console = Console(width=150)
    about = machine()
    console.print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items()))
    found: dict[str, Figures] = {}
    for name, measure in MEASURES.items():
        if given.only is None or name in given.only:
            found[name] = measure.run(given.quick)
            measure.show(console, found[name])
    goals = {} if given.quick else show_goals(console, GOALS, found)
    failed = failures(found)
    for failure in failed:
        console.print(f"FAILURE: {failure}")
    print(json.dumps({"quick": given.quick, "machine": about, "goals": goals, "failures": failed, **found}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
