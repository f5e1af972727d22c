# pyright: reportMissingTypeStubs=false
"""Below aiocoap: a token interface (`aiocoap.interfaces.TokenInterface`) that sends and receives through our own front.

Theory of operation. aiocoap comes in two layers: a token manager that matches responses to requests and runs resources,
and a message manager with a transport below it. Here the lower half is ours, so what reaches aiocoap is authentic, once
each, and on disk where it must be; what leaves it is sealed here. aiocoap knows a device by its security context, so
its observations and block transfers go on when its address changes; plain CoAP clients are known by address.

    aiocoap gives                    travels as
    -------------------------------  --------------------------------------------------------------------------
    the first response to a request  on the ACK, or as a CON of its own (`coap_outbox`)
    a notification                   a CON under a new Partial IV, to where the device was heard last
    a notification, the last of      nothing yet; a newer one replaces it; it goes when the last is acknowledged
    which is not acknowledged
    a request to a device            a CON; its response comes back by token and, under OSCORE, by binding
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from aiocoap import error, interfaces

from pave_gateway.core import limits
from pave_gateway.core.oscore_contexts import DeviceContext
from pave_gateway.ingress.coap_counters import CoapCounters
from pave_gateway.ingress.coap_exchanges import Address, Incoming
from pave_gateway.ingress.coap_outbox import Outbox
from pave_gateway.ingress.coap_remote import Remote, options_of, to_aiocoap
from pave_gateway.ingress.oscore_gate import Gate
from pave_wire import coap, oscore
from pave_wire.coap import CON, Message
from pave_wire.coap_message import ACKNOWLEDGED, Delivery, Transmission
from pave_wire.errors import WireError


class _Observation:
    """Who gets notifications: `latest` is on its way as `sent`, `newest` waits for its end."""

    __slots__ = ("gone", "latest", "newest", "remote", "request", "sent")

    def __init__(self, remote: Remote, request: Incoming) -> None:
        self.remote = remote
        self.request = request
        self.sent: Transmission | None = None
        self.latest: Message | None = None
        self.newest: Message | None = None
        self.gone: Callable[[], None] = _nothing


class _Asked:
    """A request to a device that waits for its response."""

    __slots__ = ("echoed", "exchange", "failed", "message", "remote", "sent")

    def __init__(self, remote: Remote, message: Message, failed: Callable[[], None]) -> None:
        self.remote = remote
        self.message = message
        self.failed = failed
        self.exchange: oscore.Exchange | None = None
        self.sent: Transmission | None = None
        self.echoed = False


_TokenInterface: Any = interfaces.TokenInterface


class Tokens(_TokenInterface):
    """What aiocoap's token manager sends through, and what the front hands requests and responses to."""

    def __init__(self, manager: Any, outbox: Outbox, gate: Gate, counters: CoapCounters) -> None:
        """`manager` is aiocoap's `TokenManager`."""
        self._manager = manager
        self._outbox = outbox
        self._gate = gate
        self._counters = counters
        self._observations: dict[tuple[Remote, bytes], _Observation] = {}
        self._asked: dict[bytes, _Asked] = {}

    # From the front

    def request(self, request: Incoming, message: Message) -> None:
        """Hand a request to aiocoap; its resources answer it."""
        context = request.context
        remote = Remote(context, request.address, request)
        self._end((remote, request.token))  # the same token again: another request (RFC 7641, 4.1)
        if len(self._manager.incoming_requests) >= limits.COAP_OPEN_REQUESTS:
            self._outbox.answer(request, Message(coap.ACK, coap.SERVICE_UNAVAILABLE, 0, b"", _RETRY))
            return
        try:
            converted = to_aiocoap(message, remote)
        except (error.Error, ValueError):  # an option whose value cannot be, such as text that is not UTF-8
            self._outbox.answer(request, Message(coap.ACK, coap.BAD_OPTION, 0))
            return
        if context is not None and context.observing >= limits.OBSERVATIONS_PER_DEVICE:
            converted.opt.observe = None
        self._manager.process_request(converted)

    def expects(self, token: bytes, address: Address) -> bool:
        """Say whether a response with this token may come from `address`; a device may have moved meanwhile."""
        asked = self._asked.get(token)
        return asked is not None and (asked.exchange is not None or asked.remote.address == address)

    def moved(self, context: DeviceContext) -> None:
        """Tell a device at its new address what is on its way to the old one, where nobody may be left to take it."""
        for key, observation in list(self._observations.items()):
            if observation.request.context is context and observation.sent is not None:
                self._outbox.layer.cancel(observation.sent)
                observation.sent = None
                observation.newest = observation.newest or observation.latest
                self._gate.with_number(context, partial(self._tell, key, observation))

    def left(self, context: DeviceContext) -> None:
        """Say nothing more to a device that was removed, or was given other keys."""
        for key, observation in list(self._observations.items()):
            if observation.request.context is context:
                self._end(key)
                observation.gone()
        for token, asked in list(self._asked.items()):
            if asked.remote.context is context:
                self._stop(token)
                asked.failed()
        for (_, remote), (_, stop) in list(self._manager.incoming_requests.items()):
            if remote.context is context:
                stop()

    def responded(self, message: Message) -> bool:
        """Take the response to a request of ours; return False if it is not authentic."""
        asked = self._asked[message.token]
        try:
            opened = message if asked.exchange is None else oscore.open_response(asked.exchange, message)
        except WireError:
            return False
        if asked.sent is not None:
            self._outbox.layer.cancel(asked.sent)
        echo = opened.option(coap.ECHO)
        if opened.code == coap.UNAUTHORIZED and echo is not None and not asked.echoed:
            asked.echoed = True
            asked.message.options = coap.replaced(asked.message.options, coap.ECHO, echo)
            self._gate.with_number(asked.remote.context, partial(self._ask, asked))
            return True
        del self._asked[message.token]
        try:
            self._manager.process_response(to_aiocoap(opened, asked.remote))
        except (error.Error, ValueError):
            asked.failed()
        return True

    def delivered(self, delivery: Delivery) -> None:
        """Take note of what became of a confirmable message."""
        if delivery.sent is None:
            return
        for observation in [o for o in self._observations.values() if o.sent is delivery.sent]:
            self._told(observation, delivery)
        for token, asked in [item for item in self._asked.items() if item[1].sent is delivery.sent]:
            asked.sent = None
            if delivery.how != ACKNOWLEDGED:
                del self._asked[token]
                asked.failed()

    def under_way(self, message: Any) -> bool:
        """Say whether a notification before `message`, or itself, is not acknowledged yet."""
        observation = self._observations.get((message.remote, message.token))
        return observation is not None and (observation.sent is not None or observation.newest is not None)

    # From aiocoap

    def send_message(self, message: Any, messageerror_monitor: Callable[[], None]) -> Callable[[], None] | None:
        """Send a request or response; return what stops a request."""
        converted = Message(CON, int(message.code), 0, message.token, options_of(message), message.payload)
        if message.code.is_request():
            return self._start(message.remote, converted, messageerror_monitor)
        request: Incoming = message.remote.request
        key = (message.remote, message.token)
        observation = self._observations.get(key)
        if observation is not None:
            observation.newest = converted
            if observation.sent is None:
                self._gate.with_number(request.context, partial(self._tell, key, observation))
            return None
        if message.opt.no_response is not None and message.opt.no_response & 1 << (converted.code >> 5) - 1:
            self._outbox.acknowledge(request)
            return None
        sent = self._outbox.answer(request, converted)
        if message.opt.observe is not None:
            observation = self._begin(key, request, messageerror_monitor)
            observation.sent, observation.latest = sent, converted
        return None

    async def fill_or_recognize_remote(self, message: Any) -> bool:
        """Say whether a request is for here."""
        return isinstance(message.remote, Remote)

    async def shutdown(self) -> None:
        """Forget everything; nothing is sent."""
        self._observations.clear()
        self._asked.clear()

    # Notifications

    def _begin(self, key: tuple[Remote, bytes], request: Incoming, gone: Callable[[], None]) -> _Observation:
        observation = self._observations[key] = _Observation(key[0], request)
        observation.gone = gone
        if request.context is not None:
            request.context.observing += 1
        return observation

    def _end(self, key: tuple[Remote, bytes]) -> None:
        observation = self._observations.pop(key, None)
        if observation is None:
            return
        if observation.request.context is not None:
            observation.request.context.observing -= 1
        if observation.sent is not None:
            self._outbox.layer.cancel(observation.sent)

    def _tell(self, key: tuple[Remote, bytes], observation: _Observation) -> None:
        """Send the newest state, unless one is on its way or the observation is over."""
        message = observation.newest
        if message is None or observation.sent is not None or self._observations.get(key) is not observation:
            return
        observation.latest, observation.newest = message, None
        message.type = CON
        request = observation.request
        address = request.address if request.context is None else request.context.address
        last = message.option(coap.OBSERVE) is None
        observation.sent = self._outbox.send(request.exchange, message, address)
        self._counters.notifications += observation.sent is not None
        if last:
            observation.sent = None  # repeated all the same
            self._end(key)

    def _told(self, observation: _Observation, delivery: Delivery) -> None:
        observation.sent = None
        key = (observation.remote, observation.request.token)
        if delivery.how == ACKNOWLEDGED:
            if observation.newest is not None:
                self._gate.with_number(observation.request.context, partial(self._tell, key, observation))
            return
        self._end(key)
        observation.gone()

    # Requests to devices

    def _start(self, remote: Remote, message: Message, failed: Callable[[], None]) -> Callable[[], None]:
        if len(self._asked) >= limits.COAP_ASKED:
            raise error.NetworkError(f"{limits.COAP_ASKED} requests to devices wait for a response; ask later")
        if remote.context is not None and remote.context.gone:
            raise error.NetworkError(f"{remote.context.device} was removed or has other keys; ask again when it speaks")
        asked = self._asked[message.token] = _Asked(remote, message, failed)
        self._gate.with_number(remote.context, partial(self._ask, asked))
        return partial(self._stop, message.token)

    def _ask(self, asked: _Asked) -> None:
        message = asked.message
        if self._asked.get(message.token) is not asked:
            return
        context = asked.remote.context
        sealed = message
        try:
            if context is not None:
                sealed, asked.exchange = oscore.seal_request(context, message)
                asked.remote.address = context.address
            asked.sent = self._outbox.send(None, sealed, asked.remote.address)
        except WireError:  # too long for a datagram
            asked.sent = None
        if asked.sent is None:
            del self._asked[message.token]
            asked.failed()

    def _stop(self, token: bytes) -> None:
        asked = self._asked.pop(token, None)
        if asked is not None and asked.sent is not None:
            self._outbox.layer.cancel(asked.sent)


def _nothing() -> None:
    pass


_RETRY = [(coap.MAX_AGE, coap.uint(limits.RETRY_AFTER_S))]
