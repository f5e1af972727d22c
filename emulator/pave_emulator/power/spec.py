"""The `[power]` table of a board file, and the currents of its `[mcu]` table.

`[power]`: cell (a name of CELLS), capacitor (of CAPACITORS; left out: the cell alone), regulator (a table of
RegulatorSpec's fields, quiescent in uA), divider_ua (the battery ADC's divider, straight on the cell), brown_out_v.
`[mcu]`: currents_ua, a table of states over what the cost table says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pave_emulator.nearest import hint
from pave_emulator.power.capacitor import CAPACITORS
from pave_emulator.power.cell import CELLS
from pave_emulator.power.costs import Costs
from pave_emulator.power.regulator import KINDS, RegulatorSpec
from pave_emulator.power.supply import BROWN_OUT_V, SupplySpec

POWER_KEYS = ("cell", "capacitor", "regulator", "divider_ua", "brown_out_v")
REGULATOR_KEYS = ("kind", "output_v", "efficiency", "quiescent_ua", "minimum_input_v", "dropout_v")
MCU_STATES = ("active", "idle", "light_sleep", "deep_sleep", "wifi_tx", "wifi_rx")


class PowerError(ValueError):
    """A `[power]` or `[mcu]` table that cannot be right; names the key and the nearest valid word."""


@dataclass(frozen=True)
class PowerSpec:
    """What a board file says of its battery. `divider_a` hangs on the rail "cell" all the time."""

    supply: SupplySpec
    divider_a: float = 0.0


def read_power(table: Mapping[str, Any]) -> PowerSpec:
    """From the `[power]` table. Raise PowerError."""
    _known(table, POWER_KEYS, "[power]: key")
    _known([table.get("cell", "")], CELLS, "[power]: cell")
    capacitor = table.get("capacitor")
    if capacitor is not None:
        _known([capacitor], CAPACITORS, "[power]: capacitor")
    supply = SupplySpec(
        CELLS[table["cell"]],
        CAPACITORS[capacitor] if capacitor is not None else None,
        _regulator(table.get("regulator", {})),
        _number(table, "brown_out_v", BROWN_OUT_V),
    )
    return PowerSpec(supply, _number(table, "divider_ua", 0.0) * 1e-6)


def read_mcu_currents(table: Mapping[str, Any], costs: Costs, mhz: int) -> dict[str, float]:
    """Currents of the microcontroller's states in A: the table's `currents_ua` over what `costs` says at `mhz`."""
    given = table.get("currents_ua", {})
    _known(given, MCU_STATES, "[mcu]: current")
    typical = {
        "active": costs.active_a(mhz),
        "idle": costs.idle_a(mhz),
        "light_sleep": costs.light_sleep_a,
        "deep_sleep": costs.deep_sleep_rtc_a,
        "wifi_tx": costs.wifi_tx_n_a,
        "wifi_rx": costs.wifi_rx_a,
    }
    return typical | {state: _number(given, state, 0.0) * 1e-6 for state in given}


def _regulator(table: Mapping[str, Any]) -> RegulatorSpec:
    _known(table, REGULATOR_KEYS, "[power]: regulator key")
    default = RegulatorSpec()
    kind = table.get("kind", default.kind)
    _known([kind], KINDS, "[power]: regulator kind")
    try:
        return RegulatorSpec(
            kind,
            _number(table, "output_v", default.output_v),
            _number(table, "efficiency", default.efficiency),
            _number(table, "quiescent_ua", default.quiescent_a * 1e6) * 1e-6,
            _number(table, "minimum_input_v", default.minimum_input_v),
            _number(table, "dropout_v", default.dropout_v),
        )
    except PowerError:
        raise
    except ValueError as error:
        raise PowerError(f"[power]: {error}") from error


def _number(table: Mapping[str, Any], key: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise PowerError(f"{key} = {value!r}: a number of at least 0 expected")
    return float(value)


def _known(words: Iterable[str], valid: Iterable[str], what: str) -> None:
    names = list(valid)
    for word in words:
        if word not in names:
            raise PowerError(f"{what} {word!r} is unknown: {hint(str(word), names)}")
