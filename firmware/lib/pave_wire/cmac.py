"""AES-CMAC (RFC 4493), the message integrity code of LoRaWAN. Works in place: a sensor has little heap to spare."""

from pave_wire.aes import BLOCK_BYTES, encryptor


class Cmac:
    """CMAC under one key (16 bytes); the subkeys are derived once."""

    def __init__(self, key: bytes) -> None:
        self._encrypt = encryptor(key)
        self._whole = _double(self._encrypt(bytes(BLOCK_BYTES)))
        self._padded = _double(self._whole)

    def digest(self, message: bytes) -> bytes:
        """Return the 16-byte code of `message` (RFC 4493, 2.4)."""
        size = len(message)
        last_at = max(0, (size - 1) // BLOCK_BYTES) * BLOCK_BYTES
        state = bytearray(BLOCK_BYTES)
        for at in range(0, last_at, BLOCK_BYTES):
            for i in range(BLOCK_BYTES):
                state[i] ^= message[at + i]
            state = bytearray(self._encrypt(state))
        for i in range(size - last_at):
            state[i] ^= message[last_at + i]
        whole = size - last_at == BLOCK_BYTES
        if not whole:
            state[size - last_at] ^= 0x80
        subkey = self._whole if whole else self._padded
        for i in range(BLOCK_BYTES):
            state[i] ^= subkey[i]
        return self._encrypt(state)


def _double(block: bytes | bytearray) -> bytearray:
    """Multiply by x in GF(2**128) (RFC 4493, 2.3)."""
    out = bytearray(BLOCK_BYTES)
    carry = 0
    for i in range(BLOCK_BYTES - 1, -1, -1):
        out[i] = block[i] << 1 & 0xFF | carry
        carry = block[i] >> 7
    if carry:
        out[BLOCK_BYTES - 1] ^= 0x87
    return out
