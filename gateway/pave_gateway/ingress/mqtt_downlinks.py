"""What waits for a device at another's network server, as far as this gateway has put it there.

A network server sends one message after each uplink, in the order in which they were queued. An acknowledgement is
cumulative, so an old one in front of a new one costs a turn and tells the device less than there is to tell. Hence:

    one acknowledgement at a time; a newer one waits here until the server says that the one before it is on its way,
    or that it has expired; of those that wait the newest stays
    the same acknowledgement is not queued twice
    anything else is queued at once, at most `LORAWAN_DOWNLINKS_QUEUED` for one device

Where the server lets its queue be replaced (The Things Stack), a newer acknowledgement takes the place of the only one
in it, and the first message after a start takes the place of whatever an earlier run left there.

What the server says of a message may be lost. So one is forgotten when it has expired, or when the device has sent
often enough since to have been sent everything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pave_gateway.core import limits
from pave_gateway.core.instant import Now
from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_wire.event_encode import FPORT_ACKNOWLEDGEMENT

_SPARE_UPLINKS = 2


class Order(NamedTuple):
    """A message to queue at the server.

    Attributes:
        device: For whom.
        name: Names it in what the server says of it.
        message: What to send.
        expires_ms: When it is of no use any more, milliseconds since 1970; None where the clock cannot be trusted.
        replaces: It takes the place of all that the server has for the device.
    """

    device: str
    name: str
    message: Message
    expires_ms: int | None
    replaces: bool


@dataclass(slots=True)
class _Queued:
    name: str
    message: Message
    expires_ms: int  # monotonic
    uplinks: int  # until it is taken for sent

    @property
    def is_acknowledgement(self) -> bool:
        return self.message.port == FPORT_ACKNOWLEDGEMENT


@dataclass(slots=True)
class _Device:
    queued: list[_Queued] = field(default_factory=list[_Queued])
    next: Message | None = None  # an acknowledgement
    is_fresh: bool = True  # nothing was queued in this run


@dataclass(slots=True)
class DownlinkCounters:
    """Messages since the start."""

    queued: int = 0  # handed to the server
    sent: int = 0  # on their way, as it says
    presumed: int = 0  # it did not say, and the device has sent often enough since
    lost: int = 0  # expired, or never sent, as it says
    refused: int = 0  # too much waits for the device, or the server is out of reach


class Downlinks:
    """Of all devices; see above."""

    def __init__(self, order: Callable[[Order], bool], name: Callable[[], str], can_replace: bool) -> None:
        """`order` hands a message to the server, False where it cannot be reached; `name` returns a new name."""
        self._order = order
        self._name = name
        self._can_replace = can_replace
        self._devices: dict[str, _Device] = {}
        self.counters = DownlinkCounters()

    def has_requests(self, device: str) -> bool:
        """Return whether a command or a part of a shadow waits at the server."""
        known = self._devices.get(device)
        return known is not None and any(item.message.priority >= Priority.COMMAND for item in known.queued)

    def heard(self, device: str, now: Now) -> None:
        """Note that the device has sent: the server may have sent it what it had."""
        known = self._devices.get(device)
        if known is not None:
            for item in known.queued:
                item.uplinks -= 1
            self._forget(device, known, now)

    def put(self, device: str, message: Message, now: Now) -> None:
        """Queue a message, now or when its turn comes."""
        known = self._devices.setdefault(device, _Device())
        self._forget(device, known, now)
        if message.port != FPORT_ACKNOWLEDGEMENT:
            if len(known.queued) < limits.LORAWAN_DOWNLINKS_QUEUED:
                self._queue(device, known, message, now)
            else:
                self.counters.refused += 1
            return
        waiting = next((item for item in known.queued if item.is_acknowledgement), None)
        known.next = None
        if waiting is not None and waiting.message.data == message.data:
            return
        if waiting is None or (self._can_replace and len(known.queued) == 1):
            known.queued = [item for item in known.queued if item is not waiting]
            self._queue(device, known, message, now, replaces=waiting is not None)
        else:
            known.next = message

    def sent(self, device: str, name: str, now: Now, lost: bool = False) -> None:
        """Take the server's word that a message has left its queue; `lost`: without being sent."""
        known = self._devices.get(device)
        item = next((item for item in known.queued if item.name == name), None) if known is not None else None
        if known is None or item is None:
            return
        known.queued.remove(item)
        self.counters.sent += not lost
        self.counters.lost += lost
        self._forget(device, known, now)

    def forget(self, device: str) -> None:
        """Note that the server has dropped all that it had: the device has joined anew."""
        self._devices.pop(device, None)

    def _queue(self, device: str, known: _Device, message: Message, now: Now, replaces: bool = False) -> None:
        expires_ms = now.monotonic_ms + limits.EXTERNAL_ANSWER_MS
        if message.expires_ms is not None:
            expires_ms = min(expires_ms, message.expires_ms)
        replaces = replaces or (self._can_replace and known.is_fresh)
        told_ms = now.ms + expires_ms - now.monotonic_ms if now.synchronized else None
        item = _Queued(self._name(), message, expires_ms, len(known.queued) + _SPARE_UPLINKS)
        if self._order(Order(device, item.name, message, told_ms, replaces)):
            known.is_fresh = False
            known.queued.append(item)
            self.counters.queued += 1
        else:
            self.counters.refused += 1

    def _forget(self, device: str, known: _Device, now: Now) -> None:
        """Drop what cannot be waiting any more; then an acknowledgement that waited here has its turn."""
        valid = [item for item in known.queued if item.expires_ms > now.monotonic_ms]
        kept = [item for item in valid if item.uplinks > 0]
        self.counters.lost += len(known.queued) - len(valid)
        self.counters.presumed += len(valid) - len(kept)
        known.queued = kept
        if known.next is not None and not any(item.is_acknowledgement for item in kept):
            message, known.next = known.next, None
            self._queue(device, known, message, now)
