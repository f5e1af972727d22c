"""The journal on a real disk, and its two committers."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from gateway_support import BAY, TAXI, row

from pave_gateway.core.committer import CommitFailed, Committed, CommitterBusy, Conflicted
from pave_gateway.core.rows import CursorRow, DeadLetterRow, ReadingRow, StoredReading
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal, JournalError, JournalReader
from pave_gateway.store.threaded import ThreadedCommitter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "journal.sqlite"


def test_what_was_written_is_read_back_in_order_with_positions_from_one(path):
    journal, reader = Journal(path), JournalReader(path)
    journal.write([[row(seq=1), row(seq=2)], [row(TAXI, seq=1)]])
    assert [(item.position, item.row) for item in reader.after(0, 10)] == [
        (1, row(seq=1)),
        (2, row(seq=2)),
        (3, row(TAXI, seq=1)),
    ]
    assert [item.position for item in reader.after(1, 1)] == [2]
    assert reader.last_position() == 3


def test_a_repeated_reading_is_stored_once_and_burns_no_position(path):
    journal, reader = Journal(path), JournalReader(path)
    assert journal.write([[row()], [row()]])[1] == Committed(())
    assert journal.write([[row()]]) == [Committed(())]
    assert journal.write([[row(seq=2), row(seq=2)]]) == [Committed((StoredReading(2, row(seq=2)),))]
    assert reader.last_position() == 2


def test_a_reading_under_a_used_identity_with_other_values_is_a_conflict_and_nothing_of_its_group_is_stored(path):
    journal, reader = Journal(path), JournalReader(path)
    journal.write([[row(seq=1, occupied=True)]])
    contradicting = [row(seq=2), row(seq=1, occupied=False), row(seq=3)]
    outcomes = journal.write([[row(seq=4)], contradicting, [row(seq=5)]])
    assert outcomes[1] == Conflicted(f"{BAY}:1:1")
    assert [item.row for item in reader.after(0, 9)] == [row(seq=1, occupied=True), row(seq=4), row(seq=5)]


def test_a_group_that_contradicts_itself_or_another_of_its_transaction_is_a_conflict(path):
    journal, reader = Journal(path), JournalReader(path)
    assert journal.write([[row(occupied=True), row(occupied=False)]]) == [Conflicted(f"{BAY}:1:1")]
    assert reader.last_position() == 0
    outcomes = journal.write([[row(occupied=True)], [row(occupied=False)]])
    assert [type(outcome) for outcome in outcomes] == [Committed, Conflicted]
    assert reader.last_position() == 1


def test_the_same_values_are_no_conflict_whenever_they_arrive_and_in_whatever_order(path):
    journal = Journal(path)
    values = {"occupied": True, "confidence": 0.1 + 0.2, "reason": "é", "n": 3}
    first = ReadingRow(BAY, 1, 1, "presence", 1000, 900, values)
    again = ReadingRow(BAY, 1, 1, "presence", 9000, 850, dict(reversed(values.items())))
    assert journal.write([[first], [again]])[1] == Committed(())


@pytest.mark.parametrize(("stored", "offered"), [(True, 1), (1, True), (0.3, 0.30000001), ("a", "b")])
def test_values_that_differ_at_all_are_a_conflict_and_true_is_not_one(path, stored, offered):
    journal = Journal(path)
    rows = [ReadingRow(BAY, 1, 1, "presence", 0, 0, {"x": value}) for value in (stored, offered)]
    assert isinstance(journal.write([[rows[0]], [rows[1]]])[1], Conflicted)


def test_a_value_that_is_missing_or_added_is_a_conflict(path):
    journal = Journal(path)
    journal.write([[ReadingRow(BAY, 1, 1, "presence", 0, 0, {"occupied": True})]])
    more = ReadingRow(BAY, 1, 1, "presence", 0, 0, {"occupied": True, "reason": "boot"})
    less = ReadingRow(BAY, 1, 1, "presence", 0, 0, {})
    assert journal.write([[more], [less]]) == [Conflicted(f"{BAY}:1:1")] * 2


def test_every_kind_of_value_survives(path):
    values = {"occupied": True, "n": 3, "x": -0.25, "text": 'é"\\'}
    item = row()
    item.values.clear()
    item.values.update(values)
    journal = Journal(path)
    journal.write([[item]])
    assert JournalReader(path).after(0, 1)[0].row.values == values


def test_a_cursor_moves_forward_only(path):
    journal, reader = Journal(path), JournalReader(path)
    assert reader.cursor("city") == 0
    journal.write([[CursorRow("city", 7)]])
    journal.write([[CursorRow("city", 5)]])
    assert reader.cursor("city") == 7


def test_a_dead_letter_is_written_with_its_cursor(path):
    journal, reader = Journal(path), JournalReader(path)
    journal.write([[DeadLetterRow("city", 3, "topic invalid"), CursorRow("city", 3)]])
    assert (reader.dead_letters("city"), reader.cursor("city")) == (1, 3)


def test_commits_are_synchronous_full_in_a_write_ahead_log(path):
    journal = Journal(path)
    assert journal._db.execute("PRAGMA journal_mode").get == "wal"
    assert journal._db.execute("PRAGMA synchronous").get == 2


def test_a_full_disk_commits_nothing_says_so_and_writing_resumes_when_there_is_space(path):
    journal, reader = Journal(path), JournalReader(path)
    journal.write([[row(seq=1)]])
    pages = journal._db.execute("PRAGMA page_count").get
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalError, match="the disk is full"):
        journal.write([[row(seq=seq) for seq in range(2, 2000)]])
    assert reader.last_position() == 1
    journal._db.execute("PRAGMA max_page_count=100000")
    journal.write([[row(seq=2)]])
    assert reader.last_position() == 2


def test_a_lock_held_by_another_program_fails_the_commit_with_the_next_step(path, monkeypatch):
    monkeypatch.setattr("pave_gateway.core.limits.BUSY_TIMEOUT_MS", 50)
    journal = Journal(path)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="another program holds it locked; close"):
        journal.write([[row()]])
    other.execute("ROLLBACK")
    assert len(journal.write([[row()]])[0].stored) == 1


def test_a_second_gateway_is_kept_out_until_the_first_has_closed(path):
    journal = Journal(path)
    with pytest.raises(JournalError, match="another gateway has it open"):
        Journal(path)
    journal.close()
    Journal(path).close()


def test_a_second_gateway_that_comes_through_a_link_is_kept_out_too(path, tmp_path):
    journal = Journal(path)
    link = tmp_path / "elsewhere" / "link.sqlite"
    link.parent.mkdir()
    link.symlink_to(path)
    with pytest.raises(JournalError, match="another gateway has it open"):
        Journal(link)
    journal.close()
    Journal(link).close()


def test_a_link_that_leads_nowhere_is_a_clear_error(tmp_path):
    link = tmp_path / "loop.sqlite"
    link.symlink_to(link)
    with pytest.raises(JournalError, match=r"loop\.sqlite"):
        Journal(link)


def test_a_file_that_is_no_database_is_named_and_left_alone(path):
    path.parent.mkdir()
    path.write_bytes(b"these are not the readings you are looking for" * 100)
    with pytest.raises(JournalError, match="not a journal; move it away"):
        Journal(path)
    assert path.read_bytes().startswith(b"these")


def test_a_journal_of_a_newer_version_is_refused_and_not_a_byte_of_it_changes(path):
    journal = Journal(path)
    journal._db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    journal._db.execute("DROP TABLE dead_letter")  # a newer version may have other tables and modes
    journal._db.execute("PRAGMA journal_mode=DELETE")
    journal.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="schema 99, this version knows 2"):
        Journal(path)
    assert path.read_bytes() == before
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["journal.sqlite", "journal.sqlite.lock", "journal.sqlite.spare"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"journal\.path"):
        Journal(tmp_path / "file" / "journal.sqlite")


async def test_the_inline_committer_completes_within_the_call(path):
    outcomes = []
    committer = InlineCommitter(Journal(path))
    committer.submit([row()], outcomes.append)
    assert [type(outcome) for outcome in outcomes] == [Committed]
    assert JournalReader(path).last_position() == 1
    await committer.close(1)


async def test_the_threaded_committer_completes_in_order_after_the_rows_can_be_read(path):
    committer, reader = ThreadedCommitter(Journal(path)), JournalReader(path)
    seen: list[tuple[int, int]] = []
    for seq in range(200):
        committer.submit([row(seq=seq)], lambda _, seq=seq: seen.append((seq, reader.last_position())))
    await committer.close(5)
    assert [seq for seq, _ in seen] == list(range(200))
    assert all(last > seq for seq, last in seen)


async def test_a_conflict_reaches_its_submitter_and_nobody_else(path):
    committer = ThreadedCommitter(Journal(path))
    outcomes = []
    for occupied in (True, False, True):
        committer.submit([row(occupied=occupied)], outcomes.append)
    await committer.close(5)
    assert [type(outcome) for outcome in outcomes] == [Committed, Conflicted, Committed]


async def test_what_waits_during_a_commit_shares_the_next_transaction(path):
    committer = ThreadedCommitter(Journal(path))
    for seq in range(1000):
        committer.submit([row(seq=seq)], lambda _: None)
    await committer.close(5)
    assert JournalReader(path).last_position() == 1000
    assert committer.transactions < 200


async def test_a_failing_disk_reaches_every_submitter_and_the_thread_lives_on(path):
    journal = Journal(path)
    journal.write([[row(seq=1)]])
    journal._db.execute(f"PRAGMA max_page_count={journal._db.execute('PRAGMA page_count').get}")
    committer = ThreadedCommitter(journal)
    outcomes = []
    committer.submit([row(seq=seq) for seq in range(2, 2000)], outcomes.append)
    await asyncio.sleep(0.2)
    committer.submit([row(seq=1)], outcomes.append)  # a repeat needs no space
    await committer.close(5)
    assert [type(outcome) for outcome in outcomes] == [CommitFailed, Committed]


async def test_the_queue_before_the_disk_is_bounded(path):
    committer = ThreadedCommitter(Journal(path), max_queued=0)
    with pytest.raises(CommitterBusy):
        committer.submit([row()], lambda _: None)
    await committer.close(5)
    with pytest.raises(CommitterBusy, match="stopping"):
        committer.submit([row()], lambda _: None)


def test_a_killed_writer_leaves_its_committed_rows_and_no_lock(path):
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from pave_gateway.store.journal import Journal\n"
        "from pave_gateway.core.rows import ReadingRow\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        f"journal.write([[ReadingRow({BAY!r}, 1, 1, 'presence', 1, 1, {{'occupied': True}})]])\n"
        f"journal._db.execute('BEGIN IMMEDIATE')\n"
        f"journal._write_group([ReadingRow({BAY!r}, 1, 2, 'presence', 1, 1, {{'occupied': True}})])\n"
        "journal._log.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, check=False)
    assert killed.returncode == -9
    Journal(path).close()
    journal = Journal(path)
    assert [item.row.seq for item in JournalReader(path).after(0, 9)] == [1]
    journal.close()
