"""What one I2C transaction costs: six bytes read from the LIS2MDL, at wall clock and in virtual time.

Beside it the floor: messages of the same sizes to and fro between two Python processes over the same kind of socket.
Each value is the mean of a batch; between two batches a pin moves, which the host dates.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import struct
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import _emulator_bench as bench
from benchmarks import _emulator_usage as usage
from pave_emulator.clock import FleetClock, VirtualClock, WallClock
from pave_emulator.virtual_loop import VirtualLoop
from pave_emulator.vm.shims import _emu_ops as ops

BATCHES, QUICK_BATCHES = 100, 20
BATCH = 200  # so that the pin is half a percent
READ_BYTES = 6
REQUEST_BYTES = ops.REQUEST_HEADER_BYTES + struct.calcsize(ops.TABLE[ops.I2C][1]) + 1  # and the register
ANSWER_BYTES = ops.REPLY_HEADER_BYTES + READ_BYTES
US = 1e-6
READING = f"""
import machine
i2c = machine.I2C(0, scl=machine.Pin(9), sda=machine.Pin(8), freq=400000)
i2c.writeto_mem(0x1E, 0x60, b"\\x00")  # continuous, 10 Hz
led = machine.Pin({bench.LED_PIN}, machine.Pin.OUT, value=1)
level = 1
def batch():
    for _ in range({BATCH}):
        i2c.readfrom_mem(0x1E, 0xE8, {READ_BYTES})
while True:
    batch()
    level ^= 1
    led.value(level)
"""


def measure(quick: bool) -> dict[str, Any]:
    """All of it, in microseconds."""
    return usage.run("benchmarks._emulator_i2c", str(QUICK_BATCHES if quick else BATCHES))


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print the figures."""
    console.print(bench.table(f"readfrom_mem, us of real time; n batches of {BATCH}", figures["us"]))


async def transactions(folder: Path, batches: int) -> dict[str, float]:
    """Run the device on whichever loop this is."""
    loop = asyncio.get_running_loop()
    clock: FleetClock = VirtualClock(loop) if isinstance(loop, VirtualLoop) else WallClock()
    dut = bench.Bench(clock, folder, READING)
    await dut.fleet.start()
    at_s = (await dut.until(bench.LED, batches + 2))[1:]  # the first has the LED's own beginning
    await dut.fleet.stop()
    return bench.summary([(after_s - before_s) / BATCH for before_s, after_s in pairwise(at_s)], US)


def ping_pong(batches: int) -> dict[str, float]:
    """Two processes and nothing else."""
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        here.close()
        answer = bytes(ANSWER_BYTES)
        while len(there.recv(REQUEST_BYTES, socket.MSG_WAITALL)) == REQUEST_BYTES:
            there.sendall(answer)
        os._exit(0)
    there.close()
    request = bytes(REQUEST_BYTES)
    means_s: list[float] = []
    for _ in range(batches):
        began_s = time.perf_counter()
        for _ in range(BATCH):
            here.sendall(request)
            here.recv(ANSWER_BYTES, socket.MSG_WAITALL)
        means_s.append((time.perf_counter() - began_s) / BATCH)
    here.close()
    os.waitpid(pid, 0)
    return bench.summary(means_s, US)


def main() -> None:
    """Measure in this process; the last line has the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("batches", type=int)
    batches = parser.parse_args().batches
    found = {f"floor: {REQUEST_BYTES} B there, {ANSWER_BYTES} B back, two Python processes": ping_pong(batches)}
    for name, loop in (("at wall clock", None), ("in virtual time", VirtualLoop)):
        with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder, asyncio.Runner(loop_factory=loop) as runner:
            found[name] = runner.run(transactions(Path(folder), batches))
    print(json.dumps({"us": found}))


if __name__ == "__main__":
    main()
