"""A packet on its way: where it was sent, what it is, what came out at the other end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pave_emulator.air.airtime import Airtime
from pave_emulator.air.propagation import Position
from pave_emulator.air.radio import Modulation

LOCK_SYMBOLS = 5
"""Symbols of preamble a demodulator needs (Bor et al., MSWiM 2016, section 3.2)."""


@dataclass(frozen=True)
class Site:
    """Where an antenna is and what belongs to it.

    Attributes:
        name: unique on the air.
        position_m: x, y, z.
        antenna_gain_dbi: of antenna and cable.
        noise_figure_db: of the receiver; 6 dB is what Semtech's sensitivities imply.
        extra_loss_db: what else is in the way at the time given (s): a car parked on it, 10 to 20 dB.
    """

    name: str
    position_m: Position
    antenna_gain_dbi: float = 0.0
    noise_figure_db: float = 6.0
    extra_loss_db: Callable[[float], float] = lambda _now_s: 0.0


@dataclass(eq=False)
class Transmission:
    """One packet on the air. `key` is unique, `cut_s` when the sender broke it off, `levels_dbm` per receiving site."""

    key: str
    site: Site
    modulation: Modulation
    payload: bytes
    power_dbm: float
    start_s: float
    times: Airtime
    sender_loss_db: float
    cut_s: float | None = None
    levels_dbm: dict[str, float] = field(default_factory=dict)

    @property
    def end_s(self) -> float:
        """When it is over, or would have been."""
        return self.start_s + self.times.total_s

    @property
    def silent_from_s(self) -> float:
        """When its signal ends."""
        return self.end_s if self.cut_s is None else self.cut_s

    @property
    def lock_until_s(self) -> float:
        """End of the programmed preamble."""
        return self.start_s + self.times.preamble_s

    @property
    def lock_s(self) -> float:
        """How long a demodulator must hear the preamble."""
        return LOCK_SYMBOLS * self.times.symbol_s


@dataclass(frozen=True)
class Reception:
    """What came out of a demodulator.

    `crc_ok` is True too where a packet has no CRC, spoiled or not: nobody can tell. `rssi_dbm` is the power in the
    channel, noise included; the signal's own is `signal_dbm`.
    """

    transmission: Transmission
    payload: bytes
    crc_ok: bool
    rssi_dbm: float
    signal_dbm: float
    snr_db: float
