"""Attacks on a device's core: consoles without end, VMs that crash, boots without end, cuts at awkward moments."""

import asyncio
import os
import signal
import time

import flash_images
import psutil
from virtual_bench import Site, play

SAYS_MUCH = """
import time
print("begin")
for i in range(20000): print("line", i, "of a long report")
print("end", time.ticks_ms() < 100000)
"""


def test_a_report_longer_than_the_pipe_holds_is_printed_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("pave_emulator.lockstep.STUCK_S", 3.0)

    async def script(site: Site):
        await site.line("end")

    site = play(tmp_path, SAYS_MUCH, script)
    said = site.lines()
    begin = said.index("begin")
    assert said[begin + 1 : begin + 20001] == [f"line {i} of a long report" for i in range(20000)]
    assert site.fleet.stats()["dut"]["watchdog_resets"] == 0


def test_a_firmware_that_prints_for_ever_is_bitten_and_the_host_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("pave_emulator.lockstep.STUCK_S", 2.0)
    main = "import machine\nprint('cause', machine.reset_cause())\n" \
           "while machine.reset_cause() == 1: print('still here')\n"  # fmt: skip

    async def script(site: Site):
        await site.line("cause 3")

    assert play(tmp_path, main, script).fleet.stats()["dut"]["watchdog_resets"] == 1


async def test_at_wall_clock_a_firmware_that_prints_for_ever_does_not_keep_the_host(bench):
    b = await bench("import machine\nprint('cause', machine.reset_cause())\n"
                    "if machine.reset_cause() == 1:\n    w = machine.WDT(timeout=300)\n"
                    "    while True: print('still here')\n")  # fmt: skip
    assert await b.line("cause") == "1"
    assert await b.line("cause", timeout_s=10) == "3"


def test_a_line_is_cut_at_the_same_byte_however_it_came():
    from pave_emulator.console import MAX_LINE_BYTES, Console

    text = b"x" * (2 * MAX_LINE_BYTES + 5) + b"\nnext\n"
    cuts = []
    for size in (1, 1000, len(text)):
        lines: list[str] = []
        console = Console("dut", flash_images.Path(os.devnull), "board")
        console.subscribers.append(lambda _device, line, lines=lines: lines.append(line))
        for at in range(0, len(text), size):
            console.printed(text[at : at + size])
        console.close()
        cuts.append(lines)
    assert cuts[0] == cuts[1] == cuts[2]
    assert max(map(len, cuts[0])) == MAX_LINE_BYTES


CRASH = """
import machine, time
print("cause", machine.reset_cause())
if machine.reset_cause() == 1:
    import uctypes
    time.sleep_ms(500)
    uctypes.struct(16, {"a": uctypes.UINT32 | 0}).a
"""
COMPUTES = """
import time
time.sleep_ms(500)
x = 0
for i in range(3000000): x += i
print("computed", x)
"""


def test_a_vm_that_crashes_while_another_computes_is_one_panic(tmp_path):
    async def script(site: Site):
        await site.line("cause 2", "a")
        await site.line("computed", "b")

    site = play(tmp_path, {"a": CRASH, "b": COMPUTES}, script)
    assert site.fleet.stats()["a"]["crashes"] == 1
    assert site.fleet.stats()["b"]["boots"] == 1


def test_resets_without_end_leave_nothing_behind(tmp_path):
    async def script(site: Site):
        device = site.fleet.device("dut")
        host = psutil.Process()
        fds = []
        for boots in (50, 600):
            while device.stats.boots < boots:
                await asyncio.sleep(200)
            await asyncio.sleep(0)
            fds.append(host.num_fds())
        assert fds[1] < fds[0] + 60, fds
        assert device.stats.watchdog_resets == 0
        device.power_cut()

    play(tmp_path, "import machine\nmachine.reset()", script)


def test_a_device_held_in_reset_is_not_woken_by_its_sleep_or_its_watchdog(tmp_path):
    mains = {
        "sleeper": "import machine\nprint('up')\nmachine.deepsleep(5000)",
        "watched": "import machine, time\nw = machine.WDT(timeout=5000)\nprint('up')\ntime.sleep(100)",
    }

    async def script(site: Site):
        for name in mains:
            await site.line("up", name)
        await asyncio.sleep(2)
        for name in mains:
            site.fleet.device(name).hold_in_reset()
        await asyncio.sleep(60)
        for name in mains:
            assert site.fleet.device(name).state == "held"
            assert site.fleet.stats()[name]["boots"] == 1
            site.fleet.device(name).release_reset()
        await asyncio.sleep(3)
        assert [site.fleet.stats()[name]["boots"] for name in mains] == [2, 2]

    play(tmp_path, mains, script)


def test_a_cut_at_the_word_before_a_call_leaves_the_device_off(tmp_path):
    async def script(site: Site):
        device = site.fleet.device("dut")
        device.console.subscribers.append(lambda _device, line: device.power_cut() if line == "good night" else None)
        await site.line("good night")
        await asyncio.sleep(60)
        assert device.state == "off"
        assert device.stats.boots == 1

    play(tmp_path, "import machine\nprint('good night')\nmachine.deepsleep(1000)", script)


def test_a_zygote_that_is_killed_is_told_once_and_ends_the_run(tmp_path):
    lost: list[str] = []

    async def script(site: Site):
        await site.line("up")
        site.fleet._zygote._on_lost = lost.append
        assert site.fleet.zygote_pid is not None
        os.kill(site.fleet.zygote_pid, signal.SIGKILL)
        await asyncio.to_thread(time.sleep, 0.5)  # it dies in wall time
        await asyncio.sleep(100)
        assert len(lost) == 1
        assert site.fleet.stats()["dut"]["boots"] <= 2

    play(tmp_path, "import time\nprint('up')\nwhile True: time.sleep(1); time.ticks_ms()", script)


BLOCKS = """
import gc
def most(limit):
    low, high = 0, limit
    while high - low > 16:
        size = (low + high) // 2
        gc.collect()
        try: bytearray(size)
        except MemoryError: high = size
        else: low = size
    return low
gc.collect()
print("free", gc.mem_free())
print("largest", most(1500000))
"""


def test_without_psram_no_block_is_larger_than_the_boards_largest_and_with_it_there_is_no_such_limit(tmp_path):
    async def script(site: Site):
        free, largest = int(await site.line("free")), int(await site.line("largest"))
        if site.fleet.device("dut").board.psram_bytes:
            assert largest > 1_000_000
        else:
            assert 110_592 <= largest < 110_592 + 4096
            assert 300 * 1024 < free < 330 * 1024  # twice the board's 160 KiB

    for board in (flash_images.PRESENCE_BOARD, flash_images.KIOSK_BOARD):
        play(tmp_path, BLOCKS, script, board=board)
