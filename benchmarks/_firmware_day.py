"""One day of one sensor in virtual time, in a process of its own: what it drew and why, and what the gateway has of it.

    python -m benchmarks._firmware_day presence --celsius 15 --hours 24

The span that counts begins after `_firmware_world.SETTLES_S`. Last line: one JSON object (`figures`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import _emulator_usage as usage
from benchmarks import _firmware_images as images
from benchmarks import _firmware_site as sites
from benchmarks import _firmware_world as world
from benchmarks._firmware_wakes import ARRIVAL, DEPARTURE, Wake
from pave_emulator.power.ledger import Entry, Snapshot

EARLY_S = 15.0  # a vehicle is told of while it still moves in or out, and "true" is when it stands or has gone
TRUE_WITHIN_S = 120.0  # a change that the gateway has later than that counts as not told


@dataclass(frozen=True)
class Day:
    """What is run; the fields are those of the command line."""

    design: str = images.PRESENCE
    celsius: float = 15.0
    hours: float = 24.0
    sf: int = 9
    heartbeat_s: int = 3600
    passers: int = world.PASSERS
    poll_s: int = 5
    free: str = ""

    def arguments(self) -> list[str]:
        """For the command line."""
        values = {name: value for name, value in asdict(self).items() if name != "design"}
        return [self.design, *(f"--{name.replace('_', '-')}={value}" for name, value in values.items())]


def run(day: Day) -> dict[str, Any]:
    """Run it in a process of its own."""
    return usage.run("benchmarks._firmware_day", *day.arguments())


def snapshot(found: dict[str, Any]) -> Snapshot:
    """The ledger's span of a run."""
    entries = tuple(Entry(**entry) for entry in found["entries"])
    return Snapshot(0.0, found["seconds"], entries, found["causes"], found["total_c"], found["peak_a"])


def figures(day: Day, folder: Path) -> dict[str, Any]:
    """Run it here."""
    scenario = world.scenario(day.celsius, passers=day.passers)
    settings = {"heartbeat_s": day.heartbeat_s} if day.design == images.PRESENCE else {"poll_ms": 1000 * day.poll_s}
    setting = sites.Setting(day.design, scenario, day.sf, settings, free=day.free)

    async def script(site: sites.Site) -> dict[str, Any]:
        await asyncio.sleep(world.SETTLES_S)
        before, began_s = _meter(site), site.clock.now_s()
        await asyncio.sleep(day.hours * sites.HOUR_S)
        span = _meter(site).since(before)
        wakes = [wake for wake in site.wakes.all if wake.began_s >= began_s]
        stats = site.device.collect_stats()
        return {
            "seconds": span.seconds,
            "entries": [asdict(entry) for entry in span.entries if entry.charge_c or entry.seconds],
            "causes": {cause: count for cause, count in span.wakes.items() if count},
            "total_c": span.total_c,
            "peak_a": span.peak_a,
            "wakes": summaries(wakes),
            "changes": _changes(site, began_s, site.clock.now_s()),
            "crashes": stats.crashes + stats.watchdog_resets,
            "violations": len(site.police.violations),
            "lines": site.lines[-20:],
        }

    return sites.play(setting, folder, script)


def summaries(wakes: list[Wake]) -> dict[str, dict[str, Any]]:
    """Of each kind: how many, and medians of what one takes; the parts are those of the wake of median charge."""
    kinds: defaultdict[str, list[Wake]] = defaultdict(list)
    for wake in wakes:
        kinds[wake.kind].append(wake)
    return {kind: _summary(kinds[kind]) for kind in sorted(kinds)}


def _summary(wakes: list[Wake]) -> dict[str, Any]:
    typical = sorted(wakes, key=lambda wake: wake.charge_c)[len(wakes) // 2]
    return {
        "count": len(wakes),
        "seconds": statistics.median(wake.seconds for wake in wakes),
        "longest_s": max(wake.seconds for wake in wakes),
        "active_s": statistics.median(wake.active_s for wake in wakes),
        "charge_mc": 1e3 * statistics.median(wake.charge_c for wake in wakes),
        "mean_mc": 1e3 * statistics.fmean(wake.charge_c for wake in wakes),
        "buses": dict(sorted(typical.buses.items())),
        "frames": typical.frames,
        "frames_each": statistics.fmean(len(wake.frames) for wake in wakes),
        "parts": [[*key, 1e3 * charge_c, seconds] for key, (charge_c, seconds) in sorted(typical.parts.items())],
    }


def _changes(site: sites.Site, from_s: float, until_s: float) -> dict[str, Any]:
    """How many of the bay's true changes the gateway has, and how soon."""
    told = [(at_s, occupied) for at_s, occupied, reason in site.stored() if occupied is not None]
    truth: list[tuple[float, bool]] = []
    for visit in site.setting.scenario.visits:
        truth += [(visit.arrive_s, True), (visit.leave_s, False)]
    truth = [(at_s, occupied) for at_s, occupied in truth if from_s <= at_s < until_s - TRUE_WITHIN_S]
    late_s = [
        min(
            (heard_s - at_s for heard_s, found in told if found == occupied and heard_s >= at_s - EARLY_S),
            default=float("inf"),
        )
        for at_s, occupied in truth
    ]
    good_s = [one for one in late_s if one <= TRUE_WITHIN_S]
    return {
        "true": len(truth),
        "told": len(good_s),
        "latency_s": statistics.median(good_s) if good_s else None,
        "reported": sum(
            kind in (ARRIVAL, DEPARTURE) for kind in (w.kind for w in site.wakes.all if w.began_s >= from_s)
        ),
    }


def _meter(site: sites.Site) -> Snapshot:
    assert site.device.meter is not None
    return site.device.meter.snapshot()


def arguments() -> Day:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks._firmware_day", description=__doc__)
    parser.add_argument("design", choices=(images.PRESENCE, images.POLLING))
    for name, default in asdict(Day()).items():
        if name != "design":
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    return Day(**vars(parser.parse_args()))


def main() -> None:
    """Run, and print the figures as one line."""
    usage.stay_on_one_core()
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder:
        found = figures(arguments(), Path(folder))
    print(json.dumps({**found, "wall_s": round(time.perf_counter() - began_s, 1)}))


if __name__ == "__main__":
    main()
