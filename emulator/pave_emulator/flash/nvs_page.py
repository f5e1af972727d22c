"""One page of NVS: entries written once, marked erased, and put in order after a cut of power.

Theory of operation (nvs_page.cpp of ESP-IDF v5.5.2). An entry is programmed first and then marked written in the
bitmap; marking it erased is one more bit. When the page is loaded, an entry that is programmed but not marked is given
up, as are one with a wrong CRC, a string or chunk that is not marked whole, and, in the active page, the older of two
entries with the same name. Only the first word of an entry is looked at to see whether it is programmed: an entry cut
so early that this word is still blank is programmed over, and may then be lost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pave_emulator.flash.image import SECTOR_BYTES, Flash
from pave_emulator.flash.nvs_format import (
    BITMAP_OFFSET,
    CHUNK_BYTES,
    EMPTY,
    ENTRIES,
    ENTRY_BYTES,
    ERASED,
    FIRST_ENTRY_OFFSET,
    ILLEGAL,
    NEW_VERSION_FOUND,
    NOT_FOUND,
    PAGE_ACTIVE,
    PAGE_BLANK,
    PAGE_FREEING,
    PAGE_FULL,
    VARIABLE_LENGTH,
    VERSION,
    WRITTEN,
    Item,
    NvsError,
    crc32,
    page_header,
)

CORRUPT = "corrupt"
WORDS = 8  # of the bitmap
ENTRIES_PER_WORD = 16


class Page:
    """The page at `address` of the flash. `state` is one of PAGE_*, or CORRUPT; `sequence` orders the pages in use."""

    def __init__(self, flash: Flash, address: int) -> None:
        self.state: int | str = PAGE_BLANK
        self.sequence = 0
        self.next_free = ENTRIES
        self._flash = flash
        self._address = address
        self._bitmap = [0xFFFFFFFF] * WORDS
        self._items: dict[int, Item] = {}
        self._load()

    @property
    def in_use(self) -> bool:
        """Has a sequence number."""
        return self.state in (PAGE_ACTIVE, PAGE_FULL, PAGE_FREEING)

    @property
    def used(self) -> int:
        """Entries marked written."""
        return sum(self._entry_state(index) == WRITTEN for index in range(ENTRIES))

    @property
    def room_bytes(self) -> int:
        """Bytes of a string or chunk that fit."""
        if self.state == PAGE_BLANK:
            return CHUNK_BYTES
        return max(0, ENTRIES - self.next_free - 1) * ENTRY_BYTES if self.state == PAGE_ACTIVE else 0

    def items(self) -> Iterator[tuple[int, Item]]:
        """Index and item of every value, in the order they were written."""
        yield from list(self._items.items())

    def find(self, namespace: int, kind: int | None, key: str, chunk: int) -> tuple[int, Item] | None:
        """The first item with this name; None for `kind` takes any type."""
        for index, item in self.items():
            same = (item.namespace, item.key, item.chunk) == (namespace, key, chunk)
            if same and kind in (None, item.type):
                return index, item
        return None

    def payload(self, index: int, item: Item) -> bytes:
        """The bytes of a string or chunk. Raise NvsError NOT_FOUND, and give it up, when their CRC is wrong."""
        data = self._flash.read(self._entry_address(index + 1), item.size)
        if crc32(data) != item.data_crc:
            self.erase_item(index)
            raise NvsError(NOT_FOUND, f"the data of {item.key!r} are damaged")
        return data

    def holds(self, index: int, item: Item, payload: bytes) -> bool:
        """The string or chunk at `index` is these bytes."""
        return item.size == len(payload) and self._flash.read(self._entry_address(index + 1), item.size) == payload

    # Writing

    def fits(self, span: int) -> bool:
        """A new item of `span` entries has room."""
        return self.state == PAGE_BLANK or (self.state == PAGE_ACTIVE and self.next_free + span <= ENTRIES)

    def open(self, sequence: int) -> None:
        """Take a blank page into use; the header is written with the first entry."""
        self.sequence = sequence

    def write(self, item: Item, payload: bytes = b"") -> None:
        """Add an item that fits: first entry, whole entries of the payload, the rest of it."""
        if self.state == PAGE_BLANK:
            self._program(self._address, page_header(self.sequence))
            self.state, self.next_free = PAGE_ACTIVE, 0
        index = self.next_free
        self._write_entries(item.pack())
        whole = len(payload) - len(payload) % ENTRY_BYTES
        if whole:
            self._write_entries(payload[:whole])
        if payload[whole:]:
            self._write_entries(payload[whole:].ljust(ENTRY_BYTES, b"\xff"))
        self._items[index] = item

    def _write_entries(self, data: bytes) -> None:
        begin, end = self.next_free, self.next_free + len(data) // ENTRY_BYTES
        self._program(self._entry_address(begin), data)
        self._mark(begin, end, WRITTEN)
        self.next_free = end

    def copy_to(self, other: Page) -> None:
        """Write every item again in another page, an entry at a time."""
        for index, item in self.items():
            if other.state == PAGE_BLANK:
                other._program(other._address, page_header(other.sequence))
                other.state, other.next_free = PAGE_ACTIVE, 0
            other._items[other.next_free] = item
            for at in range(index, index + item.span):
                other._write_entries(self._flash.read(self._entry_address(at), ENTRY_BYTES))

    def erase_item(self, index: int) -> None:
        """Mark an item and its payload erased."""
        item = self._items.pop(index, None)
        span = item.span if item else 1
        self._mark(index, index + span, ERASED)
        self.next_free = max(self.next_free, index + span)

    def set_state(self, state: int) -> None:
        """PAGE_FULL or PAGE_FREEING."""
        self._program(self._address, struct.pack("<I", state))
        self.state = state

    def erase(self) -> None:
        """Make the sector blank."""
        self._flash.erase(self._address)
        self.state, self.next_free = PAGE_BLANK, ENTRIES
        self._bitmap = [0xFFFFFFFF] * WORDS
        self._items.clear()

    def _program(self, address: int, data: bytes) -> None:
        """NVS does not look whether the flash is blank: what cannot be set stays 0, as on the board."""
        old = self._flash.read(address, len(data))
        self._flash.program(address, bytes(new & was for new, was in zip(data, old, strict=True)))

    def _entry_address(self, index: int) -> int:
        return self._address + FIRST_ENTRY_OFFSET + index * ENTRY_BYTES

    def _entry_state(self, index: int) -> int:
        return self._bitmap[index // ENTRIES_PER_WORD] >> index % ENTRIES_PER_WORD * 2 & 0b11

    def _mark(self, begin: int, end: int, state: int) -> None:
        """Set entries' bits, from the last to the first, programming each word of the bitmap once."""
        for word in range((end - 1) // ENTRIES_PER_WORD, begin // ENTRIES_PER_WORD - 1, -1):
            first = word * ENTRIES_PER_WORD
            for index in range(max(begin, first), min(end, first + ENTRIES_PER_WORD)):
                shift = (index - first) * 2
                self._bitmap[word] = self._bitmap[word] & ~(0b11 << shift) | state << shift
            self._program(self._address + BITMAP_OFFSET + word * 4, struct.pack("<I", self._bitmap[word]))

    # Loading

    def _load(self) -> None:
        header = self._flash.read(self._address, BITMAP_OFFSET)
        state, self.sequence, version = struct.unpack_from("<IIB", header)
        if state == PAGE_BLANK:
            blank = self._flash.read(self._address, SECTOR_BYTES) == b"\xff" * SECTOR_BYTES
            self.state = PAGE_BLANK if blank else CORRUPT
            return
        if struct.unpack_from("<I", header, 28)[0] != crc32(header[4:28]):
            self.state = CORRUPT
            return
        if version < VERSION:
            raise NvsError(NEW_VERSION_FOUND, f"page at {self._address:#x} has format version {0x100 - version}")
        self.state = state if state in (PAGE_ACTIVE, PAGE_FULL, PAGE_FREEING) else CORRUPT
        if self.in_use:
            raw = self._flash.read(self._address + BITMAP_OFFSET, WORDS * 4)
            self._bitmap = list(struct.unpack(f"<{WORDS}I", raw))
            self._load_entries()

    def _load_entries(self) -> None:
        if self.state == PAGE_ACTIVE:
            self._find_free()
        index = 0
        while index < self.next_free:
            index += self._load_entry(index)

    def _find_free(self) -> None:
        """The first entry that is not marked; entries programmed and not marked are given up."""
        self.next_free = next((i for i in range(ENTRIES) if self._entry_state(i) == EMPTY), ENTRIES)
        while self.next_free < ENTRIES:
            if self._flash.read(self._entry_address(self.next_free), 4) == b"\xff" * 4:
                return
            self._mark(self.next_free, self.next_free + 1, ERASED)
            self.next_free += 1

    def _load_entry(self, index: int) -> int:
        """Take in the item that begins at `index`, if one does; return how many entries to go on."""
        state = self._entry_state(index)
        if state != WRITTEN:
            if state == ILLEGAL and self.state == PAGE_ACTIVE:
                self.erase_item(index)
            return 1
        item = Item.parse(self._flash.read(self._entry_address(index), ENTRY_BYTES), index)
        if item is None:
            self.erase_item(index)
            return 1
        older = self.find(item.namespace, None, item.key, item.chunk) if self.state == PAGE_ACTIVE else None
        self._items[index] = item
        if item.type in VARIABLE_LENGTH and any(
            self._entry_state(at) != WRITTEN for at in range(index, index + item.span)
        ):
            self.erase_item(index)
        elif older:
            self.erase_item(older[0])
        return item.span
