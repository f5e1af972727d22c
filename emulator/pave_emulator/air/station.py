"""A device's WLAN station: associating, failing, losing its access point and finding it again.

Theory of operation. This is ESP-IDF's driver with what the port does at its events (ports/esp32/network_wlan.c): each
failure and each loss begins another attempt until `max_attempts` is used up, `reason` keeps the last failure until an
address is got, and `status` is made of both by the port's own rules. So a status read right after `connect` may still
tell of an earlier failure, and `connect` while an attempt is under way is an error (micropython issue 17661).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pave_emulator.air.access_point import AccessPoint
from pave_emulator.clock import Timer

if TYPE_CHECKING:
    from pave_emulator.air.wifi import WifiAir

# wifi_err_reason_t
REASON_ASSOC_LEAVE = 8
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
# ports/esp32/modnetwork.h
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
# esp_err_t, esp_wifi.h
ESP_ERR_WIFI_NOT_STARTED = -0x3002
ESP_ERR_WIFI_CONN = -0x3007

STOPS_AT = (STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD)  # reasons that `status` tells even while it tries again


class WifiError(Exception):
    """The driver refuses; `code` is the esp_err_t, negative."""

    def __init__(self, code: int) -> None:
        super().__init__(f"esp_err_t {-code:#06x}")
        self.code = code


class Station:
    """A device's WLAN interface. `changed` is called when what the radio does has changed, `sent` at each datagram."""

    def __init__(self, air: WifiAir, device: str) -> None:
        self.air = air
        self.device = device
        self.sent: Callable[[], None] = lambda: None
        self.changed: Callable[[], None] = lambda: None
        self.active = False
        self._reset()

    def _reset(self) -> None:
        self.joining = False
        self.connected = False
        self.reason = 0
        self.max_attempts = 0  # 0: for ever
        self.point: AccessPoint | None = None
        self._attempts = 0
        self._requested = False
        self._wanted: tuple[str, str, bytes] = ("", "", b"")
        self._timer: Timer | None = None
        self._silence: Timer | None = None

    @property
    def status(self) -> int:
        """As WLAN.status() has it."""
        if self.connected:
            return STAT_GOT_IP
        if self.reason in STOPS_AT:
            return self.reason
        if self.reason == REASON_ASSOC_LEAVE:
            return STAT_IDLE
        if self._requested and (self.max_attempts == 0 or self._attempts < self.max_attempts):
            return STAT_CONNECTING
        return self.reason or STAT_IDLE

    @property
    def rssi_dbm(self) -> int | None:
        """How loud its access point is; None without one."""
        return self.point.heard_dbm(self.air.positions_m.get(self.device)) if self.point else None

    @property
    def reachable(self) -> bool:
        """True while datagrams get through: associated, and the access point is there."""
        return self.connected and self._silence is None

    def set_active(self, on: bool) -> None:
        """Switch the radio on or off; off drops the association."""
        if not on:
            self._let_go()
            self._requested = False
        self.active = on
        self.changed()

    def power_off(self) -> None:
        """The chip has reset: nothing is remembered."""
        self.set_active(False)
        self._reset()

    def connect(self, ssid: str, key: str, bssid: bytes = b"") -> None:
        """Begin to associate. Raise WifiError when the radio is off or an attempt is under way."""
        if not self.active:
            raise WifiError(ESP_ERR_WIFI_NOT_STARTED)
        self._attempts = 0
        self._wanted = ssid, key, bssid
        if self.joining:
            raise WifiError(ESP_ERR_WIFI_CONN)
        if self.connected:
            self._let_go()
        self._requested = True
        self._begin()

    def disconnect(self) -> None:
        """Leave the network or stop joining it. Raise WifiError when the radio is off."""
        if not self.active:
            raise WifiError(ESP_ERR_WIFI_NOT_STARTED)
        self._requested = False
        if self.joining or self.connected:
            self._let_go()
            self.reason = REASON_ASSOC_LEAVE
            self.changed()

    def look(self) -> None:
        """An access point or this station has been moved or switched: count the silence, or stop counting."""
        if not self.connected:
            return
        if self.rssi_dbm is None and self._silence is None:
            self._silence = self.air.clock.call_after(self.air.beacon_timeout_s, self._lost)
        elif self.rssi_dbm is not None and self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _begin(self) -> None:
        self.joining = True
        point = self.air.find(self.device, self._wanted[0], self._wanted[2])
        key_fits = point is not None and (point.key in ("", self._wanted[1]))
        self.changed()
        if point is None:
            self._later(self.air.search_s, lambda: self._failed(STAT_NO_AP_FOUND))
        elif not key_fits:
            self._later(self.air.connect_s, lambda: self._failed(STAT_WRONG_PASSWORD))
        else:
            self._later(self.air.connect_s, lambda: self._joined(point))

    def _later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._timer = self.air.clock.call_after(delay_s, callback)

    def _joined(self, point: AccessPoint) -> None:
        self._timer = None
        if point.heard_dbm(self.air.positions_m.get(self.device)) is None:
            self._failed(STAT_NO_AP_FOUND)
            return
        self.joining, self.connected, self.reason, self.point = False, True, 0, point
        point.stations.append(self.device)
        self.changed()

    def _lost(self) -> None:
        self._let_go()
        self._failed(STAT_BEACON_TIMEOUT)

    def _failed(self, reason: int) -> None:
        self.joining, self.reason, self._timer = False, reason, None
        self._attempts += 1
        if self.max_attempts and self._attempts >= self.max_attempts:
            self.changed()
            return
        self._begin()

    def _let_go(self) -> None:
        for timer in (self._timer, self._silence):
            if timer:
                timer.cancel()
        self._timer = self._silence = None
        self.joining = self.connected = False
        if self.point and self.device in self.point.stations:
            self.point.stations.remove(self.device)
        self.point = None
