"""Was every vehicle reported, once? The books of a run, kept by identity at every station of the chain.

    truth         what the scenario did: a vehicle came to rest on a bay, or left it
    sent          readings a device put on the air (`Tap`)
    acknowledged  readings whose 2.04 reached the device (`Tap`)
    stored        rows of the gateway's journal
    forwarded     stored rows that the sink's cursor has passed
    received      what the city's own subscriber saw

Truths and received changes of a bay are matched one to one and in order, where they say the same state and their times
agree. A scenario leaves `min_s` between changes of a bay, and the window is shorter than that, so a report cannot stand
for another change than its own. The books are pure: the stations hand in their records, `settle` compares them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pave_wire import model

EARLY_S = 1.5  # a vehicle is said to have left when it is out of sight, 1.5 s after it began to (motion's "quick")
LATE_S = 3.5  # settling takes half a second; the rest is room for a busy machine
RETRANSMITTED_LATE_S = 20.0  # a report sent again says the age it had when it was sent first

Values = Mapping[str, object]


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
    values: Values


@dataclass
class Books:
    """Records of one run; identities are `device:epoch:seq`.

    `altered` has those that a station saw under two different sets of values, `unreadable` counts the datagrams of
    devices that did not open under their keys: nothing is known of what they said.
    """

    truths: list[Truth] = field(default_factory=list[Truth])
    sent: dict[str, Values] = field(default_factory=dict[str, Values])
    acknowledged: set[str] = field(default_factory=set[str])
    stored: dict[str, Values] = field(default_factory=dict[str, Values])
    forwarded: set[str] = field(default_factory=set[str])
    received: list[Receipt] = field(default_factory=list[Receipt])
    altered: set[str] = field(default_factory=set[str])
    unreadable: int = 0


@dataclass(frozen=True)
class Settlement:
    """What the comparison found."""

    truth: int
    sent: int
    stored: int
    forwarded: int
    received: int
    duplicates: int
    unreported: list[Truth]  # truths no received reading matches
    phantom: list[Receipt]  # received changes no truth explains
    pending: set[str]  # sent, yet never acknowledged
    missing_stored: set[str]  # acknowledged, yet not in the journal
    missing_received: set[str]  # acknowledged or stored, yet never at the subscriber
    altered: set[str]  # not the same values at every station
    unreadable: int  # datagrams of devices that nobody can read

    @property
    def lost(self) -> int:
        """Truths that never reached the city, and readings that were safe somewhere and did not arrive."""
        return len(self.unreported) + len(self.missing_stored | self.missing_received)

    @property
    def balanced(self) -> bool:
        """Whether the books prove that nothing was lost, invented or changed."""
        wrong = self.lost or self.phantom or self.pending or self.altered or self.unreadable
        return self.truth > 0 and not wrong


def is_change(values: Values) -> bool:
    """Whether a reading with these values says that a bay's state changed."""
    return model.OCCUPIED in values and values.get(model.REASON) == "field"


def settle(books: Books, late_s: float = LATE_S) -> Settlement:
    """Compare the records of all stations; the counts are of changes, the duties of all readings."""
    changes = {identity for identity, values in {**books.sent, **books.stored}.items() if is_change(values)}
    seen = Counter(receipt.identity for receipt in books.received)
    first_receipts = list({receipt.identity: receipt for receipt in reversed(books.received)}.values())
    arrivals = [receipt for receipt in first_receipts if is_change(receipt.values)]
    unreported, phantom = _match(books.truths, arrivals, late_s)
    return Settlement(
        truth=len(books.truths),
        sent=len(changes & books.sent.keys()),
        stored=len(changes & books.stored.keys()),
        forwarded=len(changes & books.forwarded),
        received=len(arrivals),
        duplicates=sum(count - 1 for count in seen.values()),
        unreported=unreported,
        phantom=phantom,
        pending=books.sent.keys() - books.acknowledged,
        missing_stored=books.acknowledged - books.stored.keys(),
        missing_received=(books.acknowledged | books.stored.keys()) - seen.keys(),
        altered=books.altered | _altered(books),
        unreadable=books.unreadable,
    )


def _altered(books: Books) -> set[str]:
    versions = [*books.sent.items(), *books.stored.items(), *((r.identity, r.values) for r in books.received)]
    first: dict[str, Values] = {}
    return {identity for identity, values in versions if first.setdefault(identity, values) != values}


def _match(truths: list[Truth], receipts: list[Receipt], late_s: float) -> tuple[list[Truth], list[Receipt]]:
    """Return (truths without a receipt, receipts without a truth)."""
    by_bay: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in sorted(receipts, key=lambda receipt: _order(receipt.identity)):
        by_bay[receipt.place].append(receipt)
    unreported: list[Truth] = []
    phantom: list[Receipt] = []
    for truth in sorted(truths, key=lambda truth: truth.at_s):
        waiting = by_bay[truth.bay]
        at = next((at for at, receipt in enumerate(waiting) if _agree(truth, receipt, late_s)), None)
        if at is None:
            unreported.append(truth)
        else:  # what was passed over came earlier and explains nothing that is still to come
            phantom += waiting[:at]
            by_bay[truth.bay] = waiting[at + 1 :]
    return unreported, phantom + [receipt for left in by_bay.values() for receipt in left]


def _agree(truth: Truth, receipt: Receipt, late_s: float) -> bool:
    in_time = -EARLY_S <= receipt.read_s - truth.at_s <= late_s
    return in_time and receipt.values[model.OCCUPIED] is truth.occupied


def _order(identity: str) -> tuple[str, int, int]:
    device, epoch, seq = identity.split(":")
    return device, int(epoch), int(seq)
