"""The log of ESP-IDF's non-volatile storage: pages and entries of format version 2.

Theory of operation (ESP-IDF Programming Guide, "NVS Internals"). The partition is a log of 4 KiB pages. A page has a
header (state, sequence number, version, CRC), a bitmap with two bits per entry (11 empty, 10 written, 00 erased), and
126 entries of 32 bytes: namespace, type, span, chunk index, CRC32, key, 8 bytes of data; longer data follow in whole
entries. A new entry is written before the one it replaces is marked erased. One page is always kept free: when the
others are full, the one with the least live entries is copied into it and erased. After a cut of power the latest
complete entry counts, and a copy that was cut is finished.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from pave_emulator.flash.image import SECTOR_BYTES, Flash

NOT_ENOUGH_SPACE = -0x1105
NO_FREE_PAGES = -0x110D

ENTRY_BYTES = 32
ENTRIES = 126
FIRST_ENTRY_OFFSET = 64
STATE_UNUSED, STATE_ACTIVE, STATE_FULL, STATE_FREEING = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8
VERSION_2 = 0xFE
TYPE_BLOB_DATA, TYPE_BLOB_INDEX = 0x42, 0x48
BLOB_TYPES = (TYPE_BLOB_DATA, TYPE_BLOB_INDEX)


class NvsError(Exception):
    """A refusal of NVS; `status` is the negative esp_err_t."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Entry:
    """An entry that is written and whole."""

    page: int  # index of the sector in the partition
    index: int
    namespace: int
    type: int
    span: int
    chunk: int
    key: str
    data: bytes  # the entry's 8 bytes

    @property
    def identity(self) -> tuple[int, int, str, int]:
        """What a newer entry replaces. Integers of any width share a key."""
        kind = self.type if self.type in BLOB_TYPES else 0
        return self.namespace, kind, self.key, self.chunk


def crc32(data: bytes) -> int:
    """CRC-32 as the ROM computes it with an initial value of 0xFFFFFFFF."""
    return zlib.crc32(data, 0xFFFFFFFF)


class NvsLog:
    """The pages of one partition. `entries` holds the live ones by identity."""

    def __init__(self, flash: Flash, offset: int, size: int) -> None:
        self.entries: dict[tuple[int, int, str, int], Entry] = {}
        self._flash = flash
        self._offset = offset
        self._pages = size // SECTOR_BYTES
        self._sequence: dict[int, int] = {}  # page -> sequence number, for pages in use
        self._active: int | None = None
        self._next_index = 0
        self._load()

    def payload(self, entry: Entry) -> bytes:
        """The data that follow an entry of type BLOB_DATA."""
        size = struct.unpack_from("<H", entry.data)[0]
        return self._flash.read(self._address(entry.page, entry.index + 1), size)

    def room_bytes(self) -> int:
        """Bytes that fit behind an entry in the active page."""
        return max(0, (ENTRIES - self._next_index - 1) * ENTRY_BYTES) if self._active is not None else 0

    def _address(self, page: int, index: int) -> int:
        return self._offset + page * SECTOR_BYTES + FIRST_ENTRY_OFFSET + index * ENTRY_BYTES

    def write(self, namespace: int, kind: int, chunk: int, key: str, data: bytes, payload: bytes = b"") -> None:
        """Add an entry (`data`: its 8 bytes), then mark the one it replaces erased."""
        span = 1 + -(-len(payload) // ENTRY_BYTES)
        if self._active is None or self._next_index + span > ENTRIES:
            self._turn_page()
        older = self.entries.get((namespace, kind if kind in BLOB_TYPES else 0, key, chunk))
        self._append(namespace, kind, span, chunk, key, data, payload)
        if older:
            self.erase(older)

    def _append(self, namespace: int, kind: int, span: int, chunk: int, key: str, data: bytes, payload: bytes) -> None:
        assert self._active is not None
        page, index = self._active, self._next_index
        head = bytes([namespace, kind, span, chunk])
        name = key.encode().ljust(16, b"\0")
        self._flash.program(
            self._address(page, index), head + struct.pack("<I", crc32(head + name + data)) + name + data
        )
        if payload:
            self._flash.program(self._address(page, index + 1), payload)
        for at in range(index, index + span):
            self._mark(page, at, 0b10)
        self._next_index += span
        entry = Entry(page, index, namespace, kind, span, chunk, key, data)
        self.entries[entry.identity] = entry

    def _mark(self, page: int, index: int, bits: int) -> None:
        """Set the two bits of an entry in its page's bitmap, a 32-bit word at a time."""
        address = self._offset + page * SECTOR_BYTES + 32 + index // 16 * 4
        word = struct.unpack("<I", self._flash.read(address, 4))[0]
        shift = index % 16 * 2
        word &= ~(0b11 << shift) | bits << shift
        self._flash.program(address, struct.pack("<I", word))

    def erase(self, entry: Entry) -> None:
        """Mark an entry erased, and forget it unless a newer one has taken its place."""
        if self.entries.get(entry.identity) is entry:
            del self.entries[entry.identity]
        for at in range(entry.index, entry.index + entry.span):
            self._mark(entry.page, at, 0b00)

    # Pages

    def _turn_page(self) -> None:
        """Close the active page and open another; collect garbage when only the reserve page is left."""
        if self._active is not None:
            self._set_state(self._active, STATE_FULL)
        free = [page for page in range(self._pages) if page not in self._sequence]
        if not free:
            raise NvsError(NO_FREE_PAGES, "no free page: erase the partition")
        self._open_page(free[0])
        if len(free) == 1:
            self._collect_into_active()

    def _open_page(self, page: int) -> None:
        address = self._offset + page * SECTOR_BYTES
        if self._flash.read(address, SECTOR_BYTES) != b"\xff" * SECTOR_BYTES:
            self._flash.erase(address)
        sequence = max(self._sequence.values(), default=-1) + 1
        body = struct.pack("<IB19s", sequence, VERSION_2, b"\xff" * 19)
        self._flash.program(address, struct.pack("<I", STATE_ACTIVE) + body + struct.pack("<I", crc32(body)))
        self._sequence[page] = sequence
        self._active, self._next_index = page, 0

    def _collect_into_active(self) -> None:
        """Copy the live entries of the page with the fewest into the active page, then erase it."""
        live: dict[int, list[Entry]] = {page: [] for page in self._sequence if page != self._active}
        for entry in self.entries.values():
            if entry.page in live:
                live[entry.page].append(entry)
        victim = min(live, key=lambda page: (sum(e.span for e in live[page]), self._sequence[page]))
        if sum(entry.span for entry in live[victim]) >= ENTRIES:
            raise NvsError(NOT_ENOUGH_SPACE, "every page is full of live entries")
        self._set_state(victim, STATE_FREEING)
        for entry in sorted(live[victim], key=lambda e: e.index):
            payload = self.payload(entry) if entry.type == TYPE_BLOB_DATA else b""
            self._append(entry.namespace, entry.type, entry.span, entry.chunk, entry.key, entry.data, payload)
        self._flash.erase(self._offset + victim * SECTOR_BYTES)
        del self._sequence[victim]

    def _set_state(self, page: int, state: int) -> None:
        self._flash.program(self._offset + page * SECTOR_BYTES, struct.pack("<I", state))

    # Loading

    def _load(self) -> None:
        states: dict[int, int] = {}
        for page in range(self._pages):
            header = self._flash.read(self._offset + page * SECTOR_BYTES, 32)
            state, sequence = struct.unpack_from("<II", header)
            sound = struct.unpack_from("<I", header, 28)[0] == crc32(header[4:28])
            if sound and state in (STATE_ACTIVE, STATE_FULL, STATE_FREEING):
                states[page] = state
                self._sequence[page] = sequence
        for page in sorted(states, key=self._sequence.__getitem__):
            used = self._load_page(page)
            if states[page] == STATE_ACTIVE:
                self._active, self._next_index = page, used
        self._finish_collection([page for page, state in states.items() if state == STATE_FREEING])

    def _finish_collection(self, freeing: list[int]) -> None:
        """A cut of power stopped the copying: what is not yet in a newer page is copied, then the old page goes."""
        for page in freeing:
            left = [entry for entry in self.entries.values() if entry.page == page]
            if left and self._active is None:
                return  # leave them: read-only until a page can be had; the values are readable
            for entry in sorted(left, key=lambda e: e.index):
                payload = self.payload(entry) if entry.type == TYPE_BLOB_DATA else b""
                self._append(entry.namespace, entry.type, entry.span, entry.chunk, entry.key, entry.data, payload)
            self._flash.erase(self._offset + page * SECTOR_BYTES)
            del self._sequence[page]

    def _load_page(self, page: int) -> int:
        """Take in the written entries of a page; return the index after the last one used."""
        bitmap = int.from_bytes(self._flash.read(self._offset + page * SECTOR_BYTES + 32, 32), "little")
        index = used = 0
        while index < ENTRIES:
            bits = bitmap >> index * 2 & 0b11
            if bits != 0b11:
                used = index + 1
            entry = self._read_entry(page, index) if bits == 0b10 else None
            if entry:
                self._replace(entry)
            index += entry.span if entry else 1
            used = max(used, index) if entry else used
        return used

    def _replace(self, entry: Entry) -> None:
        older = self.entries.get(entry.identity)
        self.entries[entry.identity] = entry
        if older:
            self.erase(older)  # power was cut between writing the new and erasing the old

    def _read_entry(self, page: int, index: int) -> Entry | None:
        raw = self._flash.read(self._address(page, index), ENTRY_BYTES)
        namespace, kind, span, chunk, crc = struct.unpack_from("<BBBBI", raw)
        if crc != crc32(raw[:4] + raw[8:]) or not 1 <= span <= ENTRIES - index:
            return None
        key = raw[8:24].split(b"\0", 1)[0].decode("ascii", "replace")
        return Entry(page, index, namespace, kind, span, chunk, key, raw[24:])
