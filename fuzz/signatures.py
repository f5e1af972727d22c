"""Properties of what is signed: COSE, bundles, P-256."""

from __future__ import annotations

from typing import Any

from fuzz.helpers import fields_of


def _signer() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(0xC0FFEE, ec.SECP256R1())


def _public(key: Any) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def _sign(key: Any, message: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(message, algorithm))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


_SIGNED_ONCE: dict[str, Any] = {}


def cose_is_refused(data: bytes) -> None:
    """Nothing passes but the payload that was signed."""
    from pave_wire import cose

    if not _SIGNED_ONCE:
        _SIGNED_ONCE["keys"] = {b"k": _public(_signer())}
    assert cose.verify(data, _SIGNED_ONCE["keys"]) == b"signed"


def cose_seeds() -> list[bytes]:
    """The one that verifies, one of another key, and headers that are refused."""
    from pave_wire import cbor, cose

    good = cose.assemble(b"k", b"signed", _sign(_signer(), cose.to_be_signed(b"k", b"signed")))
    headers: list[tuple[Any, Any]] = [({1: -7, 2: [1], 4: b"k"}, {}), ({1: -7}, {4: b"k"}), ({}, {1: -7})]
    return [good, good.replace(b"k", b"l")] + [
        b"\xd2" + cbor.dumps([cbor.dumps(protected), unprotected, b"p", bytes(64)])
        for protected, unprotected in headers
    ]


def bundle_survives(data: bytes) -> None:
    """A manifest encodes to the same manifest, and none of its paths leaves its place."""
    from pave_wire import bundle

    manifest = bundle.decode(data)
    payload, _ = bundle.encode(manifest, b"k")
    assert fields_of(bundle.decode(payload)) == fields_of(manifest)
    for path, _, _ in manifest.files:
        assert path.startswith(("slot/", "ota/")) and ".." not in path.split("/"), path


def bundle_seeds() -> list[bytes]:
    """A release with two places."""
    from pave_wire import bundle

    files = [("slot/app/presence.mpy", 3070, bytes(32)), ("ota/micropython.bin", 1 << 20, bytes(range(32)))]
    return [bundle.encode(bundle.Manifest("pave", "presence/pave-presence-v1", 42, files), b"k")[0]]


def p256_is_refused(data: bytes) -> None:
    """The first 128 bytes as key and signature over the rest: no error, and no signature that nobody made."""
    from pave_wire import p256

    if p256.verify(data[:64], data[128:], data[64:128]):
        assert data[:96] == p256_seeds()[0][:96], "only the seed, and its twin (r, n - s), are signed"


def p256_seeds() -> list[bytes]:
    """A signature."""
    key = _signer()
    return [_public(key) + _sign(key, b"message") + b"message"]
