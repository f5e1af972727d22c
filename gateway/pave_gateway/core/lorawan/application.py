"""What a LoRaWAN payload means: from (device, FPort, payload) to readings on disk, and to what the device is answered.

The same behind our own network server and behind ChirpStack or The Things Stack, which do the MAC themselves. A payload
is SCHC for the CoAP message that an IP link would have carried:

    FPort, payload -> schc -> POST /r  event or SenML -> readings -> Ingest, with the rows that admit the frame
                                                                  -> acknowledgement, or refusal by name
                           -> POST /h  hello -> the device's numbers, on disk -> welcome
                           -> other requests and responses -> `Resources`

Of one device one frame is on its way to the disk at a time, and the others wait: how a frame's low bits read depends on
those before it. Where the device stands (`Progress`) goes to the disk in the transaction of the readings.

Radio metadata does not enter a reading's values. A repetition has other metadata and is the same reading; values that
differ would be a conflict. What a link is like is kept beside the log, one record for each device (`links`).

Whoever calls `receive` may tell a broker, or advance a frame counter, when `Answer.durable` is true. Where it is false
nothing of the frame is on disk, and it has to come again unless it is `outdated`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pave_gateway.core import limits
from pave_gateway.core.committer import CommitFailed, Committed, Committer, CommitterBusy, Outcome, Outdated, Row
from pave_gateway.core.ingest import Accepted, Ingest, Refusal, Refused, Verdict
from pave_gateway.core.instant import Now
from pave_gateway.core.lorawan import payloads, progress
from pave_gateway.core.lorawan.acknowledgement import AcknowledgementPolicy, port_of, refusal_port
from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_gateway.core.lorawan.frames import Answer, ApplicationCounters, Done, Payload
from pave_gateway.core.lorawan.payloads import Batch, Greeting, Nothing, Other, Unreadable
from pave_gateway.core.lorawan.progress import Identity, Progress
from pave_gateway.core.lorawan.rows import ProgressRow, StoredDevice
from pave_gateway.core.lorawan.served import Served, Work
from pave_gateway.core.shadow_resources import Resources
from pave_wire import event, event_encode
from pave_wire.reading import Reading


@dataclass(frozen=True, slots=True)
class _Frame:
    payload: Payload
    now: Now
    admission: Sequence[Row]
    urgent: bool
    done: Done


@dataclass(slots=True)
class _Device:
    progress: Progress = field(default_factory=Progress)
    waiting: list[_Frame] = field(default_factory=list[_Frame])  # a deque would cost 10,000 idle devices 6 MB
    busy: bool = False


class LorawanApplication:
    """The application server of the site's LoRaWAN devices."""

    def __init__(self, ingest: Ingest, committer: Committer, resources: Resources, heartbeats_per_ack: int) -> None:
        """`heartbeats_per_ack` as in `LorawanSettings`."""
        self._ingest = ingest
        self._committer = committer
        self._served = Served(resources)
        self._policy = AcknowledgementPolicy(heartbeats_per_ack)
        self._devices: dict[str, _Device] = {}
        self.counters = ApplicationCounters()

    def restore(self, devices: Sequence[StoredDevice]) -> None:
        """Take up where the devices stood when the journal was closed."""
        for stored in devices:
            self._devices[stored.device] = _Device(progress.of_text(stored.progress))

    def progress(self, device: str) -> Progress:
        """Return where a device stands, as it is on disk."""
        return self._devices[device].progress if device in self._devices else Progress()

    def acknowledgement(self, device: str) -> Message | None:
        """Return the acknowledgement of all that is on disk, for a frame that goes to the device anyway."""
        data = self.progress(device).acknowledgement()
        return None if data is None else Message(event_encode.FPORT_ACKNOWLEDGEMENT, data, Priority.ACKNOWLEDGEMENT)

    def receive(
        self, payload: Payload, now: Now, done: Done, admission: Sequence[Row] = (), urgent: bool = False
    ) -> None:
        """Take a frame that is authentic, and new to its network server.

        Args:
            payload: What it carried, of a device of this site.
            now: When it was received; ages count back from it.
            done: Told once what came of it, now or after the commit.
            admission: Rows that admit the frame, durable with what it brought or not at all.
            urgent: An answer has a date.
        """
        device = self._devices.setdefault(payload.device, _Device())
        if len(device.waiting) >= limits.LORAWAN_FRAMES_WAITING:
            self.counters.not_stored += 1
            done(Answer(False))
            return
        device.waiting.append(_Frame(payload, now, admission, urgent, done))
        self._next(device)

    def joined(self, device: str, now: Now, done: Done) -> None:
        """Note that `device` has joined another network server: nothing is read before its hello."""
        self.receive(Payload(device, None, b"", 0, joined=True), now, done)

    def _next(self, device: _Device) -> None:
        while device.waiting and not device.busy:
            device.busy = True
            self._begin(device, device.waiting.pop(0))

    def _begin(self, device: _Device, frame: _Frame) -> None:
        payload = frame.payload
        before = device.progress
        if payload.joined:
            before = before.joined()
            self._policy.forget(payload.device)
        found = payloads.read(payload.device, payload.port, payload.data, before)
        if isinstance(found, Batch):
            self._store(device, frame, before, found, before.rebuilt_before(found.readings[0]))
        else:
            self._commit(device, frame, *self._other(frame, before, found))

    def _other(
        self, frame: _Frame, before: Progress, found: Greeting | Other | Unreadable | Nothing
    ) -> tuple[Progress, Work]:
        """Return where the device stands after a frame without readings, and what the frame asks for."""
        device = frame.payload.device
        if isinstance(found, Greeting):
            self.counters.hellos += 1
            work, said = self._served.greet(device, found, frame.now)
            return (before if said is None else before.greeted(said.epoch, said.seq)), work
        if isinstance(found, Other):
            return before, self._served.serve(device, found, frame.payload.secure, frame.now)
        if isinstance(found, Unreadable):
            self.counters.before_hello += found.before_hello
            self.counters.unreadable += not found.before_hello
            if found.code and found.identity:
                return before, Work(messages=self._refuse(port_of(found.code), found.identity))
        return before, Work()

    def _store(self, device: _Device, frame: _Frame, before: Progress, batch: Batch, rebuilt: Reading | None) -> None:
        """Offer the readings of `batch`, behind the one that is `rebuilt` from them."""
        after = before.after(batch.readings, batch.oldest)
        rows = self._progress_rows(device, frame, after)
        offered = [*([rebuilt] if rebuilt else []), *batch.readings]

        def done(verdict: Verdict) -> None:
            if isinstance(verdict, Accepted):
                self.counters.rebuilt += rebuilt is not None
                device.progress = after
                self._on_disk(device, frame, self._acknowledge(frame, before, after, batch))
            elif verdict.why is Refusal.CONFLICT and rebuilt:  # a guess may not keep a reading out
                self._store(device, frame, before, batch, None)
            else:
                self._refused(device, frame, before, batch, verdict)

        self._ingest.offer(offered, frame.now, done, [*frame.admission, *rows], urgent=frame.urgent)

    def _acknowledge(self, frame: _Frame, before: Progress, after: Progress, batch: Batch) -> tuple[Message, ...]:
        device = frame.payload.device
        self.counters.events += batch.is_event
        self.counters.batches += not batch.is_event
        message = self.acknowledgement(device)
        if message is None or not self._policy.is_due(device, before, after, batch.readings):
            self.counters.withheld += len(batch.readings)
            return ()
        self._policy.told(device, after.floor)
        self.counters.acknowledged += 1
        return (message,)

    def _refused(self, device: _Device, frame: _Frame, before: Progress, batch: Batch, refused: Refused) -> None:
        first = batch.readings[0]
        port = refusal_port(refused.why)
        messages = self._refuse(port, (first.epoch, first.seq)) if port is not None and before.known else ()
        if refused.why is Refusal.REPLAYED:
            self.counters.replayed += 1
            self._finish(device, frame, Answer(False, outdated=True))
        elif refused.why in (Refusal.BUSY, Refusal.NOT_STORED):
            self.counters.not_stored += 1
            self._finish(device, frame, Answer(False, messages))
        else:  # the frame was well, its reading is not: the frame is admitted
            self._commit(device, frame, before, Work(messages=messages))

    def _commit(self, device: _Device, frame: _Frame, after: Progress, work: Work) -> None:
        """Make a frame without readings durable, then answer."""
        rows = [*frame.admission, *self._progress_rows(device, frame, after), *work.rows]

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Committed):
                device.progress = after
                work.apply()
                self._on_disk(device, frame, work.messages)
            elif isinstance(outcome, Outdated) and work.rows:  # what it says comes too late; the frame is well
                self._commit(device, frame, after, Work())
            else:
                outdated = isinstance(outcome, Outdated)
                self.counters.replayed += outdated
                self.counters.not_stored += not outdated
                self._finish(device, frame, Answer(False, outdated=outdated))

        self._submit(rows, frame.urgent, done)

    def _on_disk(self, device: _Device, frame: _Frame, messages: tuple[Message, ...]) -> None:
        """Answer a frame that is durable, and ask its device what there is to ask."""
        payload = frame.payload
        work = self._served.next_request(payload.device, payload.room_bytes, frame.now) if payload.room_bytes else None
        if work is None:
            self._finish(device, frame, Answer(True, messages))
            return
        request = work

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Committed):
                request.apply()
                self._finish(device, frame, Answer(True, (*messages, *request.messages)))
            else:
                self._finish(device, frame, Answer(True, messages))

        self._submit(request.rows, frame.urgent, done)

    def _submit(self, rows: Sequence[Row], urgent: bool, done: Callable[[Outcome], None]) -> None:
        if not rows:
            done(Committed(()))
            return
        try:
            self._committer.submit(rows, done, urgent)
        except CommitterBusy as error:
            done(CommitFailed(str(error)))

    def _finish(self, device: _Device, frame: _Frame, answer: Answer) -> None:
        device.busy = False
        frame.done(answer)
        self._next(device)

    def _progress_rows(self, device: _Device, frame: _Frame, after: Progress) -> list[Row]:
        return [] if after == device.progress else [ProgressRow(frame.payload.device, after.text())]

    def _refuse(self, port: int, identity: Identity) -> tuple[Message, ...]:
        self.counters.refused += 1
        return (Message(port, event.encode_acknowledgement(*identity), Priority.ACKNOWLEDGEMENT),)
