"""The message layer of CoAP (RFC 7252, section 4): delivery, without a socket or a clock.

It owns message IDs, confirmable transmissions, acknowledgements, resets and the memory of what was received. It knows
nothing of tokens' meaning, resources or security, so anything can sit on top: `coap_client` does, and so may another
CoAP library, with or without OSCORE between. Whoever owns the socket gives it datagrams and the time, sends what
`datagrams_to_send` returns after every other call, and waits until `next_timeout`.

A confirmable message sent (`Transmission`); only one per peer is under way (NSTART = 1), the others queue:

    state    what happens                     next     said to the layer above
    -------  -------------------------------  -------  ---------------------------------
    QUEUED   the one before it ends           SENT
    SENT     time-out, tries left             SENT     (same bytes again, doubled wait)
    SENT     time-out, no try left            over     Delivery(TIMEOUT)
    SENT     empty ACK, same ID and address   over     Delivery(ACKNOWLEDGED)
    SENT     ACK with a response, same token  over     Received
    SENT     RST, same ID and address         over     Delivery(RESET)
    any      cancel()                         over

A confirmable message received:

    state    what happens                     next     sent
    -------  -------------------------------  -------  ---------------------------------
    new                                       PENDING  (the layer above gets Received)
    PENDING  the same once more               PENDING
    PENDING  respond()                        DONE     ACK with the response
    PENDING  acknowledge(), or EMPTY_ACK_MS   DONE     empty ACK; a later respond() sends a message of its own
    PENDING  reject()                         DONE     RST
    PENDING  forget()                         new
    DONE     the same once more               DONE     the same ACK or RST again
    DONE     EXCHANGE_LIFETIME is over        new

A non-confirmable one is DONE at once, with nothing to repeat. An ACK or RST that matches no transmission is dropped,
but for a RST, which may answer a non-confirmable message: `Delivery` then tells its ID and address, and who remembers
having sent that may believe it.
"""

from pave_wire import limits
from pave_wire.coap import ACK, CON, EMPTY, NON, RST, Message, decode, encode
from pave_wire.coap_timers import Timed, Timers
from pave_wire.errors import CoapBusyError, CoapError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    Address = Hashable  # whatever names a peer, such as (host, port)
    RandomBelow = Callable[[int], int]

# Transmission parameters (RFC 7252, 4.8), in ms
ACK_TIMEOUT_MS = 2000
ACK_RANDOM_SPREAD_MS = 1000  # ACK_RANDOM_FACTOR 1.5
MAX_RETRANSMIT = 4
EXCHANGE_LIFETIME_MS = 247_000
NON_LIFETIME_MS = 145_000
EMPTY_ACK_MS = 500  # well before the peer's first retransmission

ACKNOWLEDGED, RESET, TIMEOUT = "acknowledged", "reset", "timeout"


class Received:
    """Event: a message that is no duplicate. `type` is CON or NON, or ACK when it answers a transmission."""

    __slots__ = ("address", "message")

    def __init__(self, message: Message, address: "Address") -> None:
        self.message = message
        self.address = address


class Delivery:
    """Event: what became of a message sent. `how` is ACKNOWLEDGED, RESET or TIMEOUT.

    `sent` is the `Transmission`, or None for a RST with an ID no transmission has: perhaps a non-confirmable message's.
    """

    __slots__ = ("address", "how", "mid", "sent")

    def __init__(self, sent: "Transmission | None", how: str, mid: int, address: "Address") -> None:
        self.sent = sent
        self.how = how
        self.mid = mid
        self.address = address


class Transmission(Timed):
    """A confirmable message on its way; `code` and `token` are the message's."""

    __slots__ = ("address", "code", "data", "mid", "token", "tries_left", "wait_ms")

    def __init__(self, message: Message, address: "Address", tries_left: int, wait_ms: int) -> None:
        self.address = address
        self.code = message.code
        self.mid = message.mid
        self.token = message.token
        self.data: bytes | None = encode(message)  # None when it is over
        self.tries_left = tries_left
        self.wait_ms = wait_ms
        self.due_ms = None


class _Memory(Timed):
    """A message received. `reply` is what its duplicates get; while it is PENDING it is due."""

    __slots__ = ("key", "reply", "until_ms")

    def __init__(self, key: "tuple[Address, int]", until_ms: int) -> None:
        self.key = key
        self.until_ms = until_ms
        self.reply: bytes | None = None
        self.due_ms = None


class MessageLayer:
    """One endpoint's messages with all its peers.

    Args:
        random_below: function of an int n returning a random int from 0 to n - 1.
        max_retransmit: how often a confirmable message is sent again.
        transmissions: how many may be open at once.
        remembered: how many messages received are known again; beyond it the longest known is forgotten.
    """

    def __init__(
        self,
        random_below: "RandomBelow",
        max_retransmit: int = MAX_RETRANSMIT,
        transmissions: int = limits.COAP_TRANSMISSIONS,
        remembered: int = limits.COAP_REMEMBERED,
    ) -> None:
        self._random_below = random_below
        self._max_retransmit = max_retransmit
        self._room = transmissions
        self._mid = random_below(0x10000)
        self._peers: "dict[Address, list[Transmission]]" = {}  # the first of each list is SENT
        self._known: "dict[tuple[Address, int], _Memory]" = {}
        self._ring: "list[_Memory | None]" = [None] * remembered  # what is known, in the order it came
        self._ring_at = 0
        self._evicted: "tuple[_Memory | None, int | None]" = (None, None)  # by the newest, and when it was due
        self._timers = Timers()
        self._outgoing: "list[tuple[bytes | Transmission, Address]]" = []

    def receive_datagram(self, data: bytes, address: "Address", now_ms: int) -> "list[Received | Delivery]":
        """Take one datagram (bytes) from `address`; return a list of at most one `Received` or `Delivery`."""
        try:
            message = decode(data)
        except CoapError:
            if len(data) >= 4 and data[0] >> 4 == 4:  # version 1, CON: a format error is rejected (RFC 7252, 4.2)
                self._emit_empty(RST, data[2] << 8 | data[3], address)
            return []
        if message.type >= ACK:
            return self._answered(message, address)
        if message.code >> 5 not in (0, 2, 4, 5) or message.code == EMPTY:  # a ping, or a reserved class
            if message.type == CON:
                self._emit_empty(RST, message.mid, address)
            return []
        key = (address, message.mid)
        known = self._known.get(key)
        if known is not None and now_ms < known.until_ms:
            if known.reply is not None:
                self._outgoing.append((known.reply, address))
            return []
        self._remember(key, message.type == CON, now_ms)
        return [Received(message, address)]

    def send(self, message: Message, address: "Address") -> Transmission | None:
        """Send a CON or NON under a new message ID, which is left in `message`; return the transmission of a CON.

        Raises:
            CoapBusyError: too many transmissions are open.
            CoapError: the message cannot be encoded.
        """
        message.mid = self._mid
        if message.type == NON:
            self._outgoing.append((encode(message), address))
            sent = None
        else:
            if self._room == 0:
                raise CoapBusyError("too many confirmable messages are open; wait for one to end")
            wait_ms = ACK_TIMEOUT_MS + self._random_below(ACK_RANDOM_SPREAD_MS)
            sent = Transmission(message, address, self._max_retransmit, wait_ms)
            self._room -= 1
            queue = self._peers.setdefault(address, [])
            queue.append(sent)
            if len(queue) == 1:
                self._outgoing.append((sent, address))
        self._mid = (self._mid + 1) & 0xFFFF
        return sent

    def respond(self, message: Message, request_mid: int, address: "Address") -> Transmission | None:
        """Send a response: on the ACK of a request that still waits for it, else as `send` does."""
        known = self._pending(request_mid, address)
        if known is None:
            return self.send(message, address)
        message.type = ACK
        message.mid = request_mid
        self._settle(known, encode(message))
        return None

    def acknowledge(self, message: Message, address: "Address") -> None:
        """Send the empty ACK of a confirmable message, unless it is answered already."""
        self._close(ACK, message.mid, address)

    def reject(self, message: Message, address: "Address") -> None:
        """Send RST for a message that means nothing here: for a CON once, and again to its duplicates."""
        if message.type == NON:
            self._emit_empty(RST, message.mid, address)
        else:
            self._close(RST, message.mid, address)

    def forget(self, message: Message, address: "Address") -> None:
        """Treat the message as never received: the next with its ID is new. For what proves to be forged."""
        known = self._known.pop((address, message.mid), None)
        if known is None:
            return
        self._timers.set(known, None)
        if self._ring[self._ring_at - 1] is known:  # its place goes back to what was there: forgery evicts nothing
            oldest, due_ms = self._evicted
            self._ring_at = (self._ring_at - 1) % len(self._ring)
            self._ring[self._ring_at] = oldest
            self._evicted = (None, None)
            if oldest is not None:
                self._known[oldest.key] = oldest
                self._timers.set(oldest, due_ms)

    def cancel(self, sent: Transmission) -> None:
        """Stop sending; nothing more will be said about it."""
        if sent.data is None:
            return
        sent.data = None
        self._timers.set(sent, None)
        self._room += 1
        queue = self._peers[sent.address]
        was_first = queue[0] is sent
        queue.remove(sent)
        if not queue:
            del self._peers[sent.address]
        elif was_first:
            self._outgoing.append((queue[0], sent.address))

    def datagrams_to_send(self, now_ms: int) -> "list[tuple[bytes, Address]]":
        """Return and forget the list of (bytes, address) that are to be sent now; their time-outs count from here."""
        datagrams: "list[tuple[bytes, Address]]" = []
        for item, address in self._outgoing:
            data = item.data if isinstance(item, Transmission) else item
            if data is None:  # ended before it left
                continue
            if isinstance(item, Transmission):
                self._timers.set(item, now_ms + item.wait_ms)
            datagrams.append((data, address))
        self._outgoing = []
        return datagrams

    def next_timeout(self) -> int | None:
        """Return the `now_ms` at which `handle_timeout` has something to do, or None."""
        return self._timers.next()

    def handle_timeout(self, now_ms: int) -> "list[Received | Delivery]":
        """Do what is due at `now_ms`: send again, acknowledge, or give up; return a list of `Delivery`."""
        events: list[Received | Delivery] = []
        for item in self._timers.due(now_ms):
            if isinstance(item, _Memory):
                self._settle(item, encode(Message(ACK, EMPTY, item.key[1])))
            elif isinstance(item, Transmission) and item.tries_left:
                item.tries_left -= 1
                item.wait_ms *= 2
                self._outgoing.append((item, item.address))
            elif isinstance(item, Transmission):
                self.cancel(item)
                events.append(Delivery(item, TIMEOUT, item.mid, item.address))
        return events

    def _answered(self, message: Message, address: "Address") -> "list[Received | Delivery]":
        """An ACK or RST came."""
        empty = message.code == EMPTY
        queue = self._peers.get(address)
        sent = queue[0] if queue else None
        if sent is None or sent.mid != message.mid:
            return [Delivery(None, RESET, message.mid, address)] if message.type == RST and empty else []
        if not empty and (
            message.type == RST or message.code >> 5 not in (2, 4, 5) or sent.code > 0x1F or sent.token != message.token
        ):
            return []
        self.cancel(sent)
        if not empty:
            return [Received(message, address)]
        return [Delivery(sent, RESET if message.type == RST else ACKNOWLEDGED, sent.mid, address)]

    def _remember(self, key: "tuple[Address, int]", confirmable: bool, now_ms: int) -> None:
        known = _Memory(key, now_ms + (EXCHANGE_LIFETIME_MS if confirmable else NON_LIFETIME_MS))
        oldest = self._ring[self._ring_at]
        self._evicted = (None, None)
        if oldest is not None and self._known.get(oldest.key) is oldest:
            self._evicted = (oldest, oldest.due_ms)
            del self._known[oldest.key]
            self._timers.set(oldest, None)
        self._ring[self._ring_at] = known
        self._ring_at = (self._ring_at + 1) % len(self._ring)
        self._known[key] = known
        if confirmable:
            self._timers.set(known, now_ms + EMPTY_ACK_MS)

    def _pending(self, mid: int, address: "Address") -> _Memory | None:
        known = self._known.get((address, mid))
        return None if known is None or known.due_ms is None else known

    def _settle(self, known: _Memory, reply: bytes) -> None:
        known.reply = reply
        self._timers.set(known, None)
        self._outgoing.append((reply, known.key[0]))

    def _close(self, type: int, mid: int, address: "Address") -> None:
        known = self._pending(mid, address)
        if known is not None:
            self._settle(known, encode(Message(type, EMPTY, mid)))

    def _emit_empty(self, type: int, mid: int, address: "Address") -> None:
        self._outgoing.append((encode(Message(type, EMPTY, mid)), address))
