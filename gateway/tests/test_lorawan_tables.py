"""The network server's tables: what a row refuses, what is read back, and how long a start takes."""

import time
from typing import Any

import apsw
import pytest
from lorawan_support import Site, Store, event_of

from pave_gateway.core.committer import Committed, Outdated
from pave_gateway.core.lorawan.rows import (
    AirtimeForgottenRow,
    AirtimeRow,
    FcntUpRow,
    JoinRow,
    LinkRow,
    LoraDownRow,
    LoraSessionRow,
    ParametersRow,
    ProgressRow,
    SessionsEndRow,
    SessionStartRow,
)
from pave_gateway.core.lorawan.sessions import PURPOSE
from pave_gateway.core.rows import ReadingRow
from pave_gateway.store import lorawan_tables

DEVICE = "24a160fffe000100"


def session_row(number: int, device: str = DEVICE) -> LoraSessionRow:
    return LoraSessionRow(device, number, 0x01A2B3C4, b"sealed", "{}", 64, 0)


def started(store: Store, number: int = 5) -> None:
    rows = [JoinRow(DEVICE, "", number, number), session_row(number), SessionStartRow(DEVICE, number)]
    assert isinstance(store.write(rows), Committed)


def outdated(store: Store, *rows: Any) -> bool:
    outcome = store.write(rows)
    assert isinstance(outcome, Committed | Outdated)
    return isinstance(outcome, Outdated)


def test_a_join_needs_both_nonces_above_the_last() -> None:
    store = Store()
    assert not outdated(store, JoinRow(DEVICE, "a", 5, 500))
    assert outdated(store, JoinRow(DEVICE, "a", 5, 501)) and outdated(store, JoinRow(DEVICE, "a", 6, 500))
    assert not outdated(store, JoinRow(DEVICE, "a", 6, 501))
    assert not outdated(store, JoinRow(DEVICE, "b", 0, 502))  # DevNonce counts anew under other keys
    assert outdated(store, JoinRow(DEVICE, "b", 1, 502))


def test_a_join_under_other_keys_ends_the_sessions_before_it_and_one_under_the_same_does_not() -> None:
    store = Store()
    started(store)
    assert not outdated(store, JoinRow(DEVICE, "", 6, 6), session_row(6), FcntUpRow(DEVICE, 5, 0))
    assert not outdated(store, JoinRow(DEVICE, "b", 0, 7), session_row(7))
    stored = lorawan_tables.read_lorawan(store.db)
    assert stored.sessions == (session_row(7),) and stored.devices[0].session is None
    assert outdated(store, FcntUpRow(DEVICE, 5, 1)) and outdated(store, SessionStartRow(DEVICE, 6))


def test_a_frame_counter_only_rises_and_only_in_the_session_in_use() -> None:
    store = Store()
    started(store)
    assert not outdated(store, FcntUpRow(DEVICE, 5, 0)) and not outdated(store, FcntUpRow(DEVICE, 5, 70_000))
    for row in (FcntUpRow(DEVICE, 5, 70_000), FcntUpRow(DEVICE, 5, 3), FcntUpRow(DEVICE, 4, 80_000)):
        assert outdated(store, row)
    assert outdated(store, FcntUpRow("24a160fffe000999", 5, 0))


def test_a_refused_counter_takes_the_whole_group_with_it() -> None:
    store = Store()
    started(store)
    reading = ReadingRow(DEVICE, 1, 0, "presence", 0, 0, {"occupied": True})
    assert outdated(store, reading, ProgressRow(DEVICE, "x"), FcntUpRow(DEVICE, 4, 9))
    assert not store.readings and lorawan_tables.read_lorawan(store.db).devices[0].progress == ""


def test_a_session_starts_once_and_ends_those_before_it() -> None:
    store = Store()
    started(store, 5)
    assert outdated(store, SessionStartRow(DEVICE, 4)) and outdated(store, SessionStartRow(DEVICE, 6))
    store.write([FcntUpRow(DEVICE, 5, 2)])
    assert not outdated(store, SessionStartRow(DEVICE, 5)) and outdated(store, FcntUpRow(DEVICE, 5, 2))
    assert not outdated(store, JoinRow(DEVICE, "", 9, 9), session_row(9))
    assert not outdated(store, FcntUpRow(DEVICE, 5, 3))  # still in use
    assert not outdated(store, SessionStartRow(DEVICE, 9), FcntUpRow(DEVICE, 9, 0))
    assert outdated(store, FcntUpRow(DEVICE, 5, 4)) and outdated(store, SessionStartRow(DEVICE, 5))
    (session,) = lorawan_tables.read_lorawan(store.db).sessions
    assert session.session == 9


def test_reservations_only_grow_and_parameters_need_their_session() -> None:
    store = Store()
    started(store)
    assert not outdated(store, LoraDownRow(DEVICE, 5, 128))
    assert not outdated(store, LoraDownRow(DEVICE, 5, 128))  # a commit that seemed to fail may have been one
    assert outdated(store, LoraDownRow(DEVICE, 5, 127)) and outdated(store, LoraDownRow(DEVICE, 4, 256))
    assert not outdated(store, ParametersRow(DEVICE, 5, "{1}")) and outdated(store, ParametersRow(DEVICE, 6, "{}"))


def test_what_was_written_is_read_back() -> None:
    store = Store()
    started(store)
    store.write([FcntUpRow(DEVICE, 5, 7), ProgressRow(DEVICE, "p"), LinkRow(DEVICE, "l"), AirtimeRow("g", 3, 2, 900)])
    stored = lorawan_tables.read_lorawan(store.db)
    (device,) = stored.devices
    found = (device.session, device.fcnt_up, device.fcnt_down, device.progress, device.link, device.dev_nonce)
    assert found == (5, 7, 64, "p", "l", 5)
    assert stored.sessions == (session_row(5),) and stored.airtime == (AirtimeRow("g", 3, 2, 900),)
    store.write([AirtimeForgottenRow("g", (3,)), SessionsEndRow(DEVICE)])
    stored = lorawan_tables.read_lorawan(store.db)
    assert not stored.airtime and not stored.sessions
    assert (stored.devices[0].session, stored.devices[0].dev_nonce, stored.devices[0].progress) == (None, 5, "p")


def test_a_device_of_another_network_server_needs_no_session() -> None:
    store = Store()
    assert not outdated(store, ProgressRow(DEVICE, "p")) and not outdated(store, ProgressRow(DEVICE, "q"))
    assert lorawan_tables.read_lorawan(store.db).devices[0].progress == "q"


def test_a_reading_changes_one_page_of_these_tables(tmp_path: Any) -> None:
    """Ten thousand devices on disk; what one uplink adds to the write-ahead log."""
    db: Any = apsw.Connection(str(tmp_path / "j.sqlite"))
    db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0")
    db.execute(lorawan_tables.SCHEMA)
    fill(db, 10_000)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(20):
        device = f"{number * 499:016x}"
        db.execute("BEGIN")
        for row in (FcntUpRow(device, 1, 1), ProgressRow(device, "p" * 120)):
            assert lorawan_tables.WRITERS[type(row)](db, row) is None
        db.execute("COMMIT")
    frames = (tmp_path / "j.sqlite-wal").stat().st_size / (4096 + 24)
    assert frames <= 20 * 1.5


def fill(db: Any, count: int) -> None:
    with db:
        for number in range(count):
            device = f"{number:016x}"
            rows = [JoinRow(device, "", 0, 1), session_row(1, device), SessionStartRow(device, 1)]
            for row in [*rows, ProgressRow(device, "p" * 120)]:
                lorawan_tables.WRITERS[type(row)](db, row)


@pytest.mark.alone
def test_ten_thousand_devices_are_read_at_start_within_a_second() -> None:
    site = Site()
    device = site.joined()
    db = site.store.db
    (stored,) = db.execute("SELECT parameters, sealed_keys FROM lora_session")
    root, progress = db.execute("SELECT join_eui, progress FROM lora_device").fetchone()
    with db:
        for number in range(10_000):
            name = f"{number:016x}"
            db.execute("INSERT INTO lora_device VALUES (?, ?, 1, 1, 1, 7, 64, ?)", (name, root, progress))
            db.execute(
                "INSERT INTO lora_session VALUES (?, 1, ?, ?, ?, 64, 0)", (name, number + 5, stored[1], stored[0])
            )
            site.table._secrets[name] = site.table._secrets[device.eui]  # pyright: ignore[reportPrivateUsage]
    begin = time.perf_counter()
    site.start()
    took_s = time.perf_counter() - begin
    assert len(site.server.sessions) == 10_001 and took_s < 2  # some 0.2 s on an idle machine
    site.hear(device.uplink(1, event_of(device.eui, 0)))
    site.run(5_000)
    assert (device.eui, 1, 0) in site.store.readings


def test_sealed_keys_are_bound_to_their_device_and_their_use() -> None:
    site = Site()
    device = site.joined()
    sealed = site.store.db.execute("SELECT sealed_keys FROM lora_session").get
    assert len(site.keyring.open(device.eui, PURPOSE, sealed)) == 32
    for name, purpose in (("24a160fffe000999", PURPOSE), (device.eui, "root keys")):
        with pytest.raises(ValueError):
            site.keyring.open(name, purpose, sealed)
