"""`network.WLAN`, after ports/esp32/network_wlan.c: two objects, made once, that know what the driver knows."""

import struct

import _emu_ops as ops
import _emu_rpc as rpc
from _emu_interface import Addressed
from _emu_wifi import wifi_call

STA_IF = 0
AP_IF = 1
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = STAT_CONNECT_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
AUTH_OPEN, AUTH_WEP, AUTH_WPA_PSK, AUTH_WPA2_PSK, AUTH_WPA_WPA2_PSK = range(5)
AUTH_WPA3_PSK, AUTH_WPA2_WPA3_PSK = 6, 7
MODE_11B, MODE_11G, MODE_11N, MODE_LR = 1, 2, 4, 8

_HOSTNAME_MAX = 32
_AP_KEYS = {"essid": "ssid", "ssid": "ssid", "password": "key", "key": "key", "authmode": "security"}
_AP_ONLY = ("ssid", "key", "security", "hidden", "max_clients")
_hostname = "mpy-esp32s3"
_country = "XX"


def hostname(name=None):
    global _hostname
    if name is None:
        return _hostname
    if len(name) > _HOSTNAME_MAX:
        raise ValueError
    _hostname = name
    return None


def country(code=None):
    global _country
    if code is None:
        return _country
    if len(code) != 2:
        raise ValueError
    _country = code
    return None


class WLAN(Addressed):
    IF_STA = STA_IF
    IF_AP = AP_IF
    SEC_OPEN = AUTH_OPEN
    SEC_WEP = AUTH_WEP
    SEC_WPA = AUTH_WPA_PSK
    SEC_WPA2 = AUTH_WPA2_PSK
    SEC_WPA_WPA2 = AUTH_WPA_WPA2_PSK
    SEC_WPA3 = AUTH_WPA3_PSK
    SEC_WPA2_WPA3 = AUTH_WPA2_WPA3_PSK
    PROTOCOL_DEFAULT = MODE_11B | MODE_11G | MODE_11N
    PROTOCOL_LR = MODE_LR
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2
    BANDWIDTH_20 = 1
    BANDWIDTH_40 = 2

    _made = {}

    def __new__(cls, interface=STA_IF):
        if interface not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        if interface not in cls._made:
            new = cls._made[interface] = object.__new__(cls)
            new._begin(interface)
        return cls._made[interface]

    def __init__(self, interface=STA_IF):
        pass

    def _begin(self, interface):
        self._interface = interface
        self._has_client = interface == STA_IF
        self._op = ops.WLAN_IFCONFIG
        self._mac = None
        self._settings = {
            "pm": self.PM_PERFORMANCE, "reconnects": -1, "txpower": 20.0, "channel": 1, "ssid": "", "hidden": False,
            "security": AUTH_OPEN, "key": "", "max_clients": 4, "bandwidth": self.BANDWIDTH_40,
            "protocol": self.PROTOCOL_DEFAULT,
        }  # fmt: skip
        if interface == AP_IF:
            self._static = ("192.168.4.1", "255.255.255.0", "192.168.4.1", "0.0.0.0")
            self._settings["ssid"] = "ESP_{:02X}{:02X}{:02X}".format(*_mac_of(AP_IF)[3:])

    def active(self, on=None):
        if self._interface == AP_IF:
            return self._ap_active(on)
        return bool(rpc.ask(ops.WLAN_ACTIVE, (-1 if on is None else int(bool(on)),))[0])

    def _ap_active(self, on):
        if not on:
            return bool(rpc.ask(ops.AP_ACTIVE, (-1 if on is None else 0, 0, 0, 0))[0])
        set_to = self._settings
        name, key = _text(set_to["ssid"]), _text(set_to["key"] if set_to["security"] != AUTH_OPEN else b"")
        return bool(rpc.ask(ops.AP_ACTIVE, (1, len(name), set_to["channel"], set_to["hidden"]), name + key)[0])

    def connect(self, ssid=None, key=None, *, bssid=None):
        self._require(STA_IF)
        if ssid is not None or key is not None or bssid is not None:
            if bssid is not None and len(bssid) != 6:
                raise ValueError
            self._settings["ssid"] = _text(ssid or b"")[:32].decode()
            self._wanted = _text(ssid or b"")[:32], bytes(bssid or b""), _text(key or b"")[:64]
        name, address, secret = self._wanted
        wifi_call(ops.WLAN_CONNECT, (len(name), len(address)), name + address + secret)

    _wanted = (b"", b"", b"")

    def disconnect(self):
        wifi_call(ops.WLAN_DISCONNECT)

    def isconnected(self):
        if self._interface == AP_IF:
            return bool(rpc.call(ops.AP_STATIONS))
        return rpc.ask(ops.WLAN_STATUS, (0,))[0] == STAT_GOT_IP

    def status(self, what=None):
        if what is None:
            return rpc.ask(ops.WLAN_STATUS, (0,))[0] if self._interface == STA_IF else None
        if what == "rssi":
            self._require(STA_IF)
            return struct.unpack("<Hb", wifi_call(ops.WLAN_STATUS, (1,)))[1]
        if what != "stations":
            raise ValueError("unknown status param")
        self._require(AP_IF)
        return self._joined()

    def _joined(self):
        """(address of the radio, None) of each: a fleet's devices get no address from each other."""
        names, found = rpc.call(ops.AP_STATIONS), []
        while names:
            size = names[0]
            digest = __import__("hashlib").sha256(names[1 : size + 1]).digest()
            found.append((b"\x02" + digest[:5], None))
            names = names[size + 1 :]
        return found

    def scan(self):
        if not WLAN(STA_IF).active():
            raise OSError("STA must be active")
        found, answer, at = [], rpc.wait(ops.WLAN_SCAN, lambda left_us: (), -1), 0
        while at < len(answer):
            size, bssid, channel, dbm, security = struct.unpack_from("<B6sBbB", answer, at)
            at += 10 + size
            found.append((answer[at - size : at], bssid, channel, dbm, security, False))
        return found

    def config(self, *query, **settings):
        if query and settings:
            raise TypeError("either pos or kw args are allowed")
        if settings:
            for name, value in settings.items():
                self._set(_AP_KEYS.get(name, name), value)
            if self._interface == AP_IF and self.active():
                self._ap_active(True)
            return None
        if len(query) != 1:
            raise TypeError("can query only one param")
        return self._get(_AP_KEYS.get(query[0], query[0]))

    def _set(self, name, value):
        if name == "mac":
            if len(value) != 6:
                raise ValueError("invalid buffer length")
            self._mac = bytes(value)
        elif name in ("hostname", "dhcp_hostname"):
            hostname(value)
        elif name not in self._settings:
            raise ValueError("unknown config param")
        else:
            if name in _AP_ONLY:
                self._require(AP_IF)
            if name == "reconnects":
                self._require(STA_IF)
                rpc.call(ops.WLAN_RECONNECTS, (value,))
            self._settings[name] = float(int(value * 4)) / 4 if name == "txpower" else value

    def _get(self, name):
        if name == "mac":
            return self._mac or _mac_of(self._interface)
        if name in ("hostname", "dhcp_hostname"):
            self._require(STA_IF)
            return hostname()
        if name == "ifname":
            return "st1" if self._interface == STA_IF else "ap2"
        if name not in self._settings or name == "key":
            raise ValueError("unknown config param")
        if name in ("hidden", "security"):
            self._require(AP_IF)
        if name == "reconnects":
            self._require(STA_IF)
        if name == "channel" and self._interface == STA_IF:
            return rpc.ask(ops.WLAN_CHANNEL)[0] or self._settings["channel"]
        return self._settings[name]

    def _require(self, interface):
        if self._interface != interface:
            raise OSError("STA required" if interface == STA_IF else "AP required")


def _mac_of(interface):
    """The station has the base address, the access point the next (ESP-IDF, four universal addresses)."""
    return rpc.mac[:5] + bytes((rpc.mac[5] + interface & 255,))


def _text(value):
    return value.encode() if isinstance(value, str) else bytes(value)
