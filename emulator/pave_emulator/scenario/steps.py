"""Steps of a scenario: what is done on purpose, at a time or after an event.

Theory of operation. An action is a name and arguments. Those of WORLD_ACTIONS change the world, those of FAULT_ACTIONS
are hooks of `Faults`, which whoever composes devices, air and clock implements. `Director` knows which step is due and
does it once; a step `after` an event is due `delay_s` after the first such event, or, with `every_time`, after each.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pave_emulator.scenario.events import Pattern, Reference, value_of, world_record
from pave_emulator.trace import Record

# action -> argument -> type; a default makes it optional
Arguments = Mapping[str, type | tuple[type, Any]]

WORLD_ACTIONS: Mapping[str, Arguments] = {
    "arrive": {"bay": str, "vehicle": (str, "car"), "manoeuvre": (str, "forward")},
    "leave": {"bay": str},
    "person": {"place": str, "s": float},
    "press": {"place": str},
    "temperature": {"c": float},
    "rain": {"mm_per_h": float},
    "water_film": {"mm": float},
    "snow": {"cm": float},
    "leaves": {"on": bool},
    "usual_weather": {},
    "shift_field": {"bay": str, "x_ut": float, "y_ut": float, "z_ut": float},
    "turn": {"bay": str, "yaw_deg": (float, 0.0), "tilt_deg": (float, 0.0)},
    "lid": {"place": str, "open": bool},
    "mains": {"place": str, "on": bool},
    "pc": {"place": str, "alive": bool},
}
FAULT_ACTIONS: Mapping[str, Arguments] = {
    "power_cut": {"device": str, "s": (float, 1.0)},
    "power_cut_at_flash": {"device": str, "operation": int, "s": (float, 1.0)},
    "brown_out": {"device": str},
    "reset": {"device": str},
    "flip_flash_bit": {"device": str, "address": int, "bit": int},
    "stuck_bus": {"device": str, "bus": str, "s": float},
    "clock_skew": {"device": str, "ppm": float},
    "fan_stuck": {"device": str, "stuck": bool},
    "radio_outage": {"s": float},
    "wifi_outage": {"s": float},
    "wifi_loss": {"share": float, "s": float},
    "gateway_outage": {"s": float},
}
ACTIONS: Mapping[str, Arguments] = {**WORLD_ACTIONS, **FAULT_ACTIONS}


class Faults(Protocol):
    """What can be made to go wrong with devices, air and gateway. One hook for each of FAULT_ACTIONS."""

    def power_cut(self, device: str, s: float) -> None:
        """Take the supply away for so long."""

    def power_cut_at_flash(self, device: str, operation: int, s: float) -> None:
        """Take it away for so long in the middle of the n-th flash operation from now, from 1."""

    def brown_out(self, device: str) -> None:
        """Let the supply sag below the brown-out level for a moment."""

    def reset(self, device: str) -> None:
        """Pull the reset pin."""

    def flip_flash_bit(self, device: str, address: int, bit: int) -> None:
        """Invert a bit of the flash."""

    def stuck_bus(self, device: str, bus: str, s: float) -> None:
        """Hold SDA low for so long."""

    def clock_skew(self, device: str, ppm: float) -> None:
        """Let the slow clock run so much too fast."""

    def fan_stuck(self, device: str, stuck: bool) -> None:
        """Block the fan, or let it go."""

    def radio_outage(self, s: float) -> None:
        """Let the concentrator hear and send nothing for so long."""

    def wifi_outage(self, s: float) -> None:
        """Switch the access point off for so long."""

    def wifi_loss(self, share: float, s: float) -> None:
        """Lose this share of the datagrams, 0 to 1, for so long."""

    def gateway_outage(self, s: float) -> None:
        """Stop the gateway for so long."""


class Stage(Protocol):
    """What a director needs of a world."""

    def act(self, action: str, arguments: Mapping[str, Any], now_s: float) -> None:
        """Do one of WORLD_ACTIONS."""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: what records and other steps call it.
        action: one of ACTIONS.
        arguments: by name; values may refer to the event that the step came after.
        at_s: when, for a step that waits for nothing.
        after: the event it waits for.
        delay_s: how long after it.
        every_time: after each such event, not only the first.
    """

    name: str
    action: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    at_s: float | None = None
    after: Pattern | None = None
    delay_s: float = 0.0
    every_time: bool = False
    where: str = field(default="", compare=False)


class Director:
    """Does the steps of a scenario."""

    def __init__(self, steps: Sequence[Step], stage: Stage, faults: Faults) -> None:
        """`stage` is the world; `faults` does what goes wrong."""
        self._stage = stage
        self._faults = faults
        self._due: list[tuple[float, int, Step, dict[str, Any]]] = []
        self._waiting = [step for step in steps if step.after is not None]
        self._count = 0
        for step in steps:
            if step.at_s is not None:
                self._plan(step.at_s, step, dict(step.arguments))

    def next_s(self) -> float | None:
        """When the next step is due; None while all that are left wait for an event."""
        return self._due[0][0] if self._due else None

    def observe(self, record: Record) -> None:
        """Something has happened: plan the steps that waited for it."""
        for step in list(self._waiting):
            if step.after is not None and step.after.matches(record):
                if not step.every_time:
                    self._waiting.remove(step)
                arguments = {name: _resolved(value, record) for name, value in step.arguments.items()}
                self._plan(record.t_us / 1e6 + step.delay_s, step, arguments)

    def advance(self, now_s: float) -> list[Record]:
        """Do what is due up to `now_s`; return the records of it, which the caller records and observes."""
        done: list[Record] = []
        while self._due and self._due[0][0] <= now_s:
            due_s, _, step, arguments = heapq.heappop(self._due)
            if step.action in FAULT_ACTIONS:
                getattr(self._faults, step.action)(**arguments)
            else:
                self._stage.act(step.action, arguments, due_s)
            done.append(world_record(due_s, "step", {"name": step.name, "action": step.action, **arguments}))
        return done

    def _plan(self, due_s: float, step: Step, arguments: dict[str, Any]) -> None:
        self._count += 1
        heapq.heappush(self._due, (due_s, self._count, step, arguments))


def _resolved(value: Any, record: Record) -> Any:
    return value_of(record, value.name) if isinstance(value, Reference) else value
