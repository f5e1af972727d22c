"""What is known of one bay, from the readings of the device that is in it.

Readings are ordered by (epoch, seq), the device's own order, whatever order they arrive in. The newest one says the
state. When that state began is told best by the reading that opened it: it says how long the state before had lasted
(`lasted`), or is one rebuilt from such a reading. Otherwise the state began between two readings:

    seq    4 vacant   5 vacant   6 (lost)      7 occupied, heartbeat
                      |<------ since ---------->|            since_ms = 7, since_error_ms = 7 less 5

A reading that arrives late may say more of it: it moves the beginning or narrows the gap, and never touches the newest
state. Times are kept as the log has them and put right by the `ClockLog` when they are asked for.

How long the state before lasted is the difference of two beginnings, by the gateway's clock, if no reading is missing
between them or the device says the same; the device's own length (its clock may be off by percents) is the fallback.
"""

from typing import Any

from pave_gateway.core import limits
from pave_gateway.core.bay_history import (
    Began,
    Ended,
    Order,
    Stay,
    began_from,
    ended_from,
    moment_from,
    order_from,
)
from pave_gateway.core.instant import ClockLog, Moment
from pave_gateway.core.places import Place
from pave_gateway.core.rows import ReadingRow, StoredReading, Value
from pave_wire.event import REBUILT
from pave_wire.model import BLIND, CONFIDENCE, ENDED, FAULT, LASTED, OCCUPIED, REASON, STATES

VACANT, OCCUPIED_STATE, BLIND_STATE = STATES  # "vacant", "occupied", "blind"
FAULTY = "fault"  # the device can measure nothing: the part in `Bay.fault` does not answer


class Bay:
    """A bay and what is known of it.

    Attributes:
        place: Where it is.
        device: The one in it, None for none.
        from_position: Only readings of `device` behind this position of the log count.
        position: Of the log, up to which its readings are in this state.
        state: "vacant", "occupied", "blind" or "fault"; None until its device has spoken.
        confidence: 0 to 1, of the newest reading; None where it does not say.
        reason: Why the newest reading was made, "" where it does not say.
        fault: The part that does not answer, "" for none.
        order: (epoch, seq) of the newest reading that told a state, (0, 0) before.
    """

    __slots__ = (
        "_began", "_clock", "_ended", "_heard", "_read", "confidence", "device", "fault", "from_position", "order",
        "place", "position", "reason", "state",
    )  # fmt: skip

    def __init__(self, place: Place, clock: ClockLog) -> None:
        """No device is in it."""
        self.place = place
        self._clock = clock
        self.assign(None, 0)

    def assign(self, device: str | None, from_position: int) -> None:
        """Put another device in it, or none; nothing is known of the bay then."""
        self.device = device
        self.from_position = self.position = from_position
        self.state: str | None = None
        self.confidence: float | None = None
        self.reason = self.fault = ""
        self.order: Order = (0, 0)
        self._read: Moment | None = None
        self._heard: Moment | None = None
        self._began: Began | None = None
        self._ended: Ended | None = None

    @property
    def occupied(self) -> bool | None:
        """Whether a vehicle stands on it; None where that is not known (not heard, blind, faulty)."""
        return {VACANT: False, OCCUPIED_STATE: True}.get(self.state or "")

    @property
    def epoch(self) -> int:
        """Of the newest reading."""
        return self.order[0]

    @property
    def seq(self) -> int:
        """Of the newest reading."""
        return self.order[1]

    @property
    def read_ms(self) -> int | None:
        """When the state was last confirmed, milliseconds since 1970."""
        return self._ms(self._read)

    @property
    def heard_ms(self) -> int | None:
        """When a reading of the device last arrived, of whatever kind."""
        return self._ms(self._heard)

    @property
    def since_ms(self) -> int | None:
        """When the state began, or was first seen."""
        return None if self._began is None else self._ms(self._began.moment)

    @property
    def since_error_ms(self) -> int | None:
        """How far `since_ms` may be off: the state may have begun so much earlier. None: nobody knows."""
        began = self._began
        if began is None or began.error_ms is not None:
            return None if began is None else began.error_ms
        return None if began.after is None else self._clock.elapsed_ms(began.after[1], began.moment)

    @property
    def previous(self) -> Stay | None:
        """The state before and how long it lasted; None where nobody knows."""
        ended = self._ended
        if ended is None:
            return None
        measured_ms = None if ended.began is None else self._clock.elapsed_ms(ended.began, ended.ended)
        if measured_ms is not None and (ended.is_next or _agree(measured_ms, ended.device_ms)):
            return Stay(ended.state, self._clock.corrected_ms(ended.ended), measured_ms, "gateway")
        if ended.device_ms is None:
            return None
        return Stay(ended.state, self._clock.corrected_ms(ended.ended), ended.device_ms, "device")

    def take(self, stored: StoredReading) -> bool:
        """Take a reading of the device; return whether the state or its beginning is another now."""
        row = stored.row
        self.position = stored.position
        self._heard = Moment(row.received_ms, stored.position, row.synchronized)
        state = state_in(row.values)
        if state is None:
            return False
        order = (row.epoch, row.seq)
        moment = Moment(row.read_ms, stored.position, row.synchronized)
        if self._began is None or self._read is None or order > self.order:
            return self._advance(order, state, moment, row)
        return self._late(self._began, order, state, moment, row)

    def dump(self) -> list[Any]:
        """Return what is known, in lists and plain values."""
        return [
            self.place.id, self.device, self.from_position, self.state, self.confidence, self.reason, self.fault,
            self.order, self._read, self._heard, self._began, self._ended,
        ]  # fmt: skip

    def load(self, dumped: list[Any]) -> bool:
        """Take what `dump` gave; return False, and leave all as it is, if another device was in it then.

        Raises:
            ValueError, TypeError, LookupError: it was not `dump` that gave it.
        """
        if len(dumped) != len(self.dump()):
            raise ValueError(f"{len(dumped)} values of a bay")
        if dumped[1:3] != [self.device, self.from_position]:
            return False
        self.state, self.confidence, self.reason, self.fault = dumped[3:7]
        self.order = order_from(dumped[7])
        self._read, self._heard = moment_from(dumped[8]), moment_from(dumped[9])
        self._began, self._ended = began_from(dumped[10]), ended_from(dumped[11])
        return True

    def _advance(self, order: Order, state: str, moment: Moment, row: ReadingRow) -> bool:
        declared = declared_end(row.values, state)
        error_ms = _error_ms(row, state, declared)
        changed = state != self.state or declared is not None
        if changed:
            self._ended = self._end(order, moment, declared, row.values)
            after = None
            if error_ms is None and self._read is not None:
                after = (self.order, self._read)
            self._began = Began(order, moment, error_ms, after)
        self.order, self.state, self._read = order, state, moment
        confidence = row.values.get(CONFIDENCE)
        self.confidence = float(confidence) if isinstance(confidence, int | float) else None
        self.reason, self.fault = str(row.values.get(REASON, "")), str(row.values.get(FAULT, ""))
        return changed

    def _end(self, order: Order, moment: Moment, declared: str | None, values: dict[str, Value]) -> Ended | None:
        """Return what is known of the state that ends with a reading newer than all before."""
        device_ms = _lasted_ms(values) if declared is not None else None
        state = self.state if declared is None else declared
        if state is None:
            return None
        is_same = state == self.state and self._began is not None and self._began.error_ms is not None
        began = self._began.moment if is_same and self._began is not None else None
        return Ended(state, began, moment, device_ms, order == (self.order[0], self.order[1] + 1))

    def _late(self, began: Began, order: Order, state: str, moment: Moment, row: ReadingRow) -> bool:
        """Learn from a reading older than the newest when the present state began."""
        declared = declared_end(row.values, state)
        error_ms = _error_ms(row, state, declared)
        found = _begun(began, order, state == self.state, moment, error_ms)
        if found is None and order > began.order and state != self.state:
            found = Began(self.order, self._read or moment, None, (order, moment))  # it began anew after this one
        if found is None:
            return False
        if found.order != began.order:
            self._ended = None
            if declared is not None and found.order == order:
                self._ended = Ended(declared, None, moment, _lasted_ms(row.values), False)
        self._began = found
        return True

    def _ms(self, moment: Moment | None) -> int | None:
        return None if moment is None else self._clock.corrected_ms(moment)


def state_in(values: dict[str, Value]) -> str | None:
    """Return the state that a reading tells; None where it tells none."""
    if values.get(BLIND) is True:
        return BLIND_STATE
    occupied = values.get(OCCUPIED)
    if isinstance(occupied, bool):
        return OCCUPIED_STATE if occupied else VACANT
    return FAULTY if isinstance(values.get(FAULT), str) else None


def declared_end(values: dict[str, Value], state: str) -> str | None:
    """Return the state that ended with this reading, as the device says; None where it says nothing of that."""
    if _lasted_ms(values) is None:
        return None
    ended = values.get(ENDED)
    if isinstance(ended, str) and ended in STATES and ended != state:
        return ended
    return {VACANT: OCCUPIED_STATE, OCCUPIED_STATE: VACANT}.get(state)


def _begun(began: Began, order: Order, is_same_state: bool, moment: Moment, error_ms: int | None) -> Began | None:
    """Return the beginning that is known with a reading more, None if it says nothing new."""
    if order == began.order:  # the real one, in the place of one that was rebuilt
        return Began(order, moment, error_ms, began.after) if is_same_state else None
    if order > began.order:
        return Began(order, moment, error_ms, None) if is_same_state and error_ms is not None else None
    if began.error_ms is not None or (began.after is not None and order <= began.after[0]):
        return None
    if not is_same_state:
        return began._replace(after=(order, moment))
    return Began(order, moment, error_ms, None if error_ms is not None else began.after)


def _error_ms(row: ReadingRow, state: str, declared: str | None) -> int | None:
    """Return how far the beginning of a state may be off, where this reading opened it; else None."""
    if declared is None and state != FAULTY and row.values.get(REASON) != REBUILT:
        return None
    age_ms = max(0, row.received_ms - row.read_ms)
    return age_ms * limits.SLOW_CLOCK_PERCENT // 100 + limits.AGE_ERROR_MS


def _lasted_ms(values: dict[str, Value]) -> int | None:
    lasted_s = values.get(LASTED)
    if isinstance(lasted_s, bool) or not isinstance(lasted_s, int | float) or lasted_s < 0:
        return None
    return round(lasted_s * 1000)


def _agree(measured_ms: int, device_ms: int | None) -> bool:
    if device_ms is None:
        return False
    return abs(measured_ms - device_ms) <= measured_ms * 2 * limits.SLOW_CLOCK_PERCENT // 100 + 2 * limits.AGE_ERROR_MS
