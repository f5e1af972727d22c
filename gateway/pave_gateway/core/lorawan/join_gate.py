"""Which of many devices that join at once are answered.

A Join-Accept takes long (33 bytes: 2 s at SF12) and a concentrator is deaf meanwhile, so after a power cut of a whole
site not every Join-Request can be answered. Devices ask again by themselves, each in its own time; what the server can
decide is whom it answers. Room is kept for those who have waited longest: a device is answered when there is room for
it *and* for every older one that was refused in the last minutes. One that does not come back loses its place.
"""

from dataclasses import dataclass

from pave_gateway.core import limits


@dataclass(slots=True)
class _Waiting:
    since_ms: int
    asked_ms: int


class JoinGate:
    """Devices that have asked to join and were not answered."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}  # in the order of `since_ms`

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def asked(self, device: str, now_ms: int) -> None:
        """Note a Join-Request."""
        self._forget(now_ms)
        if device in self._waiting:
            self._waiting[device].asked_ms = now_ms
        elif len(self._waiting) < limits.LORAWAN_JOINS_WAITING:
            self._waiting[device] = _Waiting(now_ms, now_ms)

    def ahead_of(self, device: str) -> int:
        """Return for how many others room has to be kept before `device` is answered."""
        for number, waiting in enumerate(self._waiting):
            if waiting == device:
                return number
        return len(self._waiting)

    def answered(self, device: str) -> None:
        """Note that a Join-Accept is on its way."""
        self._waiting.pop(device, None)

    def left(self, device: str) -> None:
        """Keep no room for a device that asked under keys it has no more."""
        self._waiting.pop(device, None)

    def _forget(self, now_ms: int) -> None:
        gone = [
            device
            for device, waiting in self._waiting.items()
            if now_ms - waiting.asked_ms > limits.LORAWAN_JOIN_PATIENCE_MS
        ]
        for device in gone:
            del self._waiting[device]
