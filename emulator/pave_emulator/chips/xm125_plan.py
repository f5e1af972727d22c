"""How the A121 distance detector sweeps a range: how long that takes, and how weak an echo it finds.

Theory of operation. Near the sensor, short pulses (profile 1, then 3) avoid the leakage of the transmitter; beyond, the
longest pulse allowed is used, the range being cut into subsweeps whose averaging (HWAAS) grows with distance, so that
the signal-to-noise ratio stays at the signal quality asked for, until HWAAS ends at 511. Constants are those of
Acconeer's Exploration Tool (exptool 7: a121/algo, a121/model/power); the filters' margins at the edges are left out.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

STEP_M = 2.5e-3  # base step length
STEP_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 24)
LEAKAGE_FREE_M = {1: 0.12, 2: 0.28, 3: 0.56, 4: 0.76, 5: 1.28}
ENVELOPE_FWHM_M = {1: 0.04, 2: 0.07, 3: 0.14, 4: 0.19, 5: 0.32}
LOOP_GAIN_DB = {1: 11.3, 2: 13.7, 3: 19.0, 4: 20.5, 5: 21.6}  # radar loop gain of one sample
MAX_RANGE_M = 23.0  # what the lowest pulse repetition frequency can measure, rounded down
MAX_HWAAS = 511
HWAAS_MIN_DISTANCE_M = 1.0
SUBSWEEPS = 4
CLOSE_RANGE_SWEEPS = 10

# Pulse repetition frequency: range in m, then seconds for one sample and overhead of a point: profiles 1, 2, 3 to 5
PRF_S = (
    (5.1, (1.795e-6, 1.344e-6, 1.026e-6), (2.102e-6, 1.612e-6, 1.282e-6)),  # 15.6 MHz
    (7.0, (2.103e-6, 1.600e-6, 1.231e-6), (2.462e-6, 1.920e-6, 1.539e-6)),  # 13.0
    (12.7, (3.026e-6, 2.369e-6, 1.846e-6), (3.539e-6, 2.844e-6, 2.308e-6)),  # 8.7
    (18.5, (3.949e-6, 3.138e-6, 2.462e-6), (4.615e-6, 3.766e-6, 3.077e-6)),  # 6.5
    (24.3, (4.872e-6, 3.908e-6, 3.077e-6), (5.692e-6, 4.689e-6, 4.689e-6)),  # 5.2
)
SUBSWEEP_S, FRAME_S, SETUP_S, READ_S = 22e-6, 14e-6, 600e-6, 200e-6
PROCESSING_S, PROCESSING_POINT_S = 2.5e-3, 12e-6
WAKE_S, FALL_ASLEEP_S = 2.4e-3, 2.1e-3  # out of and into hibernation
BOOT_S, APPLY_S, SENSOR_CALIBRATION_S, LOG_S = 0.1, 0.01, 0.1, 0.001  # assumed: no document has them
CALIBRATION_VALID_C = 15  # a larger change of temperature needs a new calibration


@dataclass(frozen=True)
class Detector:
    """What is asked of the detector; distances in m, signal quality in dB, `max_step` 0 for any."""

    start_m: float
    end_m: float
    max_step: int
    close_range: bool
    quality_db: float
    max_profile: int
    planar: bool


@dataclass(frozen=True)
class Subsweep:
    """A part of the range measured in one way."""

    profile: int
    start_m: float
    end_m: float
    step: int
    hwaas: int
    sweeps: int = 1

    @property
    def points(self) -> int:
        """Points in one sweep."""
        return max(1, math.ceil((self.end_m - self.start_m) / (self.step * STEP_M)))

    def snr_db(self, strength_db: float, distance_m: float) -> float:
        """Signal-to-noise ratio of a reflector, by the radar equation."""
        gain_db = LOOP_GAIN_DB[self.profile] + 10 * math.log10(self.hwaas)
        gain_db += 10 * math.log10(_processing_gain(self.profile, self.step))
        return gain_db + strength_db - 40 * math.log10(max(distance_m, STEP_M))


def subsweeps(detector: Detector) -> tuple[Subsweep, ...]:
    """Cut the range, nearest part first."""
    profiles = [*(profile for profile in (1, 3) if profile < detector.max_profile), detector.max_profile]
    parts: list[Subsweep] = []
    lower_m = detector.start_m
    close_end_m = min(LEAKAGE_FREE_M[1], detector.end_m)
    if detector.close_range and lower_m < close_end_m:
        parts.append(_subsweep(detector, 1, lower_m, close_end_m, CLOSE_RANGE_SWEEPS))
        lower_m = close_end_m
    far = 0
    for profile, following in itertools.pairwise(profiles):
        upper_m = min(detector.end_m, LEAKAGE_FREE_M[following])
        if lower_m < upper_m:
            parts.append(_subsweep(detector, profile, lower_m, upper_m))
            lower_m, far = upper_m, far + 1
    if lower_m < detector.end_m:
        count = SUBSWEEPS - far
        width_m = (detector.end_m - lower_m) / count
        for i in range(count):
            start_m = lower_m + i * width_m
            parts.append(_subsweep(detector, detector.max_profile, start_m, start_m + width_m))
    return tuple(parts)


def measuring_s(parts: tuple[Subsweep, ...]) -> float:
    """How long the sensor measures."""
    farthest_m = parts[-1].end_m
    _, sample_s, point_s = next(row for row in PRF_S if farthest_m <= row[0])
    total_s = SETUP_S + READ_S + FRAME_S
    for part in parts:
        column = min(part.profile, 3) - 1
        sweep_s = SUBSWEEP_S + part.points * (part.hwaas * sample_s[column] + point_s[column])
        total_s += part.sweeps * sweep_s
    return total_s


def processing_s(parts: tuple[Subsweep, ...]) -> float:
    """How long the module computes afterwards."""
    return PROCESSING_S + PROCESSING_POINT_S * sum(part.points for part in parts)


def _subsweep(detector: Detector, profile: int, start_m: float, end_m: float, sweeps: int = 1) -> Subsweep:
    step = _step(profile, detector.max_step)
    spreading_db = (20 if detector.planar else 40) * math.log10(max(end_m, HWAAS_MIN_DISTANCE_M))
    needed_db = detector.quality_db + spreading_db - math.log10(_processing_gain(profile, step)) - LOOP_GAIN_DB[profile]
    hwaas = max(1, min(MAX_HWAAS, round(10 ** (needed_db / 10))))
    return Subsweep(profile, start_m, end_m, step, hwaas, sweeps)


def _step(profile: int, limit: int) -> int:
    """The longest valid step with four points in the width of the pulse's envelope, in base steps."""
    longest = int(ENVELOPE_FWHM_M[profile] / STEP_M / 4)
    longest = min(longest, limit) if limit else longest
    if longest >= STEP_LENGTHS[-1]:
        return longest // STEP_LENGTHS[-1] * STEP_LENGTHS[-1]
    return max(step for step in STEP_LENGTHS if step <= longest)


def _processing_gain(profile: int, step: int) -> float:
    """Of the matched filter: the energy of a triangle as wide as the envelope."""
    points = int(2 * ENVELOPE_FWHM_M[profile] / (step * STEP_M)) + 2
    rising = points // 2
    falling = points - rising
    up = sum((i / (rising - 1)) ** 2 for i in range(rising))
    return up + sum((i / (falling - 1)) ** 2 for i in range(falling))
