"""The few things a chip waits for at a time: named, each at most once."""

from __future__ import annotations

from collections.abc import Callable

Action = Callable[[float], None]


class Deadlines:
    """What is due when. Equal times are done in the order in which they were set."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[float, Action]] = {}

    def set(self, name: str, at_s: float, action: Action) -> None:
        """Call `action(at_s)` at `at_s`; replaces what had this name."""
        self._due.pop(name, None)
        self._due[name] = (at_s, action)

    def cancel(self, *names: str) -> None:
        """Forget these, if they are there."""
        for name in names:
            self._due.pop(name, None)

    def clear(self) -> None:
        """Forget all."""
        self._due.clear()

    def __contains__(self, name: str) -> bool:
        return name in self._due

    def next_s(self) -> float | None:
        """When the first is due."""
        return min((at_s for at_s, _ in self._due.values()), default=None)

    def run(self, now_s: float) -> None:
        """Do all that is due up to `now_s`, in order of time, what that sets included."""
        while self._due:
            name = min(self._due, key=lambda key: self._due[key][0])
            at_s, action = self._due[name]
            if at_s > now_s:
                return
            del self._due[name]
            action(at_s)
