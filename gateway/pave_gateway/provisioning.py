"""Provisioning records as files: opened for the import, sealed for another gateway.

A record travels from a technician's laptop by stick, mail or API. Whoever carries it can neither read nor change it:

    {"pave_provisioning": 1, "site": "bercy", "device": "24a160fffe000101", "epoch": 28317600,
     "sealed": [{"to": "8 hexadecimal digits", "box": "base64"}, ...]}

Each box is the signed content (`core.keys_record`) by HPKE (RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256),
HKDF-SHA256, AES-256-GCM), for one reader: the gateway, and whoever the operator wants to be able to replace it. `info`
repeats what is said outside, so nothing outside can be changed. `to` is the first 4 bytes of a SHA-256 over the
reader's public key.

The signature is inside: it says which technician made the record, and survives being sealed for someone else. Only
technicians of the site file are believed. `tools/pave_tools/provisioning.py` is the other end of this format.
"""

import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pave_gateway.core import limits
from pave_gateway.core.keys_record import Provisioned, RecordError, parse, verify
from pave_gateway.core.registry_acts import Registrar
from pave_gateway.core.registry_change import By
from pave_gateway.core.registry_import import Import, Judged
from pave_gateway.store.key_file import KeyFile
from pave_wire.limits import EPOCH_MAX

SUFFIX = ".pave"

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_READER_ID_BYTES = 4


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class _Box(_Strict):
    to: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    box: Annotated[str, Field(max_length=limits.RECORD_BYTES)]


class _Envelope(_Strict):
    pave_provisioning: Literal[1]
    site: Annotated[str, Field(max_length=64)]
    device: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    epoch: Annotated[int, Field(ge=0, le=EPOCH_MAX)]
    sealed: Annotated[tuple[_Box, ...], Field(min_length=1, max_length=limits.RECORD_READERS)]

    def info(self) -> bytes:
        return _info(self.site, self.device, self.epoch)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of one file; `result` is a `Verdict`'s value, or "refused"."""

    source: str
    device: str
    result: str
    detail: str

    def as_json(self) -> dict[str, str]:
        """Return it for an answer in JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Opened:
    """Records that opened, each with where it came from, and what became of the others."""

    records: list[tuple[str, Provisioned]]
    refused: list[ImportResult]

    def results(self, judged: Sequence[Judged]) -> list[ImportResult]:
        """Return what became of every source, given the verdicts on `records`, in the order of the sources' names."""
        verdicts = {id(one.record): one for one in judged}
        found = list(self.refused)
        for source, record in self.records:
            one = verdicts[id(record)]
            found.append(ImportResult(source, record.device, one.verdict.value, one.detail))
        return sorted(found, key=lambda result: result.source)


def read_files(paths: Sequence[Path]) -> Iterator[tuple[str, bytes | str]]:
    """Yield (name, content, or in words why there is none) of each file; of a folder, of every `*.pave` in it."""
    for path in paths:
        inside = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not inside:
            yield str(path), f"there is no *{SUFFIX} file in this folder"
        for file in inside:
            yield str(file), _read(file)


def open_records(
    sources: Iterator[tuple[str, bytes | str]], key_file: KeyFile, technicians: Mapping[str, str]
) -> Opened:
    """Open and verify records; one that cannot be used is refused and does not stop the others.

    Takes some 0.3 ms for each, so it is for a worker thread where devices are being answered.

    Args:
        sources: (name, content or why there is none), as `read_files` yields.
        key_file: Whose private keys open them, and whose site they must be for.
        technicians: Public key of each technician of the site file, and name.
    """
    opened = Opened([], [])
    for count, (source, raw) in enumerate(sources):
        try:
            if count >= limits.RECORDS_PER_IMPORT:
                raise RecordError(f"more than {limits.RECORDS_PER_IMPORT} records at once; import it separately")
            if isinstance(raw, str):
                raise RecordError(raw)
            opened.records.append((source, open_record(raw, key_file, technicians)))
        except RecordError as error:
            opened.refused.append(ImportResult(source, "", "refused", str(error)))
    return opened


def import_records(
    paths: Sequence[Path],
    key_file: KeyFile,
    technicians: Mapping[str, str],
    registrar: Registrar,
    by: By,
    finished: Callable[[list[ImportResult]], None],
) -> None:
    """Import the records in files and folders; `finished` is called once, with what became of each."""
    opened = open_records(read_files(paths), key_file, technicians)
    records = [record for _, record in opened.records]
    Import(registrar, records, technicians, by).start(lambda judged: finished(opened.results(judged)))


def open_record(raw: bytes, key_file: KeyFile, technicians: Mapping[str, str]) -> Provisioned:
    """Return the content of a record that is for this site, unchanged, and by one of `technicians`.

    Raises:
        RecordError: it is not; the message says what it is, and the next step.
    """
    envelope = _envelope(raw)
    if envelope.site != key_file.site:
        raise RecordError(f"the record is for site {envelope.site!r}, and this is {key_file.site!r}; import it there")
    content = parse(_unseal(envelope, key_file))
    if (content.site, content.device, content.epoch) != (envelope.site, envelope.device, envelope.epoch):
        raise RecordError("the record is of another device inside than outside; have the device flashed again")
    if content.signer not in technicians:
        raise RecordError(
            f"the record is signed by {content.signer}, whom the site file does not name; if this is one of your"
            " technicians (ask them to read their key to you), add [[registry.technician]] with a name and this key"
        )
    verify(content)
    return content


def outside(raw: bytes | str) -> tuple[str, int]:
    """Return (device, epoch) as a record says them to everybody, unproven; ("", 0) where it says nothing."""
    try:
        envelope = _Envelope.model_validate_json(raw) if isinstance(raw, bytes) else None
    except ValidationError:
        envelope = None
    return ("", 0) if envelope is None else (envelope.device, envelope.epoch)


def seal_record(content: Provisioned, readers: Sequence[X25519PublicKey]) -> bytes:
    """Return `content`, with the signature it came with, as a record for `readers`."""
    info = _info(content.site, content.device, content.epoch)
    boxes = [
        {"to": reader_id(reader), "box": base64.b64encode(_SUITE.encrypt(content.signed, reader, info)).decode()}
        for reader in readers
    ]
    envelope = {"pave_provisioning": 1, "site": content.site, "device": content.device, "epoch": content.epoch}
    return json.dumps(envelope | {"sealed": boxes}, indent=1).encode() + b"\n"


def public_file(key_file: KeyFile, gateway_id: bytes) -> bytes:
    """Return what technicians are given: where records are to be sealed to, and the gateway's ID towards devices."""
    public = key_file.private_keys()[0].public_key()
    content = {
        "pave_gateway": 1,
        "site": key_file.site,
        "gateway_id": gateway_id.hex(),
        "public_key": public.public_bytes_raw().hex(),
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def public_key_in(raw: bytes, site: str) -> X25519PublicKey:
    """Return the public key in a `public_file`: that of another gateway of `site`, to seal records for.

    Raises:
        RecordError: it is none, or of another site, whose gateway would refuse every record.
    """
    try:
        content: Any = json.loads(raw)
        if content["pave_gateway"] != 1:
            raise ValueError
        public, of_site = X25519PublicKey.from_public_bytes(bytes.fromhex(content["public_key"])), content["site"]
    except (ValueError, TypeError, LookupError):
        raise RecordError("not a gateway's public key file of version 1; make one with the gateway it is for") from None
    if of_site != site:
        raise RecordError(
            f"the public key file is of a gateway of site {of_site!r}, and these devices are of {site!r}: it would"
            f" refuse their records; name the gateway.json of another gateway of {site!r}"
        )
    return public


def reader_id(public: X25519PublicKey) -> str:
    """Return the 8 hexadecimal digits that name a reader in a record."""
    return hashlib.sha256(b"pave record reader\0" + public.public_bytes_raw()).digest()[:_READER_ID_BYTES].hex()


def _read(file: Path) -> bytes | str:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its other end
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "not a file; a record is one"
            return opened.read(limits.RECORD_BYTES + 1)
    except OSError as error:
        return f"{error.strerror}; check the path and its permissions"


def _envelope(raw: bytes) -> _Envelope:
    if len(raw) > limits.RECORD_BYTES:
        raise RecordError(f"more than {limits.RECORD_BYTES} bytes; a record is smaller: check the file")
    try:
        return _Envelope.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        if where == "pave_provisioning" and first["type"] == "literal_error":
            raise RecordError("a record of another version; update the gateway, or flash with the older tool") from None
        raise RecordError(f"not a provisioning record: {where}: {first['msg']}; copy it again") from None


def _unseal(envelope: _Envelope, key_file: KeyFile) -> bytes:
    boxes = {box.to: box.box for box in envelope.sealed}
    for private in key_file.private_keys():
        box = boxes.get(reader_id(private.public_key()))
        if box is not None:
            try:
                return _SUITE.decrypt(base64.b64decode(box, validate=True), private, envelope.info())
            except (InvalidTag, ValueError):
                raise RecordError(
                    "the record was changed or damaged on its way; copy it again from the technician's laptop"
                ) from None
    raise RecordError(
        f"the record is sealed for {', '.join(boxes)}, and this gateway is"
        f" {', '.join(reader_id(key.public_key()) for key in key_file.private_keys())};"
        " put the key file back that it was sealed for, or have one who can open it seal it for this gateway"
    )


def _info(site: str, device: str, epoch: int) -> bytes:
    return f"pave provisioning record 1\0{site}\0{device}\0{epoch}".encode()
