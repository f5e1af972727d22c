"""The processor of one device while it runs: a VM, the channel to it, its time, and what interrupts it.

One `Core` serves all boots of a device, one after the other. What becomes of it when the VM ends or breaks is the
device's to decide.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from pave_emulator.clock import FleetClock
from pave_emulator.console import Console
from pave_emulator.power.meter import Meter
from pave_emulator.serial.terminal import Terminal
from pave_emulator.vm.channel import Channel, Handler
from pave_emulator.vm.checkpoint import Checkpoint
from pave_emulator.vm.interrupts import Interrupts
from pave_emulator.vm.process import VmProcess, ZygoteClient
from pave_emulator.vm.shims import _emu_ops as ops
from pave_emulator.vm.waiter import Waiter

FAR_S = 1e12  # nothing will ever happen
ALONE_US = 100_000  # a VM that nothing interrupts and that boots reads its clock so long without a call


class Core:
    """The channel's owner (see `vm.channel.Owner`).

    `panicked(why)` when the VM or the emulator has broken, `hung()` when the VM computes and never calls,
    `left_repl()` when a person has ended it with Ctrl-D.
    """

    def __init__(
        self,
        clock: FleetClock,
        console: Console,
        order: int,
        panicked: Callable[[str], None],
        hung: Callable[[], None],
        left_repl: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._console = console
        self._order = order
        self._panicked, self._hung, self._left_repl = panicked, hung, left_repl
        self.waiter = Waiter(clock)
        self.interrupts = Interrupts(self._interrupt)
        self.readable: Callable[[], bool] = lambda: False
        """Whether a socket has something; set by the device."""
        self.meter: Meter | None = None
        self.terminal: Terminal | None = None
        self.calls = 0
        self._took_s = 0.0
        self._booted_s = 0.0
        self._at_repl = False
        self._checkpoint: Checkpoint | None = None
        self._vm: VmProcess | None = None
        self._zygote: ZygoteClient | None = None
        self._channel: Channel | None = None

    # Boots

    def reset_time(self) -> None:
        """The esp_timer begins anew; a soft reset does not do that."""
        self._booted_s = self._clock.now_s()

    def start(
        self,
        zygote: ZygoteClient,
        image: Path,
        heap_bytes: int,
        calls: Mapping[int, Handler],
        soft: bool,
        changes: int | None = None,
    ) -> None:
        """Boot a VM on a flash image; `calls` are what it may ask.

        With `changes` (a wake-up from deep sleep, the image was changed so often) it may begin at a checkpoint.
        """
        self._zygote = zygote
        self._at_repl = False
        known = self._checkpoint is not None and self._checkpoint.vm is not None
        if changes is not None and self._clock.lockstep and not self.terminal and (known or zygote.clones):
            self._wake(zygote, image, heap_bytes, calls, changes)
            return
        vm: VmProcess | None = None

        def exited(status: int) -> None:
            self._exited(vm, status)

        keyboard = self.terminal.open(soft) if self.terminal else None
        vm = self._vm = zygote.spawn(image, heap_bytes, exited, keyboard)
        if self.terminal:
            self.terminal.started(functools.partial(zygote.interrupt, vm))
        self._console.attach(vm.console_fd, watch=self._clock.lockstep is None)
        self._channel = Channel(vm.channel, calls, self, self._clock.lockstep, self._order, self._clock.now_s())

    def _wake(
        self, zygote: ZygoteClient, image: Path, heap_bytes: int, calls: Mapping[int, Handler], changes: int
    ) -> None:
        self._checkpoint = self._checkpoint or Checkpoint(zygote.kill)

        def vms(clonable: bool = False, origin: VmProcess | None = None) -> VmProcess:
            return zygote.spawn(image, heap_bytes, _ignore, None, clonable, origin)

        rehearsal = self._checkpoint.begin(changes, vms)
        self.runs(rehearsal.vm)
        lockstep, now_s = self._clock.lockstep, self._clock.now_s()
        self._channel = Channel(rehearsal.vm.channel, calls, self, lockstep, self._order, now_s, rehearsal)

    def end(self) -> None:
        """Stop the VM, if one runs, and what was going on for it."""
        self.waiter.cancel()
        if self._channel:
            self._channel.close()
        if self._vm and self._zygote:
            self._zygote.kill(self._vm)
        self._console.detach()
        if self.terminal:
            self.terminal.close()
        self._channel = self._vm = None
        self._took_s = 0.0

    def forget(self) -> None:
        """The next wake-up begins from the beginning."""
        if self._checkpoint:
            self._checkpoint.forget()

    def repl(self) -> None:
        """The firmware has ended; from here the VM's own REPL goes on."""
        self._at_repl = True

    # Time

    def take(self, seconds: float) -> None:
        """What is being done keeps the firmware so long. At wall clock it takes as long as it takes here."""
        if self._clock.lockstep:
            self._took_s += seconds

    def uptime_us(self) -> int:
        """Microseconds since boot."""
        return self._since_boot_us(self._clock.now_s())

    @property
    def taken_us(self) -> int:
        """What the present call takes, so far."""
        return round(self._took_s * 1e6)

    def _since_boot_us(self, now_s: float) -> int:
        return max(0, round((now_s - self._booted_s) * 1e6))

    # Answers

    def reply(self, body: bytes = b"", status: int = 0) -> None:
        """Answer the call that is open, if a VM still waits for it."""
        self.draw("active")
        if self._channel:
            self._channel.reply(body, status)

    def waits(self) -> None:
        """A call was not answered at once: the core idles, unless an interrupt is to be served first."""
        if not self.waiter.waiting:
            return
        if self.interrupts.pending:
            self.waiter.interrupt(ops.INTERRUPTED)
        elif not self.interrupts.light_sleep:
            self.draw("idle")

    def draw(self, state: str) -> None:
        """The microcontroller is in this power state from now on."""
        if self.meter:
            self.meter.mcu(state)

    def _interrupt(self) -> None:
        self.waiter.interrupt(ops.INTERRUPTED)

    # As the channel sees it

    def runs(self, vm: VmProcess) -> None:
        """From here on it is this VM that runs."""
        self._vm = vm
        self._console.attach(vm.console_fd, watch=False)

    def called(self, idle_us: int) -> bool:
        """A call is about to be handled; since the last one the VM has slept so long. True if it has printed."""
        heard_bytes = self._console.heard_bytes
        self.calls += 1
        self.waiter.cancel()  # a call that Ctrl-C has broken off is waited for no more
        if self.meter and idle_us:
            self.meter.idled(idle_us / 1e6)
        if self._clock.lockstep:
            self._console.drain()  # what it printed, it printed before this
        return self._console.heard_bytes != heard_bytes

    def defect(self, reason: str) -> None:
        """A call could not be handled."""
        self._panicked(f"a defect of the emulator, {reason}")

    def ended(self) -> None:
        """The VM has ended by itself. At wall clock the zygote tells, with the status."""
        if self._clock.lockstep and self._zygote and self._zygote.lives:
            self._panicked("the VM died by itself")
        elif self._channel:
            self._channel.close()

    def printing(self) -> None:
        """The VM computes, and may wait for somebody to read what it prints."""
        self._console.absorb()

    def stuck(self) -> None:
        """The VM computes and never calls."""
        self._console.ignore()
        self._console.say("the firmware computes without reading the clock, sleeping or touching anything")
        self._hung()

    def times(self) -> tuple[float, int, int, int]:
        """When the VM goes on (s of the clock, us since boot), until when it is quiet, and alone (us since boot)."""
        now_s = self._clock.now_s() + self._took_s
        self._took_s = 0.0
        now_us = self._since_boot_us(now_s)
        quiet_us = max(now_us, self._since_boot_us(min(self._clock.horizon_s(), FAR_S)))
        return now_s, now_us, quiet_us, quiet_us if self.interrupts.armed else now_us + ALONE_US

    def flags(self) -> int:
        """What the VM is told with every answer."""
        events = ops.FLAG_EVENTS if self.interrupts.pending else 0
        readable = ops.FLAG_READABLE if self.readable() else 0
        return events | readable | (ops.FLAG_ARMED if self.interrupts.armed else 0)

    def _exited(self, vm: VmProcess | None, status: int) -> None:
        if vm is None or vm is not self._vm or self._clock.lockstep:
            return  # one that was ended; in virtual time the end of the channel says it, at its time
        if self._at_repl and status == 0:  # Ctrl-D, or SystemExit
            self._left_repl()
            return
        how = f"signal {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else f"status {status}"
        self._panicked(f"the VM died by itself ({how})")


def _ignore(_status: int) -> None:
    """In virtual time the end of a VM's channel says that it has ended."""
