"""The AES-128 block function (FIPS 197): the one thing of the contract that differs between its two runtimes.

On the device it is `cryptolib` (the ESP32's accelerator), on CPython the `cryptography` package. Everything else, CMAC
and CCM and key derivation, is built on this in files that both run.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportReturnType=false

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import cryptolib  # pyright: ignore[reportMissingModuleSource]
except ImportError:
    cryptolib = None
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK_BYTES = 16
_ECB = 1


def encryptor(key: bytes) -> "Callable[[bytes | bytearray], bytes]":
    """Return a function that encrypts each 16-byte block of its argument by itself (ECB) under `key` (16 bytes)."""
    if cryptolib is not None:
        return cryptolib.aes(key, _ECB).encrypt
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # pyright: ignore[reportPossiblyUnboundVariable]


def decryptor(key: bytes) -> "Callable[[bytes | bytearray], bytes]":
    """Return the inverse of `encryptor(key)`."""
    if cryptolib is not None:
        return cryptolib.aes(key, _ECB).decrypt
    return Cipher(algorithms.AES(key), modes.ECB()).decryptor().update  # pyright: ignore[reportPossiblyUnboundVariable]
