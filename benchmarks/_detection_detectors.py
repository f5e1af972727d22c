"""The detectors that are measured: the firmware's, a fixed threshold beside it, and controls that must do badly."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._detection_device import BLIND, BOOT_S, OCCUPIED, SAMPLE, SLEEP, VACANT, Counts, Log, Make

FIRMWARE = Path(__file__).parent.parent / "firmware"
HEARTBEAT_MS = 3_600_000
NEVER_MS = 1 << 40


@dataclass(frozen=True)
class Report:
    """What a detector says: its state, and an alarm or none."""

    state: int
    alarm: str = ""


class _Base:
    """What a detector asks for: a sample, until it says otherwise."""

    def __init__(self) -> None:
        self.next = SAMPLE
        self.watch: Counts | None = None
        self.threshold = 0
        self.until_ms = 0
        self.reports: list[Report] = []

    def ranged(self, peaks: tuple[tuple[int, int], ...] | None, near_edge: bool, now_ms: int) -> None:
        """None of these asks its radar."""


class FixedThreshold(_Base):
    """As in a first course: the field of the empty bay is learned once, and farther than 8 uT from it is a vehicle.

    The verdict is that of ten samples in a row. It wakes by the interrupt, at half the threshold from the empty bay or
    from the field with the vehicle, and every hour; if it cannot sleep on the interrupt it looks again every minute.
    """

    THRESHOLD_LSB, WAKE_LSB, IN_A_ROW = 53, 27, 10
    LIMIT, AGAIN_MS = 300, 60_000  # samples in one wake-up

    def __init__(self, state: Any) -> None:
        """`state` is what `state()` was, or None at power-on."""
        super().__init__()
        self._baseline, self._state = state or (None, BLIND)
        self._last, self._count, self._seen = BLIND, 0, 0

    def woken(self, cause: str, now_ms: int) -> None:
        """Sample."""

    def sampled(self, field: Counts, celsius: int, now_ms: int) -> None:
        """Compare; sleep once ten have agreed."""
        if self._baseline is None:
            self._baseline = field
        away = sum((a - b) ** 2 for a, b in zip(field, self._baseline, strict=True)) ** 0.5
        found = OCCUPIED if away > self.THRESHOLD_LSB else VACANT
        self._count = self._count + 1 if found == self._last else 1
        self._last, self._seen = found, self._seen + 1
        if self._count >= self.IN_A_ROW and found != self._state:
            self._state = found
            self.reports.append(Report(found))
        watch = field if found == OCCUPIED else self._baseline
        if self._count >= self.IN_A_ROW and max(_apart(field, watch)) <= self.WAKE_LSB:
            self.next, self.watch, self.threshold, self.until_ms = SLEEP, watch, self.WAKE_LSB, now_ms + HEARTBEAT_MS
        elif self._seen >= self.LIMIT:
            self.next, self.until_ms = SLEEP, now_ms + self.AGAIN_MS

    def state(self) -> Any:
        """Baseline and verdict."""
        return (self._baseline, self._state)


class AlwaysVacant(_Base):
    """Says once that the bay is free, and sleeps for ever."""

    def __init__(self, state: Any) -> None:
        """`state` is nothing."""
        super().__init__()

    def woken(self, cause: str, now_ms: int) -> None:
        """Say it."""
        self.next, self.until_ms = SLEEP, NEVER_MS
        self.reports.append(Report(VACANT))

    def sampled(self, field: Counts, celsius: int, now_ms: int) -> None:
        """Never asked for."""

    def state(self) -> Any:
        """Nothing."""
        return None


def firmware(state: Any) -> Any:
    """`app.presence`, as it is."""
    if str(FIRMWARE) not in sys.path:
        sys.path.insert(0, str(FIRMWARE))
    return importlib.import_module("app.presence").Detector(state)


@dataclass(frozen=True)
class Contender:
    """A detector, and how long its device takes from a wake-up to the first sample."""

    make: Make
    boot_s: float = BOOT_S


DETECTORS = {
    "firmware": Contender(firmware),  # woken by a fast path in boot.py, which is what BOOT_S stands for
    "fixed threshold": Contender(FixedThreshold),
    "always vacant": Contender(AlwaysVacant),
}
INVERTED = "inverted"  # the fixed threshold with its output turned round: the same log, other states


def inverted(log: Log) -> Log:
    """What a device would have said with its output turned round."""
    other = {VACANT: OCCUPIED, OCCUPIED: VACANT, BLIND: BLIND}
    return replace(log, states=[(at_s, other[state]) for at_s, state in log.states])


def _apart(one: Counts, other: Counts) -> list[int]:
    return [abs(a - b) for a, b in zip(one, other, strict=True)]
