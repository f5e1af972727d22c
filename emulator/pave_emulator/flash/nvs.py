"""ESP-IDF's non-volatile storage in a partition of the flash image: namespaces, integers, strings, blobs.

Theory of operation (nvs_storage.cpp of ESP-IDF v5.5.2). A new value is written before the one it replaces is erased. A
blob is chunks (BLOB_DATA) and an index that says how many, written last, so that a blob changes at one instant; the
chunks of two versions are numbered from 0 and from 0x80. Loading erases an index whose chunks are not all there, and
chunks without an index. When a blob finds no space, ESP-IDF erases chunks 0, 1... in the pages it had got to, even
where it was writing from 0x80: a blob that is there can be lost to one that does not fit. So it is here.

`initialised` does what MicroPython does at every boot. Not modelled: encryption, and pages of format version 1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from pave_emulator.flash.esp_error import FAIL
from pave_emulator.flash.image import Flash, FlashError
from pave_emulator.flash.nvs_format import (
    ANY_CHUNK,
    CHUNK_BYTES,
    ENTRY_BYTES,
    INTEGERS,
    INVALID_LENGTH,
    KEY_TOO_LONG,
    MAX_KEY_CHARS,
    NAMESPACES,
    NEW_VERSION_FOUND,
    NO_FREE_PAGES,
    NOT_ENOUGH_SPACE,
    NOT_FOUND,
    TYPE_BLOB_DATA,
    TYPE_BLOB_INDEX,
    TYPE_STRING,
    VALUE_TOO_LONG,
    Item,
    NvsError,
    entries_for,
    variable_data,
)
from pave_emulator.flash.nvs_page import Page
from pave_emulator.flash.nvs_pages import Pages
from pave_emulator.flash.partitions import Partition

SECOND_VERSION = 0x80
MAX_CHUNKS = 0x7F
MAX_NAMESPACES = 254


class Nvs:
    """The store in one partition. Keys and namespaces have at most 15 characters. Errors are NvsError."""

    def __init__(self, flash: Flash, offset: int, size: int) -> None:
        self._pages = Pages(flash, offset, size)
        self._drop_broken_blobs()

    def namespace(self, name: str) -> int:
        """Index of a namespace, made when it is new."""
        found = self._pages.find(NAMESPACES, INTEGERS["u8"], name[:MAX_KEY_CHARS], ANY_CHUNK)
        if found:
            return found[2].data[0]
        used = {item.data[0] for _page, _index, item in self._pages.items() if item.namespace == NAMESPACES}
        index = next((i for i in range(1, MAX_NAMESPACES + 1) if i not in used), None)
        if index is None:
            raise NvsError(NOT_ENOUGH_SPACE, f"namespace {name!r}: there are {MAX_NAMESPACES} already")
        self.set_integer(NAMESPACES, name, "u8", index)
        return index

    def set_integer(self, namespace: int, key: str, kind: str, value: int) -> None:
        """Store an integer of kind u8, i8 ... i64; nothing is written when it is there already."""
        size = (INTEGERS[kind] & 0x0F) * 8
        low, high = (-(1 << size - 1), 1 << size - 1) if kind[0] == "i" else (0, 1 << size)
        if not low <= value < high:
            raise ValueError(f"{value} is no {kind}")
        data = value.to_bytes(size // 8, "little", signed=kind[0] == "i").ljust(8, b"\xff")
        self._set(Item(namespace, INTEGERS[kind], 1, ANY_CHUNK, _checked(key), data), b"")

    def get_integer(self, namespace: int, key: str, kind: str) -> int:
        """The integer stored under a key as this very kind."""
        _page, _index, item = self._get(namespace, INTEGERS[kind], key, kind)
        return int.from_bytes(item.data[: item.type & 0x0F], "little", signed=kind[0] == "i")

    def set_i32(self, namespace: int, key: str, value: int) -> None:
        """Store a signed 32-bit integer."""
        self.set_integer(namespace, key, "i32", value)

    def get_i32(self, namespace: int, key: str) -> int:
        """The signed 32-bit integer stored under a key."""
        return self.get_integer(namespace, key, "i32")

    def set_string(self, namespace: int, key: str, value: str) -> None:
        """Store a text; with its final zero it has to fit one page (4,000 bytes)."""
        payload = value.encode() + b"\0"
        if len(payload) > CHUNK_BYTES:
            raise NvsError(VALUE_TOO_LONG, f"string {key!r} of {len(payload)} bytes")
        span = entries_for(len(payload))
        self._set(Item(namespace, TYPE_STRING, span, ANY_CHUNK, _checked(key), variable_data(payload)), payload)

    def get_string(self, namespace: int, key: str) -> str:
        """The text stored under a key."""
        page, index, item = self._get(namespace, TYPE_STRING, key, "string")
        return page.payload(index, item)[:-1].decode()

    def set_blob(self, namespace: int, key: str, value: bytes) -> None:
        """Store bytes, in chunks where they do not fit one page; nothing is written when they are there already."""
        old = self._pages.find(namespace, TYPE_BLOB_INDEX, _checked(key), ANY_CHUNK)
        start = 0
        if old:
            if self._blob_is(old[2], value):
                return
            start = 0 if old[2].blob[2] == SECOND_VERSION else SECOND_VERSION
        other = None if old else self._pages.find(namespace, None, key, ANY_CHUNK)
        self._write_blob(namespace, key, value, start)
        if old:
            self._erase_blob(old[2])
        elif other:
            self._erase_again(other)

    def get_blob(self, namespace: int, key: str, room_bytes: int) -> bytes:
        """The bytes stored under a key. Raise INVALID_LENGTH when they are more than `room_bytes`."""
        _page, _index, item = self._get(namespace, TYPE_BLOB_INDEX, key, "blob")
        if item.blob[0] > room_bytes:
            raise NvsError(INVALID_LENGTH, f"blob {key!r} has {item.blob[0]} bytes, there is room for {room_bytes}")
        parts = [page.payload(index, chunk) for page, index, chunk in self._chunks(item)]
        if len(parts) != item.blob[1]:
            raise NvsError(FAIL, f"blob {key!r} has lost a chunk: ESP-IDF aborts here")
        return b"".join(parts)

    def erase_key(self, namespace: int, key: str) -> None:
        """Forget a key of any type."""
        page, index, item = self._get(namespace, None, key, "key")
        if item.type == TYPE_BLOB_INDEX:
            self._erase_blob(item)
        else:
            page.erase_item(index)

    # Values

    def _get(self, namespace: int, kind: int | None, key: str, what: str) -> tuple[Page, int, Item]:
        found = self._pages.find(namespace, kind, key[:MAX_KEY_CHARS], ANY_CHUNK)
        if found is None:
            raise NvsError(NOT_FOUND, f"no {what} {key!r} in namespace {namespace}")
        return found

    def _set(self, item: Item, payload: bytes) -> None:
        """Write an integer or a string, then erase what it replaces, whatever its type."""
        old = self._pages.find(item.namespace, item.type, item.key, ANY_CHUNK)
        if old and old[2].data == item.data and (not payload or old[0].holds(old[1], item, payload)):
            return
        old = old or self._pages.find(item.namespace, None, item.key, ANY_CHUNK)
        if not self._pages.current.fits(item.span):
            self._pages.turn()
            if not self._pages.current.fits(item.span):
                raise NvsError(NOT_ENOUGH_SPACE, f"no page has {item.span} entries left for {item.key!r}")
        self._pages.current.write(item, payload)
        if old and old[2].type == TYPE_BLOB_INDEX:
            self._erase_blob(old[2])
        elif old:
            self._erase_again(old)

    def _erase_again(self, old: tuple[Page, int, Item]) -> None:
        """Erase a value found before a write, which may have moved it to another page."""
        item = old[2]
        found = self._pages.find(item.namespace, item.type, item.key, item.chunk)
        if found:
            found[0].erase_item(found[1])

    # Blobs

    def _chunks(self, index: Item) -> list[tuple[Page, int, Item]]:
        _size, count, start = index.blob
        numbers = range(start, start + count)
        found = (self._pages.find(index.namespace, TYPE_BLOB_DATA, index.key, number) for number in numbers)
        return [chunk for chunk in found if chunk]

    def _blob_is(self, index: Item, value: bytes) -> bool:
        chunks = self._chunks(index)
        if index.blob[0] != len(value) or sum(chunk.size for _page, _at, chunk in chunks) != len(value):
            return False
        offset = 0
        for page, at, chunk in chunks:
            if not page.holds(at, chunk, value[offset : offset + chunk.size]):
                return False
            offset += chunk.size
        return True

    def _write_blob(self, namespace: int, key: str, value: bytes, start: int) -> None:
        if len(value) > min(self._pages.count - 1, MAX_CHUNKS) * CHUNK_BYTES:
            raise NvsError(VALUE_TOO_LONG, f"blob {key!r} of {len(value)} bytes")
        while (room := self._pages.current.room_bytes) < CHUNK_BYTES // 10 and (room < len(value) or not room):
            self._pages.turn()
            if self._pages.current.room_bytes == room:
                raise NvsError(NOT_ENOUGH_SPACE, f"no room for blob {key!r}")
        written: list[Page] = []
        try:
            self._write_chunks(namespace, key, value, start, written)
        except NvsError:
            for number, page in enumerate(written):
                found = page.find(namespace, TYPE_BLOB_DATA, key, number)
                if found:
                    page.erase_item(found[0])
            raise

    def _write_chunks(self, namespace: int, key: str, value: bytes, start: int, written: list[Page]) -> None:
        at = 0
        while not written or at < len(value):
            page = self._pages.current
            room = page.room_bytes
            if not room:
                raise NvsError(NOT_ENOUGH_SPACE, f"no room for blob {key!r}")
            part = value[at : at + room]
            at += len(part)
            span, chunk = entries_for(len(part)), start + len(written)
            page.write(Item(namespace, TYPE_BLOB_DATA, span, chunk, key, variable_data(part)), part)
            written.append(page)
            if at < len(value) or room - len(part) < ENTRY_BYTES:
                self._pages.turn()
        data = struct.pack("<IBB2s", len(value), len(written), start, b"\xff\xff")
        self._pages.current.write(Item(namespace, TYPE_BLOB_INDEX, 1, ANY_CHUNK, key, data))

    def _erase_blob(self, index: Item) -> None:
        """The index first: without it the chunks are orphans, which loading erases."""
        found = next((page, at) for page, at, item in self._pages.items() if item == index)
        found[0].erase_item(found[1])
        for page, at, _chunk in self._chunks(index):
            page.erase_item(at)

    def _drop_broken_blobs(self) -> None:
        """Erase each index whose chunks are not all there, then the chunks that no index has."""
        kept: set[tuple[int, int, str, int]] = set()
        for page, at, item in self._pages.items():
            if item.type != TYPE_BLOB_INDEX:
                continue
            size, count, _start = item.blob
            chunks = [chunk for _page, _at, chunk in self._chunks(item)]
            if len(chunks) != count or sum(chunk.size for chunk in chunks) != size:
                page.erase_item(at)
            else:
                kept |= {(c.namespace, c.type, c.key, c.chunk) for c in chunks}
        for page, at, item in self._pages.items():
            if item.type == TYPE_BLOB_DATA and (item.namespace, item.type, item.key, item.chunk) not in kept:
                page.erase_item(at)


def initialised(flash: Flash, partition: Partition, log: Callable[[str], None]) -> Nvs:
    """What MicroPython does at boot (boardctrl_startup in ports/esp32/main.c).

    It erases the partition and starts anew where ESP-IDF finds no free page or a newer format. Raise FlashError for a
    partition marked encrypted, NvsError where even the second attempt fails.
    """
    if partition.encrypted:
        raise FlashError(f"partition {partition.label!r} is encrypted: not modelled (MicroPython builds without it)")
    try:
        return Nvs(flash, partition.offset, partition.size)
    except NvsError as error:
        if error.status not in (NO_FREE_PAGES, NEW_VERSION_FOUND):
            raise
        log(f"nvs: {error}; MicroPython erases the partition")
    flash.erase(partition.offset, partition.size)
    return Nvs(flash, partition.offset, partition.size)


def _checked(key: str) -> str:
    if len(key) > MAX_KEY_CHARS:
        raise NvsError(KEY_TOO_LONG, f"{key!r} has {len(key)} characters, at most {MAX_KEY_CHARS} fit")
    return key
