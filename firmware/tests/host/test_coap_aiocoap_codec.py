"""Our codec against aiocoap's: the same messages to the same bytes, and agreement about mutated and random bytes."""

import random

import aiocoap
import aiocoap.error
import pytest
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.optiontypes import OpaqueOption, StringOption, UintOption

from pave_wire import coap, limits
from pave_wire.errors import CoapError

CODES = (coap.GET, coap.POST, coap.PUT, coap.FETCH, coap.CONTINUE, coap.CHANGED, coap.CONTENT, coap.NOT_FOUND, 0xA3)
SHORT, LONG = 3_000, 100_000


def random_value(rng, number):
    """A value that aiocoap writes as it reads it: it knows the format of the options it has a name for."""
    made = OptionNumber(number).create_option(decode=b"")
    if isinstance(made, OpaqueOption):
        return rng.randbytes(rng.choice((0, 1, 8, 12, 13, 14, 40, 268, 269, 270)))
    if isinstance(made, StringOption):
        return "".join(rng.choice("abcé/ü0") for _ in range(rng.randrange(30))).encode()
    if isinstance(made, UintOption):
        return coap.uint(rng.getrandbits(rng.randrange(33)))
    return coap.uint(rng.getrandbits(20) << 4 | rng.randrange(2) << 3 | rng.randrange(7))  # a block


def random_message(rng):
    known = (1, 3, 4, 5, 6, 7, 8, 9, 11, 11, 11, 12, 14, 15, 17, 20, 23, 27, 28, 35, 39, 60, 252, 258, 292)
    numbers = [
        rng.choice((rng.choice(known), rng.randrange(1, 0x10000)))
        for _ in range(rng.randrange(limits.COAP_OPTIONS + 1) if rng.random() < 0.3 else rng.randrange(5))
    ]
    options = [(number, random_value(rng, number)) for number in sorted(numbers)]
    payload = rng.randbytes(rng.choice((0, 1, 5, 200)))
    token = rng.randbytes(rng.randrange(9))
    return coap.Message(rng.randrange(4), rng.choice(CODES), rng.getrandbits(16), token, options, payload)


def fields(message):
    return message.type, message.code, message.mid, message.token, list(message.options), message.payload


def aiocoap_fields(message):
    options = [(int(option.number), option.encode()) for option in message.opt.option_list()]
    return int(message.mtype), int(message.code), message.mid, message.token, options, message.payload


def check_message(rng):
    message = random_message(rng)
    try:
        data = coap.encode(message)
    except CoapError:  # a message of random options can exceed a datagram
        assert sum(len(value) for _, value in message.options) + len(message.payload) > 800
        return 0
    theirs = aiocoap.Message.decode(data)
    theirs.direction = aiocoap.message.Direction.OUTGOING
    assert aiocoap_fields(theirs) == fields(message)
    assert theirs.encode() == data
    assert fields(coap.decode(data)) == fields(message)
    return 1


def check_bytes(rng):
    """Return 1 if both took the bytes: mutated messages, so that many are taken."""
    try:
        data = bytearray(coap.encode(random_message(rng)))
    except CoapError:
        return 0
    for _ in range(rng.randrange(1, 4)):
        data[rng.randrange(len(data))] = rng.choice((rng.getrandbits(8), 0xFF, 0xD0, 0x0E))
    if rng.random() < 0.2:
        data = data[: rng.randrange(len(data))]
    if rng.random() < 0.2:
        data = bytes((0x40 | rng.getrandbits(6), rng.getrandbits(8))) + rng.randbytes(rng.randrange(40))
    data = bytes(data)
    try:
        ours = coap.decode(data)
    except CoapError as error:
        ours, refusal = None, str(error)
    try:
        theirs = aiocoap.Message.decode(data)
    except aiocoap.error.UnparsableMessage as error:  # the format itself: no message to anyone
        assert ours is None, (str(error), data)
        return 0
    except ValueError as error:  # beyond the format aiocoap checks values too: text for UTF-8, blocks for their size
        assert ours is None or refusable_value(ours), (str(error), data)
        return 0
    if ours is None:  # where we are stricter, and why (RFC 7252, 3 and 4.1; limits)
        reasons = ("token length", "empty message", "no payload", "more than 16 options", "at most 65535")
        assert any(reason in refusal for reason in reasons), (refusal, data)
        return 0
    got = aiocoap_fields(theirs)
    assert (got[:4], got[5]) == (fields(ours)[:4], ours.payload), data
    canonical = [o for o in ours.options if type(OptionNumber(o[0]).create_option(decode=b"")) is OpaqueOption]
    assert [o for o in got[4] if type(OptionNumber(o[0]).create_option(decode=b"")) is OpaqueOption] == canonical
    assert [number for number, _ in got[4]] == [number for number, _ in ours.options], data
    return 1


def refusable_value(message):
    """Say whether what aiocoap reads as text is no UTF-8, or what it reads as a block has no such size."""
    for number, value in message.options:
        made = OptionNumber(number).create_option(decode=b"")
        if isinstance(made, StringOption):
            try:
                value.decode()
            except UnicodeDecodeError:
                return True
        elif not isinstance(made, (OpaqueOption, UintOption)):  # a block
            if len(value) > 3 or (value and value[-1] & 7 == 7):
                return True
    return False


def campaign(check, cases, seed):
    rng = random.Random(seed)
    agreed = 0
    for case in range(cases):
        try:
            agreed += check(rng)
        except Exception as error:
            raise AssertionError(f"seed {seed}, case {case}: {error}") from error
    print(f"{cases} cases, {agreed} taken by both")
    return agreed


def test_random_messages_have_the_same_bytes_in_both_codecs():
    assert campaign(check_message, SHORT, 1) > SHORT // 2


def test_whatever_bytes_we_take_aiocoap_reads_alike():
    assert campaign(check_bytes, SHORT, 2) > SHORT // 10


@pytest.mark.long
def test_a_hundred_thousand_random_messages_have_the_same_bytes_in_both_codecs():
    assert campaign(check_message, LONG, 3) > LONG // 2


@pytest.mark.long
def test_a_hundred_thousand_mutated_or_random_datagrams_are_read_alike():
    assert campaign(check_bytes, LONG, 4) > LONG // 10


def test_a_wrong_byte_is_seen_by_the_comparison(monkeypatch):
    encode = coap.encode
    monkeypatch.setattr(coap, "encode", lambda message: encode(message)[:3] + b"\x00" + encode(message)[4:])
    with pytest.raises(AssertionError):
        campaign(check_message, 50, 5)


def test_a_codec_that_takes_any_version_is_seen_by_the_comparison(monkeypatch):
    decode = coap.decode
    monkeypatch.setattr(
        coap, "decode", lambda data: decode(bytes((0x40 | data[0] & 0x3F,)) + data[1:] if data else data)
    )
    with pytest.raises(AssertionError, match="Protocol Version must be 1"):
        campaign(check_bytes, SHORT, 2)


def test_a_codec_that_takes_options_cut_short_is_seen_by_the_comparison(monkeypatch):
    decode = coap.decode

    def lenient(data):
        try:
            return decode(data)
        except CoapError as error:
            if "past the end" not in str(error):
                raise
            return decode(data[:4] + data[4 : 4 + (data[0] & 0x0F)])

    monkeypatch.setattr(coap, "decode", lenient)
    with pytest.raises(AssertionError, match="Option announced but absent"):
        campaign(check_bytes, SHORT, 2)
