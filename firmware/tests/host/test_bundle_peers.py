"""P-256 and bundles against OpenSSL, by the `cryptography` package."""

import random

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pave_wire import bundle, cose, p256
from pave_wire.errors import CoseSignatureError

SEED = 20261123


def raw_signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def raw_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def check_signatures(count: int) -> None:
    rng = random.Random(SEED)
    for case in range(count):
        key = ec.derive_private_key(rng.randrange(1, p256._N), ec.SECP256R1())
        message = rng.randbytes(rng.randrange(200))
        signature = raw_signature(key, message)
        assert p256.verify(raw_public(key), message, signature), (SEED, case)
        wrong = bytearray(signature)
        wrong[rng.randrange(64)] ^= 1 << rng.randrange(8)
        assert not p256.verify(raw_public(key), message, bytes(wrong)), (SEED, case)


def test_what_openssl_signs_we_verify_and_with_a_bit_changed_we_refuse() -> None:
    check_signatures(100)


@pytest.mark.long
def test_what_openssl_signs_we_verify_ten_thousand_times() -> None:
    check_signatures(10_000)


def test_a_bundle_signed_by_openssl_installs_and_another_release_under_its_signature_does_not() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    keys = {b"k": raw_public(key)}
    manifest = bundle.Manifest("pave", "kiosk/pave-kiosk-v1", 7, [("slot/main.mpy", 1, bytes(32))])
    payload, to_be_signed = bundle.encode(manifest, b"k")
    signature = raw_signature(key, to_be_signed)
    good = cose.assemble(b"k", payload, signature)
    assert bundle.verify(good, keys, "pave", "kiosk/pave-kiosk-v1", 6).files == manifest.files
    manifest.sequence = 8
    other = cose.assemble(b"k", bundle.encode(manifest, b"k")[0], signature)
    with pytest.raises(CoseSignatureError):
        bundle.verify(other, keys, "pave", "kiosk/pave-kiosk-v1", 6)
