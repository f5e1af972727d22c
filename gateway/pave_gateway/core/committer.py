"""What the core asks of durable storage.

The core never knows how a row reaches the disk. It hands a group of rows to a `Committer`, which calls back once, on
the event loop, after all of them are durable together, or after none is. Nothing is acknowledged to anyone before
that call. A group with a reading whose identity is in use for other values is refused as a whole: its device has lost
count, and will send everything again under a new epoch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """A reading as it goes to the log.

    Attributes:
        device: EUI-64 as 16 lower-case hexadecimal digits; with `epoch` and `seq` the identity of the reading.
        epoch: Advances when the device lost count of `seq`.
        seq: Position in the epoch.
        reading_class: "alarm", "presence", "health" or "diagnostics".
        received_ms: When it arrived, milliseconds since 1970.
        read_ms: When it was measured: `received_ms` less its age.
        values: Name to value, in SI units.
    """

    device: str
    epoch: int
    seq: int
    reading_class: str
    received_ms: int
    read_ms: int
    values: dict[str, Value]

    @property
    def identity(self) -> str:
        """`device:epoch:seq`, the key under which every back-end knows this reading."""
        return f"{self.device}:{self.epoch}:{self.seq}"


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A reading in the log, at its position (1, 2, 3, ...: no gaps, never reused)."""

    position: int
    row: ReadingRow


@dataclass(frozen=True, slots=True)
class CursorRow:
    """How far a sink's back-end has accepted the log."""

    sink: str
    position: int


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A reading that a sink's back-end refused for good, and why."""

    sink: str
    position: int
    reason: str


Row = ReadingRow | CursorRow | DeadLetterRow


@dataclass(frozen=True, slots=True)
class Committed:
    """All rows are on disk. `stored` holds the readings that were new; the others were in the log before."""

    stored: tuple[StoredReading, ...]


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """None of the rows is on disk; `reason` says why and what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """None of the rows is on disk: the log has, or the group gives, other values under `identity`."""

    identity: str


Outcome = Committed | CommitFailed | Conflicted
Done = Callable[[Outcome], None]


class CommitterBusy(Exception):  # noqa: N818 - a state, not a defect
    """The queue in front of the disk is full; nothing was taken."""


class Committer(Protocol):
    """Makes groups of rows durable, each group as a whole, in the order submitted."""

    def submit(self, rows: Sequence[Row], done: Done) -> None:
        """Take `rows`; call `done` exactly once, after they are durable or have failed.

        Raises:
            CommitterBusy: too much is waiting already; `done` will not be called.
        """
        ...

    async def close(self, timeout_s: float) -> None:
        """Commit what is waiting, for at most `timeout_s`, and let go of the file."""
        ...
