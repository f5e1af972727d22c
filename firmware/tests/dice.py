"""Random numbers for the tests of this folder, the same on both runtimes."""


class Dice:
    """A generator whose numbers follow from `seed`, an integer above 0 (xorshift, 32 bits)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        x = self.state
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self.state = x
        return x % n

    def bytes(self, count):
        return bytes([self.below(256) for _ in range(count)])
