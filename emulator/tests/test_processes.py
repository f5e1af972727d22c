"""The zygote and its children: none outlives the host."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import flash_images
import psutil
import pytest

from pave_emulator.vm.shims import _emu_ops as ops

HOST = """
import asyncio, sys
from pathlib import Path
from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import WallClock
from pave_emulator.device import DeviceSpec
from pave_emulator.fleet import Fleet

async def main(board, image, logs):
    clock = WallClock()
    fleet = Fleet([DeviceSpec("dut", bytes(6), Path(board), Path(image))], None, WifiAir(clock), clock, Path(logs))
    fleet.subscribe(lambda device, line: print(line, flush=True))
    await fleet.start()
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""
STUBBORN = """
print("up")
while True:
    try:
        while True: pass
    except BaseException: pass
"""


def wait_gone(processes: list[psutil.Process], timeout_s: float = 3.0) -> list[psutil.Process]:
    """Those that still run after `timeout_s`; zombies that nobody reaps here count as gone."""
    end_s = time.monotonic() + timeout_s
    alive = processes
    while alive and time.monotonic() < end_s:
        time.sleep(0.02)
        alive = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    return alive


def newest(zygote: psutil.Process) -> psutil.Process:
    """The VM, among the warm process and it."""
    return max(zygote.children(), key=lambda process: process.create_time())


@pytest.mark.parametrize("main", [STUBBORN, "print('up')"], ids=["busy", "idle"])
def test_no_process_is_left_when_the_host_is_killed(tmp_path, main):
    image = flash_images.build(tmp_path / "a.bin", {"main.py": main})
    command = [sys.executable, "-c", HOST, str(flash_images.PRESENCE_BOARD), str(image), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(flash_images.REPOSITORY) / "emulator")}
    host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert host.stdout is not None
    assert host.stdout.readline() == "up\n"
    family = psutil.Process(host.pid).children(recursive=True)
    assert len(family) == 3, f"zygote, warm process and VM expected while they live: {family}"  # the negative control
    assert wait_gone(family, timeout_s=0.2) == family
    host.send_signal(signal.SIGKILL)
    host.wait()
    assert wait_gone(family) == []


async def test_stop_ends_every_process_and_a_power_cut_ends_the_vm(bench):
    b = await bench(STUBBORN)
    await b.line("up")
    assert b.fleet.zygote_pid is not None
    zygote = psutil.Process(b.fleet.zygote_pid)
    vm = newest(zygote)
    b.device.power_cut()
    assert await asyncio.to_thread(wait_gone, [vm]) == []
    b.device.power_on()
    await b.line("up")
    family = [zygote, *zygote.children()]
    assert len(family) == 3
    await b.fleet.stop()
    assert wait_gone(family) == []


async def test_a_vm_that_dies_by_itself_is_a_panic_and_reboots(bench):
    b = await bench("import machine\nprint('cause', machine.reset_cause())")
    assert await b.line("cause") == "1"
    assert b.fleet.zygote_pid is not None
    newest(psutil.Process(b.fleet.zygote_pid)).kill()
    assert "SIGKILL" in await b.line("[emu] the VM died by itself")
    assert await b.line("cause") == "2"


async def test_a_defect_in_a_handler_is_said_and_ends_as_a_panic_and_not_in_silence(bench):
    b = await bench("import machine, time\nprint('cause', machine.reset_cause())\ntime.sleep_ms(300)\n"
                    "machine.Pin(5).value()\nprint('read')")  # fmt: skip
    assert await b.line("cause") == "1"

    def broken(pin, tail):
        raise ZeroDivisionError("a defect")

    sound = b.device._handlers[ops.PIN_GET]
    b.device._handlers[ops.PIN_GET] = broken
    said = await b.line("[emu] a defect of the emulator")
    assert "call pin_get: ZeroDivisionError('a defect') at test_processes.py:" in said
    b.device._handlers[ops.PIN_GET] = sound
    assert await b.line("cause") == "2"
    await b.line("read")
    assert b.fleet.stats()["dut"]["crashes"] == 1


async def test_another_micropython_binary_gets_the_same_arguments(bench, tmp_path, monkeypatch):
    script = tmp_path / "other"
    script.write_text(f'#!/bin/sh\necho "args $#"\nexec {sys.executable} -m micropython_unix "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PAVE_MICROPYTHON", str(script))
    b = await bench("import machine\nprint('booted', machine.reset_cause())")
    assert await b.line("args") == "7"
    assert await b.line("booted") == "1"
