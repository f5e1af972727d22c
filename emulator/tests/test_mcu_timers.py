"""Timers, interrupts, the watchdog and light sleep, on both clocks."""

import asyncio


def console(start, expected):
    async def scenario(bench):
        assert await bench.line(start) == expected

    return scenario


def test_a_periodic_timer_calls_back_once_a_period(virtual):
    main = """
import machine, time
n = 0
def count(timer):
    global n
    n += 1
timer = machine.Timer(0, period=10, callback=count)
time.sleep(1)
timer.deinit()
time.sleep(1)
print("calls", n)
"""
    virtual(main, console("calls", "100"))


def test_timers_of_each_kind_run_side_by_side(virtual):
    main = """
import machine, time
seen = []
once = machine.Timer(-1, mode=machine.Timer.ONE_SHOT, period=50, callback=lambda t: seen.append("once"))
often = machine.Timer(mode=machine.Timer.PERIODIC, freq=25, callback=lambda t: seen.append("often"))
machine.Timer(3).init(mode=machine.Timer.ONE_SHOT, period=90, callback=lambda t: seen.append("late"))
time.sleep_ms(105)
often.deinit()
print("seen", seen)
print("same", machine.Timer(3) is machine.Timer(3), machine.Timer(-1) is machine.Timer(-1))
for wrong in (lambda: machine.Timer(4), lambda: once.init(freq=1e9), lambda: once.init(period=1, hard=True)):
    try: wrong()
    except ValueError as e: print("error", e)
"""

    async def scenario(bench):
        assert await bench.line("seen") == "['often', 'once', 'often', 'late']"
        assert await bench.line("same") == "True False"
        assert await bench.line("error") == "Timer(4) doesn't exist, there are only 4 hardware timers"
        assert await bench.line("error") == "Timer period is too short for this timer"
        assert await bench.line("error") == "hard Timers are not implemented"

    virtual(main, scenario)


def test_an_interrupt_during_a_sleep_runs_at_its_instant_and_the_sleep_lasts_as_long_as_told(virtual):
    main = """
import machine, time
at = []
began = time.ticks_us()
def late(timer): at.append(time.ticks_diff(time.ticks_us(), began))
machine.Timer(1, mode=machine.Timer.ONE_SHOT, period=30, callback=late)
time.sleep_ms(100)
slept = time.ticks_diff(time.ticks_us(), began)
print("in time", 30000 <= at[0] < 32000, 100000 <= slept < 103000)
"""
    virtual(main, console("in time", "True True"))


def test_a_busy_loop_sees_the_timer_come(either):
    main = """
import machine, time
done = []
machine.Timer(0, mode=machine.Timer.ONE_SHOT, period=40, callback=done.append)
start = time.ticks_ms()
while not done and time.ticks_diff(time.ticks_ms(), start) < 1000:
    pass
print("done", len(done), time.ticks_diff(time.ticks_ms(), start) < 500)
"""
    either(main, console("done", "1 True"))


def test_disable_irq_makes_interrupts_wait(virtual):
    main = """
import machine, time
seen = []
machine.Timer(0, mode=machine.Timer.ONE_SHOT, period=5, callback=lambda t: seen.append(1))
state = machine.disable_irq()
time.sleep_ms(30)
before = len(seen)
machine.enable_irq(state)
print("seen", before, len(seen))
"""
    virtual(main, console("seen", "0 1"))


def test_a_handler_that_raises_says_so_and_the_firmware_goes_on(virtual):
    main = """
import machine, time
def wrong(timer): raise ValueError("in a handler")
machine.Timer(0, mode=machine.Timer.ONE_SHOT, period=5, callback=wrong)
time.sleep_ms(30)
print("still here")
"""

    async def scenario(bench):
        await bench.line("ValueError: in a handler")
        await bench.line("still here")

    virtual(main, scenario)


def test_a_flag_set_by_an_interrupt_wakes_asyncio(either):
    main = """
import asyncio, machine, time
async def main():
    flag = asyncio.ThreadSafeFlag()
    machine.Timer(0, mode=machine.Timer.ONE_SHOT, period=30, callback=lambda t: flag.set())
    start = time.ticks_ms()
    await asyncio.wait_for(flag.wait(), 2)
    print("after", 25 < time.ticks_diff(time.ticks_ms(), start) < 500)
asyncio.run(main())
"""
    either(main, console("after", "True"))


def test_the_watchdog_takes_another_timeout_outlives_a_soft_reset_and_stands_in_light_sleep(virtual):
    main = """
import machine, time
cause = machine.reset_cause()
print("cause", cause)
if cause == 1:
    machine.WDT(timeout=500)
    wdt = machine.WDT(timeout=2000)
    time.sleep_ms(1500)
    wdt.feed()
    machine.lightsleep(10000)
    print("slept")
    machine.soft_reset()
if cause == 5:
    time.sleep(100)
"""

    async def scenario(bench):
        await bench.line("cause")
        await bench.line("slept", 20)
        assert await bench.line("cause") == "5"
        assert await bench.line("cause") == "3"
        assert bench.device.stats.watchdog_resets == 1

    virtual(main, scenario)


def test_light_sleep_keeps_ram_stops_hardware_timers_and_tells_why_it_ended(virtual):
    main = """
import machine, esp32, time
hard, soft = [], []
machine.Timer(0, period=100, callback=hard.append)
machine.Timer(-1, period=100, callback=soft.append)
machine.lightsleep(1000)
time.sleep_ms(150)
print("timer", machine.wake_reason(), len(hard), len(soft))
esp32.wake_on_gpio((machine.Pin(38, machine.Pin.IN),), True)
machine.lightsleep(5000)
print("pin", machine.wake_reason())
try: machine.deepsleep(1)
except ValueError as e: print("error", e)
"""

    async def scenario(bench):
        assert await bench.line("timer") == "4 1 2"  # one that was due in sleep, one after it
        await asyncio.sleep(1.0)
        bench.device.mcu.pins.drive(38, 1)
        assert await bench.line("pin") == "7"
        assert await bench.line("error") == "DEEPSLEEP with gpio pins not supported on this chip"

    virtual(main, scenario)
