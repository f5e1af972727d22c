"""What is due when: the sans-I/O server's one source of time-outs."""

import heapq
from collections.abc import Callable


class Timers:
    """Calls to make, by time and then in the order given. None is taken back: who is called sees whether it matters."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._given = 0

    @property
    def next_ms(self) -> int | None:
        """When the next one is due."""
        return self._heap[0][0] if self._heap else None

    def at(self, due_ms: int, act: Callable[[int], None]) -> None:
        """Call `act(now_ms)` once `due_ms` has come."""
        self._given += 1
        heapq.heappush(self._heap, (due_ms, self._given, act))

    def run(self, now_ms: int) -> None:
        """Make the calls that are due."""
        while self._heap and self._heap[0][0] <= now_ms:
            heapq.heappop(self._heap)[2](now_ms)
