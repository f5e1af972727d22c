"""The key file: what opens a site's secrets, outside the database, so that neither is of use without the other.

    {"pave_key_file": 1, "site": "bercy",
     "sealing": [{"made": "2026-11-23T12:00:00Z", "key": "64 hexadecimal digits"}, ...],
     "opening": [{"made": "2026-11-23T12:00:00Z", "key": "64 hexadecimal digits"}],
     "dropped": [{"id": "8 hexadecimal digits", "made": "...", "dropped": "..."}, ...]}

`sealing` keys seal what is secret in the database (`core.keys_sealed`), the newest last. `opening` keys are the private
halves (X25519) of what technicians seal provisioning records with. Keep a copy of the file off the machine: with it and
the provisioning records a new machine takes over; without it, every device has to be provisioned again.

It is made only for a journal that holds no sealed keys yet, and never overwritten but by a rotation, which adds a
sealing key and, when nothing in the journal is under the older ones, takes them out (`core.keys_rotation`): write
beside, fsync, rename, fsync the folder. Killed anywhere, the old or the new file is there, whole, and the journal opens
with it. What was taken out is remembered by its id alone, so that an old backup is told what it needs.
"""

import json
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pave_gateway.core import limits
from pave_gateway.core.instant import iso_utc
from pave_gateway.core.keys import RandomBytes
from pave_gateway.core.keys_sealed import KEY_BYTES, AesKeyring, id_in, key_id

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(Exception):
    """The key file cannot be used; the message says why and what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class _Key(_Strict):
    made: Annotated[str, Field(max_length=32)]
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Dropped(_Strict):
    id: Annotated[str, Field(pattern="^[0-9a-f]{8}$")]
    made: Annotated[str, Field(max_length=32)]
    dropped: Annotated[str, Field(max_length=32)]


class _File(_Strict):
    pave_key_file: Literal[1]
    site: str
    sealing: Annotated[tuple[_Key, ...], Field(min_length=1, max_length=limits.SEALING_KEYS)]
    opening: Annotated[tuple[_Key, ...], Field(min_length=1, max_length=limits.SEALING_KEYS)]
    dropped: Annotated[tuple[_Dropped, ...], Field(max_length=limits.SEALING_KEYS)] = ()


@dataclass(frozen=True, slots=True)
class FileKey:
    """32 secret bytes and when they were made (RFC 3339)."""

    made: str
    key: bytes

    def __repr__(self) -> str:
        """No secret in a log or a traceback."""
        return f"FileKey(made={self.made})"

    @property
    def id(self) -> bytes:
        """What names it in what it sealed."""
        return key_id(self.key)


@dataclass(frozen=True, slots=True)
class DroppedKey:
    """A sealing key that is no longer in the file: its id, and when it was made and taken out (RFC 3339)."""

    id: bytes
    made: str
    dropped: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file's content, as at the top of this module; the newest keys last."""

    site: str
    sealing: tuple[FileKey, ...]
    opening: tuple[FileKey, ...]
    dropped: tuple[DroppedKey, ...] = ()

    def keyring(self, random_bytes: RandomBytes = os.urandom) -> AesKeyring:
        """Return what seals and opens with these keys."""
        return AesKeyring([entry.key for entry in self.sealing], random_bytes)

    def private_keys(self) -> list[X25519PrivateKey]:
        """Return the keys that open provisioning records, the newest first."""
        return [X25519PrivateKey.from_private_bytes(entry.key) for entry in reversed(self.opening)]


def open_key_file(
    path: Path, site: str, sealed: Sequence[bytes], now_ms: int, random_bytes: RandomBytes = os.urandom
) -> KeyFile:
    """Return the key file at `path` for a journal that holds `sealed`, making one where a site begins.

    Args:
        path: Of the file.
        site: [site] id.
        sealed: Every sealed value of the journal.
        now_ms: Milliseconds since 1970, for the date in a new file.
        random_bytes: The operating system's source.

    Raises:
        KeyFileError: missing though the journal has sealed keys, readable by others, damaged, or of another site.
        KeyringError: it lacks keys that the journal was sealed with.
    """
    try:
        file = load_key_file(path)
    except FileNotFoundError:
        if sealed:
            raise KeyFileError(
                f"key file {path}: missing, and the journal holds the keys of {len(sealed)} devices sealed with it;"
                " put its copy back (a new one could not open them)"
            ) from None
        file = _new(site, now_ms, random_bytes)
        _write(path, file, replacing=False)
    if file.site != site:
        raise KeyFileError(
            f"key file {path}: it is of site {file.site!r}, the site file says {site!r}; name the right one"
        )
    told = missing(path, file, {id_in(value) for value in sealed})
    if told:
        raise KeyFileError(told)
    file.keyring(random_bytes).check(sealed)
    return file


def load_key_file(path: Path) -> KeyFile:
    """Return the content of the key file at `path`.

    Raises:
        FileNotFoundError
        KeyFileError: not this user's alone, or damaged.
    """
    try:
        with path.open("rb") as opened:
            _check_private(path, os.fstat(opened.fileno()))
            raw = opened.read(limits.KEY_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}; check its owner and its folder") from error
    try:
        found = _File.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise KeyFileError(f"key file {path}: damaged: {where}: {first['msg']}; put its copy back") from None
    dropped = tuple(DroppedKey(bytes.fromhex(entry.id), entry.made, entry.dropped) for entry in found.dropped)
    return KeyFile(found.site, _entries(found.sealing), _entries(found.opening), dropped)


def missing(path: Path, file: KeyFile, used: Collection[bytes]) -> str:
    """Return what a journal needs that has secrets under the keys with ids `used`, if rotations took some of them out.

    "" if `file` has never had others than it has.
    """
    here = {entry.id for entry in file.sealing}
    gone = [entry for entry in file.dropped if entry.id in used and entry.id not in here]
    if not gone:
        return ""
    keys = ", ".join(f"{entry.id.hex()} (made {entry.made}, taken out {entry.dropped})" for entry in gone)
    return (
        f"key file {path}: the journal is a backup of before a rotation, with secrets sealed under {keys}, which this"
        " file has no longer; take that entry from a copy of the key file of then and put it before the others in"
        " sealing: the gateway seals all anew when it starts, and takes the key out again"
    )


def add_sealing_key(path: Path, file: KeyFile, now_ms: int, random_bytes: RandomBytes = os.urandom) -> KeyFile:
    """Write `file` with one more sealing key and return it; everything is to be sealed anew with that.

    If it has several, a rotation is not over: it is returned as it is, to be gone on with.

    Raises:
        KeyFileError: it cannot be written; the old one is then still there.
    """
    if len(file.sealing) > 1:
        return file
    known = {entry.id for entry in (*file.sealing, *file.dropped)}
    made = FileKey(iso_utc(now_ms), random_bytes(KEY_BYTES))
    while made.id in known:
        made = FileKey(made.made, random_bytes(KEY_BYTES))
    grown = replace(file, sealing=(*file.sealing, made))
    _write(path, grown, replacing=True)
    return grown


def drop_sealing_keys(path: Path, file: KeyFile, held: Collection[bytes], now_ms: int) -> KeyFile:
    """Write `file` without its older sealing keys, but for those with ids in `held`, and return it.

    Raises:
        KeyFileError: `path` has other content by now, or cannot be written; nothing was taken out.
    """
    *older, newest = file.sealing
    gone = [entry for entry in older if entry.id not in held]
    if not gone:
        return file
    if not path.exists() or load_key_file(path) != file:
        raise KeyFileError(f"key file {path}: somebody has changed it since the rotation began; put that content back")
    ids = {entry.id for entry in gone}
    remembered = [entry for entry in file.dropped if entry.id not in ids]
    remembered += [DroppedKey(entry.id, entry.made, iso_utc(now_ms)) for entry in gone]
    kept = tuple(entry for entry in older if entry.id not in ids)
    shrunk = replace(file, sealing=(*kept, newest), dropped=tuple(remembered[-limits.SEALING_KEYS :]))
    _write(path, shrunk, replacing=True)
    return shrunk


def _new(site: str, now_ms: int, random_bytes: RandomBytes) -> KeyFile:
    made = iso_utc(now_ms)
    return KeyFile(site, (FileKey(made, random_bytes(KEY_BYTES)),), (FileKey(made, random_bytes(KEY_BYTES)),))


def _entries(keys: tuple[_Key, ...]) -> tuple[FileKey, ...]:
    return tuple(FileKey(entry.made, bytes.fromhex(entry.key)) for entry in keys)


def _check_private(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise KeyFileError(f"key file {path}: user {found.st_uid} owns it; run: chown {os.geteuid()} {path}")
    if found.st_mode & _OTHERS:
        raise KeyFileError(
            f"key file {path}: mode {stat.S_IMODE(found.st_mode):04o} lets others at it; run: chmod 600 {path}"
            " (and rotate the key, if others could have read it)"
        )


def _write(path: Path, file: KeyFile, replacing: bool) -> None:
    content = {
        "pave_key_file": 1,
        "site": file.site,
        "sealing": [{"made": entry.made, "key": entry.key.hex()} for entry in file.sealing],
        "opening": [{"made": entry.made, "key": entry.key.hex()} for entry in file.opening],
        "dropped": [{"id": entry.id.hex(), "made": entry.made, "dropped": entry.dropped} for entry in file.dropped],
    }
    beside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)  # of a write that was killed
        _write_private(beside, json.dumps(content, indent=1).encode() + b"\n")
        if replacing:
            beside.replace(path)
        else:
            os.link(beside, path)  # unlike a rename, it never takes the place of a file
            beside.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise KeyFileError(f"key file {path}: not written: {error.strerror}; check its folder and its disk") from error


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
