"""What goes wrong in a flash: power that goes in the middle of an operation, bits that flip, sectors that wear out.

Theory of operation. A cut program leaves a prefix of the bytes programmed, then one chunk of 16 bytes where only some
of the bits have been cleared, then nothing. A cut erase depends on the phase it was in (Infineon KBA223960, "How Erase
Operation Works in NOR Flash"): first every bit is programmed to 0, page after page, then erase pulses set all of them
together. That the pages are programmed in ascending order is our assumption; the worst case does without it and without
the first phase: every bit is the old one or set. Which bits is drawn from a seed, so that a cut can be repeated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

CHUNK_BYTES = 16
STUCK_BITS = 8
PREPROGRAM_SHARE = 0.25  # of an erase; no data sheet gives it
_STEPS = 8  # probabilities are multiples of 1/256


class PowerLost(Exception):  # noqa: N818  not an error: what a test asked for
    """The power went during a flash operation; whoever holds the device has to cut its power."""

    def __init__(self, number: int, kind: str, address: int, size: int) -> None:
        super().__init__(f"power lost during flash operation {number}: {kind} of {size} bytes at {address:#x}")
        self.number = number
        self.kind = kind


@dataclass(frozen=True)
class PowerCut:
    """Cut during operation `number` (counted as Flash.operations does), `fraction` of it (0.0 to 1.0) done."""

    number: int
    fraction: float
    seed: int
    worst_case: bool

    def interrupted(self, kind: str, old: bytes, new: bytes) -> bytes:
        """What the flash holds after `kind` was to turn `old` into `new` and was cut."""
        rng = random.Random(f"{self.seed}:cut:{self.number}")
        if kind == "erase" and self.worst_case:
            return _mix(old, new, self.fraction, rng)
        if kind == "erase":
            return self._erase_phase(old, new, rng)
        return _partly_programmed(old, new, self.fraction, rng)

    def _erase_phase(self, old: bytes, new: bytes, rng: random.Random) -> bytes:
        zeros = bytes(len(old))
        if self.fraction < PREPROGRAM_SHARE:
            return _partly_programmed(old, zeros, self.fraction / PREPROGRAM_SHARE, rng)
        return _mix(zeros, new, (self.fraction - PREPROGRAM_SHARE) / (1 - PREPROGRAM_SHARE), rng)


def _partly_programmed(old: bytes, new: bytes, fraction: float, rng: random.Random) -> bytes:
    done = int(len(old) * fraction)
    chunk = slice(done, done + CHUNK_BYTES)
    return new[:done] + _mix(old[chunk], new[chunk], rng.random(), rng) + old[done + CHUNK_BYTES :]


def draw_fraction(seed: int, number: int) -> float:
    """How much of operation `number` is done when its power goes, where the test leaves that to chance."""
    return random.Random(f"{seed}:fraction:{number}").random()


def stuck_mask(seed: int, sector: int, sector_bytes: int) -> bytes:
    """Bits of a worn-out sector that stay 0 for ever, as ones."""
    rng = random.Random(f"{seed}:stuck:{sector}")
    mask = bytearray(sector_bytes)
    for bit in rng.sample(range(sector_bytes * 8), STUCK_BITS):
        mask[bit // 8] |= 1 << bit % 8
    return bytes(mask)


def _mix(old: bytes, new: bytes, probability: float, rng: random.Random) -> bytes:
    """Each bit from `new` with this probability, from `old` otherwise."""
    count = len(old) * 8
    if not count:
        return b""
    mask = _random_mask(count, probability, rng)
    mixed = int.from_bytes(old, "little") & ~mask | int.from_bytes(new, "little") & mask
    return mixed.to_bytes(len(old), "little")


def _random_mask(count: int, probability: float, rng: random.Random) -> int:
    """`count` bits, each set with `probability`, built from one random word per binary digit of it."""
    wanted = round(probability * (1 << _STEPS))
    if wanted >= 1 << _STEPS:
        return (1 << count) - 1
    mask = 0
    for digit in range(_STEPS):
        word = rng.getrandbits(count)
        mask = mask | word if wanted >> digit & 1 else mask & word
    return mask
