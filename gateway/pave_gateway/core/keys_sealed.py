"""Keys at rest: sealed with AES-256-GCM under a key that is not in the database.

    byte  0        version, 1
          1 to 4   id of the sealing key: the first 4 bytes of a SHA-256 over it
          5 to 16  nonce, random
          17 ..    ciphertext and tag; device, purpose and the bytes before the nonce are authenticated with it

So a sealed value moved to another device's row, or to another use, does not open. While a rotation lasts, a key file
holds several sealing keys: the newest seals, all of them open (`core.keys_rotation`). Random nonces are safe for 2**32
values under one key (NIST SP 800-38D, 8.3).
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pave_gateway.core.keys import RandomBytes

KEY_BYTES = 32

_VERSION = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + _ID_BYTES


class KeyringError(ValueError):
    """Sealed keys cannot be opened; the message says why and what to do."""


class WrongKeyFileError(KeyringError):
    """The key file has none of the keys that sealed what the journal holds."""


class UnknownKeyError(KeyringError):
    """The key file lacks the key that sealed this value, though it may have others of the same journal."""


class TamperedError(KeyringError):
    """The sealing key is there, and says that this value is not what it sealed."""


class Keyring(Protocol):
    """Seals and opens the keys of devices."""

    def seal(self, device: str, purpose: str, clear: bytes) -> bytes:
        """Return `clear` sealed for `device` and `purpose`."""
        ...

    def open(self, device: str, purpose: str, sealed: bytes) -> bytes:
        """Return what was sealed for `device` and `purpose`.

        Raises:
            UnknownKeyError, TamperedError
        """
        ...

    def is_newest(self, sealed: bytes) -> bool:
        """Say whether the newest key sealed this value."""
        ...

    def adopt(self, keys: Sequence[bytes]) -> None:
        """Seal with the last of `keys` from now on; open what any of them sealed, or any that was here before."""
        ...


class AesKeyring:
    """A `Keyring` on AES-256-GCM."""

    def __init__(self, keys: Sequence[bytes], random_bytes: RandomBytes) -> None:
        """`keys` are 32 bytes each, the newest last; `random_bytes(count)` makes the nonces."""
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._newest = key_id(keys[-1])
        self._random_bytes = random_bytes

    def seal(self, device: str, purpose: str, clear: bytes) -> bytes:
        """See `Keyring`."""
        head = _VERSION + self._newest
        nonce = self._random_bytes(_NONCE_BYTES)
        return head + nonce + self._ciphers[self._newest].encrypt(nonce, clear, _about(head, device, purpose))

    def open(self, device: str, purpose: str, sealed: bytes) -> bytes:
        """See `Keyring`."""
        head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
        if head[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise TamperedError(f"{purpose} keys of {device}: not a sealed value of version 1; {_RESTORE}")
        cipher = self._ciphers.get(id_in(sealed))
        if cipher is None:
            raise UnknownKeyError(
                f"{purpose} keys of {device} are sealed under key {id_in(sealed).hex()}, which this key file lacks;"
                " put back the newest copy of the key file"
            )
        try:
            return cipher.decrypt(nonce, sealed[len(head) + len(nonce) :], _about(head, device, purpose))
        except InvalidTag:
            raise TamperedError(f"{purpose} keys of {device} were changed since they were sealed; {_RESTORE}") from None

    def is_newest(self, sealed: bytes) -> bool:
        """See `Keyring`."""
        return id_in(sealed) == self._newest

    def adopt(self, keys: Sequence[bytes]) -> None:
        """See `Keyring`. The older ones stay for who has read something before it was sealed anew, an export say."""
        self._ciphers = {**self._ciphers, **{key_id(key): AESGCM(key) for key in keys}}
        self._newest = key_id(keys[-1])

    def check(self, sealed: Iterable[bytes]) -> None:
        """Make sure that every key that sealed one of `sealed` is here.

        Raises:
            WrongKeyFileError, UnknownKeyError
        """
        used = sorted({id_in(value) for value in sealed})
        missing = [used_id.hex() for used_id in used if used_id not in self._ciphers]
        here = ", ".join(known.hex() for known in self._ciphers)
        if missing and len(missing) == len(used):
            raise WrongKeyFileError(
                f"the journal's keys are sealed under {', '.join(missing)}, and this key file has {here}:"
                " it is of another site or of an earlier gateway; put back the one that was in use with this journal"
            )
        if missing:
            raise UnknownKeyError(
                f"the journal has keys sealed under {', '.join(missing)}, and this key file has {here}: it is an older"
                " copy; put back the newest"
            )


class PurposeKeyring:
    """A keyring that seals for one purpose: what a part of the gateway is given that keeps secrets of its own."""

    def __init__(self, keyring: Keyring, purpose: str) -> None:
        """No other part may use `purpose`."""
        self._keyring = keyring
        self._purpose = purpose

    def seal(self, device: str, data: bytes) -> bytes:
        """Return `data` sealed for `device`."""
        return self._keyring.seal(device, self._purpose, data)

    def open(self, device: str, sealed: bytes) -> bytes:
        """Return what was sealed for `device`; raises as `Keyring.open`."""
        return self._keyring.open(device, self._purpose, sealed)


_RESTORE = "restore the journal from a backup, or import the device's provisioning record again"


def key_id(key: bytes) -> bytes:
    """Return the 4 bytes that name a sealing key."""
    return hashlib.sha256(b"pave sealing key\0" + key).digest()[:_ID_BYTES]


def id_in(sealed: bytes) -> bytes:
    """Return the id of the key that sealed a value."""
    return sealed[len(_VERSION) : _HEAD_BYTES]


def _about(head: bytes, device: str, purpose: str) -> bytes:
    return b"\0".join((b"pave keys at rest", device.encode(), purpose.encode(), head))
