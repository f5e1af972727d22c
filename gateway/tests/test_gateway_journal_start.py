"""Starts of the joined gateway on a journal that is restored, damaged or without room; and what a cap tells devices."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest
from control_support import Laboratory
from faulty_disk import FaultyDisk, full
from gateway_support import BAY, row, running, until
from oscore_device import OscoreDevice
from test_gateway_assembly import at

from pave_gateway.assembly import core as assembly
from pave_gateway.config import Config
from pave_gateway.core.committer import CommitFailed, Committer, Done, Row
from pave_gateway.core.ingest import Refusal
from pave_gateway.core.lorawan.acknowledgement import port_of, refusal_port
from pave_gateway.core.lorawan.rows import JoinRow
from pave_gateway.core.rows import ReadingRow
from pave_gateway.store import backup, files
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal
from pave_gateway.store.threaded import ThreadedCommitter
from pave_wire import coap

PAGE = files.PAGE_BYTES
READINGS = 400
Factory = Callable[[Journal, Config, Callable[[], int | None]], Committer]


def threaded(journal: Journal, config: Config, trusted_ms: Callable[[], int | None]) -> Committer:
    return ThreadedCommitter(journal, interval_s=0, trusted_ms=trusted_ms)


def inline(journal: Journal, config: Config, trusted_ms: Callable[[], int | None]) -> Committer:
    return InlineCommitter(journal)


@pytest.fixture
async def lab(tmp_path: Path) -> Laboratory:
    made = Laboratory(tmp_path, insecure=False)
    async with running(made.config):
        pass
    return made


# A backup


async def test_two_cards_from_one_backup_go_by_two_names_and_ask_each_device_once(lab):
    keys = lab.provision(BAY)
    journal = lab.folder / "journal.sqlite"
    async with running(lab.config) as (runtime, addresses):
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        sequence, known = device.context.sequence, runtime.gateway.core.registrar.keys.gateway_id
        device.close()
        backup.backup(journal, lab.folder / "b.sqlite")
    names = {known}
    for _ in range(2):
        backup.restore(lab.folder / "b.sqlite", journal, force=True)
        for challenges in (1, 0):  # a start, and the next one
            async with running(lab.config) as (runtime, addresses):
                device = await OscoreDevice(BAY, keys, sequence).open(at(addresses))
                assert await device.report(sequence + 2) == "2.04"
                assert device.challenges == challenges
                sequence = device.context.sequence
                keys = replace(keys, gateway_id=device.gateway_id)  # what it keeps in flash
                names.add(runtime.gateway.core.registrar.keys.gateway_id)
                device.close()
    assert len(names) == 3


# Damage


def damage(path: Path, table: str) -> None:
    """Spoil a leaf in the middle of a table whose gateway has been stopped."""
    db: Any = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    leaves = [
        page for (page,) in db.execute("SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf'", (table,))
    ]
    db.close()
    with path.open("r+b") as file:
        file.seek((leaves[len(leaves) // 2] - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


TABLES = ["registry_device", "registry_life", "clock_change", "lora_device", "reading"]


@pytest.mark.parametrize(("table", "factory"), [*((table, threaded) for table in TABLES), ("reading", inline)])
async def test_a_start_on_a_damaged_table_succeeds_with_what_could_be_saved_and_says_so(lab, table, factory, caplog):
    path = lab.folder / "journal.sqlite"
    journal = Journal(path)
    journal.write([[row(seq=seq)] for seq in range(READINGS)])
    journal.write([[JoinRow("24a160fffe000300", "00" * 8, 1, 1)]])
    journal.close()
    damage(path, table)
    async with running(lab.config, committer_factory=factory) as (runtime, _):
        core = runtime.gateway.core
        assert any("the journal was damaged" in line for line in core.committer.trouble())
        assert "it is damaged" in caplog.text or "is damaged (" in caplog.text
        assert core.registrar.keys.gateway_id
        assert core.bays.get("lab-l-01").seq == READINGS - 1
        assert core.registry.standing(BAY) is not None or table == "registry_device"
    kept = len(lab.stored())
    assert READINGS - 30 < kept < READINGS if table == "reading" else kept == READINGS
    assert len([file for file in lab.folder.iterdir() if file.match("journal.sqlite.2*Z")]) == 1


async def test_damage_that_cannot_be_salvaged_refuses_the_start(lab, monkeypatch):
    path = lab.folder / "journal.sqlite"
    journal = Journal(path)
    journal.write([[row(seq=seq)] for seq in range(READINGS)])
    journal.close()
    damage(path, "reading")
    monkeypatch.setattr(assembly.limits, "TEND_S", 0.01)

    def refused(*_: object) -> None:
        raise assembly.JournalError("no room for a fresh one")

    monkeypatch.setattr("pave_gateway.store.journal.salvage", refused)
    with pytest.raises(assembly.JournalError, match="no room for a fresh one"):
        async with running(lab.config):
            pass


# No room


async def test_a_gateway_starts_on_a_full_disk_and_takes_readings_once_there_is_room(lab, monkeypatch):
    path, keys = lab.folder / "journal.sqlite", lab.provision(BAY)
    async with running(lab.config) as (_, addresses):
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "2.04"
        sequence = device.context.sequence
        device.close()
        for suffix in ("", "-wal"):  # as a kill leaves it
            shutil.copy(f"{path}{suffix}", f"{path}{suffix}.killed")
    for suffix in ("", "-wal"):
        shutil.move(f"{path}{suffix}.killed", f"{path}{suffix}")
    disk = FaultyDisk()
    disk.fault = full
    monkeypatch.setattr(assembly, "Journal", partial(Journal, vfs=disk.name))
    async with running(lab.config) as (runtime, addresses):
        device = await OscoreDevice(BAY, keys, sequence).open(at(addresses))
        with pytest.raises(TimeoutError):  # not even 5.03: the window cannot be stored
            await device.report(2)
        assert any("the disk is full" in line for line in runtime.gateway.core.committer.trouble())
        disk.fault = None
        await until(lambda: not runtime.gateway.core.committer.trouble())
        assert await device.report(2) == "2.04"
        device.close()


class Capped:
    """A committer in front of a journal that takes no new readings, and never will."""

    def __init__(self, inner: Committer) -> None:
        self._inner = inner
        self.trouble, self.close = inner.trouble, inner.close

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        if any(isinstance(item, ReadingRow) for item in rows):
            asyncio.get_running_loop().call_soon(done, CommitFailed("at its cap", final=True))
        else:
            self._inner.submit(rows, done, urgent)


async def test_what_is_refused_for_good_is_answered_so_that_the_device_gives_it_up(lab):
    keys = lab.provision(BAY)
    capped: Factory = lambda journal, config, trusted_ms: Capped(inline(journal, config, trusted_ms))  # noqa: E731
    async with running(lab.config, committer_factory=capped) as (runtime, addresses):
        device = await OscoreDevice(BAY, keys).open(at(addresses))
        assert await device.report(1) == "4.13"
        assert runtime.gateway.core.ingest.counters.refused["full"] == 1
        device.close()
    assert refusal_port(Refusal.FULL) == port_of(coap.TOO_LARGE)
