"""Resets and their causes, what each leaves, the slow clock, OTA."""

import asyncio
import itertools

import pytest

from pave_emulator.rtc import CALIBRATION_ERROR, DRIFT_PER_K, Rtc, SlowClock

STATE = """
import machine, time
from machine import RTC, Pin
rtc = RTC()
print("cause", machine.reset_cause(), rtc.memory(), time.time() > 1000, Pin(17).value())
"""


def test_a_brown_out_is_a_power_on_that_forgets_the_time_and_every_pin_but_not_rtc_memory(virtual):
    main = (
        STATE
        + """
if machine.reset_cause() == 1 and not rtc.memory():
    rtc.memory(b"kept")
    rtc.datetime((2026, 5, 1, 0, 12, 0, 0, 0))
    Pin(17, Pin.OUT, value=1, hold=True)
    print("set")
    time.sleep(100)
"""
    )

    async def scenario(bench):
        assert await bench.line("cause") == "1 b'' False 0"
        await bench.line("set")
        bench.device.chip("magnetometer").write(b"\x60\x8c", bench.device._clock.now_s())
        bench.device.brown_out()
        assert await bench.line("cause") == "1 b'kept' False 0"
        chip = bench.device.chip("magnetometer")
        chip.write(b"\x60", bench.device._clock.now_s())
        assert chip.read(1, bench.device._clock.now_s()) == b"\x8c"  # the chips live on less voltage
        bench.device.power_cut()
        bench.device.power_on()
        assert await bench.line("cause") == "1 b'' False 0"

    virtual(main, scenario)


def test_a_soft_reset_keeps_pins_ticks_and_memory_and_a_hard_one_the_pins_held(virtual):
    main = (
        STATE
        + """
print("ticks", time.ticks_ms() > 5000, [Pin(n).value() for n in (38, 39)])
if machine.reset_cause() == 1:
    Pin(17, Pin.OUT, value=1)
    Pin(38, Pin.OUT, value=1, hold=True)
    machine.PWM(39, freq=1000, duty_u16=65535)
    rtc.memory(bytes(2048))
    try: rtc.memory(bytes(2049))
    except ValueError as e: print("error", e)
    rtc.memory(b"m")
    time.sleep(6)
    machine.soft_reset()
if machine.reset_cause() == 5:
    machine.reset()
"""
    )

    async def scenario(bench):
        assert await bench.line("cause") == "1 b'' False 0"
        assert await bench.line("ticks") == "False [0, 0]"
        assert await bench.line("error") == "buffer too long"
        assert await bench.line("cause", 20) == "5 b'm' False 1"
        assert await bench.line("ticks") == "True [1, 0]"
        assert await bench.line("cause") == "2 b'm' False 0"
        assert await bench.line("ticks") == "False [1, 0]"

    virtual(main, scenario)


def test_the_clock_goes_wrong_by_its_slow_clock_while_the_device_sleeps(virtual):
    main = """
import machine, time
if machine.reset_cause() == 1:
    machine.RTC().datetime((2026, 5, 1, 0, 12, 0, 0, 0))
    print("asleep", time.time_ns() // 1000000)
    machine.deepsleep(100000)
print("awake", time.time_ns() // 1000000)
machine.lightsleep(100000)
print("again", time.time_ns() // 1000000)
"""
    took, believed = [], []

    async def scenario(bench):
        at_s, at_ms = [], []
        for start in ("asleep", "awake", "again"):
            at_ms.append(int(await bench.line(start, 300)))
            at_s.append(bench.device._clock.now_s())
        took.extend(b - a for a, b in itertools.pairwise(at_s))
        believed.extend((b - a) / 1000 for a, b in itertools.pairwise(at_ms))

    virtual(main, scenario, spec={"slow_clock": SlowClock(0.02)})
    assert took == pytest.approx([100 / 1.02 + 0.4, 100 / 1.02], abs=0.1)  # it runs fast and wakes early
    assert believed == pytest.approx([100.4, 100.0], abs=0.1)  # and believes that it slept all of it


class _Clock:
    def __init__(self):
        self.time_s = 0.0

    def now_s(self):
        return self.time_s


def test_a_slow_clock_follows_the_temperature_since_it_was_calibrated():
    clock, temperature_c = _Clock(), [20.0]
    rtc = Rtc(clock, lambda _now_s: temperature_c[0], SlowClock(0.0, 1e-3))  # type: ignore[arg-type]
    assert rtc.sleep(100.0) == 100.0
    rtc.wake()
    temperature_c[0] = 10.0
    assert rtc.sleep(99.0) == pytest.approx(100.0)
    clock.time_s += 100.0
    rtc.wake()
    assert rtc.now_us() == 99_000_000
    assert rtc.sleep(50.0) == 50.0  # it has been calibrated at 10 C


def test_slow_clocks_are_drawn_within_bounds_one_for_each_device():
    drawn = [SlowClock.drawn(7, f"sensor-{number}") for number in range(50)]
    assert drawn[3] == SlowClock.drawn(7, "sensor-3") != SlowClock.drawn(8, "sensor-3")
    assert len(set(drawn)) == 50
    assert all(abs(c.error) <= CALIBRATION_ERROR and abs(c.per_k) <= DRIFT_PER_K for c in drawn)


def test_a_partition_chosen_to_boot_is_booted_and_can_be_marked_valid(virtual):
    main = """
import machine, esp32
P = esp32.Partition
running = P(P.RUNNING)
print("slots", running.info()[4], P(P.BOOT).info()[4], running.get_next_update().info()[4])
if running.info()[4] == "ota_0":
    other = running.get_next_update()
    block = bytearray(4096)
    for n in range(4):
        running.readblocks(n, block)
        other.writeblocks(n, block)
    other.set_boot()
    print("boot", P(P.BOOT).info()[4])
    machine.reset()
P.mark_app_valid_cancel_rollback()
try: P("nvs").set_boot()
except OSError as e: print("error", e)
try: P(7)
except ValueError: print("value")
"""

    async def scenario(bench):
        assert await bench.line("slots") == "ota_0 ota_0 ota_1"
        assert await bench.line("boot") == "ota_1"
        assert await bench.line("slots") == "ota_1 ota_1 ota_0"
        assert await bench.line("error") == "(-5379, 'ESP_ERR_OTA_VALIDATE_FAILED')"
        await bench.line("value")

    virtual(main, scenario)


def test_the_chip_tells_its_temperature_and_its_heap(virtual):
    main = """
import esp32, machine
print("heat", esp32.mcu_temperature())
total, free, largest, least = esp32.idf_heap_info(esp32.HEAP_DATA)[0]
print("heap", total > free > 0, hasattr(esp32, "raw_temperature"))
machine.freq(80000000); machine.idle()
try: machine.freq(90000000)
except ValueError as e: print("freq", machine.freq(), e)
"""

    async def scenario(bench):
        assert await bench.line("heat") == "23"  # a board at 15 C
        assert await bench.line("heap") == "True False"
        expected = "80000000 frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz"
        assert await bench.line("freq") == expected

    virtual(main, scenario)


def test_the_time_can_be_set_and_a_wrong_tuple_is_refused(virtual):
    main = """
from machine import RTC
rtc = RTC()
rtc.datetime((2026, 11, 23, 0, 10, 30, 15, 0))
print("date", rtc.datetime()[:7])
try: rtc.datetime((2026, 11, 23))
except ValueError as e: print("error", e)
"""

    async def scenario(bench):
        assert await bench.line("date") == "(2026, 11, 23, 0, 10, 30, 15)"
        assert await bench.line("error") == "requested length 8 but object has length 3"
        await asyncio.sleep(0)

    virtual(main, scenario)
