"""Tables of the registry: devices, their sealed keys, who stood where and when, the audit trail, the gateway's ID.

The writers keep the registry's rules once more, in the transaction: the number of an act is the next one, a place has
one device at a time and a device one place. An assignment begins and ends at the position that the log then has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pave_gateway.core.keys_rows import ResealedKeysRow, SealedRow
from pave_gateway.core.registry import Assignment
from pave_gateway.core.registry_rows import (
    ActRow,
    AssignmentEndRow,
    AssignmentRow,
    DeviceRow,
    KeyRow,
    LifeRow,
)

SCHEMA = """
CREATE TABLE registry_act (
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    device TEXT NOT NULL,
    place TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE TABLE registry_device (
    device TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    board TEXT NOT NULL,
    firmware TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    technician TEXT NOT NULL,
    note TEXT NOT NULL,
    added_ms INTEGER NOT NULL,
    retired_ms INTEGER
) STRICT;
CREATE TABLE registry_key (device TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE registry_assignment (
    number INTEGER PRIMARY KEY,
    place TEXT NOT NULL,
    device TEXT NOT NULL,
    from_position INTEGER NOT NULL,  -- of the newest reading when it began
    from_ms INTEGER NOT NULL,
    synchronized INTEGER NOT NULL,
    to_position INTEGER,             -- of the newest reading when it ended
    to_ms INTEGER,
    ended_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX registry_device_at ON registry_assignment (place) WHERE to_position IS NULL;
CREATE UNIQUE INDEX registry_place_of ON registry_assignment (device) WHERE to_position IS NULL;
CREATE INDEX registry_began ON registry_assignment (from_position);
CREATE INDEX registry_ended ON registry_assignment (to_position);
CREATE INDEX registry_place ON registry_assignment (place);
CREATE INDEX registry_assigned ON registry_assignment (device);
CREATE TABLE registry_life (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    gateway_id BLOB NOT NULL,
    begun_ms INTEGER NOT NULL
) STRICT;
"""

_DEVICE_COLUMNS = "device, kind, board, firmware, epoch, technician, note, added_ms, retired_ms"
_POSITION = """
max(
    coalesce((SELECT max(position) FROM reading), 0),  -- 0 in a log that keeps nothing: then what is known here counts
    coalesce((SELECT max(from_position) FROM registry_assignment), 0),
    coalesce((SELECT max(to_position) FROM registry_assignment), 0)
)
"""
_BEGINS = f"""
CASE WHEN EXISTS (SELECT 1 FROM registry_assignment WHERE place = ?1 OR device = ?2) THEN {_POSITION} ELSE 0 END
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the tables hold, for the start.

    Attributes:
        devices: In the order in which they came.
        assignments: In the order of their beginning.
        sealed: (device, sealed keys).
        last_act: Number of the newest act, 0 before the first.
        gateway_id: b"" if it has drawn none.
    """

    devices: list[DeviceRow]
    assignments: list[Assignment]
    sealed: list[tuple[str, bytes]]
    last_act: int
    gateway_id: bytes


def load(db: Any) -> Stored:
    """Return what the tables hold, as of one instant."""
    with db:
        devices = [
            DeviceRow(*row) for row in db.execute(f"SELECT {_DEVICE_COLUMNS} FROM registry_device ORDER BY rowid")
        ]
        life = db.execute("SELECT gateway_id FROM registry_life").get
        return Stored(
            devices=devices,
            assignments=_assignments(db),
            sealed=db.execute("SELECT device, sealed FROM registry_key ORDER BY device").fetchall(),
            last_act=db.execute("SELECT coalesce(max(number), 0) FROM registry_act").get,
            gateway_id=b"" if life is None else life,
        )


def acts(db: Any, after: int, max_rows: int) -> list[ActRow]:
    """Return the audit trail after act number `after`, at most `max_rows`."""
    columns = "number, at_ms, actor, act, device, place, detail"
    rows = db.execute(
        f"SELECT {columns} FROM registry_act WHERE number > ?1 ORDER BY number LIMIT ?2", (after, max_rows)
    )
    return [ActRow(*row) for row in rows]


def _assignments(db: Any) -> list[Assignment]:
    columns = "place, device, from_position, from_ms, synchronized, to_position, to_ms, ended_by"
    rows = db.execute(f"SELECT {columns} FROM registry_assignment ORDER BY number")
    return [
        Assignment(place, device, from_position, from_ms, bool(synchronized), to_position, to_ms, ended_by)
        for place, device, from_position, from_ms, synchronized, to_position, to_ms, ended_by in rows
    ]


def _write_act(db: Any, row: ActRow) -> str | None:
    newest = db.execute("SELECT coalesce(max(number), 0) FROM registry_act").get
    if row.number != newest + 1:
        return f"the registry has {newest} acts, and this was decided after {row.number - 1}; look again and repeat it"
    values = (row.number, row.at_ms, row.actor, row.act, row.device, row.place, row.detail)
    db.execute("INSERT INTO registry_act VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return None


def _write_device(db: Any, row: DeviceRow) -> None:
    values = (row.device, row.kind, row.board, row.firmware, row.epoch, row.technician, row.note)
    db.execute(
        f"INSERT INTO registry_device ({_DEVICE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device)"
        " DO UPDATE SET (kind, board, firmware, epoch, technician, note, added_ms, retired_ms) ="
        " (excluded.kind, excluded.board, excluded.firmware, excluded.epoch, excluded.technician, excluded.note,"
        " excluded.added_ms, excluded.retired_ms)",
        (*values, row.added_ms, row.retired_ms),
    )


def _write_keys(db: Any, row: KeyRow) -> None:
    if row.sealed is None:
        db.execute("DELETE FROM registry_key WHERE device = ?", (row.device,))
    else:
        db.execute(
            "INSERT INTO registry_key VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET sealed = excluded.sealed",
            (row.device, row.sealed),
        )


def sealed_keys(db: Any, device: str, _number: int, max_rows: int) -> list[SealedRow]:
    """Return the keys of the devices behind `device`, at most `max_rows`."""
    rows = db.execute(
        "SELECT device, 0, sealed FROM registry_key WHERE device > ?1 ORDER BY device LIMIT ?2", (device, max_rows)
    )
    return [SealedRow(*row) for row in rows]


def count_keys(db: Any) -> int:
    """Return how many devices have keys."""
    return db.execute("SELECT count(*) FROM registry_key").get


def _reseal_keys(db: Any, row: ResealedKeysRow) -> None:
    db.execute(
        "UPDATE registry_key SET sealed = ?3 WHERE device = ?1 AND sealed = ?2", (row.device, row.before, row.content)
    )


def _begin_assignment(db: Any, row: AssignmentRow) -> str | None:
    refused = _refused_assignment(db, row)
    if refused is None:
        db.execute(
            "INSERT INTO registry_assignment (place, device, from_position, from_ms, synchronized, ended_by)"
            f" VALUES (?1, ?2, {_BEGINS}, ?3, ?4, '')",
            (row.place, row.device, row.from_ms, row.synchronized),
        )
    return refused


def _refused_assignment(db: Any, row: AssignmentRow) -> str | None:
    known = db.execute("SELECT retired_ms IS NULL FROM registry_device WHERE device = ?", (row.device,)).get
    if not known:
        return f"device {row.device} is {'not in the registry' if known is None else 'retired'}"
    there = db.execute(
        "SELECT device FROM registry_assignment WHERE place = ? AND to_position IS NULL", (row.place,)
    ).get
    if there is not None:
        return f"{row.place} has device {there}"
    elsewhere = db.execute(
        "SELECT place FROM registry_assignment WHERE device = ? AND to_position IS NULL", (row.device,)
    ).get
    return None if elsewhere is None else f"device {row.device} stands at {elsewhere}"


def _end_assignment(db: Any, row: AssignmentEndRow) -> str | None:
    db.execute(
        f"UPDATE registry_assignment SET to_position = {_POSITION}, to_ms = ?3, ended_by = ?4"
        " WHERE place = ?1 AND device = ?2 AND to_position IS NULL",
        (row.place, row.device, row.to_ms, row.ended_by),
    )
    return None if db.changes() == 1 else f"device {row.device} does not stand at {row.place}"


def end_life(db: Any) -> None:
    """Forget the gateway's ID, so that the next start draws another."""
    db.execute("DELETE FROM registry_life")


def _begin_life(db: Any, row: LifeRow) -> None:
    db.execute("INSERT INTO registry_life VALUES (1, ?, ?)", (row.gateway_id, row.begun_ms))


WRITERS: dict[type, Callable[[Any, Any], str | None]] = {
    ActRow: _write_act,
    DeviceRow: _write_device,
    KeyRow: _write_keys,
    ResealedKeysRow: _reseal_keys,
    AssignmentRow: _begin_assignment,
    AssignmentEndRow: _end_assignment,
    LifeRow: _begin_life,
}
