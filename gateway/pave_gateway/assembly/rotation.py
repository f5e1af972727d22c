"""The sealing key's rotation on a running gateway: begun by command, gone on with at a start after it was cut off.

    begin:  a key more in the key file -> the gateway seals with it -> the act on disk -> steps -> older keys dropped
    start:                                                                               steps -> older keys dropped

Each start looks at all that is sealed, for there may be more under an older key than a rotation left: a backup that was
put back, with its key in the file again. Steps are taken between other work of the loop, each some milliseconds long; a
disk that takes nothing is tried again. Nothing here must come to its end: see `core.keys_rotation`.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TypeVar

from pave_gateway.assembly.core import GATEWAY, Core
from pave_gateway.core import limits
from pave_gateway.core.change import submit
from pave_gateway.core.committer import CommitFailed, Committed, CommitterBusy, Outcome
from pave_gateway.core.keys_rotation import Rotation
from pave_gateway.core.keys_rows import ResealedRow, ResealedSessionRow, ResealedSettingsRow
from pave_gateway.core.registry_acts import RegistryBusyError
from pave_gateway.core.registry_change import By, NotRecorded, Recorded
from pave_gateway.findings import Finding, error, warning
from pave_gateway.store.errors import JournalError
from pave_gateway.store.key_file import (
    KeyFile,
    KeyFileError,
    add_sealing_key,
    drop_sealing_keys,
    load_key_file,
)
from pave_gateway.store.sealed import SealedIn

_log = logging.getLogger(__name__)
_TURN_S = 0.02  # between two looks whether another act is still on its way
_T = TypeVar("_T")


class KeyRotation:
    """Of one gateway. `go_on` once, when it has started; `begin` by command.

    Attributes:
        path: Of the key file.
        file: The key file, as it was written last.
        rotation: How far it is, or was when it ended.
        trouble: What it waits for, or ended with; "" if nothing.
        act: Of the audit trail, with which the last one began or ended; 0 before the first.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.path = core.config.registry.key_path(core.config.journal.path)
        self.file = core.key_file
        self.rotation = self._made()
        self.trouble = ""
        self.act = 0
        self._sessions: list[Callable[[ResealedRow], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        """Whether something is still to be looked at."""
        return self._task is not None and not self._task.done()

    def subscribe_sessions(self, listener: Callable[[ResealedRow], None]) -> None:
        """Call `listener(row)` for each LoRaWAN session whose keys are on disk under another seal."""
        self._sessions.append(listener)

    def go_on(self) -> None:
        """Seal anew what is under an older key, and let go of the older keys then."""
        if not self.is_running:
            self._start(self._run(GATEWAY))

    async def begin(self, actor: str) -> None:
        """Make a new sealing key and begin to seal everything with it; one that is not over is gone on with.

        Raises:
            KeyFileError: the key file is not the one that the gateway uses, or cannot be written; nothing has changed.
        """
        async with self._one_at_a_time:
            if self.is_running and len(self.file.sealing) > 1:
                return
            self.file = await asyncio.to_thread(self._grown, self._core.now().ms)
            self._core.registrar.keyring.adopt([entry.key for entry in self.file.sealing])
            self._start(self._run_new(actor))

    async def close(self) -> None:
        """Stop where it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def findings(self) -> list[Finding]:
        """Return what is wrong now."""
        if self.trouble:
            made = warning if self.is_running else error
            return [made(f"the rotation of the sealing key: {self.trouble}", "it is gone on with; else keys rotate")]
        closed = sum(count.closed for count in self.rotation.counts)
        if not closed or self.is_running:
            return []
        what, _, step = self.rotation.faults[0].rpartition("; ")
        return [error(f"{closed} secrets in the journal do not open, the first: {what}", step)]

    def _grown(self, now_ms: int) -> KeyFile:
        """Return the key file as it lies on the disk, with a new key unless a rotation is not over."""
        if not self.path.exists():
            raise KeyFileError(f"key file {self.path}: missing; put its copy back before the gateway is restarted")
        file = load_key_file(self.path)
        own = self.file
        if (file.site, file.opening, file.sealing[-1]) != (own.site, own.opening, own.sealing[-1]):
            raise KeyFileError(f"key file {self.path}: not the one that the gateway uses; put that back")
        return add_sealing_key(self.path, file, now_ms, self._core.machine.random_bytes)

    def _made(self) -> Rotation:
        return Rotation(SealedIn(self._core.reader), self._core.registrar.keyring, self._resealed)

    def _resealed(self, row: ResealedRow) -> None:
        if isinstance(row, ResealedSettingsRow):
            self._core.shadows.resealed(row)
        elif isinstance(row, ResealedSessionRow):
            for listener in self._sessions:
                listener(row)

    def _start(self, run: Coroutine[None, None, None]) -> None:
        """Let `run` begin; the look of a start gives way to it."""
        if self._task is not None:
            self._task.cancel()
        self.rotation, self.trouble = self._made(), ""
        self._task = asyncio.create_task(run, name="key rotation")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self.trouble = f"a defect of the gateway: {task.exception()!r}"
            _log.error("the rotation of the sealing key failed", exc_info=task.exception())

    async def _run_new(self, actor: str) -> None:
        """Take the steps once all that was sealed under an older key is on disk: it is, when the act behind it is."""
        newest = self.file.sealing[-1]
        self.act = await self._record(actor, "new sealing key", f"{newest.id.hex()}, made {newest.made}")
        await self._run(actor)

    async def _run(self, actor: str) -> None:
        while not self.rotation.is_over:
            await self._step()
            await asyncio.sleep(0)
        for fault in self.rotation.faults:
            _log.error("%s", fault)
        if len(self.file.sealing) > 1:
            async with self._one_at_a_time:  # whoever asks for the next one waits until the end of this is told
                await self._drop(actor)

    async def _drop(self, actor: str) -> None:
        """Take the keys out of the key file that nothing on the disk is under."""
        before, now_ms = self.file, self._core.now().ms
        try:
            self.file = await asyncio.to_thread(drop_sealing_keys, self.path, before, self.rotation.held, now_ms)
        except KeyFileError as failure:
            self.trouble = str(failure)
            _log.error("%s", failure)
            return
        gone = ", ".join(entry.id.hex() for entry in before.sealing if entry not in self.file.sealing)
        anew = sum(count.anew for count in self.rotation.counts)
        if gone:
            _log.info("%d secrets sealed anew; sealing key %s is no longer in %s", anew, gone, self.path)
            self.act = await self._record(actor, "sealing key dropped", f"{gone}; {anew} secrets sealed anew")

    async def _step(self) -> None:
        """Take a step; where the disk does not take it, wait until it may."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            change = self.rotation.step()
            if not change.rows:
                change.apply()
                return
            submit(self._core.committer, change, _into(done))
        except (JournalError, CommitterBusy) as failure:
            await self._wait(str(failure))
            return
        outcome = await done
        if isinstance(outcome, Committed):
            self.trouble = ""
        else:
            await self._wait(outcome.reason if isinstance(outcome, CommitFailed) else repr(outcome))

    async def _record(self, actor: str, name: str, detail: str) -> int:
        """Put an act on disk, however long the disk takes; return its number."""
        registrar = self._core.registrar
        while True:
            done: asyncio.Future[Recorded | NotRecorded] = asyncio.get_running_loop().create_future()
            now = self._core.now()
            try:
                change = registrar.change(By(actor, now.ms, now.synchronized))
            except RegistryBusyError:
                await asyncio.sleep(_TURN_S)
                continue
            change.act(name, detail=detail)
            registrar.submit(change, _into(done))
            recorded = await done
            if isinstance(recorded, Recorded):
                self.trouble = ""
                return recorded.act
            await self._wait(recorded.reason)

    async def _wait(self, why: str) -> None:
        if why != self.trouble:
            _log.warning("the rotation of the sealing key waits: %s", why)
        self.trouble = why
        await asyncio.sleep(limits.TEND_S)


def _into(future: "asyncio.Future[_T]") -> Callable[[_T], None]:
    """Return what takes a result for `future`, whose task may have been cancelled."""
    return lambda result: None if future.done() else future.set_result(result)
