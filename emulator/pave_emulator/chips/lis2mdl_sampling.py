"""When the LIS2MDL samples: the k-th sample lies at first + k * period, whoever looks when."""

from __future__ import annotations

import math

NEVER_S = math.inf


class SampleTimes:
    """Instants of the samples since a mode was set, and how many of them have been taken."""

    def __init__(self) -> None:
        """Idle."""
        self.stop()

    def stop(self) -> None:
        """No sample any more."""
        self._first_s = self._period_s = NEVER_S
        self.taken = 0

    def start(self, first_s: float, period_s: float = NEVER_S) -> None:
        """One sample at `first_s`, and others every `period_s` if given."""
        self._first_s, self._period_s, self.taken = first_s, period_s, 0

    @property
    def periodic(self) -> bool:
        """More than one sample will come."""
        return self._period_s != NEVER_S

    @property
    def next_s(self) -> float:
        """When the next sample is due; infinite when none is."""
        return self.at_s(self.taken)

    def at_s(self, index: int) -> float:
        """When the sample of this index lies."""
        return self._first_s if index == 0 else self._first_s + index * self._period_s

    def first_from(self, at_s: float) -> int:
        """Index of the first sample that has not been taken and is not before `at_s`, which is finite."""
        index = max(self.taken, int((at_s - self._first_s) / self._period_s))
        while self.at_s(index) < at_s:
            index += 1
        return index

    def last_until(self, now_s: float) -> int:
        """Index of the last sample that is not after `now_s`."""
        index = self.first_from(now_s)
        return index if self.at_s(index) <= now_s else index - 1
