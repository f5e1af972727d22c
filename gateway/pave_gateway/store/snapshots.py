"""The device table: what `store.devices` knows, as of some position; and how a start makes it whole from the log.

A row holds for the log up to its own position. All that changed is written every `limits.SNAPSHOT_READINGS` readings, a
part with each transaction, so that none of them takes long: a round begins at position P, writes every device changed
until then, as it is by that time, and then says "the table holds at least the log up to P".

    start: rows of the table, then every reading after P, unless its device's row is newer

A device's row is written at once when it is new, and when its replay window is not what the log would give: after a
message without a new reading (a repetition, a GET), or under new keys.
"""

from collections.abc import Iterable
from typing import Any

from pave_gateway.core import limits
from pave_gateway.store import meta
from pave_gateway.store.devices import Device, Devices, Window, packed_mask, unpacked_mask
from pave_gateway.store.errors import DamagedError

SCHEMA = """
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,        -- EUI-64, 16 hexadecimal digits
    position INTEGER NOT NULL,        -- the row holds for the log up to here
    epoch INTEGER NOT NULL,           -- the newest, -1 before the first reading
    highest INTEGER NOT NULL,         -- seq of that epoch
    missing BLOB NOT NULL,            -- the seqs below that are not in the log: bit n of a big-endian number
    prior_epoch INTEGER NOT NULL,     -- the same of the epoch before
    prior_highest INTEGER NOT NULL,
    prior_missing BLOB NOT NULL,
    alarm INTEGER NOT NULL,           -- the newest position of each class
    presence INTEGER NOT NULL,
    health INTEGER NOT NULL,
    diagnostics INTEGER NOT NULL,
    window_highest INTEGER,           -- of OSCORE's replay window; NULL: unknown
    window_seen INTEGER,
    era INTEGER NOT NULL              -- of the file, when the window was stored
) STRICT;
"""
_FIELDS = 16
_UPDATED = (
    "position", "epoch", "highest", "missing", "prior_epoch", "prior_highest", "prior_missing",
    "alarm", "presence", "health", "diagnostics", "window_highest", "window_seen", "era",
)  # fmt: skip
_PUT = f"INSERT INTO device VALUES ({', '.join('?' * _FIELDS)}) ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _UPDATED
)
INSERT_NEW = "INSERT OR IGNORE INTO device VALUES (?1, ?2, 0, -1, -1, x'', -1, -1, x'', 0, 0, 0, 0, NULL, NULL, 0)"
_RESET = """
UPDATE device SET position = 0, epoch = -1, highest = -1, missing = x'', prior_epoch = -1, prior_highest = -1,
    prior_missing = x'', alarm = 0, presence = 0, health = 0, diagnostics = 0
"""
_TAIL = (
    "SELECT position, device, epoch, seq, class, counter FROM reading WHERE position > ?1 ORDER BY position"
)  # fmt: skip


class Snapshots:
    """Writes the device table, within the journal's transactions."""

    def __init__(self, db: Any, devices: Devices) -> None:
        """`devices` are as `load` gave them."""
        self._db = db
        self._devices = devices
        self._era = meta.number(db, "era")
        self._base = meta.number(db, "snapshot")  # the table holds at least the log up to here
        self._goal = 0  # of the round in progress
        self._is_beginning = False  # it began with the open transaction, and goes with it
        self._round: list[Device] = []  # what it has still to write, last first
        self._now: dict[Device, None] = {}  # to be written with the open transaction
        self._written: list[Device] = []  # with the open transaction

    def must_write(self, device: Device) -> None:
        """Write the row of `device` with the open transaction."""
        self._now[device] = None

    def flush(self, position: int) -> None:
        """Write what must be, and a part of the round; the log ends at `position`."""
        self._begin_round(position)
        part = self._round[-limits.SNAPSHOT_DEVICES :]
        now = dict.fromkeys([*self._devices.created, *self._now])
        self._write([*now, *(device for device in part if device.changed and device not in now)], position)
        if self._goal and len(part) == len(self._round):
            meta.put(self._db, "snapshot", self._goal)

    def flush_all(self, position: int) -> None:
        """Write every row that changed: the next start has nothing to read again."""
        if position > self._base:
            self._write([device for device in self._devices if device.changed], position)
            meta.put(self._db, "snapshot", position)

    def commit(self) -> None:
        """Hear that the transaction is durable."""
        for device in self._written:
            device.changed = False
        del self._round[-limits.SNAPSHOT_DEVICES :]
        if self._goal and not self._round:
            self._base, self._goal = self._goal, 0
        self._written = []
        self._now.clear()
        self._is_beginning = False

    def roll_back(self) -> None:
        """Hear that nothing of the transaction is."""
        if self._is_beginning:  # its goal, and maybe devices of its round, were never there
            self._goal, self._round, self._is_beginning = 0, [], False
        self._written = []
        self._now.clear()

    def _begin_round(self, position: int) -> None:
        if not self._goal and position - self._base >= limits.SNAPSHOT_READINGS:
            self._goal, self._is_beginning = position, True
            self._round = [device for device in self._devices if device.changed]
            self._round.reverse()

    def _write(self, devices: list[Device], position: int) -> None:
        self._db.executemany(_PUT, (_row(device, position, self._era) for device in devices))
        self._written += devices


def load(db: Any) -> Devices:
    """Return the devices as they are at the end of the log."""
    era = meta.number(db, "era")
    devices = Devices()
    by_number: dict[int, tuple[Device, int]] = {}
    for row in db.execute("SELECT * FROM device ORDER BY id"):
        device, position = _device(row, era)
        devices.load(device)
        by_number[device.id] = device, position
    _follow(by_number, db.execute(_TAIL, (meta.number(db, "snapshot"),)))
    return devices


def rebuild(db: Any) -> None:
    """Make the device table anew from the log alone; of the old one only the names count."""
    db.execute(_RESET)
    meta.put(db, "snapshot", 0)
    Snapshots(db, load(db)).flush_all(db.execute("SELECT max(position) FROM reading").get or 0)


def _follow(by_number: dict[int, tuple[Device, int]], tail: Iterable[tuple[Any, ...]]) -> None:
    for position, number, epoch, seq, class_number, counter in tail:
        if number not in by_number:
            raise DamagedError(f"journal: reading {position} is of device {number}, which has no row; salvage is due")
        device, holds_up_to = by_number[number]
        if position > holds_up_to:
            device.add(epoch, seq, class_number, position, counter)


def _row(device: Device, position: int, era: int) -> tuple[Any, ...]:
    prior_epoch, prior_highest, prior_seen = device.prior
    highest, seen = device.window or (None, None)
    return (
        device.id, device.name, position, device.epoch, device.highest, packed_mask(device.seen),
        prior_epoch, prior_highest, packed_mask(prior_seen), *device.heads, highest, seen, era,
    )  # fmt: skip


def _device(row: tuple[Any, ...], era: int) -> tuple[Device, int]:
    number, name, position, epoch, highest, missing, prior_epoch, prior_highest, prior_missing, *rest = row
    *heads, window_highest, window_seen, row_era = rest
    window: Window = (window_highest, window_seen) if window_highest is not None and row_era == era else None
    device = Device(number, name, window)
    device.epoch, device.highest, device.seen = epoch, highest, unpacked_mask(missing)
    device.prior = (prior_epoch, prior_highest, unpacked_mask(prior_missing))
    device.heads = heads
    device.changed = False
    return device, position
