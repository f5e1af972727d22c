"""What a lease must not do: make an interrupt late, cost time, or let firmware live longer than its power."""

import asyncio
from pathlib import Path
from unittest import mock

import pytest
from virtual_bench import Site, play

from pave_emulator import core

EDGE_S = 0.66  # while the hashes are computed: charged, and no call


def test_an_interrupt_before_the_first_sleep_is_served_at_once(tmp_path):
    main = """
import machine, hashlib, time
pin = machine.Pin(4, machine.Pin.IN)
pin.irq(lambda p: print("edge", time.ticks_ms()), machine.Pin.IRQ_RISING)
for n in range(300): hashlib.sha256(b"").digest()
time.sleep(1)
print("slept")
"""

    async def script(site: Site) -> None:
        pins = site.fleet.device("dut").mcu.pins
        pins.drive(4, 0)
        site.clock.call_at(EDGE_S, lambda: pins.drive(4, 1))
        edge_ms = int(await site.line("edge"))
        assert EDGE_S * 1000 < edge_ms < 1000, "served after the sleep"
        assert not any(line.startswith("slept") for line in site.lines())

    play(tmp_path, main, script)


def clock_after(folder: Path, alone_us: int, readings: int) -> int:
    """What the clock says after so many readings, in us."""
    folder.mkdir()
    told: list[int] = []
    main = f"import time\nfor n in range({readings}): time.ticks_us()\nprint('us', time.ticks_us())\n"

    async def script(site: Site) -> None:
        told.append(int(await site.line("us")))

    with mock.patch.object(core, "ALONE_US", alone_us):
        play(folder, main, script)
    return told[0]


def test_the_clock_is_charged_the_same_with_and_without_a_lease(tmp_path):
    asked, leased = (clock_after(tmp_path / str(us), us, 200) for us in (100, 10_000_000))
    assert asked == leased
    assert clock_after(tmp_path / "more", 100, 220) - asked > 20, "the negative control: readings cost"


@pytest.mark.parametrize(("first", "over_ms"), [("time.sleep_ms(1)", 0), ("", core.ALONE_US // 1000)])
def test_firmware_that_only_looks_at_the_clock_says_nothing_after_its_power_was_cut(tmp_path, first, over_ms):
    main = f"import time\n{first}\nwhile True: print('now', time.ticks_ms())\n"

    async def script(site: Site) -> None:
        await asyncio.sleep(1.5)
        site.fleet.device("dut").power_cut()

    said = play(tmp_path, main, script).lines()
    last_ms = max(int(line.split()[1]) for line in said if line.startswith("now "))
    assert 1400 < last_ms <= 1500 + over_ms
