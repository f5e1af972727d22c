"""Backups of a journal in use, and journals that are put back: nothing is accepted or sealed twice."""

import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from gateway_support import BAY, KIOSK, row
from test_gateway_journal_migration import version_1

from pave_gateway.core.committer import Committed
from pave_gateway.core.registry_rows import LifeRow
from pave_gateway.core.rows import CursorRow, ReplayRow, SenderRow
from pave_gateway.store import backup, files, registry_tables
from pave_gateway.store.journal import Journal, JournalError, JournalReader


def filled(path: Path, readings: int = 50) -> Journal:
    """Return a journal with a device that has sent `readings`, has been answered, and a sink at position 10."""
    journal = Journal(path)
    for seq in range(1, readings + 1):
        journal.write([[replace(row(seq=seq), counter=seq), ReplayRow(BAY, seq, (1 << min(seq, 32)) - 1)]])
    journal.write([[SenderRow(BAY, 64), CursorRow("city", 10)]])
    return journal


def identities(path: Path) -> list[str]:
    return [item.row.identity for batch in JournalReader(path).all() for item in batch]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_backup_is_one_sound_file_with_all_that_was_committed(tmp_path):
    journal = filled(tmp_path / "j.sqlite")
    (tmp_path / "out").mkdir()
    size = backup.backup(tmp_path / "j.sqlite", tmp_path / "out" / "b.sqlite")
    assert names(tmp_path / "out") == ["b.sqlite"]
    assert (tmp_path / "out" / "b.sqlite").stat().st_size == size
    db = apsw.Connection(str(tmp_path / "out" / "b.sqlite"))
    assert db.execute("PRAGMA integrity_check").get == "ok"
    assert db.execute("SELECT count(*) FROM reading").get == 50
    assert len(journal.write([[row(seq=99)]])[0].stored) == 1


def test_a_backup_is_taken_while_readings_come_in_and_is_of_one_instant(tmp_path):
    journal = filled(tmp_path / "j.sqlite", 500)
    stop, written = threading.Event(), [500]

    def ingest() -> None:
        while not stop.is_set():
            written[0] += 1
            journal.write([[row(seq=written[0]), CursorRow("city", written[0])]])

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        for number in range(3):
            before = written[0]
            backup.backup(tmp_path / "j.sqlite", tmp_path / f"b{number}.sqlite")
            db = apsw.Connection(str(tmp_path / f"b{number}.sqlite"))
            last = db.execute("SELECT max(position) FROM reading").get
            assert before - 1 <= last
            assert db.execute("SELECT count(*) FROM reading").get == last
            if last > 500:
                assert db.execute("SELECT position FROM sink_cursor").get == last  # of the same transaction
            db.close()
    finally:
        stop.set()
        thread.join()
    assert written[0] > 500


def test_a_backup_of_a_journal_whose_gateway_was_killed_has_what_is_in_its_write_ahead_log(tmp_path):
    process = os.fork()
    if process == 0:
        filled(tmp_path / "j.sqlite")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    backup.backup(tmp_path / "j.sqlite", tmp_path / "b.sqlite")
    assert len(identities(tmp_path / "b.sqlite")) == 50


def test_a_backup_overwrites_nothing_unless_told_to(tmp_path):
    filled(tmp_path / "j.sqlite", 3)
    (tmp_path / "b.sqlite").write_text("precious")
    with pytest.raises(JournalError, match=r"b\.sqlite exists; name another file, or say --force"):
        backup.backup(tmp_path / "j.sqlite", tmp_path / "b.sqlite")
    assert (tmp_path / "b.sqlite").read_text() == "precious"
    backup.backup(tmp_path / "j.sqlite", tmp_path / "b.sqlite", force=True)
    assert len(identities(tmp_path / "b.sqlite")) == 3


def test_a_backup_that_fails_leaves_the_one_before_and_no_rubbish(tmp_path, monkeypatch):
    filled(tmp_path / "j.sqlite", 3)
    (tmp_path / "out").mkdir()
    backup.backup(tmp_path / "j.sqlite", tmp_path / "out" / "b.sqlite")
    good = (tmp_path / "out" / "b.sqlite").read_bytes()
    monkeypatch.setattr(files, "SCHEMA_VERSION", 1)  # the check finds fault with it
    with pytest.raises(JournalError, match="use another"):
        backup.backup(tmp_path / "j.sqlite", tmp_path / "out" / "b.sqlite", force=True)
    assert (names(tmp_path / "out"), (tmp_path / "out" / "b.sqlite").read_bytes()) == (["b.sqlite"], good)


@pytest.mark.parametrize(("path", "to"), [("absent.sqlite", "b.sqlite"), ("j.sqlite", "absent/b.sqlite")])
def test_what_cannot_be_read_or_written_is_a_clear_error(tmp_path, path, to):
    filled(tmp_path / "j.sqlite", 3)
    with pytest.raises(JournalError, match="absent"):
        backup.backup(tmp_path / path, tmp_path / to)


# Restore


class Cut(BaseException):
    """The power."""


def restored(folder: Path) -> Path:
    """Return a journal restored from a backup after which 30 more readings were acknowledged."""
    journal = filled(folder / "j.sqlite", 20)
    backup.backup(folder / "j.sqlite", folder / "b.sqlite")
    for seq in range(21, 51):
        journal.write([[replace(row(seq=seq), counter=seq), SenderRow(BAY, 100 + seq)]])
    journal.close()
    backup.restore(folder / "b.sqlite", folder / "j.sqlite", force=True)
    return folder / "j.sqlite"


def test_a_restored_journal_has_the_readings_of_the_backup_and_goes_on(tmp_path):
    path = restored(tmp_path)
    journal = Journal(path)
    assert len(identities(path)) == 20
    assert journal.write([[row(seq=20)]]) == [Committed(())]
    assert len(journal.write([[row(seq=21)]])[0].stored) == 1
    assert JournalReader(path).cursor("city") == 10


def test_a_restored_journal_has_lost_its_windows_and_jumped_its_sequence_numbers(tmp_path):
    path = restored(tmp_path)
    journal, reader = Journal(path), JournalReader(path)
    assert reader.replay_windows() == ({BAY: None}, None)
    reserved, otherwise = reader.reservations()
    assert (reserved[BAY], otherwise) == (64 + 2**30, 2**30)
    assert reader.era() == 1
    journal.write([[ReplayRow(BAY, 51, 2**32 - 1), SenderRow(BAY, reserved[BAY] + 64)]])  # it has proved to be fresh
    journal.close()
    Journal(path).close()
    assert reader.replay_windows()[0][BAY] == (51, 2**32 - 1)
    assert reader.reservations()[0][BAY] == reserved[BAY] + 64
    assert reader.era() == 1


def test_a_backup_copied_into_place_by_hand_is_known_for_what_it_is(tmp_path):
    filled(tmp_path / "j.sqlite", 20)
    backup.backup(tmp_path / "j.sqlite", tmp_path / "b.sqlite")
    shutil.copy(tmp_path / "b.sqlite", tmp_path / "copy.sqlite")
    Journal(tmp_path / "copy.sqlite").close()
    reader = JournalReader(tmp_path / "copy.sqlite")
    assert (reader.era(), reader.replay_windows()[1]) == (1, None)
    assert reader.reservations()[1] >= 2**30


def test_the_journal_that_was_backed_up_is_none_of_that(tmp_path):
    filled(tmp_path / "j.sqlite", 20).close()
    backup.backup(tmp_path / "j.sqlite", tmp_path / "b.sqlite")
    Journal(tmp_path / "j.sqlite").close()
    reader = JournalReader(tmp_path / "j.sqlite")
    assert (reader.era(), reader.replay_windows()[0]) == (0, {BAY: (20, (1 << 20) - 1)})
    assert reader.reservations()[0] == {BAY: 64}


def test_each_restore_is_an_era_of_its_own(tmp_path):
    path = restored(tmp_path)
    Journal(path).close()
    backup.backup(path, tmp_path / "b2.sqlite")
    backup.restore(tmp_path / "b2.sqlite", path, force=True)
    Journal(path).close()
    assert JournalReader(path).era() == 2
    assert min(JournalReader(path).reservations()[0][BAY], JournalReader(path).reservations()[1]) >= 2**31


@pytest.mark.parametrize("keeps_files", [True, False])
def test_one_backup_restored_twice_seals_nothing_twice_though_no_clock_tells_one_time_from_the_other(
    tmp_path, monkeypatch, keeps_files
):
    """The second time on the same card, or on a new one that knows nothing of the first."""
    monkeypatch.setattr(time, "time", lambda: 1000.0)  # a Pi before NTP
    journal = filled(tmp_path / "j.sqlite")
    journal.write([[LifeRow(b"gateway", 1)]])
    journal.close()
    backup.backup(tmp_path / "j.sqlite", tmp_path / "b.sqlite")
    for card in range(3):
        path = tmp_path / ("card" if keeps_files else f"card{card}") / "j.sqlite"
        backup.restore(tmp_path / "b.sqlite", path, force=True)
        journal, reader = Journal(path), JournalReader(path)
        assert reader.read(registry_tables.load).gateway_id == b""  # so the start draws one: new keys
        assert reader.reservation(BAY) >= 64 + 2**30
        journal.write([[LifeRow(b"card %d " % card, 1)]])
        journal.close()
        Journal(path).close()
        assert reader.read(registry_tables.load).gateway_id == b"card %d " % card  # which it keeps


def test_what_the_restored_journal_replaces_is_set_aside_with_its_write_ahead_log(tmp_path):
    path = restored(tmp_path)
    aside = next(file for file in tmp_path.iterdir() if file.name.startswith("j.sqlite.2"))
    shutil.copy(aside, tmp_path / "old.sqlite")
    assert len(identities(tmp_path / "old.sqlite")) == 50
    assert not Path(f"{path}-wal").exists()


def test_a_restore_is_refused_while_the_gateway_runs_or_a_journal_is_there(tmp_path):
    journal = filled(tmp_path / "j.sqlite", 3)
    backup.backup(tmp_path / "j.sqlite", tmp_path / "b.sqlite")
    with pytest.raises(JournalError, match="another gateway has it open"):
        backup.restore(tmp_path / "b.sqlite", tmp_path / "j.sqlite", force=True)
    journal.close()
    with pytest.raises(JournalError, match="say --force"):
        backup.restore(tmp_path / "b.sqlite", tmp_path / "j.sqlite")
    assert JournalReader(tmp_path / "j.sqlite").era() == 0


@pytest.mark.parametrize("damage", ["absent", "text", "page", "newer"])
def test_what_is_no_sound_backup_is_refused_and_the_journal_is_as_it_was(tmp_path, damage):
    filled(tmp_path / "j.sqlite", 300).close()
    source = tmp_path / "b.sqlite"
    backup.backup(tmp_path / "j.sqlite", source)
    if damage == "absent":
        source.unlink()
    elif damage == "text":
        source.write_text("not a journal " * 1000)
    elif damage == "page":
        pages = bytearray(source.read_bytes())
        pages[-5 * files.PAGE_BYTES : -4 * files.PAGE_BYTES] = bytes(files.PAGE_BYTES)
        source.write_bytes(pages)
    else:
        apsw.Connection(str(source)).execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(JournalError, match=r"name a backup|use another"):
        backup.restore(source, tmp_path / "j.sqlite", force=True)
    assert len(identities(tmp_path / "j.sqlite")) == 300
    Journal(tmp_path / "j.sqlite").close()
    assert JournalReader(tmp_path / "j.sqlite").era() == 0


def test_a_restore_cut_at_any_rename_is_completed_by_the_next_start(tmp_path, monkeypatch):
    original, cuts = Path.replace, 0
    for cut in range(1, 6):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        journal = filled(folder / "j.sqlite", 20)
        backup.backup(folder / "j.sqlite", folder / "b.sqlite")
        journal.write([[row(seq=30)]])
        for suffix in ("", "-wal"):  # as a killed gateway leaves it
            shutil.copy(f"{folder}/j.sqlite{suffix}", f"{folder}/k.sqlite{suffix}")
        left = cut

        def cutting(self: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left == 0:
                raise Cut
            return original(self, target)

        monkeypatch.setattr(Path, "replace", cutting)
        try:
            backup.restore(folder / "b.sqlite", folder / "k.sqlite", force=True)
        except Cut:
            cuts += 1
        monkeypatch.setattr(Path, "replace", original)
        begun = cut > 1  # before that it was no restore yet
        Journal(folder / "k.sqlite").close()
        assert len(identities(folder / "k.sqlite")) == (20 if begun else 21)
        assert JournalReader(folder / "k.sqlite").era() == (1 if begun else 0)
    assert cuts == 4


def test_a_backup_of_version_1_is_restored_and_is_a_copy_after_its_migration_too(tmp_path):
    rows = version_1(tmp_path / "old.sqlite")
    backup.backup(tmp_path / "old.sqlite", tmp_path / "b.sqlite")
    backup.restore(tmp_path / "b.sqlite", tmp_path / "new" / "j.sqlite")
    Journal(tmp_path / "new" / "j.sqlite").close()
    reader = JournalReader(tmp_path / "new" / "j.sqlite")
    assert [item.row for item in reader.after(0, 9999)] == rows
    assert (reader.era(), reader.replay_windows()[0][KIOSK]) == (1, None)


def test_a_backup_to_where_none_can_be_says_so_of_the_name_that_was_given(tmp_path):
    filled(tmp_path / "j.sqlite", 1)
    (tmp_path / "file").write_bytes(b"")
    for to, said in (
        (tmp_path / "nowhere" / "x", f"there is no folder {tmp_path / 'nowhere'}; make it"),
        (tmp_path / "file" / "x", f"{tmp_path / 'file'} is a file, and has to be a folder"),
        (tmp_path, "it is a folder; name a file in it"),
    ):
        with pytest.raises(JournalError) as caught:
            backup.backup(tmp_path / "j.sqlite", to, force=True)
        assert str(caught.value).startswith(f"backup {to}: {said}")
    assert not any("partial" in name for name in names(tmp_path))
