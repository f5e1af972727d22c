"""A bobbin lithium thionyl chloride D cell: voltage under load, capacity, passivation, self-discharge.

Theory of operation. The terminal voltage is an open-circuit voltage, flat until the cell is nearly empty, less what
three resistances in series take: the ohmic one (electrolyte and cathode), a polarisation that builds up over seconds
(why the cell gives 400 mA for 0.1 s and not for 10 s), and the passive film of lithium chloride on the anode. The film
grows at rest with the square root of time and is broken by the charge that passes. Both together, for the film's age a
in seconds of rest at 20 C: da/dt = k(T) - 2 a i / Q, which has a closed form while the current i is constant; the
film's resistance is R_year sqrt(a / year).

Depth of discharge advances by charge over the capacity at the present mean current and temperature, and by
self-discharge, a share of the fresh capacity per year.

Sources. LINDEN: Linden's Handbook of Batteries, 4th ed., figure 14.17 (high-capacity D bobbin cell, 25 C): continuous
drain in mA and delivered Ah 35: 7, 20: 13.5, 4: 19.0, 2: 18.8, 1: 18.4, 0.2: 17. The three low-rate figures contain
the self-discharge of the 1 to 10 years the test stands for: 0.8 % a year at 20 C (manufacturers: less than 1 %) on
19 Ah gives them back within 0.3 Ah, and the tests hold the model to that. SAFT: LS 33600 datasheet: 17 Ah at 5 mA and
20 C to 2.0 V, 3.67 V open circuit, 250 mA continuous, pulses to 400 mA (0.1 s above 3.0 V). EVE: ER34615: 19 Ah at
2 mA to 2.0 V. Passivation in words: Eichinger 1980 (recovery takes seconds to hours), Electrochem's Lithium Facts 5
(below 3.0 V for an extended time when heavy). Everything marked estimate was found in no printed table; the
sensitivity of a projection tells what it matters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

YEAR_S = 365.25 * 86400
Table = tuple[tuple[float, float], ...]

SHELF_YEARS = 20.0  # manufacturers' claims end here
DRAIN_TAU_S = 3600.0  # over how long the current is averaged to choose the capacity: pulses do not make a high rate


@dataclass(frozen=True)
class CellSpec:
    """Constants of a cell type; tables are interpolated linearly and end flat.

    Attributes:
        capacity_ah: (continuous drain in A, Ah to the end voltage) at 25 C without self-discharge.
        capacity_at: (C, share of it) at low rate; estimate after manufacturers' curves at 1 to 2 mA.
        self_discharge_per_year: share of the fresh capacity, 20 C.
        self_discharge_doubling_k: temperature step that doubles it and the film's growth; estimate (Arrhenius).
        open_circuit_v: (depth, V); the knee is an estimate.
        ohmic_ohm: fresh, 20 C: SAFT's pulse, less the polarisation that 0.1 s builds up.
        polarisation_ohm: adds to it after `polarisation_tau_s`; estimate from LINDEN's plateaus at 20 and 35 mA.
        resistance_at: (C, factor) on both; estimate from figure 14.17b's spread at 20 mA.
        resistance_depth: (depth, factor) on both; estimate.
        film_ohm: of the film after a year at rest at 20 C; estimate.
        film_break_c: charge that thins it by 1/e; estimate (Tadiran and Saft advise some 5 C to depassivate a D cell).
        end_v: where the datasheet's capacity ends.
    """

    name: str
    capacity_ah: Table
    capacity_at: Table = ((-40.0, 0.60), (-20.0, 0.82), (0.0, 0.93), (25.0, 1.0), (35.0, 0.99), (55.0, 0.95))
    self_discharge_per_year: float = 0.008
    self_discharge_doubling_k: float = 12.0
    open_circuit_v: Table = ((0.0, 3.67), (0.90, 3.65), (0.96, 3.55), (0.99, 3.2), (1.0, 2.0))
    ohmic_ohm: float = 1.5
    polarisation_ohm: float = 5.0
    polarisation_tau_s: float = 5.0
    resistance_at: Table = ((-40.0, 4.0), (-20.0, 2.4), (0.0, 1.5), (20.0, 1.0), (40.0, 0.8), (60.0, 0.7))
    resistance_depth: Table = ((0.0, 1.0), (0.5, 1.2), (0.8, 1.7), (0.95, 3.0), (1.0, 6.0))
    film_ohm: float = 8.0
    film_break_c: float = 1.0
    end_v: float = 2.0

    def capacity_c(self, drain_a: float, temperature_c: float) -> float:
        """Charge to the end voltage at a continuous drain, without self-discharge, C."""
        return 3600 * interpolate(self.capacity_ah, drain_a) * interpolate(self.capacity_at, temperature_c)

    @property
    def nominal_c(self) -> float:
        """Largest capacity of the table, C: what self-discharge is a share of."""
        return 3600 * max(ah for _, ah in self.capacity_ah)

    def ageing(self, temperature_c: float) -> float:
        """How much faster than at 20 C the film grows and charge is lost."""
        return 2 ** ((temperature_c - 20.0) / self.self_discharge_doubling_k)

    def self_discharge(self, temperature_c: float) -> float:
        """Share of the fresh capacity lost per year."""
        return self.self_discharge_per_year * self.ageing(temperature_c)


_LINDEN = ((4e-3, 19.0), (20e-3, 13.5), (35e-3, 7.0), (100e-3, 3.0), (250e-3, 1.0))  # past 35 mA: estimate
_SAFT = ((5e-3, 17.0), (20e-3, 13.5), (35e-3, 11.0), (100e-3, 6.0), (250e-3, 2.0))  # past 5 mA: estimate
CELLS = {
    "TL-5930": CellSpec("TL-5930", _LINDEN),
    "ER34615": CellSpec("ER34615", _LINDEN),
    "LS33600": CellSpec("LS33600", _SAFT),
}


class Cell:
    """The state of one cell. Time is advanced by whoever knows the current (`Supply`)."""

    def __init__(self, spec: CellSpec, depth: float = 0.0, rested_s: float = YEAR_S) -> None:
        """`depth` of discharge (0 to 1) and the rest at 20 C before it was fitted."""
        self.spec = spec
        self.depth = depth
        self.polarisation_v = 0.0
        self._film_age_s = rested_s
        self._drain_a = 0.0

    def open_circuit_v(self) -> float:
        """Without load and polarisation."""
        return interpolate(self.spec.open_circuit_v, self.depth)

    def film_ohm(self) -> float:
        """Resistance of the passive film now."""
        return self.spec.film_ohm * math.sqrt(self._film_age_s / YEAR_S)

    def instant_ohm(self, temperature_c: float) -> float:
        """What a sudden load sees: ohmic and film."""
        return self.spec.ohmic_ohm * self._factor(temperature_c) + self.film_ohm()

    def polarisation_ohm(self, temperature_c: float) -> float:
        """What comes in addition when a load stays."""
        return self.spec.polarisation_ohm * self._factor(temperature_c)

    def advance(self, current_a: float, seconds: float, temperature_c: float) -> None:
        """Give `current_a`, constant, for `seconds`."""
        spec = self.spec
        settled = math.exp(-seconds / spec.polarisation_tau_s)
        target_v = current_a * self.polarisation_ohm(temperature_c)
        self.polarisation_v = target_v + (self.polarisation_v - target_v) * settled
        self._age_film(current_a, seconds, temperature_c)
        self._drain_a = current_a + (self._drain_a - current_a) * math.exp(-seconds / DRAIN_TAU_S)
        drawn = current_a * seconds / spec.capacity_c(self._drain_a, temperature_c)
        self.depth = min(1.0, self.depth + drawn + spec.self_discharge(temperature_c) * seconds / YEAR_S)

    def _age_film(self, current_a: float, seconds: float, temperature_c: float) -> None:
        growth = self.spec.ageing(temperature_c)
        rate = 2 * current_a / self.spec.film_break_c
        if rate * seconds < 1e-9:
            self._film_age_s += growth * seconds
            return
        settled = growth / rate
        self._film_age_s = settled + (self._film_age_s - settled) * math.exp(-rate * seconds)

    def _factor(self, temperature_c: float) -> float:
        at, depth = (
            interpolate(self.spec.resistance_at, temperature_c),
            interpolate(self.spec.resistance_depth, self.depth),
        )
        return at * depth


def interpolate(table: Table, x: float) -> float:
    """Value at `x`, linear between the points, constant outside."""
    x0, y0 = table[0]
    if x <= x0:
        return y0
    for x1, y1 in table[1:]:
        if x < x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        x0, y0 = x1, y1
    return y0
