"""Events of a run, and patterns that match them.

Theory of operation. Everything that happens is a `trace.Record`: what devices do is recorded by the emulator, what the
world does becomes a record of kind "truth" with the field `what`. So one kind of pattern serves steps ("after this")
and properties ("within 5 s of that"). The world's records:

    what      device   fields
    arrives   ""       bay, n     a vehicle has stopped on a bay
    leaves    ""       bay, n     it has gone
    press     ""       place      somebody presses a kiosk's button
    person    ""       place, on  somebody stands there, or has gone
    level     ""       place, of, on   mains, lid or pc of a kiosk has changed
    step      ""       name, action    a step of the scenario was done
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pave_emulator import trace
from pave_emulator.trace import Record

ANY = "any"
WORLD = {"arrives": "bay", "leaves": "bay", "press": "place", "person": "place", "level": "place", "step": "name"}


@dataclass(frozen=True)
class Bounds:
    """A number between two others, both included."""

    least: float
    most: float


@dataclass(frozen=True)
class Contains:
    """A text that has this one in it."""

    text: str


@dataclass(frozen=True)
class Reference:
    """The value that a field of the event before has: `@bay`, `@device`."""

    name: str


@dataclass(frozen=True)
class Pattern:
    """What an event must be: of a kind, and with these values.

    Attributes:
        kind: one of `trace.KINDS`.
        wanted: field (or `device`) to a plain value, Bounds, Contains or Reference.
    """

    kind: str
    wanted: tuple[tuple[str, Any], ...] = ()

    def matches(self, record: Record, before: Record | None = None) -> bool:
        """Whether `record` is such an event; references are to fields of `before`."""
        if record.kind != self.kind:
            return False
        return all(_fits(value_of(record, name), wanted, before) for name, wanted in self.wanted)

    def __str__(self) -> str:
        """As a person would name it."""
        wanted = dict(self.wanted)
        if self.kind == trace.TRUTH and "what" in wanted:
            what = wanted.pop("what")
            return " ".join([what, *(f"{_text(value)}" for value in wanted.values())])
        return " ".join([self.kind, *(f"{name}={_text(value)}" for name, value in wanted.items())])


def value_of(record: Record, name: str) -> Any:
    """A field of a record, or its device; None when it has no such field."""
    return record.device if name == "device" else record.fields.get(name)


def world_record(t_s: float, what: str, fields: Mapping[str, Any]) -> Record:
    """The record of something the world did."""
    return Record(round(t_s * 1e6), "", trace.TRUTH, {"what": what, **fields})


def _fits(value: Any, wanted: Any, before: Record | None) -> bool:
    if isinstance(wanted, Reference):
        return before is not None and value is not None and value == value_of(before, wanted.name)
    if isinstance(wanted, Bounds):
        return isinstance(value, int | float) and wanted.least <= value <= wanted.most
    if isinstance(wanted, Contains):
        return isinstance(value, str) and wanted.text in value
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _text(value: Any) -> str:
    if isinstance(value, Bounds):
        return f"{value.least:g}..{value.most:g}"
    if isinstance(value, Contains):
        return f"*{value.text}*"
    return f"@{value.name}" if isinstance(value, Reference) else str(value)
