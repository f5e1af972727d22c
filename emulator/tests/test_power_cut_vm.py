"""Power cut at every flash operation of an update by firmware in the VM, which is then started again."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

FIRMWARE = """
import esp32, machine, os
n = esp32.NVS("app")
def number():
    try: return n.get_i32("epoch")
    except OSError: return 0
def config():
    try:
        with open("/config") as f: return f.read()
    except OSError: return ""
text = config()
print("has", number(), len(text), text[:1])
next = "abcdefgh"[number() % 8]
n.set_i32("epoch", number() + 1)
with open("/config.new", "w") as f: f.write(next * 400)
os.rename("/config.new", "/config")
print("done")
"""


BRICKED = ("The filesystem appears to be corrupted", "[emu] boot: No bootable app partitions")


def is_bricked(lines: list[str]) -> bool:
    """The console of a board that never gets to its firmware again: no file system, or no app."""
    return any(line.startswith(BRICKED) for line in lines)


async def _until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within 5 s: {what}")


async def vm_campaign(bench) -> int:
    """Cut at operation 1, 2... until an update ends before the cut; each meets another state of the flash."""
    b = await bench(FIRMWARE)
    await b.line("done")
    for number in itertools.count(1):
        b.device.power_cut()
        b.device.flash.cut_power_at(number, seed=number)
        seen = len(b.lines)
        b.device.power_on()
        epoch_before, _size, letter_before = (await b.line("has")).split()
        before = int(epoch_before)
        await _until(lambda: b.device.state == "off" or "done" in b.lines[seen:], f"cut {number}")  # noqa: B023
        if b.device.state != "off":
            return number - 1
        b.device.power_on()
        epoch, size, letter = (await b.line("has")).split()
        assert int(epoch) in (before, before + 1), number
        assert size == "400", number
        assert letter in (letter_before, "abcdefgh"[before % 8]), number
        await b.line("done")
        assert not is_bricked(b.lines)
    raise AssertionError


async def test_firmware_in_the_vm_comes_back_from_every_cut(bench):
    assert await vm_campaign(bench) >= 10


async def test_a_blank_vfs_cut_in_its_first_block_is_a_brick_in_the_vm(bench):
    b = await bench(FIRMWARE)
    await b.line("done")
    b.device.power_cut()
    flash = b.device.flash
    vfs = flash.partition("vfs")
    flash.erase(vfs.offset, vfs.size)
    flash.cut_power_at(2, fraction=0.5)
    b.device.power_on()
    await _until(lambda: b.device.state == "off", "cut")
    seen = len(b.lines)
    b.device.power_on()
    await _until(lambda: is_bricked(b.lines[seen:]), "corrupted")


async def test_power_lost_in_the_bootloader_is_a_cut_like_any_other(bench):
    b = await bench(FIRMWARE)
    await b.line("done")
    b.device.power_cut()
    flash = b.device.flash
    otadata = flash.partition("otadata")
    flash.erase(otadata.offset, otadata.size)
    for number in (1, 2):  # it gives the blank otadata an entry: an erase and a program
        flash.cut_power_at(number, fraction=0.5)
        b.device.power_on()
        await _until(lambda: b.device.state == "off", "cut")
        flash.power_on()
    b.device.power_on()
    await b.line("done")
