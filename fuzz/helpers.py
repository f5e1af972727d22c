"""What the properties share. Modules of `pave_wire` are imported inside functions: they must load instrumented."""

from __future__ import annotations

from typing import Any

DEVICE = "24a160fffe000101"
ADDRESS = ("gateway", 5683)


def no_seeds() -> list[bytes]:
    """Start from nothing."""
    return []


def fields_of(thing: Any) -> dict[str, Any]:
    """Return the attributes of a value with slots."""
    return {name: getattr(thing, name) for name in type(thing).__slots__}


def steps(data: bytes) -> list[bytes]:
    """Cut `data` into pieces: a byte of length before each, at least one byte in each."""
    pieces: list[bytes] = []
    at = 0
    while at + 1 < len(data):
        size = max(1, data[at])
        pieces.append(data[at + 1 : at + 1 + size])
        at += 1 + size
    return pieces


def as_steps(pieces: list[bytes]) -> bytes:
    """Return what `steps` cuts into `pieces`."""
    return b"".join(bytes((len(piece),)) + piece for piece in pieces)
