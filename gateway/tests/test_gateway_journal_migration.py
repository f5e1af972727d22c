"""A journal of version 1 is brought to version 2 when it is opened, whenever the power fails meanwhile."""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import apsw
import pytest
from gateway_support import BAY, KIOSK, TAXI, row

from pave_gateway.core.committer import Committed, Conflicted
from pave_gateway.core.rows import ReadingRow
from pave_gateway.store import migrate
from pave_gateway.store.files import PAGE_BYTES, schema
from pave_gateway.store.journal import Journal, JournalError, JournalReader

SCHEMA_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE reading (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    class TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    read_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (device, epoch, seq)
) STRICT;
CREATE TABLE sink_cursor (sink TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE TABLE dead_letter (
    sink TEXT NOT NULL,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (sink, position)
) STRICT;
"""
CLASSES = ("alarm", "presence", "health", "diagnostics")


def version_1(path: Path, readings: int = 300) -> list[ReadingRow]:
    """Make a journal as version 1 wrote it; return its readings. Its WAL is left to be recovered."""
    source = random.Random(5)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
    db.execute(SCHEMA_1 + "INSERT INTO meta VALUES ('schema', '1')")
    rows: list[ReadingRow] = []
    for seq in range(readings):
        values = {"occupied": source.random() < 0.5, "field": source.random() / 1e5, "reason": "é", "n": seq}
        rows.append(ReadingRow(source.choice([BAY, TAXI, KIOSK]), source.randint(1, 3), seq, source.choice(CLASSES),
                               1_800_000_000_000 + seq, 1_799_999_999_000 - seq, values))  # fmt: skip
    with db:
        for item in rows:
            body = json.dumps(item.values, separators=(",", ":"), ensure_ascii=False)
            fields = (item.device, item.epoch, item.seq, item.reading_class, item.received_ms, item.read_ms, body)
            db.execute("INSERT INTO reading (device, epoch, seq, class, received_ms, read_ms, body) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?)", fields)  # fmt: skip
        db.execute("INSERT INTO sink_cursor VALUES ('city', 250)")
        db.execute("INSERT INTO dead_letter VALUES ('city', 7, 'no such topic')")
    db.close()
    return rows


def check_nothing_is_lost(path: Path, rows: list[ReadingRow]) -> None:
    journal, reader = Journal(path), JournalReader(path)
    assert [(item.position, item.row) for item in reader.after(0, 9999)] == list(enumerate(rows, 1))
    assert (reader.cursor("city"), reader.dead_letters("city")) == (250, 1)
    assert reader.dead_letter_page("city", 0, 9)[0].reading == rows[6]
    for device in (BAY, TAXI, KIOSK):
        of_device = [item for item in reversed(rows) if item.device == device]
        assert [item.row for item in reader.history(device, 9999)] == of_device
    assert journal.write([[item] for item in rows]) == [Committed(())] * len(rows)
    assert set(reader.replay_windows()[0].values()) == {None}  # version 1 knew none
    assert type(journal.write([[ReadingRow(*fields(rows[3]), {"other": 1})]])[0]) is Conflicted
    stored = journal.write([[row(seq=10_000)]])[0]
    assert stored.stored[0].position == len(rows) + 1
    assert journal._db.execute("PRAGMA integrity_check").get == "ok"
    tables = [name for (name,) in journal._db.execute("SELECT name FROM sqlite_schema")]
    assert not [name for name in tables if name.endswith("_1") and not name.startswith("sqlite_autoindex")]
    reader.close()
    journal.close()


def fields(item: ReadingRow) -> tuple[object, ...]:
    return item.device, item.epoch, item.seq, item.reading_class, item.received_ms, item.read_ms


def test_a_journal_of_version_1_opens_with_every_reading_cursor_and_dead_letter(tmp_path):
    rows = version_1(tmp_path / "j.sqlite")
    check_nothing_is_lost(tmp_path / "j.sqlite", rows)


def test_an_empty_journal_of_version_1_opens_too(tmp_path):
    version_1(tmp_path / "j.sqlite", readings=0)
    journal = Journal(tmp_path / "j.sqlite")
    assert journal.write([[row()]])[0].stored[0].position == 1


def test_positions_of_removed_readings_are_not_given_again(tmp_path):
    version_1(tmp_path / "j.sqlite")
    db = apsw.Connection(str(tmp_path / "j.sqlite"))
    db.execute("DELETE FROM reading WHERE position > 200")
    db.close()
    assert Journal(tmp_path / "j.sqlite").write([[row(seq=10_000)]])[0].stored[0].position == 301


def test_pages_get_the_size_of_this_version(tmp_path):
    version_1(tmp_path / "j.sqlite")
    journal = Journal(tmp_path / "j.sqlite")
    assert journal._db.execute("PRAGMA page_size").get == PAGE_BYTES
    assert journal._db.execute("PRAGMA auto_vacuum").get == 2
    assert journal._db.execute("PRAGMA journal_mode").get == "wal"


def test_without_room_for_a_copy_the_journal_works_with_the_pages_it_has(tmp_path, monkeypatch, caplog):
    rows = version_1(tmp_path / "j.sqlite")
    reader = apsw.Connection(str(tmp_path / "j.sqlite"))  # as good a reason why the file cannot be written anew
    reader.execute("BEGIN; SELECT * FROM reading").fetchone()
    monkeypatch.setattr("pave_gateway.core.limits.BUSY_TIMEOUT_MS", 10)
    journal = Journal(tmp_path / "j.sqlite")
    assert "its pages keep their size" in caplog.text
    reader.close()
    journal.close()
    check_nothing_is_lost(tmp_path / "j.sqlite", rows)


def test_a_process_killed_at_any_point_of_the_migration_leaves_a_journal_that_the_next_one_completes(tmp_path):
    original = tmp_path / "original"
    original.mkdir()
    rows = version_1(original / "j.sqlite")
    kills = 0
    for statement in range(4, 60, 4):
        copy = tmp_path / f"copy{statement}"
        copy.mkdir()
        for name in original.iterdir():
            (copy / name.name).write_bytes(name.read_bytes())
        kills += killed_at(copy / "j.sqlite", statement)
        check_nothing_is_lost(copy / "j.sqlite", rows)
    assert kills >= 7


def killed_at(path: Path, statement: int) -> bool:
    """Open the journal in a process that is killed at its nth statement; return whether it got that far."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    left = statement

    def traced(*_: object) -> bool:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    apsw.connection_hooks.append(lambda db: setattr(db, "exec_trace", traced))
    try:
        Journal(path).close()
    finally:
        os._exit(0)


class Piecemeal:
    """A connection without transactions, whose process dies at a statement."""

    def __init__(self, db: Any, statements: int) -> None:
        self._db = db
        self._left = statements
        self.create_scalar_function = db.create_scalar_function

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, *arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise InterruptedError
        return self._db.execute(*arguments)


def test_a_migration_that_is_no_transaction_loses_readings_and_the_check_sees_it(tmp_path):
    rows = version_1(tmp_path / "j.sqlite")
    db = apsw.Connection(str(tmp_path / "j.sqlite"))
    with pytest.raises(InterruptedError):
        migrate.from_1(Piecemeal(db, 7), tmp_path / "j.sqlite", schema())
    db.close()
    with pytest.raises((JournalError, AssertionError)):
        check_nothing_is_lost(tmp_path / "j.sqlite", rows)
