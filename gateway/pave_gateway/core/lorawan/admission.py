"""A data frame's way: proved, handed to the disk with what it changes, and then its windows opened.

Two things run side by side after the first copy: the commit, and the wait for more copies. When both are done the link
is judged, MAC requests are made up, and the exchange is answered.

Of one session several frames may be on their way to the disk (a slow disk, a device in a hurry). So what a frame
changes is handed over with it and takes effect when it is durable: `heard` runs ahead of `fcnt_up`, a reservation of
downlink counters and the start of a session are under way once and not twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pave_gateway.core import limits
from pave_gateway.core.committer import Row
from pave_gateway.core.instant import Now
from pave_gateway.core.lorawan import adr, mac
from pave_gateway.core.lorawan.application import LorawanApplication
from pave_gateway.core.lorawan.counters import LorawanCounters
from pave_gateway.core.lorawan.downlinks import DownlinkQueues, Message, Priority, QueueFull
from pave_gateway.core.lorawan.exchanges import Answerer, Exchange
from pave_gateway.core.lorawan.frames import Answer, Payload
from pave_gateway.core.lorawan.links import Links
from pave_gateway.core.lorawan.mac import Heard
from pave_gateway.core.lorawan.parameters import Parameters
from pave_gateway.core.lorawan.ports import Clock
from pave_gateway.core.lorawan.radio import Reception
from pave_gateway.core.lorawan.rows import FcntUpRow, LoraDownRow, ParametersRow, SessionStartRow
from pave_gateway.core.lorawan.sessions import LoraSession, Sessions
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_gateway.core.lorawan.transmitter import Opportunity, Window
from pave_wire import mac_commands, region
from pave_wire.lorawan import ACK, ADR, ADR_ACK_REQ, Frame

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class _Admitted:
    """What is known of a new frame when it was handed to the disk."""

    heard: Heard
    before: Parameters
    missed: int
    now: Now
    starts: bool
    reserves: bool


class Admission:
    """Admits data frames; keeps the exchange of each device whose windows are open."""

    def __init__(
        self,
        settings: LorawanSettings,
        monotonic_ms: Callable[[], int],
        clock: Clock,
        sessions: Sessions,
        links: Links,
        queues: DownlinkQueues,
        application: LorawanApplication,
        answerer: Answerer,
        counters: LorawanCounters,
        started: Callable[[LoraSession], None],
    ) -> None:
        """All of them are the network server's; `started` hears of sessions that begin."""
        self._settings = settings
        self._monotonic_ms = monotonic_ms
        self._clock = clock
        self._sessions = sessions
        self._links = links
        self._queues = queues
        self._application = application
        self._answerer = answerer
        self._counters = counters
        self._started = started
        self._open: dict[str, Exchange] = {}

    def of(self, device: str) -> Exchange | None:
        """Return the exchange of `device` whose windows are open."""
        return self._open.get(device)

    def end(self, exchange: Exchange) -> None:
        """Close the windows of `exchange`."""
        if self._open.get(exchange.session.device) is exchange:
            del self._open[exchange.session.device]

    def forget(self, device: str) -> None:
        """End the sessions of `device` and send nothing more under them; what it has not confirmed waits again."""
        self._open.pop(device, None)
        for session in self._sessions.end(device):
            queue = self._queues.of(device)
            queue.end_of_session()
            if session.unconfirmed is not None:
                queue.put_back(session.unconfirmed)
                session.unconfirmed = None

    def repeated(self, session: LoraSession, reception: Reception) -> Exchange | None:
        """Open the windows of a repetition: what was sent after the frame has not been heard."""
        if session.frame is None:  # from before a restart: whether it was answered is not known
            return None
        exchange = self._exchange(session, session.frame, reception, lambda now_ms: None)
        exchange.committed = True
        exchange.must_send = session.frame.confirmed
        if session.answered is not None and session.answered.priority <= Priority.ACKNOWLEDGEMENT:
            self._add(session.device, session.answered)
        return exchange

    def admit(self, session: LoraSession, frame: Frame, reception: Reception) -> Exchange:
        """Hand a new frame to the disk, with what it changes."""
        before = session.parameters
        heard = mac.hear(frame, before, session.mac, self._settings)
        starts = not session.in_use and not session.starting
        rows = self._rows(session, frame, heard.parameters, starts)
        reserves = any(isinstance(row, LoraDownRow) for row in rows)
        missed = frame.fcnt - session.heard - 1
        admitted = _Admitted(heard, before, missed, self._clock.now(self._monotonic_ms()), starts, reserves)
        self._count(admitted)
        session.heard = frame.fcnt
        session.starting = session.starting or starts
        session.reserving = session.reserving or reserves
        exchange = self._exchange(session, frame, reception, lambda now_ms: self._judge(exchange, admitted, now_ms))
        port, data = (None, b"") if not frame.port else (frame.port, frame.payload)
        asks = not exchange.queue.has_requests(admitted.now.monotonic_ms)
        room_bytes = _room_bytes(reception, before) if asks else 0
        payload = Payload(session.device, port, data, frame.fcnt, starts, room_bytes, secure=True)
        self._application.receive(
            payload, admitted.now, lambda answer: self._on_disk(exchange, admitted, answer), rows, urgent=True
        )
        return exchange

    def _exchange(
        self, session: LoraSession, frame: Frame, reception: Reception, ready: Callable[[int], None]
    ) -> Exchange:
        exchange = Exchange(session, frame, reception, self._queues.of(session.device), ready)
        reception.when_closed = lambda now_ms: self._advance(exchange, now_ms)
        self._open[session.device] = exchange
        return exchange

    def _count(self, admitted: _Admitted) -> None:
        self._counters.uplinks += 1
        self._counters.frames_missed += admitted.missed
        self._counters.mac_unknown += not admitted.heard.complete
        self._counters.mac_refused += admitted.heard.refused

    def _rows(self, session: LoraSession, frame: Frame, agreed: Parameters, starts: bool) -> list[Row]:
        device, number = session.device, session.number
        rows: list[Row] = [SessionStartRow(device, number)] if starts else []
        rows.append(FcntUpRow(device, number, frame.fcnt))
        left = session.reserved - session.fcnt_down
        if left < limits.LORAWAN_FCNT_DOWN_LOW and not session.reserving:
            rows.append(LoraDownRow(device, number, session.reserved + limits.LORAWAN_FCNT_DOWN_BLOCK))
        if agreed != session.parameters:
            rows.append(ParametersRow(device, number, agreed.text()))
        return rows

    def _on_disk(self, exchange: Exchange, admitted: _Admitted, answer: Answer) -> None:
        session, frame = exchange.session, exchange.frame
        if session.ended:
            return
        session.reserving = session.reserving and not admitted.reserves
        if answer.durable:
            self._take_effect(session, frame, admitted)
        else:
            self._counters.not_stored += 1
            session.starting = session.starting and not admitted.starts
            if session.heard == frame.fcnt:  # a repetition of it is welcome
                session.heard = session.fcnt_up
        for message in answer.messages:
            self._add(session.device, message)
        exchange.committed = answer.durable or bool(answer.messages)
        self._advance(exchange, self._monotonic_ms())

    def _take_effect(self, session: LoraSession, frame: Frame, admitted: _Admitted) -> None:
        if admitted.starts:
            before = self._sessions.in_use(session.device)
            if before is not None:
                session.unconfirmed = before.unconfirmed  # it goes out again, under the new session
            self._sessions.start(session)
            self._queues.of(session.device).end_of_session()
            self._links.changed(session.device).penalty_db = 0
            self._counters.sessions += 1
            self._started(session)
        if admitted.reserves:
            session.reserved += limits.LORAWAN_FCNT_DOWN_BLOCK
        if admitted.heard.parameters != admitted.before:
            session.parameters = admitted.heard.parameters
        session.fcnt_up = max(session.fcnt_up, frame.fcnt)
        session.frame, session.answered, session.repeats = frame, None, 0
        unconfirmed, session.unconfirmed = session.unconfirmed, None
        if unconfirmed is not None:
            queue = self._queues.of(session.device)
            (queue.confirmed if frame.flags & ACK else queue.put_back)(unconfirmed)

    def _advance(self, exchange: Exchange, now_ms: int) -> None:
        """Go on once the frame is on disk and its copies are in."""
        if not exchange.committed or not exchange.reception.closed or exchange.opportunity is not None:
            return
        exchange.ready(now_ms)
        exchange.opportunity = Opportunity(
            exchange.reception, _windows(exchange.reception, exchange.session.parameters)
        )
        self._answerer.answer(exchange, now_ms)

    def _judge(self, exchange: Exchange, admitted: _Admitted, now_ms: int) -> None:
        """Look at the link, and make up what the MAC has to say."""
        session, frame, heard = exchange.session, exchange.frame, admitted.heard
        data_rate = exchange.reception.best.data_rate
        session.parameters = replace(session.parameters, data_rate=data_rate)
        link = self._links.changed(session.device)
        state = self._application.progress(session.device).state
        link.heard(exchange.reception, session.parameters.tx_power, state, admitted.missed, admitted.now.ms)
        if heard.status is not None:
            link.told(heard.status, admitted.now.ms)
            session.mac.status_due_ms = now_ms + _DAY_MS
        if frame.flags & ADR_ACK_REQ:
            adr.fell_back(link)
        target = None
        if frame.flags & ADR:
            target = adr.target(link, session.parameters, self._settings.adr_margin_db)
        exchange.must_send = frame.confirmed or bool(frame.flags & ADR_ACK_REQ)
        exchange.answers = self._answers(exchange, heard, admitted.now)
        exchange.requests = mac.requests(session.parameters, session.mac, self._settings, target, frame.fcnt)
        exchange.status_wanted = now_ms >= session.mac.status_due_ms

    def _answers(self, exchange: Exchange, heard: Heard, now: Now) -> list[mac.Command]:
        answers: list[mac.Command] = []
        for cid in heard.asked:
            if cid == mac_commands.LINK_CHECK:
                answers.append(mac.link_check(exchange.reception, exchange.reception.best.data_rate))
            elif now.synchronized:
                answers.append(mac.device_time(now.ms))
        return answers

    def _add(self, device: str, message: Message) -> None:
        try:
            self._queues.add(device, message)
        except QueueFull:
            self._counters.no_window += 1


def _windows(reception: Reception, parameters: Parameters) -> tuple[Window, Window]:
    """RX1 and RX2 after an uplink, where the device listens by what it has agreed to."""
    uplink = reception.best
    delay_ms = 1000 * parameters.rx_delay_s
    data_rate = region.rx1_data_rate(uplink.data_rate, parameters.rx1_dr_offset)
    return (
        Window(1, delay_ms, uplink.frequency_hz, data_rate),
        Window(2, delay_ms + 1000, region.RX2_FREQUENCY_HZ, parameters.rx2_data_rate),
    )


def _room_bytes(reception: Reception, parameters: Parameters) -> int:
    """Return what a payload may have in either window."""
    return min(region.max_payload_bytes(window.data_rate) for window in _windows(reception, parameters))
