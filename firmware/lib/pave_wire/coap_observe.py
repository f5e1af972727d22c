"""Observing resources (RFC 7641): the client's end, `Watching`, and the server's, `Observers`.

Client. `coap_client` has the states of an observation; here are its rules. A notification is fresh if its number comes
after the last one's within half the 24-bit circle, or the last one came more than 128 s ago. When Max-Age has passed,
and 5 to 15 s more (3.3.1), the client registers again under its token; what answers that is fresh whatever its number.

Server. An observer is known by address and token.

    state   what happens                          next    sent
    ------  ------------------------------------  ------  -------------------------------------------
    IDLE    a new state, confirmable              BUSY    CON notification
    IDLE    a new state, non-confirmable          IDLE    NON; a CON once a day (4.5), which makes it BUSY
    BUSY    a new state                           BEHIND
    BEHIND  a new state                           BEHIND  (the older one is never sent)
    BUSY    ACK                                   IDLE
    BEHIND  ACK                                   BUSY    the newest state
    any     it cannot be sent now                 HELD    (no room, or no sequence number reserved)
    HELD    anything delivered, or RETRY_MS       BUSY    the newest state
    any     RST, no ACK after all tries           gone
    any     GET with Observe 1, or 0 once more    gone    (the latter registers anew)
    any     a new state that is an error          gone    the error, without Observe
"""

from pave_wire import coap, limits
from pave_wire.coap import CON, Message
from pave_wire.coap_message import ACKNOWLEDGED
from pave_wire.coap_timers import Timed
from pave_wire.errors import CoapBusyError, CoapError, WireError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.coap_client import Client
    from pave_wire.coap_endpoint import Endpoint
    from pave_wire.coap_exchange import Exchange, Request
    from pave_wire.coap_message import Address, Delivery, RandomBelow, Transmission

FRESH_MS = 128_000  # RFC 7641, 3.4
DAY_MS = 86_400_000
RETRY_MS = 2_000  # until what could not be sent is tried once more
_HALF = 1 << 23
_MAX_AGE_S = 60  # RFC 7252, 5.10.5: when the option is absent


class Watch:
    """The client's end of one observation. `registered`: notifications come by themselves until its timer ends."""

    __slots__ = ("at_ms", "number", "registered")

    def __init__(self) -> None:
        self.number: int | None = None  # of the last notification
        self.at_ms = 0
        self.registered = False


class Watching:
    """The rules for a client's observations. `random_below` as for `Client`."""

    def __init__(self, random_below: "RandomBelow") -> None:
        self._random_below = random_below

    def watch(self) -> Watch:
        """Return the state of an observation that begins."""
        return Watch()

    def is_fresh(self, client: "Client", watch: Watch, exchange: "Exchange", message: Message, now_ms: int) -> bool:
        """Say whether a response is to be passed on, and remember it."""
        raw = message.option(coap.OBSERVE)
        if raw is None:
            return True
        number = coap.uint_value(raw) & 0xFFFFFF
        last = watch.number
        if last is not None and exchange.binding is None:  # OSCORE has put them in order
            if not 0 < (number - last) & 0xFFFFFF < _HALF and now_ms <= watch.at_ms + FRESH_MS:
                return False
        watch.number = number
        watch.at_ms = now_ms
        watch.registered = True
        max_age = message.option(coap.MAX_AGE)
        max_age_s = _MAX_AGE_S if max_age is None else coap.uint_value(max_age)  # b"" is 0
        client.timers.set(exchange, now_ms + max_age_s * 1000 + 5000 + self._random_below(10_000))
        return True

    def renew(self, client: "Client", watch: Watch, exchange: "Exchange", now_ms: int) -> None:
        """Register again: Max-Age is over, perhaps the server has forgotten us."""
        watch.number = None
        watch.registered = False
        exchange.echoed = False
        exchange.message.options = coap.replaced(exchange.message.options, coap.ECHO)
        client.transmit(exchange, exchange.message, now_ms)


class Observer:
    """The server's end of one observation; `request` is what registered it."""

    __slots__ = ("behind", "confirmed_ms", "mid", "request", "sent", "topic")

    def __init__(self, request: "Request", topic: str, now_ms: int) -> None:
        self.request = request
        self.topic = topic
        self.confirmed_ms = now_ms
        self.behind = False
        self.sent: "Transmission | None" = None
        self.mid = -1  # of the last non-confirmable notification


class Observers(Timed):
    """Who observes one server.

    Args:
        observers: how many there may be; a request beyond it is answered as one that does not observe.
    """

    def __init__(self, observers: int = limits.COAP_OBSERVERS) -> None:
        self._room = observers
        self._observers: list[Observer] = []
        self._latest: dict[str, Message] = {}  # by topic, of those that are observed
        self._number = 0
        self.due_ms = None  # when to try once more what could not be sent

    def admit(self, request: "Request", topic: str, message: Message, now_ms: int) -> Observer | None:
        """Register who sent `request`, if it asks to observe, and mark the response `message` as a notification."""
        raw = request.option(coap.OBSERVE)
        if raw is None or len(raw) > 3 or coap.uint_value(raw) or len(self._observers) >= self._room:
            return None
        observer = Observer(request, topic, now_ms)
        self._observers.append(observer)
        message.options = coap.replaced(message.options, coap.OBSERVE, self._next_number())
        return observer

    def drop(self, endpoint: "Endpoint", address: "Address", token: bytes) -> None:
        """End the observation of this address and token, if there is one."""
        for observer in self._observers:
            if observer.request.address == address and observer.request.token == token:
                self._remove(endpoint, observer)
                return

    def publish(self, endpoint: "Endpoint", topic: str, message: Message, now_ms: int) -> None:
        """Let `message` be the state of `topic` from now on; raises CoapError if it is too long to be."""
        if message.code >> 5 == 2:
            message.options = coap.replaced(message.options, coap.OBSERVE, self._next_number())
        if endpoint.block_server is None:  # too long for a datagram, even with the shortest token
            coap.encode(Message(message.type, message.code, 0, b"", message.options, message.payload))
        for observer in self._observers:
            if observer.topic == topic:
                observer.behind = True
                self._latest[topic] = message
        refused = self.catch_up(endpoint, now_ms)
        if refused is not None:
            raise refused

    def delivered(self, endpoint: "Endpoint", delivery: "Delivery", now_ms: int) -> None:
        """Take note of what became of a notification."""
        for observer in list(self._observers):
            same = delivery.address == observer.request.address and delivery.mid == observer.mid
            if same if delivery.sent is None else delivery.sent is observer.sent:
                observer.sent = None
                if delivery.how != ACKNOWLEDGED:
                    self._remove(endpoint, observer)
        self.catch_up(endpoint, now_ms)

    def catch_up(self, endpoint: "Endpoint", now_ms: int) -> CoapError | None:
        """Send the newest state to everyone behind who has no notification on its way.

        Who cannot be told now is told later. A state that can never be sent to someone is dropped for them, and the
        error is returned.
        """
        refused = None
        held = False
        for observer in list(self._observers):
            if not observer.behind or observer.sent is not None:
                continue
            try:
                self._send(endpoint, observer, self._latest[observer.topic], now_ms)
            except CoapBusyError:
                held = True
            except CoapError as error:  # sealed, or with this token, it is too long
                observer.behind = False
                refused = error
            except WireError:  # such as no sequence number reserved
                held = True
        endpoint.timers.set(self, now_ms + RETRY_MS if held else None)
        return refused

    def _send(self, endpoint: "Endpoint", observer: Observer, latest: Message, now_ms: int) -> None:
        request = observer.request
        due = now_ms - observer.confirmed_ms >= DAY_MS
        message = Message(CON if due else latest.type, latest.code, 0, request.token, latest.options, latest.payload)
        if endpoint.block_server is not None:
            message = endpoint.block_server.sliced(request, message, now_ms)
        observer.sent, observer.mid = endpoint.send_notification(request, message)
        observer.behind = False
        if observer.sent is not None:
            observer.confirmed_ms = now_ms
        if latest.code >> 5 != 2:
            self._remove(endpoint, observer, False)

    def _remove(self, endpoint: "Endpoint", observer: Observer, cancel: bool = True) -> None:
        self._observers.remove(observer)
        if cancel and observer.sent is not None:
            endpoint.layer.cancel(observer.sent)
        if all(other.topic != observer.topic for other in self._observers):
            self._latest.pop(observer.topic, None)

    def _next_number(self) -> bytes:
        self._number = (self._number + 1) & 0xFFFFFF
        return coap.uint(self._number)
