"""A committer without a thread: it commits inside `submit`, so in tests and the simulation one seed gives one trace."""

from collections.abc import Sequence

from pave_gateway.core.committer import CommitFailed, Done, Outcome, Row
from pave_gateway.store.journal import Journal, JournalError


class InlineCommitter:
    """See `core.committer.Committer`."""

    def __init__(self, journal: Journal) -> None:
        """Own `journal` until `close`."""
        self._journal = journal

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        """Commit `rows` and call `done` before returning."""
        done(commit_one(self._journal, rows))

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
