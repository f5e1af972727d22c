"""Properties of the gateway's CoAP front: its two quick readers against `pave_wire`, and the whole of it.

Each takes what it checks as an argument, so that the controls can give it one with a planted bug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fuzz.helpers import DEVICE, as_steps, steps

GATEWAY_ID, KID = b"gateway", b"\x24\xa1\x60"
SECRET = bytes(range(16))
STRANGER, DEVICE_AT = ("203.0.113.9", 5683), ("192.0.2.1", 5683)
_FRONTS: dict[str, Front] = {}


# The pack


def _seen(reader: Callable[[bytes], Any], data: bytes) -> Any:
    """Return what a reader made of a pack, so that NaN equals itself and 1, 1.0 and True differ; None: refused."""
    from pave_wire.errors import WireError

    try:
        readings = reader(data)
    except WireError:
        return None
    return readings and [
        (one.device, one.epoch, one.seq, repr(one.age_s), [(name, repr(value)) for name, value in one.values.items()])
        for one in readings
    ]


def pack_is_read_alike(data: bytes, usual: Callable[[bytes, str], Any] | None = None) -> None:
    """What the quick reader takes, `pave_wire` reads the same; the rest it leaves alone, without an error."""
    from pave_gateway.ingress import coap_pack
    from pave_wire import model

    quick = _seen(lambda pack: (usual or coap_pack.usual)(pack, DEVICE), data)
    if quick is not None:
        assert quick == _seen(model.unpack_readings, data)


def pack_seeds() -> list[bytes]:
    """What devices write: short and long ages, several readings, every kind of value."""
    from pave_wire import model

    presence: dict[str, Any] = {"occupied": True, "reason": "field", "confidence": 0.93, "field": 3.1e-5}
    health: dict[str, Any] = {"battery": 3.61, "temperature": -4.5}
    ages: list[float] = [0, 3, 300, 70_000, 1.5]
    return [
        *(model.pack_readings(DEVICE, [model.Reading(DEVICE, 28_000_000, 42, age_s, presence)]) for age_s in ages),
        model.pack_readings(DEVICE, [model.Reading(DEVICE, 1, seq, 1, {"blind": True}) for seq in range(3)]),
        model.pack_readings(DEVICE, [model.Reading(DEVICE, 1, 70_000, 1, health)]),
    ]


# The outside


def outside_is_found_alike(data: bytes, outside: Callable[[bytes], Any] | None = None) -> None:
    """The quick look at a datagram finds the OSCORE message that `pave_wire` finds, and no other."""
    from pave_gateway.ingress import coap_parse
    from pave_wire import coap

    try:
        found = (outside or coap_parse.outside)(data) if coap_parse.header(data)[0] < 2 else None
    except coap_parse.Unacceptable:
        found = None
    assert found == _found_slowly(data)
    if found is not None:
        message, read = coap_parse.opaque(data), coap.decode(data)
        assert coap_parse.header(data) == (read.type, read.code, read.mid) == (message.type, message.code, message.mid)
        assert coap_parse.token(data) == read.token == message.token


def _found_slowly(data: bytes) -> Any:
    from pave_wire import coap
    from pave_wire.ccm import TAG_BYTES
    from pave_wire.errors import WireError
    from pave_wire.oscore_options import check_outer, decode_value, oscore_value

    try:
        message = coap.decode(data)
        if message.type > 1 or message.code not in (coap.POST, coap.FETCH) or len(message.payload) <= TAG_BYTES:
            return None
        check_outer(message.options)
        piv, kid, kid_context = decode_value(oscore_value(message.options))
    except WireError:
        return None
    return (piv, kid, kid_context, message.payload) if piv and kid is not None else None


def outside_seeds() -> list[bytes]:
    """OSCORE requests: usual, with Observe, Uri-Host, a kid context, a long Partial IV."""
    from pave_wire import coap
    from pave_wire.oscore_options import encode_value

    sealed = bytes(20)
    usual, long = encode_value(b"\x05", KID), encode_value(b"\x01\x02\x03\x04\x05", KID, b"site")
    return [
        coap.encode(coap.Message(coap.CON, coap.POST, 1, b"tk", [(coap.OSCORE, usual)], sealed)),
        coap.encode(coap.Message(coap.NON, coap.FETCH, 2, b"", [(coap.OBSERVE, b""), (coap.OSCORE, usual)], sealed)),
        coap.encode(coap.Message(coap.CON, coap.POST, 3, bytes(8), [(3, b"host"), (coap.OSCORE, long)], sealed)),
        coap.encode(coap.Message(coap.CON, coap.GET, 4, b"", [(coap.URI_PATH, b"a")])),
    ]


# The whole


class Disk:
    """Commits what is handed to it when `flush` is called."""

    def __init__(self) -> None:
        self.queue: list[tuple[Sequence[object], Callable[[Any], None]]] = []

    def submit(self, rows: Sequence[object], done: Callable[[Any], None], urgent: bool = False) -> None:
        """See `core.committer.Committer`."""
        self.queue.append((rows, done))

    def flush(self) -> None:
        """Commit all, and what follows from it."""
        from pave_gateway.core.committer import Committed
        from pave_gateway.core.rows import ReadingRow, StoredReading

        while self.queue:
            rows, done = self.queue.pop(0)
            done(Committed(tuple(StoredReading(1, row) for row in rows if isinstance(row, ReadingRow))))


class Handed:
    """In place of aiocoap: answers 2.05 to whatever reaches it."""

    def __init__(self, front: Any) -> None:
        self._front = front

    def request(self, request: Any, message: Any) -> None:
        """Take a request."""
        from pave_wire import coap

        self._front.outbox.answer(request, coap.Message(coap.ACK, coap.CONTENT, 0, b"", [], b"body"))

    def expects(self, token: bytes, address: Any) -> bool:
        """No request is out."""
        return False

    def delivered(self, delivery: Any) -> None:
        """Nothing of ours is confirmable."""

    def moved(self, context: Any) -> None:
        """Nobody observes."""


class Front:
    """A front with one device that has been heard, and the device."""

    def __init__(self, insecure: bool = False) -> None:
        import logging

        from pave_gateway.core.ingest import Ingest
        from pave_gateway.core.instant import Now
        from pave_gateway.core.keys import DeviceKeys
        from pave_gateway.core.oscore_contexts import OscoreContexts
        from pave_gateway.core.places import Place
        from pave_gateway.core.shadow_resources import Reply
        from pave_gateway.ingress.coap_changes import Changing
        from pave_gateway.ingress.coap_counters import CoapCounters, Drops
        from pave_gateway.ingress.coap_front import CoapFront, FrontParts
        from pave_wire import coap
        from pave_wire.oscore_context import FRESH_WINDOW, Context

        self.disk: Any = Disk()
        contexts = OscoreContexts(bytes)
        contexts.add(DeviceKeys(DEVICE, SECRET, b"", GATEWAY_ID, KID, None), FRESH_WINDOW, 0)
        place = Place("bay", "delivery", "Rue de Bercy", 48.8, 2.3, DEVICE)
        counters = CoapCounters()
        quiet = logging.getLogger("fuzz")
        quiet.disabled = True
        parts = FrontParts(
            contexts,
            Ingest({DEVICE: place}, self.disk),
            self.disk,
            lambda: Now(0, 1_800_000_000_000, True),
            lambda below: below // 2,
            Drops(counters, quiet, lambda: 0.0),
            counters,
            insecure,
            changing={b"h": Changing(lambda question: Reply(coap.CHANGED, question.payload, 60), self.disk.submit)},
        )
        self.front: Any = CoapFront(parts, lambda: None)
        self.front.tokens = Handed(self.front)
        self.context: Any = contexts.of_device(DEVICE)
        self.device = Context(SECRET, b"", KID, GATEWAY_ID, 0, FRESH_WINDOW)
        self.device.reserve(1 << 39)
        self.captured = [self.sealed(plaintext) for plaintext in plaintexts()]
        for data in self.captured:
            self.put(data, DEVICE_AT)
        self.disk.flush()
        self.sent()

    def sealed(self, plaintext: bytes) -> bytes:
        """Return a request of the device with this inside; its Partial IV is its message ID and token too."""
        from pave_wire import coap
        from pave_wire.oscore_options import encode_value

        number = self.device.take_number()
        piv = number.to_bytes(5, "big").lstrip(b"\0") or b"\0"
        sealed = self.device.seal(self.device.sender_nonce(number), plaintext, self.device.own_request_aad(piv))
        option = (coap.OSCORE, encode_value(piv, KID))
        return coap.encode(coap.Message(coap.CON, coap.POST, number & 0xFFFF, piv, [option], sealed))

    def put(self, data: bytes, address: Any) -> None:
        """Let a datagram arrive."""
        self.front.receive(data, address, 0)

    def sent(self) -> list[tuple[bytes, Any]]:
        """Return what is sent."""
        return self.front.datagrams_to_send(0)


def plaintexts() -> list[bytes]:
    """What is inside requests: a report, one that is none, GET with Observe, POST and PUT, too long a path."""
    return [
        b"\2\xb1r\x11\x70\xff" + pack_seeds()[0],
        b"\2\xb1r\x11\x70\xff\xa0",
        b"\1\x60\x51a",
        b"\2\xb1h\x11\x3c\xff\xa0",
        b"\3\xb1s\x11\x3c\xd1\x0a\x00\xffx",
        b"\1\xb1a\x01b\xd1\x04\x06",
    ]


def stranger_meets_silence(data: bytes, made: Callable[[], Front] | None = None) -> None:
    """Datagrams that no device has sealed just now: nothing is answered, stored or remembered, and nothing raises."""
    front = _front("secure", made)
    before = front.context.window
    for piece in steps(data):
        front.put(piece, STRANGER)
    assert front.sent() == [], "a stranger was answered"
    assert not front.disk.queue and front.context.window == before and front.front.next_timeout() is None
    assert front.context.address == DEVICE_AT


def stranger_seeds() -> list[bytes]:
    """Captured requests, with one bit changed too, and what is no request."""
    captured = Front().captured
    forged = [data[:-1] + bytes((data[-1] ^ 1,)) for data in captured]
    others = [
        b"\x40\0\0\1",
        b"\x60\0\0\1",
        b"\x70\0\0\1",
        b"\x61\x45\0\1t\xffx",
        b"\x40\1\0\1\xb1a",
        b"\x40\2\0\1\x90\xff",
    ]
    return [as_steps([data]) for data in (*captured, *forged, *others, *outside_seeds())]


def inside_is_answered_to_its_device(data: bytes, made: Callable[[], Front] | None = None) -> None:
    """`data` sealed by a device: its window goes to disk before any word leaves, and every word is sealed for it."""
    from pave_wire import coap
    from pave_wire.oscore_options import decode_value, oscore_value

    front = _front("inside", made)
    front.put(front.sealed(data), DEVICE_AT)
    assert front.sent() == [], "answered before the commit"
    front.disk.flush()
    number = front.device.sequence - 1
    for reply, address in front.sent():
        message = coap.decode(reply)
        piv, kid, _ = decode_value(oscore_value(message.options))
        assert address == DEVICE_AT and kid in (None, GATEWAY_ID)
        nonce = front.device.recipient_nonce(int.from_bytes(piv, "big")) if piv else front.device.sender_nonce(number)
        aad = front.device.own_request_aad(message.token)
        assert front.device.open(nonce, message.payload, aad)[0] >> 5 in (2, 4, 5)


def plain_is_bounded(data: bytes) -> None:
    """Where plain CoAP is allowed it gets plain answers, at the most one for each datagram."""
    from pave_wire import coap

    front = _front("plain", lambda: Front(insecure=True))
    before = front.context.window
    pieces = steps(data)
    for piece in pieces:
        front.put(piece, STRANGER)
        front.disk.flush()
    replies = front.sent()
    assert len(replies) <= len(pieces) and front.context.window == before
    for reply, address in replies:
        assert address == STRANGER and coap.decode(reply).type in (coap.ACK, coap.NON)


def plain_seeds() -> list[bytes]:
    """Requests as of devices, without OSCORE."""
    head = b"\x41\2\0"
    return [as_steps([head[:1] + text[:1] + b"\0\1t" + text[1:]]) for text in plaintexts()] + stranger_seeds()


def _front(name: str, made: Callable[[], Front] | None) -> Front:
    """Return the front that lives through a run: made once, for deriving keys would be most of the time."""
    if name not in _FRONTS:
        _FRONTS[name] = (made or Front)()
    return _FRONTS[name]
