"""What a transaction may hold: the rows of the log, and the replay state that admits them.

A family with tables of its own (LoRaWAN, registry, shadow) keeps its rows beside its logic.
"""

from dataclasses import dataclass

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
        counter: The OSCORE Partial IV of the message that brought it; None on a link with another replay state.
        synchronized: Whether the gateway's clock could be trusted when it arrived.
    """

    device: str
    epoch: int
    seq: int
    reading_class: str
    received_ms: int
    read_ms: int
    values: dict[str, Value]
    counter: int | None = None
    synchronized: bool = True

    @property
    def identity(self) -> str:
        """`device:epoch:seq`, the key under which every back-end knows this reading."""
        return f"{self.device}:{self.epoch}:{self.seq}"


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A reading in the log, at its position: 1, 2, 3, ..., never reused; a restored or salvaged log skips many."""

    position: int
    row: ReadingRow


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """A device's OSCORE replay window (RFC 8613, 7.4), as it is once the message of this group has been admitted.

    The journal may leave it to be derived: a window is the one stored last and the counters of the log after it.

    Attributes:
        device: Whose requests it guards.
        highest: The highest Partial IV accepted, -1 for none.
        seen: Mask whose bit n stands for `highest` - n.
    """

    device: str
    highest: int
    seen: int


@dataclass(frozen=True, slots=True)
class SenderRow:
    """OSCORE sender sequence numbers towards `device` below `reserved` may be used (RFC 8613, B.1.1)."""

    device: str
    reserved: int


@dataclass(frozen=True, slots=True)
class CursorRow:
    """How far a sink's back-end has accepted the log."""

    sink: str
    position: int


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A reading that a sink's back-end refused for good, and why.

    `reading` is kept with it, whatever becomes of the log; None has it copied from there.
    """

    sink: str
    position: int
    reason: str
    reading: ReadingRow | None = None


@dataclass(frozen=True, slots=True)
class RedriveRow:
    """A dead letter is to be offered to its sink's back-end again."""

    sink: str
    position: int


@dataclass(frozen=True, slots=True)
class RedrivenRow:
    """The back-end has taken a dead letter after all; it is one no longer."""

    sink: str
    position: int


@dataclass(frozen=True, slots=True)
class DiscardRow:
    """`operator` gives a dead letter up. Nothing else ever removes one that was not delivered."""

    sink: str
    position: int
    operator: str
