"""Which devices have fallen silent.

Theory of operation. A device says something at least every so often (its heartbeat). From the last it was heard:

    never     not heard since it was registered
    ok
    late      SILENCE_LATE_PERCENT of the interval and the grace have passed: one heartbeat is missing
    silent    SILENCE_SILENT_PERCENT have: three in a row are

Each passage is a `Change`, once. All times are of the monotonic clock, so a wall clock that jumps means nothing here.
When the gateway itself was away (it has just started, its process was stopped, its machine suspended), devices spoke
and it did not listen: no device is blamed before it has had its whole time since then. `handle_timeout` tells such a
gap by its own calls, which come at least every SILENCE_LOOK_MS.
That a device is heard which nobody expects, since it stands nowhere, is noted by itself (`nowhere`).

Deadlines are in a heap with one live entry for a device. Hearing of a device only notes the time; when its entry comes
up, it goes back in with the deadline as it is by then. So hearing is O(1), a passage O(log n).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush

from pave_gateway.core import limits


class Hearing(Enum):
    """How long ago a device was heard, against what is expected of it."""

    NEVER = "never"
    OK = "ok"
    LATE = "late"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Change:
    """A device passed from one state to another, at `monotonic_ms`."""

    device: str
    before: Hearing
    after: Hearing
    monotonic_ms: int


@dataclass(slots=True)
class _Device:
    interval_ms: int
    state: Hearing = Hearing.NEVER
    heard_ms: int | None = None  # by this process
    queued_ms: int | None = None  # the deadline of its live entry in the heap


class Silence:
    """The devices of a site, and whether they speak. All times are monotonic milliseconds."""

    def __init__(self, now_ms: int) -> None:
        """The gateway begins to listen at `now_ms`."""
        self._devices: dict[str, _Device] = {}
        self._nowhere: dict[str, int] = {}  # heard, and not expected: when
        self._heap: list[tuple[int, str]] = []
        self._listening_since_ms = now_ms
        self._looked_ms = now_ms

    def expect(self, device: str, interval_s: int) -> None:
        """Register a device, or say anew how often it is to be heard."""
        self._nowhere.pop(device, None)
        known = self._devices.setdefault(device, _Device(interval_s * 1000))
        known.interval_ms = interval_s * 1000
        self._queue(device, known)

    def restore(self, device: str, state: Hearing) -> None:
        """Give a registered device the state it had when the gateway was last running; OK and LATE begin anew."""
        known = self._devices[device]
        known.state = Hearing.OK if state is Hearing.LATE else state
        self._queue(device, known)

    def forget(self, device: str) -> None:
        """Stop expecting a device."""
        self._devices.pop(device, None)
        self._nowhere.pop(device, None)

    def state_of(self, device: str) -> Hearing:
        """Return how it stands with a registered device."""
        return self._devices[device].state

    def interval_s(self, device: str) -> int:
        """Return how often a registered device is to be heard."""
        return self._devices[device].interval_ms // 1000

    def heard_ms(self, device: str) -> int | None:
        """Return when this process last heard a registered device."""
        return self._devices[device].heard_ms

    def counts(self) -> dict[Hearing, int]:
        """Return how many devices are in each state."""
        counted = dict.fromkeys(Hearing, 0)
        for known in self._devices.values():
            counted[known.state] += 1
        return counted

    @property
    def nowhere(self) -> Mapping[str, int]:
        """When this process last heard each device that is heard and not expected, in the order of the first time."""
        return self._nowhere

    def heard(self, device: str, now_ms: int) -> Change | None:
        """A registered device proved that it lives; return the change, if it is one. Of another one it is noted."""
        known = self._devices.get(device)
        if known is None:
            self._nowhere[device] = now_ms
            return None
        known.heard_ms = now_ms
        change = self._pass(device, known, Hearing.OK, now_ms)
        if change is not None:
            self._queue(device, known)
        return change

    def next_timeout(self) -> int:
        """Return when to call `handle_timeout` at the latest."""
        look_ms = self._looked_ms + limits.SILENCE_LOOK_MS
        return min(look_ms, self._heap[0][0]) if self._heap else look_ms

    def handle_timeout(self, now_ms: int) -> list[Change]:
        """Return which devices have become late or silent by `now_ms`."""
        if now_ms - self._looked_ms > limits.SILENCE_GAP_MS:
            self._listening_since_ms = now_ms
        self._looked_ms = now_ms
        changes: list[Change] = []
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, device = heappop(self._heap)
            known = self._devices.get(device)
            if known is not None and known.queued_ms == due_ms:
                known.queued_ms = None
                self._judge(device, known, now_ms, changes)
        return changes

    def _judge(self, device: str, known: _Device, now_ms: int, changes: list[Change]) -> None:
        for state in (Hearing.LATE, Hearing.SILENT):
            if known.state is not Hearing.SILENT and now_ms >= self._due_ms(known, state):
                change = self._pass(device, known, state, now_ms)
                changes += [change] if change else []
        self._queue(device, known)

    def _pass(self, device: str, known: _Device, state: Hearing, now_ms: int) -> Change | None:
        if known.state is state:
            return None
        change = Change(device, known.state, state, now_ms)
        known.state = state
        return change

    def _queue(self, device: str, known: _Device) -> None:
        """See that the heap has an entry no later than the device's next deadline."""
        if known.state in (Hearing.NEVER, Hearing.SILENT):
            known.queued_ms = None
            return
        due_ms = self._due_ms(known, Hearing.LATE if known.state is Hearing.OK else Hearing.SILENT)
        if known.queued_ms is None or due_ms < known.queued_ms:
            known.queued_ms = due_ms
            heappush(self._heap, (due_ms, device))

    def _due_ms(self, known: _Device, state: Hearing) -> int:
        since_ms = self._listening_since_ms
        if known.heard_ms is not None:
            since_ms = max(since_ms, known.heard_ms)
        return since_ms + _allowance_ms(known.interval_ms, state)


def state_at(heard_ms: int | None, end_ms: int, interval_s: int) -> Hearing:
    """Return how it stood with a device at `end_ms`, the last that the gateway lived before: for `Silence.restore`.

    `heard_ms` is when it was last heard then, by the same clock (the log's, put right), or None.
    """
    if heard_ms is None:
        return Hearing.NEVER
    is_silent = end_ms - heard_ms >= _allowance_ms(interval_s * 1000, Hearing.SILENT)
    return Hearing.SILENT if is_silent else Hearing.OK


def _allowance_ms(interval_ms: int, state: Hearing) -> int:
    percent = limits.SILENCE_LATE_PERCENT if state is Hearing.LATE else limits.SILENCE_SILENT_PERCENT
    return interval_ms * percent // 100 + limits.SILENCE_GRACE_MS
