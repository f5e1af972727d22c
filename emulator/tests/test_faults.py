"""Faults of a scenario that overlap: the longest one counts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from lora_bench import ManualClock

from pave_emulator.faults import FleetFaults


def test_power_comes_back_when_the_last_of_two_cuts_ends() -> None:
    clock, said = ManualClock(), []
    device = SimpleNamespace(
        power_cut=lambda: said.append(("off", clock.now_s())), power_on=lambda: said.append(("on", clock.now_s()))
    )
    faults = FleetFaults(cast(Any, SimpleNamespace(clock=clock, device=lambda _name: device)))
    faults.power_cut("d", 10.0)
    clock.run_until(5.0)
    faults.power_cut("d", 60.0)
    clock.run_until(7.0)
    faults.power_cut("d", 1.0)
    clock.run_until(200.0)
    assert min(at_s for what, at_s in said if what == "on") == 65.0
