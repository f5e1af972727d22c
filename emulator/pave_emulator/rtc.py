"""The RTC domain of the chip: what goes on while the core sleeps, and what may wake it."""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.clock import Clock
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

EXT0_WAKE, EXT1_WAKE, TIMER_WAKE = 2, 3, 4  # esp_sleep_wakeup_cause_t


class Rtc:
    """Real-time clock and RTC memory: they survive deep sleep and resets, not a cut of power."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.power_on()

    def power_on(self) -> None:
        """Memory empty, the clock at 2000-01-01."""
        self._memory = b""
        self._epoch_s = self._clock.now_s()

    def now_us(self) -> int:
        """Microseconds since 2000-01-01 on the device's clock."""
        return int((self._clock.now_s() - self._epoch_s) * 1e6)

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.SET_CLOCK: self._set_clock,
            ops.RTC_READ: lambda tail: self._memory,
            ops.RTC_WRITE: self._write,
        }

    def _set_clock(self, rtc_us: int, tail: bytes) -> bytes:
        self._epoch_s = self._clock.now_s() - rtc_us / 1e6
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
        self._ext1 = (0, 0)  # mask, level

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.WAKE_EXT0: self._arm_ext0, ops.WAKE_EXT1: self._arm_ext1}

    def met(self) -> tuple[int, list[int]] | None:
        """The armed source that has its level now, as (wake reason, pins)."""
        if self._ext0 and self._level(self._ext0[0]) == self._ext0[1]:
            return EXT0_WAKE, []
        mask, wanted = self._ext1
        pins = [pin for pin in range(mask.bit_length()) if mask >> pin & 1]
        at_level = [pin for pin in pins if self._level(pin) == wanted]
        # Any one will do at either level: level 0 is ESP_EXT1_WAKEUP_ANY_LOW on the ESP32-S3, and ALL_LOW on the
        # original ESP32 only (esp_sleep.h, esp_sleep_ext1_wakeup_mode_t).
        return (EXT1_WAKE, at_level) if at_level else None

    def _arm_ext0(self, pin: int, level: int, tail: bytes) -> bytes:
        self._ext0 = None if pin < 0 else (pin, level)
        return b""

    def _arm_ext1(self, mask: int, level: int, tail: bytes) -> bytes:
        self._ext1 = (mask, level)
        return b""
