"""LoRa time on air, and where in a packet the preamble and the header end.

Source: Semtech DS.SX1261-2 rev 2.1 section 6.1.4, which for SF7 to SF12 is AN1200.13 section 4. The SX1276's SF6 is
another format (4.25 symbols of sync word) and is not modelled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pave_emulator.air.radio import Modulation

HEADER_SYMBOLS = 8
"""The first block, always at coding rate 4/8: the explicit header where there is one, payload otherwise."""

_EXPLICIT_HEADER_BITS = 20
_CRC_BITS = 16
_LOWEST_LONG_SYNC_SF = 6  # SF5 and SF6 have 6.25 symbols of sync word instead of 4.25
LDRO_SYMBOL_S = 16.38e-3
"""Low data rate optimisation is due from this symbol time on (DS.SX1261-2 section 6.1.1.4)."""


@dataclass(frozen=True)
class Airtime:
    """Durations from the first preamble symbol on, in s.

    Attributes:
        symbol_s: one symbol.
        preamble_s: end of the programmed preamble.
        sync_s: end of the sync word.
        header_s: end of the first block.
        total_s: end of the packet.
        payload_blocks: blocks of `coding_rate` symbols after the first one.
    """

    symbol_s: float
    preamble_s: float
    sync_s: float
    header_s: float
    total_s: float
    payload_blocks: int


def airtime(modulation: Modulation, payload_bytes: int) -> Airtime:
    """Durations of a packet. Raise ValueError for a length or a modulation LoRa does not have."""
    _check(modulation, payload_bytes)
    spreading_factor, short = modulation.spreading_factor, modulation.spreading_factor <= _LOWEST_LONG_SYNC_SF
    bits = 8 * payload_bytes + _CRC_BITS * modulation.crc - 4 * spreading_factor
    bits += _EXPLICIT_HEADER_BITS * modulation.explicit_header + (0 if short else 8)
    reduced = modulation.low_data_rate and not short
    blocks = math.ceil(max(bits, 0) / (4 * (spreading_factor - 2 * reduced)))
    preamble = modulation.preamble_symbols
    sync = preamble + (6.25 if short else 4.25)
    header = sync + HEADER_SYMBOLS
    symbol_s = modulation.symbol_s
    total = header + blocks * modulation.coding_rate
    return Airtime(symbol_s, preamble * symbol_s, sync * symbol_s, header * symbol_s, total * symbol_s, blocks)


def time_on_air_s(modulation: Modulation, payload_bytes: int) -> float:
    """How long a packet lasts, in s. Raise ValueError as `airtime`."""
    return airtime(modulation, payload_bytes).total_s


def needs_low_data_rate(spreading_factor: int, bandwidth_hz: int) -> bool:
    """Whether symbols are so long that both ends must use low data rate optimisation."""
    return (1 << spreading_factor) / bandwidth_hz >= LDRO_SYMBOL_S


def _check(modulation: Modulation, payload_bytes: int) -> None:
    if not 5 <= modulation.spreading_factor <= 12:
        raise ValueError(f"spreading factor {modulation.spreading_factor}: LoRa has 5 to 12")
    if not 5 <= modulation.coding_rate <= 8:
        raise ValueError(f"coding rate 4/{modulation.coding_rate}: LoRa has 4/5 to 4/8")
    if not 0 <= payload_bytes <= 255:
        raise ValueError(f"payload of {payload_bytes} bytes: a LoRa packet has 0 to 255")
