"""What the firmware costs a device: each wake-up, heap, time on air, a year of its cell; and what others cost.

    python -m benchmarks.firmware [--quick] [--only NAME]

The firmware's own bytes on the emulated board, in virtual time, with vehicles, LoRa air and the real gateway: figures
are of what ran; years are the projection of the emulator's ledger, with its assumptions printed. `--quick` runs
little of it, to see that it works: its figures are not to be quoted. A missed goal is printed and is no failure; a
device that crashed, a transmission against the law and a change of the bay that was not told are.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from rich.console import Console

from benchmarks import _firmware_energy as energy
from benchmarks import _firmware_events as events
from benchmarks import _firmware_heap as heap
from benchmarks import _firmware_published as published
from benchmarks._measures import Figures, Goal, Measure, machine, show_goals

MEASURES = {
    "events": Measure(events.measure, events.show),
    "heap": Measure(heap.measure, heap.show),
    "air": Measure(events.air, events.show_air),
    "year": Measure(energy.measure, energy.show),
    "polling": Measure(energy.polling, energy.show_polling),
    "published": Measure(published.measure, published.show),
}
_MISSING = float("inf")


def _heap_kb(name: str, found: Figures) -> float:
    needed = found[name].get("heap_bytes")
    return _MISSING if needed is None else needed / 1024


GOALS = (
    Goal("years on one ER34615", "year", lambda found: found["year"]["years"], at_least=energy.YEARS_GOAL),
    Goal("heap of the presence sensor, KB", "heap", lambda found: _heap_kb("presence", found),
         at_most=heap.PRESENCE_GOAL_KB),
    Goal("heap of the kiosk, KB", "heap", lambda found: _heap_kb("kiosk", found), at_most=heap.KIOSK_GOAL_KB),
)  # fmt: skip


def failures(found: dict[str, Figures]) -> list[str]:
    """What must not be, in one line each."""
    ran = dict(found.get("year", {}).get("days", {})) | found.get("year", {}).get("others", {})
    if "events" in found:
        ran["events"] = found["events"]
    told = [
        f"{name}: {day['crashes']} crashes and bites of the watchdog" for name, day in ran.items() if day["crashes"]
    ]
    told += [
        f"{name}: {day['violations']} transmissions against the law" for name, day in ran.items() if day["violations"]
    ]
    applications = found.get("heap", {})
    told += [
        f"{name}: does not do its work with all of its heap" for name in applications if not applications[name]["works"]
    ]
    silent = [sf for sf, kinds in found.get("air", {}).get("lora", {}).items() if not kinds]
    told += [f"SF{sf}: an arrival, a departure or a heartbeat never came" for sf in silent]
    for name, day in ran.items():
        missed = day["changes"]["true"] - day["changes"]["told"]
        if missed:
            told.append(f"{name}: {missed} of {day['changes']['true']} changes of the bay were not told in time")
    return told


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.firmware", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a little of each")
    parser.add_argument("--only", action="append", choices=sorted(MEASURES), metavar="NAME",
                        help=f"of {', '.join(MEASURES)}; repeatable")  # fmt: skip
    return parser.parse_args()


def main() -> int:
    """Measure and print; return the exit status."""
    given, began_s = arguments(), time.perf_counter()
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
    console.print(f"ran in {time.perf_counter() - began_s:.0f} s")
    print(json.dumps({"quick": given.quick, "machine": about, "goals": goals, "failures": failed, **found}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
