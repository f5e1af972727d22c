"""The wire between a USB bridge and a chip: reset circuit, UART, and who listens behind it.

Theory of operation. After a reset with GPIO0 low the ROM loader has the UART; else the firmware's console has it. Bytes
that come at another rate than the receiver's arrive as other bytes. The host's side is `set_lines`, `set_baud`,
`host_sends` and `to_host`; the chip's is SerialTarget and `chip_sends`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pave_emulator.clock import Clock, Timer
from pave_emulator.serial import uart
from pave_emulator.serial.reset_circuit import DOWNLOAD_BOOT, HOLD, ResetCircuit
from pave_emulator.serial.rom_chips import POWER_ON
from pave_emulator.serial.rom_loader import RomLoader

CONSOLE_BAUD = 115200


class SerialTarget(Protocol):
    """What a chip's firmware is to its serial port."""

    def hold(self) -> None:
        """EN is low: stop in the middle of whatever it does, RAM and RTC memory lost. Flash may change from here on."""
        ...

    def reset(self, download: bool) -> None:
        """EN has risen after `hold`. Boot from flash; in download mode stay stopped, the ROM loader has the chip."""
        ...

    def feed(self, data: bytes) -> None:
        """Bytes for the firmware's standard input."""
        ...


def to_nobody(_data: bytes) -> None:
    """The other end of a wire that is not connected."""


class SerialLine:
    """One device's wire. What the firmware prints goes into `chip_sends`; set `to_host` to hear it."""

    def __init__(self, target: SerialTarget, loader: RomLoader, clock: Clock) -> None:
        self.to_host: Callable[[bytes], None] = to_nobody
        self.dtr = False
        self.rts = False
        self.baud = CONSOLE_BAUD
        """The host's rate."""
        self._target = target
        self._loader = loader
        self._clock = clock
        self._circuit = ResetCircuit()
        self._timer: Timer | None = None
        self._downloading = False
        self._held = False

    def set_lines(self, dtr: bool, rts: bool) -> None:
        """Set DTR and RTS at once (True: asserted, 0 V)."""
        self.dtr, self.rts = dtr, rts
        now_s = self._clock.now_s()
        self._act(self._circuit.advance(now_s))
        self._act(self._circuit.set(dtr, rts, now_s))
        self._arm()

    def set_baud(self, baud: int) -> None:
        """The host's rate from now on."""
        self.baud = baud

    def host_sends(self, data: bytes) -> None:
        """Bytes from the host."""
        if self._held:
            return
        if not self._downloading:
            self._target.feed(uart.received(data, self.baud, CONSOLE_BAUD))
            return
        loader_baud = self._loader.baud or self.baud
        answer, boots = self._loader.receive(uart.received(data, self.baud, loader_baud), self.baud)
        if answer:
            self.to_host(uart.received(answer, loader_baud, self.baud))
        if boots:
            self._target.hold()
            self._start(download=False)

    def chip_sends(self, data: bytes) -> None:
        """Bytes from the firmware's console; they go nowhere while it does not run."""
        if not (self._held or self._downloading):
            self._print(data)

    def booted(self, reset: str) -> None:
        """The chip resets by itself, for a reason of `rom_chips`: the ROM prints its banner."""
        self._print(self._loader.banner(reset, download=False))

    def _act(self, what: str | None) -> None:
        if what == HOLD:
            self._held = True
            self._target.hold()
        elif what is not None:
            self._start(download=what == DOWNLOAD_BOOT)

    def _start(self, download: bool) -> None:
        self._held, self._downloading = False, download
        self._print(self._loader.banner(POWER_ON, download))
        if download:
            self._loader.enter()
        self._target.reset(download)

    def _print(self, data: bytes) -> None:
        self.to_host(uart.received(data, CONSOLE_BAUD, self.baud))

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        due_s = self._circuit.next_event_s()
        if due_s is not None:
            self._timer = self._clock.call_at(due_s, self._en_rises)

    def _en_rises(self) -> None:
        self._timer = None
        self._act(self._circuit.advance(self._clock.now_s()))
        self._arm()
