"""OSCORE between the message layer and the request layer of an endpoint with one peer: every device of ours has one.

The owner's `Memory` keeps, durably and beside the keys, the two counters (`oscore_context`) and who the peer is.
Nothing leaves, and no request of the peer acts, before what it changes is stored:

    before                                       is stored
    -------------------------------------------  ---------------------------------------------
    sealing, where no reserved number is left    the next limit, `limits.OSCORE_RESERVE` ahead
    sealing                                      (`used`: for a memory that outlives resets)
    a request acts                               the replay window
    another peer is believed                     its ID, and its replay window

A replaced peer. A gateway whose disk died comes back under another Sender ID, drawn at random, so its keys towards its
devices are new and its numbers may begin at 0. It says the ID in the `kid` of a response (RFC 8613, 5). The ID is only
a claim, but who holds the Master Secret alone can seal under the key that is derived from it:

    response to a request of ours     is opened under       next
    --------------------------------  --------------------  ------------------------------------------
    no kid, or the peer's             the peer's key        (`oscore.open_response`)
    another kid, Partial IV of its    the key of that kid   authentic: that is the peer. Else the same
    own, the request younger than
    the peer, few claims before it
    any other                         none                  OscoreContextError

The age of the request keeps a recorded response from bringing an older peer back: it answers a request from before.
Our own key does not depend on the peer's ID, so our numbers go on. The replay window begins at the response's Partial
IV, with everything before it seen; so it would be right even for a peer that had been here before.
"""

from pave_wire import limits, oscore
from pave_wire.errors import OscoreContextError, OscoreSequenceError
from pave_wire.oscore_options import decode_value, oscore_value

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Protocol

    from pave_wire.coap import Message
    from pave_wire.coap_message import Address
    from pave_wire.oscore import Exchange
    from pave_wire.oscore_context import Context, Window

    Asked = tuple[Exchange, int]

    class Memory(Protocol):
        """What the owner of the keys keeps. A method returns when it is done, and raises OSError if it is not."""

        def reserve(self, limit: int) -> None:
            """Store `limit` durably: a later boot starts its sequence there or above."""
            ...

        def used(self, sequence: int) -> None:
            """Take note that the numbers below `sequence` may be used now."""
            ...

        def keep_peer(self, peer_id: bytes, window: Window) -> None:
            """Store both durably, in one step."""
            ...

        def context(self, peer_id: bytes, sequence: int, window: Window) -> Context:
            """Return the context that these keys give with this peer; nothing is stored."""
            ...


_ALL_SEEN = (1 << limits.OSCORE_WINDOW) - 1
_CLAIMS = 4  # IDs that are tried after a request: each costs a device some 30 ms, and anyone may claim


class OscoreSecurity:
    """What an endpoint takes as `security`: everything goes and comes under one context.

    Args:
        context: with the peer known so far.
        memory: see above. None: the owner has reserved numbers itself, keeps the window, and the peer stays the same.
    """

    def __init__(self, context: "Context", memory: "Memory | None" = None) -> None:
        self._context = context
        self._memory = memory
        self._peers = 0  # how many there were before this one
        self._claims = 0  # how many may still be tried

    def seal_request(self, message: "Message", address: "Address") -> "tuple[Message, Asked]":
        """Return what travels, and what its responses need.

        Raises:
            OscoreSequenceError: no number left, or `memory` did not keep it.
            OscoreFormatError, CoapError: as `oscore.seal_request`.
        """
        self._prepare()
        sealed, exchange = oscore.seal_request(self._context, message)
        self._claims = _CLAIMS
        return sealed, (exchange, self._peers)

    def open_response(self, binding: "Asked", message: "Message") -> "Message":
        """Return the response inside; raises OscoreError, and OSError where a new peer could not be stored."""
        exchange, peers = binding
        piv, kid, _ = decode_value(oscore_value(message.options))
        if kid is None or kid == self._context.recipient_id:
            exchange.context = self._context
            return oscore.open_response(exchange, message)
        if self._memory is None or peers != self._peers or not piv or not self._claims:
            raise OscoreContextError("response of kid %r" % kid)
        self._claims -= 1
        window = int.from_bytes(piv, "big"), _ALL_SEEN
        context = self._memory.context(kid, self._context.sequence, window)
        named = oscore.Exchange(context, exchange.nonce, exchange.aad, exchange.observing)
        response = oscore.open_response(named, message)
        self._memory.keep_peer(kid, window)
        self._replace(context)
        exchange.number = named.number
        return response

    def open_request(self, message: "Message", address: "Address") -> "tuple[Message, Exchange]":
        """Return the request inside, and what its responses need; raises OscoreError, OSError if it was not stored."""
        request, exchange = oscore.open_request(self._context.find, message)
        window = self._context.window
        if self._memory is not None and window is not None:
            self._memory.keep_peer(self._context.recipient_id, window)
        return request, exchange

    def seal_response(self, binding: "Exchange", message: "Message") -> "Message":
        """Return what travels; raises as `seal_request`."""
        self._prepare()
        binding.context = self._context
        return oscore.seal_response(binding, message)

    def _prepare(self) -> None:
        """See to it that the next sender sequence number may be used."""
        context, memory = self._context, self._memory
        if memory is None:
            return
        try:
            if context.sequence == context.reserved:
                limit = context.reservation_due()
                if limit is not None:
                    memory.reserve(limit)
                    context.reserve(limit)
            memory.used(context.sequence + 1)
        except OSError as error:
            raise OscoreSequenceError("sequence number %d could not be stored: %s" % (context.sequence, error))

    def _replace(self, context: "Context") -> None:
        """Go on under `context`, whose sender key is the one there was: what is reserved is so still."""
        context.reserve(self._context.reserved)
        self._context.reserved = 0  # that one seals nothing more
        self._context = context
        self._peers += 1
