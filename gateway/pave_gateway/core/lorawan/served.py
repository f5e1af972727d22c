"""What a device behind LoRaWAN is served besides `POST /r`: the resources of both links, in this one's messages.

Requests to the device are made when it has just been heard. One that finds no window soon is dropped and made anew
after a later uplink, as it should then be: settings may have changed, a command may have expired.

A defect in a resource is logged, and costs the device that answer: its readings come through all the same.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from pave_gateway.core import limits
from pave_gateway.core.committer import Row
from pave_gateway.core.instant import Now
from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_gateway.core.lorawan.payloads import Greeting, Other, response
from pave_gateway.core.shadow_resources import Link, Reply, Resources
from pave_wire import coap, model, schc, schc_rules
from pave_wire.hello import Hello

_log = logging.getLogger(__name__)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Work:
    """What a frame asks for: rows to commit with it, what to call then, and what to answer."""

    rows: tuple[Row, ...] = ()
    apply: Callable[[], None] = _nothing
    messages: tuple[Message, ...] = ()


class Served:
    """Asks `Resources` on behalf of devices behind LoRaWAN."""

    def __init__(self, resources: Resources) -> None:
        """`resources` are those of the site."""
        self._resources = resources
        self._tokens: dict[str, int] = {}

    def greet(self, device: str, greeting: Greeting, now: Now) -> tuple[Work, Hello | None]:
        """Answer a hello; return what it said as well."""
        try:
            reply, said = self._resources.hello(device, greeting.payload, now)
        except Exception:
            _log.exception("a hello of %s failed", device)
            return Work(), None
        return _work(greeting.token, reply, now), said

    def serve(self, device: str, other: Other, secure: bool, now: Now) -> Work:
        """Answer another request, or take a response; `secure`: nobody else reads what is sent to the device."""
        try:
            return self._serve(device, other, secure, now)
        except Exception:
            _log.exception("a message of %s failed", device)
            return Work()

    def next_request(self, device: str, room_bytes: int, now: Now) -> Work | None:
        """Return a request for a device that was just heard, of at most `room_bytes`; None for none."""
        try:
            return self._next_request(device, room_bytes, now)
        except Exception:
            _log.exception("a request to %s failed", device)
            return None

    def _serve(self, device: str, other: Other, secure: bool, now: Now) -> Work:
        message = other.message
        if other.is_response:
            if not message.payload or message.option(coap.CONTENT_FORMAT) != coap.uint(model.CONTENT_FORMAT_CBOR):
                return Work()
            reply = self._resources.answered(device, message.payload, now)
            return Work(reply.rows, reply.apply)
        if message.path != model.PATH_SHADOW:  # blocks of an update: not over this link
            return _work(message.token, Reply(coap.NOT_FOUND), now)
        etags = tuple(value for number, value in message.options if number == coap.ETAG)
        return _work(message.token, self._resources.desired(device, etags, secure), now)

    def _next_request(self, device: str, room_bytes: int, now: Now) -> Work | None:
        request = self._resources.next_for(device, Link.LORAWAN, now, room_bytes - 1)
        if request is None:
            return None
        self._tokens[device] = token = self._tokens.get(device, -1) + 1 & 0xFF
        options = [
            (coap.URI_PATH, request.path.encode()),
            (coap.CONTENT_FORMAT, coap.uint(model.CONTENT_FORMAT_CBOR)),
        ]
        message = coap.Message(coap.NON, request.code, 0, bytes((token,)), options, request.payload)
        port, packet = schc.compress(message, schc_rules.DOWN)
        priority = Priority.COMMAND if request.path == model.PATH_COMMAND else Priority.SHADOW
        queued = Message(port, packet, priority, expires_ms=now.monotonic_ms + limits.LORAWAN_REQUEST_MS)
        if request.change is None:
            return Work(messages=(queued,))
        return Work(request.change.rows, request.change.apply, (queued,))


def _work(token: bytes, reply: Reply, now: Now) -> Work:
    options = [(coap.CONTENT_FORMAT, coap.uint(reply.content_format))] if reply.content_format is not None else []
    message = coap.Message(coap.NON, reply.code, 0, b"", options, reply.payload)
    return Work(reply.rows, reply.apply, response(token, message, now.monotonic_ms + limits.LORAWAN_RESPONSE_MS))
