"""One sink: follows the log with a cursor of its own, so a back-end that is slow or down never delays another.

    rows after the cursor -> told as they are known now (`core.outgoing`), up to the first that waits for the clock
                          -> deliver -> cursor moves over the leading rows that were accepted or refused for good,
                                        through the journal's own writer, together with the dead letters
    no rows               -> wait for a commit (no polling)
    the first row waits   -> wait until the clock is set, or its time is over; commits behind it change nothing
    a row to be retried   -> jittered, exponential back-off, then again from the cursor

From the cursor, and not only the rows that failed or waited: what a back-end hears about one bay stays in order, and it
knows a reading that it hears twice by its identity. After a crash the cursor may lag behind what was delivered; it is
never ahead of it.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed, Committer, CommitterBusy, Outcome, Row
from pave_gateway.core.instant import Held
from pave_gateway.core.outgoing import Outgoing
from pave_gateway.core.rows import CursorRow, DeadLetterRow, StoredReading
from pave_gateway.sinks.sink import Rejected, Retry, Sink, Verdict

_log = logging.getLogger(__name__)


Tell = Callable[[StoredReading], Outgoing | Held | None]
"""Says what is to be told of a reading now (`core.outgoing.Teller.tell`); None: nothing yet, a commit will wake us."""


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
        tell: Tell,
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
        self._tell = tell
        self._held: Held | None = None
        self._sleep = sleep
        self._wake = asyncio.Event()
        self._finishing = False

    @property
    def failing(self) -> bool:
        """Whether the last attempt did not succeed."""
        return self._backoff.failures > 0

    @property
    def held(self) -> bool:
        """Whether the next reading waits for the clock."""
        return self._held is not None

    def wake(self, stored: Sequence[StoredReading]) -> None:
        """Hear that the log has grown."""
        del stored
        if not self.held:
            self._wake.set()

    def clock_changed(self) -> None:
        """Hear that times may be known better than before."""
        self._wake.set()

    def finish(self) -> None:
        """End `run` when the log has been forwarded, up to what waits for the clock."""
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
                await self._rest()
        finally:
            await self._sink.close()

    async def _rest(self) -> None:
        """Return when there may be something to deliver."""
        ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._wake.wait())]
        if self._held is not None:
            ends.append(asyncio.ensure_future(self._sleep(self._held.wait_ms / 1000)))
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _step_safely(self) -> bool:
        try:
            return await self.step()
        except Exception as error:  # the journal cannot be read, or a defect: this sink tries again, the others go on
            _log.exception("sink %s: unexpected failure", self.name)
            await self._back_off(repr(error))
            return True

    async def step(self) -> bool:
        """Deliver one batch; return False when there was nothing to deliver, or nothing yet."""
        batch = self._next_batch()
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

    def _next_batch(self) -> list[Outgoing]:
        """Return what is to be told next, in the order of the log."""
        self._held = None
        batch: list[Outgoing] = []
        for stored in self._log_reader.after(self.cursor, limits.SINK_BATCH_ROWS):
            told = self._tell(stored)
            if not isinstance(told, Outgoing):
                self._held = told
                break
            batch.append(told)
        return batch

    async def _settle(self, batch: Sequence[Outgoing], verdicts: Sequence[Verdict]) -> str:
        """Move the cursor over the settled rows at the head of `batch`; return why not over all of it."""
        rows: list[Row] = []
        error = ""
        position = self.cursor
        for outgoing, verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, Retry):
                error = verdict.reason
                break
            if isinstance(verdict, Rejected):
                rows.append(DeadLetterRow(self.name, outgoing.position, verdict.reason))
                _log.warning("sink %s: refused %s for good: %s", self.name, outgoing.row.identity, verdict.reason)
            position = outgoing.position
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
