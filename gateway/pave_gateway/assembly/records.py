"""Provisioning records that lie in the site's folder are imported: at each start, and when another is put there.

A technician's records come by stick, by mail, days late; whoever gets them copies them here. Nothing has to be removed:
a record that was imported is told by its device and epoch, which stand outside, and is not opened again.
"""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

from pave_gateway.assembly.core import Core
from pave_gateway.core import limits
from pave_gateway.core.registry_change import By
from pave_gateway.core.registry_import import Import, Judged, Verdict
from pave_gateway.provisioning import SUFFIX, ImportResult, Opened, open_records, outside, public_file, read_files

_log = logging.getLogger(__name__)

_ACTOR = "records folder"
_NEW = (Verdict.ADDED.value, Verdict.REPLACED.value)
_NOTHING = (Verdict.KNOWN.value, Verdict.OLDER.value)

_Listing = frozenset[tuple[str, int, int]]


class RecordsFolder:
    """The folder of a site."""

    def __init__(self, core: Core, folder: Path) -> None:
        """`folder` need not exist."""
        self._core = core
        self._folder = folder
        self._seen: _Listing = frozenset()
        self._again_ms = 0  # what could not be stored is tried again then
        self._task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Import what is there now; for the start, while nothing else runs."""
        listing = _listing(self._folder)
        await self._import(listing, self._open(list(self._news())) if listing else Opened([], []))

    def look(self) -> None:
        """Begin to import what was put there since."""
        busy = self._task is not None and not self._task.done()
        if not busy and self._core.machine.monotonic_ms() >= self._again_ms and _listing(self._folder) - self._seen:
            self._task = asyncio.create_task(self._read_beside(), name="records folder")

    async def close(self) -> None:
        """Import nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read_beside(self) -> None:
        listing = _listing(self._folder)
        news = list(self._news())
        await self._import(listing, await asyncio.to_thread(self._open, news))

    def _news(self) -> Iterator[tuple[str, bytes | str]]:
        """Yield the records that may say something new."""
        keys, registry = self._core.registrar.keys, self._core.registry
        for name, raw in read_files([self._folder]):
            device, epoch = outside(raw)
            known = registry.device(device)
            if known is None or known.epoch < epoch or (known.retired_ms is None and keys.secrets(device) is None):
                yield name, raw

    def _open(self, news: list[tuple[str, bytes | str]]) -> Opened:
        return open_records(iter(news), self._core.key_file, self._core.config.registry.technicians())

    async def _import(self, listing: _Listing, opened: Opened) -> None:
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
        else:
            self._seen = listing

    def _tell(self, results: list[ImportResult]) -> None:
        new = [result.device for result in results if result.result in _NEW]
        if new:
            _log.info("%s: %d devices provisioned, %s first", self._folder, len(new), new[0])
        for result in results:
            if result.result not in _NEW and result.result not in _NOTHING:
                _log.warning("%s: %s: %s", result.source, result.result, result.detail)


def _listing(folder: Path) -> _Listing:
    """Return the records in a folder: name, time of change in ns, bytes."""
    try:
        found = [(path.name, path.stat()) for path in folder.glob(f"*{SUFFIX}")]
    except OSError:
        return frozenset()
    return frozenset((name, status.st_mtime_ns, status.st_size) for name, status in found)


def write_public_file(core: Core, path: Path) -> None:
    """Leave what technicians need to seal records for this gateway at `path`; raises OSError."""
    content = public_file(core.key_file, core.registrar.keys.gateway_id)
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass
    path.write_bytes(content)
