"""A disk that is full, broken, read-only or slow: nothing is acknowledged that is not stored, and work resumes."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest
from faulty_disk import FaultyDisk, broken, broken_checkpoint, broken_sync, full, read_only, slow, small_file_system
from gateway_support import row

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed, Committed
from pave_gateway.store.errors import JournalError, explain
from pave_gateway.store.journal import Journal, JournalReader
from pave_gateway.store.threaded import ThreadedCommitter

RESUMES_S = 5.0


class Site:
    """A threaded committer with devices that send, and send again until they are answered."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self.path = path
        self.committer = ThreadedCommitter(Journal(path, vfs=vfs), interval_s=0)
        self.acknowledged: set[str] = set()
        self.reasons: list[str] = []
        self._seq = 0

    async def send(self, count: int) -> int:
        """Send `count` new readings at once; return how many were acknowledged."""
        waiting: list[asyncio.Future[None]] = []
        before = len(self.acknowledged)
        for _ in range(count):
            self._seq += 1
            item = row(seq=self._seq)
            answered = asyncio.get_running_loop().create_future()
            self.committer.submit([item], lambda outcome, i=item.identity, a=answered: self._hear(outcome, i, a))
            waiting.append(answered)
        await asyncio.gather(*waiting)
        return len(self.acknowledged) - before

    def _hear(self, outcome: object, identity: str, answered: "asyncio.Future[None]") -> None:
        if isinstance(outcome, Committed):
            self.acknowledged.add(identity)
        else:
            assert isinstance(outcome, CommitFailed)
            self.reasons.append(outcome.reason)
        answered.set_result(None)

    async def resumes(self) -> float:
        """Return after how many seconds a reading is acknowledged again."""
        started_s = time.monotonic()
        while not await self.send(1):
            assert time.monotonic() - started_s < RESUMES_S
            await asyncio.sleep(0.05)
        return time.monotonic() - started_s

    async def check(self) -> None:
        """Close; every acknowledged reading is in the file once, and the file is sound."""
        await self.committer.close(10)
        journal = Journal(self.path)
        stored = [item.row.identity for batch in JournalReader(self.path).all() for item in batch]
        assert journal._db.execute("PRAGMA integrity_check").get == "ok"
        assert len(stored) == len(set(stored))
        assert self.acknowledged <= set(stored)
        journal.close()


@contextlib.asynccontextmanager
async def site_on_faulty_disk(folder: Path) -> AsyncIterator[tuple[Site, FaultyDisk]]:
    disk = FaultyDisk()
    site = Site(folder / "j.sqlite", disk.name)
    try:
        yield site, disk
    finally:
        disk.fault = None
        await site.check()


FAULTS = {
    "the file system has become read-only": (read_only, "the disk reports an error"),
    "the disk is full": (full, "the disk is full; free some space"),
    "the disk is broken": (broken, "the disk reports an error"),
    "nothing can be synced": (broken_sync, "the disk reports an error"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_while_the_disk_fails_nothing_is_acknowledged_and_ingest_resumes_when_it_works_again(tmp_path, fault):
    inject, meaning = FAULTS[fault]
    async with site_on_faulty_disk(tmp_path) as (site, disk):
        assert await site.send(20) == 20
        disk.fault = inject
        for _ in range(5):
            assert await site.send(10) == 0
            await asyncio.sleep(0.05)
        assert all(meaning in reason for reason in site.reasons)
        assert meaning in site.committer.trouble()[0]
        disk.fault = None
        await site.resumes()
        assert site.committer.trouble() == []
        assert await site.send(20) == 20


@pytest.mark.parametrize("fault", FAULTS)
async def test_health_recovers_without_a_reading(tmp_path, fault, monkeypatch):
    monkeypatch.setattr(limits, "TEND_S", 0.1)
    async with site_on_faulty_disk(tmp_path) as (site, disk):
        disk.fault = FAULTS[fault][0]
        await site.send(1)
        assert site.committer.trouble()
        disk.fault = None
        started_s = time.monotonic()
        while site.committer.trouble():
            assert time.monotonic() - started_s < RESUMES_S
            await asyncio.sleep(0.02)


async def test_a_disk_that_fails_now_and_then_loses_and_doubles_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "TEND_S", 0.02)
    monkeypatch.setattr(limits, "WAL_PAGES", 20)
    async with site_on_faulty_disk(tmp_path) as (site, disk):
        operations = 0

        def sometimes(name: str, operation: str) -> None:
            nonlocal operations
            operations += 1
            if operations % 211 == 0:
                broken(name, operation)

        disk.fault = sometimes
        for _ in range(60):
            await site.send(5)
            await asyncio.sleep(0.01)
        assert site.reasons
        assert len(site.acknowledged) > 50


async def test_a_log_that_cannot_be_brought_into_the_file_is_said_and_readings_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "WAL_PAGES", 5)
    async with site_on_faulty_disk(tmp_path) as (site, disk):
        disk.fault = broken_checkpoint
        for _ in range(30):
            assert await site.send(2) == 2
        assert "cannot be brought into the journal" in " ".join(site.committer.trouble())
        disk.fault = None
        for _ in range(30):
            await site.send(2)
        assert site.committer.trouble() == []


async def test_a_slow_disk_fills_the_queue_up_to_its_bound_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "COMMIT_SLOW_S", 0.1)
    async with site_on_faulty_disk(tmp_path) as (site, disk):
        disk.fault = slow(0.5)
        sending = asyncio.create_task(site.send(3))
        await asyncio.sleep(0.3)
        assert "the disk has not finished a commit for" in site.committer.trouble()[0]
        assert site.acknowledged == set()
        assert await sending == 3


async def test_a_committer_that_acknowledges_before_it_commits_is_seen_by_these_tests(tmp_path, monkeypatch):
    """Negative control."""
    honest = ThreadedCommitter.submit

    def eager(self, rows, done, urgent=False):
        done(Committed(()))
        honest(self, rows, lambda _: None, urgent)

    monkeypatch.setattr(ThreadedCommitter, "submit", eager)
    with pytest.raises(AssertionError):
        async with site_on_faulty_disk(tmp_path) as (site, disk):
            disk.fault = broken
            await site.send(5)
            await asyncio.sleep(0.2)


# The real thing


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """300 kB of its own."""
    with small_file_system(tmp_path / "disk", "300k") as folder:
        yield folder


async def fill(site: Site) -> None:
    async with asyncio.timeout(20):
        for count in (50, 1):  # where 50 find no room there may be some for one
            while await site.send(count):
                pass


async def test_a_file_system_that_is_really_full_stops_ingest_and_freed_space_resumes_it(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    site = Site(small_disk / "j.sqlite")
    await fill(site)
    assert "the disk is full" in site.committer.trouble()[0]
    assert await site.send(1) == 0
    ballast.unlink()
    assert await site.resumes() < RESUMES_S
    await site.check()


# A start, and housekeeping


@pytest.mark.parametrize("mode", [full, broken_checkpoint])
def test_a_journal_is_opened_though_the_disk_takes_no_spare_pages(tmp_path, mode, caplog):
    before = tmp_path / "before"
    before.mkdir()
    journal = Journal(before / "j.sqlite")
    for seq in range(300):
        journal.write([[row(seq=seq)]])
    for name in ("j.sqlite", "j.sqlite-wal"):  # as a kill leaves it
        shutil.copy(before / name, tmp_path / name)
    disk = FaultyDisk()
    disk.fault = mode
    journal = Journal(tmp_path / "j.sqlite", vfs=disk.name)
    assert "no spare pages kept" in caplog.text
    assert len(JournalReader(tmp_path / "j.sqlite").after(0, 999)) == 300
    if mode is full:
        with pytest.raises(JournalError, match="the disk is full; free some space"):
            journal.write([[row(seq=1000)]])
    disk.fault = None
    journal.tend(None)
    assert type(journal.write([[row(seq=1000)]])[0]) is Committed
    assert journal.health.failing == ""


def test_no_room_for_what_sqlite_shares_between_processes_is_a_full_disk():
    error = apsw.exception_for(apsw.SQLITE_IOERR_SHMSIZE)
    assert "the disk is full" in explain(Path("j.sqlite"), error)
    assert "the disk reports an error" in explain(Path("j.sqlite"), apsw.exception_for(apsw.SQLITE_IOERR_READ))


def corrupt(name: str, operation: str) -> None:
    """What is read makes no sense."""
    if operation == "read":
        raise apsw.exception_for(apsw.SQLITE_CORRUPT)


@pytest.mark.parametrize(("fault", "meaning"), [(broken, "the disk reports an error"), (corrupt, "it is damaged")])
def test_what_housekeeping_cannot_read_is_told_of_and_mended(tmp_path, fault, meaning):
    disk = FaultyDisk()
    path = tmp_path / "j.sqlite"
    journal = Journal(path, vfs=disk.name)
    journal.write([[row(seq=1)]])
    journal._db.execute("PRAGMA cache_size=0")
    journal._db.execute("PRAGMA shrink_memory")
    disk.fault = fault
    assert journal.tend(1_800_000_000_000) is False
    assert meaning in journal.health.failing
    disk.fault = None
    journal.tend(1_800_000_000_000)
    assert journal.health.failing == ""
    assert ("the journal was damaged" in journal.health.damaged) is (fault is corrupt)
    assert len(JournalReader(path).after(0, 9)) == 1


async def test_a_defect_of_housekeeping_is_logged_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(limits, "TEND_S", 0.01)
    calls = 0

    def failing(journal: Journal, now_ms: int | None) -> bool:
        nonlocal calls
        calls += 1
        raise RuntimeError("a defect")

    monkeypatch.setattr(Journal, "tend", failing)
    site = Site(tmp_path / "j.sqlite")
    while calls < 5:
        await asyncio.sleep(0.01)
    await site.committer.close(5)
    assert caplog.text.count("unexpected failure of the journal's housekeeping") == 1
