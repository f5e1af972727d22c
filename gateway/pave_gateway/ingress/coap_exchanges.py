"""What is remembered of requests: who asked under which message ID, and what a retransmission gets.

Theory of operation. A client that hears nothing sends the same bytes again, so the same bytes from the same address
within EXCHANGE_LIFETIME are one request (RFC 7252, 4.5). Only authentic requests are remembered (in insecure mode all
are, in a memory of their own), so what a stranger sends displaces nothing. Other bytes under the same message ID are no
retransmission: the client lost count or its address went to another device, and OSCORE tells whether they are new.

    state        what happens                 next         a retransmission gets
    -----------  ---------------------------  -----------  ---------------------
    waiting      an answer                    answered     the ACK with the answer
    waiting      EMPTY_ACK_MS                 acknowledged the empty ACK; the answer will be a message of its own
    waiting      it could not be stored       forgotten    a new try
    answered     COAP_RESENDS retransmissions answered     nothing

The memory has a fixed number of places; the oldest gives way. A retransmission that comes after that is a replay to
OSCORE, and silence; its device then sends its readings again under a new Partial IV.
"""

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING

from pave_gateway.core import limits
from pave_wire.coap import CON
from pave_wire.coap_message import EMPTY_ACK_MS, EXCHANGE_LIFETIME_MS

if TYPE_CHECKING:
    from pave_gateway.core.oscore_contexts import DeviceContext
    from pave_wire.oscore import Exchange

Address = Hashable  # a tuple as the socket gives it, host and port first


class Incoming:
    """A request, from its arrival to its answer.

    Attributes:
        data: The datagram.
        address: Where it came from, and where its answer goes.
        kind: CON or NON.
        token: The client's.
        key: Address and message ID.
        context: Whose it is, None for plain CoAP.
        exchange: What binds its responses to it, None for plain CoAP and once the only one is sealed.
        until_ms: How long it is remembered.
        reply: What a retransmission gets; None while there is none.
        resends: How many more do.
        acknowledged: The empty ACK has been sent, or what came needs none.
    """

    __slots__ = (
        "acknowledged", "address", "context", "data", "exchange", "key", "kind",
        "reply", "resends", "token", "until_ms",
    )  # fmt: skip

    def __init__(
        self,
        data: bytes,
        address: Address,
        key: tuple[Address, int],
        kind: int,
        context: "DeviceContext | None",
        exchange: "Exchange | None",
        now_ms: int,
    ) -> None:
        self.data = data
        self.address = address
        self.kind = kind
        self.token = data[4 : 4 + (data[0] & 0x0F)]
        self.key = key
        self.context = context
        self.exchange = exchange
        self.until_ms = now_ms + EXCHANGE_LIFETIME_MS
        self.reply: bytes | None = None
        self.resends = limits.COAP_RESENDS
        self.acknowledged = kind != CON


class Exchanges:
    """The requests remembered, and those among them that wait for their answer."""

    def __init__(self, remembered: int = limits.COAP_REMEMBERED) -> None:
        """`remembered` is the number of places."""
        self._known: dict[tuple[Address, int], Incoming] = {}
        self._ring: list[Incoming | None] = [None] * remembered
        self._at = 0
        self._waiting: deque[Incoming] = deque()  # in the order they came, so in the order their empty ACKs are due
        self.find = self._known.get

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def remember(self, request: Incoming) -> None:
        """Let retransmissions of a confirmable message be known; it waits for its answer, unless acknowledged."""
        at = self._at
        oldest = self._ring[at]
        if oldest is not None and self._known.get(oldest.key) is oldest:
            del self._known[oldest.key]
        self._ring[at] = request
        self._at = (at + 1) % len(self._ring)
        self._known[request.key] = request
        if not request.acknowledged:
            self._waiting.append(request)

    def forget(self, request: Incoming) -> None:
        """Let the same bytes be a new request."""
        if self._known.get(request.key) is request:
            del self._known[request.key]
        request.acknowledged = True  # there is no answer to announce

    def next_timeout(self) -> int | None:
        """Return when `unanswered` has something to say, or None."""
        waiting = self._waiting
        while waiting and (waiting[0].reply is not None or waiting[0].acknowledged):
            waiting.popleft()
        return waiting[0].until_ms - (EXCHANGE_LIFETIME_MS - EMPTY_ACK_MS) if waiting else None

    def unanswered(self, now_ms: int) -> list[Incoming]:
        """Return the requests whose empty ACK is due, each once."""
        due: list[Incoming] = []
        due_ms = self.next_timeout()
        while due_ms is not None and due_ms <= now_ms:
            due.append(self._waiting.popleft())
            due_ms = self.next_timeout()
        return due
