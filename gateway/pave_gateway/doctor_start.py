"""Whether a start would be refused, and why: what a start looks at, looked at with its own eyes, and nothing written.

    the start                                here
    ---------------------------------------  -----------------------------------------------------
    takes files and folders, or makes them   `journal` (its files), `key_file`, `beside`
    opens the journal, looks through it      `journal`: `store.checks`, the version, the registry
    opens the key file, and the keys         `key_file`: `store.key_file`, `core.keys_record`
    follows the site file                    `registry`: `core.registry_site`
    listens on the control socket            `control`: `api.control_socket`
    takes its ports, reads its secrets       `doctor`

What judges is the same code on both sides where it can be, so they say the same; a test makes the start refuse in each
way there is and sees that it is found.
"""

import errno
import mmap
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import apsw

from pave_gateway.api import control_socket
from pave_gateway.config import Config
from pave_gateway.control_address import socket_path
from pave_gateway.core.keys_record import open_keys
from pave_gateway.core.keys_sealed import KeyringError
from pave_gateway.core.registry import Registry
from pave_gateway.core.registry_site import SiteConflictError, plan_site
from pave_gateway.findings import Finding, error, fine, of_message, warning
from pave_gateway.ports import PortError
from pave_gateway.store import checks, files, meta, registry_tables, spare, swap
from pave_gateway.store.errors import NO_SHARED_MEMORY, DamagedError, JournalError
from pave_gateway.store.key_file import KeyFileError, open_key_file
from pave_gateway.store.reader import JournalReader
from pave_gateway.store.registry_tables import Stored

NOTHING = Stored([], [], [], 0, b"")  # what a journal has that is yet to be made
_NO_MMAP = (errno.ENODEV, errno.EOPNOTSUPP, errno.EINVAL)  # mmap(2)
_TOLD = 5  # of one kind; a site file of another site has a line for each place
_GUIDE = "see the operator's guide, journal"
_SALVAGED = "start the gateway: it salvages what can be read and keeps the damaged file"


def journal(config: Config) -> tuple[list[Finding], Stored | None]:
    """Return whether the journal can be opened and what it holds, and its registry, None where that cannot be read."""
    path = config.journal.path
    itself = Path(os.path.realpath(path))  # its lock and the rest lie beside the file, wherever links to it are
    found = _folder(f"journal {path}", itself.parent)
    names = (itself, *(itself.with_name(itself.name + suffix) for suffix in ("-wal", "-shm", ".lock")))
    found += [finding for name in names for finding in _writable(name)]
    if found:
        return found, None
    following = swap.next_of(itself)  # of a restore that was cut short: the next start puts it in place
    path = following if is_there(following) else path
    if not is_there(path):
        return [_nothing_in(path, "none yet", "it was there, and is gone"), *_shared_memory(path)], NOTHING
    try:
        reader = JournalReader(path)
        try:
            return _opened(config, path, reader)
        finally:
            reader.close()
    except DamagedError as damage:
        return [error(str(damage), _SALVAGED)], None
    except (JournalError, ValueError) as failure:
        said = of_message(str(failure))
        was_one = isinstance(failure.__cause__, apsw.NotADBError) and spare.load(config.journal.path) is not None
        return [error(said.what, _SALVAGED) if was_one else said], None


def key_file(config: Config, stored: Stored | None) -> list[Finding]:
    """Return whether the key file is there, its owner's alone, of this site, and opens what the journal holds."""
    path = config.registry.key_path(config.journal.path)
    sealed = [] if stored is None else stored.sealed
    try:
        opened = open_key_file(path, config.site.id, [value for _, value in sealed], 0, _none_made)
    except FileNotFoundError:
        return _no_key_file(path, stored)
    except KeyFileError as refused:
        return [of_message(str(refused))]
    except KeyringError as refused:
        return [of_message(f"key file {path}: {refused}")]
    faults = open_keys(sealed, opened.keyring(), b"")[1]
    found = _few(of_message(fault) for fault in faults)
    return found or [fine(f"key file {path}: of this site, nobody else reads it; keep a copy off this machine")]


def registry(config: Config, stored: Stored) -> list[Finding]:
    """Return what a start makes of the places of the site file and the devices of the registry."""
    known = Registry(config.places())
    known.restore(stored.devices, stored.assignments, stored.last_act)
    try:
        plan = plan_site(known, known.places.values())
    except SiteConflictError as conflict:
        return _few(of_message(line) for line in str(conflict).splitlines())
    step = "write the place into the site file again, or let the next start release the device from it"
    gone = [
        warning(f"{one.place} is not in the site file any more, and has device {one.device}", step) for one in plan.end
    ]
    stale = [warning(line, "write the device that is there into the site file, or none") for line in plan.stale]
    return _few(gone) + _few(stale)


def beside(config: Config) -> list[Finding]:
    """Return whether the gateway has its folder of records, and can leave what technicians need."""
    found: list[Finding] = []
    public = config.registry.public_path(config.journal.path)
    if _is_folder(public):
        step = "move it away: technicians need the file to make records for this gateway"
        found.append(error(f"{public}: it is a folder, and the gateway leaves a file there", step))
    records = config.registry.records_path(config.journal.path)
    if is_there(records) and not _is_folder(records):
        found.append(error(f"records folder {records}: it is a file", "move it away, or name another in [registry]"))
    elif is_there(records) and not _may(records, os.R_OK | os.W_OK | os.X_OK):
        step = "check its owner: records that lie there are not imported, new ones not kept"
        found.append(error(f"records folder {records}: user {os.geteuid()} may not use it", step))
    return found


def control(config: Config) -> list[Finding]:
    """Return whether the control socket can be had, where no gateway of this journal listens on it."""
    path = socket_path(config.journal.path)
    try:
        control_socket.is_stale(path)
    except PortError as refused:
        return [of_message(str(refused))]
    except OSError as failure:
        return [error(f"{path}: {failure.strerror}", "check its owner, and that of its folder")]
    return []


def is_there(path: Path) -> bool:
    """Return whether this user can see that `path` exists; unlike `Path.exists` it raises nothing where he may not."""
    return _may(path, os.F_OK)


def existing(folder: Path) -> Path:
    """Return `folder`, or the first above it that is there."""
    return folder if is_there(folder) or folder == folder.parent else existing(folder.parent)


def _opened(config: Config, path: Path, reader: JournalReader) -> tuple[list[Finding], Stored | None]:
    version = reader.read(_version, path)
    if version is None:
        return [_nothing_in(config.journal.path, "still empty", "it was a journal, and is empty")], NOTHING
    if not 1 <= version <= files.SCHEMA_VERSION:
        what = f"journal {path}: schema {version}, this version knows {files.SCHEMA_VERSION}"
        return [error(what, "run the newer Pavé")], None
    if version < files.SCHEMA_VERSION:
        what = f"journal {path}: of an older Pavé; the next start brings it to this one's, and needs as much room again"
        return [warning(what, "copy the file first, or make a backup with the older Pavé")], NOTHING
    reader.read(_look_through, path)
    usage = reader.usage(config.journal.policy([sink.name for sink in config.sink]))
    found = [fine(f"journal {path}: {usage.kept} readings, {usage.used_bytes / 1e6:.1f} MB")]
    damage = reader.read(meta.text, "damaged")
    if damage:
        found.append(warning(damage, _GUIDE))
    seen = reader.read(meta.text, "damage_seen")
    if seen:
        found.append(fine(f"damage that somebody has seen: {seen}"))
    found += [
        warning(f"{count} readings that sink {sink} will never get were removed", "see its backlog, and at_cap")
        for sink, count in usage.lost.items()
    ]
    return found, reader.read(registry_tables.load)


def _shared_memory(path: Path) -> list[Finding]:
    """Return that the file system has none, which a journal needs. Tried with a file that never has a name."""
    try:
        descriptor = os.open(existing(path.parent), os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:
        return []  # it has no such files: the start tells
    try:
        os.ftruncate(descriptor, mmap.PAGESIZE)
        mmap.mmap(descriptor, mmap.PAGESIZE).close()
    except OSError as failure:
        return [of_message(f"journal {path}: {NO_SHARED_MEMORY}")] if failure.errno in _NO_MMAP else []
    finally:
        os.close(descriptor)
    return []


def _look_through(db: Any, path: Path) -> None:
    checks.look_through_state(path, db)


def _version(db: Any, path: Path) -> int | None:
    """Return the version of a journal's tables, None of a file that has none yet."""
    if db.execute("SELECT 1 FROM sqlite_schema").get is None:
        return None
    try:
        return meta.number(db, "schema")
    except ValueError as failure:
        raise DamagedError(f"journal {path}: its version is {meta.text(db, 'schema')!r}") from failure


def _nothing_in(path: Path, at_first: str, later: str) -> Finding:
    if spare.load(path) is None:
        return fine(f"journal {path}: {at_first}, made at the next start")
    step = "put it back, or restore a backup; a start without it begins anew with what the records folder has"
    return error(f"journal {path}: {later}", step)


def _none_made(count: int) -> NoReturn:
    """Stand for the random source of a new key file: doctor makes none."""
    raise FileNotFoundError(count)


def _no_key_file(path: Path, stored: Stored | None) -> list[Finding]:
    """Return what follows from a missing key file that no sealed keys need, as far as is known."""
    if path.is_symlink():
        return [error(f"key file {path}: it is a link to nothing", "put the file where it leads, or remove the link")]
    if stored is None:
        step = "put its copy back; if no device was ever provisioned, the gateway makes one when it starts"
        return [error(f"key file {path}: missing", step)]
    if stored.gateway_id:
        step = "put its copy back if there is one: records that technicians made so far open with that alone"
        found = warning(f"key file {path}: missing; a new one is made", step)
    else:
        found = fine(f"key file {path}: none yet, made at the first start")
    return [*_folder(f"key file {path}", path.parent), found]


def _folder(what: str, folder: Path) -> list[Finding]:
    """Return why `what` cannot be made in `folder`, which may be made, too."""
    there = existing(folder)
    if not _is_folder(there):
        return [error(f"{what}: {there} is a file, and has to be a folder", "move it away, or name another place")]
    if not _may(there, os.W_OK | os.X_OK):
        step = "give the folder to the user that runs the gateway; see that the disk is not mounted read-only"
        return [error(f"{what}: user {os.geteuid()} may not write in {there}", step)]
    return []


def _writable(path: Path) -> list[Finding]:
    """Return why the journal's file `path`, if it is there, is of no use."""
    if _is_folder(path):
        return [error(f"journal: {path} is a folder, and has to be a file", "move it away, or change journal.path")]
    if is_there(path) and not _may(path, os.R_OK | os.W_OK):
        step = "give the file to the user that runs the gateway; see that the disk is not mounted read-only"
        return [error(f"journal: user {os.geteuid()} may not write {path}", step)]
    return []


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


def _few(found: Iterable[Finding]) -> list[Finding]:
    """Return the first ones, and how many more there are."""
    told = list(found)
    left = len(told) - _TOLD
    if left <= 0:
        return told
    return [*told[:_TOLD], Finding(told[0].severity, f"and {left} more like the last", told[0].next_step)]
