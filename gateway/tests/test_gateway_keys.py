"""Keys at rest: what opens, what does not, and why; the key file and its permissions."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest
from registry_support import ONE, THREE, TWO, Disk, Site, random_bytes_from, record

from pave_gateway.core.keys import GATEWAY_ID_BYTES, draw_gateway_id
from pave_gateway.core.keys_sealed import (
    AesKeyring,
    PurposeKeyring,
    TamperedError,
    UnknownKeyError,
    WrongKeyFileError,
    id_in,
    key_id,
)
from pave_gateway.store import key_file
from pave_gateway.store.key_file import KeyFile, KeyFileError, load_key_file, open_key_file

OLD, NEW, FOREIGN = (hashlib.sha256(name).digest() for name in (b"old", b"new", b"foreign"))
NOW_MS = 1_795_000_000_000


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
