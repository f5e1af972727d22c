"""Faults of a scenario that overlap (the longest one counts), and those that outlast the run."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cli_bench
import pytest
from lora_bench import ManualClock

from pave_emulator import fault_list
from pave_emulator.clock import VirtualClock
from pave_emulator.fault_list import FAULTS
from pave_emulator.faults import FleetFaults
from pave_emulator.roster import assemble
from pave_emulator.scenario.load import load
from pave_emulator.session import Session, Setting
from pave_emulator.trace import POWER, Record, Trace
from pave_emulator.virtual_loop import VirtualLoop

WORDS = {"device": "s1", "bus": "i2c0", "s": 20.0, "share": 0.5, "operation": 1}
LASTING = sorted(name for name in FAULTS if "s" in FAULTS[name] and hasattr(FleetFaults, name))


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


def test_a_shorter_cut_after_a_longer_one_does_not_end_with_it() -> None:
    clock, said = ManualClock(), []
    device = SimpleNamespace(power_cut=lambda: None, power_on=lambda: said.append(clock.now_s()))
    faults = FleetFaults(cast(Any, SimpleNamespace(clock=clock, device=lambda _name: device)))
    faults.power_cut("d", 10.0)
    faults.power_cut("d", 10.0)
    clock.run_until(10.0)
    faults.power_cut("d", 0.0)
    clock.run_until(30.0)
    assert said == [10.0, 10.0]


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_outlasts_the_run_ends_with_it(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scenario = load(cli_bench.write_site(tmp_path))
    after: list[Record] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        trace, setting = Trace(), Setting(tmp_path / "w")
        session = Session(scenario, assemble(scenario, [], tmp_path / "w"), VirtualClock(loop), setting, trace, print)
        await session.start()
        await asyncio.sleep(1)
        fault_list.do(session, name, {key: value for key, value in WORDS.items() if key in FAULTS[name]})
        await asyncio.sleep(1)
        await session.stop()
        trace.subscribers.append(after.append)
        await asyncio.sleep(100)

    with caplog.at_level(logging.ERROR), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    assert not caplog.records  # asyncio logs what a callback raises
    assert not [record for record in after if record.kind == POWER]


def test_a_device_whose_power_is_cut_while_it_boots_draws_nothing_after(tmp_path: Path) -> None:
    scenario = load(cli_bench.write_site(tmp_path))

    async def run() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        roster = assemble(scenario, [], tmp_path / "w")
        session = Session(scenario, roster, VirtualClock(loop), Setting(tmp_path / "w"), Trace(), print)
        await session.start()
        await asyncio.sleep(0.01)
        device = session.fleet.device("s1")
        session.faults.power_cut("s1", 3600.0)
        assert device.meter
        before_c = device.meter.snapshot().total_c
        await asyncio.sleep(60)
        after_c = device.meter.snapshot().total_c
        await session.stop()
        return after_c - before_c

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(run()) == 0.0
