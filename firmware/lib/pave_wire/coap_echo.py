"""Echo (RFC 9175, section 2): does a request come from now, and from the address it says?

A server that must know answers 4.01 with a value; the client repeats the request with it (`Client` does so by itself).
The value holds when it was made, and a MAC over that and the address, so the server keeps nothing per client:

    bytes  0 to 7  ms by the server's clock, big-endian
           8 to 15 SHA-256(secret, time, address), the first half of a quarter
"""

import hashlib

from pave_wire import coap

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.coap_endpoint import Endpoint
    from pave_wire.coap_exchange import Request
    from pave_wire.coap_message import Address

_TIME_BYTES = 8
_MAC_BYTES = 8


class Freshness:
    """The server's judgement.

    Args:
        secret: 16 random bytes of this boot.
        fresh_ms: how old a value may be.
    """

    def __init__(self, secret: bytes, fresh_ms: int) -> None:
        self._secret = secret
        self._fresh_ms = fresh_ms

    def is_fresh(self, endpoint: "Endpoint", request: "Request", now_ms: int) -> bool:
        """Return True if `request` may act; otherwise it is answered here, with a challenge."""
        echo = request.option(coap.ECHO)
        if echo is not None and self._holds(echo, request.address, now_ms):
            return True
        endpoint.respond(
            request, coap.UNAUTHORIZED, now_ms, options=[(coap.ECHO, self._value(request.address, now_ms))]
        )
        return False

    def _holds(self, echo: bytes, address: "Address", now_ms: int) -> bool:
        made_ms = int.from_bytes(echo[:_TIME_BYTES], "big")
        if not 0 <= now_ms - made_ms <= self._fresh_ms:
            return False
        difference = len(echo) ^ (_TIME_BYTES + _MAC_BYTES)
        for one, other in zip(echo, self._value(address, made_ms)):
            difference |= one ^ other
        return difference == 0

    def _value(self, address: "Address", made_ms: int) -> bytes:
        made = made_ms.to_bytes(_TIME_BYTES, "big")
        return made + hashlib.sha256(self._secret + made + str(address).encode()).digest()[:_MAC_BYTES]
