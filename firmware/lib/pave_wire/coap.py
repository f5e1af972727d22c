"""CoAP messages (RFC 7252, section 3): the names of codes and options, and the codec.

What happens to messages is told above it: `coap_message` delivers them, `coap_client` asks, `coap_endpoint` also
answers; `coap_block` and `coap_observe` are parts that an endpoint is given when it needs them.
"""

import struct

from pave_wire import limits
from pave_wire.errors import CoapError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Options = Sequence[tuple[int, bytes]]

CON, NON, ACK, RST = 0, 1, 2, 3

EMPTY = 0x00
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = 1, 2, 3, 4, 5, 6, 7  # the last three: RFC 8132
CREATED, DELETED, VALID, CHANGED, CONTENT = 0x41, 0x42, 0x43, 0x44, 0x45  # 2.01 to 2.05
CONTINUE = 0x5F  # 2.31, RFC 7959
BAD_REQUEST, UNAUTHORIZED, BAD_OPTION, FORBIDDEN, NOT_FOUND, NOT_ALLOWED = 0x80, 0x81, 0x82, 0x83, 0x84, 0x85
INCOMPLETE, CONFLICT, TOO_LARGE, UNSUPPORTED_FORMAT = 0x88, 0x89, 0x8D, 0x8F  # 4.08, 4.09, 4.13, 4.15
SERVICE_UNAVAILABLE, PROXYING_NOT_SUPPORTED = 0xA3, 0xA5  # 5.03, 5.05

# Options by number. An odd number is critical: who does not know the option must not act on the message.
URI_HOST = 3
ETAG = 4
OBSERVE = 6  # RFC 7641
URI_PORT = 7
OSCORE = 9  # RFC 8613
URI_PATH = 11
CONTENT_FORMAT = 12
MAX_AGE = 14
URI_QUERY = 15
ACCEPT = 17
BLOCK2, BLOCK1 = 23, 27  # RFC 7959
SIZE2, SIZE1 = 28, 60
PROXY_URI, PROXY_SCHEME = 35, 39
ECHO, REQUEST_TAG = 252, 292  # RFC 9175
NO_RESPONSE = 258  # RFC 7967


def code_text(code: int) -> str:
    """Return a code as people write it: 0x45 is "2.05"."""
    return "%d.%02d" % (code >> 5, code & 0x1F)


class Message:
    """One CoAP message.

    Attributes:
        type: CON, NON, ACK or RST.
        code: request method or response code, 8 bits (class << 5 | detail).
        mid: message ID, 16 bits.
        token: 0 to 8 bytes.
        options: list of (number, value bytes), ascending by number.
        payload: bytes.
    """

    __slots__ = ("code", "mid", "options", "payload", "token", "type")

    def __init__(
        self,
        type: int,
        code: int,
        mid: int,
        token: bytes = b"",
        options: "Options" = (),
        payload: bytes = b"",
    ) -> None:
        self.type = type
        self.code = code
        self.mid = mid
        self.token = token
        self.options = options
        self.payload = payload

    def option(self, number: int, default: bytes | None = None) -> bytes | None:
        """Return the value (bytes) of the first option with this number."""
        for found, value in self.options:
            if found == number:
                return value
        return default

    @property
    def path(self) -> str:
        """The Uri-Path segments joined by "/", without a leading one.

        Raises:
            CoapError: a segment is not UTF-8, or holds a "/" and so could pass for two.
        """
        segments = [value for number, value in self.options if number == URI_PATH]
        if any(b"/" in segment for segment in segments):
            raise CoapError("Uri-Path %r has a slash inside a segment" % segments)
        try:
            return str(b"/".join(segments), "utf-8")
        except UnicodeError:
            raise CoapError("Uri-Path %r is not UTF-8" % segments)


def ordered(options: "Iterable[tuple[int, bytes]]") -> "list[tuple[int, bytes]]":
    """Return options as `encode` wants them: ascending by number, those of one number in the order given."""
    # The index keeps the order: MicroPython's sort is not stable.
    return [(number, value) for number, _, value in sorted((o[0], i, o[1]) for i, o in enumerate(options))]


def replaced(options: "Options", number: int, *values: bytes) -> "list[tuple[int, bytes]]":
    """Return `options` with those of this number replaced by `values` (none: taken out)."""
    return ordered([option for option in options if option[0] != number] + [(number, value) for value in values])


def encode(message: Message) -> bytes:
    """Return `message` as datagram bytes (RFC 7252, 3).

    Raises:
        CoapError: options that do not ascend, a field out of range, or more bytes than a datagram has.
    """
    token = message.token
    if len(token) > limits.COAP_TOKEN_BYTES or not 0 <= message.mid <= 0xFFFF:
        raise CoapError("token %r, message ID %d; at most 8 bytes and 16 bits" % (token, message.mid))
    out = bytearray(struct.pack(">BBH", 0x40 | message.type << 4 | len(token), message.code, message.mid))
    out.extend(token)
    last = 0
    for number, value in message.options:
        if not last <= number <= 0xFFFF:
            raise CoapError("option %d after %d; options ascend to 65535" % (number, last))
        _write_option(out, number - last, value)
        last = number
    if message.payload:
        out.append(0xFF)
        out.extend(message.payload)
    if len(out) > limits.DATAGRAM_BYTES:
        raise CoapError("message of %d bytes; at most %d" % (len(out), limits.DATAGRAM_BYTES))
    return bytes(out)


def decode(data: bytes) -> Message:
    """Return the `Message` in `data` (bytes, one datagram).

    Raises:
        CoapError: too long, truncated, another version, a reserved length, or too many options.
    """
    if not 4 <= len(data) <= limits.DATAGRAM_BYTES:
        raise CoapError("datagram of %d bytes; 4 to %d" % (len(data), limits.DATAGRAM_BYTES))
    first, code, mid = struct.unpack(">BBH", data[:4])
    if first >> 6 != 1:
        raise CoapError("version %d; only 1 is known" % (first >> 6))
    token_bytes = first & 0x0F
    at = 4 + token_bytes
    if token_bytes > limits.COAP_TOKEN_BYTES or at > len(data):
        raise CoapError("token length %d" % token_bytes)
    if code == EMPTY and len(data) != 4:
        raise CoapError("empty message with %d bytes after its header" % (len(data) - 4))
    options, payload = _read_options(data, at)
    return Message((first >> 4) & 3, code, mid, bytes(data[4 : 4 + token_bytes]), options, payload)


def uint(value: int) -> bytes:
    """Return an integer as a CoAP uint option value: big-endian, no leading zero bytes (RFC 7252, 3.2)."""
    out = b""
    while value:
        out = bytes((value & 0xFF,)) + out
        value >>= 8
    return out


def uint_value(raw: bytes) -> int:
    """Return the integer in a CoAP uint option value; raises CoapError beyond the four bytes any option has."""
    if len(raw) > 4:
        raise CoapError("uint option of %d bytes; at most 4" % len(raw))
    return int.from_bytes(raw, "big")


def _write_option(out: bytearray, delta: int, value: bytes) -> None:
    if len(value) > limits.DATAGRAM_BYTES:  # and so within the two bytes that lengths have
        raise CoapError("option of %d bytes; at most %d" % (len(value), limits.DATAGRAM_BYTES))
    first = len(out)
    out.append(0)
    out[first] = _nibble(out, delta) << 4
    out[first] |= _nibble(out, len(value))
    out.extend(value)


def _nibble(out: bytearray, number: int) -> int:
    """Append the extended form of `number` to `out` and return its four bits (RFC 7252, 3.1)."""
    if number < 13:
        return number
    if number < 269:
        out.append(number - 13)
        return 13
    out.extend(struct.pack(">H", number - 269))
    return 14


def _read_options(data: bytes, at: int) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the options that start at offset `at`, and the payload after them."""
    options: list[tuple[int, bytes]] = []
    number = 0
    while at < len(data):
        if data[at] == 0xFF:
            if at + 1 == len(data):
                raise CoapError("payload marker with no payload")
            return options, bytes(data[at + 1 :])
        nibbles = data[at]
        delta, at = _extended(data, at + 1, nibbles >> 4)
        length, at = _extended(data, at, nibbles & 0x0F)
        number += delta
        if number > 0xFFFF:
            raise CoapError("option number %d; at most 65535" % number)
        if at + length > len(data):
            raise CoapError("option %d of %d bytes runs past the end" % (number, length))
        if len(options) == limits.COAP_OPTIONS:
            raise CoapError("more than %d options" % limits.COAP_OPTIONS)
        options.append((number, bytes(data[at : at + length])))
        at += length
    return options, b""


def _extended(data: bytes, at: int, nibble: int) -> tuple[int, int]:
    """Return the number that an option nibble and its extension at `at` stand for, and the offset after them."""
    if nibble < 13:
        return nibble, at
    size = nibble - 12
    if nibble == 15 or at + size > len(data):
        raise CoapError("reserved or truncated option header at offset %d" % (at - 1))
    if size == 1:
        return 13 + data[at], at + 1
    return 269 + (data[at] << 8 | data[at + 1]), at + 2
