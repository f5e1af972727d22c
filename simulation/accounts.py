"""Was every vehicle reported, once? The books of a run, kept by identity at every station of the chain.

    truth       what the scenario did: a vehicle came to rest on a bay, or left it
    sent        readings a device put on the air (`Tap`)
    acknowledged  readings whose 2.04 reached the device (`Tap`)
    stored      rows of the gateway's journal
    forwarded   stored rows that the sink's cursor has passed
    received    what the city's own subscriber saw

A truth is matched with the received reading of its bay that says the same state, was made because the field changed,
and at about that time; each reading serves one truth. The books are pure: the stations hand in their records, `settle`
compares them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pave_wire import model

EARLY_S = 3.0  # a detector may decide while the vehicle still rolls its last metre
LATE_S = 20.0  # a restless field is judged after 10 s; the rest is waking and clocks


@dataclass(frozen=True)
class Truth:
    """A bay changed at `at_s` (unix time)."""

    bay: str
    occupied: bool
    at_s: float


@dataclass(frozen=True)
class Receipt:
    """One reading as the subscriber saw it; `read_s` is unix time, `place` a bay or kiosk."""

    identity: str
    place: str
    read_s: float
    values: dict[str, object]

    @property
    def is_change(self) -> bool:
        """Whether the reading says that a bay's state changed."""
        return is_change(self.values)


@dataclass
class Books:
    """Records of one run; identities are `device:epoch:seq`."""

    truths: list[Truth] = field(default_factory=list)
    sent: dict[str, dict[str, object]] = field(default_factory=dict)  # identity -> values
    acknowledged: set[str] = field(default_factory=set)
    stored: dict[str, dict[str, object]] = field(default_factory=dict)
    forwarded: set[str] = field(default_factory=set)
    received: list[Receipt] = field(default_factory=list)


@dataclass(frozen=True)
class Settlement:
    """What the comparison found; an empty `unreported` and no `missing_*` is a run that lost nothing."""

    truth: int
    sent: int
    stored: int
    forwarded: int
    received: int
    duplicates: int
    unreported: list[Truth]  # truths no received reading matches
    phantom: list[Receipt]  # received changes no truth explains
    missing_stored: set[str]  # acknowledged, yet not in the journal
    missing_received: set[str]  # acknowledged, yet never at the subscriber

    @property
    def lost(self) -> int:
        """Truths that never reached the city, and readings lost after they were acknowledged."""
        return len(self.unreported) + len(self.missing_stored | self.missing_received)


def is_change(values: dict[str, object]) -> bool:
    """Whether a reading with these values says that a bay's state changed."""
    return model.OCCUPIED in values and values.get(model.REASON) == "field"


def settle(books: Books) -> Settlement:
    """Compare the records of all stations; counts are of changes, the duties of all readings."""
    changes = {identity for identity, values in {**books.sent, **books.stored}.items() if is_change(values)}
    seen = Counter(receipt.identity for receipt in books.received)
    first_receipts = list({receipt.identity: receipt for receipt in reversed(books.received)}.values())
    unreported, phantom = _match(books.truths, [receipt for receipt in first_receipts if receipt.is_change])
    return Settlement(
        truth=len(books.truths),
        sent=len(changes & books.sent.keys()),
        stored=len(changes & books.stored.keys()),
        forwarded=len(changes & books.forwarded),
        received=sum(receipt.is_change for receipt in first_receipts),
        duplicates=sum(count - 1 for count in seen.values()),
        unreported=unreported,
        phantom=phantom,
        missing_stored=books.acknowledged - books.stored.keys(),
        missing_received=books.acknowledged - seen.keys(),
    )


def _match(truths: list[Truth], receipts: list[Receipt]) -> tuple[list[Truth], list[Receipt]]:
    """Return (truths without a receipt, receipts without a truth), matched bay by bay in order of time."""
    waiting: dict[tuple[str, bool], list[Receipt]] = {}
    for receipt in sorted(receipts, key=lambda receipt: receipt.read_s):
        waiting.setdefault((receipt.place, bool(receipt.values[model.OCCUPIED])), []).append(receipt)
    unreported: list[Truth] = []
    for truth in sorted(truths, key=lambda truth: truth.at_s):
        candidates = waiting.get((truth.bay, truth.occupied), [])
        match = next((r for r in candidates if -EARLY_S <= r.read_s - truth.at_s <= LATE_S), None)
        if match is None:
            unreported.append(truth)
        else:
            candidates.remove(match)
    return unreported, [receipt for left in waiting.values() for receipt in left]
