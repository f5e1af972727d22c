"""How much of one LoRa signal another receiver hears, and how much weaker it has to be.

Sources. Different spreading factors: Croce et al., "Impact of LoRa Imperfect Orthogonality: Analysis of Link-Level
Performance" (IEEE Communications Letters 22(4), 2018), table of SIR thresholds. The same one: 6 dB, the co-channel
rejection of Goursaud and Gorce, "Dedicated networks for IoT: PHY/MAC state of the art and challenges" (EAI
Transactions on IoT, 2015), where Croce has 1 dB.
"""

from __future__ import annotations

import math

from pave_emulator.air.radio import Modulation

CAPTURE_DB = 6.0
"""A packet survives one of the same chirp rate that is so much weaker."""

_CROSS_SF_DB = {  # wanted: against SF7, SF8, SF9, SF10, SF11, SF12; the diagonal is not used
    7: (1, -8, -9, -9, -9, -9),
    8: (-11, 1, -11, -12, -13, -13),
    9: (-15, -13, 1, -13, -14, -15),
    10: (-19, -18, -17, 1, -17, -18),
    11: (-22, -22, -21, -20, 1, -20),
    12: (-25, -25, -25, -24, -23, 1),
}
_LOWEST_SF, _STEP_DB = 7, 2.5  # SF5 and SF6 are not in the paper: row 7 less the step of the demodulation limits


def required_sir_db(wanted: Modulation, other: Modulation) -> float:
    """How much stronger `wanted` must be than what it overlaps with. Negative: it may be that much weaker.

    Chirps collide when their slopes agree, BW^2 / 2^SF. The same slope with the other polarity of IQ, and the same
    spreading factor in another bandwidth, are taken as the most harmful neighbour in the table's row (an assumption).
    """
    same_slope = wanted.bandwidth_hz**2 << other.spreading_factor == other.bandwidth_hz**2 << wanted.spreading_factor
    if same_slope and wanted.inverted_iq == other.inverted_iq:
        return CAPTURE_DB
    spreading_factor = max(wanted.spreading_factor, _LOWEST_SF)
    row = _CROSS_SF_DB[spreading_factor]
    column = max(other.spreading_factor, _LOWEST_SF)
    worst = max(value for sf, value in enumerate(row, _LOWEST_SF) if sf != spreading_factor)
    threshold = worst if column == spreading_factor else row[column - _LOWEST_SF]
    return threshold + _STEP_DB * (spreading_factor - wanted.spreading_factor)


def in_band_db(frequency_hz: float, bandwidth_hz: float, other: Modulation) -> float:
    """Part of another signal that falls into a receiver's band, in dB (0: all of it; minus infinity: nothing).

    Chirps are spread evenly over their bandwidth. What leaks into adjacent channels is not modelled.
    """
    low = max(frequency_hz - bandwidth_hz / 2, other.frequency_hz - other.bandwidth_hz / 2)
    high = min(frequency_hz + bandwidth_hz / 2, other.frequency_hz + other.bandwidth_hz / 2)
    if high <= low:
        return -math.inf
    return 10 * math.log10((high - low) / other.bandwidth_hz)
