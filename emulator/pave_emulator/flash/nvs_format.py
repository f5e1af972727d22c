"""The bytes of ESP-IDF's non-volatile storage, format version 2.

A page is a sector: a header (state, sequence number, version, CRC), a bitmap with two bits per entry, 126 entries of
32 bytes. An entry is namespace, type, span (entries it takes), chunk, CRC, key, 8 bytes of data. Strings and blobs have
their length and CRC there and go on in the entries that follow.

Source: ESP-IDF Programming Guide, "NVS Internals"; nvs_constants.h and nvs_types.cpp of v5.5.2.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cached_property

from pave_emulator.flash.esp_error import EspError

NOT_INITIALIZED = -0x1101
NOT_FOUND = -0x1102
NOT_ENOUGH_SPACE = -0x1105
KEY_TOO_LONG = -0x1109
INVALID_STATE = -0x110B
INVALID_LENGTH = -0x110C
NO_FREE_PAGES = -0x110D
VALUE_TOO_LONG = -0x110E
NEW_VERSION_FOUND = -0x1110

ENTRY_BYTES = 32
ENTRIES = 126
BITMAP_OFFSET = 32
FIRST_ENTRY_OFFSET = 64
CHUNK_BYTES = (ENTRIES - 1) * ENTRY_BYTES
MAX_KEY_CHARS = 15
VERSION = 0xFE  # counts down: version 1 is 0xFF

PAGE_BLANK, PAGE_ACTIVE, PAGE_FULL, PAGE_FREEING = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8
EMPTY, WRITTEN, ILLEGAL, ERASED = 0b11, 0b10, 0b01, 0b00

INTEGERS = {"u8": 0x01, "i8": 0x11, "u16": 0x02, "i16": 0x12, "u32": 0x04, "i32": 0x14, "u64": 0x08, "i64": 0x18}
TYPE_STRING, TYPE_BLOB_DATA, TYPE_BLOB_INDEX = 0x21, 0x42, 0x48
VARIABLE_LENGTH = (TYPE_STRING, TYPE_BLOB_DATA)
ANY_CHUNK = 0xFF
NAMESPACES = 0  # namespace of the entries that name namespaces


class NvsError(EspError):
    """A refusal of NVS."""


def crc32(data: bytes) -> int:
    """CRC-32 as the ROM computes it with an initial value of 0xFFFFFFFF."""
    return zlib.crc32(data, 0xFFFFFFFF)


@dataclass(frozen=True)
class Item:
    """The first entry of a value. `data` are its 8 bytes; `key` has at most 15 characters."""

    namespace: int
    type: int
    span: int
    chunk: int
    key: str
    data: bytes

    @staticmethod
    def parse(raw: bytes, index: int) -> Item | None:
        """The item in the 32 bytes at `index` of a page; None when CRC or fields are wrong."""
        namespace, kind, span, chunk, crc = struct.unpack_from("<BBBBI", raw)
        if crc != crc32(raw[:4] + raw[8:]):
            return None
        key = raw[8:24].split(b"\0", 1)[0].decode("latin-1")
        item = Item(namespace, kind, span, chunk, key, raw[24:])
        return item if item._is_consistent(index) else None

    def pack(self) -> bytes:
        """Its 32 bytes."""
        head = struct.pack("<BBBB", self.namespace, self.type, self.span, self.chunk)
        tail = self.key.encode("latin-1").ljust(16, b"\0") + self.data
        return head + struct.pack("<I", crc32(head + tail)) + tail

    @cached_property
    def size(self) -> int:
        """Bytes of a string or of a chunk of a blob."""
        return struct.unpack_from("<H", self.data)[0]

    @cached_property
    def data_crc(self) -> int:
        """CRC of those bytes."""
        return struct.unpack_from("<I", self.data, 4)[0]

    @cached_property
    def blob(self) -> tuple[int, int, int]:
        """Of a BLOB_INDEX: bytes in all, number of chunks, number of the first chunk."""
        return struct.unpack_from("<IBB", self.data)

    def _is_consistent(self, index: int) -> bool:
        if self.type in INTEGERS.values():
            return self.span == 1
        if self.type == TYPE_BLOB_INDEX:
            return self.span == 1 and self.chunk == ANY_CHUNK and self.blob[0] <= 127 * CHUNK_BYTES
        if self.type not in VARIABLE_LENGTH or (self.type == TYPE_BLOB_DATA and self.chunk == ANY_CHUNK):
            return False
        return self.span == entries_for(self.size) and index + self.span <= ENTRIES


def entries_for(size: int) -> int:
    """Entries a string or chunk of `size` bytes takes, its first one included."""
    return 1 + -(-size // ENTRY_BYTES)


def variable_data(payload: bytes) -> bytes:
    """The 8 bytes of the first entry of a string or chunk."""
    return struct.pack("<H2sI", len(payload), b"\xff\xff", crc32(payload))


def page_header(sequence: int) -> bytes:
    """The 32 bytes that make a blank page active."""
    body = struct.pack("<IB19s", sequence, VERSION, b"\xff" * 19)
    return struct.pack("<I", PAGE_ACTIVE) + body + struct.pack("<I", crc32(body))
