"""Public keys under which anybody can sign: Ed25519 points of small order.

A verifier accepts (R, S) over a message when S B = R + h A (RFC 8032, 5.1.7), h a hash over R, the key A and the
message. Where A is of order 1, 2, 4 or 8, h A is one of at most eight points that everybody knows; with S = 0 every
eighth guess at R is right, and no private key is needed. RFC 8032 does not ask verifiers to refuse these keys, and
OpenSSL's does not.

The curve has eight such points. Their y is one of the five below; an encoding may also write y = 0 and y = 1 as p and
p + 1, and has the sign of x in its top bit, which decides nothing here.
"""

P = 2**255 - 19
KEY_BYTES = 32

_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7  # y of order 8; the other is p - y
_SMALL = frozenset((0, 1, P - 1, P, P + 1, _ORDER_8, P - _ORDER_8))
_SIGN_BIT = 1 << 255


def is_small_order(public: bytes) -> bool:
    """Return whether an Ed25519 public key, 32 bytes, is a point of small order, canonically encoded or not."""
    return int.from_bytes(public, "little") & ~_SIGN_BIT in _SMALL
