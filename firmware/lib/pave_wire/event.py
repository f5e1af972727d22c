"""The presence event of a LoRaWAN frame: 8 bytes that say what a report of SenML says in 130.

    byte   0          1            2        3..4     5..7
           vvss rrrr  eeo c cccc   epoch    seq      aaa aaaa aaaa  l llll llll llll
    v 2    version, 0                       epoch 8  low bits of the reading's epoch
    s 2    state: index in STATES           seq 16   low bits of its seq
    r 4    reason: index in REASONS         a 11     age of the reading, s, on the scale below, 7 bits of mantissa
    e 2    the state that ended; s: none    l 13     how long that one lasted, s, with 9 bits of mantissa; 0: none ended
    o 1    nothing older waits in the outbox
    c 5    confidence in steps of 0.04; 31: not stated

Eight bytes, not eleven: with LoRaWAN's 13 they take five symbols less on the air than 24 bytes do at SF7, 8, 9 and 11
(a tenth at SF9), and three bytes are left for fields to come. A receiver ignores what follows the eighth.

Scale: a floating-point number without sign, exponent 4 bits, mantissa m bits. Exponent 0: the mantissa itself; else
(2**m + mantissa) << (exponent - 1). Seconds are exact below 2**(m + 1), and beyond that off by at most 1 part in
2**(m + 1). Ages: exact to 255 s, within 0.4 % to 48 days. Lengths: exact to 1,023 s, within 0.1 % to 194 days. A
reading with a longer one, or with a value that has no field here, does not fit: it goes as SenML.

Low bits: of the number nearest to the newest one known (`extend`). That is the right one as long as no more than
2**(bits - 1) - 2 in a row were missed and no repetition is older than that: 32,766 readings, 126 epochs. So a device
keeps its outbox within that span and says hello, which carries both numbers in full, after a start, after a join, and
when `UNHEARD_SEQS` were left without an acknowledgement. Provisioning anew makes the epoch jump anywhere, and a join
goes with it: from a join until the hello behind it a gateway reads no events and acknowledges nothing.

Acknowledgement: 3 bytes, the low bits of an epoch (1) and of a seq (2). Every reading up to and including that one, in
the order of (epoch, seq), is on disk. Cumulative is enough: a device that hears none sends its oldest reading again,
alone, and the answer to that one clears all that arrived behind it. Some seqs never come (skipped or dropped by the
device); the flag o says that the gateway need not wait for anything before this event. The device reads low bits as
those of a number behind its newest (`is_acknowledged`); the gateway keeps silent where they would be read as another
(`can_acknowledge`). Each of the two takes a quarter of seq's range, so the sum stays below the half that is clear.

A refusal names one reading by the same 3 bytes.

One lost event is rebuilt from the next (`rebuild_previous`), which says which state ended and how long it had lasted.
"""

import struct

from pave_wire import limits
from pave_wire.errors import EventError

# isort: off
from pave_wire.event_encode import (  # "as" hands the names on to who imports this module
    ACKNOWLEDGEMENT_BYTES as ACKNOWLEDGEMENT_BYTES,
    AGE_MANTISSA_BITS as AGE_MANTISSA_BITS,
    CONFIDENCE_STEPS,
    EXPONENTS,
    LASTED_MANTISSA_BITS as LASTED_MANTISSA_BITS,
    NOT_STATED,
    REFUSALS as REFUSALS,
    UNHEARD_SEQS as UNHEARD_SEQS,
    VERSION,
    encode as encode,
    ended_of,
    is_acknowledged as is_acknowledged,
    is_refused as is_refused,
    seconds,
    state_of,
    to_scale as to_scale,
)

# isort: on
from pave_wire.reading import BLIND, CONFIDENCE, ENDED, LASTED, OCCUPIED, REASON, REASONS, STATES, Reading

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Callable

    from pave_wire.reading import Value

CONTENT_FORMAT = 65001  # of the experimental range (RFC 7252, 12.3)
CONTENT_FORMAT_ACKNOWLEDGEMENT = 65002
BYTES = 8
REBUILT = "rebuilt"
EPOCH_BITS = 8
SEQ_BITS = 16
FLOOR_EPOCHS = 126  # how far behind the newest one known an acknowledgement may lie
FLOOR_SEQS = 16383


class Event:
    """What an event says, before its counters are extended.

    Attributes:
        epoch_low, seq_low: the low EPOCH_BITS and SEQ_BITS bits of the reading's epoch and seq.
        oldest: nothing older waits in the device's outbox.
        age_s: seconds between the reading and the sending, an integer.
        values: as in `Reading`.
    """

    __slots__ = ("age_s", "epoch_low", "oldest", "seq_low", "values")

    def __init__(self, epoch_low: int, seq_low: int, oldest: bool, age_s: int, values: "dict[str, Value]") -> None:
        self.epoch_low = epoch_low
        self.seq_low = seq_low
        self.oldest = oldest
        self.age_s = age_s
        self.values = values

    def reading(self, device: str, epoch: int, seq: int) -> Reading:
        """Return the `Reading` of `device` (EUI-64 text) with its counters in full."""
        return Reading(device, epoch, seq, self.age_s, self.values)


def decode(data: bytes) -> Event:
    """Return the `Event` in `data` (8 to `limits.EVENT_BYTES` bytes).

    Raises:
        EventError: another length or version, or a code without a meaning yet. A gateway answers it with 4.15, and
            the device sends the reading as SenML instead.
    """
    if not BYTES <= len(data) <= limits.EVENT_BYTES:
        raise EventError("event of %d bytes; %d to %d" % (len(data), BYTES, limits.EVENT_BYTES))
    first, second, epoch_low, seq_low, age, tail = struct.unpack(">BBBHBH", data[:BYTES])
    if first >> 6 != VERSION:
        raise EventError("event of version %d; only %d is known" % (first >> 6, VERSION))
    state, ended, reason, confidence, lasted = first >> 4 & 3, second >> 6, first & 15, second & 31, tail & 0x1FFF
    if state >= len(STATES) or ended >= len(STATES) or reason >= len(REASONS):
        raise EventError("state %d, ended %d or reason %d is not known" % (state, ended, reason))
    values: "dict[str, Value]" = {REASON: REASONS[reason]}
    if STATES[state] == BLIND:
        values[BLIND] = True
    else:
        values[OCCUPIED] = state == 1
    if confidence <= CONFIDENCE_STEPS:
        values[CONFIDENCE] = confidence * 4 / 100
    elif confidence != NOT_STATED:
        raise EventError("confidence code %d is not known" % confidence)
    if ended != state:
        values[LASTED] = from_scale(lasted, LASTED_MANTISSA_BITS)
        if BLIND in (STATES[state], STATES[ended]):
            values[ENDED] = STATES[ended]
    elif lasted:
        raise EventError("%s without a state that ended" % LASTED)
    return Event(epoch_low, seq_low, bool(second & 32), from_scale(age << 3 | tail >> 13, AGE_MANTISSA_BITS), values)


def extend(low: int, bits: int, last: int) -> int:
    """Return the number >= 0 with the low `bits` bits `low` that is nearest to `last`, the newest one known."""
    size = 1 << bits
    full = last + (low - last + (size >> 1)) % size - (size >> 1)
    return full if full >= 0 else full + size


def rebuild_previous(before: Reading, after: Reading) -> "Reading | None":
    """Return the one reading lost between two events, aged as `after` is, or None where `after` tells nothing of it.

    `before` and `after` are of one device and epoch, with exactly one seq between them. The lost one opened the state
    that `after` ended, unless the bay was already in that state at `before`: then it changed nothing. Where `after`
    ended no state (a heartbeat), the lost one may have changed it, but since when cannot be known: None as well.

    What is returned has the reason REBUILT and no confidence. It is a guess to look at, not a reading received: it
    never raises the floor (`raise_floor`), and the lost one, should it arrive, has its identity and takes its place.

    Raises:
        EventError: not two events with one seq between them, or without a state.
    """
    if (before.device, before.epoch, before.seq + 2) != (after.device, after.epoch, after.seq):
        raise EventError("%s and %s have not one seq between them" % (before.identity, after.identity))
    state = state_of(after.values)
    ended = ended_of(after.values, state)
    if ended == state or ended == state_of(before.values):
        return None
    values: "dict[str, Value]" = {BLIND: True} if STATES[ended] == BLIND else {OCCUPIED: ended == 1}
    values[REASON] = REBUILT
    age_s = after.age_s + seconds(after.values[LASTED], LASTED)
    return Reading(after.device, after.epoch, after.seq - 1, age_s, values)


def same_reading(stored: Reading, offered: Reading) -> bool:
    """Return whether both are one reading: one identity, and equal values once both are as coarse as an event's.

    So a reading may come as an event and again as SenML. Where False under one identity, `offered` takes the place of
    a `stored` whose reason is REBUILT, and is refused with 4.09 otherwise.
    """
    if stored.identity != offered.identity:
        return False
    return stored.values == offered.values or _quantised(stored) == _quantised(offered)


def _quantised(reading: Reading) -> "dict[str, Value]":
    """The values as an event carries them; as they are where an event cannot."""
    try:
        return decode(encode(Reading(reading.device, reading.epoch, reading.seq, 0, reading.values), False)).values
    except EventError:
        return reading.values


def raise_floor(
    floor: "tuple[int, int]", epoch: int, seq: int, oldest: bool, is_stored: "Callable[[int, int], bool]"
) -> "tuple[int, int]":
    """Return the floor, the last (epoch, seq) that may be acknowledged, after the reading (`epoch`, `seq`) was stored.

    `floor` is the one so far, (-1, -1) at first; `oldest` is the flag of the event or batch. `is_stored(epoch, seq)`
    says whether that reading came from the device and is on disk; a rebuilt one did not.
    """
    if oldest and floor < (epoch, seq - 1):
        floor = (epoch, seq - 1)
    while is_stored(floor[0], floor[1] + 1):
        floor = (floor[0], floor[1] + 1)
    return floor


def can_acknowledge(epoch: int, seq: int, newest_epoch: int, newest_seq: int) -> bool:
    """Return whether the device will read the low bits of the floor (`epoch`, `seq`) as that floor.

    `newest_epoch` is the newest that the device's hellos and events told, `newest_seq` the newest seq told in `epoch`.
    Where False, the gateway sends no acknowledgement: the event with the flag o that comes next raises the floor.
    """
    return seq >= 0 and 0 <= newest_epoch - epoch <= FLOOR_EPOCHS and newest_seq - seq <= FLOOR_SEQS


def encode_acknowledgement(epoch: int, seq: int) -> bytes:
    """Return the 3 bytes that acknowledge all up to and including (`epoch`, `seq`), or that name the one refused."""
    return struct.pack(">BH", epoch & 0xFF, seq & 0xFFFF)


def from_scale(code: int, mantissa_bits: int) -> int:
    """Return the number of which `to_scale` gives `code`; -1 stands for the last code."""
    code &= (EXPONENTS << mantissa_bits) - 1
    shift = max(0, (code >> mantissa_bits) - 1)
    return code - (shift << mantissa_bits) << shift
