"""Whole devices in virtual time, with the firmware's own bytes, say what the evaluation's harness says without a VM."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks._detection_detectors import DETECTORS
from benchmarks._detection_device import BLIND, OCCUPIED, VACANT, Device, Log
from benchmarks._detection_score import DAY_S, Score, score
from benchmarks._detection_truth import Truth, truth_of
from pave_emulator.scenario.load import load
from pave_emulator.scenario.site import local_m
from pave_emulator.scenario.world import Bay, World
from pave_gateway import config
from pave_gateway.store.journal import JournalReader
from simulation.virtual import JOURNAL_FILE, ROOT, SITE, Plan, run
from simulation.virtual_gateway import EPOCH_MS

DAY = ROOT / "examples" / "bercy" / "scenarios" / "day.yaml"
SENSORS = 3
FIRMWARE = DETECTORS["firmware"]
BUSY = """\
name: Busy
seed: 20261123
start: 2026-11-23T09:00
earth_field_ut: [20.9, 0.8, 43.7]
noise_ut: 0.3
traffic:
  - kind: delivery
    gap_s: 260
    stay_s: 220
    min_s: 60
    manoeuvres: {forward: 0.5, reverse: 0.4, hesitant: 0.1}
    vehicles: {van: 0.6, car: 0.2, weak: 0.2}
passers: {per_day: 2400, lane_m: [2.2, 4.5], speed_mps: [3, 10]}
drift: {temperature_ut_per_k: 0.05, wander_ut: 0.5, days: 3, hard_iron_ut: 5}
weather: {mean_c: 11, seasonal_c: 8, daily_c: 4, asphalt_c: 15, rain_days_per_month: 9}
laying: {any_yaw: true, tilt_deg: 5}
"""


class Both:
    """The same bays under the same scenario: whole devices, and the harness around the same detector."""

    def __init__(self, folder: Path, path: Path, for_s: float) -> None:
        site = config.load(SITE)
        run(Plan(path, for_s, sensors=SENSORS, kiosks=0), folder)
        made = load(path)
        bays = [Bay(bay.id, bay.kind, bay.street, local_m(bay.lat, bay.lon)) for bay in site.bay]
        told = _told(folder / JOURNAL_FILE, {place.device: place.id for place in site.places()})
        self.whole: list[Score] = []
        self.harness: list[Score] = []
        self.pairs: list[tuple[list[tuple[float, int]], list[tuple[float, int]]]] = []
        for bay in bays[:SENSORS]:
            truth = truth_of(made, bay.id, bay.kind, for_s)
            log = Device(World(made, bays), bay.id, FIRMWARE.make, FIRMWARE.boot_s).run(for_s)
            self.whole.append(_judged(truth, Log(states=told[bay.id]), for_s))
            self.harness.append(_judged(truth, log, for_s))
            self.pairs.append((told[bay.id], log.states))


def _told(journal: Path, bays: dict[str, str]) -> dict[str, list[tuple[float, int]]]:
    """Each bay's changes of state in its device's readings, by when they were read."""
    told: dict[str, list[tuple[float, int]]] = {bay: [] for bay in bays.values()}
    with closing(JournalReader(journal)) as rows:
        for row in (stored.row for batch in rows.all() for stored in batch):
            state = _state(row.values)
            states = told[bays[row.device]]
            if state is not None and (not states or states[-1][1] != state):
                states.append(((row.read_ms - EPOCH_MS) / 1000, state))
    return told


def _state(values: Mapping[str, Any]) -> int | None:
    """What a reading says of the bay; None for one that says nothing of it."""
    if values.get("blind"):
        return BLIND
    return {True: OCCUPIED, False: VACANT, None: None}[values.get("occupied")]


def _judged(truth: Truth, log: Log, until_s: float) -> Score:
    return score(truth, log, until_s, lambda _now_s: False)


def agreement(both: Both) -> tuple[int, int]:
    """How many events there are, and of how many the outcome is the same."""
    ones = [heard.outcome for one in both.whole for heard in one.heard]
    others = [heard.outcome for one in both.harness for heard in one.heard]
    assert len(ones) == len(others)
    return len(ones), sum(a == b for a, b in zip(ones, others, strict=True))


def latencies_s(scores: list[Score]) -> list[float]:
    return [heard.latency_s for one in scores for heard in one.heard if heard.latency_s is not None]


def check(both: Both, events_min: int) -> None:
    events, same = agreement(both)
    assert events >= events_min
    assert same >= 0.95 * events, f"{same} of {events}"
    assert statistics.median(latencies_s(both.whole)) == pytest.approx(
        statistics.median(latencies_s(both.harness)), abs=0.6
    )
    for told, found in both.pairs:
        assert len(told) == pytest.approx(len(found), abs=2 + 0.05 * len(found))


@pytest.mark.vm
@pytest.mark.parametrize(("for_s", "least"), [(1500, 10), pytest.param(4500, 30, marks=pytest.mark.long)])
def test_whole_devices_and_the_harness_hear_the_same_of_a_busy_time(tmp_path: Path, for_s: int, least: int) -> None:
    path = tmp_path / "busy.yaml"
    path.write_text(BUSY)
    both = Both(tmp_path, path, for_s)
    check(both, least)
    other = _shifted(both)
    assert other < 0.5, "the comparison sees what is not the same"


def _shifted(both: Both) -> float:
    """Agreement in time of one bay's changes with those of the next: the negative control."""
    (first, _), (_, second) = both.pairs[0], both.pairs[1]
    near = [any(abs(at_s - other_s) < 2.5 for other_s, _ in second) for at_s, _ in first]
    return sum(near) / len(near)


@pytest.mark.vm
@pytest.mark.long
def test_whole_devices_and_the_harness_hear_the_same_of_a_weekday_in_bercy(tmp_path: Path) -> None:
    check(Both(tmp_path, DAY, DAY_S), 60)
