"""The virtual clock: it jumps, it keeps the order, it does not depend on how the machine is loaded."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import flash_images
from virtual_bench import JOIN, Site, play

from pave_emulator.virtual_loop import VirtualLoop

TESTS = Path(__file__).parent


def test_a_day_of_sleep_takes_a_moment_and_ends_at_its_second(tmp_path):
    async def script(site: Site):
        await site.line("slept", within_s=90_000)

    started = time.monotonic()
    site = play(tmp_path, "import time\nt = time.ticks_ms()\ntime.sleep(86400)\nprint('slept')", script)
    assert time.monotonic() - started < 5
    said = next(r for r in site.records if r.fields.get("line") == "slept")
    booted_s = 0.613  # costs.cold_boot_s
    assert 86400 <= said.t_us / 1e6 - booted_s < 86401


def test_many_tasks_wake_in_order_and_at_their_instants(tmp_path):
    main = """
import asyncio, time
async def task(ms):
    due = time.ticks_ms() + ms
    await asyncio.sleep_ms(ms)
    woke.append((due, time.ticks_ms() - due))
async def main():
    await asyncio.gather(*(task(n * 7919 % 1000 + 500) for n in range(40)))
    print("in order", woke == sorted(woke), "late", max(late for _due, late in woke))
woke = []
asyncio.run(main())
"""

    async def script(site: Site):
        await site.line("in order")

    site = play(tmp_path, main, script)
    (said,) = [line for line in site.lines() if line.startswith("in order")]
    order, late_ms = said.removeprefix("in order ").split(" late ")
    assert order == "True"
    assert int(late_ms) <= 40  # what the tasks of the same instant cost before


def test_a_busy_loop_on_ticks_ends_because_reading_the_clock_costs_time(tmp_path):
    main = """
import time
t = time.ticks_ms(); n = 0
while time.ticks_diff(time.ticks_ms(), t) < 200: n += 1
print("looped", n)
"""

    async def script(site: Site):
        assert 1_000 < int(await site.line("looped")) < 100_000

    play(tmp_path, main, script)


RANDOM = (
    JOIN
    + """
import random, os
join()
s = udp()
s.settimeout(0)
for i in range(5):
    time.sleep_ms(random.randint(1, 5000))
    s.sendto(os.urandom(8), ("127.0.0.1", 9))
print("drawn", random.getrandbits(30), time.ticks_us())
"""
)


def digest(seed: int, folder: str) -> str:
    """Run two devices with one seed; the digest of what happened."""

    async def script(site: Site):
        site.air.paths.impair("a", loss=0.3, jitter_s=0.05)
        await site.line("drawn", "a")
        await site.line("drawn", "b")

    return play(Path(folder), {"a": RANDOM, "b": RANDOM}, script, seed=seed).trace.digest()


def test_one_seed_gives_one_trace_in_two_processes_and_another_seed_another(tmp_path):
    program = f"import sys; sys.path.insert(0, {str(TESTS)!r}); import test_virtual_clock as t; print(t.digest(%d, %r))"
    environment = {**os.environ, "PYTHONPATH": str(flash_images.REPOSITORY / "emulator"), "PYTHONHASHSEED": "random"}
    running = []
    for number, seed in enumerate((7, 7, 8)):
        folder = tmp_path / str(number)
        folder.mkdir()
        command = [sys.executable, "-c", program % (seed, str(folder))]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    one, same, other = (process.communicate(timeout=60)[0].strip() for process in running)
    assert len(one) == len(hashlib.sha256().hexdigest())
    assert one == same
    assert one != other


def test_work_in_a_thread_holds_the_clock(tmp_path):
    async def script(site: Site):
        before_s = site.clock.now_s()
        assert await asyncio.to_thread(lambda: time.sleep(0.2) or 5) == 5
        assert site.clock.now_s() == before_s
        await asyncio.sleep(3600)
        assert site.clock.now_s() == before_s + 3600

    site = play(tmp_path, "import time\nwhile True: time.sleep(10)", script)
    assert isinstance(site.loop, VirtualLoop)


def test_a_firmware_that_computes_for_ever_is_bitten_as_by_a_watchdog(tmp_path, monkeypatch):
    monkeypatch.setattr("pave_emulator.lockstep.STUCK_S", 2.0)
    main = (
        "import machine\nprint('cause', machine.reset_cause())\nif machine.reset_cause() == 1:\n    while True: pass\n"
    )

    async def script(site: Site):
        await site.line("cause 3")

    site = play(tmp_path, main, script)
    assert "cause 1" in site.lines()
    assert site.fleet.stats()["dut"]["watchdog_resets"] == 1
