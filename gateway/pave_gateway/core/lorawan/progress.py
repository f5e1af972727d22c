"""Where a device stands in counting its readings: what the gateway must know to read low bits and to acknowledge.

A frame carries 8 bits of an epoch and 16 of a seq (docs/WIRE.md, low bits). They are extended from the newest numbers
known, which a hello tells in full; from a join until that hello nothing is known, and no event is read. The *floor* is
the last (epoch, seq) up to which everything is on disk or will never come. What was stored beyond it waits in a small
set until the floor reaches it: to forget one of those costs one repetition by the device, never a reading.

A `Progress` never changes: the next one is computed from it, travels to the disk as a row of the transaction that
stores the readings, and takes its place when that is committed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pave_gateway.core import limits
from pave_wire import event
from pave_wire.errors import EventError
from pave_wire.reading import BLIND, OCCUPIED, STATES, Reading

Identity = tuple[int, int]  # epoch, seq
NOTHING = (-1, -1)


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one device.

    Attributes:
        known: Its hello was heard since it joined.
        epoch: The newest.
        newest: (epoch, newest seq) of the latest epochs, ascending.
        floor: See above; NOTHING at first.
        stored: Received and on disk beyond the floor, ascending.
        last: The newest reading that told a state.
        state: That state, index in STATES; -1 for none.
    """

    known: bool = False
    epoch: int = 0
    newest: tuple[Identity, ...] = ()
    floor: Identity = NOTHING
    stored: tuple[Identity, ...] = ()
    last: Identity = NOTHING
    state: int = -1

    def newest_seq(self, epoch: int) -> int:
        """Return the newest seq known in `epoch`, 0 in one not heard of."""
        return dict(self.newest).get(epoch, 0)

    def extend(self, epoch_low: int, seq_low: int) -> Identity:
        """Return the numbers in full."""
        epoch = event.extend(epoch_low, event.EPOCH_BITS, self.epoch)
        return epoch, event.extend(seq_low, event.SEQ_BITS, self.newest_seq(epoch))

    def joined(self) -> "Progress":
        """Return it after a join: nothing is read before the hello."""
        return replace(self, known=False)

    def greeted(self, epoch: int, next_seq: int) -> "Progress":
        """Return it after a hello. Its numbers are the newest, also where they go back: what is beyond them is void."""
        newest = _with(tuple(pair for pair in self.newest if pair[0] <= epoch), epoch, max(next_seq - 1, 0))
        stored = tuple(identity for identity in self.stored if identity[0] <= epoch)
        floor = self.floor if self.floor[0] <= epoch else NOTHING  # else it could neither be said nor be raised
        last, state = (self.last, self.state) if self.last[0] <= epoch else (NOTHING, -1)
        return Progress(True, epoch, newest, floor, stored, last, state)

    def has(self, epoch: int, seq: int) -> bool:
        """Return whether that reading is on disk, or will never come."""
        return (epoch, seq) <= self.floor or (epoch, seq) in self.stored

    def after(self, readings: Sequence[Reading], oldest: bool) -> "Progress":
        """Return it after `readings`, as received, were stored; `oldest`: nothing older waits than the first."""
        identities = [(reading.epoch, reading.seq) for reading in readings]
        stored = {*self.stored, *identities}
        newest, epoch, floor = self.newest, self.epoch, self.floor
        for number, identity in enumerate(identities):
            newest = _with(newest, identity[0], max(identity[1], dict(newest).get(identity[0], 0)))
            epoch = max(epoch, identity[0]) if self.known else epoch
            floor = event.raise_floor(floor, *identity, oldest and not number, lambda e, s: (e, s) in stored)
        beyond = tuple(sorted(identity for identity in stored if identity > floor))
        last, state = self._last_of(readings)
        return Progress(
            self.known,
            epoch,
            newest,
            floor,
            beyond[-limits.LORAWAN_STORED_BEYOND_FLOOR :],
            last,
            state,
        )

    def acknowledgement(self) -> bytes | None:
        """Return the 3 bytes that say the floor, or None where the device would read them as another number."""
        if not self.known or not event.can_acknowledge(*self.floor, self.epoch, self.newest_seq(self.floor[0])):
            return None
        return event.encode_acknowledgement(*self.floor)

    def rebuilt_before(self, reading: Reading) -> Reading | None:
        """Return the one reading lost before `reading`, if it can be told (docs/WIRE.md, one lost event)."""
        if self.state < 0 or self.last != (reading.epoch, reading.seq - 2):
            return None
        if self.has(reading.epoch, reading.seq - 1):
            return None
        known = {BLIND: True} if STATES[self.state] == BLIND else {OCCUPIED: self.state == 1}
        try:
            return event.rebuild_previous(Reading(reading.device, *self.last, 0, {**known}), reading)
        except EventError:  # a reading without a state, which SenML may bring
            return None

    def text(self) -> str:
        """Return all of it as JSON."""
        fields = (self.known, self.epoch, self.newest, self.floor, self.stored, self.last, self.state)
        return json.dumps(fields, separators=(",", ":"))

    def _last_of(self, readings: Sequence[Reading]) -> tuple[Identity, int]:
        last, state = self.last, self.state
        for reading in readings:
            if (reading.epoch, reading.seq) > last:
                try:
                    last, state = (reading.epoch, reading.seq), event.state_of(reading.values)
                except EventError:
                    continue
        return last, state


def of_text(text: str) -> Progress:
    """Return what `Progress.text` wrote; "" is a device that was never heard."""
    if not text:
        return Progress()
    known, epoch, newest, floor, stored, last, state = json.loads(text)
    return Progress(known, epoch, _pairs(newest), (floor[0], floor[1]), _pairs(stored), (last[0], last[1]), state)


def _with(newest: tuple[Identity, ...], epoch: int, seq: int) -> tuple[Identity, ...]:
    known = {**dict(newest), epoch: seq}
    return tuple(sorted(known.items()))[-limits.LORAWAN_EPOCHS :]


def _pairs(listed: list[list[int]]) -> tuple[Identity, ...]:
    return tuple((epoch, seq) for epoch, seq in listed)
