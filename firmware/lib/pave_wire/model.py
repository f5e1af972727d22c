"""What Pavé's messages mean: readings and their identity, the availability of bays, problem details.

A reading is known for ever by (device, epoch, seq), given when it enters its device's outbox. A report is a SenML pack:

    [{bn: "urn:dev:mac:24a160fffe000101_", n: "epoch", v: 1},     once
     {n: "seq", v: 42, bt: -3},                                     opens a reading, 3 s old (RFC 8428, 4.5.3)
     {n: "occupied", vb: true}, {n: "reason", vs: "field"}, ...]    its values, until the next "seq"

so that a consumer who knows SenML but not Pavé still reads every value with its device, name, unit and time. The
device's name is RFC 9039's `urn:dev:mac` with an EUI-64, sub-component after the underscore.
"""

from pave_wire import cbor, limits, senml
from pave_wire.errors import ModelError

# isort: off
from pave_wire.reading import (  # "as" hands the names on to who imports this module
    BLIND as BLIND,
    BOOLEANS as BOOLEANS,
    CONFIDENCE as CONFIDENCE,
    DROPPED as DROPPED,
    ENDED as ENDED,
    FAULT as FAULT,
    FIELD as FIELD,
    LASTED as LASTED,
    OCCUPIED as OCCUPIED,
    REASON as REASON,
    REASONS as REASONS,
    SCREEN_FREE as SCREEN_FREE,
    STATES as STATES,
    UNITS as UNITS,
    Reading as Reading,
    class_of as class_of,
)
# isort: on

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

    from pave_wire.reading import Value

CONTENT_FORMAT_SENML_CBOR = senml.CONTENT_FORMAT
CONTENT_FORMAT_OCTETS = 42  # application/octet-stream: a block of a bundle
CONTENT_FORMAT_CBOR = 60  # application/cbor: hello, shadow, command
CONTENT_FORMAT_SENML_JSON = 110
CONTENT_FORMAT_PROBLEM = 257  # application/concise-problem-details+cbor (RFC 9290)
PATH_READINGS = "r"
PATH_HELLO = "h"
PATH_SHADOW = "s"
PATH_FILES = "f"
PATH_AVAILABILITY = "a"
PATH_COMMAND = "x"
QUERY_NEAREST = "nearest"  # of PATH_AVAILABILITY: where the nearest free bays are, as seen from who asks
QUERY_OLDEST = "oldest"  # of PATH_READINGS over LoRaWAN: nothing older waits than the batch's first reading

KINDS = ("delivery", "taxi", "disabled")

_URN = "urn:dev:mac:"
_HEX = "0123456789abcdef"


def pack_readings(device: str, readings: list[Reading]) -> bytes:
    """Return the SenML CBOR bytes of `readings`, all of `device` and of one epoch, oldest first.

    Raises:
        ModelError: none or too many readings or values, two epochs, or a value a receiver would refuse.
    """
    _check_readings(readings)
    epoch = readings[0].epoch
    records: "list[senml.Record]" = [{"bn": _URN + device + "_", "n": "epoch", "v": epoch}]
    for reading in readings:
        if reading.epoch != epoch:
            raise ModelError("epochs %d and %d in one pack; send one pack for each" % (epoch, reading.epoch))
        records.append({"bt": -reading.age_s, "n": "seq", "v": reading.seq})
        for name, value in reading.values.items():
            records.append(_value_record(name, value))
    return senml.encode(records)


def unpack_readings(data: bytes) -> list[Reading]:
    """Return the list of `Reading` in `data` (SenML CBOR bytes), in the order sent.

    Raises:
        CborError, SenmlError: see `senml.decode`.
        ModelError: a device, epoch, seq or value outside the contract.
    """
    device: str | None = None
    epoch: int | None = None
    readings: list[Reading] = []
    for record in senml.resolve(senml.decode(data)):
        urn, _, name = record["n"].rpartition("_")
        if device is None:
            device = _device_of(urn)
        elif urn != _URN + device:
            raise ModelError("record of %s in a pack of %s" % (urn, device))
        if name == "epoch":
            if epoch is not None:
                raise ModelError("epoch stated twice in one pack")
            epoch = _counter(record, name, limits.EPOCH_MAX)
        elif epoch is None:
            raise ModelError("%s before the epoch" % name)
        elif name == "seq":
            seq = _counter(record, name, limits.SEQ_MAX)
            if any(reading.seq == seq for reading in readings):
                raise ModelError("seq %d stated twice in one pack" % seq)
            readings.append(Reading(device, epoch, seq, _age_of(record), {}))
        elif not readings:
            raise ModelError("value %s before the first seq" % name)
        else:
            _add_value(readings[-1], name, record)
    _check_readings(readings)
    return readings


def pack_availability(counts: dict[str, tuple[int, int]], nearest: "dict[str, tuple[int, int]] | None" = None) -> bytes:
    """Return the SenML CBOR bytes that say how many bays are free, and where the nearest of them is.

    Args:
        counts: {kind: (free, total)}.
        nearest: {kind: (distance in m, bearing in degrees from north)} of the nearest free bay, for who asks
            with QUERY_NEAREST.
    """
    records: list[senml.Record] = []
    for kind, (free, total) in counts.items():
        records.append({"n": kind + "/free", "v": free, "u": "count"})
        records.append({"n": kind + "/total", "v": total, "u": "count"})
    for kind, (distance_m, bearing_deg) in (nearest or {}).items():
        records.append({"n": kind + "/distance", "v": distance_m, "u": "m"})
        records.append({"n": kind + "/bearing", "v": bearing_deg, "u": "deg"})
    return senml.encode(records)


def unpack_availability(data: bytes) -> "tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]":
    """Return (counts, nearest) from `pack_availability`'s bytes.

    Raises:
        CborError, SenmlError: see `senml.decode`.
        ModelError: a name that is not KIND/free, /total, /distance or /bearing, one without its other, or a number out
            of its range; a nearest free bay of a kind that has none.
    """
    records = senml.resolve(senml.decode(data))
    values = {record["n"]: record.get("v") for record in records}
    if len(values) != len(records):
        raise ModelError("an availability stated twice")
    counts: "dict[str, tuple[Any, Any]]" = {}
    nearest: "dict[str, tuple[Any, Any]]" = {}
    for name in values:
        kind, _, what = name.partition("/")
        if what in ("free", "total"):
            counts[kind] = (values.get(kind + "/free"), values.get(kind + "/total"))
        elif what in ("distance", "bearing"):
            nearest[kind] = (values.get(kind + "/distance"), values.get(kind + "/bearing"))
        else:
            raise ModelError("%s is not the availability of a kind" % name)
    for kind, (free, total) in counts.items():
        if not _is_whole(total, limits.NUMBER_MAX) or not _is_whole(free, total):
            raise ModelError("availability of %s is %r" % (kind, (free, total)))
    for kind, where in nearest.items():
        if not _is_whole(where[0], limits.DISTANCE_MAX_M) or not _is_whole(where[1], 359):
            raise ModelError("nearest of %s is %r; 0 to %d m, 0 to 359 degrees" % (kind, where, limits.DISTANCE_MAX_M))
        if not counts.get(kind, (0, 0))[0]:
            raise ModelError("a nearest free bay of %s, and none that is free" % kind)
    return counts, nearest


def _is_whole(value: "Any", highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= highest


def problem(title: str, detail: str) -> bytes:
    """Return RFC 9290 concise problem details: what went wrong, and the value or next step."""
    return cbor.dumps({-1: title, -2: detail})


def _value_record(name: str, value: "Value") -> "senml.Record":
    record: "senml.Record" = {"n": name}
    if name in UNITS:
        record["u"] = UNITS[name]
    if isinstance(value, bool):
        record["vb"] = value
    elif isinstance(value, str):
        record["vs"] = value
    else:
        record["v"] = value
    return record


def _device_of(urn: str) -> str:
    device = urn[len(_URN) :]
    if not urn.startswith(_URN) or len(device) != 16 or any(char not in _HEX for char in device):
        raise ModelError("device %r is not %s and 16 lower-case hexadecimal digits" % (urn, _URN))
    return device


def _counter(record: "senml.Record", name: str, limit: int) -> int:
    value = record.get("v")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise ModelError("%s is %r; an integer from 0 to %d" % (name, value, limit))
    return value


def _age_of(record: "senml.Record") -> float:
    age_s = -record["t"]
    if not 0 <= age_s <= limits.AGE_MAX_S:  # also false for NaN
        raise ModelError("time %r; seconds before the sending, 0 to -%d" % (record["t"], limits.AGE_MAX_S))
    return age_s


def _add_value(reading: Reading, name: str, record: "senml.Record") -> None:
    if not name or name in reading.values:
        raise ModelError("value %r stated twice for seq %d, or without a name" % (name, reading.seq))
    if record["t"] != -reading.age_s:
        raise ModelError("%s has a time of its own, %r; a reading has one" % (name, record["t"]))
    unit = record.get("u")
    if unit is not None and unit != UNITS.get(name, unit):
        raise ModelError("%s is in %s; it is sent in %s" % (name, unit, UNITS[name]))
    value = record.get("vb", record.get("vs", record.get("v")))
    if value is None:
        raise ModelError("%s has neither a number, a text nor a boolean" % name)
    _check_value(name, value)
    reading.values[name] = value


def _check_value(name: str, value: "Value") -> None:
    if isinstance(value, str):
        if len(value) > limits.TEXT_CHARS:
            raise ModelError("%s has %d characters; at most %d" % (name, len(value), limits.TEXT_CHARS))
        # It ends in logs, tables and pages of people we do not know.
        if not all(
            "a" <= char <= "z" or "A" <= char <= "Z" or "0" <= char <= "9" or char in "-._:/+ " for char in value
        ):
            raise ModelError("%s is %r; letters, digits, spaces and -._:/+" % (name, value))
    elif not -limits.NUMBER_MAX <= value <= limits.NUMBER_MAX:  # infinities and NaN are no measurement
        raise ModelError("%s is %r; at most %d either way" % (name, value, limits.NUMBER_MAX))
    if name in BOOLEANS and not isinstance(value, bool):
        raise ModelError("%s is %r; a boolean" % (name, value))
    if UNITS.get(name) == "count" and (isinstance(value, (bool, float, str)) or value < 0):
        raise ModelError("%s is %r; a count" % (name, value))
    if name == CONFIDENCE and (isinstance(value, (bool, str)) or not 0 <= value <= 1):
        raise ModelError("%s is %r; a number from 0 to 1" % (name, value))


def _check_readings(readings: list[Reading]) -> None:
    if not 0 < len(readings) <= limits.READINGS_PER_PACK:
        raise ModelError("%d readings in a pack; 1 to %d" % (len(readings), limits.READINGS_PER_PACK))
    for reading in readings:
        if not 0 < len(reading.values) <= limits.VALUES_PER_READING:
            raise ModelError(
                "%d values for seq %d; 1 to %d" % (len(reading.values), reading.seq, limits.VALUES_PER_READING)
            )
        for name in reading.values:
            _check_value(name, reading.values[name])
