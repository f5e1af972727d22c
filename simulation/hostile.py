"""Spoofed, malformed and replayed packets in front of valid traffic: who is entitled must hardly notice.

    python -m simulation.hostile --for 3600 --rate 5000

One process is the gateway (`hostile_gateway`), this one everybody else, on sockets of real loopback addresses of their
own (127.0.0.0/8), which change all the time. A third of the hostile packets each:

    spoofed    kids of real devices under random Partial IVs and ciphertext, kids of nobody, plain CoAP
    malformed  random bytes, valid requests with bits flipped or cut short, pings, empty ACKs and RSTs, giants
    replayed   what devices of this run have sent, from other addresses

Valid devices send reports, and once more (as RFC 7252 does, only sooner) what is not answered. It passes if at least
99 % of them are acknowledged, no hostile packet is ever answered, and memory and log stay within bounds. Last line: one
JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pave_wire import coap, model, oscore
from pave_wire.coap import CON, POST, Message
from pave_wire.errors import WireError
from simulation import processes
from simulation.hostile_gateway import context_of, keys_of

DEVICES = 200
VALID_PER_S = 100
ATTACKERS = 48
ATTACKER_LIVES_S = 2.0
CAPTURED = 4_096
RESEND_S = (0.5, 1.0, 2.0)  # sooner than RFC 7252's 2 s, or a lost packet would leave its device behind
ACCEPTED_MIN = 0.99
MEMORY_GROWTH_MAX_BYTES = 24_000_000
LOG_LINES_PER_10_S = 20
WARM_UP_S = 3.0
SECOND_LIFE = 1 << 20  # of the devices' numbers, after the warm-up
_TICK_S = 0.01


@dataclass
class Books:
    """What was sent and what came back."""

    valid: int = 0
    acknowledged: int = 0
    first_try: int = 0
    hostile: int = 0
    hostile_answered: int = 0
    latencies_ms: list[float] = field(default_factory=list[float])


class Device(asyncio.DatagramProtocol):
    """One device of the site, which reports for ever and sends again what is not answered."""

    def __init__(self, number: int, first: int, books: Books, captured: list[bytes]) -> None:
        self._context = context_of(number, first)
        self._name = keys_of(number).device
        self._books = books
        self._captured = captured
        self._seq = first
        self._waiting: dict[bytes, tuple[oscore.Exchange, asyncio.Future[None]]] = {}
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take an answer, if it is one and says 2.04."""
        try:
            message = coap.decode(data)
            exchange, done = self._waiting[message.token]
            if oscore.open_response(exchange, message).code == coap.CHANGED and not done.done():
                done.set_result(None)
        except (WireError, KeyError):  # forged, or an answer that has come before
            pass

    async def report(self, source: random.Random) -> None:
        """Send one reading until it is acknowledged, or for the last time."""
        assert self.transport is not None
        self._seq += 1
        values: dict[str, Any] = {"occupied": bool(self._seq & 1), "reason": "field", "confidence": 0.93}
        payload = model.pack_readings(self._name, [model.Reading(self._name, 1, self._seq, 0, values)])
        token = self._seq.to_bytes(4, "big")
        options = [(coap.URI_PATH, b"r"), (coap.CONTENT_FORMAT, b"\x70")]
        request = Message(CON, POST, source.randrange(0x10000), token, options, payload)
        outer, exchange = oscore.seal_request(self._context, request)
        data = coap.encode(outer)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[token] = exchange, done
        self._books.valid += 1
        began_s = time.monotonic()
        for attempt, wait_s in enumerate(RESEND_S):
            self.transport.sendto(data)
            try:
                await asyncio.wait_for(asyncio.shield(done), wait_s)
            except TimeoutError:
                continue
            self._books.acknowledged += 1
            self._captured[source.randrange(CAPTURED)] = data  # not earlier: a packet that never arrived is no replay
            self._books.first_try += attempt == 0
            self._books.latencies_ms.append((time.monotonic() - began_s) * 1000)
            break
        del self._waiting[token]


class Attacker(asyncio.DatagramProtocol):
    """An address that sends what it should not, and counts what it gets for that."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Nothing should ever come."""
        self._books.hostile_answered += 1


class Malice:
    """What the attackers send."""

    def __init__(self, source: random.Random, captured: list[bytes]) -> None:
        self._source = source
        self._captured = captured

    def packet(self) -> bytes:
        """Return the next packet."""
        return self._source.choice((self._spoofed, self._malformed, self._replayed))()

    def _spoofed(self) -> bytes:
        source = self._source
        kind = source.random()
        if kind < 0.2:
            return b"\x41\x02" + source.randbytes(3) + b"\xb1r\x11\x70\xff" + source.randbytes(60)
        kid = keys_of(source.randrange(DEVICES)).recipient_id if kind < 0.7 else source.randbytes(3)
        piv = (source.randrange(1, 1 << 24)).to_bytes(3, "big").lstrip(b"\0")
        value = bytes((0x08 | len(piv),)) + piv + kid
        return b"\x42\x02" + source.randbytes(4) + bytes((0x90 | len(value),)) + value + b"\xff" + source.randbytes(70)

    def _malformed(self) -> bytes:
        source = self._source
        kind = source.random()
        if kind < 0.2:
            return source.randbytes(source.randrange(120))
        if kind < 0.3:
            return bytes((source.choice((0x40, 0x60, 0x70)), 0)) + source.randbytes(2)
        if kind < 0.35:
            return b"\x40\x02" + source.randbytes(1_400)
        data = bytearray(self._replayed())
        for _ in range(source.randint(1, 3)):
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        return bytes(data if kind < 0.8 else data[: source.randrange(len(data))])

    def _replayed(self) -> bytes:
        return self._source.choice(self._captured) or b"\x40\x02\x00\x01\x91\x00\xff"


async def besiege(port: int, for_s: float, rate: int, seed: int, first: int) -> Books:
    """Send both kinds of traffic to a gateway on `port`, devices counting from `first`; return what came of them."""
    source = random.Random(seed)
    books = Books()
    captured: list[bytes] = [b""] * CAPTURED
    devices = [await _open(Device(number, first, books, captured), "127.0.0.1", port) for number in range(DEVICES)]
    attackers: list[Attacker] = []
    malice = Malice(source, captured)
    reports: set[asyncio.Task[None]] = set()
    began_s = moved_s = time.monotonic()
    owed_hostile = owed_valid = 0.0
    last_s = began_s
    while (now_s := time.monotonic()) < began_s + for_s:
        if not attackers or now_s > moved_s + ATTACKER_LIVES_S:
            attackers, moved_s = await _moved(attackers, books, source, port), now_s
        owed_hostile += rate * (now_s - last_s)
        owed_valid += VALID_PER_S * (now_s - last_s)
        last_s = now_s
        while owed_hostile >= 1:
            owed_hostile -= 1
            books.hostile += 1
            transport = source.choice(attackers).transport
            assert transport is not None
            transport.sendto(malice.packet())
        while owed_valid >= 1:
            owed_valid -= 1
            task = asyncio.create_task(source.choice(devices).report(source))
            reports.add(task)
            task.add_done_callback(reports.discard)
        await asyncio.sleep(_TICK_S)
    await asyncio.gather(*reports)
    for endpoint in (*devices, *attackers):
        assert endpoint.transport is not None
        endpoint.transport.close()
    return books


async def _moved(old: list[Attacker], books: Books, source: random.Random, port: int) -> list[Attacker]:
    for attacker in old:
        assert attacker.transport is not None
        attacker.transport.close()
    numbers = [source.sample(range(1, 255), 3) for _ in range(ATTACKERS)]
    return [await _open(Attacker(books), "127.{}.{}.{}".format(*three), port) for three in numbers]


async def _open(endpoint: Any, host: str, port: int) -> Any:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: endpoint, local_addr=(host, 0), remote_addr=("127.0.0.1", port))
    return endpoint


async def campaign(folder: Path, for_s: float, rate: int, seed: int, warm_up_s: float = WARM_UP_S) -> dict[str, Any]:
    """Run a gateway in `folder` under siege and return the report; memory is compared with the end of the warm-up."""
    said = folder / "gateway.log"
    command = [sys.executable, "-m", "simulation.hostile_gateway", str(folder), str(DEVICES)]
    gateway = await processes.start("gateway", command, said)
    try:
        port = int((await gateway.wait_for_line("ready", 20)).split()[1])
        process = psutil.Process(gateway.pid)
        await besiege(port, warm_up_s, rate, seed + 1, 0)
        warm_bytes = process.memory_info().rss
        books = await besiege(port, for_s, rate, seed, SECOND_LIFE)
        grown_bytes = process.memory_info().rss - warm_bytes
    finally:
        await gateway.stop(signal.SIGTERM)
    lines = said.read_text(errors="replace").splitlines()
    latencies = sorted(books.latencies_ms) or [0.0]
    report = asdict(books) | {
        "seed": seed,
        "rate": rate,
        "accepted_share": round(books.acknowledged / max(1, books.valid), 5),
        "p50_ms": round(latencies[len(latencies) // 2], 1),
        "p99_ms": round(latencies[len(latencies) * 99 // 100], 1),
        "memory_grown_bytes": grown_bytes,
        "log_lines": len(lines),
        "gateway": json.loads(lines[-1]),
    }
    del report["latencies_ms"]
    report["passed"] = _passed(report, for_s + warm_up_s)
    return report


def _passed(report: dict[str, Any], lasted_s: float) -> bool:
    return (
        report["valid"] > 0
        and report["accepted_share"] >= ACCEPTED_MIN
        and report["hostile_answered"] == 0
        and report["memory_grown_bytes"] < MEMORY_GROWTH_MAX_BYTES
        and report["log_lines"] <= (lasted_s / 10 + 2) * LOG_LINES_PER_10_S
    )


def main() -> int:
    """Run one campaign; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="for_s", type=float, default=10)
    parser.add_argument("--rate", type=int, default=5_000, help="hostile packets a second")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pave-hostile-") as folder:
        report = asyncio.run(campaign(Path(folder), arguments.for_s, arguments.rate, arguments.seed))
    print(json.dumps(report))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
