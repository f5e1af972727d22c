"""What one device and its gateway say to each other under OSCORE (RFC 8613), opened by who has the device's keys.

Two peers refuse what they have seen before. Who listens wants to hear that too, so nothing is refused here but what
does not open: a request is opened under its own Partial IV whenever it comes, a response under its request's as often
as it comes.

The gateway's key follows from its ID, which is learned as a device learns it (`pave_wire.coap_oscore`): the one that
was provisioned, until a response to a later request names another, and opens under the key of that.
"""

from __future__ import annotations

from dataclasses import dataclass

from pave_tools.provisioning import OscoreKeys
from pave_wire import coap, oscore
from pave_wire.coap import Message
from pave_wire.errors import OscoreContextError, OscoreFormatError
from pave_wire.oscore_context import FRESH_WINDOW, Context
from pave_wire.oscore_options import decode_value, oscore_value


@dataclass(frozen=True)
class Asked:
    """What opens the responses to a request: its Partial IV, whether it observes, how many gateways were before it."""

    piv: bytes
    observing: bool
    gateways: int


class Overheard:
    """One device, with whichever gateway it speaks to. Everything raises WireError for what does not open."""

    def __init__(self, keys: OscoreKeys) -> None:
        self._keys = keys
        self._gateways = 0
        self.gateway_id = keys.gateway_id
        self._device, self._gateway = self._ends(keys.gateway_id)

    def request_from_device(self, message: Message) -> tuple[Message, Asked]:
        """Return the request inside, and what its responses need."""
        return self._request(self._gateway, message)

    def response_to_device(self, asked: Asked, message: Message) -> Message:
        """Return the response inside; a gateway that it names is the gateway from then on."""
        piv, kid, _ = decode_value(oscore_value(message.options))
        if kid is None or kid == self.gateway_id:
            return _response(self._device, asked, message)
        if asked.gateways != self._gateways or not piv:
            raise OscoreContextError(f"response of kid {kid.hex()}")
        device, gateway = self._ends(kid)
        response = _response(device, asked, message)
        self._gateways += 1
        self.gateway_id, self._device, self._gateway = kid, device, gateway
        return response

    def request_to_device(self, message: Message) -> tuple[Message, Asked]:
        """Return the request inside, and what its responses need."""
        return self._request(self._device, message)

    def response_from_device(self, asked: Asked, message: Message) -> Message:
        """Return the response inside."""
        return _response(self._gateway, asked, message)

    def _ends(self, gateway_id: bytes) -> tuple[Context, Context]:
        """Return the context as a device has it, and as the gateway of that ID has it."""
        secret, salt, device_id = self._keys.secret, self._keys.salt, self._keys.device_id
        return (
            Context(secret, salt, device_id, gateway_id, 0, FRESH_WINDOW),
            Context(secret, salt, gateway_id, device_id, 0, FRESH_WINDOW),
        )

    def _request(self, context: Context, message: Message) -> tuple[Message, Asked]:
        """Open a request as who is asked would, seen before or not."""
        piv, kid, _ = decode_value(oscore_value(message.options))
        if not piv or kid != context.recipient_id:
            raise OscoreFormatError(f"request of kid {kid!r}, Partial IV {piv!r}")
        nonce = context.recipient_nonce(int.from_bytes(piv, "big"))
        aad = context.peer_request_aad(piv)
        plaintext = context.open(nonce, message.payload, aad)
        request = oscore.request_inside(message, plaintext, oscore.Exchange(context, nonce, aad, False))
        return request, Asked(piv, request.option(coap.OBSERVE) == b"", self._gateways)


def _response(context: Context, asked: Asked, message: Message) -> Message:
    """Open a response as who asked would, the first to it or not."""
    nonce = context.sender_nonce(int.from_bytes(asked.piv, "big"))
    exchange = oscore.Exchange(context, nonce, context.own_request_aad(asked.piv), asked.observing)
    return oscore.open_response(exchange, message)
