"""HKDF-SHA-256 (RFC 5869) on `hashlib.sha256` alone: MicroPython has no hmac module and cannot copy hash objects."""

import hashlib

HASH_BYTES = 32
_BLOCK_BYTES = 64


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return the 32-byte HMAC-SHA-256 of `message` (RFC 2104)."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    key = key + bytes(_BLOCK_BYTES - len(key))  # not in place: it may be the caller's bytearray
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in key]) + message).digest()
    return hashlib.sha256(bytes([byte ^ 0x5C for byte in key]) + inner).digest()


def extract(salt: bytes, secret: bytes) -> bytes:
    """Return the pseudorandom key (32 bytes) of `secret` (RFC 5869, 2.2). No salt is b""."""
    return hmac_sha256(salt, secret)


def expand(pseudorandom_key: bytes, info: bytes, length: int) -> bytes:
    """Return `length` bytes (at most 8,160) for the purpose that `info` names (RFC 5869, 2.3)."""
    out = block = b""
    count = 1
    while len(out) < length:
        block = hmac_sha256(pseudorandom_key, block + info + bytes((count,)))
        out += block
        count += 1
    return out[:length]
