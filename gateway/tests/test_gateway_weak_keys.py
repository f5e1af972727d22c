"""Technicians' keys of small order: a record is forged under each, and refused. Which they are RFC 8032 says."""

import hashlib
import json
from itertools import product

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from gateway_support import site_file
from registry_support import content

from pave_gateway.config import ConfigError, load
from pave_gateway.core.keys_record import _SIGNED, RecordError, parse, verify
from pave_gateway.core.weak_keys import is_small_order

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
NEUTRAL = (0, 1)
Point = tuple[int, int]


def added(a: Point, b: Point) -> Point:
    """Return a + b on the curve (RFC 8032, 5.1.4, in affine coordinates)."""
    across, both = (a[0] * b[1] + a[1] * b[0]) % P, a[1] * b[1] + a[0] * b[0]
    product_ = D * a[0] * b[0] * a[1] * b[1] % P
    return across * pow(1 + product_, -1, P) % P, both * pow(1 - product_, -1, P) % P


def times(count: int, point: Point) -> Point:
    found = NEUTRAL
    for bit in bin(count)[2:]:
        found = added(found, found)
        found = added(found, point) if bit == "1" else found
    return found


def decoded(key: bytes) -> Point | None:
    """Return the point of an encoding, canonical or not (RFC 8032, 5.1.3); None where there is none."""
    number = int.from_bytes(key, "little")
    y, odd = (number & ((1 << 255) - 1)) % P, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    for root in (x, x * pow(2, (P - 1) // 4, P) % P):
        if root * root % P == square:
            return (root if root % 2 == odd else -root % P), y
    return None


def encodings() -> list[bytes]:
    """Return every encoding of every point of order 1, 2, 4 and 8, from the curve and not from a list."""
    seed = next(
        torsion for y in range(2, 100)
        if (point := decoded(y.to_bytes(32, "little"))) is not None
        and times(4, torsion := times(ORDER, point)) != NEUTRAL
    )  # fmt: skip
    ys = {times(count, seed)[1] for count in range(8)}
    raw = [y + more for y in ys for more in (0, P) if y + more < 1 << 255]
    return [(y | sign << 255).to_bytes(32, "little") for y, sign in product(raw, (0, 1))]


SMALL = encodings()


def forged(key: bytes) -> bytes | None:
    """Return the content of a record with a signature that OpenSSL takes for one of `key`; made without a secret."""
    points = {point for one in SMALL if (point := decoded(one)) is not None}
    for note in range(64):
        fields = content(signer=key.hex()) | {"note": str(note)}
        rest = json.dumps(fields).encode()
        for x, y in sorted(points):
            signature = (y | (x & 1) << 255).to_bytes(32, "little") + bytes(32)  # R and S = 0
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, _SIGNED + rest)
            except (InvalidSignature, ValueError):
                continue
            return signature + rest
    return None


def test_there_are_eight_points_and_every_encoding_of_them_is_known():
    assert len({decoded(one) for one in SMALL}) == 8
    assert len(SMALL) == 14
    assert all(is_small_order(one) for one in SMALL)


@pytest.mark.parametrize("key", SMALL, ids=bytes.hex)
def test_a_record_forged_under_a_small_order_key_is_refused_and_its_key_too(key, tmp_path):
    record = forged(key)
    assert record is not None, "OpenSSL takes the forgery: that the gateway refuses it is of use"
    with pytest.raises(RecordError, match="a point of small order"):
        verify(parse(record))
    technician = f'[[registry.technician]]\nname = "Jeanne"\nkey = "{key.hex()}"\n'
    with pytest.raises(ConfigError) as caught:
        load(site_file(tmp_path, technician))
    assert f"registry.technician.1.key: '{key.hex()[:8]}" in str(caught.value)
    assert "anybody can sign under this one" in str(caught.value)


def test_keys_of_people_are_taken():
    for number in range(200):
        seed = hashlib.sha256(str(number).encode()).digest()
        assert not is_small_order(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())
    assert not is_small_order((2).to_bytes(32, "little"))
