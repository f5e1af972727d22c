"""What a device's log is worth against the truth of its bay.

Theory of operation. Each event that must be said has one outcome:

    right    the state changed to it after it had begun, and was it when due
    late     it was said after it was due, before the next event began
    missed   it was never said
    stale    the state was that already, from before the event: nothing was said
    blind    the sensor said that it cannot see, and the radar could
    excused  the same, and the radar was covered: counted apart, and neither right nor wrong

A change to a state that is not right at that moment is false. A bay is stuck when its state is wrong for STUCK_S in one
piece, or when UNHEARD events in a row were missed or stale. A wake-up by the interrupt is of an event when one is under
way or has been within BOUND_S; the others are false wakes.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks._detection_device import BLIND, INTERRUPT, OCCUPIED, VACANT, Log
from benchmarks._detection_truth import BOUND_S, EITHER, Event, Truth
from pave_emulator.scenario.radar import Cover
from pave_emulator.scenario.world import World

STUCK_S = 3600.0
UNHEARD = 4
COVERED_DB = 8.0  # one way: a vehicle's echo is 16 dB weaker, between that of a person and that of rain
DAY_S = 86400.0
OUTCOMES = ("right", "late", "missed", "stale", "blind", "excused")
WRONG = ("late", "missed", "stale", "blind")
SAID = {VACANT: "vacant", OCCUPIED: "occupied", BLIND: "blind"}


@dataclass(frozen=True)
class Heard:
    """What came of one event: its outcome, what was said when it was due, and how long it took to be said (s)."""

    occupied: bool
    vehicle: str
    manoeuvre: str
    outcome: str
    said: int
    latency_s: float | None


@dataclass
class Tally:
    """What is counted, of one bay or of many.

    Attributes:
        heard: one for each event that must be said.
        false: false changes, by the state they were to.
        stuck: how often it was stuck.
        time_s: by (truth, what was said), while the truth was definite.
        wakes: by cause; "of an event" and "false" are the interrupt's.
        asked: how often the radar was asked.
        awake_s: how long the processor ran.
        alarms: (that were due, of them raised, false).
    """

    days: float = 0.0
    heard: list[Heard] = field(default_factory=list)
    false: Counter[int] = field(default_factory=Counter)
    stuck: int = 0
    longest_wrong_s: float = 0.0
    time_s: dict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    wakes: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    awake_s: float = 0.0
    alarms: tuple[int, int, int] = (0, 0, 0)


class Score(Tally):
    """One bay under one scenario with one detector."""


class States:
    """What was said, as a function of time; before the first word it is blind."""

    def __init__(self, states: list[tuple[float, int]]) -> None:
        """In order of time."""
        self.changes = states
        self._times_s = [at_s for at_s, _ in states]

    def at(self, now_s: float) -> int:
        """What was said last."""
        index = bisect_right(self._times_s, now_s)
        return self.changes[index - 1][1] if index else BLIND

    def between(self, from_s: float, until_s: float) -> list[tuple[float, int]]:
        """The changes after `from_s`, up to `until_s`."""
        return self.changes[bisect_right(self._times_s, from_s) : bisect_right(self._times_s, until_s)]


def covered(world: World, now_s: float) -> bool:
    """Whether what lies on the lids blinds a radar now."""
    climate = world.climate
    cover = Cover(climate.water_mm(now_s), climate.snow_cm(now_s), climate.air_c(now_s) >= 0, climate.leaves(now_s))
    return cover.loss_db > COVERED_DB


def score(truth: Truth, log: Log, until_s: float, is_covered: Callable[[float], bool]) -> Score:
    """Judge a log that goes from 0 to `until_s`."""
    states = States(log.states)
    found = Score(until_s / DAY_S, asked=len(log.asked_s), awake_s=log.awake_s)
    found.heard = [_heard(event, states, is_covered) for event in truth.events if event.scored]
    first_s = log.states[0][0] if log.states else until_s
    for at_s, state in log.states:
        if state != BLIND and at_s > first_s and truth.at(at_s) not in (state, EITHER):
            found.false[state] += 1
    _judge_time(found, truth, states, until_s)
    found.stuck += _unheard_runs(found.heard)
    found.wakes = _wakes(truth, log)
    found.alarms = _alarms(truth, log)
    return found


def _heard(event: Event, states: States, is_covered: Callable[[float], bool]) -> Heard:
    new = OCCUPIED if event.occupied else VACANT
    said = states.at(event.due_s)
    changes_s = [at_s for at_s, state in states.between(event.begin_s, event.due_s) if state == new]
    latency_s = None
    if said == BLIND:
        outcome = "excused" if is_covered(event.t_s) or is_covered(event.due_s) else "blind"
    elif said != new:
        later = [state for _, state in states.between(event.due_s, event.next_s)]
        outcome = "late" if new in later else "missed"
    elif changes_s:
        outcome, latency_s = "right", max(0.0, changes_s[-1] - event.t_s)
    else:
        outcome = "stale"
    return Heard(event.occupied, event.vehicle, event.manoeuvre, outcome, said, latency_s)


def _judge_time(found: Score, truth: Truth, states: States, until_s: float) -> None:
    """How long what was said under which truth, and whether a wrong state lasted."""
    edges = sorted({0.0, *(at_s for at_s, _ in truth.spans), *(at_s for at_s, _ in states.changes), until_s})
    wrong_s = 0.0
    for begin_s, end_s in itertools.pairwise(edges):
        if end_s > until_s:
            break
        right, said = truth.at(begin_s), states.at(begin_s)
        if right != EITHER:
            found.time_s[right, said] += end_s - begin_s
        if right == EITHER or said in (right, BLIND):
            found.stuck += wrong_s > STUCK_S
            wrong_s = 0.0
        else:
            wrong_s += end_s - begin_s
            found.longest_wrong_s = max(found.longest_wrong_s, wrong_s)
    found.stuck += wrong_s > STUCK_S


def _unheard_runs(heard: list[Heard]) -> int:
    runs = run = 0
    for one in heard:
        run = run + 1 if one.outcome in ("missed", "stale") else 0
        runs += run == UNHEARD
    return runs


def _wakes(truth: Truth, log: Log) -> Counter[str]:
    begins_s = [event.begin_s for event in truth.events]
    wakes: Counter[str] = Counter()
    for at_s, cause in log.wakes:
        if cause != INTERRUPT:
            wakes[cause] += 1
            continue
        index = bisect_right(begins_s, at_s)
        of_event = index > 0 and at_s <= truth.events[index - 1].t_s + BOUND_S
        wakes["of an event" if of_event else "false"] += 1
    return wakes


def _alarms(truth: Truth, log: Log) -> tuple[int, int, int]:
    raised = sum(any(due_s <= at_s <= due_s + 2 * BOUND_S for at_s, _ in log.alarms) for due_s in truth.tampered_s)
    false = sum(truth.at(at_s) != EITHER for at_s, _ in log.alarms)
    return len(truth.tampered_s), raised, false
