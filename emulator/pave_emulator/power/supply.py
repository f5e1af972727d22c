"""A board's battery: what its ADC measures, and when the board browns out.

Theory of operation. Loads change many times in a wake, and a small load does not need the network solved at each
change. So charge is only summed while a load of this size could not brown out before it is looked at again: one sum up
to the last rise of the load, one from there. The network is advanced by these two means when somebody asks for a
voltage, when a load comes that could brown out, and every half hour. The means miss the sag within a pulse, which makes
the cell's charge up to 1 % too small; the ledger's own sums do not pass through here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.power.capacitor import CapacitorSpec
from pave_emulator.power.cell import Cell, CellSpec
from pave_emulator.power.network import Load, Network
from pave_emulator.power.regulator import RegulatorSpec

CELL_RAIL = "cell"  # what hangs on it draws past the regulator
BROWN_OUT_V = 2.44  # ESP-IDF, ESP_BROWNOUT_DET_LVL_SEL_7 of the ESP32-S3, the default
LOOK_S = 0.02  # how often at most a load that could brown out is looked at
RISE = 5.0  # a load so many times the last one begins a pulse
OLDEST_S = 1800.0  # charge that waits longer is taken at the next change of the load
SAFETY = 0.8  # share of what the cell can give for ever that is trusted until the network is next advanced
SPARE = 0.5  # share of the capacitor's headroom that a load may use up meanwhile


@dataclass(frozen=True)
class SupplySpec:
    """A battery supply. `capacitor` None: the cell alone. `brown_out_v` is the rail's voltage that resets."""

    cell: CellSpec
    capacitor: CapacitorSpec | None
    regulator: RegulatorSpec
    brown_out_v: float = BROWN_OUT_V


class _Pending:
    """Charge not yet taken from the network, with its time."""

    __slots__ = ("direct_c", "regulated_c", "seconds")

    def __init__(self) -> None:
        self.seconds = self.regulated_c = self.direct_c = 0.0

    def add(self, seconds: float, regulated_c: float, direct_c: float) -> None:
        self.seconds += seconds
        self.regulated_c += regulated_c
        self.direct_c += direct_c

    def take(self) -> tuple[float, float, float]:
        taken = (self.seconds, self.regulated_c, self.direct_c)
        self.seconds = self.regulated_c = self.direct_c = 0.0
        return taken


class Supply:
    """The battery of one board. `load` is what a ledger's `on_load` wants."""

    def __init__(
        self,
        spec: SupplySpec,
        temperature_c: Callable[[float], float] = lambda _now_s: 20.0,
        on_brown_out: Callable[[float], None] | None = None,
        now_s: float = 0.0,
        cell: Cell | None = None,
    ) -> None:
        """`cell` None: a fresh one that has rested a year. `on_brown_out` is called with the time, once per dip."""
        self.spec = spec
        self.cell = cell or Cell(spec.cell)
        self._network = Network(self.cell, spec.capacitor, spec.regulator)
        self._temperature_c = temperature_c
        self._on_brown_out = on_brown_out
        self._now_s = now_s
        self._load = Load()
        self._past, self._recent = _Pending(), _Pending()
        self._below = False
        self._trusted = self._trusted_a()

    def load(self, now_s: float, by_rail: dict[str, float]) -> None:
        """From `now_s` on the rails draw these currents (A). Raise ValueError when time goes back."""
        self._pass(now_s)
        direct_a = by_rail.get(CELL_RAIL, 0.0)
        last, self._load = self._load, Load(sum(by_rail.values()) - direct_a, direct_a)
        if self._load.regulated_a > RISE * last.regulated_a:
            self._past.add(*self._recent.take())
        if self._risky() or self._past.seconds + self._recent.seconds > OLDEST_S:
            self.advance(now_s)

    def advance(self, now_s: float) -> None:
        """Bring the network to `now_s`; report a brown-out."""
        self._pass(now_s)
        temperature_c = self._temperature_c(now_s)
        for pending in (self._past, self._recent):
            seconds, regulated_c, direct_c = pending.take()
            if seconds > 0.0:
                self._network.run(Load(regulated_c / seconds, direct_c / seconds), seconds, temperature_c)
        self._trusted = self._trusted_a()
        below = self.spec.regulator.rail_v(self._volts()) < self.spec.brown_out_v
        dipped, self._below = below and not self._below, below
        if dipped and self._on_brown_out:
            self._on_brown_out(now_s)

    def voltage_v(self, now_s: float) -> float:
        """Voltage of the battery under its present load: what an ADC behind a divider sees."""
        self.advance(now_s)
        return self._volts()

    def rail_v(self, now_s: float) -> float:
        """Voltage of the regulated rail."""
        return self.spec.regulator.rail_v(self.voltage_v(now_s))

    def capacitor_v(self, now_s: float) -> float:
        """Voltage across the capacitor itself (without one: what it would be charged to)."""
        self.advance(now_s)
        return self._network.capacitor_v

    def given_c(self, now_s: float) -> float:
        """Charge the cell has given since the supply was made, C."""
        self.advance(now_s)
        return self._network.given_c

    def next_event_s(self) -> float | None:
        """When to call `advance` next because the load may brown out; None while it cannot, however long it lasts."""
        if self._below or not self._risky():
            return None
        volts, amps = self._network.node(self._load, self._temperature_c(self._now_s))
        capacitor = self.spec.capacitor
        if capacitor:
            fall_v_per_s = amps / capacitor.capacitance_f
        else:
            ohm = self.cell.polarisation_ohm(self._temperature_c(self._now_s))
            fall_v_per_s = amps * ohm / self.cell.spec.polarisation_tau_s
        return self._now_s + max(LOOK_S, 0.25 * (volts - self._lowest_v()) / fall_v_per_s)

    def _pass(self, now_s: float) -> None:
        seconds = now_s - self._now_s
        if seconds < 0.0:
            raise ValueError(f"time went back from {self._now_s} s to {now_s} s")
        self._recent.add(seconds, self._load.regulated_a * seconds, self._load.direct_a * seconds)
        self._now_s = now_s

    def _volts(self) -> float:
        return self._network.node(self._load, self._temperature_c(self._now_s))[0]

    def _risky(self) -> bool:
        return self._network.load_a(self._load, self._lowest_v()) > self._trusted

    def _trusted_a(self) -> float:
        """Load of the node that cannot brown out before OLDEST_S have passed, A."""
        headroom_v = self.cell.open_circuit_v() - self._lowest_v()
        trusted_a = SAFETY * headroom_v / self._network.lasting_ohm(self._temperature_c(self._now_s))
        capacitor = self.spec.capacitor
        if capacitor is None:
            return trusted_a
        spare_v = SPARE * (self._network.capacitor_v - self._lowest_v())
        return max(trusted_a, 0.5 * min(spare_v * capacitor.capacitance_f / OLDEST_S, spare_v / capacitor.esr_ohm))

    def _lowest_v(self) -> float:
        """Voltage of the node at which the rail reaches `brown_out_v`."""
        return self.spec.regulator.lowest_input_v(self.spec.brown_out_v)
