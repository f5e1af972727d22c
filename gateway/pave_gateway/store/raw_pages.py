"""Reads table rows straight from the pages of an SQLite file and its write-ahead log, when its trees are broken.

A leaf page of a table says what it is and where its rows are (https://sqlite.org/fileformat2.html, 1.6 and 2.1), so
rows can be read without any page above it. To which table a leaf belongs it does not say: the caller tells by the
shape of the rows. Of the write-ahead log, pages are read up to the first frame whose checksum or salt is wrong (4.1 to
4.4); a later frame of a page hides nothing that was before.
"""

import mmap
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

Value = int | float | str | bytes | None
Row = tuple[int, list[Value]]  # rowid, columns; the column that is the rowid is None

_LEAF = 0x0D
_PAGE_1_OFFSET = 100  # the file's header
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_WAL_MAGICS = {0x377F0682: "<", 0x377F0683: ">"}
_WAL_HEADER, _FRAME_HEADER = 32, 24


def rows(
    path: Path, page_bytes: int, columns: int, wanted: Callable[[int], bool] = lambda rowid: True
) -> Iterator[Row]:
    """Yield rows of that many columns and a rowid that is `wanted`, from all leaf pages of the file and its log."""
    source = _Source(path, page_bytes)
    for page in source.pages():
        start = _PAGE_1_OFFSET if page.startswith(b"SQLite format 3\0") else 0
        if page[start] == _LEAF:
            yield from _leaf_rows(source, page, start, columns, wanted)


class _Source:
    """The pages of a file and its write-ahead log."""

    def __init__(self, path: Path, page_bytes: int) -> None:
        wal = path.with_name(path.name + "-wal")
        self.page_bytes = page_bytes
        self._content = _mapped(path)
        self._logged = list(_wal_pages(wal, page_bytes)) if wal.exists() else []
        self._newest = dict(self._logged)

    def pages(self) -> Iterator[bytes]:
        """Yield every state of every page."""
        yield from (page for _, page in self._logged)
        for at in range(0, len(self._content) - self.page_bytes + 1, self.page_bytes):
            yield self._content[at : at + self.page_bytes]

    def page(self, number: int) -> bytes:
        """Return the newest state of a page; b"" if there is none."""
        at = (number - 1) * self.page_bytes
        return self._newest.get(number) or self._content[at : at + self.page_bytes]

    def payload(self, page: bytes, at: int, size: int) -> bytes:
        """Return the payload of a cell: what is on its page and on the overflow pages that follow (1.6)."""
        local = self._local_bytes(size)
        payload = page[at : at + local]
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while len(payload) < size:
            overflow = self.page(following)
            if len(overflow) < self.page_bytes:
                raise ValueError("the chain of overflow pages is broken")
            following = int.from_bytes(overflow[:4], "big")
            payload += overflow[4:]
        return payload[:size]

    def _local_bytes(self, size: int) -> int:
        most, least = self.page_bytes - 35, (self.page_bytes - 12) * 32 // 255 - 23
        if size <= most:
            return size
        local = least + (size - least) % (self.page_bytes - 4)
        return local if local <= most else least


def _mapped(path: Path) -> "mmap.mmap | bytes":
    if not path.exists() or not path.stat().st_size:
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _wal_pages(path: Path, page_bytes: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        header = file.read(_WAL_HEADER)
        order = _WAL_MAGICS.get(int.from_bytes(header[:4], "big"))
        if order is None or int.from_bytes(header[8:12], "big") != page_bytes:
            return
        sums = _checksum(order, (0, 0), header[:24])
        if struct.pack(">2I", *sums) != header[24:32]:
            return
        while len(frame := file.read(_FRAME_HEADER + page_bytes)) == _FRAME_HEADER + page_bytes:
            page = frame[_FRAME_HEADER:]
            sums = _checksum(order, sums, frame[:8] + page)
            if frame[8:16] != header[16:24] or struct.pack(">2I", *sums) != frame[16:24]:
                return
            yield int.from_bytes(frame[:4], "big"), page


def _checksum(order: str, sums: tuple[int, int], data: bytes) -> tuple[int, int]:
    """Continue the checksum of the write-ahead log over `data` (fileformat2, 4.2)."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _leaf_rows(source: _Source, page: bytes, start: int, columns: int, wanted: Callable[[int], bool]) -> Iterator[Row]:
    for number in range(int.from_bytes(page[start + 3 : start + 5], "big")):
        pointer = start + 8 + 2 * number
        try:
            size, at = _varint(page, int.from_bytes(page[pointer : pointer + 2], "big"))
            rowid, at = _varint(page, at)
            values = _record(source.payload(page, at, size), columns) if wanted(rowid) else None
        except (IndexError, ValueError, struct.error):  # no row: the page is damaged here, or it is no leaf at all
            continue
        if values is not None:
            yield rowid, values


def _record(payload: bytes, columns: int) -> list[Value] | None:
    """Return the values of a record (2.1), None if it is one of another table."""
    header_bytes, at = _varint(payload, 0)
    types: list[int] = []
    while at < header_bytes:
        kind, at = _varint(payload, at)
        types.append(kind)
    if len(types) != columns or at != header_bytes:
        return None
    values: list[Value] = []
    for kind in types:
        value, at = _value(payload, at, kind)
        values.append(value)
    return values if at == len(payload) else None


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count in range(9):
        byte = page[at]
        at += 1
        if count == 8:
            return value << 8 | byte, at
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at


def _value(page: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in (0, 8, 9):
        return {0: None, 8: 0, 9: 1}[kind], at
    if kind in _INTEGER_BYTES:
        end = at + _INTEGER_BYTES[kind]
        return int.from_bytes(page[at:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", page, at)[0], at + 8
    if kind < 12:
        raise ValueError(f"serial type {kind}")
    end = at + (kind - 12) // 2
    return (page[at:end].decode() if kind % 2 else page[at:end]), end
