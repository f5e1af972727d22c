"""What the device has to say and the gateway has not yet acknowledged.

A reading gets its identity here, once, and keeps it however often it is sent. The outbox is bounded: when it is full
the least important reading goes first (diagnostics, then health, the oldest first), a change of a bay's state last. Its
state is a plain value: the caller keeps it where it survives a crash, after every change and before anything is sent.
"""

from app import limits
from pave_wire import limits as wire_limits
from pave_wire.reading import CRASH, Reading, class_of

_DROP_ORDER = ("diagnostics", "health", "presence", "alarm")


class Outbox:
    """Readings of `device` (EUI-64 text) in `epoch`, oldest first.

    Times are `now_ms` of a clock that goes on through deep sleep.

    Attributes:
        dropped: readings given up since the epoch began: no room, or refused by the gateway.
        crash_heard: the gateway has acknowledged a crash; who kept it may forget it.
    """

    def __init__(self, device, epoch, next_seq=0, entries=(), dropped=0, room=limits.OUTBOX_READINGS):
        self._device = device
        self._epoch = epoch
        self._next_seq = next_seq
        self._entries = [tuple(entry) for entry in entries]  # (seq, read_ms, values)
        self.dropped = dropped
        self._room = room
        self.crash_heard = False

    def __len__(self):
        return len(self._entries)

    def add(self, values, now_ms):
        """Take a reading and return its seq; when full, the least important one makes room."""
        if len(self._entries) == self._room:
            self._drop_one()
        seq = self._next_seq
        self._next_seq += 1
        self._entries.append((seq, now_ms, values))
        return seq

    def batch(self, now_ms, most=wire_limits.READINGS_PER_PACK):
        """Return the oldest readings, at most `most`, aged to `now_ms`."""
        return [
            Reading(self._device, self._epoch, seq, max(0, now_ms - read_ms) / 1000, values)
            for seq, read_ms, values in self._entries[:most]
        ]

    def acknowledged(self, readings):
        """Forget readings of an earlier `batch`: the gateway has them on disk."""
        for reading in readings:
            self.crash_heard |= CRASH in reading.values
        self._forget(readings)

    def given_up(self, readings):
        """Forget readings that the gateway will never take; they are counted."""
        self._forget(readings)
        self.dropped += len(readings)

    def renumber(self, epoch):
        """Give every reading a new identity in a fresh `epoch`: the old ones were taken by somebody else."""
        self._epoch = epoch
        self._entries = [(seq, entry[1], entry[2]) for seq, entry in enumerate(self._entries)]
        self._next_seq = len(self._entries)

    def state(self):
        """Return the arguments after `device` that make this outbox again."""
        return [self._epoch, self._next_seq, self._entries, self.dropped]

    def _forget(self, readings):
        seqs = [reading.seq for reading in readings]
        self._entries = [entry for entry in self._entries if entry[0] not in seqs]

    def _drop_one(self):
        self.dropped += 1
        for dropped_class in _DROP_ORDER:
            for at, entry in enumerate(self._entries):
                if class_of(entry[2]) == dropped_class:
                    del self._entries[at]
                    return
