"""What to ask The Things Stack's storage for, and when.

QoS 0 loses what is published while we are not there, and now and then what is published while we are. So

    at each connection   everything of the application since the newest frame on disk, and a little more
    at a gap in FCnt     what the device has sent since the frame before it

A gap may be frames that no gateway heard, which no storage has; and the storage gets uplinks some time after they are
published. So a gap is asked for as often as `limits.REFILL_AFTER_S` has entries, ever later, until it is closed. Where
several devices have one, one question about the application takes the place of many. Questions keep a distance, and
one that fails is asked again later.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pave_gateway.core import limits


@dataclass(frozen=True, slots=True)
class Question:
    """Stored uplinks received after `since_ms` (milliseconds since 1970): of one device, or (None) of all."""

    device: str | None
    since_ms: int


@dataclass(slots=True)
class _Gap:
    since_ms: int
    due_ms: int
    asked: int = 0


class Refill:
    """See above. `now_ms` is a clock that never steps."""

    def __init__(self, has_gap: Callable[[str], bool]) -> None:
        """`has_gap(device)` tells whether frames of it are still missing."""
        self._has_gap = has_gap
        self._gaps: dict[str, _Gap] = {}
        self._since_ms: int | None = None  # of all devices, when there is to be asked for
        self._not_before_ms = 0
        self._failures = 0

    def connected(self, since_ms: int) -> None:
        """Ask for everything since `since_ms`."""
        asked_ms = since_ms - limits.REFILL_MARGIN_MS
        self._since_ms = asked_ms if self._since_ms is None else min(self._since_ms, asked_ms)

    def missed(self, device: str, since_ms: int, now_ms: int) -> None:
        """Note a gap of `device`; the frame before it was received at `since_ms`."""
        known = self._gaps.get(device)
        since_ms = since_ms - limits.REFILL_MARGIN_MS if known is None else min(known.since_ms, since_ms)
        self._gaps[device] = _Gap(since_ms, now_ms + _after_ms(0))

    def next_ms(self, now_ms: int) -> int | None:
        """Return when there is something to ask, None for not at all."""
        due = [gap.due_ms for gap in self._gaps.values()]
        if self._since_ms is not None:
            due.append(now_ms)
        return max(min(due), self._not_before_ms) if due else None

    def question(self, now_ms: int) -> Question | None:
        """Return what to ask now."""
        for device in [device for device in self._gaps if not self._has_gap(device)]:
            del self._gaps[device]
        due = [device for device, gap in self._gaps.items() if gap.due_ms <= now_ms]
        if now_ms < self._not_before_ms or (self._since_ms is None and not due):
            return None
        since_ms = min([self._gaps[device].since_ms for device in due], default=self._since_ms or 0)
        if self._since_ms is not None:
            return Question(None, min(self._since_ms, since_ms))
        return Question(due[0] if len(due) <= limits.REFILL_SINGLE else None, since_ms)

    def answered(self, question: Question, now_ms: int) -> None:
        """Note that a question was answered, and what came is on disk."""
        self._failures = 0
        self._not_before_ms = now_ms + limits.REFILL_SPACING_MS
        if question.device is None:
            self._since_ms = None
        asked = [question.device] if question.device is not None else list(self._gaps)
        for device in asked:
            gap = self._gaps.get(device)
            if gap is None or gap.due_ms > now_ms:
                continue
            gap.asked += 1
            if gap.asked >= len(limits.REFILL_AFTER_S):
                del self._gaps[device]
            else:
                gap.due_ms = now_ms + _after_ms(gap.asked)

    def failed(self, now_ms: int, retry_after_s: float | None) -> None:
        """Note that a question was not answered; `retry_after_s` where the server says when it may be."""
        delay_ms = min(limits.REFILL_RETRY_MAX_MS, limits.REFILL_RETRY_FIRST_MS << min(self._failures, 16))
        self._failures += 1
        if retry_after_s is not None:
            delay_ms = max(delay_ms, min(int(retry_after_s * 1000), limits.REFILL_RETRY_MAX_MS))
        self._not_before_ms = now_ms + delay_ms

    @property
    def waiting(self) -> int:
        """How many devices have a gap that is still asked for."""
        return len(self._gaps)


def _after_ms(asked: int) -> int:
    return int(limits.REFILL_AFTER_S[asked] * 1000)
