"""Deep and light sleep of one device: how it falls asleep, and what wakes it.

Deep sleep ends the VM; a wake-up is a boot. Light sleep is a call that is answered at the wake-up: RAM and outputs
stay, the clocks of peripherals stand, edges of pins are not seen.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pave_emulator.clock import Clock, Timer
from pave_emulator.core import Core
from pave_emulator.mcu.mcu import Mcu
from pave_emulator.mcu.watchdog import Watchdog
from pave_emulator.rtc import TIMER_WAKE, Rtc, WakeSources
from pave_emulator.vm.channel import PENDING, Handler
from pave_emulator.vm.shims import _emu_ops as ops


class Sleep:
    """`asleep(ms)` ends the VM when deep sleep begins (-1: without a timer), `wake(reason, pins)` boots."""

    def __init__(
        self,
        clock: Clock,
        mcu: Mcu,
        rtc: Rtc,
        watchdog: Watchdog,
        core: Core,
        asleep: Callable[[int], None],
        wake: Callable[[int, list[int]], None],
    ) -> None:
        self._clock = clock
        self._mcu = mcu
        self._rtc = rtc
        self._watchdog = watchdog
        self._core = core
        self._interrupts = core.interrupts
        self._asleep = asleep
        self._wake = wake
        self._sources = WakeSources(mcu.pins.level)
        self._timer: Timer | None = None
        self._deep = False

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {ops.DEEPSLEEP: self._deepsleep, ops.LIGHTSLEEP: self._lightsleep, **self._sources.handlers()}

    def reset(self, soft: bool = False) -> None:
        """The core starts: no sleep, no timer, and unless it is a soft reset no armed pin."""
        if self._timer:
            self._timer.cancel()
        self._timer = None
        if self._deep or self._interrupts.light_sleep:
            self._rtc.wake()
        self._deep = self._interrupts.light_sleep = False
        if not soft:
            self._sources.clear()

    def look(self) -> None:
        """A pin may have moved: see whether it ends a deep sleep."""
        source = self._sources.met() if self._deep else None
        if source:
            self._wake(*source)

    def _deepsleep(self, ms: int, tail: bytes) -> bytes | None:
        self._asleep(ms)
        self._mcu.deep_sleep(self._sources.keeps_pulls)
        self._deep = True
        sleep_s = self._rtc.sleep(max(0, ms) / 1000)
        if ms >= 0:
            self._timer = self._clock.call_after(sleep_s, lambda: self._wake(TIMER_WAKE, []))
        self.look()
        return PENDING

    def _lightsleep(self, ms: int, tail: bytes) -> bytes | None:
        began_s = self._clock.now_s()
        sleep_s = self._rtc.sleep(max(0, ms) / 1000)
        self._interrupts.light_sleep = True
        self._mcu.timers.pause()
        self._watchdog.pause()
        self._core.draw("light_sleep")

        def level() -> bytes | None:
            source = self._sources.met(light_sleep=True)
            return None if source is None else struct.pack("<B", source[0]) + bytes(source[1])

        def woken(body: bytes = struct.pack("<B", TIMER_WAKE), status: int = 0) -> None:
            slept_s = self._clock.now_s() - began_s
            self._rtc.wake()
            self._interrupts.light_sleep = False
            self._mcu.timers.resume(slept_s)
            self._watchdog.resume(slept_s)
            self._core.reply(body + struct.pack("<Q", self._rtc.now_us()), status)

        self._core.waiter.wait(level, woken, None if ms < 0 else sleep_s, woken)
        return PENDING
