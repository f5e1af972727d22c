"""Between the cell and the rail of the chips: a switching regulator (power is kept) or a linear one (current is)."""

from __future__ import annotations

from dataclasses import dataclass

SWITCHING, LINEAR = "switching", "linear"
KINDS = (SWITCHING, LINEAR)


@dataclass(frozen=True)
class RegulatorSpec:
    """Constants of a regulator.

    Defaults: TI TPS63900 buck-boost (SLVSET3): 75 nA quiescent, 1.8 to 5.5 V in, over 90 % from 10 uA of load on.

    Attributes:
        efficiency: of a switching regulator, at any load.
        quiescent_a: its own current, from the cell.
        minimum_input_v: below it the output collapses (undervoltage lock-out).
        dropout_v: what a linear one needs above its output.
    """

    kind: str = SWITCHING
    output_v: float = 3.3
    efficiency: float = 0.90
    quiescent_a: float = 75e-9
    minimum_input_v: float = 1.8
    dropout_v: float = 0.15

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"regulator kind {self.kind!r}: valid are {', '.join(KINDS)}")
        if not 0.0 < self.efficiency <= 1.0:
            raise ValueError(f"regulator efficiency {self.efficiency}: a share of 1 expected")

    def input_a(self, output_a: float, input_v: float) -> float:
        """Current from the cell at `input_v` for a load at the output."""
        if self.kind == LINEAR:
            return output_a + self.quiescent_a
        return output_a * self.output_v / (self.efficiency * max(input_v, self.minimum_input_v)) + self.quiescent_a

    def rail_v(self, input_v: float) -> float:
        """Voltage of the rail."""
        if input_v < self.minimum_input_v:
            return 0.0
        return min(self.output_v, input_v - self.dropout_v) if self.kind == LINEAR else self.output_v

    def lowest_input_v(self, rail_v: float) -> float:
        """Smallest input at which the rail still has `rail_v`."""
        return max(self.minimum_input_v, rail_v + self.dropout_v) if self.kind == LINEAR else self.minimum_input_v
