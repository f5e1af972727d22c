"""What passes between the network server and its concentrators, and how copies of a frame compare."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from pave_gateway.core import limits
from pave_wire import region
from pave_wire.errors import RegionError

# SNR that a LoRa demodulator needs, by data rate (SX1276 datasheet, table 13: SF12 to SF7). DR6 is SF7 as well, and FSK
# is taken like it.
REQUIRED_SNR_DB = (-20.0, -17.5, -15.0, -12.5, -10.0, -7.5, -7.5, -7.5)
_SATURATED_SNR_DB = 5.0  # above it a concentrator's SNR tells little, and RSSI more
TMST_END = 1 << 32
_GHOST_US = 10_000


@dataclass(frozen=True, slots=True)
class Uplink:
    """A frame as one concentrator heard it.

    Attributes:
        phy: PHYPayload; its CRC held.
        gateway_id: The concentrator's EUI-64, 16 lower-case hexadecimal digits.
        tmst: The concentrator's counter at the end of the frame, microseconds modulo 2^32.
        frequency_hz: Of the channel.
        data_rate: DR0 to DR7.
        rssi_dbm: Of the channel while the frame came in.
        snr_db: Of the frame.
    """

    phy: bytes
    gateway_id: str
    tmst: int
    frequency_hz: int
    data_rate: int
    rssi_dbm: float
    snr_db: float

    @property
    def is_possible(self) -> bool:
        """Whether a concentrator of this region can have heard it so; what it says comes over a network."""
        try:
            region.sub_band(self.frequency_hz, region.occupied_hz(self.data_rate))
        except RegionError:
            return False
        return -200 < self.rssi_dbm < 50 and -50 < self.snr_db < 50 and 0 <= self.tmst < TMST_END

    @property
    def quality(self) -> tuple[float, float]:
        """The greater, the better the concentrator hears the device, and so the device it."""
        return min(self.snr_db, _SATURATED_SNR_DB), self.rssi_dbm


@dataclass(frozen=True, slots=True)
class Downlink:
    """A frame to send, LoRa without CRC and with inverted polarity (FSK at DR7).

    Attributes:
        token: Names it in `NetworkServer.transmitted`.
        gateway_id: Of the concentrator that sends it.
        tmst: When, by that concentrator's counter.
        frequency_hz: Of the channel.
        data_rate: DR0 to DR7.
        power_dbm: EIRP (a forwarder takes off its antenna's gain).
        phy: PHYPayload.
    """

    token: int
    gateway_id: str
    tmst: int
    frequency_hz: int
    data_rate: int
    power_dbm: int
    phy: bytes


class TxResult(Enum):
    """What became of a `Downlink`: the error in a TX_ACK (Semtech's PROTOCOL.TXT, 5.4), or that there is no path."""

    OK = "NONE"
    TOO_LATE = "TOO_LATE"
    TOO_EARLY = "TOO_EARLY"
    COLLISION_PACKET = "COLLISION_PACKET"
    COLLISION_BEACON = "COLLISION_BEACON"
    TX_FREQ = "TX_FREQ"
    TX_POWER = "TX_POWER"
    GPS_UNLOCKED = "GPS_UNLOCKED"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True, slots=True)
class Copy:
    """An `Uplink`, and when this server had it."""

    uplink: Uplink
    heard_ms: int


@dataclass(slots=True)
class Reception:
    """One frame with its copies.

    Attributes:
        phy: PHYPayload.
        first_ms: When the first copy came.
        copies: The best of each concentrator.
        closed: No further copy counts.
        when_closed: Called once, with the time, when that is so.
    """

    phy: bytes
    first_ms: int
    copies: dict[str, Copy] = field(default_factory=dict[str, Copy])
    closed: bool = False
    when_closed: Callable[[int], None] | None = None

    def add(self, uplink: Uplink, now_ms: int) -> None:
        """Take one more copy.

        Of two from one concentrator at one time, one is a ghost on a neighbouring channel: the better stays. A second
        one later is a frame that somebody repeats: its receive windows are nobody's.
        """
        known = self.copies.get(uplink.gateway_id)
        if known is None and len(self.copies) < limits.LORAWAN_COPIES:
            self.copies[uplink.gateway_id] = Copy(uplink, now_ms)
        elif known is not None and known.uplink.quality < uplink.quality and _is_ghost(known.uplink, uplink):
            self.copies[uplink.gateway_id] = Copy(uplink, known.heard_ms)

    def close(self, now_ms: int) -> None:
        """Let no further copy count."""
        if not self.closed:
            self.closed = True
            if self.when_closed is not None:
                self.when_closed(now_ms)

    @property
    def best(self) -> Uplink:
        """The best copy."""
        return self.by_quality[0].uplink

    @property
    def by_quality(self) -> list[Copy]:
        """All copies, the best first."""
        return sorted(self.copies.values(), key=lambda copy: copy.uplink.quality, reverse=True)


def _is_ghost(one: Uplink, other: Uplink) -> bool:
    apart_us = (one.tmst - other.tmst) % TMST_END
    return min(apart_us, TMST_END - apart_us) < _GHOST_US
