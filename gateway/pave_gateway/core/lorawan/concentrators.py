"""What each concentrator may still send: whether it can be reached, is busy, and what the law leaves it.

Every concentrator is a transmitter of its own, with its own hour in each sub-band (`region.DutyCycle`, by the monotonic
clock). What it is given counts as spent from the moment it is on air; until then it is *pending*, and a TX_ACK that
refuses it gives the time back. Join-Accepts may take a share of each sub-band only, so a storm of joins leaves room for
acknowledgements.

The time on air goes to the disk at most a second later (`AirtimeRow`). A start counts in each sub-band what could have
been on air in the second that was lost, so no hour exceeds the law across a crash either.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pave_gateway.core import limits
from pave_gateway.core.lorawan.rows import AirtimeForgottenRow, AirtimeRow
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_wire import region
from pave_wire.errors import RegionError

UNSAVED_US = 3_000_000  # longer than any one frame, and one second of those that end in it
GUARD_MS = 60  # a forwarder prepares a frame for 43 ms, and copies arrive some milliseconds apart
_LEAD_STEP_MS = 50
_FAILING_MS = 60_000
_FAILURES = 3
_RX2_BAND = region.sub_band(region.RX2_FREQUENCY_HZ, region.occupied_hz(0))


@dataclass(frozen=True, slots=True)
class Emission:
    """A frame on air: `start_ms` by the server's clock."""

    start_ms: int
    airtime_us: int
    frequency_hz: int
    data_rate: int
    is_join: bool

    @property
    def end_ms(self) -> int:
        """When it is over."""
        return self.start_ms + self.airtime_us // 1000 + 1

    @property
    def band(self) -> int:
        """Index of its sub-band."""
        return region.sub_band(self.frequency_hz, region.occupied_hz(self.data_rate))


@dataclass(slots=True, eq=False)
class Concentrator:
    """One of them.

    Attributes:
        gateway_id: EUI-64 as text.
        duty: What it sent in the last hour.
        lead_ms: How early it must have its frames.
        heard_ms: When it last gave a sign of life.
        reached_ms: When it last asked for downlinks; None while it never did.
        power_dbm: The highest it was found to send with, by sub-band.
        refused_hz: Frequencies it does not send on.
        failures: Refusals in a row.
        failed_ms: When the last one came.
        unsaved: It has sent something that is not on disk.
    """

    gateway_id: str
    duty: region.DutyCycle
    lead_ms: int
    heard_ms: int
    reached_ms: int | None = None
    power_dbm: dict[int, int] = field(default_factory=dict[int, int])
    refused_hz: set[int] = field(default_factory=set[int])
    failures: int = 0
    failed_ms: int = 0
    unsaved: bool = False
    _pending: dict[int, Emission] = field(default_factory=dict[int, Emission])
    _joins: deque[Emission] = field(default_factory=deque[Emission])
    _on_air: list[Emission] = field(default_factory=list[Emission])

    def is_reachable(self, now_ms: int) -> bool:
        """Return whether its forwarder has asked for downlinks of late."""
        return self.reached_ms is not None and now_ms - self.reached_ms < limits.LORAWAN_CONCENTRATOR_SILENT_MS

    def is_failing(self, now_ms: int) -> bool:
        """Return whether it refused everything lately."""
        return self.failures >= _FAILURES and now_ms - self.failed_ms < _FAILING_MS

    def can_send(self, emission: Emission, now_ms: int, join_share: float, ahead: int = 0) -> bool:
        """Return whether it may send `emission`; for a join, whether the share has room for `ahead` others as well."""
        if not self.is_reachable(now_ms) or emission.frequency_hz in self.refused_hz or self._is_busy(emission):
            return False
        band = emission.band
        pending_us = sum(other.airtime_us for other in self._pending.values() if other.band == band)
        needed_us = emission.airtime_us + pending_us
        if emission.is_join and not self._in_share(band, emission.airtime_us * (1 + ahead), now_ms, join_share):
            return False
        bandwidth_hz = region.occupied_hz(emission.data_rate)
        try:
            free_ms = self.duty.next_allowed_ms(emission.frequency_hz, bandwidth_hz, needed_us, now_ms)
        except RegionError:  # more than an hour holds
            return False
        return free_ms <= emission.start_ms

    def give(self, token: int, emission: Emission) -> None:
        """Note that it was given a frame."""
        self._pending[token] = emission
        if emission.is_join:
            self._joins.append(emission)

    def sent(self, token: int) -> None:
        """Note that a frame is on air by now."""
        emission = self._pending.pop(token)
        bandwidth_hz = region.occupied_hz(emission.data_rate)
        self.duty.record(emission.frequency_hz, bandwidth_hz, emission.airtime_us, emission.start_ms)
        self.unsaved = True
        self._on_air = [other for other in self._on_air if other.end_ms + GUARD_MS > emission.start_ms] + [emission]

    def accepted(self, least_ms: int) -> None:
        """Note a TX_ACK without an error: what it needs in advance may be less than was thought."""
        self.failures = 0
        self.lead_ms = max(least_ms, self.lead_ms - 1)

    def refused(self, token: int, now_ms: int, late: bool) -> None:
        """Note a TX_ACK with an error: the frame will not be on air."""
        emission = self._pending.pop(token, None)
        if emission is not None and emission in self._joins:
            self._joins.remove(emission)
        self.failures, self.failed_ms = self.failures + 1, now_ms
        if late:
            self.lead_ms = min(limits.LORAWAN_LEAD_MAX_MS, self.lead_ms + _LEAD_STEP_MS)

    def restore(self, rows: Iterable[AirtimeRow], bands: Iterable[int], now_ms: int) -> dict[tuple[int, int], int]:
        """Take up what is on disk, and what may not have reached it; return all of it as (grain, band) to us."""
        spent = {(row.grain, row.band): row.spent_us for row in rows}
        grain = now_ms // region.GRAIN_MS
        for band in bands:
            spent[grain, band] = spent.get((grain, band), 0) + UNSAVED_US
        self.duty = region.DutyCycle(((0, 0), [(at, band, us) for (at, band), us in spent.items()]))
        return spent

    def rows(self, saved: dict[tuple[int, int], int]) -> list[AirtimeRow | AirtimeForgottenRow]:
        """Return what differs from `saved`, (grain, band) to us as on disk, and bring that up to date."""
        if not self.unsaved:
            return []
        self.unsaved = False
        spent = {(grain, band): us for grain, band, us in self.duty.state[1]}
        grains = {grain for grain, _ in spent}
        gone = tuple(sorted({grain for grain, _ in saved} - grains))
        rows: list[AirtimeRow | AirtimeForgottenRow] = [
            AirtimeRow(self.gateway_id, grain, band, us)
            for (grain, band), us in spent.items()
            if saved.get((grain, band)) != us
        ]
        if gone:
            rows.append(AirtimeForgottenRow(self.gateway_id, gone))
        saved.clear()
        saved.update(spent)
        return rows

    def _is_busy(self, emission: Emission) -> bool:
        return any(
            emission.start_ms < other.end_ms + GUARD_MS and other.start_ms < emission.end_ms + GUARD_MS
            for other in (*self._pending.values(), *self._on_air)
        )

    def _in_share(self, band: int, needed_us: int, now_ms: int, share: float) -> bool:
        while self._joins and self._joins[0].end_ms <= now_ms - region.HOUR_MS:
            self._joins.popleft()
        spent_us = sum(join.airtime_us for join in self._joins if join.band == band)
        return spent_us + needed_us <= share * budget_us(band)


class Concentrators:
    """Those of a site, by EUI-64."""

    def __init__(self, settings: LorawanSettings) -> None:
        self._settings = settings
        self._known: dict[str, Concentrator] = {}
        self._saved: dict[str, dict[tuple[int, int], int]] = {}

    def __iter__(self) -> Iterator[Concentrator]:
        """In the order in which they came."""
        return iter(self._known.values())

    def find(self, gateway_id: str) -> Concentrator | None:
        """Return the one with this EUI-64."""
        return self._known.get(gateway_id)

    def heard(self, gateway_id: str, now_ms: int) -> bool:
        """Note a sign of life; return False for one more than there may be."""
        known = self._known.get(gateway_id)
        if known is None:
            if len(self._known) >= limits.LORAWAN_CONCENTRATORS:
                return False
            known = Concentrator(gateway_id, region.DutyCycle(), self._settings.lead_ms, now_ms)
            self._known[gateway_id] = known
        known.heard_ms = now_ms
        return True

    def reached(self, gateway_id: str, now_ms: int) -> None:
        """Note that a forwarder has asked for downlinks."""
        if self.heard(gateway_id, now_ms):
            self._known[gateway_id].reached_ms = now_ms

    def lost(self, gateway_id: str) -> None:
        """Note that there is no way to a forwarder any more."""
        if gateway_id in self._known:
            self._known[gateway_id].reached_ms = None

    def alive(self, now_ms: int) -> int:
        """Return how many gave a sign of life of late."""
        return sum(now_ms - one.heard_ms < limits.LORAWAN_CONCENTRATOR_SILENT_MS for one in self._known.values())

    def power_dbm(self, gateway_id: str, band: int) -> int:
        """Return the EIRP that a concentrator sends with in a sub-band."""
        wanted = self._settings.rx2_eirp_dbm if band == _RX2_BAND else self._settings.eirp_dbm
        return min(wanted, self._known[gateway_id].power_dbm.get(band, wanted))

    def restore(self, rows: Sequence[AirtimeRow], now_ms: int) -> None:
        """Take up what is on disk of the time on air."""
        bands = {_RX2_BAND}
        for frequency_hz in (*region.DEFAULT_CHANNELS_HZ, *self._settings.channels_hz):
            if frequency_hz:
                bands.add(region.sub_band(frequency_hz, region.occupied_hz(0)))
        for gateway_id in dict.fromkeys(row.gateway_id for row in rows):
            own = [row for row in rows if row.gateway_id == gateway_id]
            if self.heard(gateway_id, now_ms):
                self._known[gateway_id].heard_ms = now_ms - limits.LORAWAN_CONCENTRATOR_SILENT_MS
                self._saved[gateway_id] = self._known[gateway_id].restore(own, sorted(bands), now_ms)

    def write_all(self) -> None:
        """Take nothing for written."""
        for gateway_id, known in self._known.items():
            self._saved[gateway_id] = {}
            known.unsaved = True

    def rows(self) -> list[AirtimeRow | AirtimeForgottenRow]:
        """Return what has to be written."""
        rows: list[AirtimeRow | AirtimeForgottenRow] = []
        for gateway_id, known in self._known.items():
            rows += known.rows(self._saved.setdefault(gateway_id, {}))
        return rows


def budget_us(band: int) -> int:
    """Return the time on air that any hour allows in a sub-band."""
    return region.HOUR_MS * region.SUB_BANDS[band][2]
