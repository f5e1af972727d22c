"""What the tests of the CoAP front need: devices with keys, a disk in memory, a front without a socket."""

import itertools
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pave_gateway.core.committer import (
    CommitFailed,
    Committed,
    CommitterBusy,
    Conflicted,
    Done,
    Outcome,
    Outdated,
    Row,
)
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import Now
from pave_gateway.core.keys import DeviceKeys
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.core.places import Place
from pave_gateway.core.rows import ReadingRow, ReplayRow, SenderRow, StoredReading
from pave_gateway.ingress.coap_changes import Changing
from pave_gateway.ingress.coap_counters import CoapCounters, Drops
from pave_gateway.ingress.coap_front import CoapFront, FrontParts
from pave_gateway.ingress.oscore_gate import Reservation
from pave_wire import coap, model, oscore
from pave_wire.coap import CON, POST, Message
from pave_wire.oscore_context import FRESH_WINDOW, Context

HERE = ("127.0.0.1", 40001)
ELSEWHERE = ("127.0.0.1", 40002)
WALL_MS = 1_800_000_000_000
GATEWAY_ID = b"\x80GW"
ERA_JUMP = 1 << 30


def device_name(number: int) -> str:
    return f"24a160fffe{number:06x}"


def keys_of(number: int, id_context: bytes | None = None, gateway_id: bytes = GATEWAY_ID) -> DeviceKeys:
    secret = random.Random(number).randbytes(16)
    return DeviceKeys(device_name(number), secret, b"salt", gateway_id, number.to_bytes(3, "big"), id_context)


class Sealer:
    """A device: what it seals, and what it opens."""

    def __init__(self, number: int = 0x101, sequence: int = 0, id_context: bytes | None = None) -> None:
        keys = keys_of(number, id_context)
        self.device = keys.device
        self.context = Context(
            keys.master_secret, keys.master_salt, keys.recipient_id, keys.sender_id, sequence, FRESH_WINDOW, id_context
        )
        self.context.reserve(1 << 40)
        self.mids = itertools.count(random.Random(number).randrange(0x8000))
        self.exchanges: dict[bytes, oscore.Exchange] = {}  # by token

    def seal(self, message: Message) -> bytes:
        """Return the datagram of a request; its message ID and token are set if it has none."""
        message.mid = message.mid or next(self.mids) & 0xFFFF
        message.token = message.token or message.mid.to_bytes(2, "big")
        outer, self.exchanges[message.token] = oscore.seal_request(self.context, message)
        return coap.encode(outer)

    def report(self, seq: int, kind: int = CON, occupied: bool = True, **fields: Any) -> bytes:
        """Return the datagram of a report of one reading."""
        values: dict[str, Any] = {"occupied": occupied, "reason": "field", **fields}
        payload = model.pack_readings(self.device, [model.Reading(self.device, 1, seq, 0, values)])
        return self.seal(post(payload, kind=kind))

    def open(self, datagram: bytes) -> Message:
        """Return the response in a datagram from the gateway."""
        message = coap.decode(datagram)
        return oscore.open_response(self.exchanges[message.token], message)

    def code(self, datagram: bytes) -> str:
        """Return the code inside, as "2.04"."""
        return coap.code_text(self.open(datagram).code)


def post(payload: bytes, content_format: int | None = 112, path: str = "r", kind: int = CON) -> Message:
    options = [(coap.URI_PATH, path.encode())]
    if content_format is not None:
        options.append((coap.CONTENT_FORMAT, coap.uint(content_format)))
    return Message(kind, POST, 0, b"", options, payload)


def get(path: str, *options: tuple[int, bytes], kind: int = CON) -> Message:
    own = [(coap.URI_PATH, part.encode()) for part in path.split("/")]
    return Message(kind, coap.GET, 0, b"", coap.ordered([*own, *options]))


@dataclass(frozen=True)
class ValueRow:
    """A value and its version, which must follow the one on disk."""

    name: str
    version: int
    value: str


@dataclass
class MemoryDisk:
    """A journal in memory. What is in it survives `kill`; what waits does not."""

    windows: dict[str, tuple[int, int]] = field(default_factory=dict)
    reserved: dict[str, int] = field(default_factory=dict)
    readings: dict[str, ReadingRow] = field(default_factory=dict)
    values: dict[str, tuple[int, str]] = field(default_factory=dict)
    keeps_windows: bool = True  # False: the negative control, a gateway whose windows are no part of the transaction

    def write(self, rows: Sequence[Row]) -> Outcome:
        stored: list[StoredReading] = []
        for row in rows:
            if isinstance(row, ValueRow) and self.values.get(row.name, (0, ""))[0] != row.version - 1:
                return Outdated(f"{row.name} has another version than {row.version - 1}")
            if isinstance(row, ReadingRow):
                known = self.readings.get(row.identity)
                if known is not None and known.values != row.values:
                    return Conflicted(row.identity)
        for row in rows:
            if isinstance(row, ReadingRow) and row.identity not in self.readings:
                self.readings[row.identity] = row
                stored.append(StoredReading(len(self.readings), row))
            elif isinstance(row, ReplayRow) and self.keeps_windows:
                self.windows[row.device] = (row.highest, row.seen)
            elif isinstance(row, SenderRow):
                assert row.reserved >= self.reserved.get(row.device, 0), "a reservation went back"
                self.reserved[row.device] = row.reserved
            elif isinstance(row, ValueRow):
                self.values[row.name] = (row.version, row.value)
        return Committed(tuple(stored))


class MemoryCommitter:
    """Commits to a `MemoryDisk` when `flush` is called, or at once."""

    def __init__(self, disk: MemoryDisk, at_once: bool = True, max_queued: int = 4096) -> None:
        self.disk = disk
        self.at_once = at_once
        self.queue: list[tuple[Sequence[Row], Done]] = []
        self.max_queued = max_queued
        self.fault = ""  # why commits fail
        self.groups: list[Sequence[Row]] = []  # that were committed

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        if len(self.queue) >= self.max_queued:
            raise CommitterBusy("full")
        self.queue.append((list(rows), done))
        if self.at_once:
            self.flush()

    def flush(self, groups: int = 1 << 30) -> None:
        taken, self.queue = self.queue[:groups], self.queue[groups:]
        for rows, done in taken:
            outcome = CommitFailed(self.fault) if self.fault else self.disk.write(rows)
            if isinstance(outcome, Committed):
                self.groups.append(rows)
            done(outcome)

    async def close(self, timeout_s: float) -> None:
        self.flush()


class NoTokens:
    """In place of aiocoap: remembers what was handed to it."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, Message]] = []

    def request(self, request: Any, message: Message) -> None:
        self.requests.append((request, message))

    def expects(self, token: bytes, address: Any) -> bool:
        return False

    def delivered(self, delivery: Any) -> None:
        pass

    def moved(self, context: Any) -> None:
        pass


class Bench:
    """A front on a `MemoryDisk`, without socket or clock."""

    def __init__(
        self,
        devices: int = 3,
        disk: MemoryDisk | None = None,
        at_once: bool = True,
        insecure: bool = False,
        lost: bool = False,
        committer: Any = None,
        seed: int = 1,
        changing: dict[bytes, Changing] | None = None,
        gateway_id: bytes = GATEWAY_ID,
        reservation: Reservation = lambda device: 0,
    ) -> None:
        self.disk = disk or MemoryDisk()
        self.committer = committer or MemoryCommitter(self.disk, at_once)
        source = random.Random(seed)
        self.contexts = OscoreContexts(source.randbytes)
        places: dict[str, Place] = {}
        for number in range(0x101, 0x101 + devices):
            keys = keys_of(number, gateway_id=gateway_id)
            window = None if lost else self.disk.windows.get(keys.device, FRESH_WINDOW)
            self.contexts.add(keys, window, self.disk.reserved.get(keys.device, 0) + (ERA_JUMP if lost else 0))
            places[keys.device] = Place(f"bay-{number:x}", "delivery", "Rue de Bercy", 48.8, 2.3, keys.device)
        self.counters = CoapCounters()
        self.now_ms = 1_000
        self.woken = 0
        self.ingest = Ingest(places, self.committer, [])
        drops = Drops(self.counters, logging.getLogger("pave_gateway.test"), lambda: self.now_ms / 1000)
        parts = FrontParts(
            self.contexts,
            self.ingest,
            self.committer,
            lambda: Now(0, WALL_MS, True),
            source.randrange,
            drops,
            self.counters,
            insecure,
            reservation,
            changing or {},
        )
        self.front = CoapFront(parts, self._wake)
        self.tokens: Any = NoTokens()
        self.front.tokens = self.tokens

    def _wake(self) -> None:
        self.woken += 1

    def put(self, data: bytes, address: Any = HERE) -> list[bytes]:
        """Let a datagram arrive; return what is sent, all of it to where it came from."""
        self.front.receive(data, address, self.now_ms)
        return self.sent(address)

    def sent(self, address: Any = HERE) -> list[bytes]:
        """Return what is sent."""
        out = self.front.datagrams_to_send(self.now_ms)
        assert all(to == address for _, to in out), out
        return [data for data, _ in out]

    def flush(self, address: Any = HERE) -> list[bytes]:
        """Commit what waits; return what is sent."""
        self.committer.flush()
        return self.sent(address)

    def later(self, ms: int, address: Any = HERE) -> list[bytes]:
        """Let time pass, timer by timer; return what is sent."""
        end_ms = self.now_ms + ms
        out: list[bytes] = []
        while (due_ms := self.front.next_timeout()) is not None and due_ms <= end_ms:
            self.now_ms = max(due_ms, self.now_ms)
            self.front.handle_timeout(self.now_ms)
            out += self.sent(address)
        self.now_ms = end_ms
        return out

    def killed(self, **changes: Any) -> "Bench":
        """Return the gateway that starts after this one was killed: what was on disk is all it knows."""
        return Bench(disk=self.disk, seed=2, **changes)


def watch_seals(bench: Bench, seen: dict[tuple[str, bytes], bytes]) -> None:
    """Raise AssertionError when a key and nonce of this gateway seal twice; over several gateways with one `seen`."""
    for device in list(bench.contexts._kids):
        context = bench.contexts.of_device(device)
        assert context is not None
        context.seal = _once(context.seal, device, seen)


def _once(seal: Any, device: str, seen: dict[tuple[str, bytes], bytes]) -> Any:
    def once(nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        assert (device, nonce) not in seen, "a (key, nonce) sealed twice"
        seen[device, nonce] = plaintext
        return seal(nonce, plaintext, aad)

    return once
