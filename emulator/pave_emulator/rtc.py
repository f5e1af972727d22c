"""The RTC domain of the chip: what goes on while the core sleeps, and what may wake it.

Theory of operation. While the core runs, time is the crystal's. While it sleeps, the RTC timer counts an RC oscillator
of about 136 kHz, which ESP-IDF has measured against the crystal at the start and whose frequency follows the
temperature since. So a device's clock runs wrong only while it sleeps: it sleeps longer or shorter than it was told,
and believes that it slept exactly that long.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.clock import Clock
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

EXT0_WAKE, EXT1_WAKE, TIMER_WAKE, GPIO_WAKE = 2, 3, 4, 7  # esp_sleep_wakeup_cause_t
CALIBRATION_ERROR = 5e-3  # espressif/esp-idf issue 6030: 12 s an hour measured, 3.3e-3; issue 2502: 1e-3
DRIFT_PER_K = 4e-4  # an estimate: some 5 % over the chip's range of temperature, -40 to 85 C


@dataclass(frozen=True)
class SlowClock:
    """How wrong a device's slow clock is: `error` (0.01: it runs 1 % fast) at the temperature it was calibrated at, and
    what it gains per kelvin above it.
    """

    error: float = 0.0
    per_k: float = 0.0

    @classmethod
    def drawn(cls, seed: int, name: str) -> SlowClock:
        """The slow clock of one device of a run."""
        chip = random.Random(f"{seed}:{name}:slow clock")
        return cls(chip.uniform(-CALIBRATION_ERROR, CALIBRATION_ERROR), chip.uniform(-DRIFT_PER_K, DRIFT_PER_K))

    def rate(self, calibrated_c: float, now_c: float) -> float:
        """Seconds it counts in a second."""
        return 1.0 + self.error + self.per_k * (now_c - calibrated_c)


IDEAL = SlowClock()


class Rtc:
    """Real-time clock and RTC memory: they survive deep sleep and resets, not a cut of power.

    Attributes:
        slow_clock: what counts while the core sleeps; a fault may change it.
    """

    def __init__(self, clock: Clock, temperature_c: Callable[[float], float], slow_clock: SlowClock) -> None:
        self._clock = clock
        self._temperature_c = temperature_c
        self.slow_clock = slow_clock
        self.power_on()

    def power_on(self) -> None:
        """Memory empty, the clock at 2000-01-01."""
        self._memory = b""
        self.brown_out()

    def brown_out(self) -> None:
        """The clock begins again; memory, which needs far less voltage than the core, keeps what it has."""
        self._at_s = self._clock.now_s()
        self._rtc_s = 0.0
        self._rate = 1.0
        self._calibrated_c = self._temperature_c(self._at_s)

    def now_us(self) -> int:
        """Microseconds since 2000-01-01 on the device's clock."""
        return int((self._rtc_s + (self._clock.now_s() - self._at_s) * self._rate) * 1e6)

    def sleep(self, seconds: float) -> float:
        """The core sleeps from now on, for `seconds` of the slow clock; return how long that is."""
        now_s = self._clock.now_s()
        self._go_on(self.slow_clock.rate(self._calibrated_c, self._temperature_c(now_s)))
        return seconds / self._rate

    def wake(self) -> None:
        """The core runs; the slow clock is calibrated."""
        self._go_on(1.0)
        self._calibrated_c = self._temperature_c(self._at_s)

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.SET_CLOCK: self._set_clock,
            ops.RTC_READ: lambda tail: self._memory,
            ops.RTC_WRITE: self._write,
        }

    def _go_on(self, rate: float) -> None:
        now_s = self._clock.now_s()
        self._rtc_s += (now_s - self._at_s) * self._rate
        self._at_s, self._rate = now_s, rate

    def _set_clock(self, rtc_us: int, tail: bytes) -> bytes:
        self._at_s, self._rtc_s = self._clock.now_s(), rtc_us / 1e6
        return b""

    def _write(self, tail: bytes) -> bytes:
        self._memory = tail
        return b""


class WakeSources:
    """The pins armed to end a sleep. Levels count, not edges: a pin that has its level wakes at once."""

    def __init__(self, level: Callable[[int], int]) -> None:
        self._level = level
        self.clear()

    def clear(self) -> None:
        """Nothing armed: the settings are plain RAM on the board, every boot arms anew."""
        self._ext0: tuple[int, int] | None = None  # pin, level
        self._ext0_kinds = 0  # machine.SLEEP 1, machine.DEEPSLEEP 2
        self._ext1 = (0, 0)  # mask, level
        self._gpio = (0, 0)

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.WAKE_EXT0: self._arm_ext0, ops.WAKE_EXT1: self._arm_ext1, ops.WAKE_GPIO: self._arm_gpio}

    @property
    def keeps_pulls(self) -> bool:
        """ext0 needs the RTC peripherals, which have the pulls of RTC pins (ESP-IDF, Sleep Modes, ext0)."""
        return self._ext0 is not None

    def met(self, light_sleep: bool = False) -> tuple[int, list[int]] | None:
        """The armed source that has its level now, as (wake reason, pins that `wake_pins` will tell)."""
        kind = 1 if light_sleep else 2
        if self._ext0 and self._ext0_kinds & kind and self._level(self._ext0[0]) == self._ext0[1]:
            return EXT0_WAKE, []
        # Any one will do at either level: level 0 is ESP_EXT1_WAKEUP_ANY_LOW on the ESP32-S3, and ALL_LOW on the
        # original ESP32 only (esp_sleep.h, esp_sleep_ext1_wakeup_mode_t).
        at_level = self._at_level(*self._ext1)
        if at_level:
            return EXT1_WAKE, at_level
        if light_sleep and self._at_level(*self._gpio):
            return GPIO_WAKE, []
        return None

    def _at_level(self, mask: int, wanted: int) -> list[int]:
        pins = [pin for pin in range(mask.bit_length()) if mask >> pin & 1]
        return [pin for pin in pins if self._level(pin) == wanted]

    def _arm_ext0(self, pin: int, level: int, kinds: int, tail: bytes) -> bytes:
        self._ext0 = None if pin < 0 else (pin, level)
        self._ext0_kinds = kinds
        return b""

    def _arm_ext1(self, mask: int, level: int, tail: bytes) -> bytes:
        self._ext1 = (mask, level)
        return b""

    def _arm_gpio(self, mask: int, level: int, tail: bytes) -> bytes:
        self._gpio = (mask, level)
        return b""
