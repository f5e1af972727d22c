"""The I2C bus from firmware to chips, and waking on a chip's pin."""

import flash_images

from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.steps import Step
from pave_emulator.scenario.world import Bay, World

SCAN = """
import machine
i = machine.I2C(0, scl=machine.Pin(9), sda=machine.Pin(8), freq=400000)
print("scan", i.scan())
print("who", i.readfrom_mem(0x1E, 0x4F, 1))
try: i.readfrom_mem(0x1D, 0x4F, 1)
except OSError as e: print("errno", e.errno)
try: i.writeto_mem(0x1E, 0x50, b"\\x01")
except OSError as e: print("fault", e.errno)
s = machine.SoftI2C(scl=machine.Pin(1), sda=machine.Pin(2))
print("nothing", s.scan())
"""


async def test_a_wrong_address_is_enodev_with_a_hint_and_a_reserved_register_faults_loudly(bench):
    b = await bench(SCAN)
    assert await b.line("scan") == "[30]"
    assert await b.line("who") == "b'@'"
    assert "0x1e (magnetometer)" in await b.line("[emu] i2c: no chip answers at 0x1d")
    assert await b.line("errno") == "19"
    assert "reserved register 0x50" in await b.line("[emu] FAULT magnetometer:")
    assert await b.line("fault") == "19"
    assert "i2c0 scl=9 sda=8" in await b.line("[emu] i2c: nothing is wired to scl=1 sda=2")
    assert await b.line("nothing") == "[]"


WAKE_ON_FIELD = """
import machine, esp32, struct
i = machine.I2C(0, scl=9, sda=8)
def write(register, *values): i.writeto_mem(0x1E, register | 0x80, bytes(values))
print("boot", machine.reset_cause(), machine.wake_reason(), machine.Pin(4, machine.Pin.IN).value())
if machine.wake_reason() == 0:
    write(0x60, 0x01)
    import time
    time.sleep_ms(20)
    field = i.readfrom_mem(0x1E, 0x68 | 0x80, 6)
    write(0x45, *field)
    write(0x65, 30, 0)
    write(0x61, 0x08)
    write(0x63, 0xE7)
    write(0x62, 0x40)
    write(0x60, 0x10)
    print("armed", machine.Pin(4).value())
    esp32.wake_on_ext0(machine.Pin(4), esp32.WAKEUP_ANY_HIGH)
    machine.deepsleep(20000)
print("source", i.readfrom_mem(0x1E, 0x64, 1)[0] & 1)
print("low again", machine.Pin(4).value())
"""


def jumping_field() -> World:
    """A world of one place whose field jumps at 0.6 s."""
    jump = {"bay": "bay", "x_ut": 0.0, "y_ut": 0.0, "z_ut": 20.0}
    scenario = Scenario("jump", 1, (21.0, 1.0, 43.0), 0.0, steps=(Step("jump", "shift_field", jump, at_s=0.6),))
    return World(scenario, [Bay("bay", "delivery")])


async def test_a_sensor_in_deep_sleep_is_woken_by_the_magnetometer(bench):
    b = await bench(WAKE_ON_FIELD, world=jumping_field(), place="bay")
    assert await b.line("boot") == "1 0 0"
    assert await b.line("armed") == "0"
    assert await b.line("boot", timeout_s=2) == "4 2 1"
    assert await b.line("source") == "1"
    assert await b.line("low again") == "0"


DRAW = """
import machine, framebuf
i = machine.I2C(0, scl=9, sda=8)
for c in (0xAE, 0x20, 0, 0xA1, 0xC8, 0x8D, 0x14, 0xAF): i.writeto(0x3C, bytes((0x80, c)))
buf = bytearray(1024)
fb = framebuf.FrameBuffer(buf, 128, 64, framebuf.MONO_VLSB)
fb.text("12", 0, 0)
i.writevto(0x3C, (b"\\x40", buf))
print("drawn")
"""

GOLDEN_12 = [
    "   ██    ▄█▀▀█▄",
    "  ▀██       ▄█▀",
    "   ██    ▄█▀",
    " ▀▀▀▀▀▀  ▀▀▀▀▀▀",
]


async def test_what_firmware_draws_is_what_the_display_shows(bench):
    b = await bench(DRAW, board=flash_images.KIOSK_BOARD)
    await b.line("drawn")
    text = b.device.chip("display").ascii()
    assert [line.rstrip() for line in text.splitlines()[:4]] == GOLDEN_12
