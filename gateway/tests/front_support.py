"""A CoAP front on a real socket over a disk in memory, a bad path to it, and aiocoap as the device."""

import asyncio
import contextlib
import json
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from oscore_support import WALL_MS, MemoryCommitter, MemoryDisk, Sealer, keys_of

from pave_gateway.core.bays import Bays
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import Now
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.core.places import Place
from pave_gateway.core.shadow_resources import Reply
from pave_gateway.ingress import coap_site
from pave_gateway.ingress.coap_device_resources import add_availability
from pave_gateway.ingress.coap_resources import Handled, HandledBelow, Question, Site
from pave_gateway.ingress.coap_site import CoapParts, CoapServer
from pave_wire import coap, model
from pave_wire.oscore_context import FRESH_WINDOW

PEER = Path(__file__).with_name("coap_peer.py")
BUNDLE = bytes(n * n % 251 for n in range(65_536))
FIRST = 0x101


class Gateway:
    """A running front with /a, /f and /h."""

    def __init__(
        self, disk: MemoryDisk | None = None, lost: bool = False, insecure: bool = False, committer: Any = None
    ) -> None:
        self.disk = disk or MemoryDisk()
        self.committer = committer or MemoryCommitter(self.disk)
        source = random.Random(5)
        self.contexts = OscoreContexts(source.randbytes)
        places: dict[str, Place] = {}
        for number in range(FIRST, FIRST + 3):
            keys = keys_of(number)
            window = None if lost else self.disk.windows.get(keys.device, FRESH_WINDOW)
            self.contexts.add(keys, window, self.disk.reserved.get(keys.device, 0))
            places[keys.device] = Place(f"bay-{number:x}", "delivery", "Rue de Bercy", 48.8, 2.3, keys.device)
        self.bays = Bays(list(places.values()))
        self.ingest = Ingest(places, self.committer, [self.bays.apply])
        self.asked: list[Question] = []
        site = Site()
        add_availability(site, self.bays, self.committer.submit)
        site.add("f", HandledBelow(self._file, "urn:pave:files", 42, self.committer.submit))
        site.add("h", Handled(self._hello, "urn:pave:hello", 60, self.committer.submit))
        self.parts = CoapParts(
            contexts=self.contexts,
            ingest=self.ingest,
            committer=self.committer,
            site=site,
            now=lambda: Now(0, WALL_MS, True),
            monotonic=time.monotonic,
            random_below=source.randrange,
            insecure=insecure,
        )

    def _file(self, question: Question) -> Reply:
        bodies = {("digest",): BUNDLE, ("short",): BUNDLE[:8_192]}
        if question.rest not in bodies:
            return Reply(coap.NOT_FOUND)
        return Reply(coap.CONTENT, bodies[question.rest], 42, b"etag")

    def _hello(self, question: Question) -> Reply:
        self.asked.append(question)
        return Reply(coap.CHANGED, b"\xa0", 60)


@contextlib.asynccontextmanager
async def running(gateway: Gateway, host: str = "127.0.0.1") -> AsyncIterator[CoapServer]:
    logging.getLogger("coap-server").setLevel(logging.ERROR)
    server = await coap_site.start(host, 0, gateway.parts)
    try:
        yield server
    finally:
        await server.close()


class Relay(asyncio.DatagramProtocol):
    """The path between devices and a gateway: it loses, repeats and reorders, and can give devices a new address."""

    def __init__(self, server: Any, seed: int, loss: float, repetition: float, delay_s: float) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._loss, self._repetition, self._delay_s = loss, repetition, delay_s
        self._up: dict[Any, asyncio.DatagramTransport] = {}
        self.lost = self.repeated = 0

    async def open(self) -> str:
        loop = asyncio.get_running_loop()
        self._down, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._loop = loop
        return f"coap://127.0.0.1:{self._down.get_extra_info('sockname')[1]}"

    def move(self) -> None:
        """Let the devices have another address from now on."""
        for transport in self._up.values():
            transport.close()
        self._up.clear()

    def close(self) -> None:
        self.move()
        self._down.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._loop.create_task(self._forward(data, addr))

    async def _forward(self, data: bytes, client: Any) -> None:
        if client not in self._up:
            back = _Back(lambda reply: self._pass(lambda: self._down.sendto(reply, client)))
            self._up[client], _ = await self._loop.create_datagram_endpoint(lambda: back, remote_addr=self._server)
        up = self._up[client]
        self._pass(lambda: up.sendto(data))

    def _pass(self, send: Any) -> None:
        if self._random.random() < self._loss:
            self.lost += 1
            return
        copies = 1 + (self._random.random() < self._repetition)
        self.repeated += copies - 1
        for _ in range(copies):
            self._loop.call_later(self._random.random() * self._delay_s, send)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, received: Any) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._received(data)


class Peer:
    """An aiocoap device in its own process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: dict[Any, asyncio.Queue[dict[str, Any]]] = {}
        self._tags = iter(range(1 << 30))
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            self._said.setdefault(said["tag"], asyncio.Queue()).put_nowait(said)

    def send(self, path: str, **fields: Any) -> Any:
        """Start a request; return its tag."""
        assert self._process.stdin is not None
        tag = next(self._tags)
        self._process.stdin.write(json.dumps({"tag": tag, "path": path, **fields}).encode() + b"\n")
        return tag

    async def hear(self, tag: Any, timeout_s: float = 20) -> dict[str, Any]:
        """Return the next response to a request."""
        async with asyncio.timeout(timeout_s):
            return await self._said.setdefault(tag, asyncio.Queue()).get()

    async def ask(self, path: str, timeout_s: float = 20, **fields: Any) -> dict[str, Any]:
        """Send a request and return its response."""
        return await self.hear(self.send(path, **fields), timeout_s)

    async def report(self, seq: int, occupied: bool = True, device: int = FIRST) -> str:
        """Report a reading; return the code."""
        name = Sealer(device).device
        payload = model.pack_readings(name, [model.Reading(name, 1, seq, 0, {"occupied": occupied})])
        said = await self.ask("r", method="POST", payload=payload.hex(), format=112)
        return said.get("code", said.get("failed"))

    async def close(self) -> None:
        self._reading.cancel()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()


def write_context(folder: Path, number: int = FIRST) -> str:
    """Write aiocoap's OSCORE settings for a device; return the folder."""
    keys = keys_of(number)
    folder.mkdir(exist_ok=True)
    settings = {
        "secret_hex": keys.master_secret.hex(),
        "salt_hex": keys.master_salt.hex(),
        "sender-id_hex": keys.recipient_id.hex(),
        "recipient-id_hex": keys.sender_id.hex(),
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return str(folder)


@contextlib.asynccontextmanager
async def device(context: str, uri: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PEER),
        context,
        uri,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    peer = Peer(process)
    try:
        assert await peer.hear("ready", 30)
        yield peer
    finally:
        await peer.close()


def uri_of(server: CoapServer) -> str:
    return "coap://{}:{}".format(*server.address)
