"""Tables of shadow, hellos and commands."""

from collections.abc import Callable, Iterator
from typing import Any

from pave_gateway.core import limits
from pave_gateway.core.commands import State
from pave_gateway.core.keys_rows import ResealedSettingsRow, SealedRow
from pave_gateway.core.shadow_rows import CommandRow, DesiredRow, HelloRow, ReportedRow

SCHEMA = """
CREATE TABLE shadow_desired (
    device TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    settings BLOB NOT NULL          -- CBOR map: number to value; passphrases are sealed
) STRICT;
CREATE TABLE shadow_reported (
    device TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    settings BLOB NOT NULL,
    refused BLOB NOT NULL,          -- CBOR array of numbers
    reported_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE hello (
    device TEXT PRIMARY KEY,
    board TEXT NOT NULL,
    version TEXT NOT NULL,
    reset_cause INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE command (
    device TEXT NOT NULL,
    id INTEGER NOT NULL,
    code INTEGER NOT NULL,
    argument INTEGER,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (device, id)
) STRICT;
"""
_COMMAND = "SELECT device, id, code, argument, state, detail, created_ms, changed_ms, expires_ms FROM command c"
_OPEN = ", ".join(f"'{state.value}'" for state in State if not state.is_over)


def desired(db: Any) -> Iterator[DesiredRow]:
    """Yield the desired settings of all devices."""
    for fields in db.execute("SELECT device, version, settings FROM shadow_desired ORDER BY device"):
        yield DesiredRow(*fields)


def sealed_settings(db: Any, device: str, _number: int, max_rows: int) -> list[SealedRow]:
    """Return the desired settings, which may have a passphrase, of the devices behind `device`, at most `max_rows`."""
    rows = db.execute(
        "SELECT device, version, settings FROM shadow_desired WHERE device > ?1 ORDER BY device LIMIT ?2",
        (device, max_rows),
    )
    return [SealedRow(*row) for row in rows]


def count_settings(db: Any) -> int:
    """Return how many devices have desired settings."""
    return db.execute("SELECT count(*) FROM shadow_desired").get


def reported(db: Any) -> Iterator[ReportedRow]:
    """Yield the reported settings of all devices."""
    for fields in db.execute(
        "SELECT device, version, settings, refused, reported_ms FROM shadow_reported ORDER BY device"
    ):
        yield ReportedRow(*fields)


def open_commands(db: Any) -> Iterator[CommandRow]:
    """Yield what `core.commands.Commands` starts with: commands that are not over, and the newest of each device."""
    is_newest = "id = (SELECT max(id) FROM command WHERE device = c.device)"
    for fields in db.execute(f"{_COMMAND} WHERE state IN ({_OPEN}) OR {is_newest} ORDER BY device, id"):
        yield CommandRow(*fields)


def commands_of(db: Any, device: str) -> list[CommandRow]:
    """Return the commands of a device that are kept, newest first."""
    found = db.execute(f"{_COMMAND} WHERE device = ?1 ORDER BY id DESC", (device,))
    return [CommandRow(*fields) for fields in found]


def hello_of(db: Any, device: str) -> HelloRow | None:
    """Return a device's newest hello, None if it never said one."""
    for fields in db.execute(
        "SELECT device, board, version, reset_cause, epoch, seq, heard_ms FROM hello WHERE device = ?1", (device,)
    ):
        return HelloRow(*fields)
    return None


def _set_desired(db: Any, row: DesiredRow) -> str | None:
    stored: int = db.execute("SELECT version FROM shadow_desired WHERE device = ?1", (row.device,)).get or 0
    if row.version != stored + 1:
        return f"settings of {row.device}: version {row.version} does not follow {stored}; read them again"
    db.execute("INSERT OR REPLACE INTO shadow_desired VALUES (?1, ?2, ?3)", (row.device, row.version, row.values))
    return None


def _reseal_settings(db: Any, row: ResealedSettingsRow) -> None:
    db.execute(
        "UPDATE shadow_desired SET settings = ?4 WHERE device = ?1 AND version = ?2 AND settings = ?3",
        (row.device, row.number, row.before, row.content),
    )


def _set_reported(db: Any, row: ReportedRow) -> None:
    db.execute(
        "INSERT OR REPLACE INTO shadow_reported VALUES (?1, ?2, ?3, ?4, ?5)",
        (row.device, row.version, row.values, row.refused, row.reported_ms),
    )


def _set_hello(db: Any, row: HelloRow) -> None:
    db.execute(
        "INSERT OR REPLACE INTO hello VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (row.device, row.board, row.version, row.reset_cause, row.epoch, row.seq, row.heard_ms),
    )


def _set_command(db: Any, row: CommandRow) -> str | None:
    stored: str | None = db.execute("SELECT state FROM command WHERE device = ?1 AND id = ?2", (row.device, row.id)).get
    if stored is not None and State(stored).is_over:
        return f"command {row.id} to {row.device} is {stored}, for good"
    db.execute(
        "INSERT OR REPLACE INTO command VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            row.device, row.id, row.code, row.argument, row.state, row.detail, row.created_ms, row.changed_ms,
            row.expires_ms,
        ),
    )  # fmt: skip
    if stored is None:
        _forget_old_commands(db, row.device)
    return None


def _forget_old_commands(db: Any, device: str) -> None:
    db.execute(
        f"DELETE FROM command WHERE device = ?1 AND state NOT IN ({_OPEN}) AND id NOT IN"
        " (SELECT id FROM command WHERE device = ?1 ORDER BY id DESC LIMIT ?2)",
        (device, limits.COMMANDS_KEPT),
    )


WRITERS: dict[type, Callable[[Any, Any], str | None]] = {
    DesiredRow: _set_desired,
    ResealedSettingsRow: _reseal_settings,
    ReportedRow: _set_reported,
    HelloRow: _set_hello,
    CommandRow: _set_command,
}
