"""Provisioning records that lie in the site's folder are imported: at each start, and when another is put there.

A technician's records come by stick, by mail, days late; whoever gets them copies them here. Nothing has to be removed:
a record that was imported is told by its device and epoch, which stand outside, and is not opened again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pave_gateway.assembly.core import Core
from pave_gateway.core import limits
from pave_gateway.core.registry_change import By
from pave_gateway.core.registry_import import Import, Judged, Verdict
from pave_gateway.provisioning import SUFFIX, ImportResult, Opened, open_records, outside, public_file, read_files

_log = logging.getLogger(__name__)

_ACTOR = "records folder"
_NEW = (Verdict.ADDED.value, Verdict.REPLACED.value)
_NOTHING = (Verdict.KNOWN.value, Verdict.OLDER.value)

_REFUSED = "refused"
_SETTLED_S = 0.05  # more than a tick of a file system's clock, so that no file can come with the same time behind us


class RecordsFolder:
    """The folder of a site. Call `look` about once a second."""

    def __init__(self, core: Core, folder: Path) -> None:
        """`folder` need not exist."""
        self._core = core
        self._folder = folder
        self._changed_ns: int | None = None  # when the folder had last changed, as of the last import
        self._refused: dict[Path, int | None] = {}  # and when those had that could not be read
        self._again_ms = 0  # what could not be stored is tried again then
        self._task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Import what is there now; for the start, while nothing else runs."""
        await self._read(_at_once)

    def look(self) -> None:
        """Begin to import what was put there since."""
        busy = self._task is not None and not self._task.done()
        if not busy and self._core.machine.monotonic_ms() >= self._again_ms and self._has_changed():
            self._task = asyncio.create_task(self._read_beside(), name="records folder")

    async def close(self) -> None:
        """Import nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

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
            found = await call(_read_outside, self._folder)
            opened = await call(self._open, [(name, raw) for name, raw, said in found if self._may_be_new(*said)])
            await self._import(changed_ns, opened)

    def _may_be_new(self, device: str, epoch: int) -> bool:
        known = self._core.registry.device(device)
        if known is None or known.epoch < epoch:
            return True
        return known.retired_ms is None and self._core.registrar.keys.secrets(device) is None

    def _open(self, news: list[tuple[str, bytes | str]]) -> Opened:
        return open_records(iter(news), self._core.key_file, self._core.config.registry.technicians())

    async def _import(self, changed_ns: int, opened: Opened) -> None:
        technicians = self._core.config.registry.technicians()
        now = self._core.now()
        done: asyncio.Future[list[Judged]] = asyncio.get_running_loop().create_future()
        records = [record for _, record in opened.records]
        by = By(_ACTOR, now.ms, now.synchronized)
        Import(self._core.registrar, records, technicians, by).start(done.set_result)
        results = opened.results(await done)
        self._tell(results)
        if any(result.result == Verdict.NOT_STORED.value for result in results):
            self._again_ms = self._core.machine.monotonic_ms() + limits.RECORDS_AGAIN_MS
            return
        self._changed_ns = changed_ns
        refused = [Path(result.source) for result in results if result.result == _REFUSED][: limits.RECORDS_WATCHED]
        self._refused = {path: _changed_ns(path) for path in refused}  # half copied, perhaps

    def _tell(self, results: list[ImportResult]) -> None:
        new = [result.device for result in results if result.result in _NEW]
        if new:
            _log.info("%s: %d devices provisioned, %s first", self._folder, len(new), new[0])
        for result in results:
            if result.result not in _NEW and result.result not in _NOTHING:
                _log.warning("%s: %s: %s", result.source, result.result, result.detail)


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
