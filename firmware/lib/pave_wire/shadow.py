# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (decoded data may be of any type; isinstance narrows it as far as it goes)
"""The shadow (`/s`): the settings a device is to have, and those it has. One CBOR map (content-format 60), both ways.

    0 version   of the desired document: which one this is, or the one whose settings the device has taken up
    1 values    {number: value}; SETTINGS has the names, types and ranges. A setting with its default is not named, or
                is None in a part
    2 part      True: the settings not named stay as they are. Absent: these are all, the others have their defaults
    3 refused   numbers of settings in that version that the device did not take (a device says so, a gateway never)

A whole document fits in one block (`limits.SHADOW_BYTES`). Over LoRaWAN only parts travel down, each as large as the
frame allows, and what answers one is a part with the same settings as the device has them.

Wi-Fi is never simply set: a device that loses its only network is lost. Its value is a map, and another in a report:

    desired     0 profile, a number that only grows   1 SSID   2 passphrase   3 keep: True while other profiles are kept
    reported    0 profile in use   1 [profiles known]   2 profile that failed last   3 why: index in WIFI_FAILURES

Without 1 and 2 the profile is one the device has. A document without Wi-Fi changes nothing of it. The device tries a
new profile and goes back to the one in use when that fails. It forgets a profile only where 3 is False, and only while
it is connected by the one in 0; never the one in use.
"""

from pave_wire import cbor, limits
from pave_wire.errors import ModelError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

PRESENCE, KIOSK = 1, 2  # kinds of devices, as a mask
BOTH = 3
OCCUPIED_NT, VACANT_NT, WIFI = 3, 4, 15
WIFI_FAILURES = ("not found", "wrong key", "no address", "no gateway")
# (number, name, kinds, range): (lowest, highest) of an integer; most bytes of a text; a tuple of texts, whose index is
# the value; None for Wi-Fi. Numbers below 24 take one byte.
SETTINGS = (
    (1, "heartbeat_s", BOTH, (60, 86400)),
    (2, "led", BOTH, ("off", "button", "on")),
    (OCCUPIED_NT, "occupied_nt", PRESENCE, (2000, 100000)),
    (VACANT_NT, "vacant_nt", PRESENCE, (1000, 100000)),
    (5, "wake_nt", PRESENCE, (1000, 50000)),
    (6, "hold_off_s", PRESENCE, (1, 3600)),
    (7, "radar", PRESENCE, ("off", "ambiguous", "always")),
    (8, "radar_range_mm", PRESENCE, (200, 3000)),
    (9, "night_from_min", KIOSK, (0, 1439)),  # minutes since midnight, local time
    (10, "night_to_min", KIOSK, (0, 1439)),
    (WIFI, "wifi", BOTH, None),
    (16, "message_fr", KIOSK, 160),
    (17, "message_en", KIOSK, 160),
    (18, "message_until_s", KIOSK, (0, 4294967295)),
    (19, "backlight_day_percent", KIOSK, (0, 100)),
    (20, "backlight_night_percent", KIOSK, (0, 100)),
    (21, "languages", KIOSK, ("fr", "en", "fr+en")),
    (22, "heading_deg", KIOSK, (0, 359)),  # where one looks who looks at the screen, from north
)


class Document:
    """What one side says of the settings; attributes as the keys of the map, `values` and `refused` by number."""

    __slots__ = ("part", "refused", "values", "version")

    def __init__(
        self, version: int, values: "dict[int, Any]", part: bool = False, refused: "tuple[int, ...]" = ()
    ) -> None:
        self.version = version
        self.values = values
        self.part = part
        self.refused = refused


def pack(document: Document) -> bytes:
    """Return the CBOR bytes of `document`.

    Raises:
        ModelError: more than `limits.SHADOW_BYTES`.
    """
    fields: "dict[int, Any]" = {0: document.version, 1: document.values}
    if document.part:
        fields[2] = True
    if document.refused:
        fields[3] = list(document.refused)
    data = cbor.dumps(fields)
    if len(data) > limits.SHADOW_BYTES:
        raise ModelError("a shadow of %d bytes; at most %d: shorten a text" % (len(data), limits.SHADOW_BYTES))
    return data


def unpack(data: bytes) -> Document:
    """Return the `Document` in `data` (bytes). Its values are not checked: `check` does that one by one.

    Raises:
        CborError: not CBOR within the limits.
        ModelError: too long, or a key of the map missing or of another type.
    """
    if len(data) > limits.SHADOW_BYTES:
        raise ModelError("a shadow of %d bytes; at most %d" % (len(data), limits.SHADOW_BYTES))
    fields: "Any" = cbor.loads(data)
    if not isinstance(fields, dict):
        raise ModelError("a shadow is a map, not %s" % type(fields).__name__)
    version: "Any" = fields.get(0)
    values: "Any" = fields.get(1)
    part: "Any" = fields.get(2, False)
    refused: "Any" = fields.get(3, [])
    if not _is_number(version, 0, limits.SEQ_MAX):
        raise ModelError("the version of a shadow is %r; an integer from 0 to %d" % (version, limits.SEQ_MAX))
    if not isinstance(values, dict) or not _are_numbers(list(values)):
        raise ModelError("the values of a shadow are a map by number, not %r" % (values,))
    if not isinstance(part, bool) or not _are_numbers(refused):
        raise ModelError("2 and 3 of a shadow are %r and %r; a boolean and an array of numbers" % (part, refused))
    return Document(version, values, part, tuple(refused))


def check(number: int, kind: int, value: "Any") -> None:
    """Raise `ModelError` unless a device of `kind` may be told to set `number` to `value`; None is the default."""
    setting = find(number)
    if setting is None or not setting[2] & kind:
        raise ModelError("setting %s is not one of this kind of device" % (setting[1] if setting else number))
    name, allowed = setting[1], setting[3]
    if value is None and allowed is not None:
        return
    if allowed is None:
        _check_wifi(value)
    elif isinstance(allowed, int):
        if not isinstance(value, str) or len(value.encode()) > allowed or not is_printable(value):
            raise ModelError("%s is %r; a text of at most %d bytes without control characters" % (name, value, allowed))
    elif isinstance(allowed[0], str):
        if not _is_number(value, 0, len(allowed) - 1):
            raise ModelError("%s is %r; one of %s" % (name, value, ", ".join(allowed)))
    elif not _is_number(value, allowed[0], allowed[1]):
        raise ModelError("%s is %r; an integer from %d to %d" % (name, value, allowed[0], allowed[1]))


def check_reported_wifi(value: "Any") -> None:
    """Raise `ModelError` unless `value` is what a device may report of its Wi-Fi."""
    if (
        not isinstance(value, dict)
        or not _is_number(value.get(0), 0, limits.SEQ_MAX)
        or not _are_numbers(value.get(1))
        or not _is_number(value.get(2, 0), 0, limits.SEQ_MAX)
        or not _is_number(value.get(3, 0), 0, 255)
    ):
        raise ModelError("wifi is not {0: in use, 1: [known], 2: failed, 3: why}")  # whatever it is, it is not shown


def find(setting: "int | str") -> "Any":
    """Return the entry of SETTINGS with this number or name, or None."""
    for entry in SETTINGS:
        if setting in (entry[0], entry[1]):
            return entry
    return None


def is_printable(text: str) -> bool:
    """Return whether `text` has no control characters: it ends on screens and pages."""
    return all(char >= " " and char != "\x7f" for char in text)


def _check_wifi(value: "Any") -> None:
    if not isinstance(value, dict) or not _is_number(value.get(0), 0, limits.SEQ_MAX):
        raise ModelError("wifi is not {0: profile, 1: SSID, 2: passphrase, 3: keep}")  # nor is a passphrase shown here
    ssid = value.get(1)
    key = value.get(2)
    if not isinstance(value.get(3), bool) or (ssid is None) != (key is None):
        raise ModelError("wifi says no keep (3), or SSID (1) and passphrase (2) not together")
    if ssid is None:
        return
    if not isinstance(ssid, str) or not 1 <= len(ssid.encode()) <= 32 or not is_printable(ssid):
        raise ModelError("wifi: SSID is %r; a text of 1 to 32 bytes" % (ssid,))
    if not isinstance(key, str) or not 8 <= len(key) <= 63 or not all(" " <= char <= "~" for char in key):
        raise ModelError("wifi: the passphrase is not 8 to 63 characters of ASCII")  # IEEE 802.11, J.4.1


def _is_number(value: "Any", lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _are_numbers(values: "Any") -> bool:
    """Whether `values` is a list of settings or profiles, no longer than one can be."""
    return (
        isinstance(values, list)
        and len(values) <= limits.SETTINGS_PER_SHADOW
        and all(_is_number(value, 0, limits.SEQ_MAX) for value in values)
    )
