"""ILI9341 under drivers by other hands: Adafruit's for CircuitPython, luma.lcd for the Raspberry Pi."""

import adafruit_rgb_display.ili9341
import adafruit_rgb_display.rgb
import luma.core.device
import luma.core.interface.serial
import luma.lcd.device
import pytest
from busio_bridge import SPI, BridgeTime, ChipSelect, DigitalInOut, ManualClock
from PIL import Image, ImageDraw

from pave_emulator.chips.backlight import Backlight, passer_by
from pave_emulator.chips.chip import ChipFault, Environment
from pave_emulator.chips.ili9341 import Ili9341

SIX_TO_EIGHT = bytes(value & 0xFC | value >> 6 for value in range(256))
FIVE_TO_EIGHT = bytes(value & 0xF8 | value >> 7 << 2 | value >> 6 for value in range(256))

OLD_HABITS = [  # what both drivers do and datasheet v1.11 does not know; boards put up with it
    "ILI9341: command EFh is in no command list (8.1)",
    "ILI9341: 3 parameters after B6h (8.3.7), it has 4",
]


def drawing(width: int, height: int) -> Image.Image:
    """Nothing in it is symmetrical."""
    image = Image.new("RGB", (width, height), (10, 20, 40))
    draw = ImageDraw.Draw(image)
    draw.rectangle((5, 10, 60, 90), fill=(255, 0, 0))
    draw.ellipse((100, 30, 200, 160), fill=(0, 255, 0), outline=(255, 255, 255))
    draw.line((0, height - 1, width - 1, 0), fill=(90, 140, 250), width=3)
    draw.text((70, 200), "PAVE", fill=(255, 255, 0))
    return image


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1.0)


def test_adafruits_driver_shows_its_picture(clock, monkeypatch):
    monkeypatch.setattr(adafruit_rgb_display.rgb, "time", BridgeTime(clock))
    chip = Ili9341(Environment())
    bus = SPI(chip, clock)
    display = adafruit_rgb_display.ili9341.ILI9341(
        bus,
        DigitalInOut(chip, "dc", clock),
        ChipSelect(bus),
        rst=DigitalInOut(chip, "reset", clock),
        baudrate=40_000_000,
    )
    faults = [str(fault) for fault in bus.faults]
    # DISPON comes microseconds after SLPOUT; the datasheet wants 5 ms.
    assert faults == [*OLD_HABITS, "ILI9341: 29h (8.2.19) within 5 ms of SLPIN or SLPOUT (8.2.11, 8.2.12)"]
    bus.faults.clear()
    clock.spend(0.12)
    image = drawing(240, 320)
    display.image(image)
    display.fill_rectangle(200, 300, 20, 10, 0x07E0)
    display.pixel(7, 5, 0xFFFF)
    ImageDraw.Draw(image).rectangle((200, 300, 219, 309), fill=(0, 255, 0))
    image.putpixel((7, 5), (255, 255, 255))
    red, green, blue = (band.tobytes() for band in image.split())
    picture = chip.picture()
    assert picture.rgb[0::3] == red.translate(FIVE_TO_EIGHT)
    assert picture.rgb[1::3] == green.translate(SIX_TO_EIGHT)
    assert picture.rgb[2::3] == blue.translate(FIVE_TO_EIGHT)
    assert bus.faults == []
    display.scroll(100)
    assert chip.picture().rgb == picture.rgb[3 * 240 * 100 :] + picture.rgb[: 3 * 240 * 100]


class Spidev:
    """What luma uses of `spidev`, on the bridge."""

    def __init__(self, bus: SPI) -> None:
        self._bus = bus
        self.max_speed_hz = 0

    def open(self, port: int, device: int) -> None:
        """Nothing to open."""

    def writebytes(self, data: list[int]) -> None:
        assert self._bus.try_lock()
        self._bus.configure(baudrate=self.max_speed_hz)
        self._bus.select(True)
        self._bus.write(bytes(data))
        self._bus.select(False)
        self._bus.unlock()


class RpiGpio:
    """What luma uses of `RPi.GPIO`: lines to the display, and PWM on the backlight's."""

    LOW, HIGH, OUT, BCM = 0, 1, 0, 11

    def __init__(self, chip: Ili9341, light: Backlight, clock: ManualClock) -> None:
        self._inputs = {24: "dc", 25: "reset"}
        self._chip, self._light, self._clock = chip, light, clock
        self._hz = 0.0

    def setup(self, pin: int, direction: int) -> None:
        """All are outputs."""

    def output(self, pin: int, level: int) -> None:
        self._chip.set_input(self._inputs[pin], level, self._clock.now_s)

    def PWM(self, pin: int, hz: float) -> "RpiGpio":  # noqa: N802  their name
        self._hz = hz
        return self

    def start(self, percent: float) -> None:
        self.ChangeDutyCycle(percent)

    def ChangeDutyCycle(self, percent: float) -> None:  # noqa: N802  their name
        self._light.set_pwm(percent / 100, self._hz, self._clock.now_s)


def test_lumas_driver_shows_its_picture_in_landscape_and_dims_it(clock, monkeypatch):
    for module in (luma.core.interface.serial, luma.core.device, luma.lcd.device):
        monkeypatch.setattr(module, "sleep", clock.spend)
    chip, light = Ili9341(Environment(), turned_deg=270), Backlight(Environment())
    bus, gpio = SPI(chip, clock), RpiGpio(chip, light, clock)
    serial = luma.core.interface.serial.spi(
        spi=Spidev(bus), gpio=gpio, bus_speed_hz=40_000_000, reset_hold_time=0.001, reset_release_time=0.005
    )
    display = luma.lcd.device.ili9341(serial, gpio=gpio, pwm_frequency=1000)
    assert [str(fault) for fault in bus.faults] == OLD_HABITS
    image = drawing(320, 240)
    display.display(image)
    assert chip.picture().rgb == image.tobytes().translate(SIX_TO_EIGHT)
    assert len(bus.faults) == len(OLD_HABITS)
    display.backlight(50.0)
    assert light.brightness() == 0.5
    assert passer_by(chip, light).pixel(10, 20) == (127, 0, 0)


def test_the_bridge_notices_a_fault_that_a_driver_makes(clock):
    chip = Ili9341(Environment())
    bus = SPI(chip, clock)
    assert bus.try_lock()
    bus.select(True)
    bus.write(b"\xd9")
    assert [type(fault) for fault in bus.faults] == [ChipFault]
