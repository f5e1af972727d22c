"""The client side of CoAP (RFC 7252), which never touches a socket or a clock.

The client owns confirmable exchanges (RFC 7252, 4.2 and 5.2.2). Time comes in as `now_ms` (any monotonic millisecond
count), bytes come in by `receive_datagram` and go out by `datagrams_to_send`; whoever owns the socket waits until
`next_timeout`.

    state       what happens            next       said to the caller
    ----------  ----------------------  ---------  ------------------------------
    SENT        time-out, tries left    SENT       (same bytes again, doubled wait)
    SENT        time-out, no try left   closed     Failed("timeout")
    SENT        ACK with a response     closed     Response
    SENT        empty ACK               ACKED
    SENT        RST                     closed     Failed("reset")
    SENT,ACKED  CON or NON response     closed     Response; a CON is acknowledged
    ACKED       separate wait is over   closed     Failed("timeout")

A message that matches no exchange by message ID or token *and* peer address is answered with RST if it is a confirmable
response (RFC 7252, 4.2) and is otherwise ignored.
"""

import struct

from pave_wire import limits
from pave_wire.coap import (
    ACK,
    CON,
    CONTENT_FORMAT,
    EMPTY,
    RST,
    URI_PATH,
    Message,
    decode,
    encode,
    uint,
)
from pave_wire.errors import CoapError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Callable

    from pave_wire.coap import Options

    Address = tuple[str, int]
    RandomBelow = Callable[[int], int]

# Transmission parameters (RFC 7252, 4.8), in ms
ACK_TIMEOUT_MS = 2000
ACK_RANDOM_SPREAD_MS = 1000  # ACK_RANDOM_FACTOR 1.5
MAX_RETRANSMIT = 4
SEPARATE_RESPONSE_MS = 30_000  # how long a response may follow its empty ACK


class Response:
    """Event: the response to a request. `code` and `options` as in `Message`; `payload` in bytes."""

    __slots__ = ("code", "options", "payload", "token")

    def __init__(self, token: bytes, code: int, options: "Options", payload: bytes) -> None:
        self.token = token
        self.code = code
        self.options = options
        self.payload = payload


class Failed:
    """Event: no response will come. `why` is "timeout" or "reset"."""

    __slots__ = ("token", "why")

    def __init__(self, token: bytes, why: str) -> None:
        self.token = token
        self.why = why


class _Exchange:
    __slots__ = ("acked", "address", "data", "due_ms", "mid", "retransmits_left", "token", "wait_ms")

    def __init__(
        self, mid: int, token: bytes, data: bytes, address: "Address", retransmits_left: int, now_ms: int, wait_ms: int
    ) -> None:
        self.mid = mid
        self.token = token
        self.data = data
        self.address = address
        self.retransmits_left = retransmits_left
        self.wait_ms = wait_ms
        self.due_ms = now_ms + wait_ms
        self.acked = False


class Client:
    """The client side of confirmable exchanges.

    Args:
        random_below: function of an int n returning a random int from 0 to n - 1: starts the message IDs and tokens,
            spreads the time-outs.
        max_retransmit: how often a request is sent again; a battery device may choose fewer than RFC 7252's 4.
    """

    def __init__(self, random_below: "RandomBelow", max_retransmit: int = MAX_RETRANSMIT) -> None:
        self._random_below = random_below
        self._max_retransmit = max_retransmit
        self._mid = random_below(0x10000)
        self._token = random_below(0x10000)
        self._exchanges: list[_Exchange] = []
        self._outgoing: "list[tuple[bytes, Address]]" = []

    def request(
        self,
        code: int,
        path: str,
        address: "Address",
        now_ms: int,
        payload: bytes = b"",
        content_format: int | None = None,
    ) -> bytes:
        """Open an exchange and return its token (bytes), by which its `Response` or `Failed` is known.

        Raises:
            CoapError: `limits.COAP_EXCHANGES` exchanges are open already, or the message would not fit a datagram.
        """
        if len(self._exchanges) == limits.COAP_EXCHANGES:
            raise CoapError("%d exchanges are open; wait for one to end" % limits.COAP_EXCHANGES)
        options = [(URI_PATH, segment.encode()) for segment in path.split("/")]
        if content_format is not None:
            options.append((CONTENT_FORMAT, uint(content_format)))
        self._mid = (self._mid + 1) & 0xFFFF
        self._token = (self._token + 1) & 0xFFFF
        token = struct.pack(">H", self._token)
        data = encode(Message(CON, code, self._mid, token, options, payload))
        if len(data) > limits.DATAGRAM_BYTES:
            raise CoapError("request of %d bytes; at most %d" % (len(data), limits.DATAGRAM_BYTES))
        wait_ms = ACK_TIMEOUT_MS + self._random_below(ACK_RANDOM_SPREAD_MS)
        self._exchanges.append(_Exchange(self._mid, token, data, address, self._max_retransmit, now_ms, wait_ms))
        self._outgoing.append((data, address))
        return token

    def receive_datagram(self, data: bytes, address: "Address", now_ms: int) -> "list[Response | Failed]":
        """Take one datagram from `address`; return a list of `Response` and `Failed`. What is no CoAP is dropped."""
        try:
            message = decode(data)
        except CoapError:
            return []
        if message.type in (ACK, RST):
            return self._acknowledged(message, address, now_ms)
        if message.code >> 5 in (2, 4, 5):
            return self._separate_response(message, address)
        return []

    def handle_timeout(self, now_ms: int) -> "list[Response | Failed]":
        """Do what is due at `now_ms`: send again, or give up; return a list of `Failed`."""
        events: list[Response | Failed] = []
        for exchange in list(self._exchanges):
            if now_ms < exchange.due_ms:
                continue
            if exchange.acked or exchange.retransmits_left == 0:
                self._exchanges.remove(exchange)
                events.append(Failed(exchange.token, "timeout"))
            else:
                exchange.retransmits_left -= 1
                exchange.wait_ms *= 2
                exchange.due_ms = now_ms + exchange.wait_ms
                self._outgoing.append((exchange.data, exchange.address))
        return events

    def datagrams_to_send(self) -> "list[tuple[bytes, Address]]":
        """Return and forget the list of (bytes, address) that are to be sent now."""
        outgoing = self._outgoing
        self._outgoing = []
        return outgoing

    def next_timeout(self) -> int | None:
        """Return the `now_ms` at which `handle_timeout` has something to do, or None."""
        return min((exchange.due_ms for exchange in self._exchanges), default=None)

    def cancel(self) -> None:
        """Forget every open exchange and whatever was to be sent."""
        self._exchanges = []
        self._outgoing = []

    def _acknowledged(self, message: Message, address: "Address", now_ms: int) -> "list[Response | Failed]":
        exchange = self._find(address, mid=message.mid)
        if exchange is None or exchange.acked:
            return []
        if message.type == RST:
            self._exchanges.remove(exchange)
            return [Failed(exchange.token, "reset")]
        if message.code == EMPTY:
            exchange.acked = True
            exchange.due_ms = now_ms + SEPARATE_RESPONSE_MS
            return []
        if message.token != exchange.token:
            return []
        self._exchanges.remove(exchange)
        return [Response(exchange.token, message.code, message.options, message.payload)]

    def _separate_response(self, message: Message, address: "Address") -> "list[Response | Failed]":
        exchange = self._find(address, token=message.token)
        if message.type == CON:
            answer = RST if exchange is None else ACK
            self._outgoing.append((encode(Message(answer, EMPTY, message.mid)), address))
        if exchange is None:
            return []
        self._exchanges.remove(exchange)
        return [Response(exchange.token, message.code, message.options, message.payload)]

    def _find(self, address: "Address", mid: int | None = None, token: bytes | None = None) -> _Exchange | None:
        for exchange in self._exchanges:
            if exchange.address == address and (exchange.mid == mid or exchange.token == token):
                return exchange
        return None
