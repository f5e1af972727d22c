"""One device: its power, its boots, its sleep.

Theory of operation. A device is off, running or asleep. Each boot is a fresh VM process on the same flash image; RAM
lives in that process and goes with it. The real-time clock and RTC memory live here and survive deep sleep and resets,
not a cut of power. The chips of the board live in `Mcu` and keep running while the VM does not.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from pave_emulator import board as boards
from pave_emulator.air.wifi import WifiAir
from pave_emulator.chips.chip import Chip, Environment
from pave_emulator.clock import Clock, Timer
from pave_emulator.console import Console
from pave_emulator.flash.image import Flash
from pave_emulator.mcu import Mcu
from pave_emulator.network import NetworkOps
from pave_emulator.rtc import TIMER_WAKE, Rtc, WakeSources
from pave_emulator.storage import StorageOps
from pave_emulator.vm.channel import PENDING, Channel, Handler
from pave_emulator.vm.process import VmProcess, ZygoteClient
from pave_emulator.vm.shims import _emu_ops as ops
from pave_emulator.vm.waiter import Waiter

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
CRASH_RESTART_S = 1.0  # a VM that dies by itself is a panic; the port reboots
# Objects are twice the size in a 64-bit VM, buffers are not, and the shims lie in the VM's heap as well.
HEAP_INTERNAL_BYTES = 160 * 1024
HEAP_PSRAM_BYTES = 1024 * 1024
HEAP_SCALE = 2
SHIMS_HEAP_BYTES = 48 * 1024  # measured: what the shims leave on the heap before boot.py runs


@dataclass(frozen=True)
class DeviceSpec:
    """A device to be. `place` is where its magnetometer lies (a bay's id), None for nowhere.

    `heap_bytes` is the VM's heap as `-X heapsize` has it; None scales the board's.
    """

    name: str
    mac: bytes
    board_file: Path
    flash_image: Path
    place: str | None = None
    heap_bytes: int | None = None


@dataclass
class Stats:
    """What a device has done since the fleet started."""

    boots: int = 0
    wakes: int = 0
    rpc_calls: int = 0
    flash_erases: int = 0
    flash_programs: int = 0
    crashes: int = 0
    watchdog_resets: int = 0


class Device:
    """One emulated device. Made by Fleet; `power_on` and `power_cut` are for tests and faults."""

    def __init__(self, spec: DeviceSpec, environment: Environment, air: WifiAir, clock: Clock, log_dir: Path) -> None:
        if len(spec.mac) != 6:
            raise ValueError(f"device {spec.name!r}: mac has {len(spec.mac)} bytes, not 6")
        self.spec = spec
        self.stats = Stats()
        self.state = "off"  # off, running, sleeping
        self.console = Console(spec.name, log_dir / f"{spec.name}.log")
        self._clock = clock
        board = boards.load(spec.board_file)
        self._flash = Flash(spec.flash_image, board.flash_bytes, self.console.say)
        self._mcu = Mcu(board, environment, clock, self.console.say, self._pins_moved)
        self._storage = StorageOps(self._flash, self.console.say)
        self._waiter = Waiter(clock)
        self._network = NetworkOps(air.station(spec.name), self._waiter, self._reply, self.console.say)
        heap = HEAP_PSRAM_BYTES if board.psram_bytes else HEAP_INTERNAL_BYTES
        self._heap_bytes = spec.heap_bytes or heap * HEAP_SCALE + SHIMS_HEAP_BYTES
        self._rtc = Rtc(clock)
        self._wake_on = WakeSources(self._mcu.level)
        self._handlers = self._all_handlers()
        self._zygote: ZygoteClient | None = None
        self._vm: VmProcess | None = None
        self._channel: Channel | None = None
        self._wake_timer: Timer | None = None
        self._watchdog: Timer | None = None
        self._watchdog_ms = 0
        self._reset_cause = PWRON_RESET
        self._wake_reason = 0
        self._wake_pins: list[int] = []

    # Power

    def use(self, zygote: ZygoteClient) -> None:
        """Boot from this zygote from now on."""
        self._zygote = zygote

    def power_on(self) -> None:
        """Apply power and boot. Harmless when it is on."""
        if self.state != "off":
            return
        self._rtc.power_on()
        self._mcu.power_on()
        self._boot(PWRON_RESET)

    def power_cut(self) -> None:
        """Take power away in the middle of whatever it does: RAM, RTC memory and chip registers are lost."""
        self._end_vm()
        self._mcu.power_off()
        self.state = "off"

    def close(self) -> None:
        """Cut power and let go of files."""
        self.power_cut()
        self.console.close()
        self._flash.close()

    def chip(self, name: str) -> Chip:
        """A chip of the board, by its name in the board file."""
        if name not in self._mcu.chips:
            raise KeyError(f"device {self.spec.name!r} has no chip {name!r}: it has {sorted(self._mcu.chips)}")
        return self._mcu.chips[name]

    def collect_stats(self) -> Stats:
        """The counts as of now."""
        self.stats.flash_erases, self.stats.flash_programs = self._flash.erases, self._flash.programs
        return self.stats

    # Boots

    def _boot(self, cause: int, wake_reason: int = 0, wake_pins: list[int] | None = None) -> None:
        assert self._zygote is not None, "Device.use(zygote) comes first"
        self._reset_cause, self._wake_reason, self._wake_pins = cause, wake_reason, wake_pins or []
        self.stats.boots += 1
        self.state = "running"
        self._wake_on.clear()
        self._mcu.core_reset()
        self._storage.boot()
        vm: VmProcess | None = None

        def exited(status: int) -> None:
            self._vm_exited(vm, status)

        vm = self._vm = self._zygote.spawn(self._flash.path, self._heap_bytes, exited)
        self.console.attach(vm.console_fd)
        self._channel = Channel(vm.channel, self._handlers, self._count_call, self._call_failed)

    def _end_vm(self) -> None:
        """Stop the VM, if one runs, and everything that was going on for it."""
        self._waiter.cancel()
        self._cancel_timers()
        self._network.close()
        if self._channel:
            self._channel.close()
        if self._vm and self._zygote:
            self._zygote.kill(self._vm)
        self.console.detach()
        self._channel = self._vm = None

    def _cancel_timers(self) -> None:
        for timer in (self._wake_timer, self._watchdog):
            if timer:
                timer.cancel()
        self._wake_timer = self._watchdog = None

    def _restart(self, cause: int) -> None:
        self._end_vm()
        self._boot(cause)

    def _vm_exited(self, vm: VmProcess | None, status: int) -> None:
        if vm is None or vm is not self._vm:
            return  # one we ended ourselves
        how = f"signal {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else f"status {status}"
        self._panic(f"the VM died by itself ({how})")

    def _call_failed(self, reason: str) -> None:
        self._panic(f"a defect of the emulator, {reason}")

    def _panic(self, why: str) -> None:
        """What ends in a panic on the board ends so here: the port reboots after a moment."""
        self._end_vm()
        self.console.say(f"{why}: a panic on the board; restart in {CRASH_RESTART_S} s")
        self.stats.crashes += 1
        self._wake_timer = self._clock.call_after(CRASH_RESTART_S, lambda: self._boot(HARD_RESET))

    def _count_call(self) -> None:
        self.stats.rpc_calls += 1

    def _reply(self, body: bytes = b"", status: int = 0) -> None:
        if self._channel:
            self._channel.reply(body, status)

    # Calls

    def _all_handlers(self) -> dict[int, Handler]:
        own: dict[int, Handler] = {
            ops.HELLO: self._hello,
            ops.IDLE: lambda tail: PENDING,
            ops.SLEEP: self._sleep,
            ops.RESET: self._reset,
            ops.DEEPSLEEP: self._deepsleep,
            ops.LIGHTSLEEP: self._lightsleep,
            ops.WDT: self._feed,
        }
        for part in (self._mcu, self._rtc, self._wake_on, self._network, self._storage):
            own |= part.handlers()
        return own

    def _hello(self, tail: bytes) -> bytes:
        flash = self._flash
        running = flash.running_app()
        facts = {
            "mac": self.spec.mac.hex(),
            "reset_cause": self._reset_cause,
            "wake_reason": self._wake_reason,
            "wake_pins": self._wake_pins,
            "rtc_us": self._rtc.now_us(),
            "partitions": [[p.type, p.subtype, p.offset, p.size, p.label, int(p.encrypted)] for p in flash.partitions],
            "running": running,
            "boot": running,
        }
        return json.dumps(facts).encode()

    def _sleep(self, us: int, tail: bytes) -> bytes | None:
        self._waiter.wait(_never, self._reply, us / 1e6, self._reply)
        return PENDING

    def _reset(self, cause: int, tail: bytes) -> bytes | None:
        self._restart(cause)
        return PENDING

    def _feed(self, timeout_ms: int, tail: bytes) -> bytes:
        self._watchdog_ms = timeout_ms or self._watchdog_ms
        if self._watchdog:
            self._watchdog.cancel()
        self._watchdog = self._clock.call_after(self._watchdog_ms / 1000, self._bite)
        return b""

    def _bite(self) -> None:
        self.console.say(f"watchdog: not fed for {self._watchdog_ms} ms")
        self.stats.watchdog_resets += 1
        self._restart(WDT_RESET)

    # Sleep

    def _deepsleep(self, ms: int, tail: bytes) -> bytes | None:
        self._end_vm()
        self._mcu.core_reset()
        self.state = "sleeping"
        if ms >= 0:
            self._wake_timer = self._clock.call_after(ms / 1000, lambda: self._wake(TIMER_WAKE, []))
        self._pins_moved()
        return PENDING

    def _lightsleep(self, ms: int, tail: bytes) -> bytes | None:
        def woken() -> bytes | None:
            return None if self._wake_on.met() is None else b""

        self._waiter.wait(woken, self._reply, None if ms < 0 else ms / 1000, self._reply)
        return PENDING

    def _pins_moved(self) -> None:
        self._waiter.poke()
        if self.state == "sleeping":
            source = self._wake_on.met()
            if source:
                self._wake(*source)

    def _wake(self, reason: int, pins: list[int]) -> None:
        self._cancel_timers()
        self.stats.wakes += 1
        self._boot(DEEPSLEEP_RESET, reason, pins)


def _never() -> bytes | None:
    return None
