"""AES-CCM with tags of 8 bytes (RFC 3610; NIST SP 800-38C): AES-CCM-16-64-128 when the nonce has 13 bytes.

CTR encryption with counter blocks S1, S2, ...; S0 encrypts the tag, a CBC-MAC over a first block that holds the nonce
and the length, over the associated data and over the plaintext. The length field takes what the nonce leaves of 15
bytes. On the device this is built on the AES block function; on CPython `ccm` gives the `cryptography` package's.
"""

import struct

from pave_wire.aes import BLOCK_BYTES, encryptor
from pave_wire.errors import TagError, WireError

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import aead
except ImportError:
    aead = None

TAG_BYTES = 8
PLAINTEXT_BYTES = 0xFFFF  # what the length field holds beside a nonce of 13 bytes


class BlockCcm:
    """CCM under one key (16 bytes), on the AES block function of the runtime."""

    def __init__(self, key: bytes) -> None:
        self._encrypt = encryptor(key)

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Return the ciphertext with the tag behind it: `len(plaintext)` + 8 bytes.

        Args:
            nonce: 7 to 13 bytes; never twice under one key.
            plaintext: at most 65,535 bytes.
            aad: at most 65,279 bytes, authenticated only.

        Raises:
            WireError: the plaintext is longer.
        """
        _check_plaintext(plaintext)
        return _xor(plaintext + self._tag(nonce, plaintext, aad), self._stream(nonce, len(plaintext)))

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Return the plaintext of `sealed`, what `seal` returned for the same nonce and aad.

        Raises:
            TagError: anything else; nothing of the plaintext is let out.
        """
        size = _sealed_size(sealed)
        clear = _xor(sealed, self._stream(nonce, size))
        difference = 0
        for found, computed in zip(clear[size:], self._tag(nonce, clear[:size], aad)):
            difference |= found ^ computed  # every byte, so that the time taken says nothing of the first wrong one
        if difference:
            raise TagError("the tag does not match")
        return clear[:size]

    def _stream(self, nonce: bytes, size: int) -> bytes:
        """Return the key stream for `size` bytes, and S0's first 8 bytes behind it (RFC 3610, 2.3)."""
        width = 15 - len(nonce)
        counters = bytearray(
            (bytes((width - 1,)) + nonce + bytes(width)) * (1 + (size + BLOCK_BYTES - 1) // BLOCK_BYTES)
        )
        for at in range(BLOCK_BYTES, len(counters), BLOCK_BYTES):
            counters[at + 14] = at >> 12  # block number at // 16, in two bytes: messages are short
            counters[at + 15] = at >> 4 & 0xFF
        stream = self._encrypt(counters)
        return stream[BLOCK_BYTES : BLOCK_BYTES + size] + stream[:TAG_BYTES]

    def _tag(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Return the CBC-MAC's first 8 bytes, not yet encrypted (RFC 3610, 2.2)."""
        width = 15 - len(nonce)
        flags = (0x40 if aad else 0) | (TAG_BYTES - 2) // 2 << 3 | width - 1
        blocks = bytes((flags,)) + nonce + len(plaintext).to_bytes(width, "big")
        if aad:
            blocks += _padded(struct.pack(">H", len(aad)) + aad)
        blocks += _padded(plaintext)
        state = bytes(BLOCK_BYTES)
        mixed = bytearray(BLOCK_BYTES)
        for at in range(0, len(blocks), BLOCK_BYTES):
            for offset in range(BLOCK_BYTES):  # byte by byte: large integers would each be allocated
                mixed[offset] = state[offset] ^ blocks[at + offset]
            state = self._encrypt(mixed)
        return state[:TAG_BYTES]


class LibraryCcm:
    """`BlockCcm` in C: CPython only."""

    def __init__(self, key: bytes) -> None:
        library = aead.AESCCM(key, tag_length=TAG_BYTES)  # pyright: ignore[reportOptionalMemberAccess]
        self._encrypt = library.encrypt
        self._decrypt = library.decrypt

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """As `BlockCcm.seal`."""
        _check_plaintext(plaintext)
        return self._encrypt(nonce, plaintext, aad)

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """As `BlockCcm.open`."""
        _sealed_size(sealed)
        try:
            return self._decrypt(nonce, sealed, aad)
        except InvalidTag:  # pyright: ignore[reportPossiblyUnboundVariable]
            raise TagError("the tag does not match")


def ccm(key: bytes) -> BlockCcm | LibraryCcm:
    """Return the faster cipher of this runtime under `key` (16 bytes)."""
    return BlockCcm(key) if aead is None else LibraryCcm(key)


def _check_plaintext(plaintext: bytes) -> None:
    if len(plaintext) > PLAINTEXT_BYTES:
        raise WireError("%d bytes to seal; at most %d" % (len(plaintext), PLAINTEXT_BYTES))


def _sealed_size(sealed: bytes) -> int:
    """Return the size of the plaintext inside; raises TagError if there can be none."""
    size = len(sealed) - TAG_BYTES
    if not 0 <= size <= PLAINTEXT_BYTES:
        raise TagError("%d bytes are no sealed message" % len(sealed))
    return size


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK_BYTES)


def _xor(one: bytes, other: bytes) -> bytes:
    """Return the exclusive or of two strings of one length: as integers, for no loop in Python."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")
