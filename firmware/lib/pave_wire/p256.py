"""ECDSA verification on P-256 with SHA-256 (ES256; FIPS 186-5, 6.4.2; curve: SP 800-186, 3.2.1.3).

A device only verifies, with a public key, so nothing here is secret and nothing needs constant time. The signature
(r, s) of digest e under key Q is good when the x coordinate of u1 G + u2 Q, u1 = e/s and u2 = r/s, is r modulo n.

Both multiples are computed in one pass (Shamir's trick) over the signed digits (non-adjacent form) of u1 and u2: 256
doublings, and on average 142 additions of one of +-G, +-Q, +-(G + Q), +-(G - Q), kept as affine pairs (x, y). The sum
is kept in Jacobian coordinates (X, Y, Z), the point (X/Z**2, Y/Z**3), Z = 0 at infinity; no division is needed, for x
= r is tested as X = r Z**2. Formulas: Explicit-Formulas Database, shortw-jacobian-3, "dbl-2001-b" and "madd".
"""

import hashlib

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    Affine = tuple[int, int] | None  # None: infinity
    Jacobian = tuple[int, int, int]

KEY_BYTES = 64
SIGNATURE_BYTES = 64

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_INFINITY = (1, 1, 0)


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` (r || s, 64 bytes) signs `message` under the public `key` (x || y, 64 bytes).

    A key off the curve, and an r or s of another length or outside 1 to n - 1, give False.
    """
    if len(key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    q = (int.from_bytes(key[:32], "big"), int.from_bytes(key[32:], "big"))
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not (_on_curve(q) and 0 < r < _N and 0 < s < _N):
        return False
    e = int.from_bytes(hashlib.sha256(message).digest(), "big")
    inverse = pow(s, _N - 2, _N)
    x, _, z = _sum_of_multiples(e * inverse % _N, r * inverse % _N, q)
    if z == 0:
        return False
    zz = z * z % _P
    return r * zz % _P == x or (r + _N < _P and (r + _N) * zz % _P == x)


def _on_curve(point: tuple[int, int]) -> bool:
    x, y = point
    return x < _P and y < _P and (y * y - (x * x - 3) * x - _B) % _P == 0


def _sum_of_multiples(u1: int, u2: int, q: tuple[int, int]) -> "Jacobian":
    """Return u1 G + u2 q."""
    table: "list[Affine]" = [None, _G, q, _add_affine(_G, q), _add_affine(_G, _negative(q))]
    total = _INFINITY
    for digit1, digit2 in zip(_naf(u1), _naf(u2)):
        total = _double(total)
        if digit1 and digit2:
            point = table[3 if digit1 == digit2 else 4]
            minus = digit1 < 0
        else:
            point = table[1 if digit1 else 2 if digit2 else 0]
            minus = digit1 + digit2 < 0
        if point is not None:
            total = _add(total, _negative(point) if minus else point)
    return total


def _naf(number: int) -> list[int]:
    """Return the non-adjacent form of `number` (under 2**256): 257 digits -1, 0 or 1, highest first.

    Digit i is bit i + 1 of 3 number minus bit i + 1 of number.
    """
    thrice = (3 * number).to_bytes(33, "big")
    once = number.to_bytes(33, "big")
    return [
        (thrice[32 - (at >> 3)] >> (at & 7) & 1) - (once[32 - (at >> 3)] >> (at & 7) & 1) for at in range(257, 0, -1)
    ]


def _negative(point: tuple[int, int]) -> tuple[int, int]:
    return point[0], _P - point[1]


def _double(point: "Jacobian") -> "Jacobian":
    x, y, z = point
    delta = z * z % _P
    gamma = y * y % _P
    beta = x * gamma % _P
    alpha = 3 * (x - delta) * (x + delta) % _P
    x3 = (alpha * alpha - 8 * beta) % _P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % _P, 2 * y * z % _P


def _add(point: "Jacobian", other: tuple[int, int]) -> "Jacobian":
    x1, y1, z1 = point
    if z1 == 0:
        return other[0], other[1], 1
    zz = z1 * z1 % _P
    h = (other[0] * zz - x1) % _P
    r = (other[1] * zz * z1 - y1) % _P
    if h == 0:
        return _INFINITY if r else _double(point)
    hh = h * h % _P
    hhh = h * hh % _P
    v = x1 * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - y1 * hhh) % _P, z1 * h % _P


def _add_affine(one: tuple[int, int], other: tuple[int, int]) -> "Affine":
    x, y, z = _add((one[0], one[1], 1), other)
    if z == 0:
        return None
    inverse = pow(z, _P - 2, _P)
    square = inverse * inverse % _P
    return x * square % _P, y * square * inverse % _P
