"""Requests and their responses (RFC 7252, section 5.2), on top of the message layer and, like it, without I/O.

A request is known by the token that `request` returned; exactly one final event tells how it ended, whatever is lost,
repeated or reordered on the way. An observation says Notification any number of times before.

    state      what happens                    next       said to the caller
    ---------  ------------------------------  ---------  ----------------------------------
    SENT       empty ACK                       ACKED      (confirmable requests start here)
    SENT       RST, or no ACK after all tries  closed     Failed("reset"), Failed("timeout")
    ACKED      no response for RESPONSE_MS     closed     Failed("timeout")
    SENT,ACKED 4.01 with Echo, the first time  SENT       (the request again, with the Echo)
    SENT,ACKED 2.31, or Block2 with more       SENT       (the next block, under a new token; `coap_block`)
    SENT,ACKED notification                    OBSERVING  Notification (`coap_observe`)
    SENT,ACKED any other response              closed     Response
    OBSERVING  notification                    OBSERVING  Notification, unless it is older than the last
    OBSERVING  Max-Age is over                 SENT       (registers again, under the same token)
    OBSERVING  response without Observe        closed     Response
    any        response not understood         closed     Failed, with what was wrong
    any        cancel()                        closed     nothing

A response that matches no request by token *and* address is rejected with RST, so a peer stops notifying nobody. One
that does not pass `security` is as if it never came.
"""

import struct

from pave_wire import coap, limits
from pave_wire.coap import CON, NON, Message
from pave_wire.coap_exchange import Exchange, Failed, Notification, Response
from pave_wire.coap_message import ACKNOWLEDGED, MAX_RETRANSMIT, Delivery, MessageLayer
from pave_wire.coap_timers import Timers
from pave_wire.errors import CoapBusyError, CoapError, WireError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

    from pave_wire.coap import Options
    from pave_wire.coap_block import Blocks
    from pave_wire.coap_exchange import Security
    from pave_wire.coap_message import Address, RandomBelow
    from pave_wire.coap_observe import Watching
    from pave_wire.coap_timers import Timed

RESPONSE_MS = 30_000  # how long a response may follow its empty ACK, or a non-confirmable request


class Client:
    """The client of any number of servers.

    Args:
        random_below: function of an int n returning a random int from 0 to n - 1: starts the message IDs and tokens,
            spreads the time-outs.
        max_retransmit: how often a request is sent again; a battery device may choose fewer than RFC 7252's 4.
        security: what seals and opens messages (`Security`), or None for plain CoAP.
        blocks: a `coap_block.Blocks`; without it a body is what fits one message.
        watching: a `coap_observe.Watching`; without it a request has one response.
        layer: the `MessageLayer`, for an owner that gives it other bounds.
        exchanges: how many requests may be open at once.
    """

    def __init__(
        self,
        random_below: "RandomBelow",
        max_retransmit: int = MAX_RETRANSMIT,
        security: "Security | None" = None,
        blocks: "Blocks | None" = None,
        watching: "Watching | None" = None,
        layer: MessageLayer | None = None,
        exchanges: int = limits.COAP_EXCHANGES,
    ) -> None:
        self.layer = layer or MessageLayer(random_below, max_retransmit)
        self.blocks = blocks
        self.timers = Timers()
        self._security = security
        self._watching = watching
        self._room = exchanges
        self._token = random_below(0x10000)
        if blocks is not None:
            blocks.draw_tag(random_below)
        self._exchanges: dict[bytes, Exchange] = {}  # by the token on the wire

    def request(
        self,
        code: int,
        path: str,
        address: "Address",
        now_ms: int,
        payload: bytes = b"",
        content_format: int | None = None,
        options: "Options" = (),
        confirmable: bool = True,
    ) -> bytes:
        """Send a request and return its token (bytes), by which its events are known.

        `code` is GET, POST, ...; `path` its segments joined by "/"; `options` are further (number, value bytes) in any
        order. Observe 0, b"", among them starts an observation.

        Raises:
            CoapError: `exchanges` are open already, or the message would not fit a datagram.
            WireError: what `security` refuses.
        """
        own = [(coap.URI_PATH, segment.encode()) for segment in path.split("/")] if path else []
        if content_format is not None:
            own.append((coap.CONTENT_FORMAT, coap.uint(content_format)))
        message = Message(CON if confirmable else NON, code, 0, b"", coap.ordered(own + list(options)), payload)
        exchange = Exchange(self.new_token(), message, address)
        observe = message.option(coap.OBSERVE)
        if self._watching is not None and observe is not None and coap.uint_value(observe) == 0:
            exchange.watch = self._watching.watch()
        if self.blocks is not None:
            message = self.blocks.start(exchange)
        self.transmit(exchange, message, now_ms)
        return exchange.id

    def cancel(self, token: bytes | None = None) -> None:
        """Forget a request or observation, or with None all of them; a notification that still comes is rejected."""
        for exchange in list(self._exchanges.values()):
            if token is None or exchange.id == token:
                self.close(exchange)

    def receive_datagram(self, data: bytes, address: "Address", now_ms: int) -> "list[Any]":
        """Take one datagram (bytes) from `address`; return a list of events. What is no CoAP is dropped."""
        events: "list[Any]" = []
        for event in self.layer.receive_datagram(data, address, now_ms):
            if isinstance(event, Delivery):
                events += self._delivered(event, now_ms)
            elif event.message.code < 0x40:
                events += self._requested(event.message, address, now_ms)
            else:
                events += self._responded(event.message, address, now_ms)
        return events

    def datagrams_to_send(self, now_ms: int) -> "list[tuple[bytes, Address]]":
        """Return and forget the list of (bytes, address) to be sent now. To be called after every other call."""
        return self.layer.datagrams_to_send(now_ms)

    def next_timeout(self) -> int | None:
        """Return the `now_ms` at which `handle_timeout` has something to do, or None."""
        own_ms = self.timers.next()
        layer_ms = self.layer.next_timeout()
        if own_ms is None or layer_ms is None:
            return layer_ms if own_ms is None else own_ms
        return min(own_ms, layer_ms)

    def handle_timeout(self, now_ms: int) -> "list[Any]":
        """Do what is due at `now_ms`; return a list of events."""
        events: "list[Any]" = []
        for delivery in self.layer.handle_timeout(now_ms):
            if isinstance(delivery, Delivery):
                events += self._delivered(delivery, now_ms)
        for item in self.timers.due(now_ms):
            events += self._due(item, now_ms)
        return events

    # For `coap_block` and `coap_observe`

    def transmit(self, exchange: Exchange, message: Message, now_ms: int) -> None:
        """Send `message` for an exchange, under its token; raises as `request` does, and has then closed it."""
        exchange.message = message
        message.token = exchange.token
        if exchange.token not in self._exchanges:
            if len(self._exchanges) >= self._room:
                raise CoapBusyError("%d requests are open; wait for one to end" % self._room)
            self._exchanges[exchange.token] = exchange
        try:
            if self._security is not None:
                message, exchange.binding = self._security.seal_request(message, exchange.address)
            exchange.sent = self.layer.send(message, exchange.address)
        except WireError:
            self.close(exchange)
            raise
        self.timers.set(exchange, now_ms + RESPONSE_MS if exchange.sent is None else None)

    def follow(self, exchange: Exchange, message: Message, now_ms: int) -> None:
        """Send `message` as the next request of an exchange: under a new token, as it has a response of its own."""
        self._exchanges.pop(exchange.token, None)
        exchange.token = self.new_token()
        self.transmit(exchange, message, now_ms)

    def close(self, exchange: Exchange) -> None:
        """Forget an exchange."""
        self._exchanges.pop(exchange.token, None)
        self.timers.set(exchange, None)
        if exchange.sent is not None:
            self.layer.cancel(exchange.sent)

    def fetching(self, parent: Exchange) -> "list[Exchange]":
        """Return the exchanges that fetch the rest of a notification to `parent`; there is one at most."""
        return [exchange for exchange in self._exchanges.values() if exchange.parent is parent]

    # What comes from below

    def _requested(self, message: Message, address: "Address", now_ms: int) -> "list[Any]":
        """Reject a request: a client serves none."""
        self.layer.reject(message, address)
        return []

    def _responded(self, message: Message, address: "Address", now_ms: int) -> "list[Any]":
        exchange = self._exchanges.get(message.token)
        if exchange is None or exchange.address != address:
            if message.type == CON or message.option(coap.OBSERVE) is not None:
                self.layer.reject(message, address)
            return []
        if self._security is not None:
            try:
                message = self._security.open_response(exchange.binding, message)
            except WireError:
                if message.type == coap.ACK:  # the transmission is over, the true response may still come by itself
                    self.timers.set(exchange, now_ms + RESPONSE_MS)
                else:
                    self.layer.forget(message, address)
                return []
        if message.type != coap.ACK:  # its message ID is ours, and may be that of a message of the peer too
            self.layer.acknowledge(message, address)
        try:
            if self._watching is not None and exchange.watch is not None:
                if not self._watching.is_fresh(self, exchange.watch, exchange, message, now_ms):
                    return []
            if exchange.sent is not None:
                self.layer.cancel(exchange.sent)
                exchange.sent = None
            return self._understood(exchange, message, now_ms)
        except WireError as error:
            return self._fail(exchange, str(error))

    def _understood(self, exchange: Exchange, message: Message, now_ms: int) -> "list[Any]":
        """A response is authentic: go on with the request, or end it."""
        for number, _ in message.options:
            if number & 1 and exchange.message.option(number) is None:
                if self.blocks is None or number not in (coap.BLOCK1, coap.BLOCK2):
                    raise CoapError("response with the critical option %d, which is not known here" % number)
        echo = message.option(coap.ECHO)
        if message.code == coap.UNAUTHORIZED and echo is not None and not exchange.echoed:
            exchange.echoed = True
            last = exchange.message
            if self.blocks is not None and exchange.block is not None:
                again = self.blocks.echoed(exchange, exchange.block, echo)
            else:
                options = coap.replaced(last.options, coap.ECHO, echo)
                again = Message(last.type, last.code, 0, b"", options, last.payload)
            self.follow(exchange, again, now_ms)
            return []
        if message.option(coap.OBSERVE) is None or message.code >> 5 != 2:
            exchange.watch = None  # not, or no longer, observed
        whole = message if self.blocks is None else self.blocks.received(self, exchange, message, now_ms)
        if whole is None:
            return []
        if exchange.watch is not None:
            return [Notification(exchange.id, whole)]
        self.close(exchange)
        if exchange.parent is not None:
            return [Notification(exchange.id, whole)]
        return [Response(exchange.id, whole)]

    def _delivered(self, delivery: Delivery, now_ms: int) -> "list[Any]":
        sent = delivery.sent
        exchange = None if sent is None else self._exchanges.get(sent.token)
        if exchange is None or exchange.sent is not sent:
            return []
        exchange.sent = None
        if delivery.how != ACKNOWLEDGED:
            return self._fail(exchange, delivery.how)
        self.timers.set(exchange, now_ms + RESPONSE_MS)
        return []

    def _due(self, item: "Timed", now_ms: int) -> "list[Any]":
        """A timer ended. An exchange may have been closed by what was due just before."""
        if isinstance(item, Exchange) and self._exchanges.get(item.token) is item:
            return self._expired(item, now_ms)
        return []

    def _expired(self, exchange: Exchange, now_ms: int) -> "list[Any]":
        if self._watching is None or exchange.watch is None or not exchange.watch.registered:
            return self._fail(exchange, "timeout")
        try:
            self._watching.renew(self, exchange.watch, exchange, now_ms)
        except WireError as error:
            return self._fail(exchange, str(error))
        return []

    def _fail(self, exchange: Exchange, why: str) -> "list[Any]":
        self.cancel(exchange.id)  # and with a part of an observation the whole
        return [Failed(exchange.id, why)]

    def new_token(self) -> bytes:
        token = None
        while token is None or token in self._exchanges:
            self._token = (self._token + 1) & 0xFFFF
            token = struct.pack(">H", self._token)
        return token
