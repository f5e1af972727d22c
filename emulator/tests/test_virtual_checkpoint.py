"""Wake-ups that begin at a checkpoint do what those from the beginning do."""

from __future__ import annotations

import socket
from pathlib import Path
from unittest import mock

import psutil
import pytest
import virtual_bench

from pave_emulator.vm import checkpoint
from pave_emulator.vm.process import VmProcess, ZygoteClient
from pave_emulator.vm.shims import _emu_ops as ops

WAKES = 8
COUNTING = """
import machine, os, random, struct, time
import {imported}
rtc = machine.RTC()
count = struct.unpack("<I", rtc.memory())[0] if rtc.memory() else 0
rtc.memory(struct.pack("<I", count + 1))
print("wake", count, machine.reset_cause(), machine.wake_reason(), random.getrandbits(30), os.urandom(4))
print("at", time.ticks_us(), time.time_ns())
{more}
machine.deepsleep(1000 + 10 * count)
"""
WRITING = """
if count % 3 == 2:
    with open("/count.txt", "w") as file:
        file.write(str(count))
"""
READING = """
try:
    print("read", open("/count.txt").read())
except OSError:
    print("nothing yet")
"""
LOOKING = """
import machine
machine.Pin(4, machine.Pin.IN).value()
"""


class Spawned:
    """Counts the VMs that are started, and those of them that are clones of a checkpoint."""

    def __init__(self) -> None:
        self.all = self.cloned = 0
        self._spawn = ZygoteClient.spawn

    def __call__(self, zygote: ZygoteClient, *arguments: object) -> VmProcess:
        self.all += 1
        self.cloned += len(arguments) == 6 and arguments[5] is not None
        return self._spawn(zygote, *arguments)  # type: ignore[arg-type]


def play(folder: Path, main: str, cloning: bool = True, pin: bool = False) -> tuple[virtual_bench.Site, Spawned]:
    """Eight wake-ups; with `pin`, the level of GPIO 4 changes before some of them."""
    folder.mkdir()
    spawned = Spawned()

    async def script(site: virtual_bench.Site) -> None:
        for count in range(WAKES):
            await site.line(f"wake {count} ")
            if pin:
                site.fleet.device("dut").mcu.pins.drive(4, count // 2 % 2)
        descendants = psutil.Process(site.fleet.zygote_pid).children()
        assert len(descendants) <= 3, "warm process, VM and checkpoint"

    with (
        mock.patch.object(ZygoteClient, "spawn", lambda zygote, *given: spawned(zygote, *given)),
        mock.patch.object(ZygoteClient, "clones", cloning),
    ):
        return virtual_bench.play(folder, main, script), spawned


@pytest.mark.parametrize(
    ("main", "pin", "fewest"),
    [
        (COUNTING.format(imported="asyncio", more=""), False, WAKES - 3),
        (COUNTING.format(imported="asyncio", more="open('/x', 'w').close() if count == 4 else None"), False, 2),
        (READING + COUNTING.format(imported="asyncio", more=WRITING), False, 0),
        (LOOKING + COUNTING.format(imported="asyncio", more=""), True, 2),
    ],
    ids=["nothing in the way", "one write to flash", "files", "a pin that differs"],
)
def test_a_wake_up_from_a_checkpoint_leaves_the_trace_of_one_from_the_beginning(tmp_path, main, pin, fewest):
    site, spawned = play(tmp_path / "cloning", main, pin=pin)
    plain, control = play(tmp_path / "plain", main, cloning=False, pin=pin)
    assert site.lines() == plain.lines()
    assert site.trace.digest() == plain.trace.digest()
    assert control.cloned == 0
    assert spawned.cloned >= fewest


def test_a_vm_that_is_no_function_of_its_answers_is_found_out(tmp_path):
    """The negative control: a VM that is rebuilt makes another call than the record says."""
    exactly = checkpoint._exactly

    def garbled(channel: socket.socket, size: int) -> bytes:
        data = exactly(channel, size)
        return bytes([data[0] ^ 1]) + data[1:] if size == ops.REQUEST_HEADER_BYTES else data

    main = LOOKING + COUNTING.format(imported="asyncio", more="")
    with mock.patch.object(checkpoint, "_exactly", garbled):
        site, _ = play(tmp_path / "broken", main, pin=True)
    assert any("a defect of the emulator, a boot with the same answers" in line for line in site.lines())


def test_a_checkpoint_ends_with_the_power_of_its_device(tmp_path):
    async def script(site: virtual_bench.Site) -> None:
        await site.line("wake 5 ")
        device = site.fleet.device("dut")
        assert device._core._checkpoint is not None and device._core._checkpoint.vm is not None
        device.power_cut()
        assert device._core._checkpoint.vm is None
        device.power_on()
        site.records.clear()
        await site.line("wake 4 ")

    main = COUNTING.format(imported="asyncio", more="")
    site = virtual_bench.play(tmp_path, main, script)
    assert site.lines()[0].startswith("wake 0 1 0")
