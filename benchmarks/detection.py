"""How well a presence sensor tells arrivals from departures, and from all that is neither.

    python -m benchmarks.detection [--set tuning] [--days 30] [--jobs 2] [--only NAME] [--quick] [--keep FOLDER]

Thirty days take hours: with `--keep` each result is kept as it comes, and a run begun anew goes on from there, as long
as neither the detector nor the set has changed.

The default set, `examples/evaluation`, is for judging and never for tuning: see its README. A detector is tuned on
`--set tuning`. Each scenario is a disturbance; each of its bays is played for `--days`, with the same world, chips
and vehicles as on the emulator but without a VM (`_detection_device`), and judged against the truth
(`_detection_truth`, `_detection_score`). Beside the firmware's detector stand a fixed threshold, and two that must do
badly: one that always says vacant, and the fixed threshold with its output turned round.

The interface of a detector
---------------------------

`app.presence` is pure logic: it waits for nothing and reads no clock. Its device does what `next` says and calls it
with the outcome, so that device, emulator and this harness drive the same code. In MicroPython's dialect:

    detector = Detector(state)              None at power-on, else what state() was before the sleep

    detector.woken(cause, now_ms)           a wake-up begins: "power-on", "interrupt" or "timer"
    detector.sampled(field, celsius, now_ms)     the sample: (x, y, z) in counts of 150 nT, offsets added back; the
                                            magnetometer's temperature in whole degrees, absolutely off by some
    detector.ranged(peaks, near_edge, now_ms)    the radar's answer: ((distance_mm, strength in dB/1000), ...), nearest
                                            first, at most 10, between 50 and 1,200 mm; whether something lies nearer
                                            than that; peaks is None when it did not answer

    detector.next       what it wants: SAMPLE (0), the next one of the chip's 10 Hz; RADAR (1), one measurement;
                        SLEEP (2)
    detector.watch      for SLEEP: the field from which the interrupt is to be counted, or None to leave it off
    detector.threshold  for SLEEP: counts on any axis that raise the interrupt
    detector.until_ms   for SLEEP: when to wake at latest
    detector.reports    what it has to say, in order; whoever drives it takes them and clears the list. Each has
                        .state (VACANT 0, OCCUPIED 1, BLIND 2) and .alarm ("" or its name), and what else the
                        device sends (reason, confidence)
    detector.state()    all it needs after a sleep, of what CBOR can say; with the outbox it must fit RTC memory

`now_ms` is the device's own clock, off by up to 2 % while it sleeps. From a wake-up to the first sample goes what the
firmware's boot takes (`Contender.boot_s`): 0.3 s, which is what a fast path has to reach.

Last line: one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import _detection_show as show
from benchmarks._detection_detectors import DETECTORS
from benchmarks._detection_score import Score
from benchmarks._detection_sets import EXAMPLES, SETS, Result, Task, kept, name_of, play, tasks
from benchmarks._detection_truth import BOUND_S

GOAL_RIGHT_PCT, GOAL_MEDIAN_S, GOAL_DAYS = 99.5, 5.0, 30.0
QUICK_DAYS = 2.0
JUDGED = "firmware"


def run(wanted: list[Task], jobs: int, keep: Path | None = None) -> list[Result]:
    """Play all tasks, on so many processes; the results are in their order."""
    one = partial(kept, keep) if keep else play
    if jobs == 1:
        return [one(task) for task in wanted]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(one, wanted, chunksize=1))


def grouped(results: list[Result], which: Callable[[Result], str]) -> dict[str, dict[str, list[Score]]]:
    """Scores by detector and by a property of the result."""
    groups: dict[str, dict[str, list[Score]]] = {}
    for result in results:
        for detector, score in name_of(result):
            groups.setdefault(detector, {}).setdefault(which(result), []).append(score)
    return groups


def report(results: list[Result]) -> dict[str, Any]:
    """Print the tables; return the figures."""
    whole = {name: show.summed(groups["all"]) for name, groups in grouped(results, lambda result: "all").items()}
    show.show_detectors(whole)
    by_kind = grouped(results, lambda result: result.kind)
    by_scenario = grouped(results, lambda result: result.task.scenario.stem)
    figures: dict[str, Any] = {}
    for name, total in whole.items():
        kinds = {kind: show.summed(scores) for kind, scores in by_kind[name].items()}
        scenarios = {stem: show.summed(scores) for stem, scores in by_scenario[name].items()}
        vehicles = show.of_events(total, lambda heard: heard.vehicle)
        manoeuvres = show.of_events(total, lambda heard: heard.manoeuvre)
        if name in (JUDGED, "fixed threshold"):
            show.show_confusion(
                f"{name}: by kind of bay, by vehicle, by manoeuvre", {**kinds, **vehicles, **manoeuvres}
            )
            show.show_confusion(f"{name}: by disturbance", scenarios)
            show.show_disturbances(f"{name}: what each disturbance does", scenarios)
        parts = {"kinds": kinds, "vehicles": vehicles, "manoeuvres": manoeuvres, "disturbances": scenarios}
        figures[name] = {
            **total.figures(),
            "confusion": {part: {key: one.confusion() for key, one in sums.items()} for part, sums in parts.items()},
            "disturbances": {stem: one.figures() for stem, one in scenarios.items()},
        }
    return figures


def verdicts(figures: dict[str, Any], days: float) -> dict[str, bool]:
    """Each goal, and whether it was met."""
    of = figures[JUDGED]
    return {
        f"at least {GOAL_RIGHT_PCT:g} % of arrivals right within {BOUND_S:g} s": of["arrivals_right_pct"]
        >= GOAL_RIGHT_PCT,
        f"at least {GOAL_RIGHT_PCT:g} % of departures right": of["departures_right_pct"] >= GOAL_RIGHT_PCT,
        f"median latency under {GOAL_MEDIAN_S:g} s": of["right"] > 0 and of["latency_median_s"] < GOAL_MEDIAN_S,
        f"no stuck bay over {GOAL_DAYS:g} days": days >= GOAL_DAYS and of["stuck"] == 0,
    }


def main() -> None:
    """Play, print. A missed goal is printed, and is no failure: the exit status is 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--set", dest="name", choices=SETS, default=SETS[0])
    parser.add_argument("--folder", type=Path, help="a set of one's own, in place of --set")
    parser.add_argument("--days", type=float, default=GOAL_DAYS)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_DAYS:g} days")
    parser.add_argument("--only", default="", help="scenarios with this in their name")
    parser.add_argument("--detector", action="append", choices=list(DETECTORS), help="default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each result there, and go on from those kept")
    arguments = parser.parse_args()
    days = QUICK_DAYS if arguments.quick else arguments.days
    folder = arguments.folder or EXAMPLES / arguments.name
    wanted = tasks(folder, arguments.detector or list(DETECTORS), days, arguments.only)
    if not wanted:
        parser.error(
            f"no scenario in {folder} has {arguments.only!r} in its name; drop --only, or look into the folder"
        )
    started_s = time.perf_counter()
    results = run(wanted, arguments.jobs, arguments.keep)
    wall_s = time.perf_counter() - started_s
    figures = report(results)
    played_days = sum(task.days for task in wanted)
    show.CONSOLE.print(f"{played_days:,.0f} bay-days in {wall_s:,.0f} s")
    goals = verdicts(figures, days) if JUDGED in figures else {}
    for goal, met in goals.items():
        show.CONSOLE.print(f"{'met   ' if met else 'MISSED'} {goal}")
    played = {"set": folder.name, "days": days, "played_bay_days": round(played_days, 2), "wall_s": round(wall_s, 1)}
    print(json.dumps({**played, "bound_s": BOUND_S, "goals": goals, "detectors": figures}))


if __name__ == "__main__":
    main()
