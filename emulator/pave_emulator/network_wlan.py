"""The WLAN calls of a VM, station and access point, with the errors of ports/esp32/network_wlan.c."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pave_emulator.air.access_point import AccessPoint
from pave_emulator.air.network import LOOPBACK
from pave_emulator.air.station import Station, WifiError
from pave_emulator.vm.channel import PENDING, Handler, OpError
from pave_emulator.vm.shims import _emu_ops as ops
from pave_emulator.vm.waiter import Waiter

NOT_CONNECTED = -0x300F  # ESP_ERR_WIFI_NOT_CONNECT
NO_ADDRESS = b"0.0.0.0 0.0.0.0 0.0.0.0 0.0.0.0"


class WlanOps:
    """Handlers of the WLAN_* and AP_* calls of one boot."""

    def __init__(self, station: Station, waiter: Waiter, reply: Callable[..., None]) -> None:
        self._station = station
        self._waiter = waiter
        self._reply = reply
        self._own: AccessPoint | None = None

    def handlers(self) -> dict[int, Handler]:
        """By operation number."""
        return {
            ops.WLAN_ACTIVE: self._active,
            ops.WLAN_CONNECT: self._connect,
            ops.WLAN_DISCONNECT: self._disconnect,
            ops.WLAN_STATUS: self._status,
            ops.WLAN_IFCONFIG: self._ifconfig,
            ops.WLAN_SCAN: self._scan,
            ops.WLAN_RECONNECTS: self._reconnects,
            ops.WLAN_CHANNEL: self._channel,
            ops.AP_ACTIVE: self._ap_active,
            ops.AP_STATIONS: self._ap_stations,
        }

    def close(self) -> None:
        """The chip has reset: radio off."""
        self._take_down()
        self._station.power_off()

    # Station

    def _active(self, wanted: int, tail: bytes) -> bytes:
        if wanted >= 0:
            self._station.set_active(bool(wanted))
        return bytes([self._station.active])

    def _connect(self, ssid_bytes: int, bssid_bytes: int, tail: bytes) -> bytes:
        end = ssid_bytes + bssid_bytes
        ssid, bssid, key = tail[:ssid_bytes], tail[ssid_bytes:end], tail[end:]
        self._drive(lambda: self._station.connect(ssid.decode(), key.decode(), bssid))
        return b""

    def _disconnect(self, tail: bytes) -> bytes:
        self._drive(self._station.disconnect)
        return b""

    def _drive(self, action: Callable[[], None]) -> None:
        try:
            action()
        except WifiError as error:
            raise OpError(error.code) from error

    def _status(self, rssi: int, tail: bytes) -> bytes:
        level_dbm = self._station.rssi_dbm if self._station.connected else None
        if rssi and level_dbm is None:
            raise OpError(NOT_CONNECTED)
        return struct.pack("<Hb", self._station.status, level_dbm or 0)

    def _ifconfig(self, tail: bytes) -> bytes:
        if not self._station.connected:
            return NO_ADDRESS
        return f"{LOOPBACK} 255.0.0.0 {LOOPBACK} {LOOPBACK}".encode()

    def _reconnects(self, limit: int, tail: bytes) -> bytes:
        self._station.max_attempts = 0 if limit == -1 else limit + 1
        return b""

    def _channel(self, tail: bytes) -> bytes:
        return bytes([self._station.point.channel if self._station.point else 0])

    def _scan(self, tail: bytes) -> bytes | None:
        self._waiter.wait(
            _not_yet, self._reply, self._station.air.search_s, lambda: self._reply(self._found())
        )  # a scan blocks the caller
        return PENDING

    def _found(self) -> bytes:
        found = b""
        for point, dbm in self._station.air.audible(self._station.device):
            if point is not self._own:
                name = b"" if point.hidden else point.ssid.encode()[:32]
                found += struct.pack("<B6sBbB", len(name), point.bssid, point.channel, dbm, point.security) + name
        return found

    # Access point

    def _ap_active(self, wanted: int, ssid_bytes: int, channel: int, hidden: int, tail: bytes) -> bytes:
        air = self._station.air
        if wanted == 0:
            self._take_down()
        elif wanted == 1:
            self._take_down()
            ssid, key = tail[:ssid_bytes].decode(), tail[ssid_bytes:].decode()
            position_m = air.positions_m.get(self._station.device)
            self._own = AccessPoint(ssid, key, channel=channel, hidden=bool(hidden), position_m=position_m)
            air.neighbours.append(self._own)
        return bytes([self._own is not None])

    def _ap_stations(self, tail: bytes) -> bytes:
        names = self._own.stations if self._own else []
        return b"".join(len(name).to_bytes(1, "little") + name.encode() for name in names)

    def _take_down(self) -> None:
        if self._own is not None:
            self._own.on = False
            self._station.air.neighbours.remove(self._own)
            self._own = None
            self._station.air.look()


def _not_yet() -> bytes | None:
    return None
