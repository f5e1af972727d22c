"""A frame's payload as the CoAP message it stands for, and what that says; responses on their way back."""

from dataclasses import dataclass

from pave_gateway.core.lorawan.acknowledgement import BAD_REQUEST, FORBIDDEN, UNSUPPORTED_FORMAT
from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_gateway.core.lorawan.progress import Identity, Progress
from pave_wire import coap, event, limits, model, schc, schc_rules, senml
from pave_wire.errors import EventError, SchcError, WireError
from pave_wire.reading import Reading

_INTERNAL_ERROR = 0xA0  # 5.00


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of one device, oldest first. `oldest`: nothing older waits in its outbox."""

    readings: tuple[Reading, ...]
    oldest: bool
    is_event: bool


@dataclass(frozen=True, slots=True)
class Greeting:
    """A hello, to be answered under its token."""

    payload: bytes
    token: bytes


@dataclass(frozen=True, slots=True)
class Other:
    """A request to the gateway, or a response to one of its own."""

    message: coap.Message

    @property
    def is_response(self) -> bool:
        """Whether it answers."""
        return self.message.code >= coap.CREATED


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Authentic, and of no use.

    Attributes:
        before_hello: An event whose low bits mean nothing yet.
        code: CoAP code of the refusal, 0 for silence.
        identity: The reading refused, as far as it can be read.
    """

    before_hello: bool = False
    code: int = 0
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """A frame without a payload."""


Found = Batch | Greeting | Other | Unreadable | Nothing


def read(device: str, port: int | None, data: bytes, progress: Progress) -> Found:
    """Return what a payload of `device` says, given where it stands."""
    if not port:
        return Nothing()
    try:
        message = schc.decompress(port, data, schc_rules.UP)
    except SchcError:
        return Unreadable()
    if message.code == coap.POST and message.path == model.PATH_READINGS:
        if message.option(coap.CONTENT_FORMAT) == coap.uint(event.CONTENT_FORMAT):
            return _event(device, message.payload, progress)
        return _batch(device, message)
    if message.code == coap.POST and message.path == model.PATH_HELLO:
        return Greeting(message.payload, message.token)
    return Other(message)


def response(token: bytes, message: coap.Message, expires_ms: int) -> tuple[Message, ...]:
    """Return `message` as the response to a request with `token`; 5.00 where no rule of SCHC fits it."""
    answer = coap.Message(coap.NON, message.code, 0, token, message.options, message.payload)
    try:
        port, packet = schc.compress(answer, schc_rules.DOWN)
    except SchcError:
        port, packet = schc.compress(coap.Message(coap.NON, _INTERNAL_ERROR, 0, token), schc_rules.DOWN)
    return (Message(port, packet, Priority.RESPONSE, expires_ms=expires_ms),)


def _event(device: str, payload: bytes, progress: Progress) -> Found:
    if not progress.known:
        return Unreadable(before_hello=True)
    try:
        found = event.decode(payload)
    except EventError:
        identity = progress.extend(payload[2], payload[3] << 8 | payload[4]) if len(payload) >= 5 else None
        return Unreadable(code=UNSUPPORTED_FORMAT, identity=identity)
    epoch, seq = progress.extend(found.epoch_low, found.seq_low)
    if epoch > limits.EPOCH_MAX or seq > limits.SEQ_MAX:
        return Unreadable(code=BAD_REQUEST, identity=(epoch, seq))
    return Batch((found.reading(device, epoch, seq),), found.oldest, True)


def _batch(device: str, message: coap.Message) -> Found:
    try:
        readings = model.unpack_readings(message.payload)
    except WireError:
        return Unreadable(code=BAD_REQUEST, identity=_identity(message.payload))
    if readings[0].device != device:
        return Unreadable(code=FORBIDDEN, identity=(readings[0].epoch, readings[0].seq))
    oldest = message.option(coap.URI_QUERY) == model.QUERY_OLDEST.encode()
    return Batch(tuple(readings), oldest, False)


def _identity(payload: bytes) -> Identity | None:
    """Return the first identity in a pack that is SenML but no readings."""
    try:
        records = senml.resolve(senml.decode(payload))
    except WireError:
        return None
    found = {"epoch": -1, "seq": -1}
    for record in reversed(records):
        name, value = record["n"].rpartition("_")[2], record.get("v")
        if name in found and isinstance(value, int) and 0 <= value <= limits.SEQ_MAX:
            found[name] = value
    return (found["epoch"], found["seq"]) if min(found.values()) >= 0 else None
