"""Wi-Fi: access points, the stations of a fleet, the paths between them, and their UDP ports.

A device's socket is a socket on the clock's network (`air.network`): the host's loopback, so that the gateway and every
other server there is on the device's network, or the memory of a simulation. Every datagram passes here, where loss,
delay and recording come in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pave_emulator.air.access_point import AccessPoint, Position
from pave_emulator.air.network import LOOPBACK, Address
from pave_emulator.air.path import DOWN, UP, Paths
from pave_emulator.air.station import STAT_CONNECTING, STAT_GOT_IP, STAT_IDLE, Station
from pave_emulator.clock import FleetClock
from pave_emulator.trace import DATAGRAM, Trace

__all__ = [
    "LOOPBACK", "MAX_DATAGRAM_BYTES", "STAT_CONNECTING", "STAT_GOT_IP", "STAT_IDLE",
    "AccessPoint", "Station", "UdpPort", "WifiAir",
]  # fmt: skip

CONNECT_S = 0.6
"""Association, four-way handshake and DHCP: an estimate, short. An ESP32 took 0.66 s with a static address and 0.89 s
more with DHCP (glenn20/upy-esp32-experiments, ESPNowvsWifiEnergyUsage).
"""
SEARCH_S = 13 * 0.12  # all channels, active scan at its default of 120 ms each (wifi_scan_time_t of ESP-IDF)
BEACON_TIMEOUT_S = 6.0  # esp_wifi_set_inactive_time, default for stations
DNS_S = 0.02  # a resolver on the same site
DNS_GIVE_UP_S = 7.0  # lwIP core/dns.c: 4 tries, timers of 1, 1, 2 and 3 s
MAX_DATAGRAM_BYTES = 1472  # one Ethernet frame: the emulator does not fragment
Tap = Callable[[str, str, float, bytes], None]
"""(device, "up" from the device or "down" to it, seconds, datagram)."""


@dataclass
class WifiAir:
    """The medium all devices of a fleet share. `hosts` are names its DNS knows, `neighbours` other access points.

    `positions_m` tells where devices are, for access points with a position. After a change of either call `look`.
    """

    clock: FleetClock
    access_point: AccessPoint = field(default_factory=AccessPoint)
    connect_s: float = CONNECT_S
    hosts: dict[str, str] = field(default_factory=dict)
    tap: Tap | None = None
    trace: Trace = field(default_factory=Trace)
    seed: int = 0
    neighbours: list[AccessPoint] = field(default_factory=list)
    positions_m: dict[str, Position] = field(default_factory=dict)
    search_s: float = SEARCH_S
    beacon_timeout_s: float = BEACON_TIMEOUT_S
    dns_s: float = DNS_S

    def __post_init__(self) -> None:
        self.paths = Paths(self.seed)
        self._stations: dict[str, Station] = {}

    def station(self, device: str) -> Station:
        """The radio of one device; off when it is asked for the first time."""
        if device not in self._stations:
            self._stations[device] = Station(self, device)
        return self._stations[device]

    # Access points

    def audible(self, device: str) -> list[tuple[AccessPoint, int]]:
        """What a scan there finds, the loudest first: access points and their dBm."""
        position_m = self.positions_m.get(device)
        heard = [
            (point, dbm)
            for point in (self.access_point, *self.neighbours)
            if (dbm := point.heard_dbm(position_m)) is not None
        ]
        return sorted(heard, key=lambda pair: -pair[1])

    def find(self, device: str, ssid: str, bssid: bytes = b"") -> AccessPoint | None:
        """The loudest access point of that name (and address, if one is given)."""
        for point, _dbm in self.audible(device):
            if point.ssid == ssid and bssid in (b"", point.bssid):
                return point
        return None

    def switch(self, ssid: str, on: bool) -> None:
        """Give every access point of that name power, or take it away. Raise KeyError with the names there are."""
        points = [point for point in (self.access_point, *self.neighbours) if point.ssid == ssid]
        if not points:
            names = sorted({point.ssid for point in (self.access_point, *self.neighbours)})
            raise KeyError(f"no access point {ssid!r}: there are {names}")
        for point in points:
            point.on = on
        self.look()

    def look(self) -> None:
        """Access points or devices have been moved or switched: stations notice."""
        for station in self._stations.values():
            station.look()

    # Datagrams

    def heard(self, device: str, direction: str, data: bytes, **marks: int) -> None:
        """Record one datagram, and pass it to the tap. Marks: lost=1, duplicated=1; what is lost on its way down
        never reaches the device, so the tap does not see it.
        """
        now_s = self.clock.now_s()
        self.trace.record(now_s, device, DATAGRAM, way=direction, data=data, **marks)
        if direction == UP:
            self.station(device).sent()
        if self.tap and not (direction == DOWN and marks.get("lost")):
            self.tap(device, direction, now_s, data)


class UdpPort:
    """A device's UDP socket. `on_datagram(data, sender)` is called for each arrival, `up()` tells whether the device
    has a network at this moment.
    """

    def __init__(
        self, air: WifiAir, device: str, up: Callable[[], bool], on_datagram: Callable[[bytes, Address], None]
    ) -> None:
        self._air = air
        self._device = device
        self._up = up
        self._on_datagram = on_datagram
        self._open = True
        self._port = air.clock.network.open(self._arrived)

    @property
    def port(self) -> int:
        """The port peers see: the network's choice, whatever the firmware bound to."""
        return self._port.number

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; one that cannot be sent is lost, as on the air."""
        now_s = self._air.clock.now_s()
        arrivals = self._air.paths.of(self._device, UP).plan(now_s) if self._up() else ()
        marks = {"lost": 1} if not arrivals else {"duplicated": 1} if len(arrivals) > 1 else {}
        self._air.heard(self._device, UP, data, **marks)
        for arrival_s in arrivals:
            self._at(arrival_s, now_s, lambda: self._port.send(data, to))

    def close(self) -> None:
        """Give the port back; what is on its way to it is lost."""
        self._open = False
        self._port.close()

    def _arrived(self, data: bytes, sender: Address) -> None:
        now_s = self._air.clock.now_s()
        arrivals = self._air.paths.of(self._device, DOWN).plan(now_s)
        if not arrivals:
            self._air.heard(self._device, DOWN, data, lost=1)
        for number, arrival_s in enumerate(arrivals):
            self._at(arrival_s, now_s, lambda number=number: self._deliver(data, sender, number))

    def _deliver(self, data: bytes, sender: Address, number: int) -> None:
        if not self._open or not self._up():
            self._air.heard(self._device, DOWN, data, lost=1)
            return
        self._air.heard(self._device, DOWN, data, **({"duplicated": 1} if number else {}))
        self._on_datagram(data, sender)

    def _at(self, when_s: float, now_s: float, action: Callable[[], None]) -> None:
        if when_s <= now_s:
            action()
        else:
            self._air.clock.call_at(when_s, action)
