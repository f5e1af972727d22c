"""Options under OSCORE (RFC 8613): which are sealed and which stay outside (4.1), and its own option's value (6.1)."""

from pave_wire import limits
from pave_wire.coap import (
    ACCEPT,
    BLOCK1,
    BLOCK2,
    OBSERVE,
    OSCORE,
    PROXY_SCHEME,
    PROXY_URI,
    URI_HOST,
    URI_PATH,
    URI_PORT,
    URI_QUERY,
    ordered,
)
from pave_wire.errors import OscoreFormatError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.coap import Options

    OptionList = list[tuple[int, bytes]]

# Class U alone (RFC 8613, figure 5). Every other option is sealed, those without a name here too. Of the options that
# figure 5 puts in both classes, only Observe is ever written outside; Max-Age, No-Response and Block are sealed.
_OUTSIDE = (URI_HOST, URI_PORT, OSCORE, PROXY_URI, PROXY_SCHEME)

# The critical options of RFC 7252 (1 is If-Match, 5 If-None-Match) and RFC 7959, and the most bytes each may have
_CRITICAL = {
    1: 8,
    URI_HOST: 255,
    5: 0,
    URI_PORT: 2,
    OSCORE: 255,
    URI_PATH: 255,
    URI_QUERY: 255,
    ACCEPT: 2,
    BLOCK2: 3,
    BLOCK1: 3,
}

_KID = 0x08
_KID_CONTEXT = 0x10


def encode_value(piv: bytes, kid: bytes | None = None, kid_context: bytes | None = None) -> bytes:
    """Return the value of the OSCORE option: b"" if it has nothing to say. `piv` is b"" for none."""
    if kid is None:
        return bytes((len(piv),)) + piv if piv else b""
    if kid_context is None:
        return bytes((_KID | len(piv),)) + piv + kid
    return bytes((_KID | _KID_CONTEXT | len(piv),)) + piv + bytes((len(kid_context),)) + kid_context + kid


def decode_value(value: bytes) -> tuple[bytes, bytes | None, bytes | None]:
    """Return (Partial IV or b"", kid or None, kid context or None) from the value of the OSCORE option.

    Raises:
        OscoreFormatError: a reserved flag or length, truncated, bytes left over, or a Partial IV with leading zeros.
    """
    if not value:
        return b"", None, None
    flags = value[0]
    at = 1 + (flags & 7)
    piv = value[1:at]
    kid = kid_context = None
    if not flags or flags & 0xE0 or len(piv) != flags & 7 or len(piv) > 5:
        raise OscoreFormatError("OSCORE option: flags 0x%02x in %d bytes" % (flags, len(value)))
    if len(piv) > 1 and not piv[0]:
        raise OscoreFormatError("Partial IV with leading zeros")
    if flags & _KID_CONTEXT:
        end = at + 1 + value[at] if at < len(value) else at
        kid_context = value[at + 1 : end]
        if not at < end <= len(value) or len(kid_context) > limits.OSCORE_ID_CONTEXT_BYTES:
            raise OscoreFormatError("kid context truncated, or beyond %d bytes" % limits.OSCORE_ID_CONTEXT_BYTES)
        at = end
    if flags & _KID:
        kid = value[at:]
    elif at < len(value):
        raise OscoreFormatError("OSCORE option: %d bytes left over" % (len(value) - at))
    return piv, kid, kid_context


def seal_options(options: "Options", response: bool) -> "tuple[OptionList, OptionList]":
    """Return the (outer, inner) options of a message to be sealed, each ascending; the OSCORE option is not in yet.

    Raises:
        OscoreFormatError: the message is an OSCORE message already, or its path would travel in a Proxy-Uri.
    """
    outer: OptionList = []
    inner: OptionList = []
    for number, value in options:
        if number == OBSERVE:  # the inner value of a notification is empty (RFC 8613, 4.1.3.5.2)
            outer.append((number, value))
            inner.append((number, b"" if response else value))
        elif number not in _OUTSIDE:
            inner.append((number, value))
        elif number == OSCORE:
            raise OscoreFormatError("an OSCORE message is not sealed again")
        elif number == PROXY_URI:
            raise OscoreFormatError("Proxy-Uri; use Proxy-Scheme, Uri-Host and Uri-Path")
        else:
            outer.append((number, value))
    return outer, inner


def oscore_value(options: "Options") -> bytes:
    """Return the value of the OSCORE option of an OSCORE message.

    Raises:
        OscoreFormatError: no OSCORE option, or two.
    """
    found = [value for number, value in options if number == OSCORE]
    if len(found) != 1:
        raise OscoreFormatError("%d OSCORE options" % len(found))
    return found[0]


def check_outer(options: "Options") -> None:
    """Refuse a request for what stands unprotected around it: anyone on the path may have added that.

    All outer options but OSCORE's are dropped afterwards, so that none has a say in what is done or answered. Those
    refused here are the critical ones a server must not overlook: for a proxy, unknown, malformed, or one too many.

    Raises:
        OscoreFormatError: refused. An error response would be authentic, and use up the genuine request.
    """
    last = None
    for number, value in options:
        wrong = len(value) > _CRITICAL.get(number, -1) or (number == URI_HOST and not value)
        if number & 1 and (wrong or (number == last and number in (URI_HOST, URI_PORT))):
            raise OscoreFormatError("option %d of %d bytes outside" % (number, len(value)))
        last = number


def check_inner(options: "Options") -> None:
    """Raise `OscoreFormatError` if a sealed message holds an option that belongs outside."""
    for number, _ in options:
        if number in _OUTSIDE:
            raise OscoreFormatError("option %d inside an OSCORE message" % number)


def joined(one: "OptionList", other: "OptionList") -> "OptionList":
    """Return the options of two ascending lists as one ascending list."""
    return ordered(one + other) if other else one
