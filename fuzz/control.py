# ruff: noqa: SIM102 (one branch for each byte is the point)
"""Decoders with planted bugs. The harness must find each; when it does not, its silence elsewhere means nothing.

The crash is four bytes deep, each behind a branch of its own: guessing blindly takes 2**32 inputs, following the
coverage some thousands.
"""


def crash(data: bytes) -> None:
    """Raise IndexError, which no decoder may, on what begins with "PAVE"."""
    if data[:1] == b"P":
        if data[1:2] == b"A":
            if data[2:3] == b"V":
                if data[3:4] == b"E":
                    raise IndexError("planted")


def stall(data: bytes) -> None:
    """Compute for seconds on what begins with "ZZ"."""
    if data[:1] == b"Z":
        if data[1:2] == b"Z":
            sum(number * number for number in range(20_000_000))
