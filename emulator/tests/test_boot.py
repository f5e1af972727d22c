"""Booting from a flash image, as the ESP32 port does."""

import flash_images

from pave_emulator.device_spec import SHIMS_HEAP_BYTES

PRINT_STATE = """
import sys, os, machine, time
print("path", sys.path)
print("files", sorted(os.listdir("/")))
print("id", machine.unique_id().hex())
print("cause", machine.reset_cause(), machine.wake_reason())
print("date", time.localtime()[:6], time.ticks_ms() < 1000)
"""


async def test_the_firmware_finds_the_path_files_and_identity_of_a_board(bench):
    b = await bench(PRINT_STATE, files={"lib/thing.py": "x = 1"})
    assert await b.line("path") == "['', '.frozen', '/lib']"
    assert await b.line("files") == "['lib', 'main.py']"
    assert await b.line("id") == "24a160000001"
    assert await b.line("cause") == "1 0"
    assert await b.line("date") == "(2000, 1, 1, 0, 0, 0) True"


async def test_boot_py_runs_before_main_py_and_shares_its_names(bench):
    b = await bench("print('main sees', x)", files={"boot.py": "x = 7"})
    assert await b.line("main sees") == "7"


async def test_main_py_does_not_run_when_boot_py_raises(bench):
    b = await bench("print('main ran')", files={"boot.py": "1/0"})
    await b.line("ZeroDivisionError")
    await b.line(">>>")
    assert "main ran" not in b.lines


async def test_an_exception_in_main_py_ends_at_the_repl_and_does_not_reboot(bench):
    b = await bench("raise ValueError('broken')")
    await b.line("ValueError: broken")
    await b.line(">>>")
    assert b.fleet.stats()["dut"]["boots"] == 1


async def test_system_exit_is_a_soft_reset(bench):
    b = await bench(
        "import machine, sys\nprint('cause', machine.reset_cause())\nif machine.reset_cause() == 1:\n    sys.exit()"
    )
    assert await b.line("cause") == "1"
    assert await b.line("cause") == "5"


async def test_an_empty_vfs_gets_a_file_system_and_a_boot_py(bench):
    b = await bench("", vfs=b"\xff" * 8192)
    await b.line("Performing initial setup")
    await b.line(">>>")
    assert b.fleet.stats()["dut"]["flash_programs"] > 0


async def test_a_corrupt_vfs_loops_forever_before_boot_py(bench):
    b = await bench("", vfs=b"\x00" * 8192)
    await b.line("The filesystem appears to be corrupted")
    await b.line("The filesystem appears to be corrupted")


async def test_the_heap_is_capped(bench):
    take = """
x = []
try:
    while True: x.append(bytearray(1000))
except MemoryError:
    n = len(x)
    x = None
    print("kB", n)
"""
    b = await bench(take, heap_bytes=SHIMS_HEAP_BYTES + 150 * 1024)
    small_kb = int(await b.line("kB"))
    assert 60 < small_kb < 150


async def test_a_file_written_is_there_after_a_reset_and_after_a_power_cut(bench):
    main = """
import machine
try:
    n = int(open("/count").read())
except OSError:
    n = 0
print("count", n, machine.reset_cause())
with open("/count", "w") as f:
    f.write(str(n + 1))
if n == 0:
    machine.reset()
print("written")
"""
    b = await bench(main)
    assert await b.line("count") == "0 1"
    assert await b.line("count") == "1 2"
    await b.line("written")
    b.device.power_cut()
    b.device.power_on()
    assert await b.line("count") == "2 1"


async def test_partitions_are_those_of_the_table_in_the_image(bench):
    main = """
from esp32 import Partition
print("vfs", Partition.find(Partition.TYPE_DATA, label="vfs")[0].info())
print("apps", [p.info()[4] for p in Partition.find(Partition.TYPE_APP)])
print("running", Partition(Partition.RUNNING).info()[4])
try: Partition("nowhere")
except OSError as e: print("errno", e.errno)
"""
    b = await bench(main)
    assert await b.line("vfs") == "(1, 129, 4325376, 2097152, 'vfs', False)"
    assert await b.line("apps") == "['ota_0', 'ota_1']"
    assert await b.line("running") == "ota_0"
    assert await b.line("errno") == "2"


async def test_a_second_partition_can_be_formatted_mounted_and_read_back(bench):
    main = """
import vfs, esp32
p = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="data")[0]
try:
    vfs.mount(p, "/data")
except OSError as e:
    print("format", e.errno)
    vfs.VfsLfs2.mkfs(p)
    vfs.mount(p, "/data")
with open("/data/log", "a") as f: f.write("x")
print("log", open("/data/log").read())
"""
    b = await bench(main)
    assert await b.line("format") == "19"
    assert await b.line("log") == "x"
    b.device.power_cut()
    b.device.power_on()
    assert await b.line("log") == "xx"


async def test_programming_without_an_erase_is_refused_and_said_loudly(bench):
    main = """
import esp32
p = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="data")[0]
try: p.writeblocks(0, b"\\x0f" * 16)
except OSError as e: print("size", e)
p.ioctl(6, 0)
p.writeblocks(0, b"\\x0f" * 16, 0)
p.writeblocks(0, b"\\x07" * 16, 0)
print("cleared bits")
try: p.writeblocks(0, b"\\xf0" * 16, 0)
except OSError as e: print("refused", e.errno)
buf = bytearray(4); p.readblocks(0, buf); print("is", buf)
"""
    b = await bench(main, whole=True)
    assert await b.line("size") == "(-260, 'ESP_ERR_INVALID_SIZE')"
    await b.line("cleared bits")
    assert "would set a bit" in await b.line("[emu] flash:")
    assert await b.line("refused") == "5"
    assert await b.line("is") == r"bytearray(b'\x07\x07\x07\x07')"


def test_an_image_without_a_partition_table_is_refused(tmp_path):
    import pytest

    from pave_emulator.flash.image import Flash
    from pave_emulator.flash.partitions import PartitionError

    path = flash_images.build(tmp_path / "a.bin", {})
    data = bytearray(path.read_bytes())
    data[0x8004] ^= 1
    path.write_bytes(data)
    with pytest.raises(PartitionError, match="MD5"):
        Flash(path, 8 << 20, print)
    path.write_bytes(b"\xff" * 0x10000)
    with pytest.raises(PartitionError, match="no partition table at 0x8000"):
        Flash(path, 8 << 20, print)
