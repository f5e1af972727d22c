"""What must hold in a run: properties, and the checker that watches the records go by.

Theory of operation. The checker is given each record once, in order of time, and never looks at a clock: a deadline has
passed when a later record comes, or when `finish` says so. A deadline that the end of the run comes before is neither
kept nor missed, and is counted as open.

    within   each time `after` happens, `expect` happens no more than `s` later
    never    `event` does not happen
    always   each `of` is also `holds`
    every    `expect` happens again and again, never more than `s` apart, from the start to the end
    at_most  `event` happens no more than `count` times in any `s`
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from pave_emulator.scenario.events import Pattern
from pave_emulator.trace import Record


@dataclass(frozen=True)
class Property:
    """One property. `form` is one of FORMS; patterns and numbers are those the form needs, in its order."""

    FORMS: ClassVar[dict[str, tuple[str, ...]]] = {
        "within": ("after", "s", "expect"),
        "never": ("event",),
        "always": ("of", "holds"),
        "every": ("s", "expect"),
        "at_most": ("count", "event", "s"),
    }

    name: str
    form: str
    patterns: tuple[Pattern, ...]
    s: float = 0.0
    count: int = 0


@dataclass(frozen=True)
class Verdict:
    """What came of a property.

    Attributes:
        name: the property's.
        passed: whether it held throughout.
        checked: how often it was put to the test: deadlines kept or missed, records judged.
        open: deadlines that the end came before.
        t_s: when it first failed.
        reason: how.
    """

    name: str
    passed: bool
    checked: int
    open: int = 0
    t_s: float | None = None
    reason: str = ""


class _Watch:
    """One property under way."""

    def __init__(self, rule: Property) -> None:
        self.rule = rule
        self.checked = 0
        self._failed: tuple[float, str] | None = None
        self._due: deque[tuple[float, Record]] = deque()
        self._times_s: deque[float] = deque()
        self._last_s = 0.0
        self._see = {
            "within": self._see_within,
            "never": self._see_never,
            "always": self._see_always,
            "every": self._see_every,
            "at_most": self._see_at_most,
        }[rule.form]

    def see(self, record: Record) -> None:
        """Judge one record."""
        self._see(record, record.t_us / 1e6)

    def pass_time(self, now_s: float) -> None:
        """Everything before `now_s` has been seen."""
        if self.rule.form == "within":
            while self._due and self._due[0][0] < now_s:
                due_s, cause = self._due.popleft()
                self._fail(due_s, f"no {self._about(1, cause)} within {self.rule.s:g} s of {_say(cause)}")
        elif self.rule.form == "every" and now_s - self._last_s > self.rule.s:
            since_s, self._last_s = self._last_s, now_s
            self._fail(since_s + self.rule.s, f"no {self.rule.patterns[0]} for {self.rule.s:g} s since {since_s:g} s")

    def verdict(self) -> Verdict:
        """What came of it so far."""
        t_s, reason = self._failed or (None, "")
        return Verdict(self.rule.name, self._failed is None, self.checked, len(self._due), t_s, reason)

    def _see_within(self, record: Record, now_s: float) -> None:
        after, expect = self.rule.patterns
        waiting = [item for item in self._due if not expect.matches(record, item[1])]
        self.checked += len(self._due) - len(waiting)
        self._due = deque(waiting)
        if after.matches(record):
            self._due.append((now_s + self.rule.s, record))

    def _see_never(self, record: Record, now_s: float) -> None:
        if self.rule.patterns[0].matches(record):
            self._fail(now_s, _say(record))
        else:
            self.checked += 1

    def _see_always(self, record: Record, now_s: float) -> None:
        of, holds = self.rule.patterns
        if of.matches(record):
            if holds.matches(record, record):
                self.checked += 1
            else:
                self._fail(now_s, f"{_say(record)} is not {holds}")

    def _see_every(self, record: Record, now_s: float) -> None:
        if self.rule.patterns[0].matches(record):
            self.checked += 1
            self._last_s = now_s

    def _see_at_most(self, record: Record, now_s: float) -> None:
        if not self.rule.patterns[0].matches(record):
            return
        self._times_s.append(now_s)
        while self._times_s[0] <= now_s - self.rule.s:
            self._times_s.popleft()
        if len(self._times_s) > self.rule.count:
            self._fail(now_s, f"{len(self._times_s)} times {self.rule.patterns[0]} in {self.rule.s:g} s")
        else:
            self.checked += 1

    def _about(self, index: int, cause: Record) -> str:
        text = str(self.rule.patterns[index])
        for name, value in {"device": cause.device, **cause.fields}.items():
            text = text.replace(f"@{name}", str(value))
        return text

    def _fail(self, t_s: float, reason: str) -> None:
        self.checked += 1
        if self._failed is None:
            self._failed = (t_s, reason)


class Checker:
    """Watches a run's records against its properties."""

    def __init__(self, properties: Iterable[Property]) -> None:
        """Time begins at 0."""
        self._watches = [_Watch(rule) for rule in properties]
        self._of_kind: dict[str, list[_Watch]] = {}
        for watch in self._watches:
            for kind in {pattern.kind: None for pattern in watch.rule.patterns}:
                self._of_kind.setdefault(kind, []).append(watch)

    def feed(self, record: Record) -> None:
        """The next record."""
        now_s = record.t_us / 1e6
        for watch in self._of_kind.get(record.kind, ()):
            watch.pass_time(now_s)
            watch.see(record)

    def finish(self, now_s: float) -> list[Verdict]:
        """The run has ended at `now_s`: what came of each property, in the scenario's order."""
        for watch in self._watches:
            watch.pass_time(now_s)
        return [watch.verdict() for watch in self._watches]


def _say(record: Record) -> str:
    fields = {key: value for key, value in record.fields.items() if key != "what"}
    what = [record.fields.get("what", record.kind), record.device, *(f"{k}={v}" for k, v in fields.items())]
    return f"{' '.join(filter(None, what))} at {record.t_us / 1e6:g} s"
