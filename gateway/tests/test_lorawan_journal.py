"""The network server over the production journal: what it says is on disk is there after a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lorawan_support import Site, event_of, hello_of

from pave_gateway.store import lorawan_tables, shadow_tables
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal, JournalReader


class Disk:
    """The journal in the place of the store in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = Journal(path)
        self.submit = InlineCommitter(self.journal).submit
        self.reader = JournalReader(path)
        self.db: Any = self.reader.connection

    def reopen(self) -> None:
        self.journal.close()
        self.reader.close()
        self.__init__(self.path)

    @property
    def identities(self) -> list[str]:
        return [stored.row.identity for batch in self.reader.all() for stored in batch]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(devices=2)
    disk = Disk(tmp_path / "journal.sqlite")
    site.store = disk  # type: ignore[assignment]
    site.start()
    yield site
    site.store.journal.close()  # type: ignore[attr-defined]


def test_sessions_counters_and_progress_come_back_from_the_journal(site: Site) -> None:
    device = site.joined()
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(10_000)
    device.hear(site.sent[-1].phy)
    before = site.application.progress(device.eui)
    replayed = device.uplink(1, event_of(device.eui, 1))
    site.hear(replayed)
    site.run(10_000)
    site.store.reopen()  # type: ignore[attr-defined]
    site.start()
    site.hear(replayed)
    site.hear(device.uplink(1, event_of(device.eui, 2)))
    site.run(10_000)
    assert device.hear(site.sent[-1].phy).payload == b"\x01\x00\x02"
    assert site.server.counters.replayed == 1 and before.floor == (1, 0)
    assert site.store.identities == [f"{device.eui}:1:{seq}" for seq in range(3)]  # type: ignore[attr-defined]


def test_a_passed_counter_keeps_its_reading_out_of_the_journal(site: Site) -> None:
    device = site.joined()
    phy = device.uplink(1, event_of(device.eui, 0))
    site.hear(phy)
    site.run(10_000)
    (session,) = site.server.sessions
    session.heard = session.fcnt_up = -1
    device.fcnt -= 1
    site.hear(device.uplink(1, event_of(device.eui, 7)))  # the same counter with another reading
    site.run(10_000)
    assert site.application.counters.replayed == 1
    assert site.store.identities == [f"{device.eui}:1:0"]  # type: ignore[attr-defined]


def test_the_tables_of_the_family_are_part_of_the_journal(site: Site) -> None:
    device = site.joined(1)
    site.hear(device.uplink(3, hello_of(9, 3)))
    site.run(700_000)
    stored = lorawan_tables.read_lorawan(site.store.db)
    assert [one.device for one in stored.devices] == [device.eui] and len(stored.sessions) == 1
    assert stored.airtime and stored.devices[0].link
    hellos = [row[0] for row in site.store.db.execute("SELECT device FROM hello")]
    assert hellos == [device.eui] and list(shadow_tables.open_commands(site.store.db)) == []
