"""SIGKILL of a real writer: at every sync of a run, and at random moments under load.

The writer is a child process with the production journal. It tells through a pipe what it has answered, after the
commit; what was in the pipe when it died counts. Its page cache survives, its locks do not, and nothing is closed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import random
import select
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import apsw

from pave_gateway.core.committer import Committed, Done, Outcome, Row
from pave_gateway.store.journal import Journal, JournalError
from pave_gateway.store.threaded import ThreadedCommitter
from simulation.crash.model import Message, Promises, Site, broken_promises
from simulation.crash.power import Commit, Result, honest

OUTSTANDING = 64
_KILLS_PER_FILE = 40  # the check of the log takes longer each time
_LIFE_S = (0.0, 0.3)  # of a writer under load, from its first answer
_HEADER_BYTES = 4


def every_sync(
    folder: Path, seed: int, readings: int, commit: Commit = honest, writes: bool = False, first: int = 0
) -> Result:
    """Kill a writer at each sync of a run of that many readings, before and after it, from point `first` on.

    With `writes` it is killed at each write, too.
    """
    result = Result()
    for point in itertools.count(first):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        promises, was_killed = _child(
            lambda tell, at=point: _run(folder / "j.sqlite", seed, readings, at, tell, commit, writes)
        )
        if not was_killed:
            return result
        _check(folder / "j.sqlite", promises, result)
    raise AssertionError


def under_load(folder: Path, seed: int, kills: int, readings: int = 0, eager: bool = False) -> Result:
    """Kill a writer at random moments, `kills` times and until `readings` were acknowledged.

    An `eager` writer answers before it commits: the first promise that it breaks is the end.
    """
    result = Result()
    source = random.Random(seed)
    promises = Promises()
    for life in itertools.count():
        if (life >= kills and result.acknowledged >= readings) or (eager and result.broken):
            return result
        if life % _KILLS_PER_FILE == 0:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            promises = Promises()
        child_seed, life_s = source.random(), source.uniform(*_LIFE_S)
        heard, _ = _child(lambda tell, s=child_seed, n=life: _serve(folder / "j.sqlite", s, n, tell, eager), life_s)
        promises.add(heard)
        _check(folder / "j.sqlite", promises, result)
    raise AssertionError


def _check(path: Path, promises: Promises, result: Result) -> None:
    result.crashes += 1
    result.acknowledged += promises.take_new()
    try:
        result.broken += broken_promises(path, promises, random.Random(1))
    except JournalError as error:
        result.broken.append(str(error))


Tell = Callable[[Promises], None]


def _child(work: Callable[[Tell], None], life_s: float | None = None) -> tuple[Promises, bool]:
    """Run `work` in a child until it dies, `life_s` after its first word if that is given.

    Return what it said, and whether it was killed.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _work_and_end(work, writing)
    os.close(writing)
    promises = Promises()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        data = pipe.read(1 << 16) or b""
        if life_s is not None:
            data += _read_for(pipe, life_s)
            os.kill(process, signal.SIGKILL)
        while more := pipe.read(1 << 16):
            data += more
    for heard in _messages(data):
        promises.add(heard)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError(f"a writer ended by itself, with status {status}; see its traceback above")
    return promises, status == -signal.SIGKILL


def _work_and_end(work: Callable[[Tell], None], pipe: int) -> None:
    """Run in the child; never return, whatever happens."""
    try:
        work(lambda promises: _tell(pipe, promises))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _tell(pipe: int, promises: Promises) -> None:
    data = pickle.dumps(promises)
    data = len(data).to_bytes(_HEADER_BYTES, "big") + data
    while data:
        data = data[os.write(pipe, data) :]


def _read_for(pipe: Any, seconds: float) -> bytes:
    """Return what comes within that time, so that the child never waits for a full pipe."""
    data, deadline_s = b"", time.monotonic() + seconds
    while (left_s := deadline_s - time.monotonic()) > 0:
        if select.select([pipe], [], [], left_s)[0]:
            more = pipe.read(1 << 16)
            if not more:
                return data
            data += more
    return data


def _messages(data: bytes) -> list[Promises]:
    """Return what a child said; its last message may have been cut."""
    said: list[Promises] = []
    while len(data) >= _HEADER_BYTES:
        size = int.from_bytes(data[:_HEADER_BYTES], "big")
        if len(data) < _HEADER_BYTES + size:
            break
        said.append(pickle.loads(data[_HEADER_BYTES : _HEADER_BYTES + size]))
        data = data[_HEADER_BYTES + size :]
    return said


# At every sync


class _KillingVfs(apsw.VFS):
    """Kills this process at one operation of the disk: before it if the number is even, after it if it is odd."""

    def __init__(self, point: int, writes: bool) -> None:
        self.name = "killing"
        self._left, self._is_after = divmod(point, 2)
        self._writes = writes
        super().__init__(self.name, "")

    def pass_point(self, work: Callable[[], None], is_write: bool) -> None:
        """Do `work`, unless this is the point."""
        here = self._left == 0 and (self._writes or not is_write)
        self._left -= self._writes or not is_write
        if here and not self._is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        work()
        if here:
            os.kill(os.getpid(), signal.SIGKILL)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _KillingFile(self, name, flags)


class _KillingFile(apsw.VFSFile):
    def __init__(self, vfs: _KillingVfs, name: Any, flags: list[int]) -> None:
        self._vfs = vfs
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._vfs.pass_point(lambda: super(_KillingFile, self).xWrite(data, offset), is_write=True)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._vfs.pass_point(lambda: super(_KillingFile, self).xSync(flags), is_write=False)


def _run(path: Path, seed: int, readings: int, point: int, tell: Tell, commit: Commit, writes: bool) -> None:
    """Write until `readings` are acknowledged, or the point that kills."""
    vfs = _KillingVfs(point, writes)
    journal = Journal(path, vfs=vfs.name)
    site = Site(random.Random(seed))
    site.restart(path)
    messages = site.messages()
    with mock.patch("pave_gateway.core.limits.WAL_PAGES", 100):
        while len(site.promises.acknowledged) < readings:
            batch = [next(messages) for _ in range(site.batch())]
            commit(journal, batch, lambda outcomes, batch=batch: _answer(site, batch, outcomes, tell))
            journal.tend(None)
    journal.close()


def _answer(site: Site, batch: Sequence[Message], outcomes: Sequence[Outcome], tell: Tell) -> None:
    known, site.promises = site.promises, Promises()
    for message, outcome in zip(batch, outcomes, strict=True):
        site.answered(message, outcome)
    tell(site.promises)
    known.add(site.promises)
    site.promises = known


# Under load


class _EagerCommitter(ThreadedCommitter):
    """Wrong on purpose: says "committed", then commits."""

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        super().submit(rows, lambda _: None, urgent)
        asyncio.get_running_loop().call_soon(done, Committed(()))


def _serve(path: Path, seed: float, life: int, tell: Tell, eager: bool) -> None:
    """Answer devices until killed."""
    journal = Journal(path)
    site = Site(random.Random(seed), life + 1)
    site.restart(path)

    async def serve() -> None:
        committer = (_EagerCommitter if eager else ThreadedCommitter)(journal)
        messages = site.messages()

        def send() -> None:
            message = next(messages)
            committer.submit(message.rows, lambda outcome: answered(message, outcome))

        def answered(message: Message, outcome: Outcome) -> None:
            _answer(site, [message], [outcome], tell)
            site.promises = Promises()
            send()

        for _ in range(OUTSTANDING):
            send()
        await asyncio.Event().wait()

    asyncio.run(serve())
