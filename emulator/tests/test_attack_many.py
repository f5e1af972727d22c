"""Attacks with many devices, and with a machine that stands still."""

import asyncio
import signal
import subprocess
import time

import cli_bench
import flash_images
import psutil
import pytest

from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import WallClock
from pave_emulator.device import DeviceSpec
from pave_emulator.fleet import Fleet

MANY = 400


def test_four_hundred_devices_that_are_awake_are_stopped(tmp_path):
    async def run() -> None:
        clock = WallClock()
        image = flash_images.build(tmp_path / "a.bin", {"main.py": "print('up')"})  # nobody writes to it
        specs = [
            DeviceSpec(f"d{n}", bytes([2, 0, 0, 0, n >> 8, n & 255]), flash_images.PRESENCE_BOARD, image)
            for n in range(MANY)
        ]
        fleet = Fleet(specs, None, WifiAir(clock), clock, tmp_path / "logs")
        up: set[str] = set()
        fleet.subscribe(lambda device, _line: up.add(device))
        await fleet.start()
        while len(up) < MANY:
            await asyncio.sleep(0.05)
        signal.alarm(10)  # host and zygote wait for each other, each with a full queue
        await fleet.stop()
        signal.alarm(0)

    def hangs(_number: int, _frame: object) -> None:
        raise AssertionError("Fleet.stop() waits for ever")

    signal.signal(signal.SIGALRM, hangs)
    asyncio.run(run())


FEEDS = """
import machine, time
print("cause", machine.reset_cause())
w = machine.WDT(timeout=1000)
while True:
    time.sleep_ms(100)
    w.feed()
"""


def test_a_host_that_stood_still_for_two_seconds_bites_no_device_that_feeds_its_watchdog(tmp_path):
    scenario = cli_bench.write_site(tmp_path, main=FEEDS)
    command = [*cli_bench.COMMAND, "run", str(scenario), "--work-dir", str(tmp_path / "w"), "--for", "6"]
    host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cli_bench.environment())
    assert host.stdout is not None
    assert any("cause 1" in line for line in iter(host.stdout.readline, ""))
    time.sleep(1)  # the watchdogs run
    host.send_signal(signal.SIGSTOP)
    time.sleep(2)
    host.send_signal(signal.SIGCONT)
    assert "watchdog: not fed" not in host.communicate(timeout=30)[0]


COMPUTES = """
import machine, time
print("up", machine.reset_cause())
while True:
    x = 0
    for i in range(1000000): x += i
    time.sleep_ms(100)
"""
FROZEN = """
import asyncio, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import pave_emulator.lockstep
pave_emulator.lockstep.STUCK_S = 5.0  # 20 s, but who has the time
from virtual_bench import play
async def script(site):
    end_s = time.monotonic() + 12
    while time.monotonic() < end_s: await asyncio.sleep(1)
    print(site.fleet.stats()["dut"]["watchdog_resets"])
print("begins", flush=True)
play(Path(sys.argv[2]), sys.argv[3], script)
"""


@pytest.mark.long
def test_a_machine_that_is_frozen_while_a_vm_computes_changes_nothing_in_virtual_time(tmp_path):
    import sys
    from pathlib import Path

    command = [sys.executable, "-c", FROZEN, str(Path(flash_images.__file__).parent), str(tmp_path), COMPUTES]
    host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cli_bench.environment())
    assert host.stdout is not None
    assert host.stdout.readline() == "begins\n"
    time.sleep(1.5)
    family = [psutil.Process(host.pid), *psutil.Process(host.pid).children(recursive=True)]
    for process in family:
        process.suspend()
    time.sleep(7)
    for process in family:
        process.resume()
    assert host.communicate(timeout=30)[0] == "0\n"


@pytest.mark.parametrize("main", ["import machine, time\nprint('up')\ntime.sleep(2)\nmachine.soft_reset()"])
def test_an_image_deleted_before_a_soft_reset_prints_no_traceback_of_the_emulator(tmp_path, main):
    from virtual_bench import play

    async def script(site):
        await site.line("up")
        (tmp_path / "dut.bin").unlink()
        await asyncio.sleep(20)

    said = play(tmp_path, main, script).lines()
    assert not any("Traceback" in line or "ctypes" in line for line in said), "\n".join(said)
