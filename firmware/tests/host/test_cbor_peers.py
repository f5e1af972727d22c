"""Our CBOR against other people's: every vector of RFC 8949, Appendix A, and cbor2 in both directions."""

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import cbor2
import pytest

from pave_wire import cbor, limits
from pave_wire.errors import CborError

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "data" / "cbor" / "appendix_a.json"
# What our data model leaves out, by the start of the vector's diagnostic notation or by its bytes
REFUSED = {
    "c249010000000000000000": "tag 2",
    "c349010000000000000000": "tag 3",
    "f0": "simple value 16",
    "f818": "simple value 24",
    "f8ff": "simple value 24",
    "c074323031332d30332d32315432303a30343a30305a": "tag 0",
    "c11a514b67b0": "tag 1",
    "c1fb41d452d9ec200000": "tag 1",
    "d74401020304": "tag 23",
    "d818456449455446": "tag 24",
    "d82076687474703a2f2f7777772e6578616d706c652e636f6d": "tag 32",
}
# What JSON cannot say
DECODED = {
    "f97c00": math.inf, "f9fc00": -math.inf, "fa7f800000": math.inf, "faff800000": -math.inf,
    "fb7ff0000000000000": math.inf, "fbfff0000000000000": -math.inf,
    "f97e00": math.nan, "fa7fc00000": math.nan, "fb7ff8000000000000": math.nan,
    "f7": None, "40": b"", "4401020304": b"\x01\x02\x03\x04", "5f42010243030405ff": b"\x01\x02\x03\x04\x05",
    "a201020304": {1: 2, 3: 4},
}  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type, NaN equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack(">d", one) == struct.pack(">d", other) or (one != one and other != other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return one == other


def vectors() -> list[dict[str, Any]]:
    if not VECTORS.is_file():
        pytest.skip("the vectors of RFC 8949, Appendix A, are not beside the checkout")
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text())
    assert len(found) == 82
    return found


def test_every_vector_of_appendix_a_is_decoded_or_refused_by_name() -> None:
    seen = set()
    for vector in vectors():
        data = bytes.fromhex(vector["hex"])
        if vector["hex"] in REFUSED:
            seen.add(vector["hex"])
            with pytest.raises(CborError, match=REFUSED[vector["hex"]]):
                cbor.loads(data)
        else:
            expected = DECODED[vector["hex"]] if vector["hex"] in DECODED else vector["decoded"]
            assert same(cbor.loads(data), expected), vector
    assert seen == set(REFUSED)


def test_what_appendix_a_calls_round_trip_is_encoded_to_the_same_bytes() -> None:
    encoded = 0
    for vector in vectors():
        if vector["roundtrip"] and vector["hex"] not in REFUSED and vector["hex"] != "f7":  # undefined is read as None
            data = bytes.fromhex(vector["hex"])
            assert cbor.dumps(cbor.loads(data)) == data
            encoded += 1
    assert encoded == 53


def random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(9 if depth < limits.CBOR_DEPTH else 7)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in (1, 2):
        size = rng.choice((5, 8, 16, 32, 64))
        return rng.choice((1, -1)) * rng.randrange(1 << size) if size < 64 else rng.randrange(-(1 << 64), 1 << 64)
    if kind == 3:
        return rng.choice((rng.uniform(-1e6, 1e6), rng.randrange(4096) / 8, math.inf, -0.0, 1e300))
    if kind == 4:
        return struct.unpack(">f", rng.randbytes(4))[0]
    if kind == 5:
        return rng.randbytes(rng.randrange(30))
    if kind == 6:
        return "".join(rng.choice("aé水𐅑 \x00") for _ in range(rng.randrange(12)))
    if kind == 7:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(6))]
    keys = (rng.choice((rng.randrange(-300, 300), f"k{rng.randrange(50)}")) for _ in range(rng.randrange(6)))
    return {key: random_value(rng, depth + 1) for key in keys}


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(changed) + 1)
        if rng.random() < 0.6 and at < len(changed):
            changed[at] = rng.randrange(256)
        elif rng.random() < 0.5:
            changed[at:at] = rng.randbytes(1)
        else:
            del changed[at : at + 1]
    return bytes(changed)


def peer_reads(data: bytes) -> Any:
    """What cbor2 reads; undefined as None, as our data model has it."""
    value = cbor2.loads(data)

    def plain(item: Any) -> Any:
        if isinstance(item, list):
            return [plain(each) for each in item]
        if isinstance(item, dict):
            return {key: plain(each) for key, each in item.items()}
        return None if item is cbor2.undefined else item

    return plain(value)


def differ(cases: int, seed: int) -> tuple[int, int]:
    """Run `cases` values both ways and as many hostile byte strings; return how many of those we accept and refuse."""
    rng = random.Random(seed)
    accepted = refused = 0
    for number in range(cases):
        value = random_value(rng)
        ours, theirs = cbor.dumps(value), cbor2.dumps(value)
        assert same(cbor2.loads(ours), value), (seed, number, value)
        assert same(cbor.loads(theirs), value), (seed, number, value)
        assert len(ours) <= len(theirs), (seed, number, value)
        data = rng.randbytes(rng.randrange(1, 12)) if number % 2 else mutated(rng, theirs)
        try:
            read = cbor.loads(data)
        except CborError:
            refused += 1
            continue
        accepted += 1
        assert same(read, peer_reads(data)), (seed, number, data.hex())
    return accepted, refused


def test_cbor2_reads_what_we_write_and_agrees_on_what_we_accept() -> None:
    accepted, refused = differ(5_000, seed=8949)
    assert accepted > 500 and refused > 500


@pytest.mark.long
def test_cbor2_agrees_on_100_000_values_and_100_000_byte_strings() -> None:
    accepted, refused = differ(100_000, seed=random.SystemRandom().randrange(1 << 32))
    print(f"cbor2: 100000 values both ways; of 100000 byte strings {accepted} accepted, {refused} refused")
    assert accepted > 10_000 and refused > 10_000


def test_a_decoder_that_misreads_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbor, "_half", lambda bits: 1.0)
    with pytest.raises(AssertionError):
        differ(2_000, seed=1)
