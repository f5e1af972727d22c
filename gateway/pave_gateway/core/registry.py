"""Which devices there are, and which of them speaks for which place, now and at any position of the log.

The site file says which places exist; the registry says which device stands there. A device is

    provisioned   known, and stands nowhere
    active        stands at a place, and speaks for it
    retired       out of use for good, or until it is provisioned anew: its readings are refused, its keys are wiped

and moves between them by acts (`core.registry_acts`), each of which is on disk before it is here. Nothing is ever
removed: assignments end and stay, so the history of a bay is the bay's, whichever devices it had.

To which place a reading belongs is decided by the log, not by what happens to be true when somebody looks: an
assignment covers the positions behind `from_position`, up to and with `to_position`.

    reading of a device                                 belongs to                    changes the place's state
    --------------------------------------------------  ----------------------------  -------------------------
    that stands at a place                              that place                    yes
    that was replaced or released, coming in late       the place it stood at last    no
    that was moved, measured before the move            the place it came from        no
    that is retired, or never stood anywhere            (refused)                     no

"Measured before" compares the reading's time with the move's; where the clock could not be trusted for either of them,
or was put back in between, position alone decides.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pave_gateway.core.places import Place
from pave_gateway.core.registry_rows import AssignmentEndRow, AssignmentRow, DeviceRow
from pave_gateway.core.rows import StoredReading

PROVISIONED = "provisioned"
ACTIVE = "active"
RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A period in which a device speaks for a place.

    Attributes:
        place: Id of a bay or kiosk.
        device: EUI-64.
        from_position: Of the newest reading in the log when it began; 0 for always.
        from_ms: When it began, milliseconds since 1970.
        synchronized: Whether `from_ms` can be trusted.
        to_position: Of the newest reading when it ended; None while it lasts.
        to_ms: When it ended.
        ended_by: The actor of its end, "" while it lasts.
    """

    place: str
    device: str
    from_position: int
    from_ms: int
    synchronized: bool
    to_position: int | None = None
    to_ms: int | None = None
    ended_by: str = ""

    def covers(self, position: int) -> bool:
        """Say whether what is at `position` of the log was said for the place by its device of then."""
        return self.from_position < position and (self.to_position is None or position <= self.to_position)


class Registry:
    """The registry in memory. Every question is a look-up or a bisection."""

    def __init__(self, places: Iterable[Place]) -> None:
        """`places` are those of the site file."""
        self.places: Mapping[str, Place] = {place.id: place for place in places}
        self.last_act = 0
        self.position = 0  # the highest that any assignment began or ended at
        self._devices: dict[str, DeviceRow] = {}
        self._of_place: dict[str, list[Assignment]] = {}  # in the order of their beginning; the last may be current
        self._of_device: dict[str, list[Assignment]] = {}
        self._admitted: dict[str, Place] = {}
        self._displaced: dict[str, str] = {}

    # Questions

    @property
    def admitted(self) -> Mapping[str, Place]:
        """Where a device's readings belong, by device; one that is not in it is refused. It follows the acts."""
        return self._admitted

    @property
    def displaced(self) -> Mapping[str, str]:
        """By device: the place it stood at last, where that is none of the site file and it stands nowhere now."""
        return self._displaced

    def place_of(self, device: str) -> Place | None:
        """Return where the readings of `device` belong: where it stands, or stood last; None if they are refused."""
        return self._admitted.get(device)

    def device_at(self, place: str) -> str | None:
        """Return the device that speaks for `place` now."""
        current = self.current(place)
        return None if current is None else current.device

    def current(self, place: str) -> Assignment | None:
        """Return the assignment that `place` has now."""
        return _current(self._of_place.get(place))

    def standing(self, device: str) -> Assignment | None:
        """Return the assignment that `device` has now."""
        return _current(self._of_device.get(device))

    def assignment_at(self, place: str, position: int) -> Assignment | None:
        """Return who spoke for `place` at `position` of the log."""
        history = self._of_place.get(place, ())
        index = bisect_left(history, position, key=_from_position) - 1
        return history[index] if index >= 0 and history[index].covers(position) else None

    def attribute(self, stored: StoredReading) -> Assignment | None:
        """Return the assignment that a reading belongs to; None if its device never stood anywhere.

        Only if that assignment `covers` the position does the reading change the state of its place.
        """
        row = stored.row
        history = self._of_device.get(row.device, ())
        for assignment in reversed(history[1:]):
            # One that was received behind the move and dated before it: the clock was put back in between.
            comparable = row.synchronized and assignment.synchronized and row.received_ms >= assignment.from_ms
            if assignment.from_position < stored.position and not (comparable and row.read_ms < assignment.from_ms):
                return assignment
        return history[0] if history else None

    def history(self, place: str) -> Sequence[Assignment]:
        """Return all assignments of `place`, oldest first."""
        return tuple(self._of_place.get(place, ()))

    def history_of_device(self, device: str) -> Sequence[Assignment]:
        """Return all assignments of `device`, oldest first."""
        return tuple(self._of_device.get(device, ()))

    def device(self, device: str) -> DeviceRow | None:
        """Return what is known of `device`."""
        return self._devices.get(device)

    def devices(self) -> Iterator[DeviceRow]:
        """Yield all devices, retired ones too, in the order in which they came."""
        return iter(self._devices.values())

    def occupied_places(self) -> Iterator[Assignment]:
        """Yield the current assignment of each place that has one; also of places no longer in the site file."""
        for history in self._of_place.values():
            current = _current(history)
            if current is not None:
                yield current

    def state(self, device: str) -> str | None:
        """Return PROVISIONED, ACTIVE or RETIRED; None for a device that is not here."""
        known = self._devices.get(device)
        if known is None:
            return None
        if known.retired_ms is not None:
            return RETIRED
        return ACTIVE if self.standing(device) is not None else PROVISIONED

    # What acts do, once they are on disk; `position` is that of the newest reading in the log then

    def put_device(self, row: DeviceRow) -> None:
        """Take `row` for its device."""
        self._devices[row.device] = row
        self._admit(row.device)

    def begin(self, row: AssignmentRow, position: int) -> None:
        """Let the device speak for the place behind `position`.

        A place's first device that never stood elsewhere has spoken for it always: a journal of before there was a
        registry has its readings.
        """
        of_place = self._of_place.setdefault(row.place, [])
        of_device = self._of_device.setdefault(row.device, [])
        begins = position if of_place or of_device else 0
        assignment = Assignment(row.place, row.device, begins, row.from_ms, row.synchronized)
        of_place.append(assignment)
        of_device.append(assignment)
        self.position = max(self.position, begins)
        self._admit(row.device)

    def end(self, row: AssignmentEndRow, position: int) -> None:
        """End the current assignment of the place behind `position`."""
        of_place, of_device = self._of_place[row.place], self._of_device[row.device]
        ended = replace(of_place[-1], to_position=position, to_ms=row.to_ms, ended_by=row.ended_by)
        of_place[-1] = of_device[-1] = ended
        self.position = max(self.position, position)
        self._admit(row.device)

    def restore(self, devices: Iterable[DeviceRow], assignments: Iterable[Assignment], last_act: int) -> None:
        """Take what the tables hold, at start; `assignments` in the order of their beginning."""
        for assignment in assignments:
            self._of_place.setdefault(assignment.place, []).append(assignment)
            self._of_device.setdefault(assignment.device, []).append(assignment)
            self.position = max(self.position, assignment.from_position, assignment.to_position or 0)
        for row in devices:
            self.put_device(row)
        self.last_act = last_act

    def _admit(self, device: str) -> None:
        known = self._devices.get(device)
        history = self._of_device.get(device)
        place = self.places.get(history[-1].place) if history else None
        is_in_use = known is not None and known.retired_ms is None
        if is_in_use and place is not None:
            self._admitted[device] = place
        else:
            self._admitted.pop(device, None)
        if is_in_use and place is None and history:
            self._displaced[device] = history[-1].place
        else:
            self._displaced.pop(device, None)


def _current(history: Sequence[Assignment] | None) -> Assignment | None:
    return history[-1] if history and history[-1].to_position is None else None


def _from_position(assignment: Assignment) -> int:
    return assignment.from_position
