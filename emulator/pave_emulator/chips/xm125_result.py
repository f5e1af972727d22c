"""What the XM125's distance detector makes of echoes: peaks, their order, and the result registers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pave_emulator.chips import xm125_plan as plan
from pave_emulator.chips import xm125_registers as reg
from pave_emulator.chips.environment import Echo

SENSITIVITY_FLOOR = 1e-3  # a sensitivity of 0 detects next to nothing


@dataclass(frozen=True)
class Threshold:
    """What an echo must exceed.

    CFAR compares with the noise beside it, divided by the sensitivity: in dB, -20 log10(sensitivity) above it.
    """

    snr_db: float | None
    strength_db: float | None
    closest_first: bool

    @classmethod
    def of(cls, settings: Mapping[int, int]) -> Threshold:
        """From the registers."""
        closest = settings[reg.PEAK_SORTING] == reg.CLOSEST
        if settings[reg.THRESHOLD_METHOD] == reg.FIXED_STRENGTH_METHOD:
            return cls(None, settings[reg.FIXED_STRENGTH] / 1000, closest)
        sensitivity = max(settings[reg.THRESHOLD_SENSITIVITY] / 1000, SENSITIVITY_FLOOR)
        return cls(-20 * math.log10(sensitivity), None, closest)

    def passed_by(self, echo: Echo, part: plan.Subsweep) -> bool:
        """Whether this echo, measured in this part of the range, is a peak."""
        if self.strength_db is not None:
            return echo.strength_db > self.strength_db
        return part.snr_db(echo.strength_db, echo.distance_m) > (self.snr_db or 0.0)


@dataclass
class Measurement:
    """One measurement: peaks in the order of the registers, flags of Distance Result, temperature in C."""

    peaks: list[Echo] = field(default_factory=list)
    flags: int = 0
    temperature_c: float = 0.0

    @classmethod
    def of(
        cls, echoes: Iterable[Echo], parts: tuple[plan.Subsweep, ...], threshold: Threshold, temperature_c: float
    ) -> Measurement:
        """Find the peaks in a range cut into `parts`."""
        measurement = cls(temperature_c=temperature_c)
        start_m = parts[0].start_m
        edge_m = plan.ENVELOPE_FWHM_M[parts[0].profile]
        for echo in echoes:
            part = next((part for part in parts if part.start_m <= echo.distance_m <= part.end_m), None)
            if part and threshold.passed_by(echo, part):
                measurement.peaks.append(echo)
            elif start_m - edge_m <= echo.distance_m < start_m and threshold.passed_by(echo, parts[0]):
                measurement.flags |= reg.RESULT_NEAR_START_EDGE
        measurement.peaks.sort(key=lambda echo: echo.distance_m if threshold.closest_first else -echo.strength_db)
        del measurement.peaks[reg.PEAKS :]
        return measurement

    def register(self, address: int) -> int:
        """Distance Result, a peak's distance in mm or its strength in dB/1000 (6.2.5 to 6.2.25); 0 without a peak."""
        if address == reg.DISTANCE_RESULT:
            temperature = round(self.temperature_c) & 0xFFFF
            return temperature << reg.RESULT_TEMPERATURE_SHIFT | self.flags | len(self.peaks)
        of_strength = address >= reg.PEAK0_STRENGTH
        index = address - (reg.PEAK0_STRENGTH if of_strength else reg.PEAK0_DISTANCE)
        if index >= len(self.peaks):
            return 0
        peak = self.peaks[index]
        return round(1000 * (peak.strength_db if of_strength else peak.distance_m))
