"""ADC, PWM and the pulse counter."""

import asyncio

import mcu_bench
import pytest

from pave_emulator.mcu.adc import RANGES, Adc
from pave_emulator.mcu.hooks import Hooks

FAN = """
[[chip]]
name = "fan"
part = "FAN"
pwm = "fan_pwm"
tach = "fan_tach"

[[chip]]
name = "light"
part = "BACKLIGHT"
pwm = "light_pwm"
"""
FAN_PINS = {"fan_pwm": 39, "fan_tach": 40, "light_pwm": 41}


def fan_board(folder):
    path = mcu_bench.board(folder, FAN_PINS, FAN)
    path.write_text(path.read_text().replace("[pulls]", "[pulls]\nfan_tach = 1\nfan_pwm = 1", 1))
    return path


def test_the_battery_is_measured_behind_its_divider(virtual):
    main = """
from machine import ADC, Pin
a = ADC(Pin(1), atten=ADC.ATTN_11DB)
print("off", a.read_uv() < 50000)
Pin(2, Pin.OUT, value=1)
raw = a.read()
print("uv", a.read_uv())
print("u16", abs(a.read_u16() - raw * 16) < 500, a)
a.atten(ADC.ATTN_0DB)
print("clipped", a.read() > 3700)
for wrong in (lambda: ADC(38), lambda: a.atten(4), lambda: a.width(9), lambda: (a.deinit(), a.read())):
    try: wrong()
    except (ValueError, OSError) as e: print("error", e)
"""

    async def scenario(bench):
        assert await bench.line("off") == "True"  # the divider hangs behind a switch
        assert abs(int(await bench.line("uv")) / 1e6 - 3.6 / 2) < 0.06  # the datasheet's 50 mV, and noise
        assert await bench.line("u16") == "True ADC(Pin(1), atten=3)"
        assert await bench.line("clipped") == "True"
        errors = [await bench.line("error") for _ in range(4)]
        assert errors == ["invalid pin", "invalid attenuation", "invalid bit-width", "[Errno 1] EPERM"]

    virtual(main, scenario)


class _Board:
    analogs: dict = {}  # noqa: RUF012


class _Pins:
    def level(self, number):
        return 0


def converter(seed: str) -> Adc:
    def nothing(*_arguments):
        pass

    hooks = Hooks(None, nothing, nothing, nothing, nothing, None, None, nothing, lambda: 3.6, seed)  # type: ignore[arg-type]
    return Adc(_Board(), _Pins(), hooks)  # type: ignore[arg-type]


def mean(adc: Adc, attenuation: int, volts: float) -> tuple[float, float]:
    adc.volts = lambda number: volts  # type: ignore[method-assign]
    reads = [adc._read(1, attenuation, b"") for _ in range(200)]
    raw = sum(int.from_bytes(r[:2], "little") for r in reads) / 200
    return raw, sum(int.from_bytes(r[2:], "little") for r in reads) / 200 / 1e6


@pytest.mark.parametrize("attenuation", range(4))
def test_calibrated_readings_keep_to_the_datasheets_error_and_raw_ones_differ_from_chip_to_chip(attenuation):
    scale = RANGES[attenuation]
    raws = []
    for seed in range(20):
        for share in (0.1, 0.5, 0.9):
            raw, volts = mean(converter(str(seed)), attenuation, share * scale.effective_v)
            assert abs(volts - share * scale.effective_v) < scale.error_v + 0.001
        raws.append(raw)
    assert 0.02 < (max(raws) - min(raws)) / max(raws) < 0.2  # a reference of 1,000 to 1,200 mV


def test_above_its_range_the_converter_bends():
    adc = converter("1")
    steps = [mean(adc, 3, volts)[1] for volts in (2.8, 2.9, 3.0, 3.3)]
    assert steps[1] - steps[0] > 0.09
    assert 0.09 > steps[2] - steps[1] > 0.03
    assert steps[3] < 3.15


def test_two_runs_of_one_seed_read_the_same(virtual):
    read = "from machine import ADC\na = ADC(1)\nprint('reads', [a.read() for _ in range(5)])\n"
    heard = []

    async def scenario(bench):
        heard.append(await bench.line("reads"))

    for seed in (7, 7, 8):
        virtual(read, scenario, seed=seed)
    assert heard[0] == heard[1] != heard[2]


def test_pwm_reads_back_what_the_hardware_made_of_it(virtual):
    main = """
from machine import PWM, Pin
p = PWM(Pin(38), freq=25000, duty_u16=32768)
print("25 kHz", p.freq(), p.duty_u16(), p.duty(), p.duty_ns(), p)
p.duty_u16(12345); print("11 bits", p.duty_u16())
p.duty(1023); print("full", p.duty_u16(), p.duty())
p.freq(5000); p.duty_ns(50000); print("ns", p.duty_u16())
p.deinit(); print("ended", p, Pin(38).value())
print("default", PWM(38).freq())
"""

    async def scenario(bench):
        assert await bench.line("25 kHz") == "25000 32768 512 20000 PWM(Pin(38), freq=25000, duty_u16=32768)"
        assert await bench.line("11 bits") == str(12345 >> 5 << 5)  # 80 MHz / 25 kHz: 11 bits
        assert await bench.line("full") == "65535 1023"
        assert await bench.line("ns") == "16384"
        assert await bench.line("ended") == "PWM(Pin(38)) 0"
        assert await bench.line("default") == "5000"

    virtual(main, scenario)


def test_pwm_has_eight_channels_four_frequencies_and_bounds(virtual):
    main = """
from machine import PWM
for wrong in (lambda: PWM(3, freq=0), lambda: PWM(3, freq=1000, duty=1024), lambda: PWM(3, freq=1000, duty_u16=65536)):
    try: wrong()
    except ValueError as e: print("error", e)
many = []
try:
    for n in range(5): many.append(PWM(n + 38, freq=1000 * (n + 1)))
except RuntimeError as e: print("timers", len(many), e)
for p in many: p.deinit()
try: many[0].duty(1)
except RuntimeError as e: print("dead", e)
many = []
try:
    for n in range(9): many.append(PWM(n + 38 if n < 8 else 3, freq=1000))
except RuntimeError as e: print("channels", len(many), e)
"""

    async def scenario(bench):
        assert await bench.line("error") == "frequency must be from 1Hz to 40MHz"
        assert await bench.line("error") == "duty must be from 0 to 1023"
        assert await bench.line("error") == "duty_u16 must be from 0 to 65536"
        assert await bench.line("timers") == "4 out of PWM timers:4"
        assert await bench.line("dead") == "PWM is inactive"
        assert await bench.line("channels") == "8 out of PWM channels:8"

    virtual(main, scenario)


def test_pwm_drives_fan_and_backlight_and_the_counter_sees_the_fan_turn(virtual, tmp_path):
    main = """
import machine, esp32, time
from machine import PWM, Pin
light = PWM(Pin(41), freq=1000, duty_u16=16384)
fan = PWM(Pin(39), freq=25000, duty_u16=0)
counter = esp32.PCNT(0, pin=Pin(40), falling=esp32.PCNT.INCREMENT)
counter.start()
time.sleep(20)
counter.value(0)
time.sleep(1)
print("stopped", counter.value())
fan.duty_u16(32768)
time.sleep(20)
counter.value(0)
time.sleep(10)
print("half", counter.value())
PWM(Pin(39), freq=5000)
"""

    async def scenario(bench):
        assert await bench.line("stopped", 100) == "0"
        pulses = int(await bench.line("half", 100))
        assert abs(pulses - 1100 / 60 * 2 * 10) <= 2  # half of 2,200 rpm, two pulses a turn, ten seconds
        await bench.line(">>>")
        fan, light = bench.device.chip("fan"), bench.device.chip("light")
        assert abs(light.brightness() - 0.25) < 1e-3
        assert abs(fan.rpm(bench.device._clock.now_s()) - 1100) < 5
        assert any("FAULT fan" in line and "5000 Hz" in line for line in bench.lines)

    virtual(main, scenario, board=fan_board(tmp_path))


def test_the_counter_interrupts_at_its_limit_and_begins_again(virtual, tmp_path):
    main = """
import machine, esp32, time
from machine import Pin
seen = []
counter = esp32.PCNT(1, pin=Pin(40), rising=esp32.PCNT.INCREMENT, max=50, threshold0=20, filter=100)
counter.irq(lambda c: seen.append(c.irq().flags()), esp32.PCNT.IRQ_MAX | esp32.PCNT.IRQ_THRESHOLD0)
counter.start()
while len(seen) < 4: time.sleep_ms(100)
counter.stop()
print("seen", seen, counter.value() < 50)
wrongs = [lambda: esp32.PCNT(4), lambda: esp32.PCNT(0, rising=3), lambda: counter.value(1)]
wrongs.append(lambda: counter.init(max=-1))
for wrong in wrongs:
    try: wrong()
    except ValueError as e: print("error", e)
"""

    async def scenario(bench):
        assert await bench.line("seen", 100) == "[8, 32, 8, 32] True"
        assert [await bench.line("error") for _ in range(4)] == ["invalid id", "rising", "value", "maximum"]

    virtual(main, scenario, board=fan_board(tmp_path))


def test_the_counter_counts_what_the_world_does_to_a_pin_in_both_directions(either):
    main = """
import machine, esp32, time
from machine import Pin
c = esp32.PCNT(2, pin=Pin(38, Pin.IN), rising=1, falling=1, mode_pin=Pin(39, Pin.OUT), mode_low=esp32.PCNT.REVERSE)
c.start()
Pin(39).value(1)
print("up")
while c.value() < 4: time.sleep_ms(20)
Pin(39).value(0)
print("down")
while c.value() > 2: time.sleep_ms(20)
print("count", c.value())
"""

    async def scenario(bench):
        for start, edges in (("up", 4), ("down", 2)):
            await bench.line(start)
            for edge in range(edges):
                bench.device.mcu.pins.drive(38, (edge + 1) % 2)
                await asyncio.sleep(0.01)
        assert await bench.line("count") == "2"

    either(main, scenario)
