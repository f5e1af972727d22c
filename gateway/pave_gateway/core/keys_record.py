"""What a provisioning record says of a device, once it has been opened and its signature holds.

The signed content is 64 bytes of Ed25519 signature and then JSON:

    version     1
    site        the site it was made for, as [site] id
    device      EUI-64, 16 lower-case hexadecimal digits
    kind        the role of its firmware: "presence", "kiosk"
    board       as in hardware/boards
    firmware    version of what was flashed
    epoch       after which the device begins: seconds since 2026-01-01 when it was flashed, so also the record's age
    signer      the technician's public key, hexadecimal
    note        the technician's words
    oscore      null, or secret, salt, device_id and perhaps id_context, hexadecimal
    lora        null, or join_eui and app_key, hexadecimal

A gateway keeps the signed content as it came, sealed (`core.keys_sealed`): so it can hand it on to another gateway,
sealed anew, and the technician's signature still holds. Nothing here repeats a value in an error: it may be a key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pave_gateway.core.instant import iso_utc
from pave_gateway.core.keys import KeyTable, LoraKeys, OscoreSecret, Secrets
from pave_gateway.core.keys_sealed import Keyring, KeyringError
from pave_gateway.core.weak_keys import is_small_order
from pave_wire import limits

PURPOSE = "provisioning"  # under which signed content is sealed at rest
SIGNATURE_BYTES = 64

_SIGNED = b"pave provisioning record\0"  # before what is signed, so that no other signature of the key fits
_EPOCH_ZERO_MS = 1767225600_000  # 2026-01-01T00:00:00Z


class RecordError(Exception):
    """Not a provisioning record that may be used; the message says why and what to do."""


def _hex(least: int, most: int) -> Any:
    return Field(pattern=rf"^([0-9a-f]{{2}}){{{least},{most}}}$")


_Eui = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")]
_Words = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class _Oscore(_Strict):
    secret: Annotated[str, _hex(16, 32)]
    salt: Annotated[str, _hex(0, 32)]
    device_id: Annotated[str, _hex(1, limits.OSCORE_ID_BYTES)]
    id_context: Annotated[str, _hex(1, limits.OSCORE_ID_CONTEXT_BYTES)] | None = None


class _Lora(_Strict):
    join_eui: _Eui
    app_key: Annotated[str, _hex(16, 16)]


class _Content(_Strict):
    version: Literal[1]
    site: _Name
    device: _Eui
    kind: _Name
    board: _Name
    firmware: _Name
    epoch: Annotated[int, Field(ge=0, le=limits.EPOCH_MAX)]
    signer: Annotated[str, _hex(32, 32)]
    note: _Words
    oscore: _Oscore | None
    lora: _Lora | None

    @model_validator(mode="after")
    def _has_keys(self) -> "_Content":
        if self.oscore is None and self.lora is None:
            raise ValueError("neither oscore nor lora keys")
        return self


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The content of a record; names as at the top of this file, `signed` is all of it with its signature."""

    site: str
    device: str
    kind: str
    board: str
    firmware: str
    epoch: int
    signer: str
    note: str
    secrets: Secrets
    signed: bytes

    def __repr__(self) -> str:
        """No secret in a log or a traceback."""
        return f"Provisioned({self.device}, epoch={self.epoch})"


def parse(signed: bytes) -> Provisioned:
    """Return what `signed` says; its signature is not looked at.

    Raises:
        RecordError: not of this version, or a field is missing or wrong.
    """
    try:
        content = _Content.model_validate_json(signed[SIGNATURE_BYTES:])
    except ValidationError as error:
        faults = "; ".join(f"{_key(detail)}: {detail['msg']}" for detail in error.errors(include_input=False))
        raise RecordError(f"the content of the record is not that of version 1: {faults}") from None
    return Provisioned(
        site=content.site,
        device=content.device,
        kind=content.kind,
        board=content.board,
        firmware=content.firmware,
        epoch=content.epoch,
        signer=content.signer,
        note=content.note,
        secrets=_secrets(content),
        signed=signed,
    )


def verify(content: Provisioned) -> None:
    """Make sure that who `content` names as its signer has signed it.

    Raises:
        RecordError: the signature is another's, the content was changed, or anybody could have signed it.
    """
    if is_small_order(bytes.fromhex(content.signer)):
        raise RecordError(
            f"anybody can sign under the key {content.signer}, a point of small order: it is no technician's;"
            " take it out of the site file, and have the device flashed again"
        )
    signature, rest = content.signed[:SIGNATURE_BYTES], content.signed[SIGNATURE_BYTES:]
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(content.signer)).verify(signature, _SIGNED + rest)
    except (InvalidSignature, ValueError):
        raise RecordError(
            f"the signature is not that of {content.signer}: the record was changed; have the device flashed again"
        ) from None


def open_keys(sealed: Iterable[tuple[str, bytes]], keyring: Keyring, gateway_id: bytes) -> tuple[KeyTable, list[str]]:
    """Return the keys of all devices, and what is wrong with those that are left out: one bad row stops no other.

    Args:
        sealed: (device, sealed content) as the tables hold them.
        keyring: Opens them.
        gateway_id: The journal's.
    """
    table, faults = KeyTable(gateway_id), list[str]()
    for device, value in sealed:
        try:
            secrets = parse(keyring.open(device, PURPOSE, value)).secrets
            _refuse_shared_id(table, device, secrets)
            table.put(device, secrets)
        except (KeyringError, RecordError) as error:
            faults.append(str(error))
    return table, faults


def _refuse_shared_id(table: KeyTable, device: str, secrets: Secrets) -> None:
    """Refuse the keys of a device whose requests could not be told from another's. No import lets them in."""
    rival = None if secrets.oscore is None else table.device_of_kid(secrets.oscore.device_id)
    if secrets.oscore is not None and rival is not None:
        kid = secrets.oscore.device_id.hex()
        raise RecordError(
            f"OSCORE ID {kid} of device {device} is that of device {rival}, too: {device} is not admitted;"
            " flash one of them with another"
        )


def flashed_at(epoch: int) -> str:
    """Return when a device whose record says `epoch` was flashed, by its laptop's clock."""
    return iso_utc(_EPOCH_ZERO_MS + epoch * 1000)[:19] + "Z"


def _secrets(content: _Content) -> Secrets:
    oscore = lora = None
    if content.oscore is not None:
        own = content.oscore
        id_context = None if own.id_context is None else bytes.fromhex(own.id_context)
        oscore = OscoreSecret(
            bytes.fromhex(own.secret), bytes.fromhex(own.salt), bytes.fromhex(own.device_id), id_context
        )
    if content.lora is not None:
        lora = LoraKeys(content.device, bytes.fromhex(content.lora.join_eui), bytes.fromhex(content.lora.app_key))
    return Secrets(oscore, lora)


def _key(detail: Any) -> str:
    return ".".join(str(part) for part in detail["loc"]) or "record"
