"""A scenario as it is played: the world's events and the steps, each in its turn.

Theory of operation. Steps wait for events and events come of steps, so both are taken in order of time, one instant
after the other. Who composes devices and clock calls `advance` when `next_s` says so, hands each record to the trace,
and what devices record to `observe`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pave_emulator.scenario.steps import Director, Faults
from pave_emulator.scenario.world import Change, Happening, World, record_of
from pave_emulator.trace import Record


@dataclass(frozen=True)
class Event:
    """Something has happened: its record, and what it is of, None for a step."""

    record: Record
    source: Change | Happening | None


class Play:
    """One world with the steps of its scenario."""

    def __init__(self, world: World, faults: Faults) -> None:
        """`faults` does what goes wrong with devices, air and gateway."""
        self._world = world
        self._director = Director(world.scenario.steps, world, faults)

    def observe(self, record: Record) -> None:
        """A device, or the air, has recorded something that a step may wait for."""
        self._director.observe(record)

    def next_s(self) -> float | None:
        """When to call `advance` next; None when nothing more happens by itself."""
        times_s = (self._world.next_change_s(), self._world.next_happening_s(), self._director.next_s())
        return min((time_s for time_s in times_s if time_s is not None), default=None)

    def advance(self, now_s: float) -> list[Event]:
        """What happens up to `now_s`, in order of time; steps are done. Raise ScenarioError for one that cannot be."""
        events: list[Event] = []
        while (due_s := self.next_s()) is not None and due_s <= now_s:
            sources = sorted([*self._world.advance(due_s), *self._world.happenings(due_s)], key=lambda one: one.t_s)
            new = [Event(record_of(source), source) for source in sources]
            new += [Event(record, None) for record in self._director.advance(due_s)]
            for event in new:
                self._director.observe(event.record)
            events += new
        return events
