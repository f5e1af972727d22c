"""What is told of a reading to those outside, decided when it is told and not when it arrived.

The log keeps what was known when a reading arrived, and never changes. Hours may lie between that and the moment when a
back-end hears of it: it was down, the clock has been set since, the device was replaced. So nothing is worked out in
advance or remembered by a sink; the site says each time anew:

    question                      answered by                          may be
    ----------------------------  -----------------------------------  -----------------------------------------------
    which place it speaks for     `Registry.attribute`                 the one it stood at then, though it stands
                                                                       elsewhere now, or the place is gone
    when it was, how surely       `ClockLog.dated`                     put right since, marked, or `Held`
    is it the state of the place  `Bays`: the order of the newest      history: an older one that came late, one behind
                                  reading, and of which device it is   which a newer is in the log, one of a device that
                                                                       was replaced

The bays hear of a reading a moment after it is in the log. One that they have not taken yet is not told yet: a newer
one may be just before it, and its commit is about to wake whoever waits.

Each question is a look-up or a bisection; nothing is kept here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pave_gateway.core.bay_state import state_in
from pave_gateway.core.bays import Bays
from pave_gateway.core.instant import ClockLog, Dated, Held, Now
from pave_gateway.core.places import Place
from pave_gateway.core.registry import Assignment, Registry
from pave_gateway.core.rows import ReadingRow, StoredReading

REMOVED = "removed"  # the kind of a place that the site file has no longer


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reading as it is told.

    Attributes:
        position: Of the reading in the log.
        row: The reading; its own times are as they were thought to be when it arrived.
        dated: Its times as they are known now.
        place_id: Where it belongs: a bay or kiosk. Of a device that never stood anywhere, the device.
        kind: Of the place, see `Place`; REMOVED where the site file has it no longer.
        is_newest_state: Whether it tells the state of a bay, and none newer is known.
    """

    position: int
    row: ReadingRow
    dated: Dated
    place_id: str
    kind: str
    is_newest_state: bool


class Teller:
    """Says what is to be told of readings, at the moment when it is asked."""

    def __init__(self, registry: Registry, bays: Bays, clock: ClockLog, now: Callable[[], Now]) -> None:
        """`now` returns the site's time; `bays` follow `registry`."""
        self._registry = registry
        self._bays = bays
        self._clock = clock
        self._now = now

    def tell(self, stored: StoredReading) -> Outgoing | Held | None:
        """Return it; `Held` where a better time may soon be known, None for one that the bays have not taken yet."""
        row = stored.row
        if stored.position > self._bays.position:
            return None
        dated = self._clock.dated(stored, self._now())
        if isinstance(dated, Held):
            return dated
        found = self._registry.attribute(stored)
        if found is None:
            return Outgoing(stored.position, row, dated, row.device, REMOVED, False)
        place = self._registry.places.get(found.place)
        newest = place is not None and self._is_newest_state(place, found, stored)
        return Outgoing(stored.position, row, dated, found.place, place.kind if place else REMOVED, newest)

    def _is_newest_state(self, place: Place, found: Assignment, stored: StoredReading) -> bool:
        bay = self._bays.get(place.id)
        row = stored.row
        if bay is None or state_in(row.values) is None:
            return False
        is_of_bay = (found.device, found.from_position) == (bay.device, bay.from_position)
        return is_of_bay and found.covers(stored.position) and (row.epoch, row.seq) >= bay.order
