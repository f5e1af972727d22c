"""Both roles of CoAP in one endpoint (RFC 7252, section 5): a `Client` that also answers requests.

What the application must do for a request is one call of `respond`, at once or any time later; the message layer finds
the message that carries it (on the ACK, or one of its own after an empty ACK), and repeats it to duplicates.

    a request                                     goes on as
    --------------------------------------------  ----------------------------------------------------
    that `security` does not open                 nothing: silence; so too for what it refuses outside the seal
    authentic, but its replay window was lost     4.01 with Echo (RFC 8613, B.1.2)
    with Proxy-Uri or Proxy-Scheme                5.05
    with another critical option unknown here     4.02; a non-confirmable one: silence (RFC 7252, 5.4.1)
    with a Uri-Path or block option out of order  4.00
    that is a block of a body                     see `coap_block_server`; the last becomes Request
    any other                                     Request, for the application: 4.04 and 4.05 are its own
"""

from pave_wire import coap
from pave_wire.coap import CON, NON, Message
from pave_wire.coap_client import Client
from pave_wire.coap_exchange import Request
from pave_wire.errors import OscoreEchoError, WireError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pave_wire.coap import Options
    from pave_wire.coap_block_server import BlockServer
    from pave_wire.coap_message import Address, Delivery, RandomBelow, Transmission
    from pave_wire.coap_observe import Observers
    from pave_wire.coap_timers import Timed

# Critical options every server understands, and their most bytes (RFC 7252, 5.10)
_KNOWN = {coap.URI_HOST: 255, coap.URI_PORT: 2, coap.URI_PATH: 255, coap.URI_QUERY: 255, coap.ACCEPT: 2}
_REASON_BYTES = 64  # of the text in a refusal; it quotes the request, and must fit an answer
_REPEATABLE = (coap.URI_PATH, coap.URI_QUERY)


class Endpoint(Client):
    """A client and server.

    Args:
        random_below: as for `Client`, like every argument by name that is not told here.
        understood: numbers of critical options that the application acts on, such as If-Match.
        block_server: a `coap_block_server.BlockServer`; without it a block option is refused with 4.02.
        observers: a `coap_observe.Observers`; without it nobody observes.
    """

    def __init__(
        self,
        random_below: "RandomBelow",
        understood: "Sequence[int]" = (),
        block_server: "BlockServer | None" = None,
        observers: "Observers | None" = None,
        **client: "Any",
    ) -> None:
        super().__init__(random_below, **client)
        self._acted_on = list(understood) + ([] if block_server is None else [coap.BLOCK1, coap.BLOCK2])
        self.block_server = block_server
        self._observers = observers

    def respond(
        self,
        request: Request,
        code: int,
        now_ms: int,
        payload: bytes = b"",
        content_format: int | None = None,
        options: "Options" = (),
        topic: str | None = None,
    ) -> None:
        """Answer `request`, once.

        `code` is CONTENT, NOT_FOUND, ...; `options` are further (number, value bytes) in any order. With a `topic`, and
        if the request asks to observe, what `notify` will say under that name goes to its sender too.

        Raises:
            CoapError: too long for a datagram without `block_server`, or too many transmissions are open.
            WireError: what `security` refuses.
        """
        message = response(CON if request.type == CON else NON, code, request.token, payload, content_format, options)
        observer = None
        if self._observers is not None and topic is not None and code >> 5 == 2:
            observer = self._observers.admit(request, topic, message, now_ms)
        if self.block_server is not None:
            message = self.block_server.sliced(request, message, now_ms)
        sent = self.answer(request, message)
        if observer is not None:
            observer.sent = sent

    def notify(
        self,
        topic: str,
        code: int,
        now_ms: int,
        payload: bytes = b"",
        content_format: int | None = None,
        options: "Options" = (),
        confirmable: bool = True,
    ) -> None:
        """Send the new state to who observes `topic`; a code other than 2.xx ends their observations.

        While a confirmable notification is on its way, or none can be sent, newer states wait, and only the newest of
        them is sent.

        Raises:
            CoapError: too long for a datagram; who observes keeps the state before.
        """
        if self._observers is not None:
            message = response(CON if confirmable else NON, code, b"", payload, content_format, options)
            self._observers.publish(self, topic, message, now_ms)

    def answer(self, request: Request, message: Message) -> "Transmission | None":
        """Send a response as it is; for the parts of an endpoint. Applications call `respond`."""
        if self._security is not None:
            message = self._security.seal_response(request.binding, message)
        return self.layer.respond(message, request.mid, request.address)

    def send_notification(self, request: Request, message: Message) -> "tuple[Transmission | None, int]":
        """Send a later response to `request`; return its transmission, if confirmable, and its message ID."""
        if self._security is not None:
            message = self._security.seal_response(request.binding, message)
        sent = self.layer.send(message, request.address)
        return sent, message.mid

    def _requested(self, message: Message, address: "Address", now_ms: int) -> "list[Any]":
        request = Request(message, address, None)
        try:
            if self._security is not None:
                opened, binding = self._security.open_request(message, address)
                request = Request(opened, address, binding)
            return self._admitted(request, now_ms)
        except OscoreEchoError as error:
            request.binding = error.exchange
            self._refuse(request, coap.UNAUTHORIZED, b"", [(coap.ECHO, error.exchange.context.challenge)])
        except WireError:
            self.layer.forget(message, address)
        return []

    def _admitted(self, request: Request, now_ms: int) -> "list[Any]":
        number = self._not_understood(request)
        if number:
            if request.type == CON:
                by_proxy = number in (coap.PROXY_URI, coap.PROXY_SCHEME)
                code = coap.PROXYING_NOT_SUPPORTED if by_proxy else coap.BAD_OPTION
                self._refuse(request, code, b"option %d" % number)
            return []
        try:
            _ = request.path  # raises if it is none
            if self._observers is not None and request.option(coap.OBSERVE) is not None:
                self._observers.drop(self, request.address, request.token)
            whole = request if self.block_server is None else self.block_server.asked(self, request, now_ms)
        except WireError as error:
            self._refuse(request, coap.BAD_REQUEST, str(error).encode())
            return []
        return [] if whole is None else [whole]

    def _refuse(self, request: Request, code: int, payload: bytes, options: "Options" = ()) -> None:
        """Answer without the application; silence, if there is no way to send that."""
        type = CON if request.type == CON else NON
        try:
            self.answer(request, response(type, code, request.token, payload[:_REASON_BYTES], None, options))
        except WireError:
            self.layer.forget(request, request.address)

    def _not_understood(self, request: Request) -> int | None:
        """Return the number of the first critical option that cannot be acted on (RFC 7252, 5.4), or None."""
        last = None
        for number, value in request.options:
            if number & 1:
                repeated = number == last and number not in _REPEATABLE
                if number not in self._acted_on and (repeated or len(value) > _KNOWN.get(number, -1)):
                    return number
            last = number
        return None

    def _due(self, item: "Timed", now_ms: int) -> "list[Any]":
        if self._observers is not None and item is self._observers:
            self._observers.catch_up(self, now_ms)
            return []
        return super()._due(item, now_ms)

    def _delivered(self, delivery: "Delivery", now_ms: int) -> "list[Any]":
        if delivery.sent is not None and delivery.sent.code < 0x40:
            return super()._delivered(delivery, now_ms)
        if self._observers is not None:
            self._observers.delivered(self, delivery, now_ms)
        return []


def response(
    type: int,
    code: int,
    token: bytes,
    payload: bytes = b"",
    content_format: int | None = None,
    options: "Options" = (),
) -> Message:
    """Return a response `Message` without a message ID, its options in order."""
    own = [] if content_format is None else [(coap.CONTENT_FORMAT, coap.uint(content_format))]
    return Message(type, code, 0, token, coap.ordered(own + list(options)), payload)
