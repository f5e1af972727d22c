"""What the journal's file says of itself.

schema       version of its tables
era          how often it may have become older than what devices and sinks saw: a restore, a salvage. Replay
             windows of an earlier era are lost, sender sequence numbers have jumped, LoRaWAN devices join again,
             and the next start draws another gateway ID
snapshot     the rows of the device table hold at least the log up to this position
floor        no position up to this one is given again, though no reading may stand there
damaged      what a salvage found, for the operator
damage_seen  the same, once somebody has seen it
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pave_gateway.store import registry_tables

SCHEMA = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;\n"
SENDER_JUMP = 1 << 30  # sender sequence numbers skipped by an era; they have 40 bits
POSITION_JUMP = 1 << 32  # positions skipped by an era: some were given and are lost


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """Asks the disk for a commit, and nothing else."""


@dataclass(frozen=True, slots=True)
class DamageSeenRow:
    """An operator has seen that the file was damaged, as `damage` said; `health` need not say so any longer."""

    damage: str


def text(db: Any, key: str) -> str | None:
    """Return what is stored under `key`."""
    return db.execute("SELECT value FROM meta WHERE key = ?1", (key,)).get


def number(db: Any, key: str) -> int:
    """Return the number stored under `key`, 0 if there is none."""
    return int(text(db, key) or 0)


def put(db: Any, key: str, value: str | int) -> None:
    """Store `value` under `key`."""
    db.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, str(value))
    )


def remove(db: Any, key: str) -> None:
    """Store nothing under `key`."""
    db.execute("DELETE FROM meta WHERE key = ?1", (key,))


def as_of_ms(db: Any) -> int:
    """Return when the newest reading or act came that the file has, milliseconds since 1970; 0 if it has none."""
    return db.execute(
        "SELECT max(coalesce((SELECT received_ms FROM reading ORDER BY position DESC LIMIT 1), 0),"
        " coalesce((SELECT at_ms FROM registry_act ORDER BY number DESC LIMIT 1), 0))"
    ).get


def begin_era(db: Any) -> None:
    """Say that the world may have seen more than this file holds; what it shall not see twice jumps ahead.

    One backup may be restored twice, and nothing in it, nor a clock, tells the second gateway what the first has
    sealed. So the gateway's ID is forgotten: the next start draws one (7 random bytes), and its keys towards devices
    are new with it (`core.keys`). No (key, nonce) can come again, whatever the numbers. A gateway that runs while its
    journal is salvaged keeps its ID until it ends; for it the numbers jump, past all it can have used in this era.
    """
    last = max(number(db, "floor"), db.execute("SELECT max(position) FROM reading").get or 0)
    floor = max(last, db.execute("SELECT max(position) FROM sink_cursor").get or 0) + POSITION_JUMP
    put(db, "era", number(db, "era") + 1)
    put(db, "floor", floor)
    put(db, "skipped", number(db, "skipped") + floor - last)
    registry_tables.end_life(db)


def _damage_seen(db: Any, row: DamageSeenRow) -> str | None:
    """Keep what the salvage found as seen; refuse it if that is not what was seen."""
    told = text(db, "damaged")
    if told != row.damage:
        return f"what is told of the journal's damage is another by now: {told}; look at it, and say so again"
    remove(db, "damaged")
    put(db, "damage_seen", row.damage)
    return None


def _probe(db: Any, row: ProbeRow) -> None:
    """Change something."""
    del row
    put(db, "probe", number(db, "probe") ^ 1)


WRITERS: dict[type, Callable[[Any, Any], str | None]] = {
    ProbeRow: _probe,
    DamageSeenRow: _damage_seen,
}
