"""EU863-870: the channel plan of RP002-1.0.4, time on air, and the duty cycle of each sub-band.

The sub-bands and their duty cycles are those of ETSI EN 300 220-2 V3.2.1, annex B (bands K to Q). The law counts the
time on air in any hour; `DutyCycle` keeps it in grains: what was sent in one grain of `GRAIN_MS` counts until that
grain is an hour old. So no hour ever holds more than is allowed, at the price of waiting up to one grain longer.

    sent      ends in grain g                                counts until
    --------------|-----------|------------ 1 h -----------------|
              g * GRAIN_MS  (g + 1) * GRAIN_MS       (g + 1) * GRAIN_MS + HOUR_MS

A network may ask for less (DutyCycleReq): then each frame, in whatever sub-band, is followed by a time off of 2**n - 1
times its own time on air. That only delays; a frame is refused only when the law's hour has no room for it.

`now_ms` is a count that only this device's own ticks move and that deep sleep does not stop, never civil time: a clock
set forward would forget what was sent. One that starts again at 0 is safe: what lies in its future counts for an hour,
and the time off begins anew.
"""

from pave_wire.errors import RegionError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# RP002-1.0.4, 2.4: what each device has before the network adds channels; it also joins on these, at DR0 to DR5.
DEFAULT_CHANNELS_HZ = (868_100_000, 868_300_000, 868_500_000)
CHANNELS_MAX = 16
RX2_FREQUENCY_HZ = 869_525_000
RX2_DATA_RATE = 0
RECEIVE_DELAY1_MS, RECEIVE_DELAY2_MS = 1000, 2000
JOIN_ACCEPT_DELAY1_MS, JOIN_ACCEPT_DELAY2_MS = 5000, 6000
ADR_ACK_LIMIT, ADR_ACK_DELAY = 64, 32
MAX_EIRP_DBM = 16

DATA_RATES = (  # (spreading factor, bandwidth in Hz) of DR0 to DR6; DR7 is FSK at 50 kbit/s
    (12, 125_000),
    (11, 125_000),
    (10, 125_000),
    (9, 125_000),
    (8, 125_000),
    (7, 125_000),
    (7, 250_000),
)
FSK_DATA_RATE = 7
_FSK_BANDWIDTH_HZ = 100_000  # Carson's rule: twice the deviation of 25 kHz, and the bit rate
_MAC_PAYLOAD_BYTES = (59, 59, 59, 123, 250, 250, 250, 250)  # M of RP002-1.0.4, 2.4.6
_REPEATER_BYTES = 230  # M where a repeater may wrap the frame
_HEADER_BYTES = 8  # FHDR without FOpts, and FPort: N is M less these

SUB_BANDS = (  # (first Hz, end Hz, duty cycle in thousandths, ERP in dBm)
    (863_000_000, 865_000_000, 1, 14),  # K
    (865_000_000, 868_000_000, 10, 14),  # L
    (868_000_000, 868_600_000, 10, 14),  # M
    (868_700_000, 869_200_000, 1, 14),  # N
    (869_400_000, 869_650_000, 100, 27),  # P
    (869_700_000, 870_000_000, 10, 14),  # Q
)

HOUR_MS = 3_600_000
GRAIN_MS = 120_000
_HOUR_US = 3_600_000_000
_AHEAD = 1  # grains that an entry may lie in the future: a frame on air now may end in the next grain
_NOTHING_SENT = ((0, 0), ())


def max_payload_bytes(data_rate: int, fopts_bytes: int = 0, repeater: bool = False) -> int:
    """Return how many payload bytes a frame holds at a data rate: N of RP002-1.0.4, less the FOpts.

    Raises:
        RegionError: not DR0 to DR7.
    """
    most = _MAC_PAYLOAD_BYTES[_known(data_rate)]
    return (min(most, _REPEATER_BYTES) if repeater else most) - _HEADER_BYTES - fopts_bytes


def rx1_data_rate(uplink_data_rate: int, rx1_dr_offset: int) -> int:
    """Return the data rate of RX1 after an uplink; offsets are 0 to 5 (RP002-1.0.4, 2.4.7)."""
    if not 0 <= rx1_dr_offset <= 5:
        raise RegionError("RX1DROffset %d; 0 to 5" % rx1_dr_offset)
    return max(0, _known(uplink_data_rate) - rx1_dr_offset)


def eirp_dbm(tx_power: int) -> int:
    """Return the power that TXPower 0 to 7 stands for (RP002-1.0.4, 2.4.3)."""
    if not 0 <= tx_power <= 7:
        raise RegionError("TXPower %d; 0 to 7" % tx_power)
    return MAX_EIRP_DBM - 2 * tx_power


def occupied_hz(data_rate: int) -> int:
    """Return the bandwidth that a data rate occupies.

    Raises:
        RegionError: not DR0 to DR7.
    """
    return _FSK_BANDWIDTH_HZ if _known(data_rate) == FSK_DATA_RATE else DATA_RATES[data_rate][1]


def sub_band(frequency_hz: int, bandwidth_hz: int) -> int:
    """Return the index in `SUB_BANDS` of a channel, given by its centre frequency and the bandwidth it occupies.

    Raises:
        RegionError: no sub-band of EU868 holds the whole of it.
    """
    half_hz = (bandwidth_hz + 1) // 2
    for index in range(len(SUB_BANDS)):
        if SUB_BANDS[index][0] <= frequency_hz - half_hz and frequency_hz + half_hz <= SUB_BANDS[index][1]:
            return index
    raise RegionError("%d Hz, %d Hz wide, is in no sub-band of EU863-870" % (frequency_hz, bandwidth_hz))


def frame_time_us(data_rate: int, phy_bytes: int, crc: bool = True) -> int:
    """Return how long a frame of `phy_bytes` (PHYPayload) is on air at a data rate; downlinks have no CRC.

    Raises:
        RegionError: not DR0 to DR7.
    """
    if _known(data_rate) == FSK_DATA_RATE:
        return (5 + 3 + 1 + phy_bytes + 2) * 160  # preamble, sync word, length, frame, CRC at 50 kbit/s
    sf, bandwidth_hz = DATA_RATES[data_rate]
    return time_on_air_us(sf, bandwidth_hz, phy_bytes, crc)


def time_on_air_us(
    sf: int, bandwidth_hz: int, payload_bytes: int, crc: bool = True, coding_rate: int = 1, preamble_symbols: int = 8
) -> int:
    """Return the exact time on air of a LoRa packet with an explicit header.

    Semtech AN1200.13 and SX1276 datasheet 4.1.1.7; for these spreading factors SX1261 datasheet 6.1.4 says the same.

    Args:
        sf: spreading factor, 7 to 12.
        bandwidth_hz: 125,000, 250,000 or 500,000.
        payload_bytes: of the LoRa packet: the whole PHYPayload.
        crc: whether the payload has one.
        coding_rate: 1 to 4 for 4/5 to 4/8.
        preamble_symbols: without the 4.25 of the sync word.

    Raises:
        RegionError: another spreading factor or bandwidth.
    """
    if not 7 <= sf <= 12 or bandwidth_hz not in (125_000, 250_000, 500_000):
        raise RegionError("SF%d at %d Hz; SF7 to SF12 at 125, 250 or 500 kHz" % (sf, bandwidth_hz))
    slow = (1 << sf) * 1000 >= 16 * bandwidth_hz  # low data rate optimisation, from symbols of 16 ms on
    bits = 8 * payload_bytes - 4 * sf + 28 + (16 if crc else 0)
    blocks = -(-max(0, bits) // (4 * (sf - 2 if slow else sf)))
    quarters = 4 * preamble_symbols + 17 + 4 * (8 + blocks * (coding_rate + 4))
    return (quarters << sf + 1) // (bandwidth_hz // 125_000)  # a quarter symbol is 2**sf * 2 us at 125 kHz


class DutyCycle:
    """Time on air spent in each sub-band over the last hour. The radio asks before each frame and records after.

    Attributes:
        max_duty_cycle: exponent n of a DutyCycleReq: after each frame, off for 2**n - 1 times its length; 0: none.
    """

    def __init__(
        self, state: "tuple[Sequence[int], Iterable[Sequence[int]]]" = _NOTHING_SENT, max_duty_cycle: int = 0
    ) -> None:
        self.max_duty_cycle = max_duty_cycle
        self._ended_ms, self._airtime_us = state[0]  # of the frame whose time off ends last
        _check_airtime(self._airtime_us)
        self._spent: dict[tuple[int, int], int] = {}  # (grain, sub-band): us
        for grain, band, spent_us in state[1]:
            if not 0 <= band < len(SUB_BANDS) or spent_us < 0:
                raise RegionError("%d us in sub-band %d; 0 to %d" % (spent_us, band, len(SUB_BANDS) - 1))
            self._add(grain, band, spent_us)

    @property
    def state(self) -> tuple[tuple[int, int], list[tuple[int, int, int]]]:
        """All of it, to persist and give back: two integers, and up to some 200 times three.

        The frame whose time off ends last as (its end in ms, us on air), and what each grain holds as (grain, sub-band,
        us), oldest first.
        """
        return (self._ended_ms, self._airtime_us), self._grains()

    def next_allowed_ms(self, frequency_hz: int, bandwidth_hz: int, airtime_us: int, now_ms: int) -> int:
        """Return the first moment, `now_ms` or later, when a frame of `airtime_us` may start.

        Raises:
            RegionError: a channel in no sub-band, a frame too long for the whole hour, or as long as a grain.
        """
        band = sub_band(frequency_hz, bandwidth_hz)
        _check_airtime(airtime_us)
        self._forget(now_ms)
        own = [(grain, us) for grain, of, us in self._grains() if of == band]
        at_ms = _free_at(own, _HOUR_US // 1000 * SUB_BANDS[band][2], airtime_us, now_ms)
        return max(at_ms, self._off_until_ms(self._ended_ms, self._airtime_us)) if self.max_duty_cycle else at_ms

    def record(self, frequency_hz: int, bandwidth_hz: int, airtime_us: int, now_ms: int) -> None:
        """Add a frame of `airtime_us` that started at `now_ms`; raises as `next_allowed_ms`, except for the hour."""
        band = sub_band(frequency_hz, bandwidth_hz)
        _check_airtime(airtime_us)
        self._forget(now_ms)
        ended_ms = _end_ms(now_ms, airtime_us)
        self._add(ended_ms // GRAIN_MS, band, airtime_us)
        if self._off_until_ms(ended_ms, airtime_us) >= self._off_until_ms(self._ended_ms, self._airtime_us):
            self._ended_ms, self._airtime_us = ended_ms, airtime_us

    def _off_until_ms(self, ended_ms: int, airtime_us: int) -> int:
        return ended_ms + (airtime_us * ((1 << self.max_duty_cycle) - 1) + 999) // 1000

    def _grains(self) -> list[tuple[int, int, int]]:
        return [(grain, band, self._spent[grain, band]) for grain, band in sorted(self._spent)]

    def _add(self, grain: int, band: int, spent_us: int) -> None:
        self._spent[grain, band] = self._spent.get((grain, band), 0) + spent_us

    def _forget(self, now_ms: int) -> None:
        """Drop what no longer counts, and bring back what a clock that started again left in its future."""
        self._ended_ms = min(self._ended_ms, _end_ms(now_ms, self._airtime_us))
        newest = now_ms // GRAIN_MS + _AHEAD
        kept = self._grains()
        self._spent = {}
        for grain, band, spent_us in kept:
            if _counts_until_ms(grain) > now_ms:
                self._add(min(grain, newest), band, spent_us)


def _free_at(spent: list[tuple[int, int]], budget_us: int, airtime_us: int, now_ms: int) -> int:
    """Return when enough of `spent`, (grain, us) with the oldest first, no longer counts."""
    if airtime_us > budget_us:
        raise RegionError("frame of %d us; the hour allows %d" % (airtime_us, budget_us))
    total_us = sum([us for _, us in spent]) + airtime_us
    at_ms = now_ms
    for grain, us in spent:
        if total_us <= budget_us:
            break
        total_us -= us
        at_ms = _counts_until_ms(grain)
    return at_ms


def _check_airtime(airtime_us: int) -> None:
    """Raise RegionError for a frame that ends more than `_AHEAD` grains after its start; none of LoRa is that long."""
    if not 0 <= airtime_us < GRAIN_MS * 1000:
        raise RegionError("frame of %d us; 0 to %d" % (airtime_us, GRAIN_MS * 1000 - 1))


def _end_ms(start_ms: int, airtime_us: int) -> int:
    return start_ms + airtime_us // 1000 + 1


def _counts_until_ms(grain: int) -> int:
    return (grain + 1) * GRAIN_MS + HOUR_MS


def _known(data_rate: int) -> int:
    if not 0 <= data_rate <= FSK_DATA_RATE:
        raise RegionError("DR%d; DR0 to DR7" % data_rate)
    return data_rate
