"""Provisioning records as the technician's laptop makes them, read here with the operator's private key."""

import base64
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pave_tools.provisioning import (
    Flashed,
    ProvisioningError,
    Reader,
    make_record,
    new_lora_keys,
    new_oscore_keys,
    public_hex,
    read_reader,
    technician_key,
    write_record,
)

DEVICE = "24a160fffe000101"
FLASHED = Flashed(DEVICE, "presence", "pave-presence-v1", "0.1.0", 28_317_600, "Straße")
JEANNE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
GATEWAY, SPARE = (X25519PrivateKey.from_private_bytes(bytes([n] * 32)) for n in (1, 2))
GATEWAY_ID = bytes(7)
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def reader(private: X25519PrivateKey, site: str = "lab") -> Reader:
    return Reader(site, GATEWAY_ID, private.public_key())


def opened(record: bytes, private: X25519PrivateKey, box: int = 0) -> tuple[bytes, dict[str, Any]]:
    """Return (signature, content), as the format says and by nothing of ours."""
    envelope = json.loads(record)
    info = f"pave provisioning record 1\0{envelope['site']}\0{envelope['device']}\0{envelope['epoch']}".encode()
    signed = SUITE.decrypt(base64.b64decode(envelope["sealed"][box]["box"]), private, info)
    return signed[:64], json.loads(signed[64:])


def test_a_record_says_who_made_what_and_its_reader_alone_can_read_it() -> None:
    oscore = new_oscore_keys(DEVICE, reader(GATEWAY))
    lora = new_lora_keys(bytes.fromhex("0200000000000001"))
    record = make_record(FLASHED, oscore, lora, JEANNE, [reader(GATEWAY)])
    signature, content = opened(record, GATEWAY)
    assert content == {
        "version": 1, "site": "lab", "device": DEVICE, "kind": "presence", "board": "pave-presence-v1",
        "firmware": "0.1.0", "epoch": 28_317_600, "signer": public_hex(JEANNE), "note": "Straße",
        "oscore": {"secret": oscore.secret.hex(), "salt": oscore.salt.hex(), "device_id": "24a160000101"},
        "lora": {"join_eui": "0200000000000001", "app_key": lora.app_key.hex()},
    }  # fmt: skip
    raw = json.dumps(content).encode()
    JEANNE.public_key().verify(signature, b"pave provisioning record\0" + raw)
    with pytest.raises(InvalidSignature):
        JEANNE.public_key().verify(signature, raw)
    with pytest.raises(InvalidTag):
        opened(record, SPARE)


def test_keys_are_random_and_never_made_of_the_mac() -> None:
    made = [new_oscore_keys(DEVICE, reader(GATEWAY)) for _ in range(100)]
    assert len({keys.secret for keys in made} | {keys.salt for keys in made}) == 200
    assert {(keys.device_id, keys.gateway_id) for keys in made} == {(bytes.fromhex("24a160000101"), GATEWAY_ID)}
    assert len({new_lora_keys(bytes(8)).app_key for _ in range(100)}) == 100
    assert made[0].secret.hex() not in repr(made[0])


def test_a_record_can_have_a_spare_reader() -> None:
    record = make_record(FLASHED, None, new_lora_keys(bytes(8)), JEANNE, [reader(GATEWAY), reader(SPARE)])
    assert opened(record, GATEWAY) == opened(record, SPARE, box=1)
    assert opened(record, GATEWAY)[1]["oscore"] is None


@pytest.mark.parametrize("sites", [[], ["lab", "paris"]])
def test_a_record_is_for_one_site(sites: list[str]) -> None:
    with pytest.raises(ProvisioningError, match="readers of one site"):
        make_record(FLASHED, None, new_lora_keys(bytes(8)), JEANNE, [reader(GATEWAY, site) for site in sites])


def test_a_record_without_keys_is_none() -> None:
    with pytest.raises(ProvisioningError, match="needs keys"):
        make_record(FLASHED, None, None, JEANNE, [reader(GATEWAY)])


@pytest.mark.parametrize("device", ["24A160FFFE000101", "24a1600000000101", "24a160fffe0001"])
def test_a_device_that_is_no_mac_is_refused(device: str) -> None:
    with pytest.raises(ProvisioningError, match="should be a MAC as EUI-64"):
        new_oscore_keys(device, reader(GATEWAY))


def test_a_record_is_written_whole_and_an_older_one_stays(tmp_path: Path) -> None:
    paths = [
        write_record(tmp_path / "records", Flashed(DEVICE, "presence", "b", "f", epoch), b"%d" % epoch)
        for epoch in (1, 2, 2)
    ]
    assert [path.name for path in paths] == [f"{DEVICE}-1.pave", f"{DEVICE}-2.pave", f"{DEVICE}-2.pave"]
    assert sorted(path.read_bytes() for path in (tmp_path / "records").iterdir()) == [b"1", b"2"]


def test_a_technicians_key_is_made_once_and_is_theirs_alone(tmp_path: Path) -> None:
    path = tmp_path / "pave" / "technician.key"
    first = technician_key(path)
    assert public_hex(technician_key(path)) == public_hex(first)
    assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_hex(technician_key(tmp_path / "other.key")) != public_hex(first)


@pytest.mark.parametrize("text", ["", "zz", "00" * 31])
def test_a_file_that_is_no_technicians_key_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "technician.key"
    path.write_text(text)
    with pytest.raises(ProvisioningError, match="not a technician's key; move it away"):
        technician_key(path)
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProvisioningError, match="keep the key in a folder of yours"):
        technician_key(tmp_path / "file" / "technician.key")


def test_a_gateways_public_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lab.pub"
    public = GATEWAY.public_key().public_bytes_raw().hex()
    path.write_text(json.dumps({"pave_gateway": 1, "site": "lab", "gateway_id": "01" * 7, "public_key": public}))
    found = read_reader(path)
    assert (found.site, found.gateway_id, found.public.public_bytes_raw().hex()) == ("lab", bytes([1] * 7), public)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pave_gateway": 2}', '{"pave_gateway": 1, "public_key": "00"}'])
def test_a_file_that_is_no_public_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lab.pub"
    path.write_text(text)
    with pytest.raises(ProvisioningError, match="not a gateway's public file of version 1"):
        read_reader(path)
    with pytest.raises(ProvisioningError, match="ask the operator"):
        read_reader(tmp_path / "missing.pub")
