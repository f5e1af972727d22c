"""ESP-IDF's non-volatile storage: namespaces, integers and blobs in the `nvs` partition of a flash image.

Integers sit in an entry of the log. Blobs are chunks (BLOB_DATA) and one BLOB_INDEX that says how many; the index is
written last, so that a blob changes at one instant. Errors carry the esp_err_t the firmware will see.
"""

from __future__ import annotations

import struct

from pave_emulator.flash.image import Flash
from pave_emulator.flash.nvs_log import (
    ENTRIES,
    ENTRY_BYTES,
    TYPE_BLOB_DATA,
    TYPE_BLOB_INDEX,
    Entry,
    NvsError,
    NvsLog,
    crc32,
)

NOT_FOUND = -0x1102
INVALID_NAME = -0x1106
KEY_TOO_LONG = -0x1109
INVALID_LENGTH = -0x110C
VALUE_TOO_LONG = -0x110E

TYPE_U8, TYPE_I32 = 0x01, 0x14
MAX_KEY_CHARS = 15
MAX_NAMESPACES = 254
ANY_CHUNK = 0xFF
CHUNK_BYTES = (ENTRIES - 1) * ENTRY_BYTES
SECOND_VERSION = 0x80  # chunk numbers alternate between 0.. and 0x80.., so old and new chunks never mix
MAX_CHUNKS = 0x7F


class Nvs:
    """The store in one partition. Errors are NvsError; keys and namespaces have at most 15 characters."""

    def __init__(self, flash: Flash, offset: int, size: int) -> None:
        self._log = NvsLog(flash, offset, size)

    def namespace(self, name: str) -> int:
        """Index of a namespace, made when it is new."""
        _check_key(name)
        found = self._log.entries.get((0, 0, name, ANY_CHUNK))
        if found:
            return found.data[0]
        used = {entry.data[0] for entry in self._log.entries.values() if entry.namespace == 0}
        index = next(i for i in range(1, 255) if i not in used)
        self._log.write(0, TYPE_U8, ANY_CHUNK, name, bytes([index]) + b"\xff" * 7)
        return index

    def set_i32(self, namespace: int, key: str, value: int) -> None:
        """Store a signed 32-bit integer; nothing is written when it is there already."""
        _check_key(key)
        data = struct.pack("<i", value) + b"\xff" * 4
        old = self._log.entries.get((namespace, 0, key, ANY_CHUNK))
        if old and old.type == TYPE_I32 and old.data == data:
            return
        self._log.write(namespace, TYPE_I32, ANY_CHUNK, key, data)

    def get_i32(self, namespace: int, key: str) -> int:
        """The integer stored under a key, which must have been stored as i32."""
        found = self._log.entries.get((namespace, 0, key, ANY_CHUNK))
        if found is None or found.type != TYPE_I32:
            raise NvsError(NOT_FOUND, f"no i32 {key!r} in namespace {namespace}")
        return struct.unpack_from("<i", found.data)[0]

    def set_blob(self, namespace: int, key: str, value: bytes) -> None:
        """Store bytes, in chunks where they do not fit one page."""
        _check_key(key)
        old = self._log.entries.get((namespace, TYPE_BLOB_INDEX, key, ANY_CHUNK))
        if old and self._read_chunks(old) == value:
            return
        start = 0 if old and old.data[5] else SECOND_VERSION if old else 0
        count = self._write_chunks(namespace, key, value, start)
        index = struct.pack("<IBB2s", len(value), count, start, b"\xff\xff")
        self._log.write(namespace, TYPE_BLOB_INDEX, ANY_CHUNK, key, index)
        for entry in self._chunks(old) if old else []:
            self._log.erase(entry)

    def get_blob(self, namespace: int, key: str, room_bytes: int) -> bytes:
        """The bytes stored under a key. Raise INVALID_LENGTH when they are more than `room_bytes`."""
        index = self._log.entries.get((namespace, TYPE_BLOB_INDEX, key, ANY_CHUNK))
        if index is None:
            raise NvsError(NOT_FOUND, f"no blob {key!r} in namespace {namespace}")
        size = struct.unpack_from("<I", index.data)[0]
        if size > room_bytes:
            raise NvsError(INVALID_LENGTH, f"blob {key!r} has {size} bytes, there is room for {room_bytes}")
        return self._read_chunks(index)

    def erase_key(self, namespace: int, key: str) -> None:
        """Forget a key of any type."""
        found = [e for e in self._log.entries.values() if e.namespace == namespace and e.key == key]
        if not found:
            raise NvsError(NOT_FOUND, f"no key {key!r} in namespace {namespace}")
        for entry in found:
            self._log.erase(entry)

    def _chunks(self, index: Entry) -> list[Entry]:
        count, start = index.data[4], index.data[5]
        wanted = ((index.namespace, TYPE_BLOB_DATA, index.key, start + i) for i in range(count))
        return [self._log.entries[identity] for identity in wanted if identity in self._log.entries]

    def _read_chunks(self, index: Entry) -> bytes:
        return b"".join(self._log.payload(chunk) for chunk in self._chunks(index))

    def _write_chunks(self, namespace: int, key: str, value: bytes, start: int) -> int:
        if len(value) > MAX_CHUNKS * CHUNK_BYTES:
            raise NvsError(VALUE_TOO_LONG, f"blob {key!r} of {len(value)} bytes")
        sizes = _split(len(value), self._log.room_bytes())
        at = 0
        for number, size in enumerate(sizes):
            part = value[at : at + size]
            data = struct.pack("<H2sI", size, b"\xff\xff", crc32(part))
            self._log.write(namespace, TYPE_BLOB_DATA, start + number, key, data, part)
            at += size
        return len(sizes)


def _check_key(key: str) -> None:
    if not key:
        raise NvsError(INVALID_NAME, "empty key or namespace")
    if len(key) > MAX_KEY_CHARS:
        raise NvsError(KEY_TOO_LONG, f"{key!r} has {len(key)} characters, at most {MAX_KEY_CHARS} fit")


def _split(size: int, room_bytes: int) -> list[int]:
    """Sizes of a blob's chunks: what fits the active page first, then whole pages. An empty blob is one chunk."""
    if size <= room_bytes or size == 0:
        return [size]
    sizes = [room_bytes] if room_bytes >= ENTRY_BYTES else []
    left = size - sum(sizes)
    while left:
        sizes.append(min(left, CHUNK_BYTES))
        left -= sizes[-1]
    return sizes
