"""The CoAP front on a loop of virtual time: the same seed gives the same datagrams, at the same instants."""

import asyncio
import hashlib
import random
from typing import Any

from front_support import FIRST, Gateway
from oscore_support import Sealer, get, post

from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway.ingress import coap_site
from pave_wire import coap
from pave_wire.coap import ACK, CON, Message

PORT = 5683


class Device(asyncio.DatagramProtocol):
    """Sends what it is told, acknowledges what it gets, and writes everything down."""

    def __init__(self, sealer: Sealer, trace: list[Any]) -> None:
        self.sealer = sealer
        self._trace = trace
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._trace.append((round(self._loop.time(), 6), self.sealer.device, data))
        message = coap.decode(data)
        if message.type == CON:
            self._transport.sendto(coap.encode(Message(ACK, 0, message.mid)))

    def send(self, data: bytes) -> None:
        self._transport.sendto(data)


async def day(seed: int, drops: float) -> tuple[str, int]:
    """Let three devices observe and report; return the hash of all they were sent, and how many datagrams that was."""
    source = random.Random(seed)
    gateway = Gateway()
    gateway.parts = type(gateway.parts)(
        **{name: getattr(gateway.parts, name) for name in gateway.parts.__slots__ if name != "random_below"},
        random_below=source.randrange,
    )
    loop = asyncio.get_running_loop()
    server = await coap_site.start("127.0.0.1", PORT, gateway.parts)
    trace: list[Any] = []
    devices: list[Device] = []
    for number in range(FIRST, FIRST + 3):
        made = Device(Sealer(number), trace)
        await loop.create_datagram_endpoint(lambda made=made: made, remote_addr=("127.0.0.1", PORT))
        devices.append(made)
        made.send(made.sealer.seal(get("a", (coap.OBSERVE, b""))))
    for seq in range(40):
        device = source.choice(devices)
        data = device.sealer.report(seq, occupied=source.random() < 0.5)
        device.send(data)
        if source.random() < drops:
            device.send(data)
        if seq % 8 == 0:
            device.send(device.sealer.seal(post(b"\xff")))
            device.send(device.sealer.seal(get("f/digest", (coap.BLOCK2, b"\x16"))))
        await asyncio.sleep(source.random() * 5)
    await server.close()
    digest = hashlib.sha256(repr(trace).encode()).hexdigest()
    assert server.counters.notifications > 20
    return digest, len(trace)


def run(seed: int, drops: float = 0.3) -> tuple[str, int]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(day(seed, drops))


def test_one_seed_gives_one_trace_and_another_gives_another():
    first = run(1)
    assert run(1) == first
    assert run(2)[0] != first[0]
    assert first[1] > 100
