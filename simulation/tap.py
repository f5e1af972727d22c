"""Listening on the air: which readings devices sent, and which they saw acknowledged, from the datagrams alone.

The tap sends nothing and nobody trusts it. It has the keys of devices, as whoever flashed them could have kept them,
and opens what it hears in both directions (`overheard`). What a device with keys sends must open; what does not is
counted. A device whose keys it was not given is one of a laboratory: its plain CoAP is read as it stands.

    a reading counts as     when
    sent                    it is in an authentic `POST /r` of its device
    acknowledged            an authentic 2.04 answers that request: the code that is sealed, not the one outside
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Generic, TypeVar

from pave_tools.provisioning import OscoreKeys
from pave_wire import coap, model
from pave_wire.coap import Message
from pave_wire.errors import OscoreError, WireError
from pave_wire.oscore_options import decode_value, oscore_value
from simulation.accounts import Values
from simulation.overheard import Asked, Overheard

_REQUESTS_OPEN = 4096  # requests remembered until their response; far more than the devices have open

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Request:
    """A request of a device: what opens its responses (None: plain), and the readings it reports."""

    asked: Asked | None
    identities: tuple[str, ...]


class Tap:
    """Feed it every datagram between devices and gateway; read `sent` and `acknowledged`."""

    def __init__(self) -> None:
        self.sent: dict[str, Values] = {}
        self.altered: set[str] = set()  # identities sent with two different sets of values
        self.acknowledged: set[str] = set()
        self.datagrams = 0
        self.unreadable: Counter[str] = Counter()
        """Datagrams that did not open, "up" from devices with keys and "down" to them: there a late notification to an
        observation that was registered again is one too, which its device does not take either.
        """
        self.challenges: dict[str, set[tuple[bytes, bytes]]] = defaultdict(set)
        """By device, each 4.01 with Echo that answered a request of it: the gateway's ID and Partial IV."""
        self._overheard: dict[str, Overheard] = {}
        self._requests = _Open[_Request]()  # of devices
        self._asked = _Open[Asked]()  # of the gateway

    def know(self, device: str, keys: OscoreKeys) -> None:
        """Open what `device` says and hears with `keys` from now on."""
        self._overheard[device] = Overheard(keys)

    def from_device(self, device: str, data: bytes) -> None:
        """A datagram that `device` sent."""
        self.datagrams += 1
        overheard = self._overheard.get(device)
        try:
            message = coap.decode(data)
            if message.code != coap.EMPTY and not _is_response(message):
                self._requested(device, overheard, message)
            elif message.code != coap.EMPTY and overheard is not None:
                overheard.response_from_device(self._asked.of(device, message), message)
        except WireError:
            self.unreadable["up"] += overheard is not None

    def to_device(self, device: str, data: bytes) -> None:
        """A datagram that was delivered to `device`."""
        self.datagrams += 1
        overheard = self._overheard.get(device)
        try:
            message = coap.decode(data)
            if _is_response(message):
                self._responded(device, overheard, message)
            elif message.code != coap.EMPTY and overheard is not None:
                _, asked = overheard.request_to_device(message)
                self._asked.remember(device, message, asked)
        except WireError:
            self.unreadable["down"] += overheard is not None

    def _requested(self, device: str, overheard: Overheard | None, message: Message) -> None:
        request, asked = (message, None) if overheard is None else overheard.request_from_device(message)
        readings = model.unpack_readings(request.payload) if _is_report(request) else []
        for reading in readings:
            if self.sent.setdefault(reading.identity, reading.values) != reading.values:
                self.altered.add(reading.identity)
        identities = tuple(reading.identity for reading in readings)
        self._requests.remember(device, message, _Request(asked, identities))

    def _responded(self, device: str, overheard: Overheard | None, message: Message) -> None:
        request, response = self._requests.of(device, message), message
        if overheard is not None:
            assert request.asked is not None
            response = overheard.response_to_device(request.asked, message)
        if response.code == coap.CHANGED:
            self.acknowledged.update(request.identities)
        elif overheard is not None and response.code == coap.UNAUTHORIZED and response.option(coap.ECHO):
            piv, _, _ = decode_value(oscore_value(message.options))
            self.challenges[device].add((overheard.gateway_id, piv))


class _Open(Generic[_T]):
    """What is kept of requests until others have displaced it: a response may come twice."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bytes], _T] = OrderedDict()  # by (device, token)

    def remember(self, device: str, request: Message, kept: _T) -> None:
        key = (device, request.token)
        self._kept.pop(key, None)
        self._kept[key] = kept
        if len(self._kept) > _REQUESTS_OPEN:
            self._kept.popitem(last=False)

    def of(self, device: str, response: Message) -> _T:
        kept = self._kept.get((device, response.token))
        if kept is None:
            raise OscoreError("a response to no request that was heard")
        return kept


def _is_response(message: Message) -> bool:
    return bool(message.code >> 5)


def _is_report(request: Message) -> bool:
    return request.code == coap.POST and request.path == model.PATH_READINGS
