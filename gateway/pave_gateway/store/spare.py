"""Spare pages of the journal: `<journal>.spare`, a CBOR map.

An SQLite file is read from its schema: its first page and a few more say which table begins where. When one of them is
damaged all the rest is there, and nobody knows where. So each start keeps a copy of them, and the era, whose loss
would be as bad, for a salvage must begin a later one. `SpareDisk` reads the journal with those pages in their places.

The file also tells a journal whose first page is damaged from one that never was a journal.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import cbor2

from pave_gateway.store import meta, swap
from pave_gateway.store.errors import DamagedError

_log = logging.getLogger(__name__)

_MAGIC = b"SQLite format 3\0"
_OF_SCHEMA = "SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'"


@dataclass(frozen=True, slots=True)
class Spare:
    """What was kept: pages by their number, from 1."""

    era: int
    pages: dict[int, bytes]


def path_of(journal: Path) -> Path:
    """Return where the spare pages of `journal` are kept."""
    return journal.with_name(journal.name + ".spare")


def look_for(journal: Path) -> None:
    """See that a journal which was there once still is.

    Raises:
        DamagedError: it is gone, empty, or does not begin as one.
    """
    swap.adopt_next(journal)
    if load(journal) is not None and not _begins_well(journal):
        raise DamagedError(f"journal {journal}: it has no beginning; what can be read will be salvaged")


def keep(db: Any, journal: Path) -> None:
    """Keep the pages of a sound journal that is open as `db`; say it if that cannot be. Raises apsw.Error.

    It cannot be while the disk is full or fails: the journal is readable all the same, and the next start tries again.
    """
    try:
        pages, moved = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except (apsw.FullError, apsw.IOError) as error:
        _log.warning("journal %s: no spare pages kept (SQLite: %s); free some space, check the disk", journal, error)
        return
    if pages != moved:
        return  # a reader holds up the newest pages; the file may have older ones
    size: int = db.execute("PRAGMA page_size").get
    numbers = [number for (number,) in db.execute(_OF_SCHEMA)]
    era = meta.number(db, "era")
    try:
        with journal.open("rb") as file:
            found = Spare(era, {number: _page(file, number, size) for number in numbers})
        if load(journal) != found:
            _store(found, path_of(journal))
    except OSError as error:
        _log.warning("journal %s: no spare pages kept: %s", journal, error.strerror)


def _store(spare: Spare, path: Path) -> None:
    new = path.with_name(path.name + ".new")
    new.write_bytes(cbor2.dumps({"era": spare.era, "pages": spare.pages}))
    swap.sync(new)
    new.replace(path)


def _begins_well(journal: Path) -> bool:
    try:
        with journal.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except FileNotFoundError:
        return False


def load(journal: Path) -> Spare | None:
    """Return what was kept, None if there is nothing."""
    try:
        kept = cbor2.loads(path_of(journal).read_bytes())
        return Spare(int(kept["era"]), dict(kept["pages"]))
    except (OSError, ValueError, KeyError, TypeError, cbor2.CBORDecodeError):
        return None


def _page(file: Any, number: int, size: int) -> bytes:
    file.seek((number - 1) * size)
    page: bytes = file.read(size)
    if number == 1:  # counters that differ (fileformat2, 1.3.7): so the size that it tells of the file is not believed
        return page[:24] + bytes(4) + page[28:92] + b"\xff" * 4 + page[96:]
    return page


class SpareDisk(apsw.VFS):
    """Reads one journal with its spare pages in their places. Register it by making one; `name` is what to open."""

    def __init__(self, journal: Path, spare: Spare) -> None:
        """Nothing is ever written to `journal`."""
        self.name = f"spare pages of {journal}"
        self._journal = journal
        self._spare = spare
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        """Open a file of SQLite's."""
        is_journal = bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        return _SpareFile(self._spare.pages if is_journal else {}, name, flags)


class _SpareFile(apsw.VFSFile):
    def __init__(self, pages: dict[int, bytes], name: Any, flags: list[int]) -> None:
        self._spare = pages
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        size = len(self._spare.get(1, b"")) or amount
        page = self._spare.get(offset // size + 1)
        within = offset % size
        if page is None or within + amount > size:
            return super().xRead(amount, offset)
        return page[within : within + amount]
