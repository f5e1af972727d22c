"""The look at a datagram before any key is used: is it the outside of a request that OSCORE may open?

Theory of operation. Everyone can send here, so this costs as little as it can and allocates nothing that stays. What a
request of a device may look like on the outside is narrow: CoAP version 1, CON or NON, POST or FETCH (RFC 8613, 4.2), a
token of 0 to 8 bytes, one OSCORE option with Partial IV and kid, ciphertext. The usual form has no other option and
is read here byte by byte; anything else that is well-formed CoAP goes through `pave_wire`, with the same result.
"""

from pave_wire import limits
from pave_wire.ccm import TAG_BYTES
from pave_wire.coap import EMPTY, FETCH, OSCORE, POST, Message, decode
from pave_wire.errors import CoapError, OscoreFormatError
from pave_wire.oscore_options import check_outer, decode_value, oscore_value

TOO_SHORT = "too_short"
TOO_LONG = "too_long"
VERSION = "version"
TOKEN_LENGTH = "token_length"
CODE = "code"
MALFORMED = "malformed"
NOT_OSCORE = "not_oscore"

_SEALED_MIN = 1 + TAG_BYTES  # a code and the tag
_HEADER = 4
_ALONE = OSCORE << 4  # the first byte of an OSCORE option with none before it
_KID_ALONE = 0x08  # flags (RFC 8613, 6.1): a kid, no kid context; the three bits below are the Partial IV's length
_PAYLOAD = 0xFF


class Unacceptable(Exception):  # noqa: N818 - a verdict on what others sent, not a defect
    """Not the outside of such a request; `reason` is one of the names above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Outside = tuple[bytes, bytes, bytes | None, bytes]
"""Partial IV, kid, kid context, ciphertext."""


def header(data: bytes) -> tuple[int, int, int]:
    """Return (type, code, message ID) of a datagram.

    Raises:
        Unacceptable: its length, version or token length cannot be.
    """
    size = len(data)
    if size < _HEADER:
        raise Unacceptable(TOO_SHORT)
    if size > limits.DATAGRAM_BYTES:
        raise Unacceptable(TOO_LONG)
    first = data[0]
    if first >> 6 != 1:
        raise Unacceptable(VERSION)
    if first & 0x0F > limits.COAP_TOKEN_BYTES:
        raise Unacceptable(TOKEN_LENGTH)
    return first >> 4 & 3, data[1], data[2] << 8 | data[3]


def outside(data: bytes) -> Outside:
    """Return what opens a request, from a datagram that `header` accepted.

    Raises:
        Unacceptable: not a request, without OSCORE, or malformed.
    """
    code = data[1]
    if code not in (POST, FETCH):
        raise Unacceptable(NOT_OSCORE if EMPTY < code < 0x20 else CODE)
    at = _HEADER + (data[0] & 0x0F)
    size = len(data)
    if size > at + 2:
        length = data[at] - _ALONE
        end = at + 1 + length
        if 0 < length < 13 and end + _SEALED_MIN < size and data[end] == _PAYLOAD:
            flags = data[at + 1]
            piv_end = at + 2 + (flags & 7)
            if flags & 0xF8 == _KID_ALONE and at + 2 < piv_end <= end and flags & 7 < 6:
                piv = data[at + 2 : piv_end]
                if piv[0] or len(piv) == 1:
                    return piv, data[piv_end:end], None, data[end + 1 :]
    return _unusual(data)


def token(data: bytes) -> bytes:
    """Return the token of a datagram that `header` accepted."""
    return data[_HEADER : _HEADER + (data[0] & 0x0F)]


def opaque(data: bytes) -> Message:
    """Return a message with the header and token of `data` and nothing else, to hold what was inside."""
    return Message(data[0] >> 4 & 3, data[1], data[2] << 8 | data[3], token(data))


def _unusual(data: bytes) -> Outside:
    try:
        message = decode(data)
        if message.option(OSCORE) is None:
            raise Unacceptable(NOT_OSCORE)
        check_outer(message.options)
        piv, kid, kid_context = decode_value(oscore_value(message.options))
    except (CoapError, OscoreFormatError):
        raise Unacceptable(MALFORMED) from None
    if not piv or kid is None or len(message.payload) < _SEALED_MIN:
        raise Unacceptable(MALFORMED)
    return piv, kid, kid_context, message.payload
