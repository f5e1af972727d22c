"""Virtual time: a day of the whole site twice with one seed, and one sensor for 30 days. What each run cost.

The images are built before time and CPU are counted; the peak of memory is of the whole process. All of a run is on one
core, as host and VMs take turns. "host" is the process
with world, chips, air, gateway and journal, "VMs" the zygote and every MicroPython VM.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

from benchmarks import _emulator_usage as usage
from pave_emulator.fleet import DeviceSpec
from simulation import virtual

SCENARIO = usage.ROOT / "examples" / "bercy" / "scenarios" / "day.yaml"
SEED = 7
DAY_S = 86400
DAYS_ALONE = 30
QUICK_PART = 2880  # of the full length
DAY_GOAL_S = 86.4


def day(quick: bool) -> dict[str, Any]:
    """The site twice."""
    for_s = DAY_S / (QUICK_PART if quick else 1)
    runs = [_run(for_s), _run(for_s)]
    return {"runs": runs, "same_hash": runs[0]["trace"] == runs[1]["trace"]}


def month(quick: bool) -> dict[str, Any]:
    """One sensor for long."""
    for_s = DAYS_ALONE * DAY_S / (QUICK_PART if quick else 1)
    return {"runs": [_run(for_s, "--sensors", "1", "--kiosks", "0")]}


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print the runs of `day` or `month`."""
    first = figures["runs"][0]
    table = Table(title=f"Virtual time: devices {first['devices']}, simulated {first['simulated_s']:,.0f} s")
    columns = {
        "wall s": "wall_s", "speed": "speed",
        "CPU s, host": "host_cpu_s", "CPU s, VMs": "vm_cpu_s", "peak MB": "peak_mb", "boots": "boots",
        "calls": "rpc_calls", "records": "records", "stored": "stored",
    }  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right")
    for run in figures["runs"]:
        table.add_row(*(f"{run[key]:,}" for key in columns.values()))
    console.print(table)
    if "same_hash" in figures:
        console.print("the two runs of one seed: " + ("one hash" if figures["same_hash"] else "TWO HASHES"))


def play(plan: virtual.Plan, work_dir: Path, built: Callable[[], None]) -> virtual.Outcome:
    """Run a plan; `built()` is called when the flash images are there and nothing else has begun."""
    build = virtual.devices.build

    def build_and_tell(*arguments: Any) -> list[DeviceSpec]:
        specs = build(*arguments)
        built()
        return specs

    with mock.patch.object(virtual.devices, "build", build_and_tell):
        return virtual.run(plan, work_dir)


def _run(for_s: float, *limits: str) -> dict[str, Any]:
    return usage.run("benchmarks._emulator_virtual", "--for", str(for_s), *limits)


def main() -> None:
    """One run, in this process; its summary is the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--for", dest="for_s", type=float, required=True)
    parser.add_argument("--sensors", type=int)
    parser.add_argument("--kiosks", type=int)
    given = parser.parse_args()
    began: list[tuple[float, float]] = []
    usage.stay_on_one_core()
    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder:
        plan = virtual.Plan(SCENARIO, given.for_s, SEED, given.sensors, given.kiosks)
        outcome = play(plan, Path(folder), lambda: began.append(usage.own_cpu_s()))
        host_s, vms_s = usage.own_cpu_s()
    cpu = {"host_cpu_s": round(host_s - began[0][0], 2), "vm_cpu_s": round(vms_s - began[0][1], 2)}
    print(json.dumps({**outcome.summary(), **cpu}))


if __name__ == "__main__":
    main()
