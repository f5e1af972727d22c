"""SSD1306 against its datasheet, without a VM."""

import struct
import zlib

import pytest

from pave_emulator.chips.chip import ChipFault, Environment, still_field
from pave_emulator.chips.ssd1306 import Ssd1306

INIT = bytes([0xAE, 0x20, 0x00, 0x40, 0xA1, 0xA8, 63, 0xC8, 0xD3, 0, 0xDA, 0x12, 0xD5, 0x80, 0xD9, 0xF1])
INIT += bytes([0xDB, 0x30, 0x81, 0xFF, 0xA4, 0xA6, 0x8D, 0x14, 0xAF])


@pytest.fixture
def display() -> Ssd1306:
    chip = Ssd1306(Environment(still_field))
    chip.write(b"\x00" + INIT, 0.0)
    return chip


def data(chip: Ssd1306, payload: bytes) -> None:
    chip.write(b"\x40" + payload, 0.0)


def command(chip: Ssd1306, *payload: int) -> None:
    chip.write(b"\x00" + bytes(payload), 0.0)


def lit(chip: Ssd1306) -> set[tuple[int, int]]:
    return {(x, y) for y, row in enumerate(chip.frame()) for x, dot in enumerate(row) if dot}


def test_the_first_byte_is_the_first_column_top_down(display):
    data(display, b"\x05\x80")
    assert lit(display) == {(0, 0), (0, 2), (1, 7)}


def test_horizontal_addressing_stays_inside_its_window(display):
    command(display, 0x21, 10, 11, 0x22, 2, 3)
    data(display, b"\x01" * 5)
    assert lit(display) == {(10, 16), (11, 16), (10, 24), (11, 24)}
    data(display, b"\x02")  # the sixth byte: second column of the first page, again
    assert (11, 17) in lit(display)


def test_vertical_addressing_goes_down_first(display):
    command(display, 0x20, 0x01, 0x21, 0, 127, 0x22, 0, 7)
    data(display, b"\x01" * 9)
    assert lit(display) == {(0, 8 * page) for page in range(8)} | {(1, 0)}


def test_page_addressing_wraps_within_its_page(display):
    command(display, 0x20, 0x02, 0xB3, 0x0E, 0x17)
    data(display, b"\x01\x01\x01")
    assert lit(display) == {(126, 24), (127, 24), (0, 24)}


def test_single_control_bytes_carry_one_byte_each(display):
    display.write(bytes([0x80, 0xB1, 0x80, 0x20, 0x80, 0x02, 0x80, 0xB1, 0xC0, 0x01, 0x40, 0x01, 0x01]), 0.0)
    assert lit(display) == {(0, 8), (1, 8), (2, 8)}


def test_inversion_all_on_and_display_off_show(display):
    data(display, b"\x01")
    command(display, 0xA7)
    assert len(lit(display)) == 128 * 64 - 1
    command(display, 0xA6, 0xA5)
    assert len(lit(display)) == 128 * 64
    command(display, 0xA4, 0xAE)
    assert lit(display) == set()
    assert display.read(1, 0.0) == b"\x40"


def test_without_remap_the_picture_is_upside_down(display):
    command(display, 0xA0, 0xC0)
    data(display, b"\x01")
    assert lit(display) == {(127, 63)}


def test_without_the_charge_pump_the_panel_stays_dark():
    chip = Ssd1306(Environment(still_field))
    chip.write(b"\x00" + bytes([0xAF, 0xA5]), 0.0)
    assert lit(chip) == set()


@pytest.mark.parametrize("sent", [[0x2F], [0x23], [0x21, 9, 8], [0x20, 3]])
def test_unknown_commands_and_bad_arguments_fault(display, sent):
    with pytest.raises(ChipFault):
        command(display, *sent)


def test_a_control_byte_with_stray_bits_faults(display):
    with pytest.raises(ChipFault, match="control byte"):
        display.write(b"\x41\x00", 0.0)


def test_ascii_and_png_show_the_same_golden_picture(display, tmp_path):
    data(display, bytes([0xFF, 0x81, 0x81, 0xFF]))
    assert [line[:6] for line in display.ascii().splitlines()[:5]] == ["█▀▀█  ", "█  █  ", "█  █  ", "█▄▄█  ", "      "]
    path = tmp_path / "frame.png"
    display.to_png(path, scale=1)
    raw = path.read_bytes()
    assert struct.unpack(">II", raw[16:24]) == (128, 64)
    length = struct.unpack(">I", raw[33:37])[0]
    rows = zlib.decompress(raw[41 : 41 + length])
    assert rows[:6] == b"\0\xff\xff\xff\xff\0" and rows[129:135] == b"\0\xff\0\0\xff\0"
