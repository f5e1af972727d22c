"""What a site can carry, from its settings: acknowledgements in an hour, and so devices.

Downlink. A concentrator may send 36 s an hour in each 1 % sub-band and 360 s in RX2's. RX1 lies on the channel of the
uplink; uplinks are spread over all channels alike, so of the sub-band that is asked most in relation to its hour, the
hour ends first. From then on answers to its channels go to RX2, where one acknowledgement takes as long as RX2's data
rate says.

Uplink. Devices send when something happens, so frames meet (pure ALOHA): of those with one spreading factor on one
channel, e^(-2G) arrive, G being the share of time that they fill. A lone concentrator hears nothing while it sends
acknowledgements; of two or more another one does.

The figures are those of devices that all use one spreading factor; a site has a mixture, and lies between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from pave_gateway.core.lorawan.concentrators import budget_us
from pave_gateway.core.lorawan.joins import ACCEPT_BYTES
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import region
from pave_wire.event import BYTES as EVENT_BYTES
from pave_wire.event_encode import ACKNOWLEDGEMENT_BYTES

_FRAME_BYTES = 13
_JOIN_CHANNEL_HZ = region.DEFAULT_CHANNELS_HZ[0]
_HIGHEST_DATA_RATE = 5
_LOST_MAX = 0.1


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of one device: changes of a bay's state in an hour, and heartbeats."""

    changes_per_hour: float = 2.0
    heartbeats_per_hour: float = 1.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of a site whose devices all send at one data rate.

    Attributes:
        spreading_factor: 7 to 12.
        event_ms: An event on air.
        rx1_ack_ms: An acknowledgement on air in RX1.
        rx1_acks_per_hour: In RX1 of one 1 % sub-band.
        rx1_acks_all: In RX1 of all channels, while uplinks are spread over them.
        rx2_ack_ms: In RX2.
        rx2_acks_per_hour: In RX2.
        acks_per_hour: Of all concentrators, RX1 and RX2.
        devices_by_acks: Whose readings can be acknowledged.
        devices_by_air: Whose events arrive, a tenth lost.
    """

    spreading_factor: int
    event_ms: float
    rx1_ack_ms: float
    rx1_acks_per_hour: int
    rx1_acks_all: int
    rx2_ack_ms: float
    rx2_acks_per_hour: int
    acks_per_hour: int
    devices_by_acks: int
    devices_by_air: int


def capacities(settings: LorawanSettings, traffic: Traffic, concentrators: int = 1) -> list[Capacity]:
    """Return what the site carries at SF7, SF8, ... SF12."""
    return [_capacity(settings, traffic, concentrators, rate) for rate in range(_HIGHEST_DATA_RATE, -1, -1)]


def table(rows: Sequence[Capacity]) -> str:
    """Return `capacities` as text for a terminal."""
    head = "      event ms  RX1: ack ms  in 1 %/h  all/h   RX2: ack ms      /h   acks/h  devices: acks     air"
    return "\n".join([head, *(_line(row) for row in rows)])


def _line(row: Capacity) -> str:
    return (
        f"SF{row.spreading_factor:<4}{row.event_ms:8.1f}{row.rx1_ack_ms:13.1f}{row.rx1_acks_per_hour:10,}"
        f"{row.rx1_acks_all:7,}{row.rx2_ack_ms:14.1f}{row.rx2_acks_per_hour:8,}{row.acks_per_hour:9,}"
        f"{row.devices_by_acks:15,}{row.devices_by_air:8,}"
    )


def _capacity(settings: LorawanSettings, traffic: Traffic, concentrators: int, data_rate: int) -> Capacity:
    ack_bytes = _FRAME_BYTES + ACKNOWLEDGEMENT_BYTES
    rx1_us = region.frame_time_us(region.rx1_data_rate(data_rate, settings.rx1_dr_offset), ack_bytes, crc=False)
    rx2_us = region.frame_time_us(settings.rx2_data_rate, ack_bytes, crc=False)
    event_us = region.frame_time_us(data_rate, _FRAME_BYTES + EVENT_BYTES)
    bands = _channels_by_band(settings)
    spread = sum(bands.values())
    rx1_all = min(budget_us(band) * spread // (rx1_us * count) for band, count in bands.items())
    rx2 = budget_us(region.sub_band(region.RX2_FREQUENCY_HZ, region.occupied_hz(0))) // rx2_us
    acks = concentrators * (rx1_all + rx2)
    needed = traffic.changes_per_hour + traffic.heartbeats_per_hour / settings.heartbeats_per_ack
    sent = traffic.changes_per_hour + traffic.heartbeats_per_hour
    met_us = 2 * event_us * sent / spread
    deaf_us = rx1_us * needed if concentrators == 1 else 0.0
    return Capacity(
        region.DATA_RATES[data_rate][0],
        event_us / 1000,
        rx1_us / 1000,
        budget_us(region.sub_band(region.DEFAULT_CHANNELS_HZ[0], region.occupied_hz(0))) // rx1_us,
        rx1_all,
        rx2_us / 1000,
        rx2,
        acks,
        int(acks / needed),
        int(-log(1 - _LOST_MAX) * 1000 * region.HOUR_MS / (met_us + deaf_us)),
    )


def _channels_by_band(settings: LorawanSettings) -> dict[int, int]:
    channels = [hz for hz in (*region.DEFAULT_CHANNELS_HZ, *settings.channels_hz) if hz]
    bands = [region.sub_band(frequency_hz, region.occupied_hz(0)) for frequency_hz in channels]
    return {band: bands.count(band) for band in dict.fromkeys(bands)}


@dataclass(frozen=True, slots=True)
class JoinCapacity:
    """Of a site whose devices all join at one data rate.

    Attributes:
        spreading_factor: 7 to 12.
        rx1_ms: A Join-Accept on air in RX1.
        rx1_per_hour: In RX1, of its share of the default channels' sub-band.
        rx2_ms: In RX2, which is SF12 for a device that does not know better.
        rx2_per_hour: Likewise in RX2's sub-band.
    """

    spreading_factor: int
    rx1_ms: float
    rx1_per_hour: int
    rx2_ms: float
    rx2_per_hour: int

    def storm_s(self, devices: int, concentrators: int = 1) -> float:
        """Return the least time in which `devices` that ask at once can be answered: what is sent takes as long.

        The share of an hour is there at once, then it has to come back. What collides and is asked again comes on top.
        """
        hours, rest = divmod(devices, concentrators * (self.rx1_per_hour + self.rx2_per_hour))
        in_rx1 = min(rest, concentrators * self.rx1_per_hour)
        on_air_ms = in_rx1 * self.rx1_ms + (rest - in_rx1) * self.rx2_ms
        return hours * region.HOUR_MS / 1000 + on_air_ms / 1000 / concentrators


def join_capacities(settings: LorawanSettings) -> list[JoinCapacity]:
    """Return how many devices can join at SF7, SF8, ... SF12."""
    rx1_budget_us = settings.join_share * budget_us(region.sub_band(_JOIN_CHANNEL_HZ, region.occupied_hz(0)))
    rx2_budget_us = settings.join_share * budget_us(region.sub_band(region.RX2_FREQUENCY_HZ, region.occupied_hz(0)))
    rx2_us = region.frame_time_us(region.RX2_DATA_RATE, ACCEPT_BYTES, crc=False)
    rows: list[JoinCapacity] = []
    for data_rate in range(_HIGHEST_DATA_RATE, -1, -1):
        rx1_us = region.frame_time_us(data_rate, ACCEPT_BYTES, crc=False)
        per_hour = int(rx1_budget_us // rx1_us), int(rx2_budget_us // rx2_us)
        sf = region.DATA_RATES[data_rate][0]
        rows.append(JoinCapacity(sf, rx1_us / 1000, per_hour[0], rx2_us / 1000, per_hour[1]))
    return rows


def join_table(rows: Sequence[JoinCapacity], devices: int, concentrators: int = 1) -> str:
    """Return `join_capacities` as text for a terminal, with what `devices` that join at once cost."""
    head = f"      RX1: accept ms      /h   RX2: accept ms      /h   {devices:,} at once, s"
    lines = [
        f"SF{row.spreading_factor:<4}{row.rx1_ms:14.1f}{row.rx1_per_hour:8,}{row.rx2_ms:17.1f}{row.rx2_per_hour:8,}"
        f"{row.storm_s(devices, concentrators):{len(head) - 53}.1f}"
        for row in rows
    ]
    return "\n".join([head, *lines])
