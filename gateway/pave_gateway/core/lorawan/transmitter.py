"""Which concentrator sends a frame, in which receive window.

A device listens twice after each uplink. The first window is taken when the frame can still reach a forwarder in time
and the law leaves its sub-band room, else the second, else the frame waits for the next uplink. Among concentrators
that heard the device, the one that heard it best goes first; one that keeps refusing goes last. A frame that is refused
(TX_ACK) tries what is left: the next concentrator, the next window.

    choose -> Slot -> send -> Downlink -> TX_ACK            ended(True) when its time has come
                                       -> TX_ACK with error ended(False): choose again
                                       -> no TX_ACK         ended(True): old forwarders never say
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from pave_gateway.core.lorawan.concentrators import Concentrator, Concentrators, Emission
from pave_gateway.core.lorawan.counters import LorawanCounters
from pave_gateway.core.lorawan.radio import TMST_END, Copy, Downlink, Reception, TxResult
from pave_gateway.core.lorawan.timers import Timers
from pave_wire import region

Ended = Callable[[bool, int], None]  # (on air, now_ms)
_POWER_STEP_DB = 3


@dataclass(frozen=True, slots=True)
class Window:
    """A receive window of a device: `number` 1 or 2, `delay_ms` after the end of its uplink."""

    number: int
    delay_ms: int
    frequency_hz: int
    data_rate: int


@dataclass(slots=True)
class Opportunity:
    """The windows after one uplink, and what was tried in them as (concentrator, window number)."""

    reception: Reception
    windows: tuple[Window, Window]
    is_join: bool = False
    tried: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])

    @property
    def ends_ms(self) -> int:
        """When nothing can be sent in it any more."""
        return self.reception.first_ms + self.windows[1].delay_ms


@dataclass(frozen=True, slots=True)
class Slot:
    """A window, the concentrator for it, and the frame's time on air there."""

    window: Window
    copy: Copy
    emission: Emission


@dataclass(frozen=True, slots=True)
class _Given:
    slot: Slot
    ended: Ended


class Transmitter:
    """Hands frames to concentrators."""

    def __init__(
        self,
        concentrators: Concentrators,
        timers: Timers,
        counters: LorawanCounters,
        transmit: Callable[[Downlink], None],
        join_share: float,
        lead_ms: int,
    ) -> None:
        """`transmit` sends a frame on its way."""
        self._concentrators = concentrators
        self._timers = timers
        self._counters = counters
        self._transmit = transmit
        self._join_share = join_share
        self._lead_ms = lead_ms
        self._given: dict[int, _Given] = {}
        self._tokens = 0

    def choose(
        self, opportunity: Opportunity, bytes_in: Callable[[Window], int | None], now_ms: int, ahead: int = 0
    ) -> Slot | None:
        """Return where a frame may go, or None.

        Args:
            opportunity: The windows.
            bytes_in: PHYPayload bytes of the frame that would go into a window; None for none.
            now_ms: The time.
            ahead: How many frames like it must have room as well.
        """
        for window in opportunity.windows:
            size = bytes_in(window)
            if size is None:
                continue
            airtime_us = region.frame_time_us(window.data_rate, size, crc=False)
            for copy, concentrator in self._candidates(opportunity, window, now_ms):
                start_ms = copy.heard_ms + window.delay_ms
                emission = Emission(start_ms, airtime_us, window.frequency_hz, window.data_rate, opportunity.is_join)
                if concentrator.can_send(emission, now_ms, self._join_share, ahead):
                    return Slot(window, copy, emission)
        return None

    def send(self, slot: Slot, opportunity: Opportunity, phy: bytes, ended: Ended) -> None:
        """Send `phy`; `ended(on_air, now_ms)` is called once."""
        self._tokens += 1
        token, uplink = self._tokens, slot.copy.uplink
        concentrator = self._concentrators.find(uplink.gateway_id)
        if concentrator is None:
            raise LookupError(f"concentrator {uplink.gateway_id} was chosen and is not known")
        opportunity.tried.add((uplink.gateway_id, slot.window.number))
        concentrator.give(token, slot.emission)
        self._given[token] = _Given(slot, ended)
        self._timers.at(slot.emission.start_ms, lambda now_ms: self._on_air(token, now_ms))
        self._counters.downlinks += 1
        self._counters.downlinks_rx2 += slot.window.number == 2
        self._transmit(
            Downlink(
                token,
                uplink.gateway_id,
                (uplink.tmst + 1000 * slot.window.delay_ms) % TMST_END,
                slot.window.frequency_hz,
                slot.window.data_rate,
                self._concentrators.power_dbm(uplink.gateway_id, slot.emission.band),
                phy,
            )
        )

    def transmitted(self, token: int, result: TxResult, now_ms: int, power_dbm: int | None) -> None:
        """Take what a concentrator said of a frame; `power_dbm` is what it can send with, where it says so."""
        given = self._given.get(token)
        if given is None:
            return
        concentrator = self._concentrators.find(given.slot.copy.uplink.gateway_id)
        if concentrator is None:
            return
        if power_dbm is not None:
            concentrator.power_dbm[given.slot.emission.band] = power_dbm
        if result is TxResult.OK:
            concentrator.accepted(self._lead_ms)
            return
        del self._given[token]
        self._counters.downlinks_refused += 1
        concentrator.refused(token, now_ms, result is TxResult.TOO_LATE)
        self._learn(concentrator, given.slot, result, power_dbm)
        given.ended(False, now_ms)

    def _learn(self, concentrator: Concentrator, slot: Slot, result: TxResult, power_dbm: int | None) -> None:
        band = slot.emission.band
        if result is TxResult.TX_FREQ:
            concentrator.refused_hz.add(slot.window.frequency_hz)
        elif result is TxResult.TX_POWER and power_dbm is None:
            used_dbm = self._concentrators.power_dbm(concentrator.gateway_id, band)
            concentrator.power_dbm[band] = max(0, used_dbm - _POWER_STEP_DB)
        elif result is TxResult.UNREACHABLE:
            concentrator.reached_ms = None

    def _on_air(self, token: int, now_ms: int) -> None:
        given = self._given.pop(token, None)
        if given is None:
            return
        concentrator = self._concentrators.find(given.slot.copy.uplink.gateway_id)
        if concentrator is not None:
            concentrator.sent(token)
        given.ended(True, now_ms)

    def _candidates(self, opportunity: Opportunity, window: Window, now_ms: int) -> list[tuple[Copy, Concentrator]]:
        found: list[tuple[Copy, Concentrator]] = []
        for copy in opportunity.reception.by_quality:
            concentrator = self._concentrators.find(copy.uplink.gateway_id)
            if concentrator is None or (concentrator.gateway_id, window.number) in opportunity.tried:
                continue
            if now_ms <= copy.heard_ms + window.delay_ms - concentrator.lead_ms:
                found.append((copy, concentrator))
        return sorted(found, key=lambda one: one[1].is_failing(now_ms))
