"""AES-CMAC (RFC 4493), the message integrity code of LoRaWAN."""

from pave_wire.aes import BLOCK_BYTES, encryptor


class Cmac:
    """CMAC under one key (16 bytes); the subkeys are derived once."""

    def __init__(self, key: bytes) -> None:
        self._encrypt = encryptor(key)
        k1 = _double(self._encrypt(bytes(BLOCK_BYTES)))
        self._whole = k1
        self._padded = _double(k1)

    def digest(self, message: bytes) -> bytes:
        """Return the 16-byte code of `message` (RFC 4493, 2.4)."""
        last_at = max(0, (len(message) - 1) // BLOCK_BYTES) * BLOCK_BYTES
        last = message[last_at:]
        if len(last) == BLOCK_BYTES:
            last = _xor(last, self._whole)
        else:
            last = _xor(last + b"\x80" + bytes(BLOCK_BYTES - 1 - len(last)), self._padded)
        state = bytes(BLOCK_BYTES)
        for at in range(0, last_at, BLOCK_BYTES):
            state = self._encrypt(_xor(state, message[at : at + BLOCK_BYTES]))
        return self._encrypt(_xor(state, last))


def _double(block: bytes) -> bytes:
    """Multiply by x in GF(2**128) (RFC 4493, 2.3)."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = number ^ (1 << 128) ^ 0x87
    return number.to_bytes(BLOCK_BYTES, "big")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other))
