"""Pins: interrupts, hold, wake-up levels, and what a board would do with a wrong one."""

import asyncio

OUT_AND_BACK = """
import machine, time
seen = []
pin = machine.Pin(38, machine.Pin.OUT, value=0)
pin.irq(lambda p: seen.append((p is pin, p.value())), machine.Pin.IRQ_RISING)
for level in (1, 0, 1, 1):
    pin.value(level)
print("rises", seen)
pin.irq(None)
pin.toggle(); pin.toggle()
print("still", len(seen))
"""


def test_an_output_read_back_interrupts(either):
    async def scenario(bench):
        assert await bench.line("rises") == "[(True, 1), (True, 1)]"
        assert await bench.line("still") == "2"

    either(OUT_AND_BACK, scenario)


def test_edges_of_the_world_interrupt_on_the_edges_asked_for_and_end_a_wait_early(either):
    main = """
import machine, time
log = []
pin = machine.Pin(38, machine.Pin.IN, machine.Pin.PULL_UP)
pin.irq(handler=lambda p: log.append(p.value()))
irq = pin.irq()
print("up", irq.trigger())
while len(log) < 2: time.sleep_ms(200)
print("log", log, irq.trigger(machine.Pin.IRQ_FALLING), irq.trigger())
while len(log) < 3: time.sleep_ms(200)
print("log", log)
"""

    async def scenario(bench):
        pins = bench.device.mcu.pins
        assert await bench.line("up") == "3"
        for level in (0, 1):
            pins.drive(38, level)
            await asyncio.sleep(0.05)
        assert await bench.line("log") == "[0, 1] 3 2"
        for level in (0, 1):
            pins.drive(38, level)
            await asyncio.sleep(0.05)
        assert await bench.line("log") == "[0, 1, 0]"

    either(main, scenario)


def test_an_interrupt_comes_at_the_instant_of_the_edge(virtual):
    main = """
import machine, time
at = []
pin = machine.Pin(38, machine.Pin.IN)
pin.irq(lambda p: at.append(time.ticks_us()), machine.Pin.IRQ_RISING)
print("armed", time.ticks_us())
time.sleep(10)
print("at", at[0])
"""

    async def scenario(bench):
        armed_us = int(await bench.line("armed"))
        await asyncio.sleep(1.0)
        bench.device.mcu.pins.drive(38, 1)
        assert 0 <= int(await bench.line("at", 20)) - armed_us - 1_000_000 < 2000  # code between is charged for

    virtual(main, scenario)


def test_what_is_no_pin_or_not_modelled_is_an_error_as_on_the_port_or_by_its_name(virtual):
    main = """
import machine
Pin = machine.Pin
for wrong in (lambda: Pin(22), lambda: Pin(49), lambda: Pin("D4"), lambda: Pin(30).irq(None, Pin.WAKE_LOW, 4),
              lambda: Pin(4).irq(None, Pin.WAKE_LOW, 1), lambda: Pin(4).irq(lambda p: 0, Pin.WAKE_HIGH),
              lambda: machine.I2S(0), lambda: __import__("esp32").RMT(0)):
    try: wrong()
    except (ValueError, RuntimeError) as e: print("error", e)
print("same", Pin(4) is Pin(4), Pin(4, Pin.OUT, Pin.PULL_UP, drive=Pin.DRIVE_3))
print("absent", hasattr(machine, "DAC"))
print("floats", Pin(38, Pin.IN).value())
"""

    async def scenario(bench):
        assert [await bench.line("error") for _ in range(5)] == [
            "invalid pin", "invalid pin", "invalid pin", "invalid pin for wake", "bad wake value",
        ]  # fmt: skip
        assert "level interrupts are not modelled" in await bench.line("error")
        assert await bench.line("error") == "machine.I2S is not modelled by the emulator"
        assert await bench.line("error") == "esp32.RMT is not modelled by the emulator"
        assert await bench.line("same") == "True Pin(4, mode=Pin.OUT, pull=Pin.PULL_UP, drive=Pin.DRIVE_3)"
        assert await bench.line("absent") == "False"
        assert await bench.line("floats") == "0"
        assert any("GPIO 38 floats" in line for line in bench.lines)

    virtual(main, scenario)


def test_a_signal_is_its_pin_inverted(virtual):
    main = """
from machine import Pin, Signal
pin = Pin(38, Pin.OUT)
led = Signal(pin, invert=True)
led.on(); a = (pin.value(), led.value())
led(0); b = (pin(), led())
other = Signal(39, Pin.OUT, value=1, invert=True)
print("levels", a, b, Pin(39).value())
"""

    async def scenario(bench):
        assert await bench.line("levels") == "(0, 1) (1, 0) 0"

    virtual(main, scenario)


HOLD = """
import machine, esp32
from machine import Pin
print("cause", machine.reset_cause(), [Pin(n).value() for n in (3, 17, 38, 39)])
if machine.reset_cause() == 1:
    Pin(3, Pin.OUT, value=1, hold=True)
    Pin(17, Pin.OUT, value=1)
    Pin(38, Pin.OUT, value=1, hold=True)
    Pin(39, Pin.OUT, value=1)
    Pin(3).value(0)
    print("held", Pin(3).value())
    esp32.gpio_deep_sleep_hold(%s)
    machine.deepsleep(1000)
Pin(3, Pin.OUT, value=0)
print("before", Pin(3).value())
Pin(3, Pin.OUT, value=0, hold=False)
print("after", Pin(3).value())
"""


def hold_scenario(asleep, awake):
    async def scenario(bench):
        assert await bench.line("cause") == "1 [0, 0, 0, 0]"
        assert await bench.line("held") == "1"
        await asyncio.sleep(0.5)
        assert bench.device.state == "sleeping"
        assert [bench.device.mcu.pins.level(number) for number in (3, 17, 38, 39)] == asleep
        assert await bench.line("cause") == f"4 {awake}"
        assert await bench.line("before") == "1"  # held until it is let go
        assert await bench.line("after") == "0"

    return scenario


def test_a_held_rtc_pin_lasts_through_deep_sleep_and_beyond_and_the_others_do_not(virtual):
    virtual(HOLD % "False", hold_scenario([1, 0, 0, 0], [1, 0, 0, 0]))


def test_deep_sleep_hold_keeps_every_digital_pin_while_it_sleeps(virtual):
    virtual(HOLD % "True", hold_scenario([1, 0, 1, 1], [1, 0, 1, 0]))


def test_a_pull_lasts_through_deep_sleep_for_ext0_and_not_for_ext1(virtual):
    main = """
import machine, esp32
from machine import Pin
reason = machine.wake_reason()
print("reason", reason, machine.wake_pins())
pin = Pin(17, Pin.IN, Pin.PULL_UP)
if reason == 0:
    esp32.wake_on_ext0(pin, esp32.WAKEUP_ALL_LOW)
    machine.deepsleep(1000)
if reason == 4:
    esp32.wake_on_ext1((pin,), esp32.WAKEUP_ALL_LOW)
    machine.deepsleep(1000)
"""

    async def scenario(bench):
        assert await bench.line("reason") == "0 ()"
        assert await bench.line("reason") == "4 ()"
        assert await bench.line("reason") == "3 (17,)"

    virtual(main, scenario)


def test_pin_irq_with_wake_arms_ext0_for_the_sleeps_it_names(virtual):
    main = """
import machine
from machine import Pin
pin = Pin(17, Pin.IN, Pin.PULL_DOWN)
print("reason", machine.wake_reason())
if machine.wake_reason() == 0:
    pin.irq(trigger=Pin.WAKE_LOW, wake=machine.DEEPSLEEP)
    machine.lightsleep(300)
    print("light", machine.wake_reason())
    machine.deepsleep(5000)
"""

    async def scenario(bench):
        await bench.line("reason")
        assert await bench.line("light") == "4"
        assert await bench.line("reason") == "2"

    virtual(main, scenario)
