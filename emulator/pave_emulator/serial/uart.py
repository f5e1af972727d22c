"""What a UART makes of bytes that were sent at another rate: bits, sampled where the receiver believes them to be.

8 data bits, no parity, one stop bit, least significant bit first. A difference of up to some 4 % does no harm: the last
sample, 9.5 bits after the edge, still falls into the stop bit.
"""

from __future__ import annotations

BITS_PER_BYTE = 10


def received(data: bytes, sender_baud: int, receiver_baud: int) -> bytes:
    """The bytes a receiver takes in when `data` is sent without gaps."""
    if _close(sender_baud, receiver_baud):
        return data
    line: list[int] = []
    for byte in data:
        line += [0, *(byte >> bit & 1 for bit in range(8)), 1]
    samples_per_bit = sender_baud / receiver_baud
    out = bytearray()
    at = 0.0
    while True:
        start = _falling_edge(line, at)
        if start is None:
            return bytes(out)
        sampled = [_level(line, start + (bit + 1.5) * samples_per_bit) for bit in range(8)]
        out.append(sum(level << bit for bit, level in enumerate(sampled)))
        at = start + (BITS_PER_BYTE - 0.5) * samples_per_bit


def _close(one: int, other: int) -> bool:
    """Whether the stop bit is still sampled as such (half a bit in 9.5)."""
    return abs(one - other) * 2 * (BITS_PER_BYTE - 0.5) < min(one, other)


def _falling_edge(line: list[int], at: float) -> float | None:
    """Where the line next goes low, in the sender's bits."""
    index = int(at)
    while index < len(line):
        if line[index] == 0 and (index == 0 or line[index - 1] == 1 or index < at):
            return max(float(index), at)
        index += 1
    return None


def _level(line: list[int], at: float) -> int:
    return line[int(at)] if at < len(line) else 1
