"""The timers of `machine.Timer`: four hardware ones and any number of esp_timer's, each an event when it is due.

Theory of operation. A periodic timer keeps its phase: each alarm is due one period after the last one was, however
late the firmware looks. In light sleep the clock of the hardware timers stands, so they go on where they were;
esp_timer's time goes on, and what was due meanwhile comes once at the wake-up (`skip_unhandled_events` of the port).
"""

from __future__ import annotations

from dataclasses import dataclass

from pave_emulator.clock import Timer
from pave_emulator.mcu.hooks import Hooks
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops

HARDWARE = 4  # SOC_TIMER_GROUP_TOTAL_TIMERS of the ESP32-S3; virtual ones have greater numbers
SHORTEST_S = 50e-6  # esp_timer.h: the shortest period of a periodic timer


@dataclass
class _Alarm:
    due_s: float
    period_s: float  # 0: once
    timer: Timer | None = None


class Timers:
    """The running timers of one boot, by number."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._clock = hooks.clock
        self._alarms: dict[int, _Alarm] = {}

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.TIMER: self._set}

    def reset(self) -> None:
        """None runs."""
        for number in list(self._alarms):
            self._stop(number)

    def pause(self) -> None:
        """Light sleep begins."""
        for alarm in self._alarms.values():
            if alarm.timer:
                alarm.timer.cancel()

    def resume(self, slept_s: float) -> None:
        """Light sleep has ended after `slept_s`."""
        now_s = self._clock.now_s()
        for number, alarm in list(self._alarms.items()):
            if number < HARDWARE:
                alarm.due_s += slept_s
            elif alarm.period_s:
                alarm.due_s = max(alarm.due_s, now_s - (now_s - alarm.due_s) % alarm.period_s)
            self._start(number, alarm)

    def _set(self, number: int, period_us: int, repeat: int, tail: bytes) -> bytes:
        self._stop(number)
        self._hooks.interrupts.arm(f"timer {number}", period_us > 0)
        if period_us:
            period_s = max(SHORTEST_S, period_us / 1e6)
            alarm = _Alarm(self._clock.now_s() + period_s, period_s if repeat else 0.0)
            self._alarms[number] = alarm
            self._start(number, alarm)
        return b""

    def _start(self, number: int, alarm: _Alarm) -> None:
        alarm.timer = self._clock.call_at(alarm.due_s, lambda: self._ring(number))

    def _stop(self, number: int) -> None:
        alarm = self._alarms.pop(number, None)
        if alarm and alarm.timer:
            alarm.timer.cancel()

    def _ring(self, number: int) -> None:
        alarm = self._alarms[number]
        if alarm.period_s:
            alarm.due_s += alarm.period_s
            self._start(number, alarm)
        else:
            del self._alarms[number]
            self._hooks.interrupts.arm(f"timer {number}", False)
        self._hooks.interrupts.post(ops.EVENT_TIMER, number, 0)
