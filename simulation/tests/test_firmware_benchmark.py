"""The benchmark of the firmware: its arithmetic by hand, and that it sees what a device does and fails to do."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks import _firmware_day as days
from benchmarks import _firmware_energy as energy
from benchmarks import _firmware_events as events
from benchmarks import _firmware_heap as heap
from benchmarks import _firmware_images as images
from benchmarks import _firmware_world as world
from benchmarks import firmware
from pave_emulator.power.ledger import Ledger, Snapshot
from simulation.virtual import ROOT


def day(charge_c: float, cause: str = "heartbeat") -> Snapshot:
    """A day of which `charge_c` was drawn for a cause."""
    ledger = Ledger()
    ledger.cause(0.0, cause)
    ledger.draw("mcu", "active", charge_c / world.DAY_S, 0.0)
    return ledger.snapshot(world.DAY_S)


def test_the_shares_of_the_temperatures_are_a_year_and_have_its_mean() -> None:
    weights = energy.shares(energy.TEMPERATURES_C)
    assert sum(weights.values()) == pytest.approx(1.0)
    mean_c = sum(celsius * share for celsius, share in weights.items())
    assert mean_c == pytest.approx(sum(celsius * share for celsius, share in energy.STREET))
    assert energy.shares((15.0,)) == {15.0: pytest.approx(1.0)}


def test_a_mean_day_weights_charge_and_keeps_causes_apart() -> None:
    spans = {-10.0: day(8.0), 15.0: day(4.0), 35.0: day(2.0, "false wake")}
    mean = energy.mean_day(spans, {-10.0: 0.25, 15.0: 0.5, 35.0: 0.25})
    assert mean.total_c == pytest.approx(4.5)
    assert mean.charge_by("cause") == {("false wake",): pytest.approx(0.5), ("heartbeat",): pytest.approx(4.0)}


def test_twice_the_charge_is_fewer_years_and_false_wakes_count_twice() -> None:
    little, much = energy.projected(day(5.0, "false wake")), energy.projected(day(10.0, "false wake"))
    assert much.years < little.years
    assert energy._doubled(little.model).years() == pytest.approx(much.years, rel=0.01)


def test_the_smallest_that_works_is_found_and_none_is_said() -> None:
    sizes = list(range(2, 40, 2))
    for wanted in (2, 3, 24, 38):
        assert heap.smallest(sizes, lambda size, wanted=wanted: size >= wanted) == wanted + wanted % 2
    assert heap.smallest(sizes, lambda size: False) is None


def test_a_largest_block_is_set_before_anything_of_the_application_runs() -> None:
    assert heap.divided(b"boot", None) == b"boot"
    changed = heap.divided(b"boot\n", 4096)
    assert changed.endswith(b"_divided(4096)\nboot\n")
    compile(changed, "boot.py", "exec")


def test_what_must_not_be_is_said() -> None:
    fine = {"crashes": 0, "violations": 0, "changes": {"true": 40, "told": 40}}
    assert not firmware.failures({"events": fine})
    bad = {"crashes": 1, "violations": 2, "changes": {"true": 40, "told": 37}}
    found = {
        "year": {"days": {"15": bad}, "others": {}},
        "heap": {"kiosk": {"works": False}},
        "air": {"lora": {"7": {}}},
    }
    told = firmware.failures(found)
    assert len(told) == 5 and "15: 3 of 40 changes of the bay were not told in time" in told


@pytest.fixture(scope="module")
def polled() -> dict:
    """An hour and a half of the polling design, which sees two arrivals and a departure."""
    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder:
        return days.figures(days.Day(images.POLLING, hours=1.5, poll_s=60), Path(folder))


@pytest.mark.vm
def test_wakes_of_a_device_that_ran_are_told_apart_and_add_up(polled: dict) -> None:
    wakes = polled["wakes"]
    assert {"arrival", "departure", "heartbeat", "timer check"} == set(wakes)
    assert polled["changes"]["told"] == polled["changes"]["true"] == 3
    for kind in ("arrival", "departure", "heartbeat"):
        assert wakes[kind]["frames"] == [(21, 9, 0.185344)]
        assert wakes[kind]["buses"]["SPI"] > 0
    assert wakes["timer check"]["frames"] == [] and wakes["timer check"]["buses"] == {"I2C": 2}
    span = days.snapshot(polled)
    awake_c = sum(wake["count"] * wake["mean_mc"] for wake in wakes.values()) / 1e3
    by_cause = span.charge_by("cause")
    assert awake_c == pytest.approx(span.total_c - by_cause[("sleep",)], rel=0.01)
    for kind, wake in wakes.items():
        assert by_cause[(kind,)] == pytest.approx(wake["count"] * wake["mean_mc"] / 1e3, rel=0.02)


@pytest.mark.vm
def test_the_causes_of_one_wake_add_up_to_its_charge(polled: dict) -> None:
    for wake in polled["wakes"].values():
        typical_mc = sum(charge_mc for _, _, charge_mc, _ in wake["parts"])
        causes = events.by_cause_mc({**wake, "reads": 100, "read_bytes": 6400})
        assert sum(causes.values()) == pytest.approx(typical_mc, abs=0.05)
        assert causes["boot and mount"] > 15


@pytest.mark.vm
@pytest.mark.long
def test_the_quick_benchmark_of_all_of_it_prints_its_tables_and_one_json_line() -> None:
    command = [sys.executable, "-m", "benchmarks.firmware", "--quick"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    found = json.loads(finished.stdout.splitlines()[-1])
    assert finished.returncode == 0, found["failures"]
    assert set(firmware.MEASURES) <= set(found)
