"""`network.WLAN`: a station on the emulator's air. The access-point interface exists and cannot be switched on."""

import _emu_ops as ops
import _emu_rpc as rpc

STA_IF = 0
AP_IF = 1
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010

AUTH_OPEN = 0
AUTH_WPA2_PSK = 3
PM_NONE = 0
PM_PERFORMANCE = 1
PM_POWERSAVE = 2

_hostname = "mpy-esp32s3"


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    _hostname = name
    return None


def country(code=None):
    return "XX" if code is None else None


class WLAN:
    IF_STA = STA_IF
    IF_AP = AP_IF
    SEC_OPEN = AUTH_OPEN
    SEC_WPA2 = AUTH_WPA2_PSK
    PM_NONE = PM_NONE
    PM_PERFORMANCE = PM_PERFORMANCE
    PM_POWERSAVE = PM_POWERSAVE

    _settings = {"pm": PM_PERFORMANCE, "reconnects": -1, "txpower": 20, "channel": 1, "ssid": "", "dhcp_hostname": ""}

    def __init__(self, interface=STA_IF):
        if interface not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        self._interface = interface

    def active(self, on=None):
        if self._interface == AP_IF:
            if on:
                raise OSError("the emulator has no access-point mode")
            return False
        state = rpc.ask(ops.WLAN_ACTIVE, (-1 if on is None else int(bool(on)),))[0]
        return bool(state)

    def connect(self, ssid=None, key=None, bssid=None):
        self._station()
        if not self.active():
            raise OSError("Wifi Not Started")
        name = _text(ssid) if ssid is not None else _text(self._settings["ssid"])
        self._settings["ssid"] = name.decode()
        rpc.call(ops.WLAN_CONNECT, (len(name),), name + _text(key or b""))

    def disconnect(self):
        self._station()
        rpc.call(ops.WLAN_DISCONNECT)

    def isconnected(self):
        return self._interface == STA_IF and rpc.ask(ops.WLAN_STATUS)[0] == STAT_GOT_IP

    def status(self, what=None):
        self._station()
        status, rssi_dbm = rpc.ask(ops.WLAN_STATUS)
        if what is None:
            return status
        if what != "rssi":
            raise ValueError("unknown status param")
        if status != STAT_GOT_IP:
            raise OSError("Wifi Not Connected")
        return rssi_dbm

    def ifconfig(self, settings=None):
        if settings is not None:
            return None  # addresses are the air's to give: a static one changes nothing here
        return tuple(rpc.call(ops.WLAN_IFCONFIG).decode().split(" "))

    def config(self, what=None, **settings):
        for name in settings if what is None else (what,):
            if name != "mac" and name not in self._settings:
                raise ValueError("unknown config param")
        if what == "mac":
            return rpc.mac
        if what is not None:
            return self._settings[what]
        self._settings.update(settings)
        return None

    def _station(self):
        if self._interface != STA_IF:
            raise OSError("STA required")


def _text(value):
    return value.encode() if isinstance(value, str) else bytes(value)
