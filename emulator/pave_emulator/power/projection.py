"""How long one cell lasts if every day is like the span the ledger has seen, and which constant that hangs on most.

Theory of operation. Each entry of the ledger becomes a mean current at the cell (through the regulator, at the cell's
working voltage). The cell's depth then advances each year by mean current over capacity, averaged over a year's
temperatures, and by self-discharge; it is spent when only the reserve is left. For the sensitivity each constant is
taken at half and at one and a half times its value, the others staying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pave_emulator.power.cell import SHELF_YEARS, YEAR_S, CellSpec
from pave_emulator.power.ledger import POWER_ON, SLEEP, Snapshot
from pave_emulator.power.regulator import LINEAR, RegulatorSpec
from pave_emulator.power.supply import CELL_RAIL, SupplySpec

WORKING_V = 3.6  # nominal voltage of the chemistry
LOW, HIGH = 0.5, 1.5
C_PER_MAH = 3.6
DAY_S = 86400.0
ACTIVE = ("mcu", "active")  # consumer and state in which code runs
# Share of a year at each temperature in C, for a box in a street of Paris: estimate, -10 to 35 C, mean 14 C.
STREET = ((-10.0, 0.01), (0.0, 0.12), (8.0, 0.28), (16.0, 0.30), (24.0, 0.20), (30.0, 0.07), (35.0, 0.02))


@dataclass(frozen=True)
class Part:
    """A mean current at the cell, A, of one consumer in one state for one cause."""

    consumer: str
    state: str
    cause: str
    current_a: float


@dataclass(frozen=True)
class Model:
    """Everything the years depend on. `capacity` scales the cell's; `reserve` is the share of it never used."""

    parts: tuple[Part, ...]
    cell: CellSpec
    regulator: RegulatorSpec
    leakage_a: float
    climate: tuple[tuple[float, float], ...]
    reserve: float
    capacity: float = 1.0
    self_discharge: float = 1.0

    def current_a(self) -> float:
        """Mean current of the cell."""
        return sum(part.current_a for part in self.parts) + self.regulator.quiescent_a + self.leakage_a

    def years(self) -> float:
        """Until the cell is at its reserve."""
        return (1.0 - self.reserve) / (self.spent_per_year() + self.lost_per_year())

    def spent_per_year(self) -> float:
        """Share of the capacity that is used in a year."""
        amps = self.current_a()
        share = sum(w * amps / self.cell.capacity_c(amps, temperature_c) for temperature_c, w in self.climate)
        return share * YEAR_S / self.capacity

    def lost_per_year(self) -> float:
        """Share that discharges itself."""
        return self.self_discharge * sum(
            w * self.cell.self_discharge(temperature_c) for temperature_c, w in self.climate
        )


@dataclass(frozen=True)
class Swing:
    """Years with a constant at half (`low_years`) and at one and a half times its value."""

    constant: str
    low_years: float
    high_years: float

    @property
    def width(self) -> float:
        """How far apart they are."""
        return abs(self.high_years - self.low_years)


@dataclass(frozen=True)
class WakeCost:
    """What the wakes of one cause cost at the cell."""

    cause: str
    per_day: float
    charge_mc: float  # of one


@dataclass(frozen=True)
class Projection:
    """A day's budget at the cell and the years it leads to. `budget` is in mAh/day by (consumer, state, cause)."""

    days: float
    model: Model
    budget: dict[tuple[str, str, str], float]
    own_mah_per_day: dict[str, float]
    wakes: tuple[WakeCost, ...]
    years: float
    swings: tuple[Swing, ...]
    peak_a: float

    @property
    def mah_per_day(self) -> float:
        """Everything the cell gives or loses in a day."""
        return sum(self.budget.values()) + sum(self.own_mah_per_day.values())

    @property
    def beyond_shelf(self) -> bool:
        """Whether it is more than manufacturers promise for a cell on a shelf."""
        return self.years > SHELF_YEARS

    def by(self, part: int) -> dict[str, float]:
        """mAh/day by consumer (0), state (1) or cause (2), largest first."""
        sums: dict[str, float] = {}
        for key, mah in self.budget.items():
            sums[key[part]] = sums.get(key[part], 0.0) + mah
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def project(
    span: Snapshot,
    supply: SupplySpec,
    climate: tuple[tuple[float, float], ...] = STREET,
    reserve: float = 0.10,
    charged_s: Mapping[str, float] | None = None,
) -> Projection:
    """Project a span of the ledger.

    `charged_s`: seconds of the span that virtual time charged for each constant of `Costs`, spent in the consumer and
    state ACTIVE; each becomes a row of the sensitivity. Raise ValueError for an empty span.
    """
    if span.seconds <= 0.0:
        raise ValueError(f"a span of {span.seconds} s cannot be projected")
    leakage_a = supply.capacitor.leakage_a if supply.capacitor else 0.0
    parts = tuple(
        Part(e.consumer, e.state, e.cause, _at_cell(e.charge_c / span.seconds, e.rail, supply.regulator))
        for e in span.entries
    )
    model = Model(parts, supply.cell, supply.regulator, leakage_a, climate, reserve)
    per_day = DAY_S / C_PER_MAH
    own = {
        "regulator, quiescent": supply.regulator.quiescent_a * per_day,
        "capacitor, leakage": leakage_a * per_day,
        "cell, self-discharge": model.lost_per_year() * supply.cell.nominal_c / YEAR_S * per_day,
    }
    budget = {(p.consumer, p.state, p.cause): p.current_a * per_day for p in parts}
    swings = _swings(model, span, charged_s or {})
    days = span.seconds / DAY_S
    return Projection(days, model, budget, own, _wakes(model, span), model.years(), swings, span.peak_a)


def _at_cell(amps: float, rail: str, regulator: RegulatorSpec) -> float:
    if rail == CELL_RAIL:
        return amps
    return regulator.input_a(amps, WORKING_V) - regulator.quiescent_a


def _wakes(model: Model, span: Snapshot) -> tuple[WakeCost, ...]:
    costs = []
    for cause, count in sorted(span.wakes.items()):
        if count > 0 and cause != SLEEP:
            charge_c = sum(p.current_a for p in model.parts if p.cause == cause) * span.seconds
            costs.append(WakeCost(cause, count * DAY_S / span.seconds, 1e3 * charge_c / count))
    return tuple(sorted(costs, key=lambda wake: -wake.per_day * wake.charge_mc))


def _swings(model: Model, span: Snapshot, charged_s: Mapping[str, float]) -> tuple[Swing, ...]:
    constants: dict[str, Callable[[float], Model]] = {
        "cell: capacity": lambda f: replace(model, capacity=f),
        "cell: self-discharge": lambda f: replace(model, self_discharge=f),
        "cell: reserve": lambda f: replace(model, reserve=f * model.reserve),
        "capacitor: leakage": lambda f: replace(model, leakage_a=f * model.leakage_a),
        "regulator: quiescent": lambda f: replace(
            model, regulator=replace(model.regulator, quiescent_a=f * model.regulator.quiescent_a)
        ),
    }
    if model.regulator.kind != LINEAR:
        constants["regulator: loss"] = lambda f: _with_loss(model, span, f)
    for consumer, state in sorted({(p.consumer, p.state) for p in model.parts}):
        constants[f"{consumer}: {state}"] = _scaler(
            model, lambda p, key=(consumer, state): (p.consumer, p.state) == key
        )
    for cause in sorted({p.cause for p in model.parts} - {SLEEP, POWER_ON}):
        constants[f"cause: {cause}"] = _scaler(model, lambda p, name=cause: p.cause == name)
    active_s = sum(e.seconds for e in span.entries if (e.consumer, e.state) == ACTIVE)
    for name, seconds in sorted(charged_s.items()):
        share = seconds / active_s if active_s else 0.0
        constants[f"cost: {name}"] = _scaler(model, _is_in(*ACTIVE), share)
    swings = [Swing(name, change(LOW).years(), change(HIGH).years()) for name, change in constants.items()]
    return tuple(sorted(swings, key=lambda swing: (-swing.width, swing.constant)))


def _is_in(consumer: str, state: str) -> Callable[[Part], bool]:
    return lambda part: (part.consumer, part.state) == (consumer, state)


def _scaler(model: Model, chosen: Callable[[Part], bool], share: float = 1.0) -> Callable[[float], Model]:
    """A model whose chosen parts have `share` of their current scaled."""

    def scaled(factor: float) -> Model:
        gain = 1.0 + share * (factor - 1.0)
        return replace(
            model,
            parts=tuple(replace(p, current_a=gain * p.current_a) if chosen(p) else p for p in model.parts),
        )

    return scaled


def _with_loss(model: Model, span: Snapshot, factor: float) -> Model:
    """The regulator's loss (1 - efficiency) scaled, on the parts behind it."""
    efficiency = 1.0 - factor * (1.0 - model.regulator.efficiency)
    gain = model.regulator.efficiency / efficiency
    behind = {e.consumer for e in span.entries if e.rail != CELL_RAIL}
    return replace(
        model,
        parts=tuple(replace(p, current_a=gain * p.current_a) if p.consumer in behind else p for p in model.parts),
    )
