"""Keys at rest: what opens, what does not, and why; the key file, its permissions, and a rotation killed anywhere."""

import hashlib
import itertools
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from registry_support import ANNE, ONE, THREE, TWO, Disk, Site, random_bytes_from, record

from pave_gateway.core.keys import GATEWAY_ID_BYTES, draw_gateway_id
from pave_gateway.core.keys_record import PURPOSE
from pave_gateway.core.keys_sealed import (
    AesKeyring,
    PurposeKeyring,
    TamperedError,
    UnknownKeyError,
    WrongKeyFileError,
    id_in,
    key_id,
)
from pave_gateway.core.registry_change import Recorded
from pave_gateway.store import key_file, registry_tables
from pave_gateway.store.key_file import KeyFile, KeyFileError, begin_rotation, load_key_file, open_key_file

OLD, NEW, FOREIGN = (hashlib.sha256(name).digest() for name in (b"old", b"new", b"foreign"))
NOW_MS = 1_795_000_000_000
KILLED = 9
Rotation = Callable[[Path, Path], None]


def ring(*keys: bytes) -> AesKeyring:
    return AesKeyring(keys, random_bytes_from(1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "site.keys"


def made(path: Path) -> KeyFile:
    return open_key_file(path, "lab", [], NOW_MS, random_bytes_from(2))


# Sealed values


def test_what_was_sealed_opens_for_its_device_and_purpose_alone():
    sealed = ring(OLD).seal(ONE, "oscore", b"secret")
    assert ring(OLD).open(ONE, "oscore", sealed) == b"secret"
    for device, purpose in ((TWO, "oscore"), (ONE, "lora")):
        with pytest.raises(TamperedError, match="were changed since they were sealed; restore the journal"):
            ring(OLD).open(device, purpose, sealed)


def test_one_flipped_bit_anywhere_does_not_open():
    sealed = ring(OLD).seal(ONE, "oscore", b"secret")
    for index in range(len(sealed)):
        changed = sealed[:index] + bytes((sealed[index] ^ 1,)) + sealed[index + 1 :]
        with pytest.raises((TamperedError, UnknownKeyError)):
            ring(OLD).open(ONE, "oscore", changed)
    for length in range(len(sealed)):
        with pytest.raises((TamperedError, UnknownKeyError)):
            ring(OLD).open(ONE, "oscore", sealed[:length])


def test_the_same_keys_are_never_sealed_to_the_same_bytes():
    keyring = ring(OLD)
    assert len({keyring.seal(ONE, "oscore", b"secret") for _ in range(100)}) == 100


def test_the_newest_key_seals_and_all_open():
    old = ring(OLD).seal(ONE, "oscore", b"secret")
    both = ring(OLD, NEW)
    new = both.seal(ONE, "oscore", b"secret")
    assert (id_in(old), id_in(new)) == (key_id(OLD), key_id(NEW))
    assert both.open(ONE, "oscore", old) == both.open(ONE, "oscore", new) == b"secret"
    assert (both.is_newest(old), both.is_newest(new)) == (False, True)


def test_an_unknown_key_a_wrong_key_file_and_a_changed_value_are_three_different_errors():
    old, new = ring(OLD).seal(ONE, "oscore", b"secret"), ring(NEW).seal(ONE, "oscore", b"secret")
    with pytest.raises(UnknownKeyError, match="put back the newest copy"):
        ring(OLD).open(ONE, "oscore", new)
    with pytest.raises(UnknownKeyError, match="it is an older copy; put back the newest"):
        ring(OLD).check([old, new])
    with pytest.raises(WrongKeyFileError, match="of another site or of an earlier gateway"):
        ring(FOREIGN).check([old, new])
    ring(OLD, NEW).check([old, new])
    ring(FOREIGN).check([])


def test_a_part_of_the_gateway_cannot_open_what_another_sealed():
    keyring = ring(OLD)
    sealed = PurposeKeyring(keyring, "lorawan session").seal(ONE, b"session keys")
    assert PurposeKeyring(keyring, "lorawan session").open(ONE, sealed) == b"session keys"
    with pytest.raises(ValueError, match="were changed"):
        PurposeKeyring(keyring, "other").open(ONE, sealed)


def test_a_gateway_id_fits_a_nonce_and_differs_from_every_device_id_of_six_bytes():
    assert len(draw_gateway_id(os.urandom)) == GATEWAY_ID_BYTES == 7
    assert len({draw_gateway_id(os.urandom) for _ in range(1000)}) == 1000


def test_a_row_that_was_tampered_with_costs_its_device_the_keys_and_no_other():
    disk = Disk()
    site = Site(disk)
    site.bring(record(ONE), record(TWO), record(THREE))
    disk.db.execute(
        "UPDATE registry_key SET sealed = (SELECT sealed FROM registry_key WHERE device = ?) WHERE device = ?",
        (TWO, ONE),
    )
    again = site.restarted()
    assert [own.device for own in again.keys.all_oscore()] == [TWO, THREE]
    assert [fault.partition(";")[0] for fault in again.faults] == [
        f"provisioning keys of {ONE} were changed since they were sealed"
    ]
    assert again.bring(record(ONE)) == {f"{ONE}:1000": "replaced"}, "its record brings them back"
    assert again.restarted().keys.secrets(ONE) == record(ONE).secrets


# The key file


def test_a_new_site_gets_a_key_file_that_only_its_user_can_read(path):
    previous = os.umask(0)
    try:
        file = made(path)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key_file(path) == file
    assert [entry.name for entry in path.parent.iterdir()] == ["site.keys"]


def test_two_sites_have_different_keys(tmp_path):
    files = [open_key_file(tmp_path / name, "lab", [], NOW_MS) for name in ("a", "b")]
    assert len({entry.key for file in files for entry in (*file.sealing, *file.opening)}) == 4


def test_a_key_file_is_never_made_anew_for_a_journal_with_sealed_keys(path):
    sealed = ring(OLD).seal(ONE, "oscore", b"secret")
    with pytest.raises(KeyFileError, match=r"missing, and the journal holds the keys of 1 devices.*put its copy back"):
        open_key_file(path, "lab", [sealed], NOW_MS)
    assert not path.exists()


def test_a_key_file_without_any_rows_yet_is_taken_as_it_is(path):
    """As after a crash between the file and the first import."""
    file = made(path)
    assert open_key_file(path, "lab", [], NOW_MS + 1) == file


def test_a_key_file_left_half_written_by_a_crash_is_replaced(path):
    path.parent.mkdir()
    path.with_name("site.keys.new").write_text('{"pave_key')
    file = made(path)
    assert load_key_file(path) == file
    assert not path.with_name("site.keys.new").exists()


def test_making_a_key_file_never_takes_the_place_of_one(path, monkeypatch):
    file = made(path)

    def missing(_path: Path) -> KeyFile:
        raise FileNotFoundError  # another process makes it at this moment

    monkeypatch.setattr(key_file, "load_key_file", missing)
    with pytest.raises(KeyFileError, match="File exists"):
        open_key_file(path, "lab", [], NOW_MS)
    monkeypatch.undo()
    assert load_key_file(path) == file


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o660])
def test_a_key_file_that_others_can_get_at_is_refused_with_the_command_to_run(path, mode):
    made(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=rf"mode {mode:04o} lets others at it; run: chmod 600 .*site.keys"):
        load_key_file(path)


def test_a_key_file_of_another_user_is_refused_with_the_command_to_run(path, monkeypatch):
    made(path)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(KeyFileError, match=r"owns it; run: chown \d+ .*site.keys"):
        load_key_file(path)


def test_a_key_file_of_another_site_is_refused(path):
    made(path)
    with pytest.raises(KeyFileError, match="it is of site 'lab', the site file says 'bercy'; name the right one"):
        open_key_file(path, "bercy", [], NOW_MS)


def test_the_key_file_of_another_gateway_is_refused_for_this_journal(path):
    made(path)
    with pytest.raises(WrongKeyFileError):
        open_key_file(path, "lab", [ring(FOREIGN).seal(ONE, "oscore", b"secret")], NOW_MS)


def damaged(text: str) -> list[str]:
    content = json.loads(text)
    other = json.dumps(content | {"pave_key_file": 2})
    short = text.replace(content["sealing"][0]["key"], content["sealing"][0]["key"][2:])
    return ["", text[: len(text) // 2], "[]", other, short, json.dumps(content | {"sealing": []})]


def test_a_damaged_key_file_is_refused_and_no_key_is_in_the_message(path):
    file = made(path)
    for text in damaged(path.read_text()):
        path.write_text(text)
        with pytest.raises(KeyFileError, match=r"damaged: .*; put its copy back") as caught:
            load_key_file(path)
        assert file.sealing[0].key.hex()[2:] not in str(caught.value)


def test_a_key_file_that_cannot_be_written_is_an_error_that_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match=r"site.keys: Not a directory; check its owner and its folder"):
        made(tmp_path / "file" / "site.keys")


def test_no_key_is_in_the_words_of_a_key_file(path):
    file = made(path)
    assert file.sealing[0].key.hex() not in repr(file)
    assert repr(file.sealing[0].key) not in repr(file)


# Rotation


def lab(disk: Disk, file: KeyFile) -> Site:
    return Site(disk, file.keyring(random_bytes_from(3)))


def rotate(path: Path, database: Path) -> None:
    """What the operator's command does: a key more in the file, then everything sealed anew."""
    disk = Disk(database)
    file = load_key_file(path)
    sealed = registry_tables.load(disk.db).sealed
    site = lab(disk, file)
    grown = begin_rotation(path, file, [value for _, value in sealed], NOW_MS)
    assert isinstance(site.do("reseal", grown.keyring(), sealed, ()), Recorded)
    assert site.keyring is not site.registrar.keyring, "what comes next is sealed under the new key"
    disk.db.close()


def state(path: Path, database: Path) -> tuple[dict[str, bytes], set[bytes]]:
    """Return every device's master secret, opened with the key file, and the ids of the keys that sealed them."""
    disk = Disk(database)
    file = load_key_file(path)
    sealed = registry_tables.load(disk.db).sealed
    open_key_file(path, "lab", [value for _, value in sealed], NOW_MS)
    keys = {own.device: own.master_secret for own in lab(disk, file).keys.all_oscore()}
    disk.db.close()
    return keys, {id_in(value) for _, value in sealed}


@pytest.fixture
def rotating(path: Path, tmp_path: Path) -> tuple[Path, Path]:
    database = tmp_path / "journal.sqlite"
    site = lab(Disk(database), made(path))
    site.bring(record(ONE), record(TWO), record(THREE))
    site.disk.db.close()
    return path, database


def test_after_a_rotation_everything_is_sealed_under_the_new_key_and_opens_as_before(rotating):
    path, database = rotating
    keys, ids = state(path, database)
    rotate(path, database)
    after, new_ids = state(path, database)
    assert (after, len(after)) == (keys, 3)
    assert new_ids == {key_id(load_key_file(path).sealing[-1].key)} != ids
    assert len(load_key_file(path).sealing) == 2, "the old key stays, for older backups"
    backup = ring(load_key_file(path).sealing[0].key)
    assert backup.open(ONE, PURPOSE, backup.seal(ONE, PURPOSE, b"")) == b""


def test_what_other_parts_keep_sealed_is_sealed_anew_in_the_same_transaction(rotating):
    path, database = rotating
    disk = Disk(database)
    sealed = registry_tables.load(disk.db).sealed
    site = lab(disk, load_key_file(path))
    grown = begin_rotation(path, load_key_file(path), [value for _, value in sealed], NOW_MS).keyring()
    other = replace(site.registry.device(ONE), note="a row of another part")
    site.disk.fault = "journal: the disk is full"
    assert not isinstance(site.do("reseal", grown, sealed, (other,)), Recorded)
    assert registry_tables.load(disk.db).sealed == sealed
    site.disk.fault = ""
    assert isinstance(site.do("reseal", grown, sealed, (other,)), Recorded)
    stored = registry_tables.load(disk.db)
    assert all(grown.is_newest(value) for _, value in stored.sealed)
    assert other in stored.devices


def test_a_value_that_does_not_open_stops_a_rotation_before_anything_is_written(rotating):
    path, database = rotating
    disk = Disk(database)
    sealed = registry_tables.load(disk.db).sealed
    site = lab(disk, load_key_file(path))
    grown = begin_rotation(path, load_key_file(path), [value for _, value in sealed], NOW_MS).keyring()
    with pytest.raises(TamperedError):
        site.do("reseal", grown, [*sealed[:2], (sealed[2][0], sealed[2][1][:-1] + b"?")], ())
    assert registry_tables.load(disk.db).sealed == sealed
    assert site.registrar.change(ANNE).rows == [], "the next act is not held up"


def test_a_key_file_has_room_for_a_bounded_number_of_keys(path):
    file = made(path)
    file = KeyFile(file.site, file.sealing * 64, file.opening)
    with pytest.raises(KeyFileError, match="64 sealing keys; take out those that no backup needs"):
        begin_rotation(path, file, [], NOW_MS)


def killed_at(step: int, path: Path, database: Path, rotation: Rotation) -> bool:
    """Run `rotation` in a child that dies at its `step`th act on the disk; return whether it got to its end."""
    child = os.fork()
    if child == 0:
        try:
            _die_at(step)
            rotation(path, database)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED)
    return status == 0


def _die_at(step: int) -> None:
    """Let this process die at its `step`th fsync, rename or row."""
    steps = itertools.count(1)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            if next(steps) == step:
                os._exit(KILLED)
            return function(*arguments)

        return act

    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)
    for kind, writer in registry_tables.WRITERS.items():
        registry_tables.WRITERS[kind] = counted(writer)


def campaign(path: Path, database: Path, rotation: Rotation) -> int:
    """Kill `rotation` at each of its steps, look whether all keys open, repeat it; return how many steps there are."""
    before = path.read_bytes(), database.read_bytes()
    keys, _ = state(path, database)
    steps = 0
    while not killed_at(steps + 1, path, database, rotation):
        steps += 1
        assert state(path, database)[0] == keys, f"killed at step {steps}"
        rotation(path, database)
        after, ids = state(path, database)
        assert (after, len(ids)) == (keys, 1), f"repeated after step {steps}"
        assert len(load_key_file(path).sealing) <= 2, f"a second new key when repeated after step {steps}"
        path.write_bytes(before[0])
        database.write_bytes(before[1])
    return steps


def test_a_rotation_killed_at_any_step_leaves_all_keys_open_and_is_finished_by_repeating_it(rotating):
    # Two fsync and a rename of the file; an act and three keys in the transaction.
    assert campaign(*rotating, rotate) == 7


def test_the_campaign_sees_a_rotation_that_forgets_the_old_key_too_early(rotating):
    def careless(path: Path, database: Path) -> None:
        disk = Disk(database)
        sealed = registry_tables.load(disk.db).sealed
        old = load_key_file(path)
        grown = begin_rotation(path, old, [value for _, value in sealed], NOW_MS)
        key_file._write(path, KeyFile(grown.site, grown.sealing[-1:], grown.opening), replacing=True)
        assert isinstance(lab(disk, old).do("reseal", grown.keyring(), sealed, ()), Recorded)
        disk.db.close()

    with pytest.raises(WrongKeyFileError):
        campaign(*rotating, careless)
