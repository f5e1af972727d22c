"""A report as devices write it, read in one pass over its bytes.

Theory of operation. `pave_wire.model` reads any SenML pack of the contract, through CBOR, SenML and names, in some 65
us. A device writes only one form of it (`model.pack_readings`): the records and their keys in a fixed order, names and
units from a short list. This reader knows that form alone and takes a tenth of the time. Whatever is not exactly so,
down to an unknown name or a value out of range, is None here and goes to `pave_wire`, which takes or refuses it; so
there is one contract, and this is never the one to refuse.
"""

import struct

from pave_gateway.core.rows import Value
from pave_wire import limits
from pave_wire.reading import BOOLEANS, CONFIDENCE, ENDED, REASON, REASONS, STATES, UNITS, Reading

_URN = b"\xa3\x21\x78\x1durn:dev:mac:"  # {bn: a text of 29 bytes, ...
_EPOCH = b"_\x00\x65epoch\x02"  # ..., n: "epoch", v:
_TIMED = b"\xa3\x22"  # {bt:
_SEQ = b"\x00\x63seq\x02"  # ..., n: "seq", v:
_DEVICE_CHARS = 16
_BOOLEAN, _TEXT, _NUMBER = range(3)
_BOOLEANS = {0xF4: False, 0xF5: True}
_INTEGERS = {
    24: (struct.Struct(">B").unpack_from, 2),
    25: (struct.Struct(">H").unpack_from, 3),
    26: (struct.Struct(">I").unpack_from, 5),
}
_FLOATS = {
    0xF9: (struct.Struct(">e").unpack_from, 3),
    0xFA: (struct.Struct(">f").unpack_from, 5),
    0xFB: (struct.Struct(">d").unpack_from, 9),
}

_COUNTS = frozenset(name for name, unit in UNITS.items() if unit == "count")

_Field = tuple[str, bytes, int]


def _fields() -> dict[bytes, _Field]:
    """Return what a value's record begins with, up to its name: the name, what follows, and the kind of value."""
    fields: dict[bytes, _Field] = {}
    for name, label, kind in [
        *((name, b"\x04", _BOOLEAN) for name in BOOLEANS),
        *((name, b"\x03", _TEXT) for name in (REASON, ENDED)),
        *((name, b"\x01" + _text(unit) + b"\x02", _NUMBER) for name, unit in UNITS.items()),
    ]:
        size = b"\xa3" if kind == _NUMBER else b"\xa2"
        fields[size + b"\x00" + _text(name)] = (name, label, kind)
    return fields


def _text(text: str) -> bytes:
    return bytes((0x60 | len(text),)) + text.encode()


_FIELDS = _fields()
_TEXTS = {_text(text): text for text in (*REASONS, *STATES)}


def usual(payload: bytes, device: str) -> list[Reading] | None:
    """Return what `model.unpack_readings` does, if the pack has the usual form and is from `device`; None if not."""
    try:
        return _read(payload, device)
    except (IndexError, KeyError, struct.error):  # ends too early, or holds what is not in the tables
        return None


def _read(data: bytes, device: str) -> list[Reading] | None:
    records, at = (data[1], 2) if data[0] == 0x98 else (data[0] - 0x80, 1)
    name_at = at + len(_URN)
    at = name_at + _DEVICE_CHARS
    if not data.startswith(_URN, name_at - len(_URN)) or not data.startswith(_EPOCH, at):
        return None
    if data[name_at:at] != device.encode():
        return None
    epoch, at = _unsigned(data, at + len(_EPOCH))
    readings: list[Reading] = []
    values: dict[str, Value] = {}
    for _ in range(records - 1):
        end = at + data[at + 2] - 0x5D  # three bytes, and a text of up to 23
        field = _FIELDS.get(data[at:end])
        if field is not None:
            name, label, kind = field
            if name in values or not data.startswith(label, end):
                return None
            values[name], at = _value(data, end + len(label), name, kind)
        elif data.startswith(_TIMED, at):
            time, at = _number(data, at + len(_TIMED))
            age_s = -(time + 0)
            if not data.startswith(_SEQ, at) or not 0 <= age_s <= limits.AGE_MAX_S:
                return None
            seq, at = _unsigned(data, at + len(_SEQ))
            values = {}
            readings.append(Reading(device, epoch, seq, age_s, values))
        else:
            return None
    return readings if at == len(data) and _good(readings) else None


def _value(data: bytes, at: int, name: str, kind: int) -> tuple[Value, int]:
    first = data[at]
    if kind == _NUMBER:
        value, at = _number(data, at)
        if not -limits.NUMBER_MAX <= value <= limits.NUMBER_MAX or (name == CONFIDENCE and not 0 <= value <= 1):
            raise KeyError(value)
        if name in _COUNTS and (isinstance(value, float) or value < 0):
            raise KeyError(value)
        return value, at
    if kind == _TEXT:
        end = at + first - 0x5F
        return _TEXTS[data[at:end]], end
    return _BOOLEANS[first], at + 1


def _number(data: bytes, at: int) -> tuple[int | float, int]:
    first = data[at]
    if first >= 0xF9:
        unpack, size = _FLOATS[first]
        return unpack(data, at + 1)[0], at + size
    if first < 0x20:
        return _unsigned(data, at)
    value, at = _unsigned(data, at, 0x20)
    return ~value, at


def _unsigned(data: bytes, at: int, major: int = 0) -> tuple[int, int]:
    """Return the argument of an integer, of at most 32 bits, which epoch and seq have."""
    first = data[at] - major
    if 0 <= first < 24:
        return first, at + 1
    unpack, size = _INTEGERS[first]
    return unpack(data, at + 1)[0], at + size


def _good(readings: list[Reading]) -> bool:
    """Say whether there are as many readings as may be, each with as many values, and no seq twice."""
    if len(readings) == 1:
        return 0 < len(readings[0].values) <= limits.VALUES_PER_READING
    return (
        0 < len(readings) <= limits.READINGS_PER_PACK
        and all(0 < len(reading.values) <= limits.VALUES_PER_READING for reading in readings)
        and len({reading.seq for reading in readings}) == len(readings)
    )
