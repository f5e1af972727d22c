"""A site whose clock, devices and log a test moves, with what is told of its readings; in one journal over restarts."""

from pathlib import Path

from gateway_support import BAY, KIOSK, TAXI

from pave_gateway.core.bays import Bays
from pave_gateway.core.clock import SiteClock, Timeline
from pave_gateway.core.ingest import Accepted, Ingest
from pave_gateway.core.instant import ClockLog, Now
from pave_gateway.core.outgoing import Outgoing, Teller
from pave_gateway.core.places import Place
from pave_gateway.core.registry import Registry
from pave_gateway.core.registry_rows import AssignmentEndRow, AssignmentRow, DeviceRow
from pave_gateway.core.rows import StoredReading
from pave_gateway.store import clock_tables
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal, JournalReader
from pave_wire.model import Reading

NEW = "24a160fffe000103"
TRUE_MS = 1_795_000_000_000  # when the machine of these tests boots
YEARS_10_MS = 315_600_000_000
MINUTE_MS = 60_000
PLACES = (
    Place("b1", "delivery", "Rue de Bercy", 48.8, 2.3, BAY),
    Place("t1", "taxi", "Rue de Bercy", 48.8, 2.3, TAXI),
    Place("k1", "kiosk", "Gare", 48.8, 2.3, KIOSK),
)


def registry_of(places=PLACES) -> Registry:
    """Each place has the device of the site file, and NEW stands nowhere."""
    registry = Registry(places)
    for place in places:
        registry.begin(AssignmentRow(place.id, place.device, 0, True), 0)
    for device in (BAY, TAXI, KIOSK, NEW):
        registry.put_device(DeviceRow(device, "", "", "", -1, "", "", 0))
    return registry


def stand(registry: Registry, bays: Bays, place: str, device: str, at_ms: int) -> None:
    """Let `device`, which stands nowhere, stand at `place` from now on, in the place of whoever stood there."""
    if registry.current(place) is not None:
        registry.end(AssignmentEndRow(place, registry.device_at(place), at_ms, "anne"), bays.position)
    registry.begin(AssignmentRow(place, device, at_ms, True), bays.position)
    bays.assign(place, device, registry.current(place).from_position)


class Town:
    """See above. `truth_ms` is the real time; `receive` goes the way of every reading."""

    def __init__(self, path: Path, wall_ms: int = TRUE_MS, synchronized: bool = True) -> None:
        self.journal, self.reader = Journal(path), JournalReader(path)
        self.committer = InlineCommitter(self.journal)
        self.registry = registry_of()
        self.truth_ms = TRUE_MS
        self.readings: list[StoredReading] = []
        self.made_ms: dict[str, int] = {}  # identity: when it was really made
        self.boot("boot-1", wall_ms, synchronized)

    def boot(self, name: str, wall_ms: int, synchronized: bool, monotonic_ms: int = 7_000) -> None:
        """Start the gateway, after a start of the machine or, with the same name, without one."""
        self.wall_ms, self.synchronized, self.monotonic_ms = wall_ms, synchronized, monotonic_ms
        self.clock_log = ClockLog(clock_tables.clock_changes(self.reader.connection))
        last_ms = max((stored.row.received_ms for stored in self.readings), default=0)
        timeline = Timeline(name, self.clock_log, last_ms, monotonic_ms, wall_ms, synchronized)
        self.clock = SiteClock(timeline, self.clock_log, self.committer, lambda: len(self.readings))
        self.observe()
        self.bays = Bays(PLACES, self.registry, self.clock_log)
        self.bays.apply(self.readings)
        self.ingest = Ingest(self.registry.admitted, self.committer, [self.bays.apply, self.readings.extend])
        self.tell = Teller(self.registry, self.bays, self.clock_log, self.now).tell

    def observe(self) -> None:
        """Show the machine's clock to the site's."""
        self.clock.observe(self.monotonic_ms, self.wall_ms, self.synchronized)

    def now(self) -> Now:
        """Return the site's time."""
        return self.clock.now(self.monotonic_ms)

    def run(self, for_ms: int) -> None:
        """Let time pass, at most half a minute between two looks at the clock."""
        while for_ms > 0:
            step_ms = min(for_ms, 30_000)
            self.monotonic_ms += step_ms
            self.wall_ms += step_ms
            self.truth_ms += step_ms
            for_ms -= step_ms
            self.observe()

    def set_clock(self, off_ms: int = 0) -> None:
        """NTP sets the clock, `off_ms` from the truth; looked at once."""
        self.wall_ms, self.synchronized = self.truth_ms + off_ms, True
        self.observe()

    def receive(self, device: str = BAY, seq: int = 1, epoch: int = 1, age_s: int = 0, **values) -> StoredReading:
        """A reading arrives; without values a vehicle stands there."""
        reading = Reading(device, epoch, seq, age_s, values or {"occupied": True})
        verdicts = []
        self.ingest.offer([reading], self.now(), verdicts.append)
        assert verdicts == [Accepted(0)]
        self.made_ms[self.readings[-1].row.identity] = self.truth_ms - age_s * 1000
        return self.readings[-1]

    def stand(self, place: str, device: str) -> None:
        """See `stand`."""
        stand(self.registry, self.bays, place, device, self.now().ms)

    def told(self, stored: StoredReading) -> Outgoing:
        """Return what is told of a reading for which nobody has to wait."""
        told = self.tell(stored)
        assert isinstance(told, Outgoing)
        return told

    def error_ms(self, told: Outgoing) -> int:
        """How far the time told is off."""
        return told.dated.read_ms - self.made_ms[told.row.identity]
