"""Cell, capacitor and load as one network of two branches at a node.

Theory of operation. The cell is its open-circuit voltage less polarisation behind its ohmic and film resistance, and
takes no current back; the capacitor stands behind its series resistance. A switching regulator's current grows as the
voltage falls, so the node's voltage is found by iteration from above, which ends at the higher of the two solutions or
shows that there is none. Under a constant load time is advanced in steps that begin short and double. Within a step
the capacitor's voltage is the exact exponential, and the polarisation counts as a voltage in short steps and as a
resistance in long ones (weight g, the mean of exp(-t / tau) over the step).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pave_emulator.power.capacitor import CapacitorSpec
from pave_emulator.power.cell import Cell
from pave_emulator.power.regulator import RegulatorSpec

FIRST_STEP_S, LONGEST_STEP_S = 0.25, 3600.0
SOLVED_V = 1e-5
LONG = 100.0  # polarisation time constants after which a step is quasi-static


@dataclass(frozen=True)
class Load:
    """Currents in A: behind the regulator, and straight on the node."""

    regulated_a: float = 0.0
    direct_a: float = 0.0


class Network:
    """The state of cell and capacitor; `given_c` is what the cell has given (C)."""

    def __init__(self, cell: Cell, capacitor: CapacitorSpec | None, regulator: RegulatorSpec) -> None:
        """The capacitor is charged to the cell's open-circuit voltage."""
        self.cell = cell
        self.capacitor = capacitor
        self.regulator = regulator
        self.capacitor_v = cell.open_circuit_v()
        self.given_c = 0.0

    def node(self, load: Load, temperature_c: float) -> tuple[float, float]:
        """Voltage of the node (V, 0 when the load cannot be carried) and current into the load (A)."""
        volts = no_load_v = self._loaded_v(0.0, temperature_c)
        while True:
            amps = self.load_a(load, volts)
            solved_v = self._loaded_v(amps, temperature_c)
            if volts - solved_v < SOLVED_V or solved_v <= 0.0:
                return max(0.0, min(solved_v, no_load_v)), amps
            volts = solved_v

    def load_a(self, load: Load, volts: float) -> float:
        """What the load takes from the node at this voltage, A."""
        return load.direct_a + self.regulator.input_a(load.regulated_a, volts)

    def lasting_ohm(self, temperature_c: float) -> float:
        """Resistance of the cell to a load that stays."""
        return self.cell.instant_ohm(temperature_c) + self.cell.polarisation_ohm(temperature_c)

    def run(self, load: Load, seconds: float, temperature_c: float) -> None:
        """Advance under a constant load."""
        step_s = FIRST_STEP_S
        while seconds > 0.0:
            this_s = min(step_s, seconds)
            self._step(load, this_s, temperature_c)
            seconds -= this_s
            step_s = min(2 * step_s, LONGEST_STEP_S)

    def _loaded_v(self, amps: float, temperature_c: float) -> float:
        cell_v = self.cell.open_circuit_v() - self.cell.polarisation_v
        cell_ohm = self.cell.instant_ohm(temperature_c)
        if self.capacitor is None:
            return cell_v - amps * cell_ohm
        alone_v = self.capacitor_v - amps * self.capacitor.esr_ohm
        if alone_v >= cell_v:
            return alone_v
        return (cell_v * self.capacitor.esr_ohm + alone_v * cell_ohm) / (cell_ohm + self.capacitor.esr_ohm)

    def _step(self, load: Load, seconds: float, temperature_c: float) -> None:
        amps = self.node(load, temperature_c)[1]
        x = seconds / self.cell.spec.polarisation_tau_s
        weight = -math.expm1(-x) / x if x < LONG else 1 / x
        cell_v = self.cell.open_circuit_v() - self.cell.polarisation_v * weight
        cell_ohm = self.cell.instant_ohm(temperature_c) + self.cell.polarisation_ohm(temperature_c) * (1 - weight)
        if self.capacitor is None:
            cell_a = max(0.0, min(amps, cell_v / cell_ohm))
        else:
            cell_a = self._share_a(self.capacitor, amps, cell_v, cell_ohm, seconds)
        self.cell.advance(cell_a, seconds, temperature_c)
        self.given_c += cell_a * seconds

    def _share_a(self, capacitor: CapacitorSpec, amps: float, cell_v: float, cell_ohm: float, seconds: float) -> float:
        """Mean current of the cell over a step; moves the capacitor's voltage."""
        out_a = amps + capacitor.leakage_a
        start_v, settled_v = self.capacitor_v, cell_v - out_a * cell_ohm
        if start_v - amps * capacitor.esr_ohm > cell_v:  # the capacitor alone, until a later step
            self.capacitor_v = max(settled_v, start_v - out_a * seconds / capacitor.capacitance_f)
            return 0.0
        tau_s = capacitor.capacitance_f * (cell_ohm + capacitor.esr_ohm)
        self.capacitor_v = settled_v + (start_v - settled_v) * math.exp(-seconds / tau_s)
        gained_c = capacitor.capacitance_f * (self.capacitor_v - start_v)
        return max(0.0, out_a + gained_c / seconds)
