"""What the writer knows of each device: which readings the log has, where its chains end, its OSCORE replay window.

So the log needs no index: whether a reading is in it is answered from here. A device's readings are ordered by
(epoch, seq) and arrive nearly in that order; for its two newest epochs the last `limits.SEQS_REMEMBERED` seqs are kept
as a mask. Only what is older has to be looked for in the log.

    epoch above all others, or one between the two newest    NEW      no reading of that epoch ever came
    seq above the highest of its epoch                       NEW
    seq within the mask                                      NEW or SEEN
    below the mask, or of an older epoch                     UNKNOWN  only the log can tell

Each reading of the log names the position of the one before it of the same device and class: a chain. A class loses
its oldest readings first (`store.retention`), so a chain ends but never breaks.

The window is the one stored last, and the counters of the readings after it. It is None, unknown, while the device may
have sent what this file has not: before its first window is stored, for another gateway may have heard its keys; after
its keys were changed; after a restore or a salvage (the file's *era* advances then). No counter is added to None.

Changes belong to the writer's transaction: `changing` remembers what was, `roll_back` brings it back.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any

from pave_gateway.core import limits
from pave_gateway.core.rows import ReadingRow, ReplayRow
from pave_wire.limits import OSCORE_WINDOW

CLASSES: tuple[str, ...] = (
    "alarm",
    "presence",
    "health",
    "diagnostics",
)  # the order in which they are kept when space runs out
CLASS_NUMBERS = {name: number for number, name in enumerate(CLASSES)}
NEVER = -1  # an epoch before all others
_ALL = (1 << limits.SEQS_REMEMBERED) - 1
_WINDOW_ALL = (1 << OSCORE_WINDOW) - 1

Window = tuple[int, int] | None


class Found(Enum):
    """Whether the log has a reading."""

    NEW = 0
    SEEN = 1
    UNKNOWN = 2


class Device:
    """One device, by the number that stands for its name in the log."""

    __slots__ = ("changed", "epoch", "heads", "highest", "id", "name", "prior", "seen", "window")

    def __init__(self, number: int, name: str, window: Window) -> None:
        """Nothing of it is in the log."""
        self.id = number
        self.name = name
        self.epoch = NEVER
        self.highest = -1
        self.seen = 0  # bit n: seq `highest` - n of `epoch` is in the log
        self.prior: tuple[int, int, int] = (NEVER, -1, 0)  # the same of the newest epoch before
        self.heads = [0] * len(CLASSES)  # the newest position of each class
        self.window = window
        self.changed = True  # since its row of the device table was written

    def find(self, epoch: int, seq: int) -> Found:
        """Say whether the log has this reading."""
        if epoch == self.epoch:
            return _find(self.highest, self.seen, seq)
        prior_epoch, highest, seen = self.prior
        if epoch == prior_epoch:
            return _find(highest, seen, seq)
        return Found.NEW if epoch > prior_epoch else Found.UNKNOWN

    def add_next(self, row: ReadingRow, replay: ReplayRow, class_number: int, position: int) -> bool:
        """Take `row` if it is the highest of its epoch and makes the window the one of `replay`; say whether."""
        ahead = row.seq - self.highest
        if ahead <= 0 or row.epoch != self.epoch or row.counter is None or self.window is None:
            return False
        window = accepted(self.window, row.counter)
        if window != (replay.highest, replay.seen) or replay.device != self.name:
            return False
        self.seen = (self.seen << ahead | 1) & _ALL if ahead < limits.SEQS_REMEMBERED else 1
        self.highest = row.seq
        self.heads[class_number] = position
        self.window = window
        self.changed = True
        return True

    def add(self, epoch: int, seq: int, class_number: int, position: int, counter: int | None) -> None:
        """Take a reading that is in the log at `position`."""
        if epoch == self.epoch:
            self.highest, self.seen = _marked(self.highest, self.seen, seq)
        elif epoch > self.epoch:
            self.prior = (self.epoch, self.highest, self.seen)
            self.epoch, self.highest, self.seen = epoch, seq, _first(seq)
        elif epoch == self.prior[0]:
            self.prior = (epoch, *_marked(self.prior[1], self.prior[2], seq))
        elif epoch > self.prior[0]:
            self.prior = (epoch, seq, _first(seq))
        self.heads[class_number] = position
        if counter is not None and self.window is not None:
            self.window = accepted(self.window, counter)
        self.changed = True


class Devices:
    """All devices that the journal has heard of."""

    def __init__(self) -> None:
        """There is none."""
        self._last_number = 0
        self._by_name: dict[str, Device] = {}
        self._before: dict[Device, tuple[Any, ...]] = {}  # what the open transaction changed, as it was
        self.created: list[Device] = []  # by the open transaction

    def __iter__(self) -> Iterator[Device]:
        """In the order of their numbers."""
        return iter(self._by_name.values())

    def get(self, name: str) -> Device | None:
        """Return the device `name`, None if nothing was heard of it."""
        return self._by_name.get(name)

    def load(self, device: Device) -> None:
        """Take a device as it was stored."""
        self._last_number = max(self._last_number, device.id)
        self._by_name[device.name] = device

    def changing(self, name: str) -> Device:
        """Return the device `name`, which the open transaction is going to change."""
        device = self._by_name.get(name)
        if device is None:
            self._last_number += 1
            device = self._by_name[name] = Device(self._last_number, name, None)
            self.created.append(device)
            self._before[device] = ()
        else:
            self.change(device)
        return device

    def change(self, device: Device) -> None:
        """Remember how `device` is: the open transaction is going to change it."""
        if device not in self._before:
            self._before[device] = _state(device)

    def commit(self) -> None:
        """Keep the changes of the transaction."""
        self._before.clear()
        self.created = []

    def roll_back(self) -> None:
        """Undo the changes of the transaction."""
        for device, before in self._before.items():
            if before:
                _restore(device, before)
            else:
                del self._by_name[device.name]
        self._before.clear()
        self.created = []


def accepted(window: tuple[int, int], counter: int) -> tuple[int, int]:
    """Return `window` after a request with Partial IV `counter` (RFC 8613, 7.4): what `pave_wire` would keep."""
    highest, seen = window
    ahead = counter - highest
    if ahead >= OSCORE_WINDOW:
        return counter, 1
    if ahead > 0:
        return counter, (seen << ahead | 1) & _WINDOW_ALL
    return (highest, seen | 1 << -ahead) if ahead > -OSCORE_WINDOW else window


def packed_mask(seen: int) -> bytes:
    """Return a mask as bytes: the seqs that are missing, for there are few."""
    missing = seen ^ _ALL
    return missing.to_bytes((missing.bit_length() + 7) // 8, "big")


def unpacked_mask(packed: bytes) -> int:
    """Return the mask of `packed_mask`."""
    return int.from_bytes(packed, "big") ^ _ALL


def _find(highest: int, seen: int, seq: int) -> Found:
    behind = highest - seq
    if behind < 0:
        return Found.NEW
    if behind >= limits.SEQS_REMEMBERED:
        return Found.UNKNOWN
    return Found.SEEN if seen >> behind & 1 else Found.NEW


def _marked(highest: int, seen: int, seq: int) -> tuple[int, int]:
    ahead = seq - highest
    if ahead >= limits.SEQS_REMEMBERED:
        return seq, 1
    if ahead > 0:
        return seq, (seen << ahead | 1) & _ALL
    return highest, (seen | 1 << -ahead if ahead > -limits.SEQS_REMEMBERED else seen)


def _first(seq: int) -> int:
    """Return the mask of an epoch whose only reading is `seq`; what is below 0 is not missing."""
    return (_ALL << min(seq + 1, limits.SEQS_REMEMBERED) & _ALL) | 1


def _state(device: Device) -> tuple[Any, ...]:
    return (
        device.epoch, device.highest, device.seen, device.prior, device.heads[:], device.window, device.changed
    )  # fmt: skip


def _restore(device: Device, state: tuple[Any, ...]) -> None:
    (
        device.epoch, device.highest, device.seen, device.prior, device.heads[:], device.window, device.changed
    ) = state  # fmt: skip
