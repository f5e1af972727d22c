"""The truth of one bay: what came and went, from when until when a detector may say either, and what it must say.

Theory of operation. An arrival begins when the vehicle comes into sight and has happened when it has stopped; a
departure begins when it starts to move and has happened when its middle is CLEAR_M from where it stood, so that no
part of it is over the sensor. While an event is under way either state is right. It must be said by BOUND_S after it
has happened, or by the time that the next one begins. What lasts less than BRIEF_S (a rank that moves up) need not be
said, nor need the event after it, as both say that all is as it was; a wrong state afterwards is counted all the same.
A two-wheeler on a bay need not be seen: until it has gone either state is right. So it is while a sensor is not at its
place, or has a magnet on it, and TAMPERED_S after that.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks._detection_device import OCCUPIED, VACANT
from pave_emulator.scenario.calendar import Calendar
from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.motion import MANOEUVRES
from pave_emulator.scenario.stays import Stay, stays
from pave_emulator.scenario.steps import Step

BOUND_S = 30.0
BRIEF_S = 20.0
CLEAR_M = 3.0
MAGNET_UT = 100.0  # a field that no vehicle and no plate makes
TAMPERED_S = 600.0
EITHER = -1  # both states are right
NEED_NOT = frozenset({"two-wheeler"})
_STEP_S = 0.05


@dataclass(frozen=True)
class Event:
    """A vehicle has stopped, or has gone.

    Attributes:
        begin_s: from when on it may be said.
        t_s: when it has happened.
        due_s: by when it must have been said.
        next_s: when the next one begins.
        occupied: an arrival.
        vehicle: its kind.
        manoeuvre: how it came.
        scored: whether it must be said.
    """

    begin_s: float
    t_s: float
    due_s: float
    next_s: float
    occupied: bool
    vehicle: str
    manoeuvre: str
    scored: bool


@dataclass(frozen=True)
class Truth:
    """One bay's. `spans` are (from, state), in order, without gaps from 0 on: VACANT, OCCUPIED or EITHER."""

    events: tuple[Event, ...]
    spans: tuple[tuple[float, int], ...]
    tampered_s: tuple[float, ...]

    def at(self, now_s: float) -> int:
        """What is right at this time."""
        return self.spans[max(0, bisect_right(self.spans, (now_s, math.inf)) - 1)][1]


def truth_of(scenario: Scenario, bay: str, kind: str, until_s: float) -> Truth:
    """The truth of a bay up to `until_s`; an event that is due later is left out."""
    found: list[Stay] = []
    for stay in stays(scenario, Calendar(scenario.start), bay, kind):
        found.append(stay)
        if stay.begin_s >= until_s:
            break
    apart = tampered(scenario.steps, bay)
    events = [event for event in _events(found) if event.due_s <= until_s and not _within(event.t_s, apart)]
    return Truth(
        tuple(events), tuple(_spans(found, apart)), tuple(begin_s for begin_s, _, alarming in apart if alarming)
    )


def cleared_s(stay: Stay) -> float:
    """When a vehicle that leaves is off the sensor."""
    x, y = stay.position_m(stay.depart_s)
    at_s = stay.depart_s
    while at_s < stay.leave_s:
        now_x, now_y = stay.position_m(at_s)
        if math.hypot(now_x - x, now_y - y) >= CLEAR_M:
            return at_s
        at_s += _STEP_S
    return stay.leave_s


def tampered(steps: Iterable[Step], bay: str) -> list[tuple[float, float, bool]]:
    """When the sensor of a bay is not as it was laid, each with TAMPERED_S behind it, and whether that is an alarm.

    From each turn on, and from a magnet's field until the next shift.
    """
    found: list[tuple[float, float, bool]] = []
    magnet_s: float | None = None
    for step in sorted((s for s in steps if s.arguments.get("bay") == bay), key=lambda s: s.at_s or 0.0):
        at_s = step.at_s or 0.0
        if step.action == "turn":
            found.append((at_s, at_s + TAMPERED_S, True))
        elif step.action == "shift_field":
            if magnet_s is not None:
                found.append((magnet_s, at_s + TAMPERED_S, True))
                magnet_s = None
            elif math.hypot(*(step.arguments[f"{axis}_ut"] for axis in "xyz")) > MAGNET_UT:
                magnet_s = at_s
    return found


def _events(found: list[Stay]) -> list[Event]:
    events: list[Event] = []
    brief = False
    for stay, following in zip(found, [*found[1:], None], strict=True):
        cleared = cleared_s(stay) if math.isfinite(stay.leave_s) else math.inf
        parts = (
            (stay.begin_s, stay.arrive_s, stay.depart_s, True),
            (stay.depart_s, cleared, following.begin_s if following else math.inf, False),
        )
        for begin_s, t_s, next_s, occupied in parts:
            short = next_s - t_s < BRIEF_S
            if math.isfinite(t_s):
                scored = not (short or brief or stay.kind in NEED_NOT)
                due_s = min(t_s + BOUND_S, next_s)
                name = _name_of(stay)
                events.append(Event(begin_s, t_s, due_s, next_s, occupied, stay.kind, name, scored))
            brief = short
    return events


def _name_of(stay: Stay) -> str:
    if abs(stay.off_m) > 0.3:
        return "straddling"
    return next(name for name, way in MANOEUVRES.items() if way is stay.manoeuvre)


def _spans(found: list[Stay], apart: list[tuple[float, float, bool]]) -> list[tuple[float, int]]:
    spans: list[tuple[float, int]] = [(0.0, VACANT)]
    for stay in found:
        middle = EITHER if stay.kind in NEED_NOT else OCCUPIED
        spans += [(stay.begin_s, EITHER), (stay.arrive_s, middle)]
        if math.isfinite(stay.leave_s):
            spans += [(stay.depart_s, EITHER), (cleared_s(stay), VACANT)]
    for begin_s, end_s, _ in apart:
        after = max((span for span in spans if span[0] <= end_s), key=lambda span: span[0])[1]
        spans = [span for span in spans if not begin_s <= span[0] <= end_s]
        spans += [(begin_s, EITHER), (end_s, after)]
        spans.sort()
    return spans


def _within(t_s: float, apart: list[tuple[float, float, bool]]) -> bool:
    return any(begin_s - BOUND_S <= t_s <= end_s for begin_s, end_s, _ in apart)
