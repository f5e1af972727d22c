"""Which root keys a device's nonces and sessions belong to, told by a name that may lie on disk in clear.

The name is the JoinEUI and a check value: 8 bytes of a SHA-256 over it and the AppKey. AppKeys are random, 128 bits, so
nothing leads back from it; that two of one device have the same one has a probability of 5e-20.
"""

import hashlib

from pave_gateway.core.lorawan.ports import RootKeys

_CHECKED = b"pave lorawan root keys\0"  # before what is hashed, so that no other digest of a key is the same
_CHECK_BYTES = 8


def root_of(keys: RootKeys) -> str:
    """Return the name of `keys`."""
    digest = hashlib.sha256(_CHECKED + keys.join_eui + keys.app_key).digest()
    return f"{keys.join_eui.hex()}:{digest[:_CHECK_BYTES].hex()}"
