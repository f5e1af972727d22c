"""Our SCHC against microschc, another implementation of RFC 8724: same rules, same messages, same packets.

What is compared is the engine: matching, compression actions, lengths, padding. The fields of a message are handed to
it one by one, as its own CoAP parser (0.22) knows no Block2 and no empty option.
"""

import random
from typing import Any

import pytest
from microschc.binary.buffer import Buffer, Padding
from microschc.compressor.compressor import compress as peer_compress
from microschc.decompressor.decompressor import decompress as peer_decompress
from microschc.rfc8724 import (
    CompressionDecompressionAction,
    DirectionIndicator,
    FieldDescriptor,
    FieldLengthDefinitions,
    MatchingOperator,
    MatchMapping,
    PacketDescriptor,
    RuleDescriptor,
    RuleFieldDescriptor,
)
from microschc.ruler.ruler import RuleDescriptorMatchError, Ruler

from pave_wire import coap, schc, schc_rules
from pave_wire.errors import SchcError
from pave_wire.schc_rules import DOWN, ELIDED, MAPPED, RULES, UP

DIRECTIONS = {
    UP: DirectionIndicator.UP,
    DOWN: DirectionIndicator.DOWN,
    schc_rules.BOTH: DirectionIndicator.BIDIRECTIONAL,
}


def field_value(value: int | bytes, bits: int) -> Buffer:
    raw = value if isinstance(value, bytes) else value.to_bytes((bits + 7) // 8, "big")
    return Buffer(content=raw, length=bits)


def peer_field(direction: int, descriptor: Any) -> RuleFieldDescriptor:
    """One of our field descriptors in microschc's terms."""
    field, bits, position, target, action = descriptor
    if action == MAPPED:
        index_bits = (len(target) - 1).bit_length()
        codes = {field_value(code, bits): field_value(at, index_bits) for at, code in enumerate(target)}
        chosen = (MatchMapping(codes), MatchingOperator.MATCH_MAPPING, CompressionDecompressionAction.MAPPING_SENT)
    elif action == ELIDED:
        value = field_value(target, bits)
        chosen = (value, MatchingOperator.EQUAL, CompressionDecompressionAction.NOT_SENT)
    else:
        chosen = (None, MatchingOperator.IGNORE, CompressionDecompressionAction.VALUE_SENT)
    return RuleFieldDescriptor(
        str(field),
        bits or FieldLengthDefinitions.VAR_BYTES,
        position,
        DIRECTIONS[direction],
        *chosen,
    )


PEER_RULES = [
    RuleDescriptor(field_value(rule_id, 8), field_descriptors=[peer_field(directions, field) for field in descriptors])
    for rule_id, directions, descriptors in RULES
]
RULER = Ruler(PEER_RULES)
HEADER = ((schc_rules.VERSION, 2), (schc_rules.TYPE, 2), (schc_rules.TOKEN_LENGTH, 4), (schc_rules.CODE, 8))


def fields_of(message: coap.Message) -> list[FieldDescriptor]:
    """The fields of `message` in the order of RFC 7252, each option's position counted among those of its number."""
    values = (1, message.type, len(message.token), message.code)
    fields = [(field, field_value(value, bits)) for (field, bits), value in zip(HEADER, values, strict=True)]
    fields.append((schc_rules.MID, field_value(message.mid, 16)))
    if message.token:
        fields.append((schc_rules.TOKEN, field_value(message.token, 8 * len(message.token))))
    fields += [(number, field_value(value, 8 * len(value))) for number, value in message.options]
    if message.payload:
        fields.append((schc_rules.MARKER, field_value(0xFF, 8)))
    numbers = [number for number, _ in fields]
    return [
        FieldDescriptor(str(number), value, numbers[: at + 1].count(number))
        for at, (number, value) in enumerate(fields)
    ]


def their_packet(message: coap.Message, direction: int) -> bytes | None:
    """RuleID and packet as microschc makes them of `message`, or None where none of the rules fits."""
    payload = field_value(message.payload, 8 * len(message.payload))
    parsed = PacketDescriptor(DIRECTIONS[direction], fields_of(message), payload)
    try:
        rule = next(RULER.match_packet_descriptor(parsed))
    except RuleDescriptorMatchError:
        return None
    packet: Buffer = peer_compress(parsed, rule)
    return packet.pad(padding=Padding.RIGHT).content


def their_bits(packet: bytes) -> Buffer:
    """The fields and the payload that microschc reads in RuleID and packet, one after the other."""
    buffer = Buffer(content=packet, length=8 * len(packet), padding=Padding.RIGHT)
    return peer_decompress(buffer, RULER.match_schc_packet(buffer))


def our_bits(message: coap.Message) -> Buffer:
    bits = Buffer(content=b"", length=0, padding=Padding.RIGHT)
    for field in fields_of(message):
        bits += field.value
    return bits + field_value(message.payload, 8 * len(message.payload))


def value_of(rng: random.Random, descriptor: Any) -> Any:
    _, bits, _, target, action = descriptor
    if action == ELIDED:
        return target
    if action == MAPPED:
        return rng.choice(target)
    return rng.randbytes(bits // 8 or rng.choice((rng.randrange(15), rng.randrange(65))))


def random_message(rng: random.Random) -> tuple[coap.Message, int]:
    """A message of the contract and a direction it may go."""
    _, directions, descriptors = rng.choice(RULES)
    values = [(descriptor[0], value_of(rng, descriptor)) for descriptor in descriptors]
    header = dict(values)
    options = [(number, value) for number, value in values if number > 0]
    token = header.get(schc_rules.TOKEN, b"")
    payload = rng.randbytes(rng.randrange(1, 120)) if schc_rules.MARKER in header else b""
    message = coap.Message(coap.NON, header[schc_rules.CODE], 0, token, options, payload)
    return message, directions if directions != schc_rules.BOTH else rng.choice((UP, DOWN))


def spoil(rng: random.Random, message: coap.Message) -> None:
    """Change one thing; now and then the result is still within the contract."""
    choice = rng.randrange(6)
    if choice == 0:
        message.type = rng.choice((coap.CON, coap.NON))
    elif choice == 1:
        message.code = rng.choice((coap.GET, coap.POST, coap.PUT, coap.DELETE, coap.CONTENT, 0x5E, 0xA3))
    elif choice == 2:
        message.mid = rng.randrange(3)
    elif choice == 3:
        message.token = rng.randbytes(rng.randrange(3))
    elif choice == 4:
        message.options = [*message.options, (27, b"\x06")]
    else:
        message.payload = rng.choice((b"", b"x"))


def compare(cases: int, seed: int) -> tuple[int, int]:
    """Compress and decompress `cases` messages on both sides; return how many rules fitted and how many none did."""
    rng = random.Random(seed)
    fitting = refused = 0
    for number in range(cases):
        message, direction = random_message(rng)
        if number % 4 == 0:
            spoil(rng, message)
        theirs = their_packet(message, direction)
        try:
            rule_id, packet = schc.compress(message, direction)
        except SchcError:
            assert theirs is None, (seed, number)
            refused += 1
            continue
        fitting += 1
        assert theirs == bytes((rule_id,)) + packet, (seed, number)
        assert coap.encode(schc.decompress(rule_id, packet, direction)) == coap.encode(message), (seed, number)
        assert their_bits(bytes((rule_id,)) + packet) == our_bits(message), (seed, number)
    return fitting, refused


def test_microschc_makes_the_same_packets_and_reads_ours() -> None:
    fitting, refused = compare(1_000, seed=8724)
    assert fitting > 500 and refused > 100


@pytest.mark.long
def test_microschc_agrees_on_100_000_messages() -> None:
    fitting, refused = compare(100_000, seed=random.SystemRandom().randrange(1 << 32))
    print(f"microschc: of 100000 messages {fitting} the same packet on both sides, {refused} refused by both")
    assert fitting > 50_000 and refused > 10_000


def test_a_rule_that_differs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tuple((rule_id ^ 8 if rule_id in (1, 9) else rule_id, *rest) for rule_id, *rest in RULES)
    monkeypatch.setattr(schc, "RULES", changed)
    with pytest.raises(AssertionError):
        compare(200, seed=1)
