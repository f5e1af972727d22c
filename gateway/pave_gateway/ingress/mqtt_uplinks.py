"""From another network server's messages to the journal, and back: what ChirpStack and The Things Stack have in common.

    frame or join -> a device of this site?     no -> counted
                  -> new (`core.external_frames`)? no -> nothing to do
                  -> application -> on disk, with the device's state -> settled
                                 -> the disk did not take it -> again, later; what follows of this device waits
                  -> what the application answers -> `Downlinks`

Settled is what a broker may be told: that it need not bring the message again. One frame of a device is under way at a
time, in the order in which they came, and of many devices at once; how many in all is for the ingress to bound.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pave_gateway.core import external_frames, limits
from pave_gateway.core.external_frames import ExternalRow, ExternalState, Standing
from pave_gateway.core.instant import Now
from pave_gateway.core.lorawan.frames import Answer, Done, Payload
from pave_gateway.core.lorawan.mac import DeviceStatus
from pave_gateway.core.lorawan.ports import Clock
from pave_gateway.core.lorawan.progress import Progress
from pave_gateway.ingress.mqtt_downlinks import Downlinks
from pave_gateway.ingress.mqtt_events import ExternalFrame, ExternalJoin
from pave_gateway.ingress.mqtt_links import ExternalLinks
from pave_wire import coap, model, region, schc, schc_rules
from pave_wire.errors import SchcError

Settle = Callable[[], None]


class Application(Protocol):
    """What reads payloads (`core.lorawan.application.LorawanApplication`)."""

    def receive(
        self, payload: Payload, now: Now, done: Done, admission: Sequence[object] = (), urgent: bool = False
    ) -> None:
        """Take a frame."""
        ...

    def progress(self, device: str) -> Progress:
        """Return where a device stands."""
        ...


@dataclass(slots=True)
class UplinkCounters:
    """Since the start.

    Attributes:
        frames: On disk.
        late: Of these, behind a later one.
        late_lost: Late ones that are no readings and came to nothing.
        joins: On disk.
        known: Frames and joins that were taken before.
        foreign: Of devices that are not of this site.
        missed: Gaps in frame counters when they were noticed.
        retried: Times the disk did not take one.
    """

    frames: int = 0
    late: int = 0
    late_lost: int = 0
    joins: int = 0
    known: int = 0
    foreign: int = 0
    missed: int = 0
    retried: int = 0


@dataclass(slots=True)
class _Device:
    state: ExternalState = field(default_factory=ExternalState)
    text: str = ""  # of the state on disk
    waiting: deque[tuple[ExternalFrame | ExternalJoin, Settle]] = field(
        default_factory=deque[tuple[ExternalFrame | ExternalJoin, Settle]]
    )
    busy: bool = False  # a frame is on its way to the disk, or waits for the next attempt
    running: bool = False
    failures: int = 0


class ExternalUplinks:
    """See above."""

    def __init__(
        self,
        application: Application,
        downlinks: Downlinks,
        links: ExternalLinks,
        knows: Callable[[str], bool],
        clock: Clock,
        monotonic_ms: Callable[[], int],
        later: Callable[[int, Callable[[], None]], None],
        missed: Callable[[str, int], None],
    ) -> None:
        """Make one; `restore` follows.

        Args:
            application: Takes the payloads.
            downlinks: Of the same server.
            links: Where it goes what links are like.
            knows: Whether a device is of this site.
            clock: The site's.
            monotonic_ms: The clock's own count.
            later: Calls a function after so many milliseconds.
            missed: Hears of a device's gap, and of when the server had the frame before it, milliseconds since 1970;
                the frame behind it is on disk.
        """
        self._application = application
        self._downlinks = downlinks
        self._knows = knows
        self._clock = clock
        self._monotonic_ms = monotonic_ms
        self._later = later
        self._missed = missed
        self._devices: dict[str, _Device] = {}
        self.links = links
        self.counters = UplinkCounters()

    def restore(self, states: Mapping[str, str]) -> None:
        """Take up what is on disk (`store.external_tables.read_external`)."""
        for device, text in states.items():
            self._devices[device] = _Device(external_frames.of_text(text), text)

    def state(self, device: str) -> ExternalState:
        """Return where a device stands, on disk."""
        known = self._devices.get(device)
        return known.state if known is not None else ExternalState()

    @property
    def heard_ms(self) -> int:
        """When the server had the newest frame of any device, milliseconds since 1970 by its clock; 0 for never."""
        return max((known.state.heard_ms for known in self._devices.values()), default=0)

    def take(self, event: ExternalFrame | ExternalJoin, settle: Settle) -> None:
        """Take what the server says; `settle` is called once, when it need not say it again."""
        if not self._knows(event.device):
            self.counters.foreign += 1
            settle()
            return
        device = self._devices.setdefault(event.device, _Device())
        device.waiting.append((event, settle))
        self._next(device)

    def told(self, device: str, status: DeviceStatus) -> None:
        """Take a DevStatusAns that the server tells of."""
        if self._knows(device):
            self.links.told(device, status, self._clock.now(self._monotonic_ms()).ms)

    def _next(self, device: _Device) -> None:
        if device.running:  # a call further out goes on: what waits may be long, and a stack is not
            return
        device.running = True
        try:
            while device.waiting and not device.busy:
                event, settle = device.waiting[0]
                if isinstance(event, ExternalJoin):
                    self._join(device, event, settle)
                else:
                    self._frame(device, event, settle)
        finally:
            device.running = False

    def _join(self, device: _Device, event: ExternalJoin, settle: Settle) -> None:
        before = device.state
        if before.is_join_known(event.join):
            self._known(device, settle)
            return
        after = before.joined(event.session, event.join)
        is_noted = after.highest >= 0  # frames of the session came before it

        def done() -> None:
            self.counters.joins += 1
            if not is_noted:
                self._downlinks.forget(event.device)

        now = self._clock.now(self._monotonic_ms())
        payload = Payload(event.device, None, b"", 0, joined=not is_noted)
        self._hand_over(device, payload, now, after, False, settle, lambda answer: done())

    def _frame(self, device: _Device, event: ExternalFrame, settle: Settle) -> None:
        before = device.state
        standing = before.standing(event.session, event.fcnt)
        now = self._clock.now(self._monotonic_ms())
        received_ms = _received_ms(event, now)
        if standing is Standing.KNOWN:
            self._known(device, settle)
            return
        after = before.took(event.session, event.fcnt, event.received_ms or 0)
        if standing is Standing.LATE and not _is_readings(event):
            self.counters.late_lost += 1
            device.state = after  # it goes to the disk with the next one
            self._settled(device, settle)
            return
        is_fresh = standing is Standing.NEW and now.ms - received_ms < limits.EXTERNAL_FRESH_MS
        begins = event.session != before.session
        if begins:
            self._downlinks.forget(event.device)
        room_bytes = region.max_payload_bytes(0) if is_fresh and not self._downlinks.has_requests(event.device) else 0
        payload = Payload(event.device, event.port or None, event.data, event.fcnt, begins, room_bytes)

        def done(answer: Answer) -> None:
            self.counters.frames += 1
            self.counters.late += standing is Standing.LATE
            missed = before.missed(event.session, event.fcnt) if standing is Standing.NEW else 0
            if is_fresh:  # an old one was answered by the server before we knew of it
                self._downlinks.heard(event.device, now)
            if standing is Standing.NEW:
                self.links.heard(event, self._application.progress(event.device).state, missed, received_ms)
            self._answer(event.device, answer)
            if missed > 0:
                self.counters.missed += missed
                self._missed(event.device, before.heard_ms)

        at = Now(now.monotonic_ms, received_ms, now.synchronized)
        self._hand_over(device, payload, at, after, is_fresh, settle, done)

    def _hand_over(
        self,
        device: _Device,
        payload: Payload,
        now: Now,
        after: ExternalState,
        urgent: bool,
        settle: Settle,
        durable: Callable[[Answer], None],
    ) -> None:
        text = after.text()

        def done(answer: Answer) -> None:
            if not answer.durable:
                self._again(device)
                return
            device.state, device.text = after, text
            durable(answer)
            self._settled(device, settle)

        device.busy = True
        self._application.receive(payload, now, done, [ExternalRow(payload.device, device.text, text)], urgent)

    def _known(self, device: _Device, settle: Settle) -> None:
        self.counters.known += 1
        self._settled(device, settle)

    def _settled(self, device: _Device, settle: Settle) -> None:
        device.waiting.popleft()
        device.busy, device.failures = False, 0
        settle()
        self._next(device)

    def _again(self, device: _Device) -> None:
        """Try the same frame once more, later: nothing of it is on disk."""
        delay_ms = min(limits.EXTERNAL_RETRY_FIRST_MS << min(device.failures, 8), limits.EXTERNAL_RETRY_MAX_MS)
        device.failures += 1
        self.counters.retried += 1

        def again() -> None:
            device.busy = False
            self._next(device)

        self._later(delay_ms, again)

    def _answer(self, device: str, answer: Answer) -> None:
        now = self._clock.now(self._monotonic_ms())
        for message in answer.messages:
            self._downlinks.put(device, message, now)


def _received_ms(event: ExternalFrame, now: Now) -> int:
    """Return when a frame was received: the server's word, where both clocks can be believed."""
    told_ms = event.received_ms
    if told_ms is None or not now.synchronized or told_ms < now.ms - limits.EXTERNAL_AGE_MAX_MS:
        return now.ms
    return min(told_ms, now.ms)


def _is_readings(event: ExternalFrame) -> bool:
    """Return whether a frame is a `POST /r`, which may be read in any order."""
    try:
        message = schc.decompress(event.port or 0, event.data, schc_rules.UP)
    except SchcError:
        return False
    return message.code == coap.POST and message.path == model.PATH_READINGS
