# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (decoded data may be of any type; isinstance narrows it as far as it goes)
"""CBOR (RFC 8949) for small messages: encoder, and a decoder that is safe on bytes from anywhere.

The encoder writes the preferred serialization (RFC 8949, 4.1: shortest heads, shortest float that loses nothing) in
definite lengths, map keys in the order given. The decoder accepts any well-formed encoding of the data model below,
indefinite lengths included, within `limits`; tags and the simple values other than false, true, null and undefined
(read as None) are refused by name.

    int, bytes, str, float, bool, None, list, dict (keys: int or str, each once)
"""

import struct

from pave_wire import limits
from pave_wire.errors import CborError

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any

_BREAK = object()  # the stop code 0xFF, meaningful only inside an indefinite-length item


def dumps(obj: "Any") -> bytes:
    """Return the encoding of `obj` as bytes. Tuples are written as arrays.

    Raises:
        CborError: a type outside the data model, or an integer beyond 64 bits.
    """
    out = bytearray()
    _write(out, obj)
    return bytes(out)


def loads(data: bytes) -> "Any":
    """Return the one value that `data` (bytes) encodes.

    Raises:
        CborError: truncated, trailing bytes, too deep, too many items, duplicate key, or a type outside the data model.
    """
    reader = _Reader(data)
    value = reader.item(0)
    if value is _BREAK:
        raise CborError("break code 0xff outside an indefinite-length item")
    if reader.at != len(data):
        raise CborError("%d bytes after the end of the value" % (len(data) - reader.at))
    return value


def _write_head(out: bytearray, major: int, argument: int) -> None:
    major <<= 5
    if argument < 24:
        out.append(major | argument)
    elif argument <= 0xFF:
        out.append(major | 24)
        out.append(argument)
    elif argument <= 0xFFFF:
        out.append(major | 25)
        out.extend(struct.pack(">H", argument))
    elif argument <= 0xFFFFFFFF:
        out.append(major | 26)
        out.extend(struct.pack(">I", argument))
    elif argument <= 0xFFFFFFFFFFFFFFFF:
        out.append(major | 27)
        out.extend(struct.pack(">Q", argument))
    else:
        raise CborError("integer beyond 64 bits")


def _write(out: bytearray, obj: "Any") -> None:
    if obj is None:
        out.append(0xF6)
    elif isinstance(obj, bool):  # before int: a bool is one
        out.append(0xF5 if obj else 0xF4)
    elif isinstance(obj, int):
        if obj >= 0:
            _write_head(out, 0, obj)
        else:
            _write_head(out, 1, -1 - obj)
    elif isinstance(obj, (bytes, bytearray)):
        _write_head(out, 2, len(obj))
        out.extend(obj)
    elif isinstance(obj, str):
        raw = obj.encode()
        _write_head(out, 3, len(raw))
        out.extend(raw)
    elif isinstance(obj, float):
        _write_float(out, obj)
    elif isinstance(obj, (list, tuple)):
        _write_head(out, 4, len(obj))
        for value in obj:
            _write(out, value)
    elif isinstance(obj, dict):
        _write_head(out, 5, len(obj))
        for key, value in obj.items():
            _write(out, key)
            _write(out, value)
    else:
        raise CborError("cannot encode a value of type %s" % type(obj).__name__)


def _write_float(out: bytearray, value: float) -> None:
    try:
        single = struct.pack(">f", value)
    except OverflowError:  # CPython refuses what does not fit; MicroPython writes infinity
        single = b""
    if not single or (value == value and struct.unpack(">f", single)[0] != value):
        out.append(0xFB)
        out.extend(struct.pack(">d", value))
        return
    half = _to_half(struct.unpack(">I", single)[0])
    if half is None:
        out.append(0xFA)
        out.extend(single)
    else:
        out.append(0xF9)
        out.extend(struct.pack(">H", half))


def _to_half(single: int) -> int | None:
    """Bits of an IEEE 754 binary32 to those of the binary16 of the same value, or None where there is none."""
    sign = single >> 16 & 0x8000
    exponent = single >> 23 & 0xFF
    fraction = single & 0x7FFFFF
    if exponent == 0xFF:
        return 0x7E00 if fraction else sign | 0x7C00
    if 113 <= exponent <= 142:
        return None if fraction & 0x1FFF else sign | exponent - 112 << 10 | fraction >> 13
    if 103 <= exponent < 113:  # a subnormal half: a whole number of 2**-24
        fraction |= 0x800000
        shift = 126 - exponent
        return None if fraction & ((1 << shift) - 1) else sign | fraction >> shift
    return None if single & 0x7FFFFFFF else sign


class _Reader:
    """A cursor over `data`; `at` is the index of the next byte."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items_left = limits.CBOR_ITEMS

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise CborError(
                "truncated: %d bytes needed at offset %d, %d left" % (count, self.at, len(self.data) - self.at)
            )
        piece = self.data[self.at : end]
        self.at = end
        return bytes(piece)

    def argument(self, info: int) -> int:
        if info < 24:
            return info
        if info == 24:
            return self.take(1)[0]
        if info == 25:
            return struct.unpack(">H", self.take(2))[0]
        if info == 26:
            return struct.unpack(">I", self.take(4))[0]
        if info == 27:
            return struct.unpack(">Q", self.take(8))[0]
        raise CborError("reserved additional information %d at offset %d" % (info, self.at - 1))

    def item(self, depth: int) -> "Any":
        if depth > limits.CBOR_DEPTH:
            raise CborError("nested deeper than %d" % limits.CBOR_DEPTH)
        self.items_left -= 1
        if self.items_left < 0:
            raise CborError("more than %d values" % limits.CBOR_ITEMS)
        first = self.take(1)[0]
        major = first >> 5
        info = first & 0x1F
        if major == 7:
            return self.simple(info)
        if info == 31:
            return self.indefinite(major, depth)
        count = self.argument(info)
        if major == 0:
            return count
        if major == 1:
            return -1 - count
        if major == 2:
            return self.take(count)
        if major == 3:
            return self.text(self.take(count))
        if major == 4:
            return self.array(count, depth)
        if major == 5:
            return self.map(count, depth)
        raise CborError("tag %d is not accepted" % count)

    def text(self, raw: bytes) -> str:
        try:
            return str(raw, "utf-8")
        except UnicodeError:
            raise CborError("text is not UTF-8")

    def array(self, count: int | None, depth: int) -> "list[Any]":
        """Read `count` items, or up to the break code when count is None."""
        values: "list[Any]" = []
        while count is None or len(values) < count:
            value = self.item(depth + 1)
            if value is _BREAK:
                if count is None:
                    break
                raise CborError("break code 0xff inside a definite-length array")
            values.append(value)
        return values

    def map(self, count: int | None, depth: int) -> "dict[int | str, Any]":
        """Read `count` pairs, or up to the break code when count is None."""
        pairs: "dict[int | str, Any]" = {}
        while count is None or len(pairs) < count:
            key = self.item(depth + 1)
            if key is _BREAK and count is None:
                break
            if isinstance(key, bool) or not isinstance(key, (int, str)):
                raise CborError("map key is neither an integer nor text")
            if key in pairs:
                raise CborError("duplicate map key %r" % (key,))
            value = self.item(depth + 1)
            if value is _BREAK:
                raise CborError("break code 0xff in place of a map value")
            pairs[key] = value
        return pairs

    def indefinite(self, major: int, depth: int) -> "Any":
        if major == 4:
            return self.array(None, depth)
        if major == 5:
            return self.map(None, depth)
        if major not in (2, 3):
            raise CborError("indefinite length is not defined for major type %d" % major)
        pieces: "list[Any]" = []
        while True:
            head = self.data[self.at] if self.at < len(self.data) else 0xFF
            if head & 0x1F == 31 and head != 0xFF:  # RFC 8949, 3.2.3
                raise CborError("chunk of indefinite length in an indefinite-length string")
            piece = self.item(depth + 1)
            if piece is _BREAK:
                return (b"" if major == 2 else "").join(pieces)
            if not isinstance(piece, bytes if major == 2 else str):
                raise CborError("chunk of another type in an indefinite-length string")
            pieces.append(piece)

    def simple(self, info: int) -> "Any":
        if info == 20:
            return False
        if info == 21:
            return True
        if info in (22, 23):
            return None
        if info == 25:
            return _half(struct.unpack(">H", self.take(2))[0])
        if info == 26:
            return struct.unpack(">f", self.take(4))[0]
        if info == 27:
            return struct.unpack(">d", self.take(8))[0]
        if info == 31:
            return _BREAK
        raise CborError("simple value %d is not accepted" % info)


def _half(bits: int) -> float:
    """IEEE 754 binary16 to float (RFC 8949, Appendix D)."""
    exponent = (bits >> 10) & 0x1F
    mantissa = bits & 0x3FF
    if exponent == 0:
        value = mantissa * 2.0**-24
    elif exponent == 31:
        value = float("nan") if mantissa else float("inf")
    else:
        value = (mantissa + 1024) * 2.0 ** (exponent - 25)
    return -value if bits & 0x8000 else value
