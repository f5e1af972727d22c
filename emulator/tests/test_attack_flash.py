"""Attacks on a device's flash: firmware that writes where nothing is, and people who do things to the image's file."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import flash_images
import pytest
from virtual_bench import Site, play

from pave_emulator.flash.image import Flash, ImageFileError

NONSENSE = """
import esp32
def tried(what, f):
    try: print("T", what, f())
    except Exception as e: print("T", what, type(e).__name__, e.args[0] if e.args else None)
block = bytearray(b"\\x55" * 4096)
for label in ("vfs", "data"):
    p = esp32.Partition.find(esp32.Partition.TYPE_DATA, label=label)[0]
    n = p.ioctl(4, 0)
    for number in (n, n + 1, 2 * n, 1 << 19, 1 << 31, -1, -(1 << 31)):
        tried("write", lambda: p.writeblocks(number, block))
        tried("program", lambda: p.writeblocks(number, block, 0))
        tried("read", lambda: p.readblocks(number, bytearray(16)))
        tried("erase", lambda: p.ioctl(6, number))
    tried("over the end", lambda: p.writeblocks(n - 1, bytearray(8192)))
    tried("over the end", lambda: p.writeblocks(n - 1, block, 1))
    tried("over the end", lambda: p.readblocks(n - 1, bytearray(8192)))
    tried("offset", lambda: p.writeblocks(0, block, 1 << 30))
    tried("offset", lambda: p.writeblocks(1, block, -8192))
    tried("part of a sector", lambda: p.writeblocks(0, bytearray(100)))
for command in (0, 7, 99, -1, 1 << 40):
    tried("ioctl", lambda: p.ioctl(command, 0))
for wrong in (None, "x", []):
    tried("nonsense", lambda: p.ioctl(wrong, 0))
    tried("nonsense", lambda: p.ioctl(6, wrong))
    tried("nonsense", lambda: p.readblocks(wrong, block))
    tried("nonsense", lambda: p.writeblocks(0, None))
print("end")
"""
INVALID_ARG, INVALID_SIZE = "OSError -258", "OSError -260"  # esp_err.h


def test_firmware_that_writes_beyond_its_partitions_gets_the_errors_of_esp_idf_and_changes_nothing(tmp_path):
    images = []

    async def script(site: Site):
        images.append((tmp_path / "dut.bin").read_bytes())  # before the bootloader has chosen
        await site.line("end")
        images.append((tmp_path / "dut.bin").read_bytes())

    site = play(tmp_path, NONSENSE, script)
    said = [line.removeprefix("T ") for line in site.lines() if line.startswith("T ")]
    at_the_end = [f"{what} {INVALID_SIZE}" for what in ("write", "program", "read", "erase")]
    beyond = [f"{what} {INVALID_ARG}" for what in ("write", "program", "read", "erase")] * 6
    others = [*[f"over the end {INVALID_SIZE}"] * 3, *[f"offset {INVALID_ARG}"] * 2, f"part of a sector {INVALID_SIZE}"]
    assert said[:68] == [*at_the_end, *beyond, *others] * 2
    assert said[68:73] == ["ioctl None"] * 5
    assert all(line.startswith("nonsense TypeError") for line in said[73:]) and len(said) == 85
    before, after = (image.ljust(len(images[1]), b"\xff") for image in images)
    changed = [at for at in range(0, len(after), 4096) if before[at : at + 4096] != after[at : at + 4096]]
    assert [at for at in changed if not 0xF000 <= at < 0x11000] == []  # otadata is the bootloader's
    assert site.fleet.stats()["dut"]["crashes"] == 0


READS = """
import esp32, machine, time
print("up", machine.reset_cause())
p = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
block = bytearray(4096)
for n in range(4):
    time.sleep(1)
    p.readblocks(300, block)
machine.deepsleep(1000)
"""


def cut_to(size: int) -> Callable[[Path], None]:
    return lambda image: os.truncate(image, size)


def another(image: Path) -> None:
    new = image.with_suffix(".new")
    new.write_bytes(image.read_bytes())
    new.replace(image)


GONE = "No such file or directory: put the image back, or end the run"
OTHER = "another file than the one this run has opened: start the run again"
NO_TABLE = "somebody has cut it from 6422528 to 4096 bytes, its partition table is gone: put the image back"
SHORTER = "somebody has cut it from 6422528 to 4329472 bytes; what is missing is erased flash"


@pytest.mark.parametrize(
    ("attack", "message", "boots"),
    [
        pytest.param(Path.unlink, GONE, False, id="deleted"),
        pytest.param(another, OTHER, False, id="replaced"),
        pytest.param(cut_to(4096), NO_TABLE, False, id="cut"),
        pytest.param(cut_to(0x421000), SHORTER, True, id="shortened"),
    ],
)
def test_an_image_that_is_taken_away_under_a_device_is_said_at_its_next_boot(tmp_path, attack, message, boots):
    image = tmp_path / "dut.bin"

    async def script(site: Site):
        await site.line("up 1")
        await asyncio.sleep(1.5)
        attack(image)
        await site.line(f"[emu] flash: {image}: {message}")
        before = site.fleet.stats()["dut"]["boots"]
        await asyncio.sleep(30)
        assert site.fleet.stats()["dut"]["boots"] == before  # no loop of crashes
        assert site.fleet._zygote.lives
        nothing = "[emu] nothing to boot: the chip resets for ever"
        assert (nothing in site.lines()) != boots
        assert not any("defect" in line or "Traceback" in line for line in site.lines())

    play(tmp_path, READS, script)


def test_an_image_that_is_put_back_boots_again(tmp_path):
    image, away = tmp_path / "dut.bin", tmp_path / "away.bin"

    async def script(site: Site):
        await site.line("up 1")
        image.rename(away)
        await site.line(f"[emu] flash: {image}: {GONE}")
        away.rename(image)
        device = site.fleet.device("dut")
        device.power_cut()
        device.power_on()
        await asyncio.sleep(2)
        assert site.lines().count("up 1") == 2

    play(tmp_path, READS, script)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def flash(tmp_path: Path) -> Iterator[tuple[Flash, list[str]]]:
    path = flash_images.build(tmp_path / "a.bin", {})
    said: list[str] = []
    flash = Flash(path, 8 << 20, said.append)
    yield flash, said
    flash.close()


def test_a_full_disk_is_said_and_nothing_else_in_the_image_is_touched(flash):
    image, said = flash
    before = image.path.read_bytes()
    with files_up_to(len(before) + 100), pytest.raises(ImageFileError, match="File too large: make room"):
        image.program(0x620000, b"\0" * 4096)
    assert said == [f"flash: {image.path}: File too large: make room, then cut the device's power"]
    assert image.path.read_bytes()[: len(before)] == before
    image.program(0x620000 + 8192, b"\0" * 16)  # there is room again
    assert image.read(0x620000 + 8192, 16) == bytes(16)
    assert image.read(0x620000 + 4096, 4096) == b"\xff" * 4096


def test_a_disk_that_takes_a_write_in_pieces_gets_all_of_it(flash, monkeypatch):
    image, _said = flash
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, data[:1000], at))
    image.program(0x430000, bytes(range(256)) * 16)
    assert image.read(0x430000, 4096) == bytes(range(256)) * 16


FILLS = """
import esp32
p = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="data")[0]
def tried(what, f):
    try: print(what, f())
    except OSError as e: print(what, "errno", e.errno)
tried("block", lambda: p.writeblocks(0, b"a" * 4096))
tried("nvs", lambda: esp32.NVS("x").set_i32("a", 5))
tried("file", lambda: open("/x", "w").close())
print("end")
"""


def test_firmware_on_a_full_disk_gets_an_error_of_its_flash_and_no_panic(tmp_path, monkeypatch):
    def full(self: Flash, data: bytes, address: int) -> None:
        if address + len(data) > 0x620000 or address < 0xF000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(self._fd, data, address)

    monkeypatch.setattr(Flash, "_write", full)

    async def script(site: Site):
        await site.line("end")

    site = play(tmp_path, FILLS, script)
    said = [line for line in site.lines() if not line.startswith("[emu]")]
    assert said[:4] == ["block errno 5", "nvs errno -1", "file None", "end"]
    assert sum("No space left on device: make room" in line for line in site.lines()) >= 2
    assert site.fleet.stats()["dut"]["crashes"] == 0
