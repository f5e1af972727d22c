"""The keys that go into a device's NVS, and the record that is written before."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pave_tools.board import Board
from pave_tools.device_keys import OSCORE_NAMESPACE, Provisioner, lora_values, oscore_values
from pave_tools.image import DeviceSettings, build_flash_image
from pave_tools.provisioning import Flashed, LoraKeys, OscoreKeys, Reader

DEVICE = "24a160fffe000101"
FLASHED = Flashed(DEVICE, "presence", "pave-presence-v1", "0.1.0", 1000)
GATEWAY = X25519PrivateKey.from_private_bytes(bytes([1] * 32))
GATEWAY_ID = b"gateway"
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def provisioner(records: Path, asked: list[int] | None = None) -> Provisioner:
    """A provisioner whose random bytes are all alike; `asked` is told how many each time."""

    def random_bytes(count: int) -> bytes:
        if asked is not None:
            asked.append(count)
        return bytes([count] * count)

    technician = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return Provisioner(technician, [Reader("lab", GATEWAY_ID, GATEWAY.public_key())], records, random_bytes)


def test_nvs_begins_with_counters_that_nobody_has_used() -> None:
    values = oscore_values(OscoreKeys(b"s" * 16, b"a" * 8, b"device", GATEWAY_ID))
    assert values == {
        "secret": b"s" * 16, "salt": b"a" * 8, "id": b"device", "gateway": bytes(10) + GATEWAY_ID, "reserved": 0,
    }  # fmt: skip


def test_lora_keys_are_in_nvs_and_record_alike_with_counters_that_nobody_has_used(tmp_path: Path) -> None:
    values = provisioner(tmp_path).provision_lora(FLASHED, b"JoinEUI.")
    assert values == lora_values(LoraKeys(b"JoinEUI.", bytes([16] * 16)), bytes.fromhex(DEVICE))
    assert {key: values[key] for key in ("dev_nonce", "join_nonce", "airtime_ms")} == {
        "dev_nonce": 0, "join_nonce": 0, "airtime_ms": 0,
    }  # fmt: skip
    (record,) = tmp_path.iterdir()
    box = base64.b64decode(json.loads(record.read_text())["sealed"][0]["box"])
    said = json.loads(SUITE.decrypt(box, GATEWAY, f"pave provisioning record 1\0lab\0{DEVICE}\0001000".encode())[64:])
    assert said["lora"] == {"join_eui": b"JoinEUI.".hex(), "app_key": bytes([16] * 16).hex()} and not said["oscore"]


def test_the_record_says_what_nvs_holds_and_keys_come_from_the_source_that_was_given(tmp_path: Path) -> None:
    asked: list[int] = []
    values = provisioner(tmp_path, asked).provision(FLASHED)
    assert asked == [16, 8] and values["secret"] == bytes([16] * 16)
    (record,) = tmp_path.iterdir()
    assert record.name == f"{DEVICE}-1000.pave"
    box = base64.b64decode(json.loads(record.read_text())["sealed"][0]["box"])
    info = f"pave provisioning record 1\0lab\0{DEVICE}\0001000".encode()
    said = json.loads(SUITE.decrypt(box, GATEWAY, info)[64:])["oscore"]
    assert said == {key: bytes(values[nvs]).hex() for key, nvs in zip(said, ("secret", "salt", "id"), strict=True)}


def test_without_a_record_on_disk_there_are_no_keys(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        provisioner(tmp_path / "file").provision(FLASHED)


def test_keys_are_in_the_nvs_partition_of_an_image_and_nowhere_else(tmp_path: Path, board: Board) -> None:
    values = provisioner(tmp_path).provision(FLASHED)
    settings = DeviceSettings(DEVICE, "presence", "10.0.0.2", 5683, "net", "long enough").config(board)
    image = tmp_path / "flash.bin"
    build_flash_image(board, {}, settings, {"pave": {"epoch": 3}, OSCORE_NAMESPACE: values}, image)
    flash, nvs = image.read_bytes(), board.partition("nvs")
    assert flash.count(bytes(values["secret"])) == 1
    assert nvs.offset < flash.index(bytes(values["secret"])) < nvs.end


def test_settings_say_insecure_only_where_they_are(board: Board) -> None:
    for insecure in (False, True):
        settings = DeviceSettings(DEVICE, "presence", "10.0.0.2", 5683, "net", "long enough", insecure).config(board)
        assert settings["gateway"].get("insecure", False) is insecure
