"""ILI9341 against its datasheet (v1.11), without a VM."""

import pytest
from ili9341_bench import UPRIGHT, Host

from pave_emulator.chips import ili9341_commands as command
from pave_emulator.chips.chip import ChipFault, Environment
from pave_emulator.chips.ili9341 import Ili9341

WHITE, BLACK, RED, GREEN, BLUE = (255,) * 3, (0,) * 3, (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def chip() -> Ili9341:
    return Ili9341(Environment())


@pytest.fixture
def host(chip: Ili9341) -> Host:
    return Host(chip)


@pytest.fixture
def shown(host: Host) -> Host:
    return host.awake()


def memory(chip: Ili9341, x: int, y: int) -> tuple[int, ...]:
    """A pixel of frame memory by physical column and page, six bits a colour."""
    return tuple(plane[240 * y + x] >> 2 for plane in chip.gram.planes)


# Registers that can be read


def test_the_status_after_power_on_is_that_of_the_default_tables(host):
    assert host.read(0x0A, 1) == b"\x08"
    assert host.read(0x0B, 1) == b"\x00"
    assert host.read(0x0C, 1) == b"\x06"
    assert host.read(0x0F, 1) == b"\x00"
    assert host.read(0xDB, 1) == b"\x80"
    assert host.read(0xD3, 4) == b"\x00\x00\x93\x41"


def unshift(answer: bytes) -> bytes:
    """What Linux does (mipi_dbi_typec3_command_read): drop the dummy clock, take the bits that follow."""
    return bytes((answer[at] << 1 | answer[at + 1] >> 7) & 255 for at in range(len(answer) - 1))


def test_24_and_32_bit_reads_come_after_one_dummy_clock(host):
    assert host.read(0x09, 5) == b"\x00\x30\x80\x00\x00"
    assert unshift(host.read(0x09, 5)) == b"\x00\x61\x00\x00"
    assert unshift(host.read(0x04, 4)) == b"\x00\x80\x00"
    host.awake()
    host.send(0x39)
    # Booster, MX, BGR; 16 bits, idle, sleep out, normal; display on.
    assert unshift(host.read(0x09, 5)) == b"\xa4\x5b\x04\x00"
    host.send(0x26, 0x04)  # gamma curve 2, counted from 0
    assert unshift(host.read(0x09, 5)) == b"\xa4\x5b\x04\x80"
    assert host.read(0x0D, 1) == b"\x02"


def test_the_power_mode_of_an_initialised_module_is_9c_and_94_while_it_scrolls(shown):
    assert shown.read(0x0A, 1) == b"\x9c"
    shown.send(0x37, 0, 0)
    assert shown.read(0x0A, 1) == b"\x94"
    shown.send(0x13)
    assert shown.read(0x0A, 1) == b"\x9c"


def test_the_self_diagnostic_bits_turn_over_at_each_sleep_out(host):
    host.send(0x11)
    with pytest.raises(ChipFault, match="5 ms"):
        host.read(0x0F, 1)
    host.wait(0.005)
    assert host.read(0x0F, 1) == b"\xc0"
    host.wait(0.12)
    host.send(0x10)
    host.wait(0.12)
    host.send(0x11)
    host.wait(0.005)
    assert host.read(0x0F, 1) == b"\x00"


def test_in_the_read_phase_d_c_is_not_looked_at_and_nss_ends_it(host):
    host.chip.selected(1.0)
    assert host.chip.exchange(b"\x0c\x29\x29", 1.0) == b"\x00\x06\x00"  # 29h is not taken as DISPON
    host.chip.deselected(1.0)
    assert host.read(0x0A, 1) == b"\x08"


def test_brightness_registers_read_back(host):
    for write, read, value in ((0x51, 0x52, 0x7F), (0x53, 0x54, 0x2C), (0x55, 0x56, 0x03), (0x5E, 0x5F, 0x10)):
        host.send(write, value)
        assert host.read(read, 1) == bytes([value])


# Sleep and reset


def test_sleep_out_and_sleep_in_must_be_120_ms_apart_and_5_ms_from_other_commands(host):
    host.send(0x11)
    host.wait(0.004)
    with pytest.raises(ChipFault, match=r"5 ms of SLPIN or SLPOUT \(8.2.11, 8.2.12\)"):
        host.send(0x29)
    host.wait(0.11)
    with pytest.raises(ChipFault, match="6 ms too early, 120 ms"):
        host.send(0x10)
    host.wait(0.119)
    with pytest.raises(ChipFault, match="1 ms too early"):
        host.send(0x11)
    host.wait(0.12)
    host.send(0x10)
    host.wait(0.12)
    host.send(0x11)


def test_states_follow_sleep_and_idle_mode(chip, host):
    assert chip.state == "sleep"
    host.awake()
    assert chip.state == "on"
    host.send(0x39)
    assert chip.state == "idle"
    host.send(0x10)
    assert chip.state == "sleep"
    chip.power_off(host.now_s)
    assert chip.state == "off"
    assert chip.exchange(b"\x0a\x00", host.now_s) == b"\x00\x00"
    chip.power_on(host.now_s)
    assert chip.state == "sleep"
    assert set(Ili9341.STATES_UA) == {"off", "sleep", "idle", "on"}


def test_a_software_reset_keeps_memory_order_and_format_and_is_deaf_for_5_ms(chip, shown):
    shown.send(0x36, 0x20)
    shown.send(0x2C, 0xFF, 0xFF)
    shown.send(0x01)
    shown.wait(0.0049)
    with pytest.raises(ChipFault, match="29h within 5 ms of a reset is lost"):
        shown.send(0x29)
    shown.wait(0.0002)
    assert shown.read(0x0A, 1) == b"\x08"
    assert shown.read(0x0B, 1) == b"\x20"
    assert shown.read(0x0C, 1) == b"\x05"
    assert memory(chip, 0, 0) == (63, 63, 63)
    # With MV the default ranges are 320 columns and 240 pages: pixel 240 is still in the first row.
    shown.send(0x2C, data=b"\xff\xff" * 241)
    assert memory(chip, 0, 240) == (63, 63, 63)
    with pytest.raises(ChipFault, match="115 ms too early"):
        shown.send(0x11)


def test_resx_must_be_low_for_10_us_and_the_glass_is_white_meanwhile(chip, shown):
    shown.send(0x2C, data=bytes(2 * 240 * 320))
    assert chip.picture().pixel(5, 5) == BLACK
    chip.set_input("reset", 0, 2.0)
    assert chip.picture().pixel(5, 5) == WHITE
    with pytest.raises(ChipFault, match="RESX is low"):
        shown.send(0x29)
    chip.set_input("reset", 1, 2.000005)
    assert chip.picture().pixel(5, 5) == BLACK
    chip.set_input("reset", 0, 3.0)
    chip.set_input("reset", 1, 3.00001)
    shown.now_s = 3.006
    assert shown.read(0x0A, 1) == b"\x08"
    assert shown.read(0x0C, 1) == b"\x06"


def test_asleep_or_off_the_glass_is_white(chip, shown):
    shown.send(0x2C, data=bytes(2 * 240 * 320))
    shown.send(0x28)
    assert set(chip.picture().rgb) == {255}
    shown.send(0x29)
    assert set(chip.picture().rgb) == {0}
    shown.send(0x10)
    assert set(chip.picture().rgb) == {255}


# Pixels into memory and back


def test_16_bit_pixels_become_18_bits_by_their_highest_bit(chip, shown):
    shown.send(0x36, 0)
    shown.send(0x2C, data=bytes([0xF8, 0x00, 0x07, 0xE0, 0x00, 0x1F, 0x84, 0x10, 0x0B, 0x21]))
    pixels = [memory(chip, x, 0) for x in range(5)]
    assert pixels == [(63, 0, 0), (0, 63, 0), (0, 0, 63), (33, 32, 33), (2, 25, 2)]


@pytest.mark.parametrize(("epf", "seen"), [(0, (0, 33, 63)), (1, (0, 32, 63)), (2, (0, 33, 63))])
def test_epf_says_how_five_bits_become_six(chip, shown, epf, seen):
    shown.send(0x36, 0)
    shown.send(0xF6, 0x01, epf << 4, 0x00)
    shown.send(0x2C, data=bytes([0x00, 0x00, 0x80, 0x00, 0xF8, 0x00]))
    assert tuple(memory(chip, x, 0)[0] for x in range(3)) == seen


def test_18_bit_pixels_are_three_bytes_and_read_back_after_a_dummy_byte(chip, host):
    host.awake(order=0, pixel_format=0x66)
    host.window((3, 4), (7, 7))
    host.send(0x2C, data=bytes([0xFC, 0x83, 0x04, 0x10, 0x20, 0x30]))
    assert memory(chip, 3, 7) == (63, 32, 1)
    assert host.read(0x2E, 7) == bytes([0x00, 0xFC, 0x80, 0x04, 0x10, 0x20, 0x30])
    host.send(0x3A, 0x55)
    assert host.read(0x2E, 4) == bytes([0x00, 0xFC, 0x80, 0x04])
    assert host.read(0x3E, 4) == bytes([0x00, 0x10, 0x20, 0x30])  # read memory continue


def test_a_long_read_may_be_cut_anywhere(chip, host):
    host.awake(order=0, pixel_format=0x66)
    host.send(0x2C, data=bytes(range(0, 120, 4)))
    chip.selected(host.now_s)
    chip.set_input("dc", 0, host.now_s)
    answer = b"".join(chip.exchange(sent, host.now_s) for sent in (b"\x2e\x00\x00", b"\x00", bytes(20), bytes(9)))
    assert answer == b"\x00\x00" + bytes(range(0, 120, 4)) + b"\x00"


def test_pixels_may_be_cut_anywhere_and_nss_may_rise_between_bytes(chip, shown):
    shown.send(0x36, 0)
    shown.send(0x2C, 0xF8)
    for byte in (0x00, 0x07, 0xE0, 0x00):
        chip.selected(shown.now_s)
        chip.exchange(bytes([byte]), shown.now_s)
        chip.deselected(shown.now_s)
    assert [memory(chip, x, 0) for x in range(2)] == [(63, 0, 0), (0, 63, 0)]
    shown.send(0x3C, 0x00, 0x1F)  # continues with a whole pixel: the half one is dropped
    assert memory(chip, 2, 0) == (0, 0, 63)


@pytest.mark.parametrize(
    ("order", "first", "second", "next_page"),
    [  # 9.3: where column 0 page 0, column 1 page 0 and column 0 page 1 lie; MY 80h, MX 40h, MV 20h
        (0x00, (0, 0), (1, 0), (0, 1)),
        (0x80, (0, 319), (1, 319), (0, 318)),
        (0x40, (239, 0), (238, 0), (239, 1)),
        (0xC0, (239, 319), (238, 319), (239, 318)),
        (0x20, (0, 0), (0, 1), (1, 0)),
        (0xA0, (0, 319), (0, 318), (1, 319)),
        (0x60, (239, 0), (239, 1), (238, 0)),
        (0xE0, (239, 319), (239, 318), (238, 319)),
    ],
)
def test_madctl_says_where_columns_and_pages_lie(chip, shown, order, first, second, next_page):
    shown.send(0x36, order)
    shown.window((0, 1), (0, 1))
    shown.send(0x2C, data=bytes([0xF8, 0x00, 0x07, 0xE0, 0x00, 0x1F]))
    assert memory(chip, *first) == (63, 0, 0)
    assert memory(chip, *second) == (0, 63, 0)
    assert memory(chip, *next_page) == (0, 0, 63)
    assert sum(map(sum, (plane for plane in chip.gram.planes))) == 3 * 63 << 2


def test_interface_control_inverts_the_order_bits(chip, shown):
    shown.send(0x36, 0x00)
    shown.send(0xF6, 0xC1, 0x00, 0x00)
    shown.send(0x2C, 0xFF, 0xFF)
    assert memory(chip, 239, 319) == (63, 63, 63)


@pytest.mark.parametrize(("wemode", "first"), [(1, (0, 0, 63)), (0, (63, 0, 0))])
def test_pixels_beyond_the_window_start_it_over_or_are_dropped(chip, shown, wemode, first):
    shown.send(0x36, 0)
    shown.send(0xF6, wemode, 0, 0)
    shown.window((10, 11), (20, 21))
    shown.send(0x2C, data=bytes([0xF8, 0x00] * 4 + [0x00, 0x1F]))
    assert memory(chip, 10, 20) == first
    assert memory(chip, 11, 21) == (63, 0, 0)


def test_pixels_out_of_range_are_ignored(chip, shown):
    shown.send(0x36, 0)
    shown.window((238, 241), (319, 320))
    shown.send(0x2C, data=b"\xff\xff" * 8)
    assert sum(plane.count(0xFC) for plane in chip.gram.planes) == 3 * 2
    assert memory(chip, 239, 319) == (63, 63, 63)


# From memory to the eye


def bars(host: Host) -> None:
    """Rows of memory: ten of each of eight grey-free colours that tell idle mode, inversion and order apart."""
    line = b"".join(colour * 30 for colour in (b"\xf8\x00", b"\x07\xe0", b"\x00\x1f", b"\x84\x00") * 2)
    host.send(0x2C, data=line * 320)


def test_the_colour_order_is_right_with_bgr_on_a_module(chip, shown):
    bars(shown)
    assert [chip.picture().pixel(x, 0) for x in (0, 30, 60)] == [RED, GREEN, BLUE]
    shown.send(0x36, UPRIGHT & ~0x08)
    assert [chip.picture().pixel(x, 0) for x in (0, 30, 60)] == [BLUE, GREEN, RED]


def test_inversion_and_idle_mode_act_on_what_is_seen(chip, shown):
    bars(shown)
    assert chip.picture().pixel(90, 0) == (134, 130, 0)
    shown.send(0x39)
    assert chip.picture().pixel(90, 0) == (255, 255, 0)  # eight colours
    shown.send(0x21)
    assert chip.picture().pixel(90, 0) == BLUE
    assert chip.picture().pixel(0, 0) == (0, 255, 255)
    shown.send(0x20)
    shown.send(0x38)
    assert chip.picture().pixel(90, 0) == (134, 130, 0)


def page_marks(host: Host) -> None:
    """Each page is the grey of its number divided by eight."""
    host.send(0x3A, 0x66)
    host.send(0x2C, data=b"".join(bytes([4 * (page // 8)]) * 720 for page in range(320)))


def shown_pages(chip: Ili9341, *rows: int) -> list[int | None]:
    """Which eighth of memory is seen in these rows of the glass; None for white."""
    greys = [chip.picture().pixel(120, row)[0] for row in rows]
    return [None if grey == 255 else grey >> 2 for grey in greys]


def test_vertical_scrolling_moves_what_is_between_the_fixed_areas(chip, shown):
    page_marks(shown)
    shown.send(0x33, 0, 16, 0, 240, 0, 64)
    shown.send(0x37, 0, 16 + 80)
    assert shown_pages(chip, 0, 15, 16, 175, 176, 255, 256, 319) == [0, 1, 12, 31, 2, 11, 32, 39]
    shown.send(0x13)
    assert shown_pages(chip, 16, 176) == [2, 22]


def test_with_ml_scrolling_counts_from_the_bottom(chip, shown):
    page_marks(shown)
    shown.send(0x36, UPRIGHT | 0x10)
    shown.send(0x33, 0, 16, 0, 240, 0, 64)
    shown.send(0x37, 0, 16 + 80)
    assert shown_pages(chip, 319, 303, 0) == [39, 27, 0]


def test_partial_mode_leaves_the_rest_white(chip, shown):
    page_marks(shown)
    shown.send(0x30, 0, 64, 0, 127)
    shown.send(0x12)
    assert shown.read(0x0A, 1) == b"\xb4"
    assert shown_pages(chip, 63, 64, 127, 128) == [None, 8, 15, None]
    shown.send(0x30, 0, 128, 0, 63)  # around the end
    assert shown_pages(chip, 0, 63, 64, 127, 128, 319) == [0, 7, None, None, 16, 39]
    shown.send(0x36, UPRIGHT | 0x10)
    shown.send(0x30, 0, 0, 0, 63)
    assert shown_pages(chip, 255, 256, 319) == [None, 32, 39]
    shown.send(0xB6, 0x09, 0x82, 0x27, 0x00)  # PT 1: black instead
    assert chip.picture().pixel(0, 0) == BLACK


def test_display_function_control_turns_the_scan_and_shortens_it(chip, shown):
    page_marks(shown)
    shown.send(0xB6, 0x0A, 0xC2, 0x27, 0x00)  # GS
    assert shown_pages(chip, 0, 319) == [39, 0]
    shown.send(0xB6, 0x0A, 0x82, 0x13, 0x00)  # NL: 160 lines
    assert shown_pages(chip, 159, 160) == [19, None]
    shown.send(0xB6, 0x0A, 0x02, 0x27, 0x00)  # REV 0
    assert chip.picture().pixel(0, 0) == WHITE
    shown.send(0xB6, 0x0A, 0xA2, 0x27, 0x00)  # SS: mirrored, and red changes places with blue
    shown.send(0x3A, 0x55)
    bars(shown)
    assert [chip.picture().pixel(x, 0) for x in (239, 209)] == [BLUE, GREEN]


def test_a_module_mounted_on_its_side_shows_landscape(shown):
    chip = Ili9341(Environment(), turned_deg=270)
    host = Host(chip).awake(order=0x28)
    host.window((0, 319), (0, 239))
    host.send(0x2C, data=b"\xf8\x00" * 320 + b"\x00\x1f")
    picture = chip.picture()
    assert (picture.width_px, picture.height_px) == (320, 240)
    assert [picture.pixel(*at) for at in ((0, 0), (319, 0), (0, 1), (1, 1))] == [RED, RED, BLUE, BLACK]
    with pytest.raises(ValueError, match="turned_deg is 45"):
        Ili9341(Environment(), turned_deg=45)


# What may not be


@pytest.mark.parametrize("code", sorted(code for code, (count, _) in command.PARAMETERS.items() if count))
def test_a_wrong_number_of_parameters_faults_with_the_section(host, code):
    count, section = command.PARAMETERS[code]
    good = bytes(command.DEFAULTS.get(code, bytes(count)))
    host.send(code, data=good)
    host.send(0x00)
    with pytest.raises(ChipFault, match=f"{count + 1} parameters after {code:02X}h \\({section}\\)"):
        host.send(code, data=good + b"\0")
    host.send(code, data=good[:-1])
    with pytest.raises(ChipFault, match=f"{count - 1} parameters after {code:02X}h"):
        host.send(0x00)


def test_a_command_without_parameters_takes_none(host):
    with pytest.raises(ChipFault, match=r"1 parameters after 13h \(8.2.14\), it has 0"):
        host.send(0x13, 0x00)


def test_parameters_sent_before_a_break_count(chip, shown):
    shown.send(0x36, 0)
    shown.send(0x2A, 0, 100)
    with pytest.raises(ChipFault, match="2 parameters after 2Ah"):
        shown.send(0x2C, 0xFF, 0xFF)
    shown.send(0x2C, 0xFF, 0xFF)
    assert memory(chip, 100, 0) == (63, 63, 63)


@pytest.mark.parametrize("code", [0x02, 0xD9, 0xEF, 0xFF])
def test_commands_of_no_list_fault_and_are_passed_over_with_their_parameters(host, code):
    with pytest.raises(ChipFault, match=f"{code:02X}h is in no command list"):
        host.send(code)
    host.chip.set_input("dc", 1, host.now_s)
    host.chip.exchange(b"\x29\x29", host.now_s)  # its parameters
    assert host.read(0x0A, 1) == b"\x08"


@pytest.mark.parametrize("code", sorted(command.NOT_MODELLED))
def test_commands_that_are_not_modelled_say_so(host, code):
    with pytest.raises(ChipFault, match=f"{code:02X}h is not modelled: .*8\\.[23]"):
        host.send(code)


@pytest.mark.parametrize(
    ("code", "parameters", "why"),
    [
        (0x2A, (0, 9, 0, 8), "end is before the start"),
        (0x2B, (1, 0, 0, 255), "end is before the start"),
        (0x30, (0, 0, 1, 0x40), "lines 0 to 319"),
        (0x33, (0, 0, 1, 0x41, 0, 0), "321 lines, not 320"),
        (0x37, (1, 0x40), "not in the scrolled area, lines 0 to 319"),
        (0x26, (3,), "gamma curves"),
        (0x3A, (0x57,), "DBI"),
        (0xB6, (0x04, 0x82, 0x27, 0), "PTG"),
        (0xB6, (0x0A, 0x82, 0x28, 0), "NL"),
        (0xB6, (0x0A, 0x92, 0x27, 0), "SM"),
        (0xF6, (0x01, 0x30, 0), "EPF"),
        (0xF6, (0x01, 0x00, 0x20), "ENDIAN"),
    ],
)
def test_values_that_the_datasheet_forbids_fault(host, code, parameters, why):
    with pytest.raises(ChipFault, match=f"^ILI9341: .* after {code:02X}h .*{why}"):
        host.send(code, *parameters)
