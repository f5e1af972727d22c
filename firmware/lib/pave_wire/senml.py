# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (decoded data may be of any type; isinstance narrows it as far as it goes)
"""SenML (RFC 8428) in its CBOR form (content-format 112); `senml_json` writes the JSON form.

A pack is a list of records; here a record is a dict keyed by the text labels of RFC 8428, table 2 ("bn", "n", "v",
...), and the integer labels of CBOR (RFC 8428, table 4) appear only in the bytes. `resolve` applies the base fields, so
that each record stands by itself.
"""

from pave_wire import cbor, limits
from pave_wire.errors import SenmlError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

CONTENT_FORMAT = 112  # application/senml+cbor

LABELS = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
_NAMES = {number: label for label, number in LABELS.items()}
_NUMBERS = ("bver", "bt", "bv", "bs", "v", "s", "t", "ut")
_TEXTS = ("bn", "bu", "n", "u", "vs")
_VALUES = ("v", "vs", "vb", "vd")
_VERSION = 10  # RFC 8428, 4.4: the highest version understood


def encode(records: "list[Record]") -> bytes:
    """Return the SenML CBOR bytes of `records` (list of dicts by text label).

    Raises:
        SenmlError: more than `limits.SENML_RECORDS`, which no receiver would accept.
    """
    if len(records) > limits.SENML_RECORDS:
        raise SenmlError("%d records; at most %d" % (len(records), limits.SENML_RECORDS))
    return cbor.dumps([{LABELS[label]: value for label, value in record.items()} for record in records])


def decode(data: bytes) -> "list[Record]":
    """Return the records of `data` (bytes) as a list of dicts by text label, base fields still unresolved.

    Raises:
        CborError: not CBOR within the limits.
        SenmlError: not an array of 1 to `limits.SENML_RECORDS` maps, a field of the wrong type, or an unknown label
            that must be understood.
    """
    pack = cbor.loads(data)
    if not isinstance(pack, list) or not pack:
        raise SenmlError("a SenML pack is a non-empty array of records")
    if len(pack) > limits.SENML_RECORDS:
        raise SenmlError("%d records; at most %d" % (len(pack), limits.SENML_RECORDS))
    return [_record(item) for item in pack]


def resolve(records: "list[Record]") -> "list[Record]":
    """Return `records` with the base fields applied (RFC 8428, 4.6): each has its full "n", its "t" and any "u".

    A record of base fields alone gives none (as in RFC 8428, 5.1.7). Two things differ from RFC 8428's resolved form:
    without a clock, a "t" below 2**28 stays relative (0: now, -3: 3 s ago), and the order stays the sender's.

    Raises:
        SenmlError: a record with no name or no value, a malformed name, or an unsupported version.
    """
    base: "Record" = {"bn": "", "bt": 0, "bu": None, "bv": None, "bs": None, "bver": _VERSION}
    resolved: "list[Record]" = []
    for record in records:
        for label in base:
            if label in record:
                base[label] = record[label]
        if not isinstance(base["bver"], int) or not 0 < base["bver"] <= _VERSION:
            raise SenmlError("SenML version %r; 1 to %d are understood" % (base["bver"], _VERSION))
        if not record or any(label not in base for label in record):
            resolved.append(_apply(base, record))
    return resolved


def _record(item: "Any") -> "Record":
    if not isinstance(item, dict):
        raise SenmlError("a SenML record is a map, not %s" % type(item).__name__)
    record: "Record" = {}
    for key, value in item.items():
        label = _NAMES.get(key)
        if label is None:
            if isinstance(key, str) and key.endswith("_"):  # RFC 8428, 4.4: must be understood
                raise SenmlError("unknown field %r must be understood" % key)
            continue
        check_type(label, value)
        record[label] = value
    return record


def check_type(label: str, value: object) -> None:
    """Raise `SenmlError` unless `value` is of the type that RFC 8428 gives the field `label` (`LABELS`)."""
    if label in _NUMBERS:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif label in _TEXTS:
        good = isinstance(value, str)
    elif label == "vb":
        good = isinstance(value, bool)
    else:
        good = isinstance(value, bytes)
    if not good:
        raise SenmlError("field %s is of type %s" % (label, type(value).__name__))


def _apply(base: "Record", record: "Record") -> "Record":
    name = base["bn"] + record.get("n", "")
    _check_name(name)
    out = {"n": name, "t": base["bt"] + record.get("t", 0)}
    unit = record.get("u", base["bu"])
    if unit is not None:
        out["u"] = unit
    for label in ("v", "vs", "vb", "vd", "s", "ut"):
        if label in record:
            out[label] = record[label]
    values = [label for label in _VALUES if label in record]
    if base["bv"] is not None and ("v" in record or not values):
        out["v"] = base["bv"] + record.get("v", 0)
    if base["bs"] is not None:
        out["s"] = base["bs"] + record.get("s", 0)
    if len(values) > 1 or not (values or "v" in out or "s" in out):
        raise SenmlError("record %s has %s" % (name, "several values" if values else "no value"))
    if base["bver"] != _VERSION:
        out["bver"] = base["bver"]
    return out


def _check_name(name: str) -> None:
    """RFC 8428, 4.5.1: starts with a letter or digit, then letters, digits and - : . / _."""
    if not 0 < len(name) <= limits.SENML_NAME_CHARS:
        raise SenmlError("name of %d characters; 1 to %d" % (len(name), limits.SENML_NAME_CHARS))
    for at, char in enumerate(name):
        alphanumeric = "0" <= char <= "9" or "a" <= char <= "z" or "A" <= char <= "Z"
        if not alphanumeric and (at == 0 or char not in "-:./_"):
            raise SenmlError("character %r at %d of a name" % (char, at))
