"""Timers of a CoAP endpoint: which of its objects is due when, without a clock."""

import heapq


class Timed:
    """What waits in `Timers`: `due_ms` is its time, or None."""

    __slots__ = ("due_ms",)

    due_ms: int | None


class Timers:
    """Which object is due when. An object has one time; setting it again replaces it."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timed]] = []
        self._serial = 0
        self._room = 8

    def set(self, item: Timed, due_ms: int | None) -> None:
        """Let `item` be due at `due_ms`, or with None not at all."""
        item.due_ms = due_ms
        if due_ms is None:
            return
        if len(self._heap) == self._room:  # what was replaced or ended is dropped, so the heap stays near what is live
            live = {id(entry[2]): entry for entry in self._heap if entry[2].due_ms == entry[0]}
            self._heap = list(live.values())
            heapq.heapify(self._heap)
            self._room = 2 * len(self._heap) + 8
        self._serial += 1  # two entries of the same time: the objects themselves cannot be compared
        heapq.heappush(self._heap, (due_ms, self._serial, item))

    def next(self) -> int | None:
        """Return when the next object is due, or None."""
        heap = self._heap
        while heap and heap[0][2].due_ms != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now_ms: int) -> list[Timed]:
        """Take out the objects that are due and return them, first the longest due."""
        items: list[Timed] = []
        due_ms = self.next()
        while due_ms is not None and due_ms <= now_ms:
            item = heapq.heappop(self._heap)[2]
            item.due_ms = None
            items.append(item)
            due_ms = self.next()
        return items
