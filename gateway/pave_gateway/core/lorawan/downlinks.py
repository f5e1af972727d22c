"""What waits for a device until it sends: class A listens only then.

One frame of a receive window holds one message, and MAC commands beside it where there is room. The order is by
priority, then by age. An acknowledgement is cumulative, so a newer one takes the place of an older; a refusal does not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from pave_gateway.core import limits
from pave_wire.event_encode import FPORT_ACKNOWLEDGEMENT


class Priority(IntEnum):
    """Lower goes first. MAC commands come between ACKNOWLEDGEMENT and COMMAND."""

    RESPONSE = 0
    ACKNOWLEDGEMENT = 1
    COMMAND = 2
    SHADOW = 3


@dataclass(frozen=True, slots=True)
class Message:
    """An application's payload for a device.

    Attributes:
        port: FPort, 1 to 223.
        data: In clear.
        priority: What goes first.
        confirmed: The device is to say in its next frame that it has it; else it is sent again.
        expires_ms: When it is of no use any more, by the monotonic clock; None for never.
    """

    port: int
    data: bytes
    priority: Priority
    confirmed: bool = False
    expires_ms: int | None = None


class Fate(IntEnum):
    """What became of a message."""

    SENT = 0  # handed to a concentrator, unconfirmed
    DELIVERED = 1  # the device has confirmed it
    EXPIRED = 2
    FAILED = 3  # not confirmed in `limits.LORAWAN_DOWNLINK_TRIES` tries
    DROPPED = 4  # superseded, or of a session that has ended


@dataclass(slots=True)
class Queued:
    """A `Message` in the queue, by the number it was given."""

    number: int
    message: Message
    tries: int = 0


class QueueFull(Exception):  # noqa: N818 - a state, not a defect
    """As much waits for the device as may; wait until it has sent."""


Told = Callable[[int, Fate], None]


class DownlinkQueue:
    """Of one device."""

    def __init__(self, told: Told) -> None:
        """`told(number, fate)` hears of every message once."""
        self._told = told
        self._items: list[Queued] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._items)

    def add(self, number: int, message: Message) -> None:
        """Queue `message` under `number`.

        Raises:
            QueueFull: nothing was queued.
        """
        if message.port == FPORT_ACKNOWLEDGEMENT:
            self.drop(item for item in self._items if item.message.port == FPORT_ACKNOWLEDGEMENT)
        if len(self._items) >= limits.LORAWAN_DOWNLINKS_QUEUED:
            raise QueueFull(f"{len(self._items)} messages wait for the device; try after its next uplink")
        self._items.append(Queued(number, message))
        self._items.sort(key=lambda item: (item.message.priority, item.number))

    def sent(self, item: Queued) -> None:
        """Tell that an unconfirmed message is on air."""
        self._told(item.number, Fate.SENT)

    def confirmed(self, item: Queued) -> None:
        """Tell that the device has a message."""
        self._told(item.number, Fate.DELIVERED)

    def has_requests(self, now_ms: int) -> bool:
        """Return whether a command or a part of a shadow waits."""
        return any(item.message.priority >= Priority.COMMAND for item in self.waiting(now_ms))

    def put_back(self, item: Queued) -> None:
        """Queue again what was taken: no window could carry it, or nobody heard it."""
        newer = item.message.port == FPORT_ACKNOWLEDGEMENT and any(
            other.message.port == FPORT_ACKNOWLEDGEMENT for other in self._items
        )
        if newer:
            self._told(item.number, Fate.DROPPED)
        elif item.tries >= limits.LORAWAN_DOWNLINK_TRIES:
            self._told(item.number, Fate.FAILED)
        else:
            self._items.append(item)
            self._items.sort(key=lambda other: (other.message.priority, other.number))

    def waiting(self, now_ms: int) -> list[Queued]:
        """Return what may be sent at `now_ms`, the first first; what has expired is told so and gone."""
        expired = [
            item for item in self._items if item.message.expires_ms is not None and item.message.expires_ms <= now_ms
        ]
        for item in expired:
            self._items.remove(item)
            self._told(item.number, Fate.EXPIRED)
        return list(self._items)

    def take(self, item: Queued) -> None:
        """Take `item` out: it is on its way."""
        self._items.remove(item)

    def end_of_session(self) -> None:
        """Drop what answers frames of a session that is over."""
        self.drop(item for item in self._items if item.message.priority <= Priority.ACKNOWLEDGEMENT)

    def drop(self, items: Iterable[Queued]) -> None:
        """Take `items` out for good."""
        for item in list(items):
            self._items.remove(item)
            self._told(item.number, Fate.DROPPED)

    def find(self, number: int) -> Queued | None:
        """Return the message queued as `number`."""
        return next((item for item in self._items if item.number == number), None)


class DownlinkQueues:
    """Of all devices; messages are numbered in the order in which they came."""

    def __init__(self, told: Callable[[str, int, Fate], None]) -> None:
        """`told(device, number, fate)` hears of every message once."""
        self._told = told
        self._queues: dict[str, DownlinkQueue] = {}
        self._numbers = 0

    def of(self, device: str) -> DownlinkQueue:
        """Return the queue of `device`."""
        if device not in self._queues:
            self._queues[device] = DownlinkQueue(lambda number, fate: self._told(device, number, fate))
        return self._queues[device]

    def add(self, device: str, message: Message) -> int:
        """Queue a message and return its number; raises `QueueFull`."""
        self._numbers += 1
        self.of(device).add(self._numbers, message)
        return self._numbers
