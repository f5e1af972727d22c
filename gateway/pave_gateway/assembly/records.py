"""Provisioning records that lie in the site's folder are imported: at each start, and when another is put there.

A technician's records come by stick, by mail, days late; whoever gets them copies them here. Nothing has to be removed:
a record that was imported is told by its device and epoch, which stand outside, and is not opened again. What the disk
does not take is kept opened, and tried again until it does.

Beside them lie notes of the devices that were retired: an older backup that is put back does not know of that. A record
as old as such a note is left alone, and a device that is in use in spite of one is told of.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from pave_gateway.assembly.core import Core
from pave_gateway.core import limits
from pave_gateway.core.keys_record import Provisioned
from pave_gateway.core.registry import RETIRED
from pave_gateway.core.registry_change import By, Changed
from pave_gateway.core.registry_differences import Difference, Retirement, retirements, revived
from pave_gateway.core.registry_import import Import, Judged, Verdict
from pave_gateway.log import LimitedLog
from pave_gateway.provisioning import SUFFIX, ImportResult, Opened, open_records, outside, public_file, read_files
from pave_gateway.records_folder import note, noted

_log = logging.getLogger(__name__)

_ACTOR = "records folder"
_NEW = (Verdict.ADDED.value, Verdict.REPLACED.value)
_NOTHING = (Verdict.KNOWN.value, Verdict.OLDER.value, Verdict.NOT_STORED.value)

_SETTLED_S = 0.05  # more than a tick of a file system's clock, so that no file can come with the same time behind us


class RecordsFolder:
    """The folder of a site. Call `look` about once a second."""

    def __init__(self, core: Core, folder: Path) -> None:
        """`folder` need not exist."""
        self._core = core
        self._folder = folder
        self._changed_ns: int | None = None  # when the folder had last changed, as it was read last
        self._refused: dict[Path, int | None] = {}  # and when those had that could not be read
        self._pending: list[tuple[str, Provisioned]] = []  # opened, and not stored yet
        self._notes: dict[str, Retirement] = {}  # of devices that were retired
        self._has_notes_to_write = False
        self._again_ms = 0  # what could not be stored is tried again then
        self._trouble: list[str] = []  # that the journal had when that was tried; when it is gone it is tried at once
        self._limited = LimitedLog(_log, lambda: core.machine.monotonic_ms() / 1000, limits.NO_ROOM_SAID_S)
        self._task: asyncio.Task[None] | None = None
        core.registrar.subscribe(self._follow)

    async def read(self) -> None:
        """Import what is there now; for the start, while nothing else runs."""
        await self._read(_at_once)
        for one in self.revived()[: limits.DIFFERENCES_TOLD]:
            _log.warning("%s; %s", one.what, one.next_step)

    def look(self) -> None:
        """Begin to import what was put there since, and what is pending."""
        if self._task is not None and not self._task.done():
            return
        if self._has_changed():
            self._begin(self._read_beside())
        elif self._pending and self._may_write_again():
            self._begin(self._import(self._pending))
        elif self._has_notes_to_write and self._may_write_again():
            self._begin(self._write_notes(asyncio.to_thread))

    def revived(self) -> list[Difference]:
        """Return the devices in use that the folder says were retired, each with the next step."""
        step = f"if it shall be used: remove its note from {self._folder}"
        found = revived(self._core.registry, self._notes)
        return [Difference(one.device, one.what, f"{one.next_step}; {step}") for one in found]

    async def close(self) -> None:
        """Import nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(work, name="records folder")

    def _follow(self, changed: Changed) -> None:
        registry = self._core.registry
        if any(registry.state(device) == RETIRED for device in changed.devices):
            self._has_notes_to_write = True

    def _may_write_again(self) -> bool:
        if self._core.machine.monotonic_ms() >= self._again_ms:
            return True
        return bool(self._trouble) and not set(self._trouble) <= set(self._core.committer.trouble())

    def _has_changed(self) -> bool:
        """Look at the folder itself, which notes each file that comes, and at few files in it: it may have 10,000."""
        changed = _changed_ns(self._folder) != self._changed_ns
        return changed or any(_changed_ns(path) != at_ns for path, at_ns in self._refused.items())

    async def _read_beside(self) -> None:
        await asyncio.sleep(_SETTLED_S)
        await self._read(asyncio.to_thread)

    async def _read(self, call: Callable[..., Awaitable[Any]]) -> None:
        """Import; `call(function, ...)` runs what takes long."""
        changed_ns = _changed_ns(self._folder)
        if changed_ns is not None:
            self._notes = await call(noted, self._folder, self._core.config.site.id)
            found = await call(_read_outside, self._folder)
            opened = await call(self._open, [(name, raw) for name, raw, said in found if self._may_be_new(*said)])
            self._changed_ns = changed_ns
            watched = [Path(result.source) for result in opened.refused][: limits.RECORDS_WATCHED]
            self._refused = {path: _changed_ns(path) for path in watched}  # half copied, perhaps
            self._tell(opened.refused)
            self._tell_left([name for name, _, said in found if self._is_left(*said)])
            await self._import(opened.records)
        await self._write_notes(call)

    def _may_be_new(self, device: str, epoch: int) -> bool:
        if self._is_retired(device, epoch):
            return False
        known = self._core.registry.device(device)
        if known is None or known.epoch < epoch:
            return True
        return known.retired_ms is None and self._core.registrar.keys.secrets(device) is None

    def _is_retired(self, device: str, epoch: int) -> bool:
        retired = self._notes.get(device)
        return retired is not None and epoch <= retired.epoch

    def _is_left(self, device: str, epoch: int) -> bool:
        """Say whether a record would be new to the registry, and is of a device that the folder says was retired."""
        known = self._core.registry.device(device)
        return self._is_retired(device, epoch) and (known is None or known.epoch < epoch)

    def _open(self, news: list[tuple[str, bytes | str]]) -> Opened:
        return open_records(iter(news), self._core.key_file, self._core.config.registry.technicians())

    async def _import(self, records: list[tuple[str, Provisioned]]) -> None:
        technicians = self._core.config.registry.technicians()
        now = self._core.now()
        done: asyncio.Future[list[Judged]] = asyncio.get_running_loop().create_future()
        by = By(_ACTOR, now.ms, now.synchronized)
        Import(self._core.registrar, [record for _, record in records], technicians, by).start(done.set_result)
        judged = await done
        self._tell(Opened(records, []).results(judged))
        failed = {id(one.record): one.detail for one in judged if one.verdict is Verdict.NOT_STORED}
        self._pending = [(source, record) for source, record in records if id(record) in failed]
        if self._pending:
            source, first = self._pending[0]
            self._tell_failure(f"{len(failed)} records are not stored yet, {source} first: {failed[id(first)]}")

    async def _write_notes(self, call: Callable[..., Awaitable[Any]]) -> None:
        """Note the retirements that the folder does not have."""
        self._has_notes_to_write = False
        news = {one.device: one for one in retirements(self._core.registry) if not self._is_noted(one)}
        if not news:
            return
        try:
            await call(note, self._folder, self._core.config.site.id, list(news.values()))
            self._notes.update(news)
        except OSError as error:
            self._has_notes_to_write = True
            self._tell_failure(f"{len(news)} retired devices are not noted yet: {error.strerror}")

    def _is_noted(self, one: Retirement) -> bool:
        known = self._notes.get(one.device)
        return known is not None and known.epoch >= one.epoch

    def _tell(self, results: list[ImportResult]) -> None:
        new = [result.device for result in results if result.result in _NEW]
        if new:
            _log.info("%s: %d devices provisioned, %s first", self._folder, len(new), new[0])
        for result in results:
            if result.result not in _NEW and result.result not in _NOTHING:
                _log.warning("%s: %s: %s", result.source, result.result, result.detail)

    def _tell_left(self, names: list[str]) -> None:
        if names:
            _log.warning(
                "%s: %d records of retired devices are left alone, %s first; if a device shall be used, flash it anew",
                self._folder, len(names), names[0],
            )  # fmt: skip

    def _tell_failure(self, what: str) -> None:
        """Say what the disk did not take; it is tried again."""
        self._trouble = self._core.committer.trouble()
        self._again_ms = self._core.machine.monotonic_ms() + limits.RECORDS_AGAIN_MS
        self._limited.warning("disk", f"{self._folder}: {what}; tried again until they are")


async def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _read_outside(folder: Path) -> list[tuple[str, bytes | str, tuple[str, int]]]:
    """Return (name, content, what it says outside) of each record in a folder."""
    return [(name, raw, outside(raw)) for name, raw in read_files([folder])] if any(folder.glob(f"*{SUFFIX}")) else []


def _changed_ns(path: Path) -> int | None:
    """Return when a file or folder last changed, None if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def write_public_file(core: Core, path: Path) -> None:
    """Leave what technicians need to seal records for this gateway at `path`; a disk that refuses is only told of."""
    content = public_file(core.key_file, core.registrar.keys.gateway_id)
    beside = path.with_name(path.name + ".new")
    try:
        if not path.exists() or path.read_bytes() != content:
            beside.write_bytes(content)
            beside.replace(path)
    except OSError as error:
        _log.warning("%s: %s; technicians need it to make records for this gateway", path, error.strerror)
