"""The server's end of bodies in blocks (RFC 7959); `coap_block` has the other.

`Endpoint` gives each request to `asked`, and each response to `sliced`.

    a block of a request                              is answered
    ------------------------------------------------  -------------------------------------------------
    the first, or the next in order; more to come     2.31
    the same as before, in a message of its own       2.31
    the next in order, the last                       by the application, which gets the whole body
    out of order, or of a body no longer kept         4.08
    that makes the body longer than allowed           4.13, with Size1
    the first, while too many bodies are under way    5.03

    a request for block n > 0 of a response           is answered
    ------------------------------------------------  -------------------------------------------------
    the response is still kept                        with block n of it
    it is not, and the method is GET or FETCH         by the application; block n of its answer goes out
    it is not, and the method is another              4.08

What belongs together is told by address, method and cache-key: every option but those of this file, Observe and Echo.
Request-Tag (RFC 9175, 3) is part of it, so two uploads to one path never mix.
"""

import binascii

from pave_wire import coap, limits
from pave_wire.coap import Message
from pave_wire.coap_block import SZX_MAX, pack, unpack, without
from pave_wire.errors import CoapError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

    from pave_wire.coap import Options
    from pave_wire.coap_endpoint import Endpoint
    from pave_wire.coap_exchange import Request

KEPT_MS = 93_000  # MAX_TRANSMIT_WAIT (RFC 7252, 4.8.2): by then the peer has given up
_NOT_KEYED = (coap.OBSERVE, coap.BLOCK1, coap.BLOCK2, coap.SIZE1, coap.SIZE2, coap.ECHO)


class _Body:
    """One body on its way in or out; `key` says to which requests it belongs."""

    __slots__ = ("body", "code", "key", "options", "until_ms")

    def __init__(self, key: "Any", body: "Any", code: int, options: "Options") -> None:
        self.key = key
        self.body = body
        self.code = code
        self.options = options
        self.until_ms = 0


class BlockServer:
    """One server's bodies in blocks.

    Args:
        szx: the size of block to use, 16 << szx bytes, 0 to 6.
        body_bytes: the longest body to put together.
        transfers: how many bodies to keep in each direction.
    """

    def __init__(
        self, szx: int = SZX_MAX, body_bytes: int = limits.COAP_BODY_BYTES, transfers: int = limits.COAP_TRANSFERS
    ) -> None:
        self._szx = szx
        self._body_bytes = body_bytes
        self._transfers = transfers
        self._coming: list[_Body] = []
        self._going: list[_Body] = []

    def asked(self, endpoint: "Endpoint", request: "Request", now_ms: int) -> "Request | None":
        """Return the request with its whole body, or None if a block of it is answered here; raises CoapError."""
        raw1 = request.option(coap.BLOCK1)
        raw2 = request.option(coap.BLOCK2)
        if raw1 is not None:
            return self._collect(endpoint, request, raw1, now_ms)
        if raw2 is None or unpack(raw2)[0] == 0:
            return request
        kept = self._find(self._going, request, now_ms)
        if kept is not None:
            kept.until_ms = now_ms + KEPT_MS
            answer = Message(request.type, kept.code, 0, request.token, kept.options, kept.body)
            endpoint.answer(request, self._slice(answer, raw2))
        elif request.code in (coap.GET, coap.FETCH):
            return request
        else:
            endpoint.respond(request, coap.INCOMPLETE, now_ms)
        return None

    def sliced(self, request: "Request", message: Message, now_ms: int) -> Message:
        """Return the response to send first: the whole of it, or the block that `request` asks for."""
        if message.code == coap.CONTINUE:  # Block2 of the request is about the answer to the whole of it
            return message
        raw1 = request.option(coap.BLOCK1)
        if raw1 is not None and message.option(coap.BLOCK1) is None:
            num, _, szx = unpack(raw1)
            message.options = coap.replaced(message.options, coap.BLOCK1, pack(num, False, szx))
        raw2 = request.option(coap.BLOCK2)
        if message.code >> 5 != 2 or (raw2 is None and len(message.payload) <= 16 << self._szx):
            return message
        if message.option(coap.ETAG) is None:
            digest = binascii.crc32(message.payload) & 0xFFFFFFFF
            message.options = coap.replaced(message.options, coap.ETAG, digest.to_bytes(4, "big"))
        self._drop(self._going, request)
        if len(message.payload) > 16 << self._szx or (raw2 is not None and unpack(raw2)[2] < self._szx):
            options = without(message.options, coap.OBSERVE, coap.BLOCK1)
            kept = _Body(self._key(request), message.payload, message.code, options)
            kept.until_ms = now_ms + KEPT_MS
            self._going.append(kept)
            del self._going[: -self._transfers]
        return self._slice(message, raw2 or b"\x06")

    def _slice(self, message: Message, raw: bytes) -> Message:
        num, _, szx = unpack(raw)
        if num == 0 or szx > self._szx:
            num, szx = num << max(0, szx - self._szx), min(szx, self._szx)
        body = message.payload
        size = 16 << szx
        at = num * size
        if num and at >= len(body):
            return Message(message.type, coap.BAD_REQUEST, 0, message.token)
        options = coap.replaced(message.options, coap.BLOCK2, pack(num, at + size < len(body), szx))
        if num == 0:
            options = coap.replaced(options, coap.SIZE2, coap.uint(len(body)))
        return Message(message.type, message.code, 0, message.token, options, body[at : at + size])

    def _collect(self, endpoint: "Endpoint", request: "Request", raw: bytes, now_ms: int) -> "Request | None":
        num, more, szx = unpack(raw)
        size = 16 << szx
        if more and len(request.payload) != size:
            raise CoapError("block of %d bytes that says %d" % (len(request.payload), size))
        if num == 0:
            self._drop(self._coming, request)
            self._coming = [body for body in self._coming if now_ms < body.until_ms]
            if len(self._coming) >= self._transfers:
                retry_s = KEPT_MS // 1000
                endpoint.respond(
                    request, coap.SERVICE_UNAVAILABLE, now_ms, options=[(coap.MAX_AGE, coap.uint(retry_s))]
                )
                return None
            self._coming.append(_Body(self._key(request), bytearray(), 0, ()))
            kept = self._coming[-1]
        else:
            kept = self._find(self._coming, request, now_ms)
        at = num * size
        repeated = kept is not None and more and kept.body[at : at + size] == request.payload
        if kept is None or (at != len(kept.body) and not repeated):
            endpoint.respond(request, coap.INCOMPLETE, now_ms)
            return None
        total = max(len(kept.body) + len(request.payload), coap.uint_value(request.option(coap.SIZE1) or b""))
        if total > self._body_bytes:
            self._drop(self._coming, request)
            options = [(coap.SIZE1, coap.uint(self._body_bytes))]
            endpoint.respond(request, coap.TOO_LARGE, now_ms, options=options)
            return None
        if not repeated:
            kept.body.extend(request.payload)
        kept.until_ms = now_ms + KEPT_MS
        if more:
            options = [(coap.BLOCK1, pack(num, True, min(szx, self._szx)))]
            endpoint.respond(request, coap.CONTINUE, now_ms, options=options)
            return None
        self._drop(self._coming, request)
        request.payload = bytes(kept.body)
        return request

    def _key(self, request: "Request") -> "Any":
        return request.address, request.code, without(request.options, *_NOT_KEYED)

    def _find(self, bodies: list[_Body], request: "Request", now_ms: int) -> _Body | None:
        key = self._key(request)
        for body in bodies:
            if body.key == key and now_ms < body.until_ms:
                return body
        return None

    def _drop(self, bodies: list[_Body], request: "Request") -> None:
        key = self._key(request)
        bodies[:] = [body for body in bodies if body.key != key]
