"""The devices: a process that reports through a gateway until each reading is acknowledged, and says which were.

Each device sends its readings one after another. What is not answered within WAIT_S, or is refused, it sends again:
over CoAP under a new Partial IV, as firmware does, over HTTP on a new connection. A reading counts as acknowledged when
its device was told so: by an authentic 2.04, or by HTTP's 200. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks import _ingest_requests as requests
from pave_wire import coap, model, oscore
from pave_wire.errors import WireError

WAIT_S = 1.0
_TRIES_MOST = 1000  # of one reading
PAUSE_S = 0.2  # after a refusal
_HEAD = b"POST /r HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Link(Protocol):
    """One device's way to its gateway."""

    async def report(self, reading: model.Reading) -> bool:
        """Send once; return whether it was acknowledged."""
        ...


class CoapLink(asyncio.DatagramProtocol):
    """CoAP with OSCORE."""

    def __init__(self, number: int, port: int, first: int) -> None:
        self._device = requests.Device(number)
        self._device.context.sequence = first * _TRIES_MOST  # beyond what an earlier run of the device has used
        self._device.context.reserve(1 << 32)
        self._port = port
        self._transport: asyncio.DatagramTransport | None = None
        self._answer: asyncio.Future[bytes] | None = None

    async def report(self, reading: model.Reading) -> bool:
        """See `Link`."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: self, remote_addr=("127.0.0.1", self._port)
            )
        number = self._device.context.sequence
        token = (number & 0xFFFF).to_bytes(2, "big")
        options = [(coap.URI_PATH, model.PATH_READINGS.encode()), (coap.CONTENT_FORMAT, b"\x70")]
        payload = model.pack_readings(reading.device, [reading])
        message = coap.Message(coap.CON, coap.POST, number & 0xFFFF, token, options, payload)
        sealed, exchange = oscore.seal_request(self._device.context, message)
        self._answer = loop.create_future()
        self._transport.sendto(coap.encode(sealed))
        try:
            answer = coap.decode(await asyncio.wait_for(self._answer, WAIT_S))
            return answer.token == token and oscore.open_response(exchange, answer).code == coap.CHANGED
        except (TimeoutError, WireError, OSError):
            return False

    def datagram_received(self, data: bytes, addr: object) -> None:
        """See `asyncio.DatagramProtocol`."""
        if self._answer is not None and not self._answer.done() and data[1] != coap.EMPTY:
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """See `asyncio.DatagramProtocol`: nobody listens."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)


class HttpLink:
    """HTTP/1.1 on a connection that is kept."""

    def __init__(self, _number: int, port: int, _first: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def report(self, reading: model.Reading) -> bool:
        """See `Link`."""
        said = {"device": reading.device, "ts": time.time_ns() // 1_000_000, "epoch": reading.epoch, "seq": reading.seq,
                **reading.values}  # fmt: skip
        body = json.dumps(said).encode()
        try:
            return await asyncio.wait_for(self._post(body), WAIT_S) == 200
        except (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError):
            if self._streams is not None:
                self._streams[1].close()
                self._streams = None
            return False

    async def _post(self, body: bytes) -> int:
        reader, writer = self._streams = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_HEAD % len(body) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length:")[2].partition("\r\n")[0]
        await reader.readexactly(int(length))
        return int(head.split(" ", 2)[1])


LINKS = {"coap": CoapLink, "http": HttpLink}


@dataclass
class Fleet:
    """All devices."""

    first: int
    count: int
    rate: float
    acknowledged: dict[str, int] = field(default_factory=dict)  # how many of each device's readings, from the first
    tries: int = 0

    async def run(self, kind: str, port: int, devices: int) -> float:
        """Report `count` readings of each device; return how many seconds that took."""
        began_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(devices):
                group.create_task(self._report(number, devices, LINKS[kind](number, port, self.first)))
        return time.perf_counter() - began_s

    async def _report(self, number: int, devices: int, link: Link) -> None:
        interval_s = devices / self.rate if self.rate else 0.0
        due_s = time.perf_counter() + interval_s * number / devices
        for turn in range(self.first, self.first + self.count):
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            due_s += interval_s
            reading = requests.reading_of(number, turn)
            self.tries += 1
            while not await link.report(reading):
                await asyncio.sleep(PAUSE_S)
                self.tries += 1
            self.acknowledged[reading.device] = turn - self.first + 1


def main() -> None:
    """Parse the command line, report, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=sorted(LINKS), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--first", type=int, required=True, help="of each device's readings")
    parser.add_argument("--count", type=int, required=True, help="of readings, of each device")
    parser.add_argument("--rate", type=float, default=0.0, help="readings a second, of all; 0 is as fast as it goes")
    given = parser.parse_args()
    fleet = Fleet(given.first, given.count, given.rate)
    began_s = time.time()
    took_s = asyncio.run(fleet.run(given.kind, given.port, given.devices))
    print(json.dumps({"began_s": began_s, "took_s": took_s, "tries": fleet.tries, "acknowledged": fleet.acknowledged}))


if __name__ == "__main__":
    main()
