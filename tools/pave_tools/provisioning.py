"""Provisioning records: made when a device is flashed, and opened by its gateway alone, however they travel.

    technician's key    Ed25519, made once on this laptop; the operator writes its public half into the site file
    readers             who may open the record: public files of the gateway and, if the operator wants one, of a spare
    record              the device's keys, signed by the technician, sealed for each reader; see below

The laptop cannot open what it has sealed. Write the record to the disk before the keys go to the device: a device
whose record is lost has to be flashed again.

    {"pave_provisioning": 1, "site": ..., "device": ..., "epoch": ..., "sealed": [{"to": ..., "box": ...}, ...]}

A box is base64 of HPKE (RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM) over 64 bytes of
Ed25519 signature and the content in JSON; `info` repeats site, device and epoch. The gateway reads all this in
`pave_gateway/provisioning.py` and `core/keys_record.py`, and a test of each side opens the other's.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from pave_tools.errors import ToolError

RandomBytes = Callable[[int], bytes]

SUFFIX = ".pave"

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_SIGNED = b"pave provisioning record\0"
_SECRET_BYTES = 16
_SALT_BYTES = 8
_APP_KEY_BYTES = 16
_KEY_BYTES = 32


class ProvisioningError(ToolError):
    """A key or a reader's file that cannot be used."""


@dataclass(frozen=True, repr=False)
class OscoreKeys:
    """What a device keeps of OSCORE (RFC 8613) beside its counters.

    Attributes:
        secret: Master secret, 16 bytes.
        salt: Master salt, 8 bytes.
        device_id: Its sender ID: its MAC, unique without asking anyone.
        gateway_id: Its recipient ID, until a new gateway names another.
    """

    secret: bytes
    salt: bytes
    device_id: bytes
    gateway_id: bytes


@dataclass(frozen=True, repr=False)
class LoraKeys:
    """What a device joins a LoRaWAN network with: 8 bytes of JoinEUI, 16 of AppKey."""

    join_eui: bytes
    app_key: bytes


@dataclass(frozen=True)
class Reader:
    """Whom records are sealed for, as `read_reader` finds it in a public file of the gateway."""

    site: str
    gateway_id: bytes
    public: X25519PublicKey


@dataclass(frozen=True)
class Flashed:
    """What a record says beside the keys; `epoch` is `image.first_epoch` of the flashing, `note` free words."""

    device: str
    kind: str
    board: str
    firmware: str
    epoch: int
    note: str = ""


def new_oscore_keys(device: str, gateway: Reader, random_bytes: RandomBytes = os.urandom) -> OscoreKeys:
    """Return keys that `device` (EUI-64 around a MAC) shares with `gateway` alone."""
    if not re.fullmatch("[0-9a-f]{6}fffe[0-9a-f]{6}", device):
        raise ProvisioningError(f"device {device!r} should be a MAC as EUI-64: 16 lower-case hex digits, fffe amid")
    device_id = bytes.fromhex(device[:6] + device[10:])
    return OscoreKeys(random_bytes(_SECRET_BYTES), random_bytes(_SALT_BYTES), device_id, gateway.gateway_id)


def new_lora_keys(join_eui: bytes, random_bytes: RandomBytes = os.urandom) -> LoraKeys:
    """Return a random AppKey for `join_eui`."""
    return LoraKeys(join_eui, random_bytes(_APP_KEY_BYTES))


def make_record(
    flashed: Flashed,
    oscore: OscoreKeys | None,
    lora: LoraKeys | None,
    technician: Ed25519PrivateKey,
    readers: Sequence[Reader],
) -> bytes:
    """Return the record of a device, sealed for `readers`.

    Raises:
        ProvisioningError: no keys, no readers, or readers of several sites.
    """
    sites = {reader.site for reader in readers}
    if len(sites) != 1 or (oscore is None and lora is None):
        raise ProvisioningError(f"a record needs keys, and readers of one site; these are of {sorted(sites) or 'none'}")
    site = sites.pop()
    content = json.dumps(_content(site, flashed, oscore, lora, public_hex(technician))).encode()
    signed = technician.sign(_SIGNED + content) + content
    info = f"pave provisioning record 1\0{site}\0{flashed.device}\0{flashed.epoch}".encode()
    boxes = [
        {"to": _reader_id(reader), "box": base64.b64encode(_SUITE.encrypt(signed, reader.public, info)).decode()}
        for reader in readers
    ]
    envelope = {"pave_provisioning": 1, "site": site, "device": flashed.device, "epoch": flashed.epoch}
    return json.dumps(envelope | {"sealed": boxes}, indent=1).encode() + b"\n"


def write_record(folder: Path, flashed: Flashed, record: bytes) -> Path:
    """Write `record` into `folder`, durably, and return its path; an older record of the device stays beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{flashed.device}-{flashed.epoch}{SUFFIX}"
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as out:
        out.write(record)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
    return path


def read_reader(path: Path) -> Reader:
    """Return the reader in a gateway's public file.

    Raises:
        ProvisioningError: it cannot be read, or is something else.
    """
    try:
        content: Any = json.loads(path.read_bytes())
        if content["pave_gateway"] != 1:
            raise ValueError("version")
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(content["public_key"]))
        return Reader(str(content["site"]), bytes.fromhex(content["gateway_id"]), public)
    except OSError as error:
        raise ProvisioningError(f"{path}: {error.strerror}; ask the operator for the gateway's public file") from error
    except (ValueError, TypeError, LookupError) as error:
        raise ProvisioningError(f"{path}: not a gateway's public file of version 1; ask the operator for it") from error


def technician_key(path: Path, random_bytes: RandomBytes = os.urandom) -> Ed25519PrivateKey:
    """Return the key at `path`, made there if there is none; only its owner may read it, where the system knows owners.

    Raises:
        ProvisioningError: it cannot be read or written, or is something else.
    """
    try:
        try:
            secret = bytes.fromhex(path.read_text("ascii"))
        except FileNotFoundError:
            secret = random_bytes(_KEY_BYTES)
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                out.write(secret.hex())
                out.flush()
                os.fsync(out.fileno())
        return Ed25519PrivateKey.from_private_bytes(secret)
    except OSError as error:
        raise ProvisioningError(f"{path}: {error.strerror}; keep the key in a folder of yours") from error
    except ValueError as error:
        raise ProvisioningError(
            f"{path}: not a technician's key; move it away, and give the operator the new one"
        ) from error


def public_hex(technician: Ed25519PrivateKey) -> str:
    """Return the public half, 64 hexadecimal digits: the `key` of [[registry.technician]] in the site file."""
    return technician.public_key().public_bytes_raw().hex()


def _content(
    site: str, flashed: Flashed, oscore: OscoreKeys | None, lora: LoraKeys | None, signer: str
) -> dict[str, Any]:
    return {
        "version": 1,
        "site": site,
        "device": flashed.device,
        "kind": flashed.kind,
        "board": flashed.board,
        "firmware": flashed.firmware,
        "epoch": flashed.epoch,
        "signer": signer,
        "note": flashed.note,
        "oscore": None
        if oscore is None
        else {"secret": oscore.secret.hex(), "salt": oscore.salt.hex(), "device_id": oscore.device_id.hex()},
        "lora": None if lora is None else {"join_eui": lora.join_eui.hex(), "app_key": lora.app_key.hex()},
    }


def _reader_id(reader: Reader) -> str:
    return hashlib.sha256(b"pave record reader\0" + reader.public.public_bytes_raw()).digest()[:4].hex()
