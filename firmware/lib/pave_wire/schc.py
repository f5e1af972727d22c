"""SCHC (RFC 8724, section 7; for CoAP RFC 8824): a CoAP message to the payload of a LoRaWAN frame, and back.

A message is taken as a list of fields: version, type, token length, code, message ID, token if any, each option,
the payload marker if there is a payload. The one rule of `schc_rules` that has the same fields in the same order, and
whose targets they match, says what of each is sent. The packet is

    residue of each field, in order | payload | zero bits up to a whole byte

with neither the RuleID, which is the frame's FPort, nor a length: LoRaWAN carries both. A rule with the payload marker
has a payload, one without has none. What no rule fits is refused: there is no uncompressed form and no fragmentation.
"""

from pave_wire import coap, limits
from pave_wire.errors import SchcError
from pave_wire.schc_rules import (
    CODE,
    ELIDED,
    MARKER,
    MID,
    RULES,
    SENT,
    TOKEN,
    TOKEN_LENGTH,
    TYPE,
    VARIABLE,
    VERSION,
)

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.schc_rules import Descriptor, Target

    Field = tuple[int, int, int | bytes]  # field, position, value


class _Bits:
    """A string of `count` bits, the first one the highest of `value`."""

    def __init__(self, data: bytes = b"") -> None:
        self.value = int.from_bytes(data, "big")
        self.count = 8 * len(data)

    def push(self, value: int, count: int) -> None:
        self.value = self.value << count | value
        self.count += count

    def push_bytes(self, data: bytes) -> None:
        self.push(int.from_bytes(data, "big"), 8 * len(data))

    def take(self, count: int) -> int:
        if count > self.count:
            raise SchcError("%d bits where %d are needed" % (self.count, count))
        self.count -= count
        taken = self.value >> self.count
        self.value &= (1 << self.count) - 1
        return taken

    def take_bytes(self, count: int) -> bytes:
        return self.take(8 * count).to_bytes(count, "big")


def compress(message: coap.Message, direction: int) -> tuple[int, bytes]:
    """Return (RuleID, packet bytes) of `message`; `direction` is `schc_rules.UP` or `DOWN`.

    Raises:
        SchcError: no rule fits, or the packet is larger than `limits.SCHC_BYTES`.
    """
    fields = _fields(message)
    for rule_id, directions, descriptors in RULES:
        if directions & direction and _matches(descriptors, fields):
            bits = _Bits()
            for at, descriptor in enumerate(descriptors):
                _push(bits, descriptor, fields[at][2])
            bits.push_bytes(message.payload)
            bits.push(0, -bits.count % 8)
            if bits.count > 8 * limits.SCHC_BYTES:
                raise SchcError("packet of %d bytes; at most %d" % (bits.count // 8, limits.SCHC_BYTES))
            return rule_id, bits.take_bytes(bits.count // 8)
    numbers = [number for number, _ in message.options]
    raise SchcError("no rule for %s with options %r" % (coap.code_text(message.code), numbers))


def decompress(rule_id: int, data: bytes, direction: int) -> coap.Message:
    """Return the `coap.Message` in `data`, the payload of a frame on FPort `rule_id`; `direction` as for `compress`.

    Raises:
        SchcError: an unknown rule, one of the other direction, or bytes that are not what the rule says.
    """
    if len(data) > limits.SCHC_BYTES:
        raise SchcError("packet of %d bytes; at most %d" % (len(data), limits.SCHC_BYTES))
    bits = _Bits(data)
    header: "dict[int, int]" = {}
    token = b""
    options: "list[tuple[int, bytes]]" = []
    for descriptor in _rule(rule_id, direction):
        value = _take(bits, descriptor)
        if isinstance(value, int):
            header[descriptor[0]] = value
        elif descriptor[0] == TOKEN:
            token = value
        else:
            options.append((descriptor[0], value))
    payload = bits.take_bytes(bits.count // 8)
    if bool(payload) != (MARKER in header):
        raise SchcError("%d bytes of payload under rule %d" % (len(payload), rule_id))
    return coap.Message(header[TYPE], header[CODE], header[MID], token, options, payload)


def _rule(rule_id: int, direction: int) -> "tuple[Descriptor, ...]":
    for known, directions, descriptors in RULES:
        if known == rule_id and directions & direction:
            return descriptors
    raise SchcError("no rule %d in this direction" % rule_id)


def _fields(message: coap.Message) -> "list[Field]":
    fields: "list[Field]" = [
        (VERSION, 1, 1),
        (TYPE, 1, message.type),
        (TOKEN_LENGTH, 1, len(message.token)),
        (CODE, 1, message.code),
        (MID, 1, message.mid),
    ]
    if message.token:
        fields.append((TOKEN, 1, message.token))
    for number, value in message.options:
        position = fields[-1][1] + 1 if fields[-1][0] == number else 1
        fields.append((number, position, value))
    if message.payload:
        fields.append((MARKER, 1, 0xFF))
    return fields


def _matches(descriptors: "tuple[Descriptor, ...]", fields: "list[Field]") -> bool:
    if len(descriptors) != len(fields):
        return False
    for at, (number, bits, position, target, action) in enumerate(descriptors):
        found, found_position, value = fields[at]
        if found != number or found_position != position or not _fits(value, bits, target, action):
            return False
    return True


def _fits(value: int | bytes, bits: int, target: "Target", action: int) -> bool:
    if action == ELIDED:
        return value == target
    if isinstance(target, tuple):
        return value in target
    return isinstance(value, bytes) and (len(value) < 0xFF if bits == VARIABLE else 8 * len(value) == bits)


def _push(bits: _Bits, descriptor: "Descriptor", value: int | bytes) -> None:
    _, size, _, target, action = descriptor
    if isinstance(target, tuple):
        bits.push(target.index(value), _index_bits(target))
    elif action == SENT and isinstance(value, bytes):
        if size == VARIABLE:
            bits.push(len(value) if len(value) < 15 else 0xF00 | len(value), 4 if len(value) < 15 else 12)
        bits.push_bytes(value)


def _take(bits: _Bits, descriptor: "Descriptor") -> int | bytes:
    _, size, _, target, action = descriptor
    if isinstance(target, tuple):
        index = bits.take(_index_bits(target))
        if index >= len(target):
            raise SchcError("index %d of %d codes" % (index, len(target)))
        return target[index]
    if action == ELIDED:
        return target
    count = size // 8
    if size == VARIABLE:
        count = bits.take(4)
        if count == 15:
            count = bits.take(8)
            if count == 0xFF:
                raise SchcError("a field of 255 bytes or more")
    return bits.take_bytes(count)


def _index_bits(target: "tuple[int, ...]") -> int:
    bits = 0
    while 1 << bits < len(target):
        bits += 1
    return bits
