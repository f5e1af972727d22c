"""CoAP messages (RFC 7252): the names of codes and options, and the codec. The exchanges are in `coap_client`."""

import struct

from pave_wire import limits
from pave_wire.errors import CoapError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from collections.abc import Sequence

    Options = Sequence[tuple[int, bytes]]

CON, NON, ACK, RST = 0, 1, 2, 3

EMPTY = 0x00
GET, POST, PUT, DELETE = 1, 2, 3, 4
CREATED, DELETED, VALID, CHANGED, CONTENT = 0x41, 0x42, 0x43, 0x44, 0x45  # 2.01 to 2.05
BAD_REQUEST = 0x80  # 4.00
SERVICE_UNAVAILABLE = 0xA3  # 5.03

URI_PATH = 11
CONTENT_FORMAT = 12
MAX_AGE = 14


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
        """The Uri-Path segments joined by "/", without a leading one."""
        return "/".join(str(value, "utf-8") for number, value in self.options if number == URI_PATH)


def encode(message: Message) -> bytes:
    """Return `message` as datagram bytes (RFC 7252, 3)."""
    token = message.token
    out = bytearray(struct.pack(">BBH", 0x40 | message.type << 4 | len(token), message.code, message.mid))
    out.extend(token)
    last = 0
    for number, value in message.options:
        _write_option(out, number - last, value)
        last = number
    if message.payload:
        out.append(0xFF)
        out.extend(message.payload)
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
    """Return the integer in a CoAP uint option value."""
    value = 0
    for byte in raw:
        value = value << 8 | byte
    return value


def _write_option(out: bytearray, delta: int, value: bytes) -> None:
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
