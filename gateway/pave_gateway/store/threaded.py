"""The production committer: one thread writes, and everything that waited during a commit goes into the next one.

So a lone reading is committed at once, with no timer, and under load one fsync serves hundreds. Callbacks return to
the event loop in one call per transaction, in the order of submission.

    event loop: submit -> queue (bounded) .................. done(outcome) <- call_soon_threadsafe
    writer:                 take all -> BEGIN, rows, COMMIT (fsync) --------^
"""

import asyncio
import logging
import threading
from collections.abc import Sequence

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed, CommitterBusy, Done, Outcome, Row
from pave_gateway.store.journal import Journal, JournalError

_log = logging.getLogger(__name__)

_Submission = tuple[Sequence[Row], Done]


class ThreadedCommitter:
    """See `core.committer.Committer`. Created on the event loop that calls it."""

    def __init__(self, journal: Journal, max_queued: int = limits.SUBMISSIONS_QUEUED) -> None:
        """Own `journal` until `close`."""
        self._journal = journal
        self._max_queued = max_queued
        self._loop = asyncio.get_running_loop()
        self._queue: list[_Submission] = []
        self._wake = threading.Condition()
        self._closing = False
        self.transactions = 0
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        """Queue `rows` for the next transaction."""
        with self._wake:
            if self._closing:
                raise CommitterBusy("the gateway is stopping")
            if len(self._queue) >= self._max_queued:
                raise CommitterBusy(f"{len(self._queue)} groups are waiting for the disk; send again later")
            self._queue.append((rows, done))
            self._wake.notify()

    async def close(self, timeout_s: float) -> None:
        """Commit what waits, for at most `timeout_s`, then close the journal.

        A disk that hangs longer keeps its (daemon) thread; nothing it still holds was acknowledged.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join, timeout_s)
        await asyncio.sleep(0)  # the last callbacks are queued on the loop

    def _run(self) -> None:
        while batch := self._take_all():
            outcomes = self._commit(batch)
            self._loop.call_soon_threadsafe(_complete, batch, outcomes)
        self._journal.close()

    def _take_all(self) -> list[_Submission]:
        """Return everything that waits; an empty list means stop."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            batch, self._queue = self._queue, []
            return batch

    def _commit(self, batch: list[_Submission]) -> list[Outcome]:
        self.transactions += 1
        try:
            return [*self._journal.write([rows for rows, _ in batch])]
        except JournalError as error:
            return [CommitFailed(str(error))] * len(batch)
        except Exception as error:  # a defect of ours must not end the thread: every device would wait for ever
            _log.exception("unexpected failure of a commit")
            return [CommitFailed(f"unexpected: {error!r}")] * len(batch)


def _complete(batch: list[_Submission], outcomes: list[Outcome]) -> None:
    for (_, done), outcome in zip(batch, outcomes, strict=True):
        try:
            done(outcome)
        except Exception:  # the others of this transaction are committed too and must hear of it
            _log.exception("unexpected failure after a commit")
