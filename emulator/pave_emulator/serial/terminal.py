"""A VM's standard input, and what its REPL is doing, for as long as its device has a serial port.

Theory of operation. Each boot gets a new pipe as its input, so that its own REPL reads what is typed. Ctrl-C is a
character while the REPL reads a line, or while firmware has switched it off; while code runs it is a SIGINT. Only the
VM knows which: it catches SIGINT in the one case and not in the other, so whoever sends the signal looks first
(`vm.zygote`), and what was typed after the Ctrl-C waits for the outcome.

Ctrl-D at the prompt, or `raise SystemExit`, ends the VM with status 0: a soft reset. In the raw REPL the board then
runs boot.py but not main.py and comes back to the raw REPL, which is what mpremote relies on.

Source: MicroPython's ports/esp32/main.c (mp_task) and shared/runtime/pyexec.c.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from pave_emulator.clock import Clock
from pave_emulator.serial.cooked import CookedOutput

CTRL_A, CTRL_C = b"\x01", b"\x03"
RAW_BANNER, FRIENDLY_BANNER = b"raw REPL; CTRL-B to exit\r\n", b'Type "help()" for more information.\r\n'
INTERRUPT_ONCE_S = 0.1  # a second SIGINT before the first is served would end the VM

Interrupt = Callable[[Callable[[bool], None]], None]
"""Send SIGINT if it is caught; the argument is called with whether it was."""


class Terminal:
    """Input and REPL state of one device's VM. `heard` gets what the VM prints, as the board sends it."""

    def __init__(self, clock: Clock) -> None:
        self.heard: Callable[[bytes], None] | None = None
        self._clock = clock
        self._raw = False
        self._input: int | None = None
        self._forget()

    def open(self, soft_reset: bool) -> int:
        """Begin a boot: the descriptor of the VM's input, for the caller to close. A reset ends the raw REPL."""
        self.close()
        read, self._input = os.pipe()
        os.set_blocking(self._input, False)
        self._raw &= soft_reset
        if self._raw:
            self._write(CTRL_A)
        return read

    def started(self, interrupt: Interrupt) -> None:
        """The VM runs; this is how to interrupt it."""
        self._interrupt = interrupt

    def close(self) -> None:
        """The VM has gone."""
        if self._input is not None:
            os.close(self._input)
        self._forget()

    @property
    def runs_main(self) -> bool:
        """Whether main.py follows boot.py: not after a soft reset out of the raw REPL."""
        return not self._raw

    def feed(self, data: bytes) -> None:
        """What is typed. It is lost while no VM runs."""
        if self._input is not None:
            self._typed += data
            self._pump()

    def printed(self, data: bytes) -> None:
        """What the VM prints, as it comes out of its pipe."""
        self._tail = (self._tail + data)[-4096:]
        raw, friendly = self._tail.rfind(RAW_BANNER), self._tail.rfind(FRIENDLY_BANNER)
        if raw != friendly:
            self._raw = raw > friendly
            self._tail = self._tail[max(raw, friendly) + len(RAW_BANNER) :]
        if self.heard:
            self.heard(self._cooked.feed(data))

    def _pump(self) -> None:
        while self._typed and not self._asking:
            before, found, self._typed = self._typed.partition(CTRL_C)
            self._write(before)
            if found:
                self._ctrl_c()

    def _ctrl_c(self) -> None:
        if self._interrupt is None:
            return
        if self._clock.now_s() - self._interrupted_s < INTERRUPT_ONCE_S:
            return
        self._asking = True
        boot = self._input

        def answered(caught: bool) -> None:
            if self._input is not boot:
                return
            self._asking = False
            if caught:
                self._interrupted_s = self._clock.now_s()
            else:
                self._write(CTRL_C)
            self._pump()

        self._interrupt(answered)

    def _write(self, data: bytes) -> None:
        """Into the pipe; what it does not take is lost, as in the port's ring buffer."""
        if data and self._input is not None:
            try:
                os.write(self._input, data)
            except (BlockingIOError, BrokenPipeError):
                pass

    def _forget(self) -> None:
        self._input = None
        self._interrupt: Interrupt | None = None
        self._typed = b""
        self._tail = b""
        self._asking = False
        self._interrupted_s = -INTERRUPT_ONCE_S
        self._cooked = CookedOutput()
