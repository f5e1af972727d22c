"""The UARTs 1 and 2 of one chip, and who is at their other end (the kiosk's PC and its heartbeat).

Theory of operation. Bytes take their time on the line, ten bits each, and are handed over when the last of a piece has
come. A peer at another rate is heard as the bits fall. What comes while no driver is installed, or in light sleep, is
lost; what does not fit into the ring buffer and the FIFO as well. RXIDLE is the port's: a timer of two characters that
starts with the first byte; the interrupt comes at its second tick without a byte between.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.clock import Timer
from pave_emulator.mcu.hooks import Hooks
from pave_emulator.serial.uart import received
from pave_emulator.vm.channel import PENDING, Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops

PORTS = (1, 2)  # 0 is the console
FIFO_BYTES = 128  # SOC_UART_FIFO_LEN
IRQ_RX, IRQ_RXIDLE, IRQ_POLL = 0x01, 0x1000, 0x8000
RXIDLE_SHORTEST_S = 500e-6
MAX_PIECES = 32  # on the line at once; the end of a driver takes no more of them back


@dataclass(frozen=True)
class Settings:
    """How firmware has opened a port; pins are GPIO numbers, -1 none."""

    tx: int
    rx: int
    baud: int
    frame_bits: int
    rx_bytes: int
    tx_bytes: int

    def seconds(self, size: int) -> float:
        """Time of so many bytes on the line."""
        return size * self.frame_bits / self.baud


class UartPeer:
    """The other end of a line.

    Attributes:
        baud: its rate.
        sent: every byte that the firmware has sent to it.
        heard: called with what has come, as it comes.
        settings: how the firmware has opened the port; None while it has not.
    """

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self._feed = feed
        self.baud = 115200
        self.sent = bytearray()
        self.heard: Callable[[bytes], None] = lambda data: None
        self.settings: Settings | None = None

    def feed(self, data: bytes) -> None:
        """Send bytes to the firmware; they begin now."""
        self._feed(data)

    def hear(self, data: bytes) -> None:
        """Bytes from the firmware."""
        self.sent += data
        self.heard(data)


class Uart:
    """One port."""

    def __init__(self, number: int, hooks: Hooks) -> None:
        self._number = number
        self._hooks = hooks
        self._clock = hooks.clock
        self.peer = UartPeer(self._begin)
        self.irq = 0
        self._buffer = bytearray()
        self._sent_s = 0.0  # until then its transmitter is busy
        self._first_s = 0.0  # of the bytes that RXIDLE waits for the end of
        self._idle: Timer | None = None
        self._coming: list[Timer] = []

    def open(self, settings: Settings) -> None:
        """(Re)configure; input from before is discarded."""
        self.peer.settings = settings
        self._buffer.clear()

    def close(self) -> None:
        """The driver goes, and what was on its way with it."""
        for timer in [*self._coming, *([self._idle] if self._idle else [])]:
            timer.cancel()
        self._coming.clear()
        self._idle = self.peer.settings = None
        self._buffer.clear()
        self.irq = 0

    @property
    def settings(self) -> Settings:
        """As opened. Raise OpError when it is not."""
        if self.peer.settings is None:
            raise OpError(ops.ESP_FAIL)
        return self.peer.settings

    @property
    def waiting(self) -> int:
        """Bytes to be read."""
        return len(self._buffer)

    @property
    def done(self) -> bool:
        """Everything written has left."""
        return self._clock.now_s() >= self._sent_s

    def take(self, room: int) -> bytes:
        """Up to `room` bytes of what has come."""
        data = bytes(self._buffer[:room])
        del self._buffer[:room]
        return data

    def write(self, data: bytes) -> float:
        """Send; return how long the firmware waits for room in the ring buffer, s."""
        settings, now_s = self.settings, self._clock.now_s()
        self._sent_s = max(now_s, self._sent_s) + settings.seconds(len(data))
        heard = received(data, settings.baud, self.peer.baud)
        self._later(self._sent_s, lambda: self.peer.hear(heard))
        return max(0.0, self._sent_s - now_s - settings.seconds(settings.tx_bytes + FIFO_BYTES))

    # What comes

    def _begin(self, data: bytes) -> None:
        done_s = self._clock.now_s() + 10 * len(data) / self.peer.baud
        self._later(done_s, lambda: self._arrive(data))

    def _later(self, when_s: float, act: Callable[[], None]) -> None:
        self._coming = [*self._coming[1 - MAX_PIECES :], self._clock.call_at(when_s, act)]

    def _arrive(self, data: bytes) -> None:
        settings = self.peer.settings
        if settings is None or self._hooks.interrupts.light_sleep:
            self._hooks.log(f"uart {self._number}: {len(data)} bytes came and nobody listens")
            return
        data = received(data, self.peer.baud, settings.baud)
        room = settings.rx_bytes + FIFO_BYTES - len(self._buffer)
        if len(data) > room:
            self._hooks.log(f"uart {self._number}: {len(data) - room} bytes lost, its buffer is full")
        self._buffer += data[:room]
        if self.irq & (IRQ_RX | IRQ_POLL):
            self._hooks.interrupts.post(ops.EVENT_UART, self._number, self.irq & IRQ_RX)
        if self.irq & IRQ_RXIDLE:
            self._wait_for_idle(settings)
        self._hooks.waiter.poke()

    def _wait_for_idle(self, settings: Settings) -> None:
        now_s = self._clock.now_s()
        period_s = max(RXIDLE_SHORTEST_S, settings.seconds(2))
        if self._idle:
            self._idle.cancel()
        else:
            self._first_s = now_s
        second_tick_s = now_s - (now_s - self._first_s) % period_s + 2 * period_s
        self._idle = self._clock.call_at(second_tick_s, self._ring_idle)

    def _ring_idle(self) -> None:
        self._idle = None
        self._hooks.interrupts.post(ops.EVENT_UART, self._number, IRQ_RXIDLE)


class Uarts:
    """The ports of one device, and their calls."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self.ports = {number: Uart(number, hooks) for number in PORTS}

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.UART_OPEN: self._open,
            ops.UART_CLOSE: self._close,
            ops.UART_WRITE: self._write,
            ops.UART_READ: self._read,
            ops.UART_ANY: self._any,
            ops.UART_IRQ: self._irq,
        }

    def reset(self) -> None:
        """No driver is installed."""
        for port in self.ports.values():
            port.close()

    def _open(
        self, number: int, tx: int, rx: int, baud: int, bits: int, rx_bytes: int, tx_bytes: int, tail: bytes
    ) -> bytes:
        self.ports[number].open(Settings(tx, rx, baud, bits, rx_bytes, tx_bytes))
        return b""

    def _close(self, number: int, tail: bytes) -> bytes:
        self.ports[number].close()
        self._hooks.interrupts.arm(f"uart {number}", False)
        return b""

    def _write(self, number: int, tail: bytes) -> bytes:
        self._hooks.took(self.ports[number].write(tail))
        return b""

    def _any(self, number: int, tail: bytes) -> bytes:
        port = self.ports[number]
        return struct.pack("<HB", port.settings and port.waiting, port.done)

    def _irq(self, number: int, mask: int, tail: bytes) -> bytes:
        self.ports[number].irq = mask
        self._hooks.interrupts.arm(f"uart {number}", mask != 0)
        return b""

    def _read(self, number: int, room: int, first_us: int, next_us: int, tail: bytes) -> bytes | None:
        """Wait for the first byte, then for the others as long as they keep coming (uart_read_bytes, twice)."""
        port = self.ports[number]
        waiting = port.settings and port.waiting
        if waiting >= room or (waiting and not next_us):
            return port.take(room)
        if not waiting and not first_us:
            raise OpError(ops.EAGAIN)
        self._wait(port, room, next_us / 1e6, next_us / 1e6 if waiting else first_us / 1e6)
        return PENDING

    def _wait(self, port: Uart, room: int, next_s: float, timeout_s: float) -> None:
        had = port.waiting

        def came() -> bytes | None:
            enough = port.waiting >= room or (port.waiting > had and not next_s)
            return port.take(room) if enough else None

        def expired() -> None:
            if port.waiting > had:
                self._wait(port, room, next_s, next_s)
            elif port.waiting:
                self._hooks.reply(port.take(room))
            else:
                self._hooks.reply(b"", ops.EAGAIN)

        self._hooks.waiter.wait(came, self._hooks.reply, timeout_s, expired)
