"""How long a boot takes: power to boot.py at wall clock, a deep-sleep cycle in virtual time, and a VM started cold.

The host sees the first line that boot.py prints, and then the first thing that it does: a pin moves, which is a call.
Cold, the same MicroPython runs `pass` and ends: as the wheel starts it, and forked from a Python that has its library
loaded. An emulated boot does more than that: shims, file system, boot.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import _emulator_bench as bench
from benchmarks import _emulator_usage as usage
from pave_emulator.clock import VirtualClock, WallClock
from pave_emulator.trace import BOOT
from pave_emulator.virtual_loop import VirtualLoop

BOOTS, QUICK_BOOTS = 200, 20
PAUSE_S = 0.01  # for the VM that was cut to be gone
MS = 1e-3
WAKING = f'print("up")\nimport machine\nmachine.Pin({bench.LED_PIN}, machine.Pin.OUT, value=1)\n'
SLEEPING = "import machine\nmachine.deepsleep(1000)\n"
PASS = ["micropython", "-c", "pass"]
RUN_PASS = f"import sys, micropython_run; sys.exit(micropython_run.run_main({PASS}))"


def measure(quick: bool) -> dict[str, Any]:
    """All of it, in milliseconds."""
    return usage.run("benchmarks._emulator_boot", str(QUICK_BOOTS if quick else BOOTS))


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print the figures."""
    console.print(bench.table("Boot, ms of real time", figures["ms"]))


async def at_wall_clock(folder: Path, boots: int) -> dict[str, Any]:
    """Power on, wait for boot.py, cut; again and again. The first boot has the zygote start and load the shims."""
    dut = bench.Bench(WallClock(), folder, WAKING)
    began_s = time.perf_counter()
    await dut.fleet.start()
    first_s = (await dut.until("up", 1))[0] - began_s
    lines_s: list[float] = []
    calls_s: list[float] = []
    for _ in range(boots):
        dut.device.power_cut()
        await asyncio.sleep(PAUSE_S)
        dut.clear()
        began_s = time.perf_counter()
        dut.device.power_on()
        lines_s += [(await dut.until("up", 1))[0] - began_s]
        calls_s += [(await dut.until(bench.LED, 1))[0] - began_s]
    await dut.fleet.stop()
    return {
        "power to the first line of boot.py": bench.summary(lines_s, MS),
        "power to the first call of boot.py": bench.summary(calls_s, MS),
        "the first boot of all: zygote and shims load": bench.summary([first_s], MS),
    }


async def in_virtual_time(folder: Path, boots: int) -> dict[str, Any]:
    """The device wakes up, goes to deep sleep at once, and wakes up a second of its time later."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    dut = bench.Bench(VirtualClock(loop), folder, SLEEPING)
    await dut.fleet.start()
    at_s = await dut.until(BOOT, boots + 2)
    await dut.fleet.stop()
    cycles_s = [after_s - before_s for before_s, after_s in pairwise(at_s[1:])]  # the first boot is another
    return {"virtual: deep sleep, wake, boot.py, deep sleep": bench.summary(cycles_s, MS)}


def cold(boots: int) -> dict[str, Any]:
    """The VM without the emulator."""
    own = os.environ.get("PAVE_MICROPYTHON")
    command = [own, *PASS[1:]] if own else [sys.executable, "-c", RUN_PASS]
    started_s = [_timed(lambda: subprocess.run(command, check=True)) for _ in range(boots)]
    found = {"MicroPython cold, -c pass, a process": bench.summary(started_s, MS)}
    if own is None:
        forked_s = [_timed(_fork_and_pass) for _ in range(boots)]
        found["MicroPython cold, -c pass, a fork of a Python with it"] = bench.summary(forked_s, MS)
    return found


def _fork_and_pass() -> None:
    import micropython_run  # type: ignore[import-not-found]

    pid = os.fork()
    if pid == 0:
        os._exit(micropython_run.run_main(PASS) & 0xFF)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("micropython -c pass has failed")


def _timed(action: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    action()
    return time.perf_counter() - began_s


def main() -> None:
    """Measure in this process; the last line has the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("boots", type=int)
    boots = parser.parse_args().boots
    found = cold(boots)
    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder:
        wall = asyncio.run(at_wall_clock(Path(folder), boots))
    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder, asyncio.Runner(loop_factory=VirtualLoop) as loop:
        virtual = loop.run(in_virtual_time(Path(folder), boots))
    print(json.dumps({"ms": {**wall, **virtual, **found}}))


if __name__ == "__main__":
    main()
