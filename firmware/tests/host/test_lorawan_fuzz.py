"""Hostile bytes into every LoRaWAN decoder: a named error or a value, and nothing else."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pave_wire import lorawan, lorawan_join, mac_commands
from pave_wire.aes import decryptor
from pave_wire.cmac import Cmac
from pave_wire.errors import LorawanError
from pave_wire.lorawan import DOWN, UP, Session

KEY = bytes(range(16))
SESSION = Session(0x01020304, KEY, KEY)
SEED = 868

Decoder = Callable[[bytes], object]

DECODERS: list[Decoder] = [
    lorawan.frame_type,
    lorawan.dev_addr,
    lambda data: lorawan.decode_uplink(SESSION, data, 7),
    lambda data: lorawan.decode_downlink(SESSION, data, 0xFFFFFFFE),
    lorawan_join.join_request_euis,
    lambda data: lorawan_join.decode_join_request(KEY, data, 7),
    lambda data: lorawan_join.decode_join_accept(KEY, data),
]


def crashes(decode: Decoder, data: bytes) -> bool:
    """Whether a decoder ends otherwise than it may; the one judge of this file."""
    try:
        decode(data)
    except LorawanError:
        return False
    except Exception:
        return True
    return False


def sealed(data: bytes, fcnt: int) -> bytes:
    """Any bytes as an authentic frame of the session: the content is hostile, its keys are right."""
    if data[:1] and data[0] >> 5 == lorawan.JOIN_ACCEPT:
        plain = (data[1:] + bytes(32))[: 28 if len(data) > 17 else 12]
        return data[:1] + decryptor(KEY)(plain + Cmac(KEY).digest(data[:1] + plain)[:4])
    direction = (data[0] >> 5 & 1) if data else UP
    if data and data[0] >> 5 == lorawan.JOIN_REQUEST:
        return data + Cmac(KEY).digest(data)[:4]
    return data + lorawan._mic(Cmac(KEY), direction, SESSION.dev_addr, fcnt, data)


def random_bytes(rng: random.Random) -> bytes:
    """Bytes that look like a frame as far as a decoder's first checks."""
    head = bytes([rng.choice([0x00, 0x20, 0x40, 0x60, 0x80, 0xA0, rng.randrange(256)])])
    body = rng.randbytes(rng.choice([0, 11, 12, 16, 18, 22, 32, rng.randrange(250)]))
    fcnt = rng.choice([8, rng.randrange(1 << 16)])
    if rng.randrange(2):
        body = b"\4\3\2\1" + bytes([rng.randrange(256)]) + fcnt.to_bytes(2, "little") + body
    data = (head + body)[:251]
    return sealed(data, fcnt) if rng.randrange(2) else data


def campaign(count: int, seed: int) -> int:
    rng = random.Random(seed)
    accepted = 0
    for number in range(count):
        data = random_bytes(rng)
        for index, decode in enumerate(DECODERS):
            assert not crashes(decode, data), f"seed {seed}, case {number}, decoder {index}: {data.hex()}"
        try:
            accepted += isinstance(DECODERS[2](data), lorawan.Frame)
        except LorawanError:
            pass
    return accepted


@given(st.binary(max_size=260))
def test_decoders_of_any_bytes_raise_named_errors_only(data: bytes) -> None:
    for decode in DECODERS:
        assert not crashes(decode, data)


def test_hostile_content_under_the_right_keys_raises_named_errors_only() -> None:
    assert campaign(2_000, SEED) > 50  # and some of it gets through to the end


@pytest.mark.long
def test_100000_hostile_frames_raise_named_errors_only() -> None:
    assert campaign(100_000, SEED + 1) > 2_500


def test_the_judge_sees_a_decoder_that_reads_past_the_end() -> None:
    assert crashes(lambda data: data[300], bytes(12))


@given(st.binary(max_size=242), st.sampled_from([UP, DOWN]))
def test_mac_commands_of_any_bytes_are_read_and_what_was_read_can_be_written_again(data: bytes, direction: int) -> None:
    commands, end = mac_commands.decode(direction, data)
    written = mac_commands.encode(direction, commands)
    assert len(written) <= len(data) and mac_commands.decode(direction, written) == (commands, mac_commands.COMPLETE)
    assert (end == mac_commands.COMPLETE) == (len(written) == len(data))
