"""The occupancy of every bay, derived from the log and from nothing else.

`apply` is called for each reading in the order of its position: at start for what the log has, then after each commit.
So a gateway that was killed comes back to exactly the state it had. A whole log is long, so the state is written down
now and then, restored, and brought forward by the readings behind it: the result is the same as from the whole log.
That is done in rounds of small steps (`snapshot_step`), each bay that a reading touched once, with the position it
stands for; when a round is through, a mark says from which position on the log is still needed.

    round    begins at 700      b1 at 700, b2 at 712 | b3 at 730 | mark 700        restore, then apply from 701 on:
                                                                                   b2 skips what it has up to 712

Which device speaks for a bay is its assignment, from a position of the log on. Only the newest assignment counts: the
readings of a device that was replaced change nothing any more, however late they come, nor do those that a device made
where it stood before it was moved here. A bay whose device is new is unknown until that one speaks. What a reading says
of its bay is in `core.bay_state`.

Every reading costs the same however many bays there are; the counts of free bays are kept up, never summed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pave_gateway.core import limits
from pave_gateway.core.bay_state import VACANT
from pave_gateway.core.bay_state import Bay as Bay
from pave_gateway.core.change import Change
from pave_gateway.core.instant import ClockLog
from pave_gateway.core.places import Place
from pave_gateway.core.rows import StoredReading

SNAPSHOT_VERSION = 1
_ALWAYS = -1  # before every position

Subscriber = Callable[[Bay], None]


class Assignment(Protocol):
    """That a device stands at a place, for the readings behind one position of the log."""

    @property
    def place(self) -> str:
        """Its id."""
        ...

    @property
    def device(self) -> str:
        """EUI-64 as 16 lower-case hexadecimal digits."""
        ...

    @property
    def from_position(self) -> int:
        """Of the newest reading in the log when it began; 0 for always."""
        ...


class Assignments(Protocol):
    """Who stands where (`core.registry`)."""

    def occupied_places(self) -> Iterable[Assignment]:
        """Return the assignments that last."""
        ...

    def attribute(self, stored: StoredReading) -> Assignment | None:
        """Return the assignment that a reading belongs to."""
        ...


@dataclass(frozen=True, slots=True)
class BayRow:
    """What is known of a bay at a position of the log; it takes the place of the one before."""

    place: str
    position: int
    state: bytes


@dataclass(frozen=True, slots=True)
class BaysMarkRow:
    """The rows of the bays have all that the log has up to `position`; what lies behind is to be applied."""

    position: int


class SnapshotError(Exception):
    """A snapshot is not one of this version: rebuild the bays from the log."""


class Bays:
    """The bays of a site."""

    def __init__(
        self, places: Iterable[Place], registry: Assignments | None = None, clock: ClockLog | None = None
    ) -> None:
        """Kiosks among `places` are left out; without `registry` each place has the device of the site file."""
        self._registry = registry
        self.clock = ClockLog() if clock is None else clock
        self._by_place: dict[str, Bay] = {}
        self._by_device: dict[str, Bay] = {}
        self._counts: dict[str, list[int]] = {}  # kind: free, all
        self._subscribers: list[Subscriber] = []
        self._touched: dict[str, None] = {}  # places to write down in the next round, in the order they came up
        self._round: tuple[int, list[str]] | None = None  # where it began, and the places left of it
        self.position = 0  # of the newest reading applied; grows with each change, survives a restart
        for place in places:
            if place.is_bay:
                self._by_place[place.id] = Bay(place, self.clock)
                self._counts.setdefault(place.kind, [0, 0])[1] += 1
                if registry is None:
                    self.assign(place.id, place.device or None, _ALWAYS)
        for assignment in () if registry is None else registry.occupied_places():
            self.assign(assignment.place, assignment.device, assignment.from_position)

    def __iter__(self) -> Iterator[Bay]:
        """In the order of the site file."""
        return iter(self._by_place.values())

    def get(self, place: str) -> Bay | None:
        """Return the bay with this id."""
        return self._by_place.get(place)

    def of_device(self, device: str) -> Bay | None:
        """Return the bay that this device is in."""
        return self._by_device.get(device)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber(bay)` whenever its state or the beginning of that is another, in the order of subscription.

        Among them that it became occupied or free, blind, faulty, or unknown because its device was replaced.
        """
        self._subscribers.append(subscriber)

    def assign(self, place: str, device: str | None, from_position: int) -> None:
        """Have `device` (None: none) speak for the bay `place` from a position on; a kiosk's place is left alone."""
        bay = self._by_place.get(place)
        if bay is None:
            return
        if bay.device is not None and self._by_device.get(bay.device) is bay:
            del self._by_device[bay.device]
        was_known, was_free = bay.state is not None, bay.state == VACANT
        bay.assign(device, from_position)
        if device is not None:
            self._by_device[device] = bay
        self._count(bay, was_free)
        if was_known:
            self._tell(bay)

    def apply(self, stored: Sequence[StoredReading]) -> None:
        """Take readings newly in the log, in the order of their position."""
        for reading in stored:
            self.position = reading.position
            bay = self._by_device.get(reading.row.device)
            if bay is None or reading.position <= bay.position or not self._is_of(bay, reading):
                continue
            self._touched[bay.place.id] = None
            was_free = bay.state == VACANT
            if bay.take(reading):
                self._count(bay, was_free)
                self._tell(bay)

    def availability(self) -> dict[str, tuple[int, int]]:
        """Return {kind: (bays known to be free, bays)}; a bay that has not spoken, is blind or faulty is not free."""
        return {kind: (free, total) for kind, (free, total) in self._counts.items()}

    def snapshot_step(self, most: int = limits.SNAPSHOT_BAYS) -> Change | None:
        """Return the next `most` bays to write down, or the mark that ends the round; None if all is written.

        Ask for the next when this one is committed. Between rounds leave some minutes, or some ten thousand readings.
        """
        if self._round is None:
            if not self._touched:
                return None
            self._round = (self.position, list(self._touched))
            self._touched = {}
        position, places = self._round
        if not places:
            return Change((BaysMarkRow(position),), self._end_round)
        some = [self._by_place[place] for place in places[:most]]
        rows = tuple(BayRow(bay.place.id, bay.position, _packed(bay)) for bay in some)

        def apply() -> None:
            del places[:most]

        return Change(rows, apply)

    def restore(self, rows: Iterable[BayRow], position: int) -> None:
        """Take the newest row of each bay and the mark; then apply the readings behind `position`.

        Bays that are new since, or have another device, stay unknown. No subscriber is told.

        Raises:
            SnapshotError: a row is none, or of another version; nothing is known of any bay then.
        """
        try:
            for row in rows:
                self._load(row)
        except (ValueError, TypeError, LookupError) as error:
            for bay in self:
                self.assign(bay.place.id, bay.device, bay.from_position)
            raise SnapshotError(f"no state of a bay: {error}; rebuild the bays from the log") from error
        self.position = position

    def _load(self, row: BayRow) -> None:
        version, dumped = json.loads(row.state)
        if version != SNAPSHOT_VERSION:
            raise ValueError(f"{row.place} in version {version}, not {SNAPSHOT_VERSION}")
        bay = self._by_place.get(row.place)
        if bay is not None:
            was_free = bay.state == VACANT
            if bay.load(dumped):
                bay.position = row.position
            self._count(bay, was_free)

    def _end_round(self) -> None:
        self._round = None

    def _is_of(self, bay: Bay, reading: StoredReading) -> bool:
        """Whether a reading was made where its device stands now."""
        if self._registry is None:
            return True
        found = self._registry.attribute(reading)
        return found is not None and (found.place, found.from_position) == (bay.place.id, bay.from_position)

    def _count(self, bay: Bay, was_free: bool) -> None:
        self._counts[bay.place.kind][0] += (bay.state == VACANT) - was_free

    def _tell(self, bay: Bay) -> None:
        for subscriber in self._subscribers:
            subscriber(bay)


def _packed(bay: Bay) -> bytes:
    return json.dumps([SNAPSHOT_VERSION, bay.dump()], separators=(",", ":")).encode()
