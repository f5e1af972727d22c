"""Whoever transmits in 863 to 870 MHz is watched: duty cycle over a rolling hour, power, band.

Violations are faults in the trace and counted; nothing is prevented, as in the street.

Sources: ETSI EN 300 220-2 V3.2.1 annex B table B.1 (bands K to Q, ERC Recommendation 70-03 annex 1), duty cycle over
one hour as EN 300 220-1 V3.1.1 section 4.2.1 defines it; 25 mW ERP is 14 dBm. EU868 has no dwell limit (RP002-1.0.4
section 2.4).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pave_emulator import trace as traces
from pave_emulator.air.radio import Modulation
from pave_emulator.trace import Trace

OBSERVATION_S = 3600.0


@dataclass(frozen=True)
class SubBand:
    """A part of the spectrum with its rules.

    Attributes:
        name: as ETSI has it.
        low_hz, high_hz: the whole signal must lie between.
        duty_cycle: part of an hour.
        max_erp_dbm: effective radiated power.
    """

    name: str
    low_hz: int
    high_hz: int
    duty_cycle: float
    max_erp_dbm: float


EU868 = (
    SubBand("K", 863_000_000, 865_000_000, 0.001, 14.0),
    SubBand("L", 865_000_000, 868_000_000, 0.01, 14.0),
    SubBand("M", 868_000_000, 868_600_000, 0.01, 14.0),
    SubBand("N", 868_700_000, 869_200_000, 0.001, 14.0),
    SubBand("P", 869_400_000, 869_650_000, 0.1, 27.0),
    SubBand("Q", 869_700_000, 870_000_000, 0.01, 14.0),
)


class Police:
    """Watches all transmitters of a run. `violations` counts by device and rule."""

    def __init__(self, trace: Trace, sub_bands: tuple[SubBand, ...] = EU868) -> None:
        self._trace = trace
        self._sub_bands = sub_bands
        self._on_air: dict[tuple[str, str], deque[tuple[float, float]]] = {}
        self.violations: dict[tuple[str, str], int] = {}

    def observe(self, device: str, modulation: Modulation, erp_dbm: float, start_s: float, end_s: float) -> None:
        """A device transmits from `start_s` to `end_s`."""
        band = self._sub_band(modulation)
        if band is None:
            self._fault(device, "band", start_s, frequency_hz=modulation.frequency_hz, bw_hz=modulation.bandwidth_hz)
            return
        if erp_dbm > band.max_erp_dbm + 0.05:
            self._fault(device, "erp", start_s, band=band.name, erp_dbm=round(erp_dbm, 1), limit_dbm=band.max_erp_dbm)
        used_s = self._account(device, band, start_s, end_s)
        limit_s = band.duty_cycle * OBSERVATION_S
        if used_s > limit_s + 1e-9:
            self._fault(device, "duty_cycle", start_s, band=band.name, on_s=round(used_s, 6), limit_s=limit_s)

    def on_air_s(self, device: str, band: str, now_s: float) -> float:
        """How long a device has sent in a sub-band within the hour before `now_s`."""
        since_s = now_s - OBSERVATION_S
        sent = self._on_air.get((device, band), ())
        return sum(max(0.0, min(end_s, now_s) - max(start_s, since_s)) for start_s, end_s in sent)

    def _account(self, device: str, band: SubBand, start_s: float, end_s: float) -> float:
        sent = self._on_air.setdefault((device, band.name), deque())
        while sent and sent[0][1] <= start_s - OBSERVATION_S:
            sent.popleft()
        sent.append((start_s, end_s))
        return self.on_air_s(device, band.name, end_s)

    def _sub_band(self, modulation: Modulation) -> SubBand | None:
        low_hz = modulation.frequency_hz - modulation.bandwidth_hz / 2
        high_hz = modulation.frequency_hz + modulation.bandwidth_hz / 2
        return next((b for b in self._sub_bands if b.low_hz <= low_hz and high_hz <= b.high_hz), None)

    def _fault(self, device: str, rule: str, now_s: float, **fields: object) -> None:
        self.violations[device, rule] = self.violations.get((device, rule), 0) + 1
        self._trace.record(now_s, device, traces.FAULT, what=f"radio {rule}", **fields)
