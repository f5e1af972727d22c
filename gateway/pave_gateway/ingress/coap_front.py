"""The CoAP front: what a datagram may be, who it is from, which part of the gateway answers it. No socket, no clock.

Theory of operation. Most of what arrives at an open port is not for us, so each step is cheaper than the next, and what
fails one meets silence: no RST, no error, nothing that could be aimed at a third party. It is counted by reason.

    datagram -> header: version, sizes, token                                        `coap_parse`
             -> ACK, RST, response -> must belong to something we sent               `coap_tokens`
             -> a retransmission -> its reply again, at most COAP_RESENDS times      `coap_exchanges`
             -> outside: POST or FETCH, OSCORE with kid and Partial IV               `coap_parse`
             -> kid known, Partial IV new, tag right                                 `pave_wire.oscore`
             == from here on it is authentic ==
             -> POST /r             -> journal, then 2.04                            `coap_telemetry`
             -> its window was lost -> 4.01 with Echo (RFC 8613, B.1.2)
             -> POST, PUT: a handler's reply -> journal, then what it says           `coap_changes`
             -> anything else       -> window to disk, then aiocoap                  `oscore_gate`, `coap_tokens`

Before authentication nothing is answered, so nothing is answered with more bytes than came in. In insecure mode, and
only then, a request without OSCORE is let through where it stands, with no device behind it.

Give it datagrams and the time (ms of any steady clock), send what `datagrams_to_send` returns after each call and after
`wake`, and call `handle_timeout` at `next_timeout`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from pave_gateway.core import limits
from pave_gateway.core.committer import Committer
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import Now
from pave_gateway.core.oscore_contexts import DeviceContext, OscoreContexts
from pave_gateway.ingress import coap_counters, coap_options, coap_parse
from pave_gateway.ingress.coap_changes import Changes, Changing
from pave_gateway.ingress.coap_counters import CoapCounters, Drops
from pave_gateway.ingress.coap_exchanges import Address, Exchanges, Incoming
from pave_gateway.ingress.coap_outbox import Outbox
from pave_gateway.ingress.coap_parse import Unacceptable
from pave_gateway.ingress.coap_telemetry import USUAL, Telemetry
from pave_gateway.ingress.coap_tokens import Tokens
from pave_gateway.ingress.oscore_gate import Gate, Reservation
from pave_wire import coap, model
from pave_wire.coap import ACK, CON, RST, Message
from pave_wire.coap_message import Delivery
from pave_wire.errors import CoapError, OscoreEchoError, OscoreFormatError, OscoreReplayError, OscoreTagError
from pave_wire.oscore import Exchange, request_inside, unseal_request

_RESPONSES = (2, 4, 5)  # classes of code
_USUAL_BYTES = len(USUAL)
_READINGS = model.PATH_READINGS.encode()


@dataclass(frozen=True, slots=True)
class FrontParts:
    """What a front is made of.

    Attributes:
        contexts: Who may speak.
        ingest: Takes reports.
        committer: Makes windows and reservations durable; the one that `ingest` uses.
        now: Returns the site's time.
        random_below: Returns a random integer below its argument.
        drops: Counts and logs what is refused.
        counters: Of the same.
        insecure: Plain CoAP is served too.
        reservation: What the journal says, see `oscore_gate`.
        changing: What answers a request that may change something, by the one segment of its path.
    """

    contexts: OscoreContexts
    ingest: Ingest
    committer: Committer
    now: Callable[[], Now]
    random_below: Callable[[int], int]
    drops: Drops
    counters: CoapCounters
    insecure: bool = False
    reservation: Reservation = lambda device: 0
    changing: Mapping[bytes, Changing] = field(default_factory=dict[bytes, Changing])


class CoapFront:
    """One front, for one socket."""

    tokens: Tokens  # set by whoever builds aiocoap on top, before the first datagram

    def __init__(self, parts: FrontParts, wake: Callable[[], None]) -> None:
        """`wake` is called when there is something to send outside of a call."""
        self.counters = parts.counters
        self.insecure = parts.insecure
        self._find = parts.contexts.find
        self._drop = parts.drops.drop
        self._exchanges = Exchanges()
        self._plain = Exchanges()  # so that strangers displace nothing of devices
        self._responses = Exchanges(limits.COAP_RESPONSES_REMEMBERED)
        self.outbox = Outbox(parts.random_below, wake, parts.counters)
        self.gate = Gate(parts.committer, self._exchanges, parts.counters, parts.reservation)
        self._telemetry = Telemetry(parts.ingest, self.gate, self.outbox, parts.now, parts.counters, parts.drops)
        self._changes = Changes(self.gate, self.outbox)
        self._changing = parts.changing

    def receive(self, data: bytes, address: Address, now_ms: int) -> None:
        """Take one datagram."""
        self.counters.received += 1
        try:
            kind, code, mid = coap_parse.header(data)
            if kind > 1 or code > 0x1F:
                self._answered(data, address, kind, code, now_ms)
            else:
                self._requested(data, address, kind, (address, mid), now_ms)
        except Unacceptable as error:
            self._drop(error.reason, address)

    def datagrams_to_send(self, now_ms: int) -> list[tuple[bytes, Address]]:
        """Return and forget the (datagram, address) that are to be sent now."""
        return self.outbox.datagrams_to_send(now_ms)

    def next_timeout(self) -> int | None:
        """Return the `now_ms` at which `handle_timeout` has something to do, or None."""
        due = [
            self.outbox.layer.next_timeout(),
            self._exchanges.next_timeout(),
            self._plain.next_timeout() if self.insecure else None,
        ]
        return min((at_ms for at_ms in due if at_ms is not None), default=None)

    def handle_timeout(self, now_ms: int) -> None:
        """Do what is due: empty ACKs, retransmissions, the end of those."""
        for exchanges in (self._exchanges, self._plain):
            for request in exchanges.unanswered(now_ms):
                if not self.gate.lapsed(request):
                    self.outbox.acknowledge(request)
        for event in self.outbox.layer.handle_timeout(now_ms):
            if isinstance(event, Delivery):
                self.tokens.delivered(event)

    def _requested(self, data: bytes, address: Address, kind: int, key: tuple[Address, int], now_ms: int) -> None:
        known = self._exchanges.find(key)
        if known is not None:
            if now_ms >= known.until_ms:
                known = None
            elif known.data == data:
                self.outbox.repeat(known)
                return
        try:
            piv, kid, kid_context, sealed = coap_parse.outside(data)
        except Unacceptable as error:
            if error.reason != coap_parse.NOT_OSCORE or not self.insecure:
                raise
            self._plainly_requested(data, address, kind, key, now_ms)
            return
        context = self._find(kid, kid_context)
        if context is None:
            raise Unacceptable(coap_counters.UNKNOWN_KID)
        try:
            plaintext, exchange = unseal_request(context, piv, sealed)
        except OscoreReplayError:
            raise Unacceptable(coap_counters.REPLAY) from None
        except OscoreTagError:
            raise Unacceptable(coap_counters.TAG) from None
        request = Incoming(data, address, key, kind, context, exchange, now_ms)
        if known is not None:
            self.counters.reused_ids += 1
        if exchange.nonce_free and plaintext.startswith(USUAL):
            if kind == CON:
                self._exchanges.remember(request)
            if address != context.address:
                self._moved(context, exchange.number, address)
            self._telemetry.take(request, plaintext[_USUAL_BYTES:])
        else:
            self._unusually_requested(request, plaintext, context, exchange)

    def _moved(self, context: DeviceContext, number: int, address: Address) -> None:
        """Take note of where a device is now: a newer request says so, not one that was overtaken."""
        if context.is_newest(number):
            known, context.address = context.address, address
            if known is not None:
                self.counters.moved += 1
                self.tokens.moved(context)

    def _unusually_requested(
        self, request: Incoming, plaintext: bytes, context: DeviceContext, exchange: Exchange
    ) -> None:
        """Take an authentic request that is no usual report, or any after the window was lost."""
        try:
            message = request_inside(coap_parse.opaque(request.data), plaintext, exchange)
        except OscoreFormatError:
            raise Unacceptable(coap_counters.INNER) from None
        except OscoreEchoError:
            self.counters.echo += 1
            _remember(self._exchanges, request)
            challenge = Message(ACK, coap.UNAUTHORIZED, 0, b"", [(coap.ECHO, context.challenge)])
            self.gate.with_number(context, partial(self.outbox.answer, request, challenge))
            return
        _remember(self._exchanges, request)
        if request.address != context.address:
            self._moved(context, exchange.number, request.address)
        self._dispatch(request, message)

    def _plainly_requested(
        self, data: bytes, address: Address, kind: int, key: tuple[Address, int], now_ms: int
    ) -> None:
        known = self._plain.find(key)
        if known is not None and known.data == data and now_ms < known.until_ms:
            self.outbox.repeat(known)
            return
        try:
            message = coap.decode(data)
        except CoapError:
            raise Unacceptable(coap_parse.MALFORMED) from None
        request = Incoming(data, address, key, kind, None, None, now_ms)
        _remember(self._plain, request)
        self._dispatch(request, message)

    def _dispatch(self, request: Incoming, message: Message) -> None:
        """Give a request to what answers it. Nothing acts before its window is on disk, or with it."""
        refused = coap_options.refusal(message)
        if refused is not None:
            if request.kind == CON:  # a NON that is not understood meets silence (RFC 7252, 5.4.1)
                self.gate.store(request, partial(self.outbox.answer, request, refused))
            return
        segment = coap_options.only_segment(message)
        if message.code == coap.POST and segment == _READINGS:
            self._telemetry.take_unusual(request, message)
            return
        self.counters.requests += 1
        changing = None if message.code == coap.GET else self._changing.get(segment)
        if changing is not None:
            self._changes.take(request, message, changing)
        else:
            self.gate.store(request, partial(self.tokens.request, request, message))

    def _answered(self, data: bytes, address: Address, kind: int, code: int, now_ms: int) -> None:
        """Take an ACK, RST or response, if it belongs to something that was sent there."""
        if code:
            self._responded(data, address, kind, code, now_ms)
            return
        for event in self.outbox.layer.receive_datagram(data, address, now_ms):
            if isinstance(event, Delivery) and event.sent is not None:
                self.tokens.delivered(event)
                return
        raise Unacceptable(coap_counters.UNEXPECTED)

    def _responded(self, data: bytes, address: Address, kind: int, code: int, now_ms: int) -> None:
        """Take a response. Authentic is enough: what is on the ACK of a request needs no message ID to prove it."""
        key = (address, data[2] << 8 | data[3])
        known = self._responses.find(key)
        if known is not None and known.data == data and now_ms < known.until_ms:
            self.outbox.repeat(known)
            return
        if code >> 5 not in _RESPONSES or kind == RST:
            raise Unacceptable(coap_parse.CODE)
        if not self.tokens.expects(coap_parse.token(data), address):
            raise Unacceptable(coap_counters.UNEXPECTED)
        try:
            message = coap.decode(data)
        except CoapError:
            raise Unacceptable(coap_parse.MALFORMED) from None
        if not self.tokens.responded(message):
            raise Unacceptable(coap_counters.TAG)
        if kind == CON:
            response = Incoming(data, address, key, kind, None, None, now_ms)
            self.outbox.acknowledge(response)  # first, so that it is not kept as one that waits
            self._responses.remember(response)


def _remember(exchanges: Exchanges, request: Incoming) -> None:
    if request.kind == CON:  # a NON has no reply that could be repeated
        exchanges.remember(request)
