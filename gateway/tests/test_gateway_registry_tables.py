"""The registry in the journal itself: positions of acts among readings in flight, migration from nothing, its speed."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from registry_support import ANNE, ONE, PLACES, THREE, TWO, Disk, Site, record

from pave_gateway.core.bays import Bays
from pave_gateway.core.committer import Committed
from pave_gateway.core.keys import KeyTable
from pave_gateway.core.keys_record import open_keys
from pave_gateway.core.keys_sealed import AesKeyring
from pave_gateway.core.places import Place
from pave_gateway.core.registry import Registry
from pave_gateway.core.registry_acts import Registrar
from pave_gateway.core.registry_change import Recorded
from pave_gateway.core.registry_site import follow_site, plan_site
from pave_gateway.core.rows import ReadingRow
from pave_gateway.store import registry_tables
from pave_gateway.store.journal import Journal, JournalReader
from pave_gateway.store.threaded import ThreadedCommitter

MANY = 10_000


def reading(seq: int) -> ReadingRow:
    return ReadingRow(ONE, 1, seq, "presence", 1000, 1000, {"occupied": True})


async def test_an_act_among_readings_in_flight_has_the_same_position_in_memory_and_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    committer = ThreadedCommitter(Journal(path))
    bays = Bays(PLACES)
    registry = Registry(PLACES)
    registrar = Registrar(registry, KeyTable(b""), AesKeyring([bytes(32)], bytes), committer, lambda: bays.position)
    recorded: asyncio.Queue[Any] = asyncio.Queue()

    def told(outcome: Any) -> None:
        assert isinstance(outcome, Committed)
        bays.apply(outcome.stored)

    async def act(name: str, *arguments: Any) -> None:
        getattr(registrar, name)(*arguments, ANNE, recorded.put_nowait)
        assert isinstance(await recorded.get(), Recorded)

    def readings(first: int, count: int) -> None:
        for seq in range(first, first + count):
            committer.submit([reading(seq)], told)

    for device in (ONE, TWO, THREE):
        await act("add", device, "presence", "", "")
    for number, (name, *arguments) in enumerate(
        [("assign", "bay-1", ONE), ("replace", "bay-1", TWO), ("move", TWO, "bay-2"), ("assign", "bay-1", THREE)]
    ):
        readings(100 * number, 40)
        getattr(registrar, name)(*arguments, ANNE, recorded.put_nowait)
        readings(100 * number + 40, 40)
        assert isinstance(await recorded.get(), Recorded)
    await committer.close(10)
    history = [registry.history(place.id) for place in PLACES]
    assert [(period.device, period.from_position, period.to_position) for period in history[0]] == [
        (ONE, 0, 120), (TWO, 120, 200), (THREE, 280, None),
    ]  # fmt: skip
    reader = JournalReader(path)
    again = Registry(PLACES)
    stored = registry_tables.load(reader.connection)
    again.restore(stored.devices, stored.assignments, stored.last_act)
    assert [again.history(place.id) for place in PLACES] == history
    assert (again.last_act, reader.last_position()) == (registry.last_act, 320)
    reader.close()


def test_a_new_journal_has_an_empty_registry(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.sqlite").close()
    reader = JournalReader(tmp_path / "journal.sqlite")
    assert registry_tables.load(reader.connection) == registry_tables.Stored([], [], [], 0, b"")
    reader.close()


@pytest.mark.long
@pytest.mark.alone
def test_ten_thousand_devices_are_there_within_a_second_of_a_start(tmp_path: Path) -> None:
    devices = [f"24a160fffe1{number:05x}" for number in range(MANY)]
    places = [Place(f"bay-{device}", "delivery", "Rue de Bercy", 48.8, 2.3, device) for device in devices]
    disk = Disk(tmp_path / "journal.sqlite")
    lab = Site(disk, places=places)
    begun = time.perf_counter()
    assert set(lab.bring(*(record(device) for device in devices)).values()) == {"added"}
    imported_s = time.perf_counter() - begun
    begun = time.perf_counter()
    follow_site(lab.registrar, plan_site(lab.registry, places), ANNE, lambda outcome: None)
    assigned_s = time.perf_counter() - begun
    begun = time.perf_counter()
    stored = registry_tables.load(disk.db)
    registry = Registry(places)
    registry.restore(stored.devices, stored.assignments, stored.last_act)
    tables_s = time.perf_counter() - begun
    keys, _ = open_keys(stored.sealed, lab.keyring, bytes(7))
    all_s = time.perf_counter() - begun
    print(f"import {imported_s:.2f} s, assign {assigned_s:.2f} s, load {tables_s:.2f} s, with keys {all_s:.2f} s")
    assert len(registry.admitted) == sum(1 for _ in keys.all_oscore()) == MANY
    assert all_s < 1
