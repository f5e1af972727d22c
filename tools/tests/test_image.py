"""A built flash image, read back by MicroPython itself, by littlefs-python, and by reading the table in it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pave_tools.board import Board
from pave_tools.errors import ImageError
from pave_tools.firmware import build
from pave_tools.image import DeviceSettings, build_flash_image, erased_ranges, mac_of
from pave_tools.littlefs_image import build_littlefs, read_littlefs
from pave_tools.partition import TABLE_BYTES, TABLE_OFFSET, decode_table

SETTINGS = DeviceSettings("24a160fffe000101", "presence", "192.168.4.1", 5683, "pavé", "correct horse")

# The block device and the mount are what the ESP32 port does with its `vfs` partition (ports/esp32/modules/_boot.py).
VM_SCRIPT = """
import os, sys, vfs, json

class Blocks:
    def __init__(self, path, offset, size):
        self.file, self.offset, self.size = open(path, "r+b"), offset, size
    def readblocks(self, block, buffer, start=0):
        self.file.seek(self.offset + block * 4096 + start)
        self.file.readinto(buffer)
    def writeblocks(self, block, buffer, start=0):
        self.file.seek(self.offset + block * 4096 + start)
        self.file.write(buffer)
        self.file.flush()
    def ioctl(self, operation, argument):
        if operation == 6:
            self.writeblocks(argument, bytes([255]) * 4096)
        return {4: self.size // 4096, 5: 4096}.get(operation, 0)

vfs.mount(vfs.VfsLfs2(Blocks(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))), "/flash")
os.chdir("/flash")
print(sorted(os.listdir("/flash")))
print(json.load(open("/flash/config.json"))["wifi"]["ssid"])
with open("/flash/new.txt", "w") as file:
    file.write("written by the VM")
sys.path.insert(0, "/flash/a")
import app.presence
print(app.presence.__file__)
app.presence.fail()
"""


@pytest.fixture
def flash(firmware_dir: Path, board: Board, tmp_path: Path) -> Path:
    path = tmp_path / "flash.bin"
    files = build("presence", firmware_dir=firmware_dir)
    build_flash_image(board, files, SETTINGS.config(board), {"pave": {"epoch": 3}}, path)
    return path


def part(flash: Path, board: Board, name: str) -> bytes:
    """Return the bytes of one partition of an image."""
    where = board.partition(name)
    return flash.read_bytes()[where.offset : where.end]


@pytest.mark.vm
def test_micropython_mounts_the_image_imports_from_it_and_writes_to_it(
    flash: Path, board: Board, micropython: Callable[..., str]
) -> None:
    vfs = board.partition("vfs")
    printed = micropython(VM_SCRIPT, str(flash), str(vfs.offset), str(vfs.size))
    assert "['a', 'boot.py', 'config.json']\npavé\n/flash/a/app/presence.mpy\n" in printed
    assert read_littlefs(part(flash, board, "vfs"))["/new.txt"] == b"written by the VM"


@pytest.mark.vm
def test_a_traceback_of_compiled_code_names_the_file_and_the_line(
    flash: Path, board: Board, micropython: Callable[..., str]
) -> None:
    vfs = board.partition("vfs")
    printed = micropython(VM_SCRIPT, str(flash), str(vfs.offset), str(vfs.size))
    assert 'File "app/presence.py", line 5, in fail\nValueError: 42' in printed


@pytest.mark.vm
def test_micropython_refuses_an_image_made_for_another_partition_size(
    flash: Path, board: Board, micropython: Callable[..., str]
) -> None:
    vfs = board.partition("vfs")
    printed = micropython(VM_SCRIPT, str(flash), str(vfs.offset), str(vfs.size // 2))
    assert "OSError" in printed


def test_littlefs_python_reads_every_file_back(flash: Path, firmware_dir: Path, board: Board) -> None:
    files = read_littlefs(part(flash, board, "vfs"))
    config = json.loads(files.pop("/config.json"))
    assert files == build("presence", firmware_dir=firmware_dir)
    assert config["device"] == "24a160fffe000101"
    assert config["board"] == "pave_presence_v1"
    assert config["gateway"] == {"host": "192.168.4.1", "port": 5683}


def test_the_partition_table_is_at_0x8000(flash: Path, board: Board) -> None:
    table = flash.read_bytes()[TABLE_OFFSET : TABLE_OFFSET + TABLE_BYTES]
    assert decode_table(table) == list(board.partitions)


def test_the_file_is_as_long_as_the_flash_and_erased_outside_the_app_slots(flash: Path, board: Board) -> None:
    assert flash.stat().st_size == board.flash_bytes
    for name in ("otadata", "phy_init", "data"):
        assert set(part(flash, board, name)) == {0xFF}
    assert set(part(flash, board, "ota_0")) == {0}


def test_the_erased_ranges_are_all_but_the_app_slots(board: Board) -> None:
    assert erased_ranges(board) == [(0, 0x20000), (0x420000, 0x800000)]


def test_the_same_arguments_give_the_same_image(flash: Path, firmware_dir: Path, board: Board, tmp_path: Path) -> None:
    again = tmp_path / "again.bin"
    files = dict(reversed(build("presence", firmware_dir=firmware_dir).items()))
    build_flash_image(board, files, SETTINGS.config(board), {"pave": {"epoch": 3}}, again)
    assert again.read_bytes() == flash.read_bytes()


def test_an_image_replaces_an_older_and_longer_file(firmware_dir: Path, board: Board, tmp_path: Path) -> None:
    path = tmp_path / "flash.bin"
    path.write_bytes(b"\x55" * (board.flash_bytes + 1))
    build_flash_image(board, {}, SETTINGS.config(board), {}, path)
    assert path.stat().st_size == board.flash_bytes
    assert set(part(path, board, "ota_1")) == {0}


def test_files_that_do_not_fit_the_partition_are_refused(board: Board) -> None:
    with pytest.raises(ImageError, match="1 files of 2097152 bytes in a partition of 2097152"):
        build_littlefs({"/big.bin": bytes(0x200000)}, 0x200000)


def test_a_relative_path_on_the_device_is_refused() -> None:
    with pytest.raises(ImageError, match=r"'main\.py' is not an absolute path"):
        build_littlefs({"main.py": b""}, 0x10000)


def test_bytes_that_are_no_littlefs_are_refused() -> None:
    with pytest.raises(ImageError, match="no LittleFS of 65536 bytes"):
        read_littlefs(b"\xff" * 0x10000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "24A160FFFE000101"}, "16 lower-case hex digits"),
        ({"device": "24a1600000000101"}, "fffe amid"),
        ({"gateway_port": 0}, "port 0 should be"),
    ],
)
def test_settings_no_device_can_have_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        DeviceSettings(**{**asdict(SETTINGS), **change})


def test_the_mac_is_the_identifier_without_its_middle() -> None:
    assert mac_of("24a160fffe000101").hex(":") == "24:a1:60:00:01:01"
