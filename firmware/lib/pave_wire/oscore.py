"""OSCORE (RFC 8613): CoAP messages sealed end to end with AES-CCM-16-64-128, client and server, without I/O.

A message goes in as the application means it and comes out as it travels, and back. Code, payload and all options but
those that a proxy needs are sealed; type, message ID and token pass unchanged, so the message layer works as ever.

    client                                      server
    seal_request(context, message)   -------->  open_request(find, message)
    open_response(exchange, message) <--------  seal_response(exchange, message)

An `Exchange` binds responses to their request: keep it with the token, at both ends, until the last response. Block
options are sealed like any other, so each block is a request of its own with an exchange of its own.

What keeps (key, nonce) from sealing two plaintexts: a request and a response with a Partial IV each take a new number
of the sender; a response without one takes the request's nonce, which an exchange gives out once, to its first
response, if asked; and the replay window gives out one exchange per Partial IV of a request.

The client's end of an exchange accepts responses in ascending order of Partial IV, one without any being the oldest:

    state      response                                next       said to the caller
    ---------  --------------------------------------  ---------  ------------------
    waiting    authentic, no Observe inside            closed     the response
    observing  authentic, newer, Observe inside        observing  the notification, in order
    observing  authentic, newer, no Observe inside     closed     the response: the observation is over
    observing  not newer                               the same   OscoreReplayError
    waiting    Observe inside                          the same   OscoreFormatError
    closed     any                                     closed     OscoreReplayError
    any        not authentic                           the same   OscoreTagError

An error never changes a state: what an attacker sends costs nothing but the time to look at it. RFC 8613, 8.2, allows
unprotected error messages for a refused request; the names of `errors` tell them apart, and silence is allowed too.
"""

from pave_wire import limits
from pave_wire.ccm import TAG_BYTES
from pave_wire.coap import CHANGED, CONTENT, ECHO, FETCH, OBSERVE, OSCORE, POST, Message, decode, encode
from pave_wire.errors import (
    CoapError,
    OscoreContextError,
    OscoreEchoError,
    OscoreFormatError,
    OscoreNonceError,
    OscoreReplayError,
    OscoreTagError,
    TagError,
)
from pave_wire.oscore_options import (
    check_inner,
    check_outer,
    decode_value,
    encode_value,
    joined,
    oscore_value,
    seal_options,
)

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pave_wire.oscore_context import Context
    from pave_wire.oscore_options import OptionList

    Find = Callable[[bytes, bytes | None], Context | None]

_REGISTER = b""  # the Observe option's 0 as a CoAP uint
_LONGEST_PIV = bytes(5)
_ROOM = 96  # header, token, the longest OSCORE option, payload marker and tag together take no more
_OPTION_HEAD = 5  # of one option, at most (RFC 7252, 3.1)
_NOTHING_YET = -2
_NO_PIV = -1
_CLOSED = limits.OSCORE_SEQUENCE_END


class Exchange:
    """A request and its responses, at either end.

    Attributes:
        context: the `Context` it runs under.
        nonce_free: server: a response may still take the request's nonce.
        number: Partial IV; at the server of the request, at the client of the latest response.
        observing: client: the request registered an observation.
    """

    __slots__ = ("aad", "context", "nonce", "nonce_free", "number", "observing")

    def __init__(self, context: "Context", nonce: bytes, aad: bytes, observing: bool) -> None:
        self.context = context
        self.nonce = nonce
        self.aad = aad
        self.observing = observing
        self.nonce_free = True
        self.number = _NOTHING_YET


def seal_request(context: "Context", message: Message) -> tuple[Message, Exchange]:
    """Return the OSCORE message for the request `message` (RFC 8613, 8.1), and the exchange its responses belong to.

    Raises:
        OscoreSequenceError: no sender sequence number is reserved.
        OscoreFormatError: an OSCORE message already, or one with a Proxy-Uri.
        CoapError: more than a datagram, or options that do not ascend.
    """
    outer, plaintext = _split(message, False)
    observe = message.option(OBSERVE)
    code = POST if observe is None else FETCH
    _check_size(message, outer, (_LONGEST_PIV, context.sender_id, context.id_context), plaintext)
    number = context.take_number()
    piv = _piv(number)
    nonce = context.sender_nonce(number)
    aad = context.own_request_aad(piv)
    value = encode_value(piv, context.sender_id, context.id_context)
    sealed = context.seal(nonce, plaintext, aad)
    return _outer(message, code, outer, value, sealed), Exchange(context, nonce, aad, observe == _REGISTER)


def open_request(find: "Find", message: Message) -> tuple[Message, Exchange]:
    """Return the request inside an OSCORE message (RFC 8613, 8.2), and the exchange for its responses.

    The context's `window` has then changed: store it before the request acts or is answered. Nothing that travelled
    outside is in the request: of Uri-Host and Uri-Port, an endpoint of one host has no need.

    Args:
        find: function of kid (bytes) and kid context (bytes or None) that returns their `Context` or None.
        message: a `Message` with a request's code.

    Raises:
        OscoreFormatError, OscoreContextError, OscoreReplayError, OscoreTagError: refused.
        OscoreEchoError: authentic, but the window was lost. Answer by `seal_response(error.exchange, ...)` with a 4.01
            whose one option is Echo with the context's `challenge`.
    """
    check_outer(message.options)
    piv, kid, kid_context = decode_value(oscore_value(message.options))
    if not piv or kid is None:
        raise OscoreFormatError("request without Partial IV or kid")
    context = find(kid, kid_context)
    if context is None or (kid_context is not None and kid_context != context.id_context):
        raise OscoreContextError("no security context for kid %r" % kid)
    plaintext, exchange = unseal_request(context, piv, message.payload)
    return request_inside(message, plaintext, exchange), exchange


def unseal_request(context: "Context", piv: bytes, sealed: bytes) -> tuple[bytes, Exchange]:
    """Return the plaintext of a request under Partial IV `piv`: the first half of `open_request`.

    For a server that has read the OSCORE option itself, knows its peer's `context`, and the plaintext of what it is
    sent most. Every other plaintext goes to `request_inside`, and while the window is lost each of them must.

    Raises:
        OscoreReplayError, OscoreTagError: refused.
    """
    number = int.from_bytes(piv, "big")
    if not context.is_new(number):
        raise OscoreReplayError("Partial IV %d was received before, or is too old to tell" % number)
    nonce = context.recipient_nonce(number)
    aad = context.peer_request_aad(piv)
    plaintext = _opened(context, nonce, sealed, aad)
    exchange = Exchange(context, nonce, aad, False)
    exchange.number = number
    if context.window is None:
        exchange.nonce_free = False  # an earlier life may have sealed a response under it
    else:
        context.accept(number)
    return plaintext, exchange


def request_inside(message: Message, plaintext: bytes, exchange: Exchange) -> Message:
    """Return the request in what `unseal_request` returned for `message`: the second half of `open_request`.

    Raises:
        OscoreFormatError: refused.
        OscoreEchoError: as `open_request`.
    """
    request = _inside(message, plaintext)
    if request.code >> 5 or not request.code:
        raise OscoreFormatError("code %d inside a request" % request.code)
    context = exchange.context
    if context.window is None and not context.accept_fresh(exchange.number, request.option(ECHO)):
        error = OscoreEchoError("replay window lost; ask for Echo")
        error.exchange = exchange
        raise error
    return request


def seal_response(
    exchange: Exchange, message: Message, reuse_nonce: bool = False, name_sender: bool = False
) -> Message:
    """Return the OSCORE message for a response (RFC 8613, 8.3): with a Partial IV of its own, or shorter without.

    Args:
        exchange: what `open_request` returned.
        message: the response, a notification if it has an Observe option.
        reuse_nonce: take the request's nonce. Allowed for the first response while `exchange.nonce_free`.
        name_sender: say in a kid under which ID this is sealed, to a peer that may know another (RFC 8613, 5).

    Raises:
        OscoreNonceError: the request's nonce is not to be had.
        OscoreSequenceError: no sender sequence number is reserved.
        OscoreFormatError: an OSCORE message already.
        CoapError: as for `seal_request`.
    """
    context = exchange.context
    outer, plaintext = _split(message, True)
    kid = context.sender_id if name_sender else None
    _check_size(message, outer, None if reuse_nonce else (_LONGEST_PIV, kid), plaintext)
    if reuse_nonce:
        value = b""
        sealed = seal_once(exchange, plaintext)
    else:
        number = context.take_number()
        value = encode_value(_piv(number), kid)
        exchange.nonce_free = False
        sealed = context.seal(context.sender_nonce(number), plaintext, exchange.aad)
    code = CHANGED if message.option(OBSERVE) is None else CONTENT
    return _outer(message, code, outer, value, sealed)


def seal_once(exchange: Exchange, plaintext: bytes) -> bytes:
    """Return a response's `plaintext` (RFC 8613, 5.3) sealed under the request's nonce: what `seal_response` is for.

    Raises:
        OscoreNonceError: the nonce is not to be had.
    """
    if not exchange.nonce_free:
        raise OscoreNonceError("the request's nonce was used, or may have been; seal with a Partial IV of its own")
    exchange.nonce_free = False
    return exchange.context.seal(exchange.nonce, plaintext, exchange.aad)


def open_response(exchange: Exchange, message: Message) -> Message:
    """Return the response inside an OSCORE message (RFC 8613, 8.4).

    A notification comes with its Observe option set to the low three bytes of its Partial IV (4.1.3.5.2). They come in
    order already: RFC 7641's comparison of Observe values is not needed and, over gaps, would err. Options outside are
    dropped, as anyone may have added them.

    Args:
        exchange: what `seal_request` returned.
        message: a `Message` with a response's code and the exchange's token.

    Raises:
        OscoreFormatError, OscoreContextError, OscoreReplayError, OscoreTagError: refused; the exchange goes on waiting.
    """
    context = exchange.context
    piv, kid, kid_context = decode_value(oscore_value(message.options))
    if kid not in (None, context.recipient_id) or kid_context not in (None, context.id_context):
        raise OscoreContextError("response of kid %r" % kid)
    number = int.from_bytes(piv, "big") if piv else _NO_PIV
    if number <= exchange.number:
        raise OscoreReplayError("response %d after response %d" % (number, exchange.number))
    nonce = context.recipient_nonce(number) if piv else exchange.nonce
    response = _inside(message, _opened(context, nonce, message.payload, exchange.aad))
    if response.code >> 5 not in (2, 4, 5):
        raise OscoreFormatError("code %d inside a response" % response.code)
    if response.option(OBSERVE) is None:
        exchange.number = _CLOSED
        return response
    if not exchange.observing:
        raise OscoreFormatError("notification without an observation")
    exchange.number = number
    order = _piv(number & 0xFFFFFF).lstrip(b"\0") if piv else b""
    response.options = [(key, order if key == OBSERVE else raw) for key, raw in response.options]
    return response


def _piv(number: int) -> bytes:
    return number.to_bytes(5, "big").lstrip(b"\0") or b"\0"


def _split(message: Message, response: bool) -> "tuple[OptionList, bytes]":
    """Return the outer options, and the plaintext (RFC 8613, 5.3): what follows the header, behind the code."""
    outer, inner = seal_options(message.options, response)
    plaintext = bytes((message.code,))
    if inner or message.payload:  # a bare 2.04, the answer to each report, has neither
        plaintext += encode(Message(0, 0, 0, b"", inner, message.payload))[4:]
    return outer, plaintext


def _check_size(message: Message, options: "OptionList", value: "tuple[Any, ...] | None", plaintext: bytes) -> None:
    """Raise CoapError if the message might not be encoded once sealed, before that costs a number or a nonce.

    `value` has the arguments of `encode_value` for the longest OSCORE option there can be, None for an empty one.
    """
    size = _ROOM + len(plaintext)
    for _, option in options:
        size += _OPTION_HEAD + len(option)
    if (
        size > limits.DATAGRAM_BYTES or len(message.token) > limits.COAP_TOKEN_BYTES
    ):  # perhaps: then it is worth encoding
        longest = b"" if value is None else encode_value(*value)
        encode(_outer(message, message.code, options, longest, plaintext + bytes(TAG_BYTES)))


def _outer(message: Message, code: int, options: "OptionList", value: bytes, sealed: bytes) -> Message:
    return Message(message.type, code, message.mid, message.token, joined([(OSCORE, value)], options), sealed)


def _opened(context: "Context", nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    try:
        return context.open(nonce, sealed, aad)
    except TagError:
        raise OscoreTagError("decryption failed")


def _inside(message: Message, plaintext: bytes) -> Message:
    """Return the message that `plaintext` is, with the type, message ID and token that `message` came with."""
    try:
        inner = decode(b"\x40" + plaintext[:1] + b"\0\0" + plaintext[1:])
    except CoapError as error:
        raise OscoreFormatError("plaintext: %s" % error)
    check_inner(inner.options)
    return Message(message.type, inner.code, message.mid, message.token, inner.options, inner.payload)
