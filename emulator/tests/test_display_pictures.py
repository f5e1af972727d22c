"""Screens drawn through the bus, compared with goldens that somebody has looked at."""

from pathlib import Path

import pytest
from ili9341_bench import UPRIGHT, Host
from pictures import assert_golden, dots, scan_lines

from pave_emulator.chips.backlight import Backlight, passer_by
from pave_emulator.chips.chip import Environment
from pave_emulator.chips.ili9341 import Ili9341
from pave_emulator.chips.png import Picture
from pave_emulator.chips.ssd1306 import Ssd1306

NIGHT, WHITE, GREEN, RED, YELLOW = 0x0008, 0xFFFF, 0x07E0, 0xF800, 0xFFE0


def text(host: Host, words: str, x: int, y: int, scale: int, colour: int) -> None:
    for dot_x, dot_y in dots(words, 0, 0):
        host.fill(x + dot_x * scale, y + dot_y * scale, scale, scale, colour)


def ramps(host: Host, x: int, y: int, width: int) -> None:
    """Every level of red, of green, of blue in 16-bit colour, one below the other."""
    for number, (levels, shift) in enumerate(((32, 11), (64, 5), (32, 0))):
        row = b"".join((at * levels // width << shift).to_bytes(2, "big") for at in range(width))
        host.window((x, x + width - 1), (y + 10 * number, y + 10 * number + 7))
        host.send(0x2C, data=row * 8)


def kiosk_screen(host: Host, width: int, height: int) -> None:
    host.fill(0, 0, width, height, NIGHT)
    host.fill(0, 0, width, 40, WHITE)
    text(host, "PAVE", 10, 6, 4, RED)
    text(host, "< 12", 20, 70, 8, GREEN)
    text(host, "LIBRES", 20, 140, 4, YELLOW)
    ramps(host, 10, height - 40, width - 20)


def landscape(turned_deg: int, order: int) -> Ili9341:
    chip = Ili9341(Environment(), turned_deg=turned_deg)
    kiosk_screen(Host(chip).awake(order=order), 320, 240)
    return chip


def test_an_ili9341_in_portrait(tmp_path):
    chip = Ili9341(Environment())
    kiosk_screen(Host(chip).awake(order=UPRIGHT), 240, 320)
    path = tmp_path / "ili9341_portrait.png"
    chip.to_png(path)
    assert_golden(path)


@pytest.mark.parametrize(("turned_deg", "order"), [(270, 0x28), (90, 0xE8)])
def test_an_ili9341_in_landscape_either_way_up(tmp_path, turned_deg, order):
    path = tmp_path / "ili9341_landscape.png"
    landscape(turned_deg, order).to_png(path)
    assert_golden(path)


def test_an_ili9341_that_scrolls_in_eight_colours(tmp_path):
    chip = Ili9341(Environment())
    host = Host(chip).awake(order=UPRIGHT)
    kiosk_screen(host, 240, 320)
    host.send(0x33, 0, 40, 0, 240, 0, 40)
    host.send(0x37, 0, 100)
    host.send(0x39)
    path = tmp_path / "ili9341_scrolled_idle.png"
    chip.to_png(path)
    assert_golden(path)


def test_what_a_passer_by_sees_at_night(tmp_path):
    light = Backlight(Environment())
    light.set_pwm(0.3, 1000.0, 0.0)
    path = tmp_path / "passer_by_dim.png"
    passer_by(landscape(270, 0x28), light).to_png(path)
    assert_golden(path)


def ssd1306_screen() -> Ssd1306:
    chip = Ssd1306(Environment())
    memory = [bytearray(128) for _ in range(8)]
    marks = [*dots("PAVE", 2, 2), *dots("< 12", 4, 20, 2), *dots("LIBRES", 60, 20), *((x, 63) for x in range(128))]
    marks += [(x, 12) for x in range(0, 128, 2)]
    for x, y in marks:
        memory[y // 8][x] |= 1 << y % 8
    setup = [0xA1, 0xC8, 0xDA, 0x12, 0x20, 0x00, 0x21, 0, 127, 0x22, 0, 7, 0x8D, 0x14, 0xAF]
    chip.write(b"\x00" + bytes(setup), 0.0)
    chip.write(b"\x40" + b"".join(memory), 0.0)
    return chip


def test_an_ssd1306(tmp_path):
    path = tmp_path / "ssd1306.png"
    ssd1306_screen().to_png(path)
    assert_golden(path)


def test_an_ssd1306_whose_lower_part_scrolls_to_the_right_and_up(tmp_path):
    chip = ssd1306_screen()
    chip.write(bytes([0x00, 0xA3, 16, 48, 0x29, 0, 2, 0b111, 7, 2, 0x2F]), 0.0)
    chip.advance(0.1)
    path = tmp_path / "ssd1306_scrolled.png"
    chip.to_png(path)
    assert_golden(path)


def test_a_golden_that_differs_in_one_dot_is_noticed(tmp_path):
    path = tmp_path / "ssd1306.png"
    chip = ssd1306_screen()
    chip.gddram[0][0] ^= 1
    chip.to_png(path)
    with pytest.raises(AssertionError, match=r"is not .*ssd1306\.png"):
        assert_golden(path)
    with pytest.raises(AssertionError, match=r"no golden never\.png"):
        assert_golden(tmp_path / "never.png")


def test_a_png_holds_the_pixels_of_its_picture(tmp_path: Path):
    picture = Picture(2, 3, bytes(range(18)))
    path = tmp_path / "picture.png"
    picture.to_png(path)
    header, lines = scan_lines(path)
    assert header == bytes([0, 0, 0, 2, 0, 0, 0, 3, 8, 2, 0, 0, 0])
    assert lines == b"\0" + bytes(range(6)) + b"\0" + bytes(range(6, 12)) + b"\0" + bytes(range(12, 18))
    turned = picture.turned(1)
    assert (turned.width_px, turned.height_px) == (3, 2)
    assert [turned.pixel(x, 0) for x in range(3)] == [picture.pixel(0, y) for y in (2, 1, 0)]
    assert picture.turned(4) == picture
