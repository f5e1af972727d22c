"""What the links to devices are like: for ADR, and for people.

A sample is the SNR that a frame would have had at full power (16 dBm): a lower TXPower is added back, the spreading
factor does not change it (all of 125 kHz). Samples are kept apart by the state of the bay, since a parked car costs 10
to 20 dB. A frame that was lost is a sample as well, just below what its data rate needed: without those, only frames
that arrived would be asked how good the link is. It counts as one of an occupied bay, whose link is the worse one; a
bay that is blind (snow, water) counts as occupied too.
"""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pave_gateway.core import limits
from pave_gateway.core.lorawan.mac import DeviceStatus
from pave_gateway.core.lorawan.radio import REQUIRED_SNR_DB, Reception
from pave_gateway.core.lorawan.rows import LinkRow

_POWER_STEP_DB = 2
_JUST_BELOW_DB = 1.0
_MISSED_MAX = 8  # samples of one gap: an outage of the gateway is not a property of the link
_RECENT = 32  # frames whose loss rate is judged


def _samples(values: Iterable[float] = ()) -> deque[float]:
    return deque(values, limits.LORAWAN_LINK_SAMPLES)


@dataclass(slots=True)
class Link:
    """Of one device.

    Attributes:
        occupied: Samples in dB while a vehicle stood on the bay, or while the sensor was blind.
        vacant: The same of an empty bay.
        recent: Of the last 32 frames, 1 for those missed; the lowest bit is the last.
        frames: Heard since the record began.
        missed: Not heard, by gaps in FCnt.
        penalty_db: What ADR adds to its margin, since the device fell back by itself.
        gateway_id: The concentrator that heard the last frame best.
        gateways: How many heard it.
        rssi_dbm: Its RSSI there.
        snr_db: Its SNR there.
        data_rate: Its data rate.
        heard_ms: When, milliseconds since 1970.
        battery: Of the last DevStatusAns; None before the first.
        downlink_snr_db: Likewise: how the device heard us.
        status_ms: When that was.
    """

    occupied: deque[float] = field(default_factory=_samples)
    vacant: deque[float] = field(default_factory=_samples)
    recent: int = 0
    frames: int = 0
    missed: int = 0
    penalty_db: int = 0
    gateway_id: str = ""
    gateways: int = 0
    rssi_dbm: float = 0.0
    snr_db: float = 0.0
    data_rate: int = 0
    heard_ms: int = 0
    battery: int | None = None
    downlink_snr_db: int | None = None
    status_ms: int = 0

    def heard(self, reception: Reception, tx_power: int, state: int, missed: int, wall_ms: int) -> None:
        """Take a frame sent with `tx_power`, before which `missed` were lost.

        `state` of the bay is an index in STATES, -1 where it is not known: then the frame says nothing of the link.
        """
        best = reception.best
        data_rate = best.data_rate
        lost_db = REQUIRED_SNR_DB[data_rate] + _POWER_STEP_DB * tx_power - _JUST_BELOW_DB
        self.occupied.extend([lost_db] * min(missed, _MISSED_MAX))
        if state >= 0:
            (self.occupied if state else self.vacant).append(best.snr_db + _POWER_STEP_DB * tx_power)
        gap = min(missed, _RECENT)
        self.recent = ((self.recent << gap | (1 << gap) - 1) << 1) & (1 << _RECENT) - 1
        self.frames += 1
        self.missed += missed
        self.gateway_id, self.gateways = best.gateway_id, len(reception.copies)
        self.rssi_dbm, self.snr_db, self.data_rate, self.heard_ms = best.rssi_dbm, best.snr_db, data_rate, wall_ms

    def told(self, status: DeviceStatus, wall_ms: int) -> None:
        """Take a DevStatusAns."""
        self.battery, self.downlink_snr_db, self.status_ms = status.battery, status.snr_db, wall_ms

    @property
    def loss(self) -> float:
        """Share of the last frames (32, or as many as there were) that were missed."""
        return self.recent.bit_count() / min(_RECENT, max(1, self.frames + self.missed))

    def text(self) -> str:
        """Return all of it as JSON."""
        fields = {name: getattr(self, name) for name in _NAMES}
        fields["occupied"] = [round(sample, 1) for sample in self.occupied]
        fields["vacant"] = [round(sample, 1) for sample in self.vacant]
        return json.dumps(fields, separators=(",", ":"))


_NAMES = tuple(Link.__dataclass_fields__)


def of_text(text: str) -> Link:
    """Return what `Link.text` wrote; "" is a link that was never heard."""
    if not text:
        return Link()
    fields: dict[str, Any] = json.loads(text)
    link = Link(_samples(fields.pop("occupied")), _samples(fields.pop("vacant")))
    for name, value in fields.items():
        setattr(link, name, value)
    return link


class Links:
    """Of a site's devices. What is on disk is read when a device is heard, or asked for."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}
        self._texts: dict[str, str] = {}
        self._changed: dict[str, None] = {}

    def restore(self, texts: Mapping[str, str]) -> None:
        """Take up what is on disk."""
        self._texts.update(texts)

    def of(self, device: str) -> Link:
        """Return the link of `device`; it may be read, and is changed through `changed`."""
        if device not in self._links:
            self._links[device] = of_text(self._texts.pop(device, ""))
        return self._links[device]

    def changed(self, device: str) -> Link:
        """Return the link of `device` to be changed: it will be written."""
        self._changed[device] = None
        return self.of(device)

    def rows(self) -> list[LinkRow]:
        """Return what has changed since the last call, to be written; losing it costs ADR some samples."""
        rows = [LinkRow(device, self._links[device].text()) for device in self._changed]
        self._changed.clear()
        return rows
