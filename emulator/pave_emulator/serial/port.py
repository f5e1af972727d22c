"""A device's serial line on TCP, as RFC 2217 has it: telnet with the COM port option. One client at a time.

pyserial's PortManager speaks the telnet side; it wants a serial port to act on, which is `BridgePort`. A second client
waits until the first has gone, as a process waits for a port that is in use. When a client goes DTR and RTS drop, both
at once. What a device sends while no client is connected is lost, as on a wire.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, cast

from serial import rfc2217

from pave_emulator.serial.line import SerialLine, to_nobody

READ_BYTES = 65536
MAX_UNREAD_BYTES = 1 << 20  # of a client that does not read; more is lost, as in an overrun
DEFAULT_BYTESIZE, DEFAULT_STOPBITS, DEFAULT_PARITY = 8, 1, "N"


class BridgePort:
    """What PortManager asks of a serial port. Rate, DTR and RTS act on the line; the rest is only remembered.

    Bytes are gathered by `take` and sent before anything else acts, so that all happens in the client's order.
    """

    def __init__(self, line: SerialLine) -> None:
        self._line = line
        self._taken = bytearray()
        self.bytesize = DEFAULT_BYTESIZE
        self.parity = DEFAULT_PARITY
        self.stopbits = DEFAULT_STOPBITS
        self.xonxoff = False
        self.rtscts = False
        self.break_condition = False
        self.cts = self.dsr = self.cd = True  # nothing is wired to them; a bridge shows them asserted
        self.ri = False

    def take(self, byte: bytes) -> None:
        """One byte for the chip."""
        self._taken += byte

    def flush(self) -> None:
        """Send what was taken."""
        if self._taken:
            data = bytes(self._taken)
            self._taken.clear()
            self._line.host_sends(data)

    @property
    def baudrate(self) -> int:
        """The host's rate."""
        return self._line.baud

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        self.flush()
        self._line.set_baud(baud)

    @property
    def dtr(self) -> bool:
        """Whether DTR is asserted."""
        return self._line.dtr

    @dtr.setter
    def dtr(self, asserted: bool) -> None:
        self.flush()
        self._line.set_lines(asserted, self._line.rts)

    @property
    def rts(self) -> bool:
        """Whether RTS is asserted."""
        return self._line.rts

    @rts.setter
    def rts(self, asserted: bool) -> None:
        self.flush()
        self._line.set_lines(self._line.dtr, asserted)

    def reset_input_buffer(self) -> None:
        """Nothing is buffered here."""

    def reset_output_buffer(self) -> None:
        """Nothing is buffered here."""


class Rfc2217Port:
    """The TCP server of one device. `number` is its port once started."""

    def __init__(self, line: SerialLine, host: str = "127.0.0.1", port: int = 0) -> None:
        """Port 0 takes a free one."""
        self._line = line
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self._free = asyncio.Lock()
        self._clients: list[asyncio.Task[Any]] = []

    @property
    def number(self) -> int:
        """The TCP port. Raise RuntimeError before start."""
        if self._server is None:
            raise RuntimeError("the serial port is not started: await start() first")
        return self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """What esptool and mpremote take as a port."""
        return f"rfc2217://{self._address[0]}:{self.number}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, *self._address)

    async def stop(self) -> None:
        """Stop listening and drop the clients."""
        if self._server is None:
            return
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._clients.append(task)
        try:
            async with self._free:
                await self._converse(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._clients.remove(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bridge = BridgePort(self._line)
        manager = rfc2217.PortManager(cast(Any, bridge), cast(Any, writer))

        def to_client(data: bytes) -> None:
            if writer.transport.get_write_buffer_size() < MAX_UNREAD_BYTES:
                writer.write(data.replace(rfc2217.IAC, rfc2217.IAC_DOUBLED))

        self._line.to_host = to_client
        try:
            while data := await reader.read(READ_BYTES):
                for byte in manager.filter(data):
                    bridge.take(byte)
                bridge.flush()
        except (TypeError, KeyError, struct.error):
            pass  # a client that does not speak telnet: PortManager has no error of its own for it
        finally:
            self._line.to_host = to_nobody
            self._line.set_lines(False, False)
