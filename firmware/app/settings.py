"""The settings of a device: which there are, what each may be, and what holds.

    layer      from                                        kept in
    default    DEFAULTS                                    the code
    flashed    /config.json, by the technician's tool      `vfs`, which a device never writes
    desired    the gateway's shadow (`pave_wire.shadow`)   NVS, as one value, which changes at one instant

A later layer wins, setting by setting. What cannot be is refused: in /config.json with a line on the console, and the
default holds; from the gateway by number in the report, and the setting keeps the value it had.

Wi-Fi is another's: it is tried before it is believed. `wifi` takes what is desired and says what is reported.
"""

from pave_wire import cbor, shadow
from pave_wire.errors import ModelError, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = {"presence": shadow.PRESENCE, "kiosk": shadow.KIOSK}
# What holds where nobody has said anything; by kind where they differ.
DEFAULTS = {
    "heartbeat_s": {shadow.PRESENCE: 3600, shadow.KIOSK: 600},
    "led": 1,
    "occupied_nt": 12000,
    "vacant_nt": 7000,
    "wake_nt": 4000,
    "hold_off_s": 120,
    "radar": 1,
    "radar_range_mm": 1500,
    "night_from_min": 1320,
    "night_to_min": 360,
    "message_fr": "",
    "message_en": "",
    "message_until_s": 0,
    "backlight_day_percent": 80,
    "backlight_night_percent": 15,
    "languages": 2,
    "heading_deg": 0,
}
LINKS = ("wifi", "lorawan")
_TEXT_CHARS = 64


class SettingsError(ValueError):
    """/config.json without what no device can do without."""


def checked(config):
    """Return (kind, {name: value} of the shadow's settings, [fault, ...]) of /config.json as a dict.

    Raises:
        SettingsError: device, role, board, Wi-Fi or gateway are missing or cannot be.
    """
    if not isinstance(config, dict):
        raise SettingsError("/config.json is no object but %s; flash this device" % type(config).__name__)
    device = config.get("device")
    if not _is_hex(device, 16):
        raise SettingsError("device %r in /config.json; 16 lower-case hexadecimal digits" % (device,))
    role = config.get("role")
    kind = KINDS[role] if role in ("presence", "kiosk") else None
    if kind is None:
        raise SettingsError("role %r in /config.json; presence or kiosk" % (role,))
    if not _is_name(config.get("board")):
        raise SettingsError("board %r in /config.json; a module of boards/" % (config.get("board"),))
    link = config.get("link", "wifi" if "wifi" in config else "lorawan")
    if link not in LINKS:
        raise SettingsError("link %r in /config.json; wifi or lorawan" % (link,))
    if link == "wifi":
        _check_wifi(config.get("wifi"))
        _check_gateway(config.get("gateway"))
    values = {}
    faults = []
    for name in config:
        if name in ("device", "role", "board", "link", "wifi", "gateway"):
            continue
        try:
            _take_flashed(values, name, config[name], kind)
        except ModelError as error:
            faults.append("%s in /config.json: %s; the default holds" % (name, error))
    return kind, values, faults


class Settings:
    """What holds on a device of `kind`.

    Args:
        kind: shadow.PRESENCE or shadow.KIOSK.
        flashed: {name: value} of `checked`.
        kept: bytes that `keep` was given last, None for none.
        keep: function of the bytes (at most `shadow`'s plus 64) to store durably before they hold; raises OSError.
        wifi: has `desired(value)`, which raises ModelError, and `reported()`; None where there is no Wi-Fi.

    Attributes:
        version: of the desired settings that hold; 0 for none.
        on_change: called without arguments after something has changed, or None.
    """

    def __init__(self, kind, flashed, kept, keep, wifi=None):
        self._kind = kind
        self._flashed = flashed
        self._keep = keep
        self._wifi = wifi
        self.on_change: "Any" = None
        self.version = 0
        self._values = {}
        self._refused = []
        if kept is not None:
            self._load(kept)

    def get(self, name):
        """Return what holds; KeyError for a name that no setting has."""
        value = self._values.get(shadow.find(name)[0]) if name in DEFAULTS else None
        return self._below(name) if value is None else value

    def take(self, payload):
        """Take a document of desired settings (bytes), keep it, and return the report on it.

        Raises:
            WireError: it is none; nothing has changed.
            OSError: it could not be kept; nothing has changed.
        """
        document = shadow.unpack(payload)
        values = dict(self._values) if document.part else {}
        refused = []
        if document.part and document.version == self.version:  # what other parts of this version named stays refused
            refused = [number for number in self._refused if number not in document.values]
        for number in sorted(document.values):
            try:
                self._take_one(values, number, document.values[number])
            except ModelError as error:
                print("setting refused:", error)
                refused.append(number)
                self._stay(values, number)
        self._check_pair(values, refused)
        refused.sort()
        kept = cbor.dumps([document.version, values, refused])
        if (document.version, values, refused) != (self.version, self._values, self._refused):
            self._keep(kept)
            changed = values != self._values
            self.version, self._values, self._refused = document.version, values, refused
            if changed and self.on_change is not None:
                self.on_change()
        return self.reported(sorted(document.values)) if document.part else self.reported()

    def reported(self, numbers=None):
        """Return the report (bytes, `pave_wire.shadow`): of all settings, or a part with `numbers`."""
        if numbers is None:
            values = dict(self._values)
        else:
            values = {number: self._values.get(number) for number in numbers if number != shadow.WIFI}
            for number in self._refused:
                if shadow.find(number) is None:
                    values.pop(number, None)
        if self._wifi is not None and (numbers is None or shadow.WIFI in numbers):
            values[shadow.WIFI] = self._wifi.reported()
        return shadow.pack(shadow.Document(self.version, values, numbers is not None, tuple(self._refused)))

    def forget(self):
        """Go back to the settings as flashed; `keep` is given what says so."""
        self._keep(cbor.dumps([0, {}, []]))
        self.version, self._values, self._refused = 0, {}, []

    def _below(self, name):
        if name in self._flashed:
            return self._flashed[name]
        value = DEFAULTS[name]
        return value[self._kind] if isinstance(value, dict) else value

    def _take_one(self, values, number, value):
        shadow.check(number, self._kind, value)
        if number == shadow.WIFI:
            if self._wifi is None:
                raise ModelError("this device has no Wi-Fi")
            self._wifi.desired(value)
        elif value is None:
            values.pop(number, None)
        else:
            values[number] = value

    def _stay(self, values, number):
        """Let a setting in `values` be what it was."""
        values.pop(number, None)
        if number in self._values:
            values[number] = self._values[number]

    def _check_pair(self, values, refused):
        """Both thresholds of the detector are refused, unless there is room between them."""
        if self._kind != shadow.PRESENCE:
            return
        pair = (shadow.OCCUPIED_NT, shadow.VACANT_NT)
        holding = [values.get(number) for number in pair]
        for at, name in enumerate(("occupied_nt", "vacant_nt")):
            if holding[at] is None:
                holding[at] = self._below(name)
        if holding[0] > holding[1]:
            return
        print("settings refused: occupied_nt %d is not above vacant_nt %d" % tuple(holding))
        for number in pair:
            self._stay(values, number)
            if number not in refused:
                refused.append(number)

    def _load(self, kept):
        """Take what was kept. Another version of this firmware may have kept it: what it does not know is left out."""
        try:
            version, values, refused = cbor.loads(kept)
            document = shadow.unpack(shadow.pack(shadow.Document(version, values, False, tuple(refused))))
        except (WireError, ValueError, TypeError) as error:
            print("settings in NVS not understood, those as flashed hold:", error)
            return
        self.version, self._refused = document.version, list(document.refused)
        for number in document.values:
            try:
                shadow.check(number, self._kind, document.values[number])
                self._values[number] = document.values[number]
            except ModelError as error:
                print("setting in NVS left out:", error)


def _take_flashed(values, name, value, kind):
    if name == "production":
        if not isinstance(value, bool):
            raise ModelError("%r is neither true nor false" % (value,))
        return
    entry = shadow.find(name)
    if entry is None:
        raise ModelError("no setting of this name")
    allowed = entry[3]
    if isinstance(value, str) and isinstance(allowed, tuple) and value in allowed:
        value = allowed.index(value)  # /config.json is written by people: "on", not 2
    shadow.check(entry[0], kind, value)
    if value is not None:
        values[name] = value


def _check_wifi(wifi):
    if not isinstance(wifi, dict) or not isinstance(wifi.get("ssid"), str) or not isinstance(wifi.get("key"), str):
        raise SettingsError('wifi in /config.json is not {"ssid": ..., "key": ...}; flash this device')
    if not 1 <= len(wifi["ssid"].encode()) <= 32:
        raise SettingsError("the SSID in /config.json has %d bytes; 1 to 32" % len(wifi["ssid"].encode()))
    if wifi["key"] and not 8 <= len(wifi["key"]) <= 63:  # nor is it shown here
        raise SettingsError("the Wi-Fi key in /config.json has %d characters; 8 to 63" % len(wifi["key"]))


def _check_gateway(gateway):
    if not isinstance(gateway, dict) or not isinstance(gateway.get("host"), str) or not gateway["host"]:
        raise SettingsError('gateway in /config.json is not {"host": ..., "port": ...}; flash this device')
    port = gateway.get("port")
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise SettingsError("gateway port %r in /config.json; 1 to 65535" % (port,))


def _is_hex(text, length):
    return isinstance(text, str) and len(text) == length and all(char in "0123456789abcdef" for char in text)


def _is_name(text):
    """Whether this can be a module: it is imported."""
    if not isinstance(text, str) or not 0 < len(text) <= _TEXT_CHARS:
        return False
    return all("a" <= char <= "z" or "0" <= char <= "9" or char == "_" for char in text)
