"""Modules that the VM shows otherwise than the port does: sys, os, random, crypto, gc, and what is not there."""

import hashlib

import flash_images
from virtual_bench import Site, play


def said(tmp_path, main: str, **more) -> list[str]:
    """What a firmware prints until it ends."""

    async def script(site: Site):
        await site.line("end")

    lines = play(tmp_path, main + "\nprint('end')\n", script, **more).lines()
    return [line for line in lines[: lines.index("end")] if not line.startswith("[emu]")]


def test_sys_and_os_are_those_of_an_esp32(tmp_path):
    main = """
import sys, os, usys
print(sys.platform, sys.maxsize == 2**31 - 1, sys.implementation.name, sys.implementation._machine, usys.platform)
print(sys.implementation._mpy & 0xFF, sys.implementation._mpy >> 10, sys.path, sys.argv)
u = os.uname()
print(u.sysname, u.nodename, u.machine, len(u), u[2] == ".".join(str(n) for n in sys.implementation.version[:3]))
print([name for name in ("system", "getenv", "putenv", "VfsPosix", "popen") if hasattr(os, name)], os.sync())
print(os.listdir("/"), os.getcwd(), len(os.urandom(20)))
def fails(f, *a):
    try: print("no error", f(*a))
    except Exception as e: print(type(e).__name__, e)
fails(os.dupterm, None)
fails(os.urandom, -1)
import vfs; print(hasattr(vfs, "VfsPosix"), hasattr(vfs, "VfsLfs2"))
"""
    psram, plain = "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", "Generic ESP32S3 module with ESP32S3"
    for board, machine in ((flash_images.KIOSK_BOARD, psram), (flash_images.PRESENCE_BOARD, plain)):
        assert said(tmp_path, main, board=board) == [
            f"esp32 True micropython {machine} esp32",
            "6 10 ['', '.frozen', '/lib'] []",
            f"esp32 esp32 {machine} 5 True",
            "[] None",
            "['main.py'] / 20",
            "RuntimeError the emulator has no os.dupterm: the console is its serial port",
            "ValueError ",
            "False True",
        ]


DRAW = """
import random, os, machine
print("random", random.getrandbits(30), os.urandom(6))
random.seed(); print("seeded", random.getrandbits(30))
random.seed(5); print("five", random.getrandbits(30))
if machine.reset_cause() == 1: machine.reset()
print("done")
"""


def test_random_numbers_differ_by_boot_device_and_seed_and_not_by_run(tmp_path):
    def draws(folder: str, seed: int) -> list[str]:
        async def script(site: Site):
            await site.line("done", "one")
            await site.line("done", "two")

        where = tmp_path / folder
        where.mkdir()
        site = play(where, {"one": DRAW, "two": DRAW}, script, seed=seed)
        return site.lines("one") + site.lines("two")

    first, same, other = draws("a", 1), draws("b", 1), draws("c", 2)
    assert first == same
    for start in ("random", "seeded"):
        drawn = [line for line in first + other if line.startswith(start)]
        assert len(drawn) == 8
        assert len(set(drawn)) == 8
    assert len({line for line in first + other if line.startswith("five")}) == 1


async def test_at_wall_clock_random_numbers_are_the_hosts(bench):
    b = await bench(DRAW)
    assert await b.line("random") != await b.line("random")


def test_hashes_and_ciphers_are_right_final_and_take_the_chips_time(tmp_path):
    main = """
import hashlib, cryptolib, time, binascii
h = hashlib.sha256(b"ab"); h.update(b"c")
t = time.ticks_us(); d = h.digest(); took = time.ticks_diff(time.ticks_us(), t)
print(binascii.hexlify(d).decode(), 80 <= took < 1000)
try: h.update(b"x")
except ValueError as e: print(e)
print(binascii.hexlify(hashlib.sha1(b"abc").digest()).decode(), binascii.hexlify(hashlib.md5(b"abc").digest()).decode())
key = bytes(range(16))
a = cryptolib.aes(key, 1)
print(binascii.hexlify(a.encrypt(binascii.unhexlify("00112233445566778899aabbccddeeff"))).decode())
buf = bytearray(16000)
t = time.ticks_us(); a.encrypt(buf, buf); took = time.ticks_diff(time.ticks_us(), t)
print(2000 <= took < 3000, took)
c = cryptolib.aes(key, 2, bytes(16)); print(cryptolib.aes(key, 2, bytes(16)).decrypt(c.encrypt(b"x" * 32)) == b"x" * 32)
try: cryptolib.aes(key, 6, bytes(16))
except ValueError as e: print(e)
print([name for name in dir(hashlib) if name[0] != "_" and name not in ("rpc", "vm_hashlib")])
"""
    got = said(tmp_path, main)
    assert got[0] == f"{hashlib.sha256(b'abc').hexdigest()} True"
    assert got[1] == "hash is final"
    assert got[2] == f"{hashlib.sha1(b'abc').hexdigest()} {hashlib.md5(b'abc').hexdigest()}"
    assert got[3] == "69c4e0d86a7b0430d8cdb78070b4c55a"  # FIPS 197, appendix C.1
    assert got[4].startswith("True")
    assert got[5:] == ["True", "mode", "['md5', 'sha1', 'sha256']"]


def test_a_collection_takes_its_time_and_more_with_psram(tmp_path):
    main = """
import gc, time
gc.collect()
t = time.ticks_us(); gc.collect(); print(time.ticks_diff(time.ticks_us(), t))
print(gc.mem_free() > 50000, gc.isenabled())
"""
    internal = said(tmp_path, main, board=flash_images.PRESENCE_BOARD)
    psram = said(tmp_path, main, board=flash_images.KIOSK_BOARD)
    assert internal[1] == psram[1] == "True True"
    assert 4_000 < int(internal[0]) < 12_000  # 2 ms for 64 KiB, of a heap of 160 KiB and what the shims take
    assert int(psram[0]) > 2 * int(internal[0])


def test_what_the_board_has_not_cannot_be_used(tmp_path):
    main = """
def tried(text):
    try: exec(text, {}); print("no error")
    except Exception as e: print(type(e).__name__, e)
tried("import ffi")
tried("from termios import setraw")
tried("import termios; termios.TCSANOW")
tried("import argparse; argparse.ArgumentParser")
tried("import _thread; _thread.start_new_thread(print, ())")
tried("import micropython; micropython.mem_total()")
import micropython, uctypes, _asyncio, asyncio, struct, deflate, framebuf, ssl
micropython.alloc_emergency_exception_buf(100)
print(micropython.const(5), micropython.opt_level(), hasattr(_asyncio, "TaskQueue"))
"""
    assert said(tmp_path, main) == [
        "ImportError no module named 'ffi'",
        "ImportError no module named 'termios'",
        "ImportError no module named 'termios'",
        "ImportError no module named 'argparse'",
        "RuntimeError the emulator runs one thread of the firmware",
        "AttributeError module 'micropython' has no attribute 'mem_total'",
        "5 0 True",
    ]


def test_time_is_the_ports(tmp_path):
    main = """
import time, machine
print(time.localtime(0), time.gmtime(86400 * 366)[:3], time.mktime((2026, 11, 23, 10, 0, 0, 0, 0)))
print(abs(time.time_ns() // 1000000000 - time.time()) <= 1, time.localtime()[:3])
machine.freq(240000000)
t, c = time.ticks_us(), time.ticks_cpu()
time.sleep_ms(100)
ms, cycles = time.ticks_diff(time.ticks_us(), t) // 1000, time.ticks_diff(time.ticks_cpu(), c)
print(100 <= ms <= 110, 24000 <= cycles // 1000 < 26400)
"""
    assert said(tmp_path, main) == [
        "(2000, 1, 1, 0, 0, 0, 5, 1) (2001, 1, 1) 848743200",
        "True (2000, 1, 1)",
        "True True",
    ]


def test_what_firmware_schedules_may_use_the_board_whenever_it_runs(tmp_path):
    main = """
import machine, micropython, time
memory, ran = machine.RTC(), 0
def later(n):
    global ran
    ran += memory.memory() == b"%d" % n
for n in range(300):
    memory.memory(b"%d" % n)
    micropython.schedule(later, n)
    micropython.schedule(later, n)
    memory.memory()
    memory.memory()
print(ran)
order = []
def handler(timer):
    micropython.schedule(order.append, "scheduled")
    memory.memory()
    order.append("handled")
machine.Timer(0, mode=machine.Timer.ONE_SHOT, period=5, callback=handler)
time.sleep_ms(20)
print(order)
def flood(timer):
    try:
        for n in range(9):
            micropython.schedule(order.append, n)
    except RuntimeError as error:
        print(n, error)
machine.Timer(0, mode=machine.Timer.ONE_SHOT, period=5, callback=flood)
time.sleep_ms(20)
"""
    assert said(tmp_path, main) == ["600", "['handled', 'scheduled']", "8 schedule queue full"]
