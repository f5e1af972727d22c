"""Provisioning records: made by the technician's tool, opened by the gateway; what is refused; what an import does."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from registry_support import (
    ANNE,
    GATEWAY_ID,
    JEANNE,
    JEANNES_KEY,
    KIOSK,
    ONE,
    TECHNICIANS,
    THREE,
    TWO,
    Site,
    content,
    random_bytes_from,
    record,
    signed,
    site,
)

from pave_gateway import provisioning, provisioning_export
from pave_gateway.config_registry import RegistryConfig
from pave_gateway.core import limits
from pave_gateway.core.keys_record import RecordError, flashed_at, parse, verify
from pave_gateway.core.registry_import import Import
from pave_gateway.provisioning import ImportResult, import_records, open_record, open_records, seal_record
from pave_gateway.store import registry_tables
from pave_gateway.store.key_file import KeyFile, open_key_file
from pave_tools import provisioning as tool

MALLORY = Ed25519PrivateKey.from_private_bytes(bytes(32))
NOW_MS = 1_795_000_000_000


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    return open_key_file(tmp_path / "lab.keys", "lab", [], NOW_MS, random_bytes_from(11))


@pytest.fixture
def reader(key_file: KeyFile, tmp_path: Path) -> tool.Reader:
    path = tmp_path / "lab.pub"
    path.write_bytes(provisioning.public_file(key_file, GATEWAY_ID))
    return tool.read_reader(path)


def from_the_tool(reader: tool.Reader, device: str = ONE, epoch: int = 1000, **other: Any) -> bytes:
    flashed = tool.Flashed(device, "presence", "pave-presence-v1", "0.1.0", epoch, "from the van")
    oscore = tool.new_oscore_keys(device, reader)
    lora = tool.new_lora_keys(bytes.fromhex("0200000000000001"))
    return tool.make_record(flashed, oscore, lora, other.get("by", JEANNE), other.get("readers", [reader]))


def sealed(fields: dict[str, Any], key_file: KeyFile, by: Ed25519PrivateKey = JEANNE, **outside: Any) -> bytes:
    """Return a record with this content, `outside` saying something else where it is given."""
    opened = parse(signed(content()))
    object.__setattr__(opened, "signed", signed(fields, by))
    for name in ("site", "device", "epoch"):
        object.__setattr__(opened, name, outside.get(name, fields[name]))
    return seal_record(opened, [key_file.private_keys()[0].public_key()])


def refusal(raw: bytes, key_file: KeyFile, technicians: dict[str, str] = TECHNICIANS) -> str:
    with pytest.raises(RecordError) as caught:
        open_record(raw, key_file, technicians)
    return str(caught.value)


# One record


def test_the_gateway_opens_what_the_tool_has_sealed(key_file, reader):
    flashed = tool.Flashed(ONE, "presence", "pave-presence-v1", "0.1.0", 1000, "Straße, 2. Stock")
    oscore = tool.new_oscore_keys(ONE, reader)
    lora = tool.new_lora_keys(bytes.fromhex("0200000000000001"))
    opened = open_record(tool.make_record(flashed, oscore, lora, JEANNE, [reader]), key_file, TECHNICIANS)
    assert (opened.device, opened.kind, opened.board, opened.firmware, opened.epoch, opened.note) == (
        ONE, "presence", "pave-presence-v1", "0.1.0", 1000, "Straße, 2. Stock",
    )  # fmt: skip
    own = opened.secrets.oscore
    assert (own.master_secret, own.master_salt, own.device_id, own.id_context) == (
        oscore.secret, oscore.salt, bytes.fromhex("24a160000101"), None,
    )  # fmt: skip
    assert (opened.secrets.lora.app_key, opened.secrets.lora.join_eui) == (lora.app_key, lora.join_eui)
    assert opened.secrets.lora.dev_eui == ONE
    assert oscore.gateway_id == GATEWAY_ID


def test_neither_keys_nor_words_of_the_technician_can_be_read_on_the_way(reader):
    oscore = tool.new_oscore_keys(ONE, reader)
    flashed = tool.Flashed(ONE, "presence", "pave-presence-v1", "0.1.0", 1000, "from the van")
    raw = tool.make_record(flashed, oscore, None, JEANNE, [reader])
    for secret in (oscore.secret, oscore.secret.hex().encode(), b"van", JEANNES_KEY.encode()):
        assert secret not in raw


def test_any_change_of_a_record_is_seen(key_file, reader):
    raw = from_the_tool(reader)
    refused = 0
    for index in range(len(raw)):
        changed = raw[:index] + bytes((raw[index] ^ 1,)) + raw[index + 1 :]
        try:
            opened = open_record(changed, key_file, TECHNICIANS)
        except RecordError:
            refused += 1
        else:  # a space between the fields, or base64 of what follows the last byte
            assert opened == open_record(raw, key_file, TECHNICIANS)
    assert refused > 0.95 * len(raw)


@pytest.mark.parametrize(
    ("name", "value"), [("device", TWO), ("epoch", 2000), ("site", "paris"), ("pave_provisioning", 2)]
)
def test_what_a_record_says_outside_cannot_be_changed(key_file, reader, name, value):
    changed = json.dumps(json.loads(from_the_tool(reader)) | {name: value}).encode()
    said = {
        "site": "the record is for site 'paris', and this is 'lab'; import it there",
        "pave_provisioning": "a record of another version; update the gateway, or flash with the older tool",
    }
    changed_inside = "the record was changed or damaged on its way; copy it again from the technician's laptop"
    assert refusal(changed, key_file) == said.get(name, changed_inside)


@pytest.mark.parametrize(("name", "value"), [("device", TWO), ("epoch", 2000), ("site", "paris")])
def test_a_record_that_is_of_another_device_inside_than_outside_is_refused(key_file, name, value):
    fields = content() | {name: value}
    raw = sealed(fields, key_file, site="lab", device=ONE, epoch=1000)
    assert "of another device inside than outside" in refusal(raw, key_file)


def test_a_record_of_someone_the_site_file_does_not_name_is_refused_with_the_key_to_add(key_file, reader):
    said = refusal(from_the_tool(reader), key_file, {})
    assert f"signed by {JEANNES_KEY}, whom the site file does not name" in said
    assert "add [[registry.technician]]" in said


def test_a_record_signed_by_another_than_it_says_is_refused(key_file):
    raw = sealed(content(), key_file, by=MALLORY)
    assert "the signature is not that of" in refusal(raw, key_file)
    with pytest.raises(RecordError):
        verify(parse(signed(content(signer="00" * 32), MALLORY)))


def test_a_signature_of_the_technician_over_something_else_is_not_one_of_a_record():
    raw = json.dumps(content()).encode()
    with pytest.raises(RecordError, match="the record was changed"):
        verify(parse(JEANNE.sign(raw) + raw))


def test_a_record_for_another_gateway_says_for_whom_it_is_and_what_to_do(key_file, tmp_path, reader):
    other = open_key_file(tmp_path / "other.keys", "lab", [], NOW_MS, random_bytes_from(12))
    said = refusal(from_the_tool(reader), other)
    ids = [provisioning.reader_id(file.private_keys()[0].public_key()) for file in (key_file, other)]
    assert f"sealed for {ids[0]}, and this gateway is {ids[1]}; put the key file back" in said


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"version": 2}, "version"),
    ({"device": "24A160FFFE000101"}, "device"),
    ({"epoch": -1}, "epoch"),
    ({"epoch": 1 << 32}, "epoch"),
    ({"epoch": True}, "epoch"),
    ({"kind": ""}, "kind"),
    ({"note": "a\nb"}, "note"),
    ({"note": "x" * 201}, "note"),
    ({"oscore": None, "lora": None}, "neither oscore nor lora keys"),
    ({"oscore": {"secret": "00" * 15, "salt": "", "device_id": "01"}}, "oscore.secret"),
    ({"oscore": {"secret": "00" * 16, "salt": "", "device_id": ""}}, "oscore.device_id"),
    ({"oscore": {"secret": "00" * 16, "salt": "", "device_id": "00" * 8}}, "oscore.device_id"),
    ({"oscore": {"secret": "00" * 16, "salt": "", "device_id": "01", "alg": 10}}, "oscore.alg"),
    ({"lora": {"join_eui": "0200000000000001", "app_key": "5e" * 15}}, "lora.app_key"),
    ({"unknown": 1}, "unknown"),
]


@pytest.mark.parametrize(("wrong", "named"), WRONG)
def test_content_that_is_not_of_this_version_is_refused_by_the_name_of_the_field_and_without_its_value(wrong, named):
    with pytest.raises(RecordError) as caught:
        parse(signed(content() | wrong))
    assert named in str(caught.value).partition("not that of version 1: ")[2]
    assert "5e5e" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"null", b"\xff\xfe", b"{}" * 10_000, b'{"pave_provisioning": 1}'])
def test_a_file_that_is_no_record_is_refused_in_words(key_file, raw):
    said = "more than 16384 bytes" if len(raw) > limits.RECORD_BYTES else "not a provisioning record"
    assert refusal(raw, key_file).startswith(said)


def test_a_box_that_is_no_base64_or_too_short_is_refused(key_file, reader):
    envelope = json.loads(from_the_tool(reader))
    for box in ("", "!!!", "AAAA", "A" * 100):
        envelope["sealed"][0]["box"] = box
        assert "damaged on its way" in refusal(json.dumps(envelope).encode(), key_file)


def test_a_record_for_several_readers_opens_for_each_of_them_alone(key_file, reader, tmp_path):
    spare, foreign = (
        open_key_file(tmp_path / f"{seed}.keys", "lab", [], NOW_MS, random_bytes_from(seed)) for seed in (21, 22)
    )
    path = tmp_path / "spare.pub"
    path.write_bytes(provisioning.public_file(spare, b""))
    raw = from_the_tool(reader, readers=[reader, tool.read_reader(path)])
    assert open_record(raw, key_file, TECHNICIANS) == open_record(raw, spare, TECHNICIANS)
    assert "is sealed for" in refusal(raw, foreign)


def test_who_can_open_a_record_can_seal_it_for_another_and_the_signature_still_holds(key_file, reader, tmp_path):
    successor = open_key_file(tmp_path / "successor.keys", "lab", [], NOW_MS, random_bytes_from(23))
    opened = open_record(from_the_tool(reader), key_file, TECHNICIANS)
    public = provisioning.public_key_in(provisioning.public_file(successor, GATEWAY_ID), "lab")
    assert open_record(seal_record(opened, [public]), successor, TECHNICIANS) == opened


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b'{"pave_gateway": 2}', b'{"pave_gateway": 1, "public_key": "00"}', b"[1]"]
)
def test_a_file_that_is_no_public_key_is_refused(raw):
    with pytest.raises(RecordError, match="not a gateway's public key file"):
        provisioning.public_key_in(raw, "lab")


def test_the_public_file_of_another_sites_gateway_is_refused_before_anything_is_sealed_for_it(tmp_path):
    elsewhere = open_key_file(tmp_path / "elsewhere.keys", "paris", [], NOW_MS, random_bytes_from(24))
    public = provisioning.public_file(elsewhere, GATEWAY_ID)
    with pytest.raises(RecordError, match=r"of site 'paris', and these devices are of 'lab'.*; name the gateway\.json"):
        provisioning.public_key_in(public, "lab")
    without = json.dumps({name: value for name, value in json.loads(public).items() if name != "site"}).encode()
    with pytest.raises(RecordError, match="not a gateway's public key file"):
        provisioning.public_key_in(without, "lab")


# Imports


def test_an_import_is_idempotent_in_any_order():
    records = [record(ONE, 1), record(TWO, 2), record(ONE, 3)]
    forward, backward, slowly = site(), site(), site()
    forward.bring(*records)
    backward.bring(*reversed(records))
    for one in records:
        slowly.bring(one)
    assert forward.bring(*records) == {f"{ONE}:1": "older", f"{ONE}:3": "known", f"{TWO}:2": "known"}
    for lab in (forward, backward, slowly):
        assert {known.device: known.epoch for known in lab.registry.devices()} == {ONE: 3, TWO: 2}
        assert lab.keys.secrets(ONE) == record(ONE, 3).secrets
        assert lab.restarted().keys.secrets(ONE) == record(ONE, 3).secrets


def test_new_keys_replace_old_ones_with_a_line_in_the_trail_and_the_replay_window_is_forgotten():
    lab = site()
    lab.bring(record(ONE, 1))
    lab.do("assign", "bay-1", ONE)
    lab.disk.forgotten.clear()
    assert lab.bring(record(ONE, 2)) == {f"{ONE}:2": "replaced"}
    assert lab.keys.oscore(ONE).master_secret == record(ONE, 2).secrets.oscore.master_secret
    assert (lab.disk.forgotten, lab.changed[-1]) == ([ONE], ONE)
    assert lab.registry.device_at("bay-1") == ONE, "it still stands where it stood"
    last = registry_tables.acts(lab.disk.db, 2, 10)[-1]
    assert (last.act, last.device, last.actor) == ("provision", ONE, "anne")
    assert last.detail == "replaced, flashed 2026-01-01T00:00:02Z"


def test_an_older_record_never_replaces_a_newer_one_and_says_what_to_do():
    lab = site()
    lab.bring(record(ONE, 2))
    (judged,) = lab.judged(record(ONE, 1))
    assert judged.verdict.value == "older"
    assert judged.detail == f"{ONE} was provisioned anew on 2026-01-01T00:00:02Z; if it shall be used, flash it again"
    assert lab.keys.secrets(ONE) == record(ONE, 2).secrets


def other_keys(epoch: int) -> Any:
    return record(ONE, epoch, lora={"join_eui": "0200000000000001", "app_key": "ff" * 16})


def test_two_records_of_one_epoch_with_other_keys_are_a_conflict_and_neither_is_taken():
    lab = site()
    assert [one.verdict.value for one in lab.judged(record(ONE, 5), other_keys(5))] == ["conflict", "conflict"]
    assert lab.registry.device(ONE) is None
    lab.bring(record(ONE, 5))
    (judged,) = lab.judged(other_keys(5))
    assert (judged.verdict.value, judged.detail[:27]) == ("conflict", "two records of one epoch wi")
    assert lab.keys.secrets(ONE) == record(ONE, 5).secrets
    assert lab.bring(other_keys(6)) == {f"{ONE}:6": "replaced"}, "flashing again ends it"


def test_the_same_record_twice_in_one_import_is_taken_once():
    lab = site()
    assert sorted(one.verdict.value for one in lab.judged(record(ONE), record(ONE))) == ["added", "known"]
    assert lab.registry.last_act == 1


def test_a_retired_device_comes_back_by_a_newer_record_only():
    lab = site()
    lab.bring(record(ONE, 5))
    lab.do("retire", ONE)
    assert lab.bring(record(ONE, 5)) == {f"{ONE}:5": "older"}
    assert lab.registry.state(ONE) == "retired"
    assert lab.bring(record(ONE, 6)) == {f"{ONE}:6": "replaced"}
    assert lab.registry.state(ONE) == "provisioned"
    assert lab.registry.device(ONE).added_ms == ANNE.now_ms


def test_two_devices_never_share_an_oscore_id():
    lab = site()
    clash = {"oscore": {"secret": "00" * 16, "salt": "", "device_id": "24a160000101"}}
    judged = {one.record.device: one for one in lab.judged(record(ONE), record(TWO, **clash))}
    assert (judged[ONE].verdict.value, judged[TWO].verdict.value) == ("added", "conflict")
    assert judged[TWO].detail == f"OSCORE ID 24a160000101 is that of device {ONE}; flash one of them with another"
    assert lab.bring(record(THREE, **clash)) == {f"{THREE}:1000": "conflict"}
    lab.do("retire", ONE)
    assert lab.bring(record(THREE, **clash)) == {f"{THREE}:1000": "added"}


def test_a_device_never_has_the_gateways_own_id():
    lab = site()
    lab.do("begin_life", GATEWAY_ID)
    same = {"oscore": {"secret": "00" * 16, "salt": "", "device_id": GATEWAY_ID.hex()}}
    assert lab.bring(record(ONE, **same)) == {f"{ONE}:1000": "conflict"}


@pytest.mark.parametrize("held", [False, True])
def test_a_large_import_goes_in_parts_and_each_part_is_on_disk_before_the_next(held):
    lab = site()
    records = [record(f"24a160fffe01{number:04x}") for number in range(1000)]
    finished: list[Any] = []
    if held:
        lab.disk.held = []
    Import(lab.registrar, records, TECHNICIANS, ANNE).start(finished.append)
    parts = 0
    while held and not finished:
        group, lab.disk.held = lab.disk.held, []
        parts += len(group)
        assert len(group) == 1
        for rows, done in group:
            done(lab.disk.write(rows))
    assert [one.verdict.value for one in finished[0]] == ["added"] * 1000
    assert sum(1 for _ in lab.restarted().keys.all_oscore()) == 1000
    assert not held or parts == -(-1000 // limits.RECORDS_PER_CHANGE)


def test_a_disk_that_fails_in_the_middle_of_an_import_is_told_and_the_rest_comes_with_the_next():
    lab = site()
    records = [record(f"24a160fffe01{number:04x}") for number in range(600)]
    lab.disk.held, finished = [], []
    Import(lab.registrar, records, TECHNICIANS, ANNE).start(finished.append)
    (rows, done), lab.disk.held = lab.disk.held[0], None
    lab.disk.fault, outcome = "journal: the disk is full", lab.disk.write(rows)
    done(outcome)
    assert {one.verdict.value for one in finished[0]} == {"added", "not_stored"}
    failed = [one for one in finished[0] if one.verdict.value == "not_stored"]
    assert (len(failed), failed[0].detail) == (344, "journal: the disk is full; import it again")
    lab.disk.fault = ""
    assert sorted(lab.bring(*records).values()) == ["added"] * 344 + ["known"] * 256


def test_an_import_while_another_change_is_written_is_told_to_come_again():
    lab = site()
    lab.bring(record(TWO))
    lab.disk.held = []
    lab.registrar.assign("bay-1", TWO, ANNE, lambda outcome: None)
    (judged,) = lab.judged(record(ONE))
    assert judged.detail == "another change of the registry is being written; try again in a moment; import it again"


# Files


def test_files_and_folders_are_imported_and_one_bad_file_stops_no_other(key_file, reader, tmp_path):
    folder = tmp_path / "records"
    for device in (ONE, TWO):
        flashed = tool.Flashed(device, "presence", "b", "f", 1000)
        tool.write_record(folder, flashed, from_the_tool(reader, device))
    (folder / "notes.txt").write_text("not a record")
    (folder / "a.pave").write_text("{")
    (tmp_path / "empty").mkdir()
    paths = [folder, tmp_path / "missing.pave", tmp_path / "empty"]
    lab = site()
    finished: list[Any] = []
    import_records(paths, key_file, TECHNICIANS, lab.registrar, ANNE, finished.append)
    results = {Path(one.source).name: one for one in finished[0]}
    assert {name: one.result for name, one in results.items()} == {
        f"{ONE}-1000.pave": "added",
        f"{TWO}-1000.pave": "added",
        "a.pave": "refused",
        "missing.pave": "refused",
        "empty": "refused",
    }
    assert results["missing.pave"].detail == "No such file or directory; check the path and its permissions"
    assert json.dumps(results["a.pave"].as_json())
    assert not list(folder.glob("*.new"))


def test_an_import_is_bounded(key_file, reader, monkeypatch):
    monkeypatch.setattr(limits, "RECORDS_PER_IMPORT", 1)
    raw = from_the_tool(reader)
    opened = open_records(iter([("a", raw), ("b", raw)]), key_file, TECHNICIANS)
    assert [source for source, _ in opened.records] == ["a"]
    assert opened.refused == [ImportResult("b", "", "refused", "more than 1 records at once; import it separately")]


# Exports


def populated() -> Site:
    lab = site()
    lab.bring(record(ONE, note='=cmd|"calc"'), record(TWO), record(KIOSK))
    lab.do("assign", "bay-1", ONE)
    lab.do("retire", TWO)
    return lab


def test_an_export_lists_every_device_without_a_secret():
    lab = populated()
    exported = provisioning_export.as_json(lab.registry), provisioning_export.as_csv(lab.registry)
    for text in exported:
        assert record(ONE).secrets.oscore.master_secret.hex() not in text
    devices = json.loads(exported[0])["devices"]
    assert [(one["device"], one["state"], one["place"]) for one in devices] == [
        (ONE, "active", "bay-1"),
        (TWO, "retired", ""),
        (KIOSK, "provisioned", ""),
    ]
    assert devices[0]["flashed"] == flashed_at(1000) == "2026-01-01T00:16:40Z"
    assert devices[0]["technician"] == "Jeanne"
    assert json.loads(exported[0])["places"]["bay-1"][0]["device"] == ONE


def test_a_spreadsheet_carries_nothing_out_that_a_technician_wrote():
    rows = list(csv.DictReader(io.StringIO(provisioning_export.as_csv(populated().registry))))
    assert tuple(rows[0]) == provisioning_export.COLUMNS
    assert rows[0]["note"] == '\'=cmd|"calc"'
    assert rows[1]["note"] == "from the van"


def test_sealed_records_move_a_whole_registry_to_another_gateway(tmp_path):
    lab = populated()
    successor = open_key_file(tmp_path / "successor.keys", "lab", [], NOW_MS, random_bytes_from(24))
    public = successor.private_keys()[0].public_key()
    stored = registry_tables.load(lab.disk.db)
    exported = list(provisioning_export.sealed_records(stored.sealed, lab.keyring, [public]))
    assert [name for name, _ in exported] == [f"{ONE}-1000.pave", f"{KIOSK}-1000.pave"]
    opened = open_records(iter(exported), successor, TECHNICIANS)
    other = site()
    other.bring(*(one for _, one in opened.records))
    for device in (ONE, KIOSK):
        assert other.keys.secrets(device) == lab.keys.secrets(device)


# Configuration


def test_the_key_file_lies_beside_the_journal_unless_the_site_file_says_otherwise():
    config = RegistryConfig.model_validate({"technician": [{"name": "Jeanne", "key": JEANNES_KEY}]})
    assert config.key_path(Path("var/lab/journal.sqlite")) == Path("var/lab/journal.sqlite.keys")
    assert config.technicians() == TECHNICIANS
    assert RegistryConfig(key_file=Path("/etc/pave/lab.keys")).key_path(Path("j")) == Path("/etc/pave/lab.keys")
