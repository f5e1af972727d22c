"""One presence sensor around a detector: what its chips do, without a VM; the world is the emulator's.

Theory of operation. The magnetometer samples at 10 Hz whether anybody looks or not, and raises INT at the first sample
that is more than a threshold away, on any axis, from what its offset registers hold (INT_on_DataOFF). That sample is
looked for in the world, with the world's promises to leave out those that cannot be it. After INT, or when the timer
ends, the processor needs its time to boot until its first sample. The radar answers with what an XM125 would make of
the echoes.
A sleeping device's clock is off by up to CLOCK_OFF. Between two wake-ups nothing of a detector lives but its state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pave_emulator.chips import xm125_plan as plan
from pave_emulator.chips.xm125_result import Measurement, Threshold
from pave_emulator.scenario.noise import key_of, uniform
from pave_emulator.scenario.world import World

Counts = tuple[int, int, int]

SAMPLE, RADAR, SLEEP = 0, 1, 2
VACANT, OCCUPIED, BLIND = 0, 1, 2
POWER_ON, INTERRUPT, TIMER = "power-on", "interrupt", "timer"

UT_PER_LSB = 0.15  # LIS2MDL, DS12144 table 2
PERIOD_S = 0.1  # 10 Hz
BOOT_S = 0.3  # from INT to the first sample that the application reads: boot, a fast path, one period
RADAR_S = 0.1  # out of hibernation, sweep, processing, registers read
SLEEP_MIN_S = 1.0
ASK_AGAIN = 4  # samples after the world has said that the field is not quiet
CLOCK_OFF = 0.02  # slow RC clock of an ESP32-S3 after calibration; temperature moves it by percent
CELSIUS_OFF = 4.0  # DS12144 gives the thermometer's sensitivity and no absolute accuracy
RANGE = plan.Detector(
    start_m=0.05, end_m=1.2, max_step=0, close_range=True, quality_db=15.0, max_profile=3, planar=False
)
THRESHOLD = Threshold(snr_db=6.0, strength_db=None, closest_first=True)


class Detector(Protocol):
    """What `app.presence` is to be; its meaning is told in `benchmarks.detection`."""

    next: int
    watch: Counts | None
    threshold: int
    until_ms: int
    reports: list[Any]

    def woken(self, cause: str, now_ms: int) -> None:
        """A wake-up begins."""

    def sampled(self, field: Counts, celsius: int, now_ms: int) -> None:
        """The sample that was asked for."""

    def ranged(self, peaks: tuple[tuple[int, int], ...] | None, near_edge: bool, now_ms: int) -> None:
        """The radar's answer."""

    def state(self) -> Any:
        """All that it needs after a sleep."""


Make = Callable[[Any], Detector]


@dataclass
class Log:
    """What one device did. Times are the world's, in s.

    Attributes:
        states: each report that changed the state: (when, VACANT, OCCUPIED or BLIND).
        alarms: each alarm: (when, which).
        wakes: each wake-up: (when, cause).
        asked_s: when the radar was asked.
        awake_s: how long the processor ran in all.
    """

    states: list[tuple[float, int]] = field(default_factory=list)
    alarms: list[tuple[float, str]] = field(default_factory=list)
    wakes: list[tuple[float, str]] = field(default_factory=list)
    asked_s: list[float] = field(default_factory=list)
    awake_s: float = 0.0


class Device:
    """A sensor at one bay of a world."""

    def __init__(self, world: World, bay: str, make: Make, boot_s: float = BOOT_S) -> None:
        """`make(state)` gives a detector: a new one for None, else the one whose `state()` that was.

        `boot_s` is from a wake-up to the first sample.
        """
        key = key_of(world.scenario.seed, f"{bay}:device")
        self.log = Log()
        self._world, self._bay, self._make, self._boot_s = world, bay, make, boot_s
        self._environment = world.environment(bay)
        self._phase_s = PERIOD_S * uniform(key, 0)
        self._clock = 1 + CLOCK_OFF * (2 * uniform(key, 1) - 1)
        self._celsius_off = CELSIUS_OFF * (2 * uniform(key, 2) - 1)
        self._parts = plan.subsweeps(RANGE)
        self._now_s, self._now_ms = 0.0, 0

    def run(self, until_s: float) -> Log:
        """Live until then; return what happened."""
        state, cause = None, POWER_ON
        while True:
            woken_s = self._now_s
            self.log.wakes.append((woken_s, cause))
            self._pass(self._boot_s)
            detector = self._make(state)
            detector.woken(cause, self._now_ms)
            self._awake(detector, until_s)
            self.log.awake_s += self._now_s - woken_s
            if self._now_s >= until_s:
                return self.log
            cause = self._sleep(detector, until_s)
            state = detector.state()
            if self._now_s >= until_s:
                return self.log

    def _awake(self, detector: Detector, until_s: float) -> None:
        self._take(detector)
        while detector.next != SLEEP and self._now_s < until_s:
            if detector.next == SAMPLE:
                self._pass(self._sample_s(self._index_after(self._now_s)) - self._now_s)
                detector.sampled(self._counts(self._now_s), self._celsius(), self._now_ms)
            else:
                self._pass(RADAR_S)
                self.log.asked_s.append(self._now_s)
                detector.ranged(*self._range(), self._now_ms)
            self._take(detector)

    def _take(self, detector: Detector) -> None:
        """Note what it has to say."""
        for report in detector.reports:
            if report.alarm:
                self.log.alarms.append((self._now_s, report.alarm))
            if not self.log.states or self.log.states[-1][1] != report.state:
                self.log.states.append((self._now_s, report.state))
        detector.reports.clear()

    def _sleep(self, detector: Detector, until_s: float) -> str:
        """Sleep until INT or the timer; return which."""
        asked_s = max(SLEEP_MIN_S, (detector.until_ms - self._now_ms) / 1000)
        timer_s = min(until_s, self._now_s + asked_s / self._clock)
        woken_s = None
        if detector.watch is not None:
            woken_s = self.interrupt_s(self._now_s, detector.watch, detector.threshold, timer_s)
        slept_s = (timer_s if woken_s is None else woken_s) - self._now_s
        self._now_s += slept_s
        self._now_ms += round(slept_s * self._clock * 1000)
        return TIMER if woken_s is None else INTERRUPT

    def _pass(self, time_s: float) -> None:
        self._now_s += time_s
        self._now_ms += round(time_s * 1000)

    # Chips

    def interrupt_s(self, now_s: float, watch: Counts, threshold: int, until_s: float) -> float | None:
        """When the first sample after `now_s` and before `until_s` is beyond the threshold; None if none is."""
        low, high = [axis - threshold for axis in watch], [axis + threshold for axis in watch]
        low_ut, high_ut = _in_ut(low), _in_ut(high)
        index = ask = self._index_after(now_s)
        while (at_s := self._sample_s(index)) < until_s:
            if index >= ask:
                quiet_s = self._world.field_stays_until_s(self._bay, at_s, low_ut, high_ut)
                if quiet_s >= until_s:
                    return None
                quiet = math.ceil((quiet_s - self._phase_s) / PERIOD_S)
                if quiet > index:
                    index = ask = quiet
                    continue
                ask = index + ASK_AGAIN
            x, y, z = self._counts(at_s)
            if not (low[0] <= x <= high[0] and low[1] <= y <= high[1] and low[2] <= z <= high[2]):
                return at_s
            index += 1
        return None

    def _index_after(self, now_s: float) -> int:
        return math.floor((now_s - self._phase_s) / PERIOD_S + 1e-6) + 1

    def _sample_s(self, index: int) -> float:
        return self._phase_s + index * PERIOD_S

    def _counts(self, at_s: float) -> Counts:
        x, y, z = self._environment.field_ut(at_s)
        return (round(x / UT_PER_LSB), round(y / UT_PER_LSB), round(z / UT_PER_LSB))

    def _celsius(self) -> int:
        return round(self._environment.temperature_c(self._now_s) + self._celsius_off)

    def _range(self) -> tuple[tuple[tuple[int, int], ...], bool]:
        """What the radar says now: peaks (mm, dB/1000), nearest first; whether something lies on its edge."""
        echoes = self._environment.echoes(self._now_s)
        found = Measurement.of(echoes, self._parts, THRESHOLD, self._environment.temperature_c(self._now_s))
        peaks = tuple((round(1000 * peak.distance_m), round(1000 * peak.strength_db)) for peak in found.peaks)
        return peaks, bool(found.flags)


def _in_ut(counts: list[int]) -> tuple[float, float, float]:
    return (counts[0] * UT_PER_LSB, counts[1] * UT_PER_LSB, counts[2] * UT_PER_LSB)
