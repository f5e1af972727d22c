"""The sensor's side of `event`, which has the layout: what a device needs to send events, and nothing else.

Under SCHC an event and what answers it have no residue (rules 1, 6 and `REFUSALS` of `schc_rules`): the payload of a
frame on `FPORT` is the event, that of one on `FPORT_ACKNOWLEDGEMENT` the acknowledgement, that of one on a port of
`REFUSALS` names the reading refused. So a sensor sends and is answered without the SCHC and CoAP modules; it loads
those when it has more to say.
"""

import struct

from pave_wire import limits
from pave_wire.errors import EventError
from pave_wire.reading import BLIND, CONFIDENCE, ENDED, LASTED, OCCUPIED, REASON, REASONS, STATES, Reading

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.reading import Value

VERSION = 0
ACKNOWLEDGEMENT_BYTES = 3
FPORT = 1
FPORT_ACKNOWLEDGEMENT = 6
# (FPort, CoAP code of the refusal): 4.00, 4.03, 4.09, 4.13, 4.15, 5.03. A port for each: the frame stays at 16 bytes.
REFUSALS = ((7, 0x80), (15, 0x83), (16, 0x89), (17, 0x8D), (18, 0x8F), (19, 0xA3))
UNHEARD_SEQS = 16383  # between the newest seq the gateway has told it knows and the newest given: then a hello
AGE_MANTISSA_BITS = 7
LASTED_MANTISSA_BITS = 9
EXPONENTS = 16
CONFIDENCE_STEPS = 25
NOT_STATED = 31

_NAMES = (OCCUPIED, BLIND, REASON, CONFIDENCE, LASTED, ENDED)


def encode(reading: Reading, oldest: bool) -> bytes:
    """Return the 8 bytes of `reading`; `oldest` says that nothing older waits in the outbox.

    Raises:
        EventError: a value that an event has no field for, or one beyond its field. Send the reading as SenML.
    """
    values = reading.values
    for name in values:
        if name not in _NAMES:
            raise EventError("an event has no field for %s" % name)
    state = state_of(values)
    ended = ended_of(values, state)
    reason = values.get(REASON)
    if reason not in REASONS:
        raise EventError("reason %r is not one of %s" % (reason, ", ".join(REASONS)))
    age = to_scale(seconds(reading.age_s, "age"), AGE_MANTISSA_BITS)
    lasted = 0 if ended == state else to_scale(seconds(values[LASTED], LASTED), LASTED_MANTISSA_BITS)
    return struct.pack(
        ">BBBHBH",
        VERSION << 6 | state << 4 | REASONS.index(reason),
        ended << 6 | oldest << 5 | _confidence(values),
        reading.epoch & 0xFF,
        reading.seq & 0xFFFF,
        age >> 3,
        (age & 7) << 13 | lasted,
    )


def is_acknowledged(data: bytes, epoch: int, seq: int, newest_epoch: int, newest_seq: int) -> bool:
    """Return whether `data`, a payload of `encode_acknowledgement`, covers the reading (`epoch`, `seq`) of the outbox.

    (`newest_epoch`, `newest_seq`) is the newest reading this device ever gave an identity, sent or not. What is
    acknowledged lies at or behind it, never ahead: low bits that seem ahead are those of a number long past.

    Raises:
        EventError: not 3 bytes.
    """
    epoch_low, seq_low = _low_bits(data)
    upto_epoch = newest_epoch - ((newest_epoch - epoch_low) & 0xFF)
    if epoch != upto_epoch:
        return epoch < upto_epoch
    if epoch == newest_epoch:
        return seq <= newest_seq - ((newest_seq - seq_low) & 0xFFFF)
    return (seq_low - seq) & 0xFFFF < 0x8000  # the newest of an epoch that ended is not known any more


def is_refused(data: bytes, epoch: int, seq: int) -> bool:
    """Return whether `data`, the payload of a frame on a port of `REFUSALS`, names the reading (`epoch`, `seq`).

    Raises:
        EventError: not 3 bytes.
    """
    return _low_bits(data) == (epoch & 0xFF, seq & 0xFFFF)


def to_scale(value: int, mantissa_bits: int) -> int:
    """Return the code of `value` (integer >= 0) on the scale of `event`, rounded to the nearest.

    Raises:
        EventError: beyond the scale's end.
    """
    shift = 0
    whole = value
    while whole >> mantissa_bits + 1:
        shift += 1
        whole = value + (1 << shift - 1) >> shift
    code = (shift << mantissa_bits) + whole
    if code >= EXPONENTS << mantissa_bits:
        raise EventError("%d s is beyond the scale's end" % value)
    return code


def state_of(values: "dict[str, Value]") -> int:
    """Return the index in STATES of the state that `values` say; raises `EventError` where they say none or two."""
    occupied = values.get(OCCUPIED)
    blind = values.get(BLIND, False)
    if blind is True and occupied is None:
        return 2
    if blind is False and isinstance(occupied, bool):
        return int(occupied)
    raise EventError("%s is %r, %s is %r: no state of a bay" % (OCCUPIED, occupied, BLIND, blind))


def ended_of(values: "dict[str, Value]", state: int) -> int:
    """Return the index of the state that ended, or `state` where none did; raises `EventError` for one impossible."""
    ended = values.get(ENDED)
    if LASTED not in values:
        if ended is not None:
            raise EventError("%s without %s" % (ENDED, LASTED))
        return state
    if ended is None and state < 2:
        return 1 - state
    if ended not in STATES or ended == STATES[state]:
        raise EventError("%s cannot have been %r" % (ENDED, ended))
    return STATES.index(ended)


def seconds(value: "Value", name: str) -> int:
    """Return `value` (seconds) rounded; raises `EventError` where it is no time."""
    if isinstance(value, (bool, str)) or not 0 <= value <= limits.AGE_MAX_S:  # also true for NaN
        raise EventError("%s is %r; seconds from 0 to %d" % (name, value, limits.AGE_MAX_S))
    return int(value + 0.5)


def _low_bits(data: bytes) -> "tuple[int, int]":
    if len(data) != ACKNOWLEDGEMENT_BYTES:
        raise EventError("acknowledgement or refusal of %d bytes; %d" % (len(data), ACKNOWLEDGEMENT_BYTES))
    return struct.unpack(">BH", data)


def _confidence(values: "dict[str, Value]") -> int:
    value = values.get(CONFIDENCE)
    if value is None:
        return NOT_STATED
    if isinstance(value, (bool, str)) or not 0 <= value <= 1:
        raise EventError("%s is %r; a number from 0 to 1" % (CONFIDENCE, value))
    return int(value * CONFIDENCE_STEPS + 0.5)
