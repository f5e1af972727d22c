"""Wi-Fi as a device sees it: an access point with a name and a key, and UDP behind it.

Datagrams leave through one host socket per device socket, bound to 127.0.0.1, so that whatever listens on loopback is
on the devices' network. Every datagram passes `tap`, the seam where loss, delay and recording come in.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from pave_emulator.clock import Clock, Timer

STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010

CONNECT_S = 0.6  # association, four-way handshake and DHCP on a quiet channel
RSSI_DBM = -60
MAX_DATAGRAM_BYTES = 1472  # one Ethernet frame: the emulator does not fragment
LOOPBACK = "127.0.0.1"

Address = tuple[str, int]
Tap = Callable[[str, str, float, bytes], None]
"""(device, "up" from the device or "down" to it, seconds, datagram)."""


@dataclass
class AccessPoint:
    """A network that stations may join. An empty key is an open network."""

    ssid: str = "pave"
    key: str = "pave-demo-key"


@dataclass
class WifiAir:
    """The medium all devices of a fleet share. `hosts` are names its DNS knows."""

    clock: Clock
    access_point: AccessPoint = field(default_factory=AccessPoint)
    connect_s: float = CONNECT_S
    hosts: dict[str, str] = field(default_factory=dict)
    tap: Tap | None = None

    def station(self, device: str) -> Station:
        """The radio of one device, off."""
        return Station(self, device)

    def heard(self, device: str, direction: str, data: bytes) -> None:
        """Pass one datagram to the tap."""
        if self.tap:
            self.tap(device, direction, self.clock.now_s(), data)


class Station:
    """A device's WLAN interface."""

    def __init__(self, air: WifiAir, device: str) -> None:
        self.air = air
        self.device = device
        self.active = False
        self.status = STAT_IDLE
        self._timer: Timer | None = None

    def set_active(self, on: bool) -> None:
        """Switch the radio on or off; off drops the association."""
        if not on:
            self.disconnect()
        self.active = on

    def connect(self, ssid: str, key: str) -> None:
        """Begin to associate; `status` tells the outcome after the air's connect_s."""
        self.disconnect()
        self.status = STAT_CONNECTING
        self._timer = self.air.clock.call_after(self.air.connect_s, lambda: self._settle(ssid, key))

    def disconnect(self) -> None:
        """Leave the network or stop joining it."""
        if self._timer:
            self._timer.cancel()
        self._timer = None
        self.status = STAT_IDLE

    @property
    def connected(self) -> bool:
        """True while it has an address."""
        return self.status == STAT_GOT_IP

    def _settle(self, ssid: str, key: str) -> None:
        point = self.air.access_point
        if ssid != point.ssid:
            self.status = STAT_NO_AP_FOUND
        elif key != point.key:
            self.status = STAT_WRONG_PASSWORD
        else:
            self.status = STAT_GOT_IP


class UdpPort:
    """A device's UDP socket on the host. `on_datagram(data, sender)` is called for each arrival."""

    def __init__(self, station: Station, on_datagram: Callable[[bytes, Address], None]) -> None:
        self._station = station
        self._on_datagram = on_datagram
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((LOOPBACK, 0))
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    @property
    def port(self) -> int:
        """The port peers see: the host's choice, whatever the firmware bound to."""
        return self._socket.getsockname()[1]

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; one that the host refuses is lost, as on the air."""
        self._station.air.heard(self._station.device, "up", data)
        try:
            self._socket.sendto(data, to)
        except OSError:
            pass

    def close(self) -> None:
        """Let go of the host's socket."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        try:
            data, sender = self._socket.recvfrom(65536)
        except OSError:
            return  # an ICMP error from an earlier send: UDP on the board does not report it either
        if self._station.connected:
            self._station.air.heard(self._station.device, "down", data)
            self._on_datagram(data, sender)
