"""From transmitter to receiver: path loss, shadowing, noise, what a level is worth to a LoRa demodulator.

Theory of operation. Loss grows with the logarithm of the distance; each pair of places has a constant deviation of
its own (shadowing, the same both ways), each packet a small one more (fading). A demodulator sees the signal against
thermal noise. Its symbol error rate follows Elshabrawy and Robert, "Closed-Form Approximation of LoRa Modulation BER
Performance" (IEEE Communications Letters 22(9), 2018), Ps = Q(sqrt(2^(SF+1) SNR) - sqrt(1.386 SF + 1.154)), moved per
spreading factor so that a packet of 64 bytes at 4/5 fails once in a hundred at the SNR Semtech gives as the limit
(the condition of its sensitivity figures, DS.SX1261-2 section 3). Coding rates 4/5 and 4/6 only detect errors; 4/7
and 4/8 mend one wrong symbol of each interleaved block, because it touches one bit of each codeword.

Randomness is a hash of the seed and of what is drawn: who draws first changes nothing.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

from pave_emulator.air.airtime import HEADER_SYMBOLS, airtime
from pave_emulator.air.radio import Modulation

Position = tuple[float, float, float]

NOISE_DENSITY_DBM_HZ = -174.0
"""Thermal noise at 290 K."""

SNR_LIMIT_DB = {5: -2.5, 6: -5.0, 7: -7.5, 8: -10.0, 9: -12.5, 10: -15.0, 11: -17.5, 12: -20.0}
"""Demodulation limits: SX1276/77/78/79 datasheet rev 7 table 13; SF5, which it lacks, by the table's step of 2.5 dB."""

DETECTION_MARGIN_DB = 3.0
"""How far below the limit a preamble is still found: the correlator adds up symbols. An assumption; no figure is
published.
"""

SNR_CEILING_DB = 13.0
"""The SNR that is reported levels off. An assumption: gateways hardly print more, and no datasheet has a figure."""

_NORMAL = NormalDist()
_CALIBRATION_BYTES, _CALIBRATION_ERROR = 64, 0.01


@dataclass(frozen=True)
class PathLoss:
    """Log-distance path loss with log-normal shadowing. The defaults were measured at 868 MHz in the city of Oulu.

    Source of the defaults: Petajajarvi et al., "On the Coverage of LPWANs: Range Evaluation and Channel Attenuation
    Model for LoRa Technology" (ITST 2015).

    Attributes:
        reference_db: loss at `reference_m`.
        reference_m: that distance.
        exponent: 2 in free space.
        shadowing_db: standard deviation between places.
        fading_db: standard deviation between packets on one link (an assumption: antennas do not move here).
    """

    reference_db: float = 128.95
    reference_m: float = 1000.0
    exponent: float = 2.32
    shadowing_db: float = 7.8
    fading_db: float = 1.0

    def mean_db(self, distance_m: float) -> float:
        """Loss at a distance, without shadowing; closer than 1 m counts as 1 m."""
        return self.reference_db + 10 * self.exponent * math.log10(max(distance_m, 1.0) / self.reference_m)


def uniform(*labels: object) -> float:
    """A number in [0, 1) that depends on the labels alone."""
    digest = hashlib.blake2b(":".join(map(str, labels)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def normal(*labels: object) -> float:
    """A draw of the standard normal distribution that depends on the labels alone."""
    return _NORMAL.inv_cdf(max(uniform(*labels), 2.0**-53))


def noise_floor_dbm(bandwidth_hz: float, noise_figure_db: float) -> float:
    """Noise power in a receiver's bandwidth: -174 + 10 log10(BW) + NF."""
    return NOISE_DENSITY_DBM_HZ + 10 * math.log10(bandwidth_hz) + noise_figure_db


def sum_dbm(*levels_dbm: float) -> float:
    """Power of several signals together."""
    return 10 * math.log10(sum(10 ** (level / 10) for level in levels_dbm))


def header_success(modulation: Modulation, snr_db: float) -> float:
    """Probability that noise leaves the first block whole."""
    return _block_success(symbol_error_rate(modulation.spreading_factor, snr_db), HEADER_SYMBOLS)


def payload_success(modulation: Modulation, payload_bytes: int, snr_db: float) -> float:
    """Probability that noise leaves all blocks after the first one whole."""
    error = symbol_error_rate(modulation.spreading_factor, snr_db)
    return _block_success(error, modulation.coding_rate) ** airtime(modulation, payload_bytes).payload_blocks


def symbol_error_rate(spreading_factor: int, snr_db: float) -> float:
    """Probability that noise spoils a symbol."""
    return _ideal_symbol_error(spreading_factor, snr_db - _IMPLEMENTATION_LOSS_DB[spreading_factor])


def _block_success(symbol_error: float, symbols: int) -> float:
    whole = (1 - symbol_error) ** symbols
    if symbols < 7:
        return whole
    return whole + symbols * symbol_error * (1 - symbol_error) ** (symbols - 1)


def _ideal_symbol_error(spreading_factor: int, snr_db: float) -> float:
    amplitude = math.sqrt(10 ** (snr_db / 10) * (2 << spreading_factor))
    return _NORMAL.cdf(math.sqrt(1.386 * spreading_factor + 1.154) - amplitude)


def _implementation_loss_db(spreading_factor: int) -> float:
    """How much worse than the ideal demodulator a Semtech one is at its limit."""
    probe = Modulation(868_100_000, spreading_factor, 125_000, low_data_rate=spreading_factor >= 11)
    symbols = airtime(probe, _CALIBRATION_BYTES).payload_blocks * probe.coding_rate
    symbol_error = 1 - (1 - _CALIBRATION_ERROR) ** (1 / symbols)
    amplitude = math.sqrt(1.386 * spreading_factor + 1.154) - _NORMAL.inv_cdf(symbol_error)
    ideal_snr_db = 20 * math.log10(amplitude) - 10 * math.log10(2 << spreading_factor)
    return SNR_LIMIT_DB[spreading_factor] - ideal_snr_db


_IMPLEMENTATION_LOSS_DB = {sf: _implementation_loss_db(sf) for sf in SNR_LIMIT_DB}
