"""How answers travel: on the ACK of their request, or as messages of their own; sealed, if the request was.

Theory of operation. An answer that is ready before EMPTY_ACK_MS rides on the ACK (RFC 7252, 5.2.1). One that is late is
a confirmable message under an ID of ours, repeated by the message layer until its ACK (5.2.2). To a NON goes a NON.

Three kinds of answer are sealed differently (RFC 8613, 8.3; see `pave_wire.oscore` for what keeps nonces apart):

    what                                 nonce                     kid    costs
    -----------------------------------  ------------------------  -----  --------------------------------------
    the 2.04 of a report, all of it new  the request's: once       -      nothing; 13 bytes and a token
    any other answer                     one of ours, reserved     ours   a sender sequence number, 8 to 13 bytes
    a notification                       one of ours, reserved     -      a sender sequence number, 1 to 5 bytes

The first is nearly all there is, so its bytes are put together here without a message object; a test holds them against
`pave_wire`'s.

The kid is for a device that knows another ID of its gateway (`core.keys`): it opens nothing that does not name us, and
never hears the first kind. But it then sends its readings again, under a new Partial IV, and what is in the log already
was not heard: so the answer to a report with such a reading is of the second kind, and the device follows.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pave_gateway.core import limits
from pave_gateway.ingress.coap_counters import CoapCounters
from pave_gateway.ingress.coap_exchanges import Address, Incoming
from pave_wire import oscore
from pave_wire.coap import ACK, CHANGED, EMPTY, Message, encode
from pave_wire.coap_message import MessageLayer, Transmission
from pave_wire.errors import CoapError, OscoreSequenceError

if TYPE_CHECKING:
    from pave_wire.oscore import Exchange

_BARE = bytes((CHANGED,))  # the plaintext of an answer without options and payload
_SEALED = b"\x90\xff"  # an empty OSCORE option (9 << 4 | 0), and the marker of what is sealed
_UNSENDABLE = (OscoreSequenceError, CoapError)  # no number is reserved; too long, or too many are on their way
_ACK_HEAD = tuple(bytes((0x60 | size, CHANGED)) for size in range(9))  # by the length of the token


class Outbox:
    """Everything that is to be sent."""

    def __init__(self, random_below: Callable[[int], int], wake: Callable[[], None], counters: CoapCounters) -> None:
        """`wake` is called when there is something to send; as often as it likes before `datagrams_to_send`."""
        self.layer = MessageLayer(
            random_below,
            transmissions=limits.COAP_TRANSMISSIONS,
            remembered=1,  # `coap_exchanges` does that, for what is authentic
        )
        self._wake = wake
        self._counters = counters
        self._outgoing: list[tuple[bytes, Address]] = []

    def datagrams_to_send(self, now_ms: int) -> list[tuple[bytes, Address]]:
        """Return and forget what is to be sent now."""
        outgoing, self._outgoing = self._outgoing, []
        outgoing.extend(self.layer.datagrams_to_send(now_ms))
        return outgoing

    def repeat(self, request: Incoming) -> None:
        """Send a retransmission its reply again, unless there is none or it was sent often enough."""
        self._counters.retransmissions += 1
        if request.reply is not None and request.resends > 0:
            request.resends -= 1
            self._put(request.reply, request.address)

    def acknowledge(self, request: Incoming) -> None:
        """Send the empty ACK of a request whose answer is late, or that gets none."""
        if not request.acknowledged:
            request.acknowledged = True
            self._counters.empty_acks += 1
            request.reply = encode(Message(ACK, EMPTY, request.key[1]))
            self._put(request.reply, request.address)

    def accept(self, request: Incoming) -> None:
        """Answer a report with the bare 2.04, sealed with its own nonce if that is to be had."""
        exchange = request.exchange
        if request.acknowledged or (exchange is not None and not exchange.nonce_free):
            self.answer(request, Message(ACK, CHANGED, 0), reuse_nonce=exchange is not None and exchange.nonce_free)
            return
        tail = b"" if exchange is None else _SEALED + oscore.seal_once(exchange, _BARE)
        size = len(request.token)
        request.reply = reply = _ACK_HEAD[size] + request.data[2 : 4 + size] + tail
        request.exchange = None  # the reply is remembered for minutes, and of this nothing is left to use
        self._outgoing.append((reply, request.address))
        self._wake()

    def answer(self, request: Incoming, message: Message, reuse_nonce: bool = False) -> Transmission | None:
        """Answer `request`, once, with the code, options and payload of `message`; return what repeats it, if any does.

        `reuse_nonce` is `oscore.seal_response`'s. What cannot be sent is counted: its client asks again.
        """
        message.token = request.token
        message.type = request.kind
        if request.acknowledged:
            return self.send(request.exchange, message, request.address, reuse_nonce, not reuse_nonce)
        message.type = ACK
        message.mid = request.key[1]
        try:
            request.reply = encode(_sealed(request.exchange, message, reuse_nonce, not reuse_nonce))
        except _UNSENDABLE:
            self._counters.unsent += 1
        else:
            self._put(request.reply, request.address)
        return None

    def send(
        self,
        exchange: "Exchange | None",
        message: Message,
        address: Address,
        reuse_nonce: bool = False,
        name_sender: bool = False,
    ) -> Transmission | None:
        """Send a CON or NON under an ID of ours, sealed as a response of `exchange` if there is one.

        `reuse_nonce` and `name_sender` are `oscore.seal_response`'s.

        Returns what repeats a CON; None for a NON, and for what cannot be sent, which is counted.
        """
        try:
            sent = self.layer.send(_sealed(exchange, message, reuse_nonce, name_sender), address)
        except _UNSENDABLE:
            self._counters.unsent += 1
            return None
        self._wake()
        return sent

    def _put(self, data: bytes, address: Address) -> None:
        self._outgoing.append((data, address))
        self._wake()


def _sealed(exchange: "Exchange | None", message: Message, reuse_nonce: bool, name_sender: bool) -> Message:
    return message if exchange is None else oscore.seal_response(exchange, message, reuse_nonce, name_sender)
