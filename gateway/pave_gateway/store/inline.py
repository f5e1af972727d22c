"""A committer without a thread: it commits inside `submit`, so in tests and the simulation one seed gives one trace."""

from collections.abc import Callable, Sequence

from pave_gateway.core.committer import CommitFailed, Done, Outcome, Row
from pave_gateway.store.journal import Journal, JournalError

Later = Callable[[Callable[[], None]], None]  # calls what it is given, once


class InlineCommitter:
    """See `core.committer.Committer`."""

    def __init__(
        self,
        journal: Journal,
        later: Later = lambda call: call(),
        trusted_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Own `journal` until `close`.

        Args:
            journal: Where to.
            later: Delivers a completion: at once, or after the time that a disk would take
                (`lambda call: loop.call_later(0.005, call)`).
            trusted_ms: Milliseconds since 1970, None while nobody can tell: then no reading expires.
        """
        self._journal = journal
        self._later = later
        self._trusted_ms = trusted_ms

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        """Commit `rows` before returning; have `done` called."""
        outcome = commit_one(self._journal, rows)
        self._journal.tend(self._trusted_ms())
        self._later(lambda: done(outcome))

    def trouble(self) -> list[str]:
        """See `core.committer.Committer`."""
        return self._journal.health.lines()

    async def close(self, timeout_s: float) -> None:
        """Nothing waits here; `timeout_s` is for committers where something does."""
        del timeout_s
        self._journal.close()


def commit_one(journal: Journal, rows: Sequence[Row]) -> Outcome:
    """Commit `rows` alone in a transaction and return what came of it."""
    try:
        return journal.write([rows])[0]
    except JournalError as error:
        return CommitFailed(str(error))
