"""How a change of durable state comes about.

A `Change` is rows, and what is to happen in memory once they are on disk. Whoever makes it hands the rows to the
committer, alone (`submit`) or in one group with the replay window of the request that asked for it, and calls `apply`
when they are committed. Until then nothing has changed; if they are not committed, nothing ever does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pave_gateway.core.committer import Committed, Committer, Done, Outcome, Row


@dataclass(frozen=True, slots=True)
class Change:
    """`rows` to commit, together or not at all, and `apply` to call when they are."""

    rows: tuple[Row, ...]
    apply: Callable[[], None]


def submit(committer: Committer, change: Change, done: Done) -> None:
    """Commit `change` alone, apply it, then tell `done` what came of it.

    Raises:
        CommitterBusy: nothing was taken.
    """

    def finish(outcome: Outcome) -> None:
        if isinstance(outcome, Committed):
            change.apply()
        done(outcome)

    committer.submit(change.rows, finish)
