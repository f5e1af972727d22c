"""The production committer: one thread writes, and everything that waited during a commit goes into the next one.

When the thread begins a commit is decided by `store.pacing`. Under load one fsync serves hundreds. Callbacks return to
the event loop in one call per transaction, in the order of submission.

    event loop: submit -> queue (bounded) ........................... done(outcome) <- call_soon_threadsafe
    writer:                 sleep until due -> take all -> BEGIN, rows, COMMIT (fsync) --------^
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed, CommitterBusy, Done, Outcome, Row
from pave_gateway.core.rows import CursorRow
from pave_gateway.store.journal import Journal, JournalError
from pave_gateway.store.pacing import Pacing

_log = logging.getLogger(__name__)

_Submission = tuple[Sequence[Row], Done]
_AWAKE = float("-inf")


class ThreadedCommitter:
    """See `core.committer.Committer`. Created on the event loop that calls it."""

    def __init__(
        self,
        journal: Journal,
        max_queued: int = limits.SUBMISSIONS_QUEUED,
        interval_s: float = limits.COMMIT_INTERVAL_S,
        monotonic: Callable[[], float] = time.monotonic,
        trusted_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Own `journal` until `close`.

        Args:
            journal: Where to.
            max_queued: Groups that may wait.
            interval_s: What a group may wait for others, see `Pacing`.
            monotonic: Seconds of a clock that never steps.
            trusted_ms: Milliseconds since 1970, None while nobody can tell: then no reading expires. Called from the
                writer's thread.
        """
        self._journal = journal
        self._max_queued = max_queued
        self._pacing = Pacing(interval_s, limits.COMMIT_GROUPS)
        self._monotonic = monotonic
        self._trusted_ms = trusted_ms
        self._has_work = False  # the journal wants to be tended again
        self._loop = asyncio.get_running_loop()
        self._queue: list[_Submission] = []
        self._wake = threading.Condition(threading.Lock())
        self._sleeps_until_s = _AWAKE
        self._closing = False
        self._housekeeping_fault = ""  # the one that was logged
        self._tries_again_s = _AWAKE  # a disk that failed is left alone until then
        self._commit_began_s: float | None = None  # of the commit that runs
        self.transactions = 0
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()
        self._check = threading.Timer(limits.CHECK_AFTER_S, journal.check)  # the start was not held up by it
        self._check.daemon = True
        self._check.start()

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        """Queue `rows` for the next transaction."""
        with self._wake:
            if self._closing:
                raise CommitterBusy("the gateway is stopping")
            if len(self._queue) >= self._max_queued:
                raise CommitterBusy(f"{len(self._queue)} groups are waiting for the disk; send again later")
            self._queue.append((rows, done))
            if not self._pacing.has_enough:
                self._pacing.arrived(self._monotonic(), urgent, isinstance(rows[-1], CursorRow))
                if self._pacing.due_s < self._sleeps_until_s:
                    self._wake.notify()

    def trouble(self) -> list[str]:
        """See `core.committer.Committer`."""
        began_s = self._commit_began_s
        lasts_s = 0.0 if began_s is None else self._monotonic() - began_s
        stalled = [f"the disk has not finished a commit for {lasts_s:.0f} s"] if lasts_s > limits.COMMIT_SLOW_S else []
        return stalled + self._journal.health.lines()

    async def close(self, timeout_s: float) -> None:
        """Commit what waits, for at most `timeout_s`, then close the journal.

        A disk that hangs longer keeps its (daemon) thread; nothing it still holds was acknowledged.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._check.cancel()
        await asyncio.to_thread(self._thread.join, timeout_s)
        await asyncio.sleep(0)  # the last callbacks are queued on the loop

    def _run(self) -> None:
        while (batch := self._take_all()) is not None:
            if batch:
                self._loop.call_soon_threadsafe(_complete, batch, self._commit(batch))
            self._tend()
        self._journal.close()

    def _take_all(self) -> list[_Submission] | None:
        """Return everything that waits, once it is due; nothing from time to time; None to stop."""
        with self._wake:
            wakes_s = self._monotonic() + (0.0 if self._has_work else limits.TEND_S)
            while not self._closing:
                now_s = self._monotonic()
                self._sleeps_until_s = min(self._pacing.due_s, wakes_s)
                if self._sleeps_until_s <= now_s:
                    break
                self._wake.wait(self._sleeps_until_s - now_s)
            self._sleeps_until_s = _AWAKE
            if self._closing and not self._queue:
                return None
            if not self._closing and self._pacing.due_s > self._monotonic():
                return []
            while not self._closing and (wait_s := self._pacing.gathers_s(self._monotonic(), len(self._queue))):
                self._wake.wait(wait_s)
            batch, self._queue = self._queue, []
            self._pacing.committing()
            return batch

    def _commit(self, batch: list[_Submission]) -> list[Outcome]:
        try:
            failing = self._journal.health.failing
            if failing and self._journal.is_stale and self._monotonic() < self._tries_again_s:
                raise JournalError(failing)
            self.transactions += 1
            self._commit_began_s = self._monotonic()
            return self._journal.write([rows for rows, _ in batch])
        except JournalError as error:
            return [CommitFailed(str(error))] * len(batch)
        except Exception as error:  # a defect of ours must not end the thread: every device would wait for ever
            _log.exception("unexpected failure of a commit")
            return [CommitFailed(f"unexpected: {error!r}")] * len(batch)
        finally:
            if self._commit_began_s is not None:
                self._pacing.committed(self._commit_began_s, self._monotonic())
            self._commit_began_s = None

    def _tend(self) -> None:
        if self._journal.health.failing and self._monotonic() < self._tries_again_s:
            return
        try:
            self._has_work = self._journal.tend(self._trusted_ms())
            self._housekeeping_fault = ""
        except Exception as error:  # a defect of ours must not end the thread, nor fill the log every second
            if repr(error) != self._housekeeping_fault:
                _log.exception("unexpected failure of the journal's housekeeping")
            self._housekeeping_fault = repr(error)
        self._tries_again_s = self._monotonic() + limits.TEND_S


def _complete(batch: list[_Submission], outcomes: list[Outcome]) -> None:
    for (_, done), outcome in zip(batch, outcomes, strict=True):
        try:
            done(outcome)
        except Exception:  # the others of this transaction are committed too and must hear of it
            _log.exception("unexpected failure after a commit")
