"""SenML (RFC 8428) in its JSON form (content-format 110), written only: nothing of Pavé's sends it to a device."""

import json
from binascii import b2a_base64

from pave_wire import limits
from pave_wire.errors import SenmlError
from pave_wire.senml import LABELS, check_type

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.senml import Record

CONTENT_FORMAT = 110  # application/senml+json


def encode(records: "list[Record]") -> str:
    """Return the SenML JSON text of `records` (list of dicts by text label), resolved or not.

    Data values ("vd") are written in the base64url of RFC 4648, section 5, without padding.

    Raises:
        SenmlError: more than `limits.SENML_RECORDS`, an unknown field, one of the wrong type, or a number that JSON
            does not have (infinity, NaN).
    """
    if len(records) > limits.SENML_RECORDS:
        raise SenmlError("%d records; at most %d" % (len(records), limits.SENML_RECORDS))
    return "[" + ",".join(["{" + ",".join(_fields(record)) + "}" for record in records]) + "]"


def _fields(record: "Record") -> list[str]:
    for label in record:
        if label not in LABELS:
            raise SenmlError("unknown field %r" % (label,))
    labels = sorted(record, key=lambda label: LABELS[label])  # MicroPython's dicts have no order of their own
    return ['"%s":%s' % (label, _value(label, record[label])) for label in labels]


def _value(label: str, value: object) -> str:
    check_type(label, value)
    if isinstance(value, bytes):
        text = str(b2a_base64(value), "ascii").rstrip("=\n")
        return '"' + text.replace("+", "-").replace("/", "_") + '"'
    if isinstance(value, float) and not -1e308 * 10 < value < 1e308 * 10:
        raise SenmlError("field %s is %r" % (label, value))
    return json.dumps(value)
