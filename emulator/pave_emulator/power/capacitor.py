"""The capacitor beside the cell that carries the pulses: a hybrid-layer capacitor of lithium intercalation electrodes.

It is taken as a linear capacitance in series with a resistance, with a constant leakage. Sources: Long Sing drawings
P101001460 and P101001480 as quoted in a public change log: HPC1520 150 mAh and at least 3.35 V into 5 ohm, HPC1550
350 mAh and at least 3.45 V into 5 ohm. Capacitance: that charge between 3.67 V and 2.5 V, the range in which the
manufacturers (EVE, Tadiran) give it. Resistance: (3.67 V - V) * 5 ohm / V, so the most it can be. Leakage: estimate;
they promise a few uA after a week at voltage.
"""

from __future__ import annotations

from dataclasses import dataclass

FULL_V, EMPTY_V = 3.67, 2.5


@dataclass(frozen=True)
class CapacitorSpec:
    """Constants of a capacitor: F, ohm (series), A (leakage)."""

    name: str
    capacitance_f: float
    esr_ohm: float
    leakage_a: float


def _hybrid(name: str, capacity_ah: float, loaded_v: float, leakage_a: float) -> CapacitorSpec:
    esr_ohm = (FULL_V - loaded_v) * 5.0 / loaded_v
    return CapacitorSpec(name, 3600 * capacity_ah / (FULL_V - EMPTY_V), esr_ohm, leakage_a)


CAPACITORS = {
    "HPC1520": _hybrid("HPC1520", 0.150, 3.35, 2e-6),
    "HPC1550": _hybrid("HPC1550", 0.350, 3.45, 5e-6),
}
