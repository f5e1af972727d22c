"""Listening on the air: which readings devices sent, and which they saw acknowledged, from the datagrams alone."""

from __future__ import annotations

from collections import OrderedDict

from pave_wire import coap, model
from pave_wire.errors import WireError
from simulation.accounts import Values

_REQUESTS_OPEN = 4096  # requests remembered until their response; far more than the devices have open


class Tap:
    """Feed it every datagram between devices and gateway; read `sent` and `acknowledged`."""

    def __init__(self) -> None:
        self.sent: dict[str, Values] = {}
        self.altered: set[str] = set()  # identities sent with two different sets of values
        self.acknowledged: set[str] = set()
        self.datagrams = 0
        self._open: OrderedDict[tuple[str, bytes], list[str]] = OrderedDict()  # (device, token) -> identities

    def from_device(self, device: str, data: bytes) -> None:
        """A datagram that `device` sent."""
        self.datagrams += 1
        try:
            message = coap.decode(data)
            if message.code != coap.POST or message.path != model.PATH_READINGS:
                return
            readings = model.unpack_readings(message.payload)
        except WireError:
            return
        for reading in readings:
            if self.sent.setdefault(reading.identity, reading.values) != reading.values:
                self.altered.add(reading.identity)
        self._open[device, message.token] = [reading.identity for reading in readings]
        while len(self._open) > _REQUESTS_OPEN:
            self._open.popitem(last=False)

    def to_device(self, device: str, data: bytes) -> None:
        """A datagram that was delivered to `device`."""
        self.datagrams += 1
        try:
            message = coap.decode(data)
        except WireError:
            return
        if message.code == coap.CHANGED:
            self.acknowledged.update(self._open.pop((device, message.token), []))
