"""The pages of an NVS partition: which is written next, and what a cut of power left to finish.

Theory of operation (nvs_pagemanager.cpp of ESP-IDF v5.5.2). Pages in use are in the order of their sequence numbers,
the last is the one written to. One page stays free: when only it is left, it is taken into use and the page with the
fewest live entries is marked freeing, copied into it and erased. After a cut, an older copy of the last item written is
erased, and a page found freeing is copied again from the start.
"""

from __future__ import annotations

from collections.abc import Iterator

from pave_emulator.flash.image import SECTOR_BYTES, Flash
from pave_emulator.flash.nvs_format import (
    ENTRIES,
    INVALID_STATE,
    NO_FREE_PAGES,
    NOT_ENOUGH_SPACE,
    PAGE_ACTIVE,
    PAGE_FREEING,
    PAGE_FULL,
    Item,
    NvsError,
)
from pave_emulator.flash.nvs_page import CORRUPT, Page


class Pages:
    """The pages of one partition. Raise NvsError NO_FREE_PAGES or NEW_VERSION_FOUND when it cannot be used."""

    def __init__(self, flash: Flash, offset: int, size: int) -> None:
        pages = [Page(flash, at) for at in range(offset, offset + size, SECTOR_BYTES)]
        self.count = len(pages)
        self._used = sorted((page for page in pages if page.in_use), key=lambda page: page.sequence)
        self._free = [page for page in pages if not page.in_use]
        self._sequence = self._used[-1].sequence + 1 if self._used else 0
        if not self._used:
            self._activate()
            return
        self._erase_older_of_last()
        self._finish_freeing()
        if not self._free:
            raise NvsError(NO_FREE_PAGES, "no free page: the partition has to be erased")

    @property
    def current(self) -> Page:
        """The page that is written to."""
        return self._used[-1]

    def __iter__(self) -> Iterator[Page]:
        """Pages in use, the oldest first."""
        return iter(list(self._used))

    def items(self) -> Iterator[tuple[Page, int, Item]]:
        """Every item: page, index, item."""
        for page in self:
            for index, item in page.items():
                yield page, index, item

    def find(self, namespace: int, kind: int | None, key: str, chunk: int) -> tuple[Page, int, Item] | None:
        """The first item with this name, the oldest page first; None for `kind` takes any type."""
        for page in self._used:
            found = page.find(namespace, kind, key, chunk)
            if found:
                return page, *found
        return None

    def turn(self) -> None:
        """Close the current page and open another, collecting garbage when only the reserve is left."""
        if self.current.state == PAGE_ACTIVE:
            self.current.set_state(PAGE_FULL)
        if not self._free:
            raise NvsError(INVALID_STATE, "no free page")
        if len(self._free) > 1:
            self._activate()
            return
        victim = min(self._used, key=lambda page: page.used)
        if victim.used == ENTRIES:
            raise NvsError(NOT_ENOUGH_SPACE, "every page is full of live entries")
        self._activate()
        victim.set_state(PAGE_FREEING)
        self._move(victim)

    def _activate(self) -> None:
        if not self._free:
            raise NvsError(NOT_ENOUGH_SPACE, "no page to write to")
        page = self._free.pop(0)
        if page.state == CORRUPT:
            page.erase()
        page.open(self._sequence)
        self._sequence += 1
        self._used.append(page)

    def _move(self, victim: Page) -> None:
        """Copy what lives in a page into the current one, and free it."""
        victim.copy_to(self.current)
        victim.erase()
        self._used.remove(victim)
        self._free.append(victim)

    def _erase_older_of_last(self) -> None:
        """Power went after the last item was written and before the one it replaces was erased."""
        written = [item for _index, item in self.current.items()]
        if not written:
            return
        last = written[-1]
        for page in self._used[:-1]:
            older = page.find(last.namespace, last.type, last.key, last.chunk)
            if older and page.state != PAGE_FREEING:
                page.erase_item(older[0])
                return

    def _finish_freeing(self) -> None:
        """Power went while a page was copied: the copy is thrown away and made again."""
        freeing = next((page for page in self._used if page.state == PAGE_FREEING), None)
        if freeing is None:
            return
        if self.current.state == PAGE_ACTIVE:
            copy = self._used.pop()
            copy.erase()
            self._free.append(copy)
        self._activate()
        self._move(freeing)
