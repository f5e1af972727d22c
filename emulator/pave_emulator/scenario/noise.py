"""Randomness that depends on what is asked and not on the order of asking: a hash of a key and a counter.

Theory of operation. SplitMix64's finaliser (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA
2014) mixes a 64-bit key with a counter. A sensor's noise takes the sample's instant in microseconds for counter, so a
sample that nobody looked at changes no other. Gaussian values come from a table of 2^16 quantiles: the noise is
bounded, at 4.3 sigma.
"""

from __future__ import annotations

import hashlib
from array import array
from functools import lru_cache
from statistics import NormalDist

Vector = tuple[float, float, float]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_QUANTILES = 1 << 16


def key_of(seed: int, name: str) -> int:
    """64-bit key of one stream of one scenario."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")


def mix(key: int, counter: int) -> int:
    """64 random bits for a counter."""
    z = (key + counter * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def uniform(key: int, counter: int) -> float:
    """From 0 to 1, 1 excluded."""
    return (mix(key, counter) >> 11) / (1 << 53)


def wander(key: int, at: float) -> float:
    """A smooth curve from -1 to 1 that takes a random value at each whole number."""
    whole = int(at // 1)
    part = at - whole
    before, after = 2 * uniform(key, whole) - 1, 2 * uniform(key, whole + 1) - 1
    return before + (after - before) * part * part * (3 - 2 * part)


class Noise:
    """White Gaussian noise of a three-axis sensor, `sigma` rms per axis."""

    def __init__(self, seed: int, name: str, sigma: float) -> None:
        """`name` says whose noise it is."""
        self._key = key_of(seed, name)
        self._table = _quantiles(sigma)

    @property
    def bound_ut(self) -> float:
        """No noise is more."""
        return self._table[-1]

    def at(self, now_s: float) -> Vector:
        """Noise of the sample taken at this instant."""
        bits = mix(self._key, round(now_s * 1e6))
        table = self._table
        return (table[bits & 0xFFFF], table[bits >> 16 & 0xFFFF], table[bits >> 32 & 0xFFFF])


@lru_cache(maxsize=4)
def _quantiles(sigma: float) -> array[float]:
    normal = NormalDist()
    return array("d", (sigma * normal.inv_cdf((i + 0.5) / _QUANTILES) for i in range(_QUANTILES)))
