"""The coulomb ledger: which consumer drew how much charge, in which state, and why the device was awake.

Theory of operation. A consumer has one present current; `draw` ends its last interval and begins the next. A charge is
booked under (consumer, state, cause). The device's cause is set by `cause`, which begins a span; a draw can have a
cause of its own instead (a receive window within a wake). What a span has booked can be moved to another cause while
the span is remembered, because a wake is known to have been false only after it was paid for. Sums are kept with
compensation (Neumaier), so parts and total agree to rounding however many intervals there were.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

POWER_ON, SLEEP = "power-on", "sleep"  # the first cause, and the one that is no reason to be awake
DEFAULT_RAIL = "3v3"
SPANS_KEPT = 64  # a wake's outcome is known long before the 64th wake after it

Key = tuple[str, str, str]


class LedgerError(ValueError):
    """A draw the ledger cannot book: time went back, a negative current, another rail than before."""


class _Sum:
    __slots__ = ("_high", "_low")

    def __init__(self) -> None:
        self._high = self._low = 0.0

    def add(self, value: float) -> None:
        total = self._high + value
        larger, smaller = (self._high, value) if abs(self._high) >= abs(value) else (value, self._high)
        self._low += (larger - total) + smaller
        self._high = total

    def value(self) -> float:
        return self._high + self._low


class _Account:
    __slots__ = ("charge", "intervals", "longest_s", "peak_a", "seconds")

    def __init__(self) -> None:
        self.charge = _Sum()
        self.intervals = 0
        self.seconds = self.peak_a = self.longest_s = 0.0

    def add(self, charge_c: float, seconds: float, intervals: int, peak_a: float, longest_s: float) -> None:
        self.charge.add(charge_c)
        self.seconds += seconds
        self.intervals += intervals
        self.peak_a = max(self.peak_a, peak_a)
        self.longest_s = max(self.longest_s, longest_s)


@dataclass
class _Present:
    """What a consumer draws now. `own_cause` is None when it follows the device's."""

    rail: str
    state: str
    current_a: float
    since_s: float  # what came before is booked
    began_s: float
    own_cause: str | None
    fresh: bool = True  # nothing of this interval is booked yet


@dataclass(frozen=True)
class Entry:
    """What one consumer drew in one state for one cause.

    Attributes:
        charge_c: at the consumer's rail, C.
        seconds: time in it.
        intervals: how often it began.
        peak_a: largest current, A.
        longest_s: longest time without a change of state or cause; 0 in a difference of snapshots.
    """

    consumer: str
    state: str
    cause: str
    rail: str
    charge_c: float
    seconds: float
    intervals: int
    peak_a: float
    longest_s: float


@dataclass(frozen=True)
class Snapshot:
    """The ledger at `now_s`; entries sorted by consumer, state, cause. `wakes` counts the spans of each cause."""

    start_s: float
    now_s: float
    entries: tuple[Entry, ...]
    wakes: dict[str, int]
    total_c: float
    peak_a: float

    @property
    def seconds(self) -> float:
        """How long it covers."""
        return self.now_s - self.start_s

    def charge_by(self, *parts: str) -> dict[tuple[str, ...], float]:
        """Charge in C, summed over what is not named in `parts` (of consumer, state, cause, rail); sorted by key."""
        sums: dict[tuple[str, ...], _Sum] = {}
        for entry in self.entries:
            sums.setdefault(tuple(getattr(entry, part) for part in parts), _Sum()).add(entry.charge_c)
        return {key: sums[key].value() for key in sorted(sums)}

    def since(self, earlier: Snapshot) -> Snapshot:
        """What came after `earlier`, a snapshot of the same ledger. `peak_a` stays the whole run's."""
        before = {(e.consumer, e.state, e.cause): e for e in earlier.entries}
        entries = tuple(_minus(e, before.get((e.consumer, e.state, e.cause))) for e in self.entries)
        wakes = {cause: n - earlier.wakes.get(cause, 0) for cause, n in self.wakes.items()}
        return Snapshot(earlier.now_s, self.now_s, entries, wakes, self.total_c - earlier.total_c, self.peak_a)


class Ledger:
    """Charges of one device. `on_load` hears the current of every rail (A) at each change, with its time."""

    def __init__(self, now_s: float = 0.0, on_load: Callable[[float, dict[str, float]], None] | None = None) -> None:
        self._start_s = self._now_s = now_s
        self._on_load = on_load
        self._present: dict[str, _Present] = {}
        self._accounts: dict[Key, _Account] = {}
        self._total = _Sum()
        self._peak_a = 0.0
        self._spans: OrderedDict[int, tuple[str, dict[Key, _Account]]] = OrderedDict()
        self._span = 0
        self._wakes: dict[str, int] = {}
        self._cause = POWER_ON
        self._open_span(POWER_ON)

    def draw(
        self,
        consumer: str,
        state: str,
        current_a: float,
        now_s: float,
        cause: str | None = None,
        rail: str | None = None,
    ) -> None:
        """From `now_s` on `consumer` draws `current_a` in `state`.

        `cause` is its own reason; None follows the device's. `rail` is needed once, where it is not DEFAULT_RAIL.
        """
        self._check(consumer, current_a, now_s, rail)
        last = self._present.get(consumer)
        if last is not None:
            self._book(consumer, last, now_s)
        at = rail or (last.rail if last else DEFAULT_RAIL)
        self._present[consumer] = _Present(at, state, current_a, now_s, now_s, cause)
        self._now_s = now_s
        self._peak_a = max(self._peak_a, self.load_a())
        if self._on_load:
            self._on_load(now_s, self.load_by_rail())

    def cause(self, now_s: float, name: str) -> int:
        """From `now_s` on the device is awake (or asleep) for this reason; the number names the span it begins."""
        self._check("", 0.0, now_s, None)
        for consumer, present in self._present.items():
            if present.own_cause is None:
                self._book(consumer, present, now_s)
                present.began_s, present.fresh = now_s, True
        self._now_s = now_s
        self._open_span(name)
        return self._span

    def reattribute(self, span: int, name: str) -> None:
        """Move what `span` has booked to the cause `name`, and what it will book if it is the present one.

        Draws with a cause of their own stay. Raise LedgerError for a span that is no longer remembered.
        """
        if span not in self._spans:
            raise LedgerError(f"span {span} is not among the last {SPANS_KEPT}: {list(self._spans)[:1]} is the oldest")
        old, booked = self._spans[span]
        if name == old:
            return
        self._wakes[old] -= 1
        self._wakes[name] = self._wakes.get(name, 0) + 1
        moved = {(consumer, state, name): account for (consumer, state, _), account in booked.items()}
        for (consumer, state, _), account in booked.items():
            _transfer(account, self._account((consumer, state, old)), self._account((consumer, state, name)))
        self._spans[span] = (name, moved)
        if span == self._span:
            self._cause = name

    @property
    def now_s(self) -> float:
        """Time of the last booking."""
        return self._now_s

    def load_a(self, rail: str | None = None) -> float:
        """Present current of one rail, or of all."""
        return sum(p.current_a for p in self._present.values() if rail in (None, p.rail))

    def load_by_rail(self) -> dict[str, float]:
        """Present current of each rail, A."""
        loads: dict[str, float] = {}
        for present in self._present.values():
            loads[present.rail] = loads.get(present.rail, 0.0) + present.current_a
        return loads

    def snapshot(self, now_s: float) -> Snapshot:
        """Everything up to `now_s`."""
        self._check("", 0.0, now_s, None)
        for consumer, present in self._present.items():
            self._book(consumer, present, now_s)
        self._now_s = now_s
        entries = tuple(
            self._entry(key, account) for key, account in sorted(self._accounts.items()) if account.intervals
        )
        wakes = {cause: n for cause, n in sorted(self._wakes.items()) if n}
        return Snapshot(self._start_s, now_s, entries, wakes, self._total.value(), self._peak_a)

    def _entry(self, key: Key, account: _Account) -> Entry:
        rail = self._present[key[0]].rail
        charge_c = account.charge.value()
        return Entry(*key, rail, charge_c, account.seconds, account.intervals, account.peak_a, account.longest_s)

    def _check(self, consumer: str, current_a: float, now_s: float, rail: str | None) -> None:
        if now_s < self._now_s:
            raise LedgerError(f"time went back from {self._now_s} s to {now_s} s")
        if not 0.0 <= current_a < float("inf"):
            raise LedgerError(f"{consumer} cannot draw {current_a} A")
        last = self._present.get(consumer)
        if last and rail not in (None, last.rail):
            raise LedgerError(f"{consumer} is on rail {last.rail!r} and cannot move to {rail!r}")

    def _book(self, consumer: str, present: _Present, now_s: float) -> None:
        """Book the part of the present interval that ends at `now_s`."""
        seconds = now_s - present.since_s
        if seconds == 0.0:
            return
        charge_c = present.current_a * seconds
        key = (consumer, present.state, present.own_cause or self._cause)
        accounts = [self._account(key)]
        if present.own_cause is None:
            booked = self._spans[self._span][1]
            accounts.append(booked.get(key) or booked.setdefault(key, _Account()))
        for account in accounts:
            account.add(charge_c, seconds, int(present.fresh), present.current_a, now_s - present.began_s)
        self._total.add(charge_c)
        present.since_s, present.fresh = now_s, False

    def _account(self, key: Key) -> _Account:
        return self._accounts.get(key) or self._accounts.setdefault(key, _Account())

    def _open_span(self, name: str) -> None:
        self._span += 1
        self._cause = name
        self._spans[self._span] = (name, {})
        self._wakes[name] = self._wakes.get(name, 0) + 1
        if len(self._spans) > SPANS_KEPT:
            self._spans.popitem(last=False)


def _transfer(part: _Account, source: _Account, target: _Account) -> None:
    charge_c = part.charge.value()
    source.add(-charge_c, -part.seconds, -part.intervals, 0.0, 0.0)
    target.add(charge_c, part.seconds, part.intervals, part.peak_a, part.longest_s)


def _minus(entry: Entry, before: Entry | None) -> Entry:
    if before is None:
        return entry
    charge_c, seconds = entry.charge_c - before.charge_c, entry.seconds - before.seconds
    return Entry(
        entry.consumer, entry.state, entry.cause, entry.rail,
        charge_c, seconds, entry.intervals - before.intervals, entry.peak_a, 0.0,
    )  # fmt: skip
