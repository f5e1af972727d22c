"""One sink: follows the log with a cursor of its own, so a back-end that is slow or down never delays another.

    rows after the cursor -> deliver -> cursor moves over the leading rows that were accepted or refused for good,
                                        through the journal's own writer, together with the dead letters
    no rows               -> wait for a commit (no polling)
    a row to be retried   -> jittered, exponential back-off, then again from the cursor

From the cursor, and not only the rows that failed: what a back-end hears about one bay stays in order, and it knows a
reading that it hears twice by its identity. After a crash the cursor may lag behind what was delivered; it is never
ahead of it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed, Committer, CommitterBusy, Outcome, Row
from pave_gateway.core.rows import CursorRow, DeadLetterRow, StoredReading

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The back-end has the row."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The back-end does not have the row; it may take it later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The back-end will never take the row."""

    reason: str


Verdict = Delivered | Retry | Rejected


class Sink(Protocol):
    """A back-end."""

    def recall(self, delivered: Sequence[StoredReading]) -> None:
        """Hear, at the start, of readings that the back-end has from an earlier run."""
        ...

    async def deliver(self, batch: Sequence[StoredReading]) -> Sequence[Verdict]:
        """Send `batch`, wait until the back-end has confirmed, and return one verdict per row. Connects when needed."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...


class Log(Protocol):
    """What the engine needs of the journal."""

    def after(self, position: int, max_rows: int) -> list[StoredReading]:
        """Return the readings that follow `position`, at most `max_rows`."""
        ...


class Backoff:
    """Doubling delays, each shortened by up to half at random, so that many sites do not return in step."""

    def __init__(self, source: random.Random) -> None:
        """`source` is the random source."""
        self._random = source
        self.failures = 0

    def next_s(self) -> float:
        """Return the delay after one more failure, in seconds."""
        ceiling_s = min(limits.BACKOFF_MAX_S, limits.BACKOFF_FIRST_S * 2 ** min(self.failures, 16))
        self.failures += 1
        return ceiling_s * (0.5 + self._random.random() / 2)


class SinkEngine:
    """Drives one `Sink` from the log."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        log: Log,
        committer: Committer,
        cursor: int,
        source: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`cursor` is the position up to which the back-end has the log already."""
        self.name = name
        self.cursor = cursor
        self.last_error = ""
        self._sink = sink
        self._log_reader = log
        self._committer = committer
        self._backoff = Backoff(source)
        self._sleep = sleep
        self._wake = asyncio.Event()
        self._finishing = False

    @property
    def failing(self) -> bool:
        """Whether the last attempt did not succeed."""
        return self._backoff.failures > 0

    def replay(self, logged: Sequence[StoredReading]) -> None:
        """Hear of the log at the start, before `run`; the sink learns of what its back-end has."""
        self._sink.recall([reading for reading in logged if reading.position <= self.cursor])

    def wake(self, stored: Sequence[StoredReading]) -> None:
        """Hear that the log has grown."""
        del stored
        self._wake.set()

    def finish(self) -> None:
        """End `run` when the log has been forwarded."""
        self._finishing = True
        self._wake.set()

    async def run(self) -> None:
        """Forward until `finish` (or cancellation)."""
        try:
            while True:
                self._wake.clear()
                while await self._step_safely():
                    pass
                if self._finishing:
                    break
                await self._wake.wait()
        finally:
            await self._sink.close()

    async def _step_safely(self) -> bool:
        try:
            return await self.step()
        except Exception as error:  # the journal cannot be read, or a defect: this sink tries again, the others go on
            _log.exception("sink %s: unexpected failure", self.name)
            await self._back_off(repr(error))
            return True

    async def step(self) -> bool:
        """Deliver one batch; return False when there was nothing to deliver."""
        batch = self._log_reader.after(self.cursor, limits.SINK_BATCH_ROWS)
        if not batch:
            return False
        verdicts = await self._sink.deliver(batch)
        error = await self._settle(batch, verdicts)
        if error:
            await self._back_off(error)
        elif self.failing:
            _log.info("sink %s: delivering again", self.name)
            self._backoff.failures = 0
        return True

    async def _settle(self, batch: Sequence[StoredReading], verdicts: Sequence[Verdict]) -> str:
        """Move the cursor over the settled rows at the head of `batch`; return why not over all of it."""
        rows: list[Row] = []
        error = ""
        position = self.cursor
        for reading, verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, Retry):
                error = verdict.reason
                break
            if isinstance(verdict, Rejected):
                rows.append(DeadLetterRow(self.name, reading.position, verdict.reason))
                _log.warning("sink %s: refused %s for good: %s", self.name, reading.row.identity, verdict.reason)
            position = reading.position
        if position > self.cursor:
            error = await self._commit([*rows, CursorRow(self.name, position)], position) or error
        return error

    async def _commit(self, rows: list[Row], position: int) -> str:
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            self._committer.submit(rows, lambda outcome: None if done.done() else done.set_result(outcome))
        except CommitterBusy as busy:
            return str(busy)
        outcome = await done
        if isinstance(outcome, CommitFailed):
            return outcome.reason
        self.cursor = position
        return ""

    async def _back_off(self, error: str) -> None:
        delay_s = self._backoff.next_s()
        if error != self.last_error or self._backoff.failures == 1:
            _log.warning("sink %s: %s; next attempt in %.1f s", self.name, error, delay_s)
        self.last_error = error
        await self._sleep(delay_s)
