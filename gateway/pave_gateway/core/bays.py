"""The occupancy of every bay, derived from the log and from nothing else.

`apply` is called for each reading in the order of its position: at start for the whole log, then after each commit.
So a gateway that was killed comes back to exactly the state it had. Within a bay readings are ordered by (epoch,
seq), the device's own order; one that arrives late (radio, retries) never overwrites a newer one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pave_gateway.core.places import Place
from pave_gateway.core.rows import StoredReading
from pave_wire.model import OCCUPIED


@dataclass(slots=True)
class Bay:
    """A bay and what is known of it; everything after `place` is None or 0 until its device has spoken.

    Attributes:
        place: Where it is, and its device.
        occupied: Whether a vehicle stands on it.
        since_ms: When that state began, milliseconds since 1970.
        read_ms: When it was last confirmed.
        epoch: Of the newest reading.
        seq: Of the newest reading.
    """

    place: Place
    occupied: bool | None = None
    since_ms: int | None = None
    read_ms: int | None = None
    epoch: int = 0
    seq: int = 0


Subscriber = Callable[[Bay], None]


class Bays:
    """The bays of a site."""

    def __init__(self, places: Iterable[Place]) -> None:
        """Kiosks among `places` are left out."""
        self._by_device = {place.device: Bay(place) for place in places if place.is_bay}
        self._subscribers: list[Subscriber] = []
        self.position = 0  # of the newest reading applied; grows with each change, survives a restart

    def __iter__(self) -> Iterator[Bay]:
        """In the order of the site file."""
        return iter(self._by_device.values())

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber(bay)` whenever a bay becomes occupied or free, in the order of subscription."""
        self._subscribers.append(subscriber)

    def apply(self, stored: Sequence[StoredReading]) -> None:
        """Take readings newly in the log, in the order of their position."""
        for reading in stored:
            self.position = reading.position
            bay = self._by_device.get(reading.row.device)
            occupied = reading.row.values.get(OCCUPIED)
            if bay is not None and isinstance(occupied, bool):
                self._update(bay, reading, occupied)

    def _update(self, bay: Bay, reading: StoredReading, occupied: bool) -> None:
        row = reading.row
        if bay.occupied is not None and (row.epoch, row.seq) <= (bay.epoch, bay.seq):
            return
        changed = occupied != bay.occupied
        bay.epoch, bay.seq, bay.read_ms = row.epoch, row.seq, row.read_ms
        if changed:
            bay.occupied, bay.since_ms = occupied, row.read_ms
            for subscriber in self._subscribers:
                subscriber(bay)

    def availability(self) -> dict[str, tuple[int, int]]:
        """Return {kind: (bays known to be free, bays)}; a bay that has not spoken is not free."""
        counts: dict[str, tuple[int, int]] = {}
        for bay in self._by_device.values():
            free, total = counts.get(bay.place.kind, (0, 0))
            counts[bay.place.kind] = (free + (bay.occupied is False), total + 1)
        return counts
