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


class Firmware(_Base):
    """`app.presence` of today, and what `roles.presence_sensor` does around it, in the form of the interface.

    Once there is a verdict the interrupt is armed; if the next sample raises it again the same wake-up goes on. A
    heartbeat samples too; after AWAKE_MAX_S the interrupt is left alone for HOLD_OFF_S.
    """

    def __init__(self, state: Any) -> None:
        """`state` is what `state()` was, or None at power-on."""
        super().__init__()
        self._app, self._limits = (_firmware(name) for name in ("app.presence", "app.limits"))
        baseline, occupied, said, heartbeat_ms = state or (None, False, False, 0)
        self._detector = self._app.Detector(baseline, occupied)
        self._said, self._heartbeat_ms, self._give_up_ms = said, heartbeat_ms, 0

    def woken(self, cause: str, now_ms: int) -> None:
        """Decide afresh."""
        self._give_up_ms = now_ms + self._limits.AWAKE_MAX_S * 1000
        self.threshold = self._app.WAKE_LSB

    def sampled(self, field: Counts, celsius: int, now_ms: int) -> None:
        """Sample until there is a verdict that the next sample leaves as it is."""
        if self.watch is not None and max(_apart(field, self.watch)) <= self.threshold:
            self.next, self.until_ms = SLEEP, self._heartbeat_ms
            return
        if now_ms >= self._give_up_ms:
            self.next, self.watch, self.until_ms = SLEEP, None, now_ms + self._limits.HOLD_OFF_S * 1000
            return
        if self.watch is not None:
            self._detector.disturbed()
            self.watch = None
        verdict = self._detector.sample(field)
        if verdict is None:
            return
        if verdict.changed or not self._said:
            self.reports.append(Report(OCCUPIED if verdict.occupied else VACANT))
            self._said = True
        if self.reports or now_ms >= self._heartbeat_ms:
            self._heartbeat_ms = now_ms + HEARTBEAT_MS
        self.watch = verdict.watch

    def state(self) -> Any:
        """Baseline and verdict."""
        return (self._detector.baseline, self._detector.occupied, self._said, self._heartbeat_ms)


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


@dataclass(frozen=True)
class Contender:
    """A detector, and how long its device takes from a wake-up to the first sample."""

    make: Make
    boot_s: float = BOOT_S


DETECTORS = {
    # The time of today's imports as the emulator charges it; tests of whole devices hold it against the harness.
    "firmware": Contender(Firmware, boot_s=4.8),
    "fixed threshold": Contender(FixedThreshold),
    "always vacant": Contender(AlwaysVacant),
}
INVERTED = "inverted"  # the fixed threshold with its output turned round: the same log, other states


def inverted(log: Log) -> Log:
    """What a device would have said with its output turned round."""
    other = {VACANT: OCCUPIED, OCCUPIED: VACANT, BLIND: BLIND}
    return replace(log, states=[(at_s, other[state]) for at_s, state in log.states])


def _firmware(name: str) -> Any:
    """A module of the firmware, which is no package of this machine's."""
    if str(FIRMWARE) not in sys.path:
        sys.path.insert(0, str(FIRMWARE))
    return importlib.import_module(name)


def _apart(one: Counts, other: Counts) -> list[int]:
    return [abs(a - b) for a, b in zip(one, other, strict=True)]
