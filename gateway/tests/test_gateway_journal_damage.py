"""Pages of real journals are damaged, of every kind: what can be read is salvaged, it is said, and ingest goes on."""

import asyncio
import random
import shutil
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from gateway_support import BAY, row

from pave_gateway.core import limits
from pave_gateway.core.bays import BaysMarkRow
from pave_gateway.core.committer import Committed, Outdated
from pave_gateway.core.registry_rows import LifeRow
from pave_gateway.core.rows import CursorRow, DeadLetterRow, ReplayRow, SenderRow
from pave_gateway.store import checks, files, meta, registry_tables
from pave_gateway.store.journal import Journal, JournalError, JournalReader
from pave_gateway.store.retention import Policy
from pave_gateway.store.threaded import ThreadedCommitter

READINGS = 2500
DEVICES = [f"24a160fffe{number:06x}" for number in range(40)]
PAGE = files.PAGE_BYTES


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a journal that has lived: checkpoints, removed readings, dead letters, a reading on overflow pages."""
    path = tmp_path_factory.mktemp("original") / "j.sqlite"
    source = random.Random(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SNAPSHOT_READINGS", 400)
        journal = Journal(path, Policy(cap_bytes=120_000))
        journal._db.execute("PRAGMA synchronous=OFF")
        for seq in range(READINGS):
            item = replace(row(source.choice(DEVICES), seq), counter=seq)
            if seq % 500 == 499:
                item = replace(item, values={**item.values, "note": "x" * 3000})
            journal.write([[item, ReplayRow(item.device, seq, 1), BaysMarkRow(seq)]])
            journal.tend(None)
        journal.write([[SenderRow(device, 64), CursorRow("city", 10)] for device in DEVICES])
        journal.write([[LifeRow(b"gateway", 1)]])
        journal.write([[DeadLetterRow("city", position, "no")] for position in range(READINGS - 60, READINGS)])
        journal._db.wal_checkpoint()
        journal.close()
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    for file in original.parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / "j.sqlite"


def pages_of(path: Path, name: str, kind: str) -> list[int]:
    """Return the pages of a table or index: kind is "leaf", "internal" or "overflow"."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = db.execute("SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2", (name, kind)).fetchall()
    db.close()
    return [number for (number,) in found]


def free_pages(path: Path) -> list[int]:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    used = {number for (number,) in db.execute("SELECT pageno FROM dbstat")}
    db.close()
    return sorted(set(range(3, path.stat().st_size // PAGE + 1)) - used)


def damage(path: Path, page: int, source: random.Random, how: str) -> None:
    content = bytes(PAGE) if how == "zeros" else source.randbytes(PAGE)
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(content)


def readings(path: Path) -> dict[str, object]:
    return {item.row.identity: item.row for batch in JournalReader(path).all() for item in batch}


def rows_on(path: Path, page: int) -> int:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    cells = db.execute("SELECT ncell FROM dbstat WHERE pageno = ?1", (page,)).get
    db.close()
    return cells or 0


def opened(path: Path) -> Journal:
    """Open as the gateway does: look for damage, and go on."""
    journal = Journal(path)
    journal.check()
    journal.tend(None)
    return journal


def check_goes_on(journal: Journal, path: Path) -> None:
    """Readings are taken, the file is sound, and what was salvaged is known and in order."""
    assert type(journal.write([[row(seq=999_999)]])[0]) is Committed
    stored = readings(path)
    assert f"{BAY}:1:999999" in stored
    again = journal.write([[item] for item in stored.values()])
    assert again == [Committed(())] * len(stored)
    for device in DEVICES[:5]:
        history = [item.row.identity for item in JournalReader(path).history(device, 9999)]
        assert history == [key for key in reversed(list(stored)) if key.startswith(device)]
    assert journal._db.execute("PRAGMA integrity_check").get == "ok"
    assert checks.quick_check(path) == ""


def check_is_said(journal: Journal, path: Path) -> None:
    assert "the journal was damaged" in journal.health.damaged
    assert journal.health.damaged in journal.health.lines()
    reader = JournalReader(path)
    assert reader.era() == 1
    windows, otherwise = reader.replay_windows()
    assert otherwise is None
    assert set(windows.values()) <= {None}
    reserved, otherwise = reader.reservations()
    assert set(reserved.values()) <= {2**30 + 64}
    assert otherwise == 2**30  # far above the 64 of a device whose row is lost
    assert reader.read(registry_tables.load).gateway_id == b""
    aside = [file for file in path.parent.iterdir() if file.name.startswith("j.sqlite.2") and "-" not in file.name[10:]]
    assert len(aside) == 1


KINDS = {
    "a leaf of the log": ("reading", "leaf"),
    "an inner page of the log": ("reading", "internal"),
    "an overflow page of the log": ("reading", "overflow"),
    "a leaf of the devices": ("device", "leaf"),
    "an inner page of the devices": ("device", "internal"),
    "a page of the index of names": ("sqlite_autoindex_device_1", "leaf"),
    "the cursors": ("sink_cursor", "leaf"),
    "a leaf of the sequence numbers": ("sender", "leaf"),
    "a page of the dead letters": ("dead_letter", "leaf"),
    "the page of the version and the era": ("meta", "leaf"),
    "an inner page of the schema": ("sqlite_schema", "internal"),
    "a leaf of the schema": ("sqlite_schema", "leaf"),
}


@pytest.mark.parametrize("how", ["zeros", "noise"])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_page_is_damaged_what_lies_on_others_is_salvaged_and_ingest_goes_on(path, kind, how):
    source = random.Random(f"{kind} {how}")
    before, last = readings(path), JournalReader(path).last_position()
    name, page_kind = KINDS[kind]
    pages = pages_of(path, name, page_kind)
    page = pages[0] if page_kind == "overflow" else source.choice(pages)  # only a chain that breaks can be noticed
    bound = {"a leaf of the log": rows_on(path, page), "an overflow page of the log": 5}.get(kind, 0)
    if kind == "a leaf of the devices":  # readings of devices that have lost their names
        bound = len(before)
    damage(path, page, source, how)
    journal = opened(path)
    after = readings(path)
    kept = [key for key, item in after.items() if before[key] == item]
    assert len(kept) == len(after) or kind == "an overflow page of the log"  # what is in a body has no checksum
    assert len(before) - len(kept) <= bound
    assert len(after) > len(before) / 2
    check_is_said(journal, path)
    check_goes_on(journal, path)
    assert JournalReader(path).last_position() > last + 2**32 - 1
    if kind != "the cursors":
        assert JournalReader(path).cursor("city") == 10
    journal.close()


@pytest.mark.parametrize("seed", range(4))
def test_several_damaged_pages_at_once_cost_what_lay_on_them(path, seed):
    source = random.Random(seed)
    before = readings(path)
    leaves = source.sample(pages_of(path, "reading", "leaf"), 5)
    bound = sum(rows_on(path, page) for page in leaves)
    for page in [*leaves, *pages_of(path, "reading", "internal"), 1]:
        damage(path, page, source, source.choice(["zeros", "noise"]))
    journal = opened(path)
    assert len(before) - len(readings(path)) <= bound
    assert f"{len(readings(path))} readings were salvaged" in journal.health.damaged
    check_is_said(journal, path)
    check_goes_on(journal, path)


@pytest.mark.parametrize("how", ["zeros", "noise"])
def test_damage_to_free_pages_costs_nothing(path, how):
    source = random.Random(how)
    before = readings(path)
    for page in source.sample(free_pages(path), 3):
        damage(path, page, source, how)
    journal = opened(path)
    assert readings(path) == before
    check_goes_on(journal, path)


def test_a_sound_journal_is_left_alone(path):
    before = readings(path)
    journal = opened(path)
    assert (readings(path), journal.health.lines(), JournalReader(path).era()) == (before, [], 0)


def test_what_is_lost_is_counted(path):
    before = readings(path)
    page = pages_of(path, "reading", "leaf")[7]
    bound = rows_on(path, page)
    damage(path, page, random.Random(1), "zeros")
    journal = opened(path)
    lost = len(before) - len(readings(path))
    assert 0 < lost <= bound
    assert f"some {lost} are lost, incomplete: reading" in journal.health.damaged
    usage = JournalReader(path).usage(Policy())
    assert (usage.kept, usage.stored) == (len(before) - lost, READINGS)


def test_a_lost_reading_that_its_device_still_has_is_taken_again(path):
    before = readings(path)
    damage(path, pages_of(path, "reading", "leaf")[7], random.Random(1), "zeros")
    journal = opened(path)
    after = readings(path)
    lost = [item for key, item in before.items() if key not in after]
    assert all(len(outcome.stored) == 1 for outcome in journal.write([[item] for item in lost]))
    assert readings(path).keys() == before.keys()


# While running


def test_damage_that_a_reader_meets_is_salvaged_by_the_writer_and_the_reader_follows(path):
    journal, reader = Journal(path), JournalReader(path)
    damage(path, pages_of(path, "reading", "leaf")[20], random.Random(1), "noise")
    reader = JournalReader(path, journal.report_damage)
    with pytest.raises(JournalError, match="damaged"):
        list(reader.all())
    assert type(journal.write([[row(seq=999_998)]])[0]) is Committed
    assert f"{BAY}:1:999998" in [item.row.identity for batch in reader.all() for item in batch]
    check_is_said(journal, path)
    check_goes_on(journal, path)


def test_damage_that_the_writer_meets_fails_its_transaction_and_the_next_one_is_in_a_sound_file(path):
    journal = Journal(path)
    oldest = next(iter(readings(path).values()))
    for page in pages_of(path, "reading", "leaf")[:40]:
        damage(path, page, random.Random(page), "noise")
    journal._db.execute("PRAGMA shrink_memory")
    with pytest.raises(JournalError, match="it is damaged; what can be read will be salvaged"):
        journal.write([[replace(oldest, values={"occupied": False})]])  # compared with the log
    assert type(journal.write([[row(seq=999_998)]])[0]) is Committed
    check_is_said(journal, path)
    check_goes_on(journal, path)


async def test_the_committer_has_the_file_checked_a_while_after_its_start(path, monkeypatch):
    monkeypatch.setattr(limits, "CHECK_AFTER_S", 0.1)
    journal = Journal(path)
    damage(path, pages_of(path, "reading", "leaf")[20], random.Random(1), "noise")
    committer = ThreadedCommitter(journal)
    async with asyncio.timeout(10):
        while not any("the journal was damaged" in line for line in committer.trouble()):
            await asyncio.sleep(0.05)
    await committer.close(5)
    check_goes_on(Journal(path), path)


def test_a_body_that_is_no_reading_ends_in_a_salvage_too(path):
    journal = Journal(path)
    journal._db.execute("UPDATE reading SET body = x'ff' WHERE position = (SELECT min(position) FROM reading)")
    reader = JournalReader(path, journal.report_damage)
    with pytest.raises(JournalError, match="damaged"):
        reader.after(0, 10)
    count = len(readings_without_bodies(path))
    journal.write([[row(seq=999_998)]])
    assert len(readings(path)) == count  # one lost, one new
    check_goes_on(journal, path)


def readings_without_bodies(path: Path) -> list[int]:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    return [position for (position,) in db.execute("SELECT position FROM reading")]


# The whole file


@pytest.mark.parametrize("left", ["nothing", "no byte", "text"])
def test_a_journal_that_is_gone_is_no_new_one(path, left):
    """Its devices have been answered under keys whose numbers nobody knows any more."""
    path.unlink()
    if left != "nothing":
        path.write_bytes(b"" if left == "no byte" else b"no journal at all " * 500)
    journal = opened(path)
    assert "0 readings were salvaged" in journal.health.damaged
    assert JournalReader(path).era() == 1
    assert JournalReader(path).replay_windows() == ({}, None)
    assert JournalReader(path).reservations()[1] >= 2**30
    check_goes_on(journal, path)


def test_without_spare_pages_the_log_is_read_from_its_pages_and_the_era_is_far_ahead(path):
    before = readings(path)
    Path(f"{path}.spare").unlink()
    for page in pages_of(path, "sqlite_schema", "leaf"):
        damage(path, page, random.Random(1), "noise")
    journal = opened(path)
    assert before.items() <= readings(path).items()  # and some that were removed, for nobody knows that any more
    assert JournalReader(path).era() > 8
    check_goes_on(journal, path)


def test_readings_in_the_write_ahead_log_are_salvaged_too(path):
    journal = Journal(path)
    new = [replace(row(DEVICES[0], seq), values={"n": seq}) for seq in range(10_000, 10_300)]
    for item in new:
        journal.write([[item]])
    copy = path.parent / "killed"
    copy.mkdir()
    for suffix in ("", "-wal", ".spare"):
        shutil.copy(f"{path}{suffix}", copy / f"j.sqlite{suffix}")
    for page in pages_of(path, "reading", "internal"):
        damage(copy / "j.sqlite", page, random.Random(page), "noise")
    damage(copy / "j.sqlite", 1, random.Random(1), "noise")
    opened(copy / "j.sqlite")
    assert {item.identity for item in new} <= readings(copy / "j.sqlite").keys()


def test_a_salvage_that_finds_no_room_leaves_everything_and_is_tried_again(path, monkeypatch):
    damage(path, pages_of(path, "reading", "leaf")[3], random.Random(1), "zeros")
    journal = Journal(path)
    journal.check()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pave_gateway.store.swap.sync", full)
        with pytest.raises(JournalError, match="it cannot be salvaged: No space left on device; free some space"):
            journal.write([[row(seq=999_998)]])
        assert "cannot be salvaged" in journal.health.failing
    journal.tend(None)
    check_is_said(journal, path)
    check_goes_on(journal, path)


def test_a_crash_during_the_salvage_is_made_good_by_the_next_start(path, monkeypatch):
    damage(path, pages_of(path, "reading", "leaf")[3], random.Random(1), "zeros")
    before = len(readings_around(path))
    original = Path.replace
    for cut in range(1, 4):
        folder = path.parent / f"cut{cut}"
        folder.mkdir()
        for suffix in ("", ".spare"):
            shutil.copy(f"{path}{suffix}", folder / f"j.sqlite{suffix}")
        left = cut

        def cutting(self: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left == 0:
                raise InterruptedError
            return original(self, target)

        journal = Journal(folder / "j.sqlite")
        journal.check()
        monkeypatch.setattr(Path, "replace", cutting)
        with pytest.raises((InterruptedError, JournalError)):
            journal.write([[row(seq=999_998)]])
        monkeypatch.setattr(Path, "replace", original)
        journal._lock.close()
        journal = opened(folder / "j.sqlite")
        assert len(readings(folder / "j.sqlite")) == before
        check_goes_on(journal, folder / "j.sqlite")


def readings_around(path: Path) -> dict[str, object]:
    """Return what a salvage finds."""
    copy = path.parent / "peek"
    copy.mkdir()
    for suffix in ("", ".spare"):
        shutil.copy(f"{path}{suffix}", copy / f"j.sqlite{suffix}")
    opened(copy / "j.sqlite").close()
    return readings(copy / "j.sqlite")


def test_an_operator_ends_the_warning(path):
    damage(path, pages_of(path, "reading", "leaf")[3], random.Random(1), "zeros")
    journal = opened(path)
    journal.close()
    journal = Journal(path)
    assert journal.health.damaged
    journal.write([[meta.DamageSeenRow(journal.health.damaged)]])
    journal.tend(None)
    assert journal.health.damaged == ""
    journal.close()
    assert Journal(path).health.lines() == []


def test_damage_that_is_another_than_was_seen_stays_told_and_what_was_seen_is_kept(path):
    damage(path, pages_of(path, "reading", "leaf")[3], random.Random(1), "zeros")
    opened(path).close()
    journal, reader = Journal(path), JournalReader(path)
    found = journal.health.damaged
    (outcome,) = journal.write([[meta.DamageSeenRow("the journal was damaged last year")]])
    assert isinstance(outcome, Outdated)
    assert found in outcome.detail
    journal.tend(None)
    assert (journal.health.damaged, reader.read(meta.text, "damage_seen")) == (found, None)
    journal.write([[meta.DamageSeenRow(found)]])
    assert reader.read(meta.text, "damage_seen") == found
