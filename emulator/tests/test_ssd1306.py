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


def test_after_reset_the_window_is_all_of_memory(display):
    command(display, 0x20, 0x00)
    data(display, b"\x01" * 1023 + b"\x80" + b"\x02")
    assert {(127, 63), (0, 1)} < lit(display)
    assert len(lit(display)) == 1024


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


@pytest.mark.parametrize(
    "sent",
    [
        [0x23],  # fade and blink
        [0xC1],
        [0xD6],  # zoom
        [0x21, 9, 8],
        [0x22, 3, 2],
        [0x20, 3],
        [0xA8, 14],
        [0xD9, 0x20],
        [0x2F],  # without a setup
        [0x26, 0, 5, 0, 4, 0, 0xFF],
        [0xA3, 0, 65],
        [0xA3, 8, 8, 0x29, 0, 0, 0, 0, 8, 0x2F],  # 8 rows a step do not fit in 8
        [0xA3, 8, 8, 0x48, 0x29, 0, 0, 0, 0, 1, 0x2F],  # nor does start line 8
    ],
)
def test_unknown_commands_and_bad_arguments_fault(display, sent):
    with pytest.raises(ChipFault):
        command(display, *sent)


def test_arguments_may_come_in_a_later_transmission(display):
    """A restart between control bytes: drivers send each byte of a command on its own."""
    for byte in (0x21, 5, 6, 0x22, 1, 1, 0xAD, 0x30):
        display.write(bytes([0x80, byte]), 0.0)
    data(display, b"\x01\x02")
    assert lit(display) == {(5, 8), (6, 9)}


def test_reset_keeps_memory_only(display):
    data(display, b"\x01")
    display.set_input("reset", 0, 1.0)
    with pytest.raises(ChipFault, match="RES#"):
        command(display, 0xAF)
    display.set_input("reset", 1, 1.1)
    assert display.state == "sleep"
    assert lit(display) == set()
    command(display, 0xA1, 0xC8, 0x8D, 0x14, 0xAF)
    assert lit(display) == {(0, 0)}


def row_shown(chip: Ssd1306, line: int) -> int | None:
    """Which row of memory is seen in a line, when each row is its number in binary dots."""
    value = sum(dot << bit for bit, dot in enumerate(chip.frame()[line][:8]))
    return value - 1 if value else None


def number_rows(chip: Ssd1306) -> None:
    """Row r of memory gets the dots of r + 1 in its first columns."""
    command(chip, 0x20, 0x00, 0x21, 0, 127, 0x22, 0, 7)
    for page in range(8):
        columns = [sum(((8 * page + bit + 1) >> column & 1) << bit for bit in range(8)) for column in range(8)]
        data(chip, bytes(columns) + bytes(120))


@pytest.mark.parametrize(
    ("multiplex", "offset", "start", "seen"),
    [  # table 10-2, COM63 downward (the module's top is COM63): row of memory in lines 0, 7, 8, 15, 16, 56, 63
        (64, 0, 0, (0, 7, 8, 15, 16, 56, 63)),
        (64, 8, 0, (8, 15, 16, 23, 24, 0, 7)),
        (64, 0, 8, (8, 15, 16, 23, 24, 0, 7)),
        (48, 0, 0, (None, None, None, None, 0, 40, 47)),
        (48, 8, 0, (None, None, 0, 7, 8, None, None)),
        (48, 0, 8, (None, None, None, None, 8, 48, 55)),
    ],
)
def test_multiplex_offset_and_start_line_place_the_rows(display, multiplex, offset, start, seen):
    number_rows(display)
    command(display, 0xA8, multiplex - 1, 0xD3, offset, 0x40 | start)
    assert tuple(row_shown(display, line) for line in (0, 7, 8, 15, 16, 56, 63)) == seen


@pytest.mark.parametrize(
    ("pins", "rows"),
    [
        (0x12, [0, 1, 2, 3, 62, 63]),
        (0x02, [0, 32, 1, 33, 31, 63]),  # sequential: each other line from the other half
        (0x32, [1, 0, 3, 2, 63, 62]),  # left and right exchanged
    ],
)
def test_com_pins_of_another_panel_put_rows_in_wrong_places(display, pins, rows):
    number_rows(display)
    command(display, 0xDA, pins)
    assert [row_shown(display, line) for line in (0, 1, 2, 3, 62, 63)] == rows


def test_a_panel_of_32_rows_wants_sequential_pins():
    chip = Ssd1306(Environment(still_field), height_px=32)
    chip.write(b"\x00" + INIT, 0.0)
    number_rows(chip)
    command(chip, 0xA8, 31, 0xDA, 0x02)
    assert [row_shown(chip, line) for line in (0, 1, 31)] == [0, 1, 31]
    command(chip, 0xDA, 0x12)
    assert [row_shown(chip, line) for line in (31, 30, 15, 0)] == [31, 29, None, None]


def test_narrow_panels_use_the_middle_columns():
    chip = Ssd1306(Environment(still_field), width_px=64, height_px=48)
    chip.write(b"\x00" + INIT + bytes([0xA8, 47, 0x21, 32, 95, 0x22, 0, 5]), 0.0)
    data(chip, b"\x01" + bytes(62) + b"\x02")
    assert lit(chip) == {(0, 0), (63, 1)}


FRAME_S = 54 * 64 / 370e3  # 8.3 with the reset values of D5h and D9h


@pytest.mark.parametrize(("code", "column"), [(0x26, 12), (0x27, 8)])
def test_horizontal_scroll_turns_its_pages_one_column_a_step(display, code, column):
    command(display, 0xD9, 0x22, 0x21, 10, 10, 0x22, 0, 7)
    data(display, b"\x01" * 8)
    command(display, code, 0, 1, 0b111, 6, 0, 0xFF, 0x2F)  # pages 1 to 6, a step each 2 frames
    display.advance(3.9 * FRAME_S)
    assert (10 + (1 if code == 0x26 else -1), 8) in lit(display)
    display.advance(4.1 * FRAME_S)
    assert lit(display) == {(10, 0), (10, 56)} | {(column, 8 * page) for page in range(1, 7)}
    with pytest.raises(ChipFault, match="data while scrolling"):
        display.write(b"\x40\x00", 4.1 * FRAME_S)
    with pytest.raises(ChipFault, match="26h while scrolling"):
        display.write(b"\x00\x26\x00\x01\x07\x06\x00\xff", 4.1 * FRAME_S)
    display.write(b"\x00\x2e", 4.1 * FRAME_S)
    display.advance(100.0)
    assert (column, 8) in lit(display)
    display.advance(101.0)
    display.write(b"\x00\x26\x00\x01\x07\x06\x00\xff\x2f", 101.0)  # 128 steps and it is where it was
    display.advance(101.0 + 256.1 * FRAME_S)
    assert (column, 8) in lit(display)


@pytest.mark.parametrize(("interval", "frames"), list(enumerate((5, 64, 128, 256, 3, 4, 25, 2))))
def test_scroll_intervals_are_those_of_the_table(display, interval, frames):
    command(display, 0xD9, 0x22)
    data(display, b"\x01")
    command(display, 0x26, 0, 0, interval, 0, 0, 0xFF, 0x2F)
    display.advance((frames - 0.1) * FRAME_S)
    assert lit(display) == {(0, 0)}
    display.advance((frames + 0.1) * FRAME_S)
    assert lit(display) == {(1, 0)}


@pytest.mark.parametrize(("code", "column"), [(0x29, 2), (0x2A, 126)])
def test_vertical_scroll_moves_the_rows_of_its_area(display, code, column):
    number_rows(display)
    command(display, 0xD9, 0x22, 0xA3, 16, 32, code, 0, 7, 0b111, 7, 3)
    display.write(b"\x00\x2f", 0.0)
    display.advance(4.1 * FRAME_S)  # two steps of three rows
    assert [row_shown(display, line) for line in (0, 15, 16, 41, 42, 47, 48)] == [0, 15, 22, 47, 16, 21, 48]
    assert display.gddram[7][127 - column] == 0b01010101  # column 0 of page 7: bit 0 of 57 to 64
    command(display, 0x2E)
    assert [row_shown(display, line) for line in (16, 47)] == [16, 47]


def test_the_frame_frequency_follows_divider_phases_and_multiplex(display):
    data(display, b"\x01")
    command(display, 0xD5, 0x83, 0xD9, 0xF1, 0xA8, 31, 0x26, 0, 0, 0b111, 0, 0, 0xFF, 0x2F)
    step_s = 2 * 4 * (15 + 1 + 50) * 32 / 370e3
    display.advance(step_s - 1e-4)
    assert display.gddram[0][127] == 1
    display.advance(step_s + 1e-4)
    assert display.gddram[0][126] == 1


def test_current_follows_lit_dots_and_contrast(display):
    command(display, 0xD9, 0x22, 0x81, 0xFF)
    dark_ua = display.supply_current_ua(0.0)
    assert dark_ua == 50 + 2 * 430
    data(display, b"\xff" * 512)
    half_ua = display.supply_current_ua(0.0) - dark_ua
    assert half_ua == pytest.approx(2 * 64 * 100 * 255 / 256 * 50 / 54)  # 64 segments of each row
    command(display, 0xA5)
    assert display.supply_current_ua(0.0) - dark_ua == pytest.approx(2 * half_ua)
    command(display, 0x81, 0x7F)
    assert display.supply_current_ua(0.0) - dark_ua == pytest.approx(2 * half_ua * 127 / 255)
    command(display, 0x8D, 0x10)
    assert display.supply_current_ua(0.0) == 50
    command(display, 0xAE)
    assert (display.state, display.supply_current_ua(0.0)) == ("sleep", 10)
    display.power_off(0.0)
    assert (display.state, display.supply_current_ua(0.0)) == ("off", 0)


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
