"""The LIS2MDL's threshold comparison, for one sample or for those to come.

Theory of operation. The field is a function of time, so the first sample with another outcome can be looked for before
its time: an outcome holds between two bounds on each axis, and the environment says until when no sample leaves them;
else sample by sample, in a window that grows while nobody talks to the chip.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from pave_emulator.chips import lis2mdl_registers as reg
from pave_emulator.chips.environment import Vector
from pave_emulator.chips.lis2mdl_sampling import NEVER_S, SampleTimes

FIRST_WINDOW, LAST_WINDOW = 2, 32  # samples
ASK_AGAIN = 4  # samples after the environment has said that the field is not quiet


def measure(field_ut: Vector, self_test: bool) -> list[int]:
    """A sample in LSB, not yet limited to 16 bits."""
    added = reg.SELF_TEST_LSB if self_test else 0
    return [round(ut / reg.UT_PER_LSB) + added for ut in field_ut]


def clamp(value: int) -> int:
    """To the 16 bits of an output register."""
    return max(-reg.INT16_MAX - 1, min(reg.INT16_MAX, value))


class Comparison:
    """The comparison as the registers have it now."""

    def __init__(self, registers: Mapping[int, int]) -> None:
        control = registers[reg.INT_CTRL]
        self._axes = [axis for axis in range(3) if control & 0x80 >> axis]
        self._threshold = registers[reg.INT_THS_H] << 8 | registers[reg.INT_THS_L]
        self._self_test = bool(registers[reg.CFG_C] & reg.CFG_C_SELF_TEST)
        self._offsets = (0, 0, 0)
        if registers[reg.CFG_B] & reg.CFG_B_INT_ON_DATAOFF:
            self._offsets = struct.unpack("<3h", bytes(registers[reg.OFFSET_X_L + i] for i in range(6)))

    def outcome(self, raw: list[int]) -> int:
        """The axes beyond the threshold, as in INT_SOURCE."""
        source = 0
        for axis in self._axes:
            value = clamp(clamp(raw[axis]) - self._offsets[axis])
            if abs(value) > self._threshold:
                source |= (0x80 if value > 0 else 0x10) >> axis
        return source

    def _zone(self, raw: list[int]) -> tuple[list[int], list[int]]:
        """Lowest and highest samples in LSB with the outcome of `raw`, within the range of measurement."""
        low, high = [-reg.INT16_MAX] * 3, [reg.INT16_MAX] * 3
        for axis in self._axes:
            value, offset = clamp(clamp(raw[axis]) - self._offsets[axis]), self._offsets[axis]
            if value > self._threshold:
                low[axis] = max(low[axis], self._threshold + 1 + offset)
            elif value < -self._threshold:
                high[axis] = min(high[axis], -self._threshold - 1 + offset)
            else:
                low[axis] = max(low[axis], -self._threshold + offset)
                high[axis] = min(high[axis], self._threshold + offset)
        return low, high

    def same_until_s(
        self,
        times: SampleTimes,
        raw: list[int],
        at_s: float,
        window: int,
        field_ut: Callable[[float], Vector],
        stays_until_s: Callable[[float, Vector, Vector], float],
    ) -> float:
        """Until when no sample has another outcome than `raw`, taken at `at_s`: exactly, or as far as `window` goes."""
        low, high = self._zone(raw)
        low_ut, high_ut = self._in_ut(low), self._in_ut(high)
        index, ask = times.taken, 0
        for _ in range(window):
            if index >= ask:
                quiet_s = stays_until_s(at_s, low_ut, high_ut)
                if quiet_s == NEVER_S:
                    return NEVER_S
                quiet = times.first_from(quiet_s)
                ask = index + ASK_AGAIN if quiet <= index else 0
                index = max(index, quiet)
            at_s = times.at_s(index)
            x, y, z = measure(field_ut(at_s), self._self_test)
            if not (low[0] <= x <= high[0] and low[1] <= y <= high[1] and low[2] <= z <= high[2]):
                return at_s
            index += 1
        return times.at_s(index)

    def _in_ut(self, bound: list[int]) -> Vector:
        added = reg.SELF_TEST_LSB if self._self_test else 0
        x, y, z = ((value - added) * reg.UT_PER_LSB for value in bound)
        return (x, y, z)
