"""Deep sleep, resets, watchdog, clock."""

import asyncio

import pytest

from pave_emulator.rtc import EXT1_WAKE, WakeSources
from pave_emulator.vm.shims import _emu_ops as ops

COUNT_IN_RTC = """
import machine, time
r = machine.RTC()
n = r.memory()[0] if r.memory() else 0
try: ram
except NameError: ram = None
print("boot", n, ram, machine.reset_cause(), machine.wake_reason(), time.time(), time.ticks_ms() < 200)
ram = 1
r.memory(bytes([n + 1]))
"""


@pytest.mark.alone
async def test_deep_sleep_keeps_rtc_memory_and_loses_ram(bench):
    await (await bench("print('up')")).line("up")  # the first VM of a machine is read from its disk
    b = await bench(COUNT_IN_RTC + "machine.deepsleep(1100) if n == 0 else None")
    assert await b.line("boot") == "0 None 1 0 0 True"
    assert await b.line("boot") == "1 None 4 4 1 True"
    assert b.fleet.stats()["dut"]["wakes"] == 1


async def test_a_power_cut_loses_rtc_memory_and_a_reset_does_not(bench):
    b = await bench(COUNT_IN_RTC + "machine.reset() if n == 0 else None")
    await b.line("boot 0 None 1")
    await b.line("boot 1 None 2")
    b.device.power_cut()
    b.device.power_on()
    await b.line("boot 0 None 1")


async def test_rtc_memory_takes_2048_bytes_and_not_one_more(bench):
    main = """
import machine
r = machine.RTC(); r.memory(b"x" * 2048); print("has", len(r.memory()))
try: r.memory(b"x" * 2049)
except ValueError as e: print("error", e)
"""
    b = await bench(main)
    assert await b.line("has") == "2048"
    assert await b.line("error") == "buffer too long"


async def test_a_watchdog_that_is_not_fed_bites_and_a_fed_one_does_not(bench):
    main = """
import machine, time
print("cause", machine.reset_cause())
if machine.reset_cause() == 1:
    w = machine.WDT(timeout=300)
    for _ in range(3): time.sleep_ms(150); w.feed()
    print("fed")
    while True: pass
"""
    b = await bench(main)
    assert await b.line("cause") == "1"
    await b.line("fed")
    await b.line("[emu] watchdog: not fed for 300 ms")
    assert await b.line("cause") == "3"


async def test_the_clock_can_be_set_and_goes_on_through_deep_sleep(bench):
    main = """
import machine, time
if machine.reset_cause() == 1:
    machine.RTC().datetime((2026, 11, 23, 0, 6, 12, 3, 0))
    print("set", machine.RTC().datetime()[:7], time.mktime((2026, 11, 23, 6, 12, 3, 0, 0)) == time.time())
    machine.deepsleep(1000)
print("woke", time.localtime())
"""
    b = await bench(main)
    assert await b.line("set") == "(2026, 11, 23, 0, 6, 12, 3) True"
    assert await b.line("woke") == "(2026, 11, 23, 6, 12, 4, 0, 327)"


async def test_ext0_and_ext1_pins_that_have_their_level_already_wake_at_once(bench):
    main = """
import machine, esp32
print("wake", machine.wake_reason(), machine.wake_pins())
if machine.wake_reason() == 0:
    esp32.wake_on_ext0(machine.Pin(5), esp32.WAKEUP_ALL_LOW); machine.deepsleep()
if machine.wake_reason() == 2:
    esp32.wake_on_ext1((machine.Pin(6), machine.Pin(7)), esp32.WAKEUP_ALL_LOW); machine.deepsleep()
try: esp32.wake_on_ext0(machine.Pin(30), True)
except ValueError as e: print("error", e)
"""
    b = await bench(main)
    assert await b.line("wake") == "0 ()"
    assert await b.line("wake") == "2 ()"
    assert await b.line("wake") == "3 (6, 7)"
    assert await b.line("error") == "invalid pin"


@pytest.mark.parametrize(
    ("wanted", "levels", "woken_by"),
    [
        (0, {6: 1, 7: 0}, [7]),  # ANY_LOW, not the original ESP32's ALL_LOW
        (0, {6: 0, 7: 0}, [6, 7]),
        (0, {6: 1, 7: 1}, None),
        (1, {6: 1, 7: 0}, [6]),
        (1, {6: 0, 7: 0}, None),
    ],
)
def test_ext1_wakes_when_any_of_its_pins_has_the_level(wanted, levels, woken_by):
    sources = WakeSources(levels.__getitem__)
    sources.handlers()[ops.WAKE_EXT1](1 << 6 | 1 << 7, wanted, tail=b"")
    assert sources.met() == (None if woken_by is None else (EXT1_WAKE, woken_by))


async def test_one_low_pin_of_two_ends_a_light_sleep(bench):
    main = """
import machine, esp32, time
high = machine.Pin(6, machine.Pin.IN, machine.Pin.PULL_UP)
low = machine.Pin(7, machine.Pin.IN)
print("levels", high.value(), low.value())
esp32.wake_on_ext1((high, low), esp32.WAKEUP_ALL_LOW)
t = time.ticks_ms()
machine.lightsleep(3000)
print("ms", time.ticks_diff(time.ticks_ms(), t))
"""
    b = await bench(main)
    assert await b.line("levels") == "1 0"
    assert int(await b.line("ms")) < 1500


async def test_deep_sleep_without_a_wake_source_lasts(bench):
    b = await bench("import machine\nprint('up')\nmachine.deepsleep()")
    await b.line("up")
    await asyncio.sleep(0.3)
    assert b.device.state == "sleeping"
    assert b.fleet.stats()["dut"]["boots"] == 1


async def test_sleeping_takes_the_time_asked_for(bench):
    main = """
import time
t = time.ticks_ms()
time.sleep(0.2)
time.sleep_ms(100)
print("ms", time.ticks_diff(time.ticks_ms(), t))
"""
    b = await bench(main)
    assert 300 <= int(await b.line("ms")) < 400


async def test_ticks_wrap_as_on_the_board(bench):
    main = """
import time
top = (1 << 30) - 1
print("wrap", time.ticks_add(top, 3), time.ticks_diff(2, top), time.ticks_diff(top, 2))
"""
    b = await bench(main)
    assert await b.line("wrap") == "2 3 -3"


async def test_light_sleep_keeps_ram_and_ends_at_its_time_or_at_an_armed_pin(bench):
    main = """
import machine, esp32, time
t = time.ticks_ms()
machine.lightsleep(100)
print("timer", time.ticks_diff(time.ticks_ms(), t) // 100)
esp32.wake_on_ext0(machine.Pin(5), esp32.WAKEUP_ALL_LOW)
machine.lightsleep()
print("pin", machine.reset_cause())
"""
    b = await bench(main)
    assert await b.line("timer") == "1"
    assert await b.line("pin") == "1"


async def test_a_pin_reads_its_latch_its_pull_or_nothing(bench):
    main = """
from machine import Pin
out = Pin(21, Pin.OUT, value=1)
print("out", out.value(), out.off(), out())
print("pull", Pin(5, Pin.IN, Pin.PULL_UP).value(), Pin(6, Pin.IN, Pin.PULL_DOWN).value(), Pin(7, Pin.IN).value())
for number in (22, 49, -1, "x"):
    try: Pin(number)
    except ValueError as e: print("error", e)
"""
    b = await bench(main)
    assert await b.line("out") == "1 None 0"
    assert await b.line("pull") == "1 0 0"
    for _ in range(4):
        assert await b.line("error") == "invalid pin"
