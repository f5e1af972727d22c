"""Devices that speak OSCORE to a gateway over UDP, what anyone beside the path records of them, and who replays it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pave_tools.provisioning import OscoreKeys
from pave_wire import coap, hello, model
from pave_wire.coap import CON, Message
from pave_wire.coap_oscore import OscoreSecurity
from pave_wire.errors import WireError
from pave_wire.oscore_context import FRESH_WINDOW, Context

RESEND_S = (0.5, 1.0, 1.0)
_TRIES = 2  # a report that was on disk when its gateway was killed is met with silence once
_NO_CBOR = b"\xff"
ATTACKERS = 8
BATCH = 128  # datagrams on their way to a gateway that may be slower than we are
DRAIN_S = 20.0

Address = tuple[str, int]


class Way:
    """The way to the gateway. What a gateway never received would be no replay, so devices wait until it is up."""

    def __init__(self) -> None:
        self.life = 0
        self.up = asyncio.Event()

    def opened(self) -> None:
        """Hear that a gateway listens."""
        self.life += 1
        self.up.set()


@dataclass
class Memory:
    """The NVS of a device, as `pave_wire.coap_oscore.Memory`."""

    keys: OscoreKeys
    peer: bytes = b""
    followed: int = 0

    def reserve(self, limit: int) -> None:
        """Nothing is ever restarted here."""

    def used(self, sequence: int) -> None:
        """See `reserve`."""

    def keep_peer(self, peer_id: bytes, window: Any) -> None:
        """Take note of the gateway's name."""
        self.followed += peer_id != self.peer
        self.peer = peer_id

    def context(self, peer_id: bytes, sequence: int, window: Any) -> Context:
        """Return the context with a gateway of this name."""
        return Context(self.keys.secret, self.keys.salt, self.keys.device_id, peer_id, sequence, window)


class Device(asyncio.DatagramProtocol):
    """One device. What it sends is captured when it sends it."""

    def __init__(self, name: str, keys: OscoreKeys, way: Way, captured: list[bytes], seed: int) -> None:
        self.name = name
        self._way = way
        self.echoes = 0
        self.memory = Memory(keys, keys.gateway_id)
        context = self.memory.context(keys.gateway_id, 0, FRESH_WINDOW)
        context.reserve(1 << 40)
        self._security = OscoreSecurity(context, self.memory)
        self._captured = captured
        self._source = random.Random(seed)
        self._mid = self._source.randrange(0x10000)
        self._seq = 0
        self._waiting: dict[bytes, tuple[Any, asyncio.Future[Message]]] = {}
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take an answer that opens."""
        try:
            message = coap.decode(data)
            binding, done = self._waiting[message.token]
            if not done.done():
                done.set_result(self._security.open_response(binding, message))
        except (KeyError, WireError):
            pass  # an empty ACK, a second copy

    def close(self) -> None:
        """Let go of the socket, if there is one."""
        if self.transport is not None:
            self.transport.close()

    async def report(self) -> int | None:
        """Report a new reading until it is acknowledged, or for the last time; return the code."""
        self._seq += 1
        code = None
        for _ in range(_TRIES):
            code = code or await self.ask(coap.POST, "r", self._pack(self._seq), 112)
        return code

    async def say_anything(self) -> int | None:
        """Send the next message of a day; return the code of its answer, None if there was none."""
        what = self._source.random()
        if what < 0.80:
            return await self.report()
        if what < 0.86:
            return await self.ask(coap.POST, "r", self._pack(max(1, self._seq)), 112)  # once more
        if what < 0.90:
            return await self.ask(coap.POST, "r", _NO_CBOR, 112)
        if what < 0.95:
            return await self.ask(coap.GET, "s")
        said = hello.Hello(1, self._seq, "pave-presence-v1", "1.0", 1)
        return await self.ask(coap.POST, "h", hello.pack_hello(said), 60)

    async def ask(self, code: int, path: str, payload: bytes = b"", content_format: int | None = None) -> int | None:
        """Send a request, with Echo if that is asked for; return the code of the answer, None for silence."""
        options = [(coap.URI_PATH, path.encode())]
        if content_format is not None:
            options.append((coap.CONTENT_FORMAT, coap.uint(content_format)))
        answer = await self._send(Message(CON, code, 0, b"", options, payload))
        echo = None if answer is None else answer.option(coap.ECHO)
        if answer is not None and answer.code == coap.UNAUTHORIZED and echo is not None:
            self.echoes += 1
            options = coap.ordered([*options, (coap.ECHO, echo)])
            answer = await self._send(Message(CON, code, 0, b"", options, payload))
        return None if answer is None else answer.code

    async def _send(self, message: Message) -> Message | None:
        self._mid = message.mid = self._mid + 1 & 0xFFFF
        message.token = message.mid.to_bytes(2, "big")
        outer, binding = self._security.seal_request(message, None)
        data = coap.encode(outer)
        self._captured.append(data)
        done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[message.token] = binding, done
        try:
            life, tries = self._way.life, 0
            while tries < len(RESEND_S):
                await self._way.up.wait()
                if life != self._way.life:
                    life, tries = self._way.life, 0
                self.transport.sendto(data)
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(asyncio.shield(done), RESEND_S[tries])
                tries += 1
            return None
        finally:
            del self._waiting[message.token]

    def _pack(self, seq: int) -> bytes:
        values: dict[str, Any] = {"occupied": bool(seq & 1), "reason": "field", "confidence": 0.93}
        return model.pack_readings(self.name, [model.Reading(self.name, 1, seq, 0, values)])


@dataclass
class Attacker(asyncio.DatagramProtocol):
    """An address that replays, and what comes back to it."""

    answers: list[bytes] = field(default_factory=list[bytes])
    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Keep it."""
        self.answers.append(data)


async def open_device(device: Device, gateway: Address) -> None:
    """Give a device its socket."""
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: device, local_addr=("127.0.0.1", 0), remote_addr=gateway)


async def replay(
    frames: list[bytes], gateway: Address, received: Callable[[], Awaitable[int]], seed: int
) -> list[bytes]:
    """Send `frames` to the gateway from other addresses, no faster than it takes them; return what came back.

    `received` returns how many datagrams the gateway has read so far. Raises TimeoutError if some never arrive.
    """
    source = random.Random(seed)
    attackers = [await _open_attacker(source, gateway) for _ in range(ATTACKERS)]
    due = await received()
    for start in range(0, len(frames), BATCH):
        batch = frames[start : start + BATCH]
        for frame in batch:
            source.choice(attackers).transport.sendto(frame)
        due += len(batch)
        async with asyncio.timeout(DRAIN_S):
            while await received() < due:
                await asyncio.sleep(0.002)
    await asyncio.sleep(0.3)  # for the last answer
    for attacker in attackers:
        attacker.transport.close()
    return [answer for attacker in attackers for answer in attacker.answers]


async def _open_attacker(source: random.Random, gateway: Address) -> Attacker:
    host = "127." + ".".join(str(source.randrange(1, 255)) for _ in range(3))
    loop = asyncio.get_running_loop()
    _, attacker = await loop.create_datagram_endpoint(Attacker, local_addr=(host, 0), remote_addr=gateway)
    return attacker


def stats(url: str) -> dict[str, Any]:
    """Return what a gateway's `/stats` says."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def free_port(kind: socket.SocketKind) -> int:
    """Return a port that nobody listens on."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
