"""A rotation of the sealing key over a journal: all is sealed anew, killed anywhere, whatever else is written."""

import os
import random
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from gateway_support import KIOSK
from rotation_support import (
    JOURNAL,
    KEYS,
    NOW_MS,
    eui,
    made,
    opened,
    rotate,
    sealing,
    session,
    settings,
    used,
)
from shadow_support import Gateway

from pave_gateway.core import limits
from pave_gateway.core.keys_record import PURPOSE
from pave_gateway.core.keys_rotation import Rotation
from pave_gateway.core.keys_sealed import UnknownKeyError
from pave_gateway.core.registry_rows import KeyRow
from pave_gateway.core.shadow_sealing import sealed_in
from pave_gateway.store import key_file, shadow_tables
from pave_gateway.store.journal import Journal
from pave_gateway.store.key_file import (
    KeyFile,
    KeyFileError,
    add_sealing_key,
    drop_sealing_keys,
    load_key_file,
    missing,
    open_key_file,
)
from pave_wire import shadow

KILLED = 9
Rotate = Callable[[Path], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made(tmp_path, 8)


def test_a_rotation_seals_every_kind_of_secret_anew_and_drops_the_old_key(folder):
    secrets, (old,) = opened(folder), sealing(folder)
    rotation = rotate(folder)
    (new,) = sealing(folder)
    assert new != old and used(folder) == [new]
    assert opened(folder) == secrets
    assert {name for name, _, _ in secrets} == {"device keys", "Wi-Fi passphrases", "LoRaWAN sessions"}
    assert sum(count.anew for count in rotation.counts) == len(secrets) == 8 + 2 + 4
    (dropped,) = load_key_file(folder / KEYS).dropped
    assert dropped.id.hex() == old


def test_steps_are_bounded_and_a_second_pass_looks_at_all_of_it_again(tmp_path):
    made(tmp_path, 3 * limits.RESEALED_AT_ONCE)
    sizes: list[int] = []

    def between(journal: Journal, rotation: Rotation) -> None:
        write = journal.write
        journal.write = lambda groups: sizes.append(len(groups[0])) or write(groups)

    rotation = rotate(tmp_path, between)
    assert max(sizes) == limits.RESEALED_AT_ONCE and len(used(tmp_path)) == 1
    all_, half = 3 * limits.RESEALED_AT_ONCE, 3 * limits.RESEALED_AT_ONCE // 2
    assert [(count.passed, count.rows) for count in rotation.counts] == [(all_, all_), (half, half), (half, half)]


def test_a_rotation_changes_nothing_but_seals(folder):
    def rows() -> list[Any]:
        db = apsw.Connection(str(folder / JOURNAL))
        found = [
            *db.execute("SELECT device, length(sealed) FROM registry_key ORDER BY 1"),
            *db.execute("SELECT device, version, length(settings) FROM shadow_desired ORDER BY 1"),
            *db.execute("SELECT device, session, dev_addr, parameters, fcnt_down, era FROM lora_session ORDER BY 1"),
            *db.execute("SELECT * FROM lora_device ORDER BY 1"),
        ]
        db.close()
        return found

    before = rows()
    rotate(folder)
    assert rows() == before


# What is written meanwhile


def test_what_was_written_between_reading_and_writing_stays_and_is_met_by_the_next_pass(folder, monkeypatch):
    monkeypatch.setattr(limits, "RESEALED_AT_ONCE", 4)
    old = load_key_file(folder / KEYS).keyring(random.Random(5).randbytes)
    rivals: dict[str, Callable[[], Any]] = {
        "ResealedKeysRow": lambda: [KeyRow(eui(0), old.seal(eui(0), PURPOSE, b"another record"))],
        "ResealedSettingsRow": lambda: [settings(old, eui(1), 2, "another horse")],
        "ResealedSessionRow": lambda: session(old, eui(0), 77, 0),
    }
    write = Journal.write

    def written(journal: Journal, groups: Any) -> Any:
        rival = rivals.pop(type(groups[0][0]).__name__, None)
        if rival is not None:
            write(journal, [rival()])  # on its way already, so it lies in front of the batch
        return write(journal, groups)

    monkeypatch.setattr(Journal, "write", written)
    rotate(folder)
    assert not rivals
    secrets = opened(folder)
    assert secrets["device keys", eui(0), 0] == b"another record"
    assert secrets["Wi-Fi passphrases", eui(1), 2] == b"another horse"
    assert secrets["LoRaWAN sessions", eui(0), 77] == bytes([77]) * 32
    assert used(folder) == sealing(folder) and len(sealing(folder)) == 1


def test_settings_that_follow_from_a_report_are_sealed_again_with_the_newest_key():
    gateway = Gateway()
    gateway.edit(KIOSK, wifi={"ssid": "Bercy", "key": "correct horse"})
    gateway.keyring.adopt([bytes(range(32)), bytes(32)])
    gateway.report(KIOSK, 1, {shadow.WIFI: {0: 1, 1: [0, 1]}})  # it has moved: what was offered becomes the only one
    (row,) = shadow_tables.desired(gateway.store.db)
    assert row.version == 2 and gateway.keyring.is_newest(sealed_in(row.values))
    assert b"correct horse" in gateway.shadows.payload(KIOSK, secure=True)


def test_a_passphrase_sealed_anew_is_in_effect_and_its_device_fetches_the_same_settings_once_more():
    gateway = Gateway()
    gateway.edit(KIOSK, wifi={"ssid": "Bercy", "key": "correct horse"})
    etag, payload = gateway.shadows.etag(KIOSK), gateway.shadows.payload(KIOSK, secure=True)
    told: list[str] = []
    gateway.shadows.subscribe(told.append)
    gateway.keyring.adopt([bytes(range(32)), bytes(32)])
    source = DatabaseOf(gateway.store.db)
    rotation = Rotation(source, gateway.keyring, gateway.shadows.resealed)
    while not rotation.is_over:
        gateway.commit(rotation.step())
    assert gateway.shadows.payload(KIOSK, secure=True) == payload
    assert gateway.shadows.etag(KIOSK) != etag and told == []


class DatabaseOf:
    """The shadow's tables alone, as a source."""

    def __init__(self, db: Any) -> None:
        self.db = db

    def count(self, part: Any) -> int:
        return 0

    def rows(self, part: Any, device: str, number: int, max_rows: int) -> Any:
        found = part.name == "Wi-Fi passphrases"
        return shadow_tables.sealed_settings(self.db, device, number, max_rows) if found else []


# What does not open


def spoil(folder: Path, *devices: str) -> None:
    """Let the keys of `devices` be others than what was sealed."""
    with closing(apsw.Connection(str(folder / JOURNAL))) as db:
        for device in devices:
            sealed = db.execute("SELECT sealed FROM registry_key WHERE device = ?", (device,)).get
            db.execute("UPDATE registry_key SET sealed = ? WHERE device = ?", (sealed + b"?", device))


def test_a_secret_that_does_not_open_is_told_of_and_the_key_it_is_under_stays(folder):
    secrets = opened(folder)
    spoil(folder, eui(3))
    rotation = rotate(folder)
    assert [count.closed for count in rotation.counts] == [1, 0, 0]
    assert rotation.faults == [
        f"provisioning keys of {eui(3)} were changed since they were sealed;"
        " import the device's provisioning record again"
    ]
    assert len(sealing(folder)) == 2 and sorted(sealing(folder)) == used(folder)
    with closing(Journal(folder / JOURNAL)) as journal:  # the record is imported again, and a rotation asked for
        keyring = load_key_file(folder / KEYS).keyring()
        mended = secrets["device keys", eui(3), 0]
        journal.write([[KeyRow(eui(3), keyring.seal(eui(3), PURPOSE, mended))]])
    assert rotate(folder).faults == []
    assert opened(folder) == secrets and used(folder) == sealing(folder)
    assert len(load_key_file(folder / KEYS).dropped) == 1, "the one of before; no further key was made"


def test_faults_are_told_one_by_one_up_to_a_limit(tmp_path):
    made(tmp_path, limits.CLOSED_TOLD + 4)
    spoil(tmp_path, *map(eui, range(limits.CLOSED_TOLD + 4)))
    rotation = rotate(tmp_path)
    assert (rotation.counts[0].closed, len(rotation.faults)) == (limits.CLOSED_TOLD + 4, limits.CLOSED_TOLD)


# The key file


def test_a_key_is_added_once_and_one_that_is_under_way_is_gone_on_with(folder):
    path = folder / KEYS
    first = load_key_file(path)
    grown = add_sealing_key(path, first, NOW_MS, random.Random(3).randbytes)
    assert grown.sealing[:-1] == first.sealing and load_key_file(path) == grown
    assert add_sealing_key(path, grown, NOW_MS, random.Random(4).randbytes) == grown


def test_a_new_key_has_an_id_that_no_key_of_the_file_ever_had(folder):
    path = folder / KEYS
    first = load_key_file(path)
    draws = iter([first.sealing[0].key, bytes(32)])
    assert add_sealing_key(path, first, NOW_MS, lambda count: next(draws)).sealing[-1].key == bytes(32)


def test_a_key_file_that_was_changed_meanwhile_is_left_alone(folder):
    path = folder / KEYS
    grown = add_sealing_key(path, load_key_file(path), NOW_MS)
    key_file._write(path, replace(grown, site="other"), replacing=True)
    changed = path.read_bytes()
    with pytest.raises(KeyFileError, match="somebody has changed it since the rotation began; put that content back"):
        drop_sealing_keys(path, grown, (), NOW_MS)
    assert path.read_bytes() == changed
    path.unlink()
    with pytest.raises(KeyFileError, match="somebody has changed it"):
        drop_sealing_keys(path, grown, (), NOW_MS)
    assert not path.exists()


def test_the_dropped_keys_that_are_remembered_are_bounded_and_the_file_stays_readable(folder):
    path = folder / KEYS
    file = load_key_file(path)
    source = random.Random(6)
    for index in range(limits.SEALING_KEYS + 3):
        grown = add_sealing_key(path, file, NOW_MS + index, source.randbytes)
        file = drop_sealing_keys(path, grown, (), NOW_MS + index)
    assert len(load_key_file(path).dropped) == limits.SEALING_KEYS
    assert path.stat().st_size < limits.KEY_FILE_BYTES


def test_a_key_file_with_too_many_keys_is_refused(folder):
    path = folder / KEYS
    file = load_key_file(path)
    key_file._write(path, replace(file, sealing=file.sealing * (limits.SEALING_KEYS + 1)), replacing=True)
    with pytest.raises(KeyFileError, match="damaged: sealing"):
        load_key_file(path)


# Old backups


def test_a_backup_of_before_a_rotation_is_told_which_key_it_needs_and_opens_with_that_key_in_the_file(folder, tmp_path):
    secrets = opened(folder)
    (old,) = load_key_file(folder / KEYS).sealing
    backup = tmp_path / "backup"
    shutil.copytree(folder, backup, ignore=shutil.ignore_patterns("backup"))
    rotate(folder)
    rotate(folder)
    for beside in ("-wal", "-shm"):
        (folder / (JOURNAL + beside)).unlink(missing_ok=True)
    shutil.copy(backup / JOURNAL, folder / JOURNAL)
    path = folder / KEYS
    file = load_key_file(path)
    sealed = [old.id.join((b"\1", bytes(40)))]
    with pytest.raises(KeyFileError) as refused:
        open_key_file(path, "lab", sealed, NOW_MS)
    said = str(refused.value)
    assert "a backup of before a rotation" in said and f"{old.id.hex()} (made {old.made}" in said
    assert "put it before the others in sealing" in said
    assert missing(path, file, {file.sealing[0].id}) == ""
    key_file._write(path, replace(file, sealing=(old, *file.sealing)), replacing=True)  # what it says
    assert open_key_file(path, "lab", sealed, NOW_MS).sealing[0] == old
    assert opened(folder) == secrets
    rotate(folder)  # what the gateway does when it starts
    assert opened(folder) == secrets
    assert sealing(folder) == used(folder) == [file.sealing[-1].id.hex()]
    assert [key.id for key in load_key_file(path).dropped].count(old.id) == 1


# Killed anywhere


def killed_at(step: int, folder: Path, rotation: Rotate) -> bool:
    """Run `rotation` in a child that dies at its `step`th act on the disk; return whether it got to its end."""
    child = os.fork()
    if child == 0:
        try:
            _die_at(step)
            rotation(folder)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED)
    return status == 0


def _die_at(step: int) -> None:
    """Let this process die at its `step`th fsync or rename of the key file, or transaction of the journal."""
    steps = iter(range(1, 10_000))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            if next(steps) == step:
                os._exit(KILLED)
            return function(*arguments)

        return act

    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)
    Journal.write = counted(Journal.write)


def campaign(folder: Path, rotation: Rotate) -> int:
    """Kill `rotation` at each of its acts, look whether all secrets open, repeat it; return how many acts there are."""
    secrets = opened(folder)
    start = folder.with_name(folder.name + ".start")
    folder.rename(start)
    shutil.copytree(start, folder)
    steps = 0
    while not killed_at(steps + 1, folder, rotation):
        steps += 1
        assert opened(folder) == secrets, f"killed at act {steps}"
        assert len(sealing(folder)) <= 2
        rotation(folder)
        assert opened(folder) == secrets, f"repeated after act {steps}"
        assert used(folder) == sealing(folder) and len(sealing(folder)) == 1, f"repeated after act {steps}"
        shutil.rmtree(folder)
        shutil.copytree(start, folder)
    return steps


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of which each secret is a batch of its own."""
    monkeypatch.setattr(limits, "RESEALED_AT_ONCE", 1)
    folder = tmp_path / "small"
    folder.mkdir()
    return made(folder, 3)


def test_a_rotation_killed_at_any_act_leaves_all_secrets_open_and_is_finished_by_repeating_it(small):
    # Three of the file that grows; two of spare pages; three keys, a passphrase, two sessions; three of the file that
    # shrinks.
    assert campaign(small, rotate) == 14


def test_the_campaign_sees_a_rotation_that_drops_the_old_key_too_early(small, monkeypatch):
    def careless(path: Path, file: KeyFile, *arguments: Any) -> KeyFile:
        grown = add_sealing_key(path, file, *arguments)
        drop_sealing_keys(path, grown, (), NOW_MS)
        return grown

    monkeypatch.setattr("rotation_support.add_sealing_key", careless)
    monkeypatch.setattr("rotation_support.drop_sealing_keys", lambda *arguments: None)
    with pytest.raises(UnknownKeyError, match="which this key file lacks"):
        campaign(small, rotate)


def test_the_campaign_sees_a_rotation_that_passes_by_a_secret(small, monkeypatch):
    step = Rotation.step

    def forgetful(rotation: Rotation) -> Any:
        change = step(rotation)
        return replace(change, rows=change.rows[:-1]) if sealed_settings_in(change.rows) else change

    def sealed_settings_in(rows: Any) -> bool:
        return any(type(row).__name__ == "ResealedSettingsRow" for row in rows)

    monkeypatch.setattr(Rotation, "is_over", property(lambda rotation: rotation._index == 3))  # no second pass
    monkeypatch.setattr(Rotation, "step", forgetful)
    with pytest.raises(UnknownKeyError, match="wifi keys of"):
        campaign(small, rotate)
