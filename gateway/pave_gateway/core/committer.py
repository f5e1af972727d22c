"""What the core asks of durable storage.

The core never knows how a row reaches the disk. It hands a group of rows to a `Committer`, which calls back once, on
the event loop, after all of them are durable together, or after none is. Nothing is acknowledged to anyone before
that call. A group with a reading whose identity is in use for other values is refused as a whole: its device has lost
count, and will send everything again under a new epoch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pave_gateway.core.rows import StoredReading

Row = object  # a dataclass of `core.rows` or of a family that `store.tables` knows


@dataclass(frozen=True, slots=True)
class Committed:
    """All rows are on disk. `stored` holds the readings that were new; the others were in the log before."""

    stored: tuple[StoredReading, ...]


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """None of the rows is on disk; `reason` says why and what to do. `final`: no room will be made for them, so
    whoever sent them is told to give them up.
    """

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Conflicted:
    """None of the rows is on disk: the log has, or the group gives, other values under `identity`."""

    identity: str


@dataclass(frozen=True, slots=True)
class Outdated:
    """None of the rows is on disk: one was to replace a state (a frame counter, a version) that is newer by now."""

    detail: str


Outcome = Committed | CommitFailed | Conflicted | Outdated
Done = Callable[[Outcome], None]


class CommitterBusy(Exception):  # noqa: N818 - a state, not a defect
    """The queue in front of the disk is full; nothing was taken."""


class Committer(Protocol):
    """Makes groups of rows durable, each group as a whole, in the order submitted."""

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        """Take `rows`; call `done` exactly once, after they are durable or have failed.

        An `urgent` group is never held back to share a commit with later ones.

        Raises:
            CommitterBusy: too much is waiting already; `done` will not be called.
        """
        ...

    def trouble(self) -> list[str]:
        """Return what is wrong with the disk or the journal, for the operator; nothing if all is well."""
        ...

    async def close(self, timeout_s: float) -> None:
        """Commit what is waiting, for at most `timeout_s`, and let go of the file."""
        ...
