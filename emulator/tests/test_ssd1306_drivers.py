"""SSD1306 under drivers by other hands: Adafruit's for CircuitPython, luma.oled for the Raspberry Pi."""

import adafruit_ssd1306
import luma.core.interface.serial
import luma.oled.device
import pytest
from busio_bridge import I2C, BridgeTime, DigitalInOut, ManualClock
from PIL import Image, ImageDraw

from pave_emulator.chips.chip import Environment
from pave_emulator.chips.ssd1306 import Ssd1306

ADDRESS = 0x3C


def drawing(width: int, height: int) -> Image.Image:
    """Nothing in it is symmetrical."""
    image = Image.new("1", (width, height))
    draw = ImageDraw.Draw(image)
    draw.rectangle((2, 1, 20, 9), outline=1)
    draw.line((0, height - 1, width - 1, 0), fill=1)
    draw.text((30, 4), "PAVE", fill=1)
    return image


def dots(image: Image.Image) -> list[list[int]]:
    return [[int(bool(image.getpixel((x, y)))) for x in range(image.width)] for y in range(image.height)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1.0)


@pytest.mark.parametrize(
    ("width", "height", "page_addressing"),
    # Its page addressing begins at column 16 * (width // 32), which is right for 64 columns only.
    [(128, 64, False), (128, 32, False), (64, 48, False), (64, 48, True)],
)
def test_adafruits_driver_shows_its_picture(clock, monkeypatch, width, height, page_addressing):
    monkeypatch.setattr(adafruit_ssd1306, "time", BridgeTime(clock))
    chip = Ssd1306(Environment(), width_px=width, height_px=height)
    bus = I2C({ADDRESS: chip}, clock)
    reset = DigitalInOut(chip, "reset", clock)
    display = adafruit_ssd1306.SSD1306_I2C(width, height, bus, reset=reset, page_addressing=page_addressing)
    image = drawing(width, height)
    display.image(image)
    display.show()
    assert chip.frame() == dots(image)
    display.invert(True)
    assert chip.frame() == [[1 - dot for dot in row] for row in dots(image)]
    display.invert(False)
    display.contrast(0x10)
    assert chip.contrast == 0x10
    display.rotate(False)
    display.show()
    assert chip.frame() == dots(image.transpose(Image.Transpose.ROTATE_180))
    display.poweroff()
    assert not any(map(any, chip.frame()))
    assert bus.faults == []


class Smbus:
    """What luma uses of `smbus`, on the bridge."""

    def __init__(self, bus: I2C) -> None:
        self._bus = bus

    def write_i2c_block_data(self, address: int, register: int, data: list[int]) -> None:
        assert self._bus.try_lock()
        self._bus.writeto(address, bytes([register, *data]))
        self._bus.unlock()


@pytest.mark.filterwarnings("ignore:.*getdata is deprecated:DeprecationWarning")  # luma's use of Pillow
@pytest.mark.parametrize(("width", "height"), [(128, 64), (128, 32), (64, 48), (64, 32)])
def test_lumas_driver_shows_its_picture(clock, width, height):
    chip = Ssd1306(Environment(), width_px=width, height_px=height)
    bus = I2C({ADDRESS: chip}, clock)
    display = luma.oled.device.ssd1306(luma.core.interface.serial.i2c(bus=Smbus(bus)), width=width, height=height)
    image = drawing(width, height)
    display.display(image)
    assert chip.frame() == dots(image)
    display.contrast(0xFF)
    assert chip.contrast == 0xFF
    display.hide()
    assert not any(map(any, chip.frame()))
    assert bus.faults == []
