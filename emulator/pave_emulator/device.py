"""One device: its power, its boots, its sleep.

Theory of operation. A device is off, running or asleep. Each boot is a fresh VM process on the same flash image; RAM
lives in that process and goes with it. The real-time clock and RTC memory live here and survive deep sleep and resets,
not a cut of power. The chips of the board live in `Mcu` and keep running while the VM does not. What the firmware asks
is answered by the parts (`mcu`, `network`, `storage`, `rtc`); what takes the chip time is added to the answer's time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pave_emulator import board as boards
from pave_emulator import calls, trace
from pave_emulator.air.wifi import WifiAir
from pave_emulator.causes import CAUSES
from pave_emulator.chips.chip import Chip, Environment
from pave_emulator.clock import FleetClock, Timer
from pave_emulator.console import Console
from pave_emulator.core import Core
from pave_emulator.device_spec import (
    CRASH_RESTART_S,
    DEEPSLEEP_RESET,
    HARD_RESET,
    SOFT_RESET,
    WDT_RESET,
    DeviceSpec,
    Reset,
    Stats,
)
from pave_emulator.flash.faults import PowerLost
from pave_emulator.flash.image import Flash
from pave_emulator.mcu.hooks import Hooks
from pave_emulator.mcu.mcu import Mcu
from pave_emulator.mcu.uart import UartPeer
from pave_emulator.mcu.watchdog import Watchdog
from pave_emulator.network import NetworkOps
from pave_emulator.network_lan import LanOps
from pave_emulator.power.costs import Costs
from pave_emulator.power.meter import FULL_CELL_V, Meter
from pave_emulator.rtc import Rtc
from pave_emulator.serial.terminal import Terminal
from pave_emulator.sleep import Sleep
from pave_emulator.storage import StorageOps
from pave_emulator.trace import Trace
from pave_emulator.vm import hello
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.process import ZygoteClient

__all__ = ["Device", "DeviceSpec", "Stats"]


class Device:
    """One emulated device. Made by Fleet; `power_on` and `power_cut` are for tests and faults."""

    def __init__(
        self,
        spec: DeviceSpec,
        environment: Environment,
        air: WifiAir,
        clock: FleetClock,
        log_dir: Path,
        traced: Trace | None = None,
        metered: bool = False,
    ) -> None:
        if len(spec.mac) != 6:
            raise ValueError(f"device {spec.name!r}: mac has {len(spec.mac)} bytes, not 6")
        self.spec = spec
        self.stats = Stats()
        self.state = "off"  # running, sleeping, held (in reset)
        self._clock = clock
        self._trace = traced or Trace()
        self._costs = Costs()
        self.board = board = boards.load(spec.board_file)
        self.console = Console(spec.name, log_dir / f"{spec.name}.log", board.machine)
        self.console.subscribers.append(lambda _device, line: self._record(trace.CONSOLE, line=line))
        self.flash = Flash(spec.flash_image, board.flash_bytes, self.console.say)
        self.flash.on_operation = lambda what, at, size: self._record(trace.FLASH, what=what, address=at, size=size)
        self._core = Core(
            clock, self.console, spec.order, self._panic, self._bite, left_repl=lambda: self._restart(SOFT_RESET)
        )
        self.mcu = Mcu(board, environment, self._hooks())
        if metered:
            self._core.meter = Meter(board, self.mcu.chips, clock, environment.temperature_c, self.brown_out)
        self._storage = StorageOps(self.flash, self.console.say)
        self._station = air.station(spec.name)
        self._station.changed = self._wifi_changed
        self._station.sent = lambda: self.meter.sent() if self.meter else None
        lan = LanOps(board, self.mcu, clock, self.console.say)
        self._network = NetworkOps(self._station, self._core.waiter, self._core.reply, self.console.say, lan)
        self._core.readable = self._network.readable
        self._heap_bytes = spec.vm_heap_bytes(board.psram_bytes > 0)
        self.rtc = Rtc(clock, environment.temperature_c, spec.slow_clock)
        self._watchdog = Watchdog(clock, self._bite)
        self._sleeper = Sleep(clock, self.mcu, self.rtc, self._watchdog, self._core, self._fall_asleep, self._wake)
        self._handlers = self._calls()
        self.on_power_lost: Callable[[], None] = lambda: None  # a flash operation was cut short
        self.on_boot: Callable[[int], None] = lambda _cause: None  # each boot begins, with its reset cause
        self._zygote: ZygoteClient | None = None
        self._timer: Timer | None = None  # what a boot has begun, or a panic
        self._reset, self._waking = Reset(), b""

    def _hooks(self) -> Hooks:
        return Hooks(
            clock=self._clock,
            log=self.console.say,
            took=self._core.take,
            changed=self._moved,
            edge=lambda number, level: self._record(trace.PIN, pin=number, level=level),
            interrupts=self._core.interrupts,
            waiter=self._core.waiter,
            reply=self._core.reply,
            cell_v=lambda: self.meter.cell_v() if self.meter else FULL_CELL_V,
            seed=f"{self.spec.seed}:{self.spec.name}",
        )

    # Power

    def use(self, zygote: ZygoteClient) -> None:
        """Boot from this zygote from now on."""
        self._zygote = zygote

    def power_on(self) -> None:
        """Apply power and boot. Harmless when it is on."""
        if self.state != "off":
            return
        self.rtc.power_on()
        self.mcu.power_on()
        self._boot(Reset())

    def power_cut(self) -> None:
        """Take power away in the middle of whatever it does: RAM, RTC memory and chip registers are lost."""
        self._end_vm()
        self._core.forget()
        self._sleeper.reset()
        self._watchdog.stop()
        self.mcu.power_off()
        self._record(trace.POWER, on=0)
        self.state = "off"
        self._core.draw("off")

    def brown_out(self) -> None:
        """The rail has sagged below what the microcontroller needs: a reset that reports itself as a power-on.

        RAM and every register go, the RTC's as well; RTC memory and the chips of the board live on less voltage.
        """
        if self.state == "off":
            return
        self.console.say("brown-out")
        self._end_vm()
        self.rtc.brown_out()
        self.mcu.brown_out()
        self._boot(Reset())

    def hold_in_reset(self) -> None:
        """EN is low: the chip stops, RAM and RTC memory are lost; the board keeps its supply. Nothing when off."""
        if self.state == "off":
            return
        self._end_vm()
        self._sleeper.reset()
        self._watchdog.stop()
        self.rtc.power_on()
        self.mcu.core_reset()
        self._record(trace.RESET, held=1)
        self.state = "held"

    def release_reset(self) -> None:
        """EN rises: boot, from whatever the flash holds by now. Nothing when it was not held."""
        if self.state != "held":
            return
        self.flash.read_partitions()
        self._storage = StorageOps(self.flash, self.console.say)
        self._handlers = self._calls()
        self._boot(Reset())

    def set_input(self, name: str, active: bool) -> None:
        """The world does something at an input of the board, or stops; a board without that input does not notice."""
        entry = self.board.inputs.get(name)
        if entry:
            self.mcu.pins.drive(entry.pin, entry.idle ^ int(active))

    def close(self) -> None:
        """Cut power and let go of files."""
        self.power_cut()
        self.console.close()
        self.flash.close()

    def chip(self, name: str) -> Chip:
        """A chip of the board, by its name in the board file."""
        if name not in self.mcu.chips:
            raise KeyError(f"device {self.spec.name!r} has no chip {name!r}: it has {sorted(self.mcu.chips)}")
        return self.mcu.chips[name]

    def uart(self, number: int) -> UartPeer:
        """What is at the other end of UART 1 or 2."""
        return self.mcu.uarts.ports[number].peer

    @property
    def meter(self) -> Meter | None:
        """Its power meter; None where nobody asked for one."""
        return self._core.meter

    @property
    def terminal(self) -> Terminal | None:
        """Where a person, or a tool, types; set before power-on."""
        return self._core.terminal

    @terminal.setter
    def terminal(self, terminal: Terminal | None) -> None:
        self._core.terminal = terminal

    def collect_stats(self) -> Stats:
        """The counts as of now."""
        self.stats.rpc_calls = self._core.calls
        self.stats.flash_erases, self.stats.flash_programs = self.flash.erases, self.flash.programs
        return self.stats

    # Boots

    def _boot(self, reset: Reset) -> None:
        assert self._zygote is not None, "Device.use(zygote) comes first"
        self._reset, soft = reset, reset.soft
        self.stats.boots += 1
        self.state = "running"
        if not soft:
            self._core.reset_time()
        self._record(trace.BOOT, cause=CAUSES[reset.cause], wake=reset.wake_reason)
        if self.meter:
            self.meter.woken(reset.name, reset.by_pin)
            self.meter.mcu("boot")
        self._sleeper.reset(soft)
        self._core.interrupts.reset()
        if soft:
            self.mcu.soft_reset()
        else:
            self._watchdog.stop()
            self.mcu.core_reset(from_deep_sleep=reset.from_sleep)
        self.on_boot(reset.cause)
        if soft:
            self.console.printed(b"MPY: soft reboot\n")
        elif not self._load_app():
            return
        changed = self.flash.changes if reset.from_sleep else None
        self._core.start(self._zygote, self.flash.path, self._heap_bytes, self._handlers, soft, changed)

    def _load_app(self) -> bool:
        """The bootloader's part; a soft reset has none."""
        try:
            app = self._storage.boot(deep_sleep_wake=self._reset.from_sleep)
        except PowerLost as lost:
            self._power_lost(lost)
            return False
        if app is None:
            self.console.say("nothing to boot: the chip resets for ever")
        return app is not None

    def _power_lost(self, lost: PowerLost) -> None:
        self.console.say(str(lost))
        self.power_cut()
        self.on_power_lost()

    def _end_vm(self) -> None:
        """Stop the VM, if one runs, and everything that was going on for it."""
        if self._timer:
            self._timer.cancel()
        self._network.close()
        self._core.end()

    def _restart(self, cause: int) -> None:
        self._end_vm()
        self._boot(Reset(cause))

    def _panic(self, why: str) -> None:
        """What ends in a panic on the board ends so here: the port reboots after a moment."""
        self._end_vm()
        self.console.say(f"{why}: a panic on the board; restart in {CRASH_RESTART_S} s")
        self.stats.crashes += 1
        self._timer = self._clock.call_after(CRASH_RESTART_S, lambda: self._boot(Reset(HARD_RESET)))

    # What the hardware tells

    def _wifi_changed(self) -> None:
        if self.meter:
            state = "connecting" if self._station.joining else "rx"
            self.meter.wifi(state if self._station.active else "off")

    # Calls

    def _calls(self) -> dict[int, Handler]:
        parts = (self.mcu, self.rtc, self._sleeper, self._watchdog, self._network, self._storage)
        return calls.table(
            self._core, self.flash, parts, self._hello, lambda: self._waking, self._restart, self._power_lost
        )

    def _hello(self) -> bytes:
        virtual = self._clock.lockstep is not None
        took_s = self._reset.boot_s(self._costs)
        self._core.take(took_s)
        if self.meter:
            loads_s = took_s - self._costs.mount_s if virtual else 0.0
            self._timer = self._clock.call_after(loads_s, lambda: self._core.draw("active"))
        rtc_us, boot = self.rtc.now_us() + self._core.taken_us, f"{self.spec.seed}:{self.spec.name}:{self.stats.boots}"
        self._waking = hello.waking(self._reset.wake_reason, self._reset.wake_pins, rtc_us, boot, virtual)
        return hello.facts(
            self.flash,
            virtual,
            costs=self._costs,
            mhz=self.board.mhz,
            mac=self.spec.mac.hex(),
            reset_cause=self._reset.cause,
            uptime_us=self._core.uptime_us(),
            terminal=self.terminal is not None,
            runs_main=self.terminal is None or self.terminal.runs_main,
            psram=self.board.psram_bytes > 0,
        )

    def _bite(self) -> None:
        self.console.say(f"watchdog: not fed for {self._watchdog.timeout_ms} ms")
        self.stats.watchdog_resets += 1
        self._restart(WDT_RESET)

    # Sleep

    def _fall_asleep(self, ms: int) -> None:
        self._end_vm()
        self._watchdog.stop()
        self.state = "sleeping"
        self._record(trace.SLEEP, ms=ms)
        if self.meter:
            self.meter.mcu("deep_sleep")
            self.meter.asleep()

    def _wake(self, reason: int, pins: list[int]) -> None:
        self.stats.wakes += 1
        self._boot(Reset(DEEPSLEEP_RESET, reason, tuple(pins)))

    # Pins

    def _moved(self) -> None:
        """A pin may have moved by itself: record it, and wake who waits for it."""
        self.mcu.look()
        if self.meter:
            self.meter.look()
        self._core.waiter.poke()
        if self.state == "sleeping":
            self._sleeper.look()

    def _record(self, kind: str, **fields: object) -> None:
        self._trace.record(self._clock.now_s(), self.spec.name, kind, **fields)
