"""Board files: the real ones load, bad ones say what is wrong with the parts that the emulator has."""

import re

import flash_images
import pytest

from pave_emulator.board import BoardError, load
from pave_emulator.chips.chip import Environment, still_field
from pave_emulator.chips.lis2mdl import Lis2mdl

BOARDS = {"presence": flash_images.PRESENCE_BOARD, "kiosk": flash_images.KIOSK_BOARD}


def test_the_presence_board_has_its_magnetometer_and_interrupt_line():
    board = load(flash_images.PRESENCE_BOARD)
    assert board.chips["magnetometer"].pins == {"int": 4}
    assert board.buses["i2c0"].pins == {"scl": 9, "sda": 8}
    assert board.chips["radar"].supply == 7
    assert board.chips["radio"].select == 10
    assert (board.analogs["battery"].pin, board.analogs["battery"].switch) == (1, 2)
    assert board.pulls[10] == 1
    assert isinstance(board.build(Environment(still_field))["magnetometer"], Lis2mdl)


def test_the_kiosk_board_has_its_displays_fan_and_lines():
    board = load(flash_images.KIOSK_BOARD)
    assert board.chips["display"].options == {"width_px": 128, "height_px": 64}
    assert (board.chips["fan"].pwm, board.chips["fan"].pins) == (17, {"tach": 18})
    assert board.chips["lcd"].inputs == {"dc": 14, "reset": 15}
    assert [(line.id, line.peer) for line in board.uarts.values()] == [(1, "pc")]
    assert dict(board.idle_levels()) == {5: 0, 38: 1, 6: 1}


MISTAKES = [  # board, what stands there, what is written instead, what the error is about (None: that), the error
    ("presence", 'part = "LIS2MDL"', 'part = "LIS3MDL"', None,
     "chip 'magnetometer': part 'LIS3MDL' is unknown: did you mean 'LIS2MDL'?"),
    ("presence", 'int = "magnetometer_int"', 'int = "magnet_int"', None,
     "chip 'magnetometer': int: pin 'magnet_int' is unknown: did you mean 'magnetometer_int'?"),
    ("presence", 'int = "magnetometer_int"', 'drdy = "magnetometer_int"', None,
     "chip 'magnetometer': key 'drdy' is unknown: valid are address, bus, currents_ua, int, name, part, supply"),
    ("presence", "tcxo = true", "tcxo = 1", None, "chip 'radio': tcxo = 1: true or false expected"),
    ("presence", "rf_switch_dio2 = true", "currents_ua = { rx = -5 }", None,
     "chip 'radio': currents_ua.rx = -5: 0 or more expected"),
    ("presence", "rf_switch_dio2 = true", "currents_ua = { rxx = 5 }", None,
     "chip 'radio': currents_ua: power state 'rxx' is unknown: did you mean 'rx'?"),
    ("presence", 'cell = "ER34615"', 'cell = "ER34616"', None,
     "[power]: cell 'ER34616' is unknown: did you mean 'ER34615'?"),
    ("presence", 'kind = "switching"', 'kind = "switch"', None,
     "[power]: regulator.kind 'switch' is unknown: did you mean 'switching'?"),
    ("presence", 'measures = "cell"', 'measures = "rail"', None,
     "analog 'battery': measures 'rail' is unknown: valid are cell"),
    ("presence", 'dio1 = "radio_dio1"', 'dio1 = "radio_busy"', None,
     "chip 'radio': dio1 = 'radio_busy': GPIO 15 is taken by chip 'radio' (busy); give it a pin of its own"),
    ("presence", "radio_dio1 = 16", "radio_dio1 = 22", None,
     "[pins]: radio_dio1 = 22: the ESP32-S3 has no GPIO 22; it has 0 to 21, 26 to 48"),
    ("presence", "magnetometer_int = 4", "magnetometer_int = 40", "wake",
     "[board]: wake: 'magnetometer_int' is GPIO 40, which cannot wake the ESP32-S3 from deep sleep;"
     " those that can are 0 to 21"),
    ("kiosk", "ethernet_reset = 2", "ethernet_reset = 36", None,
     "[pins]: ethernet_reset = 36: GPIO 36 belongs to the octal PSRAM of 8 MiB; take another"),
    ("kiosk", "width_px = 128", "width_px = 12.8", None, "chip 'display': width_px = 12.8: a whole number expected"),
    ("kiosk", 'dc = "lcd_dc"', 'turned_deg = 45', None, "chip 'lcd': ILI9341: turned_deg is 45, not a multiple of 90"),
    ("kiosk", 'pwm = "fan_pwm"\n', "", '[[chip]]\nname = "fan"', "chip 'fan' has no 'pwm'; add it"),
    ("kiosk", 'coil = "pc_relay"', 'coil = "pc_relay"\nbus = "spi1"', 'bus = "spi1"\nnormally',
     "chip 'pc_power': key 'bus' is unknown: valid are coil, currents_ua, name, normally_closed, part, supply"),
    ("kiosk", "address = 0x23", "address = 0x44", None,
     "chip 'light': address = 0x44: 'climate' has it on bus 'i2c0'; strap one to another address"),
]  # fmt: skip


@pytest.mark.parametrize(("board", "old", "new", "where", "message"), MISTAKES)
def test_a_mistake_about_a_part_names_file_line_and_what_would_do(tmp_path, board, old, new, where, message):
    good = BOARDS[board].read_text()
    assert old in good
    text, path = good.replace(old, new, 1), tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(BoardError) as raised:
        load(path)
    before = text.split(where)[0] if where else good.split(old)[0]
    assert str(raised.value) == f"{path}:{before.count(chr(10)) + 1}: {message}"


ODD = ('""', "-1", "true", "nan", "{}", '["a", 1]', "1979-05-27", str(2**64))


def lines_to_break(lines: list[str]) -> list[int]:
    """The first line of each key of each kind of table, and the tables' own."""
    table, seen, found = "", set(), []
    for number, line in enumerate(lines):
        if line.startswith("["):
            table = line.strip("[] ").split("]")[0]
        key = line.split(" = ")[0] if table not in ("pins", "pulls") else ""
        if line and (table, key) not in seen:
            found.append(number)
            seen.add((table, key))
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_whatever_stands_for_a_line_it_is_a_board_or_a_board_error(tmp_path, name):
    lines = BOARDS[name].read_text().splitlines()
    path, refused = tmp_path / "board.toml", 0
    for number in lines_to_break(lines):
        key = lines[number].split(" = ")[0]
        for instead in ([], [lines[number]] * 2, *([f"{key} = {odd}"] for odd in ODD)):
            path.write_text("\n".join([*lines[:number], *instead, *lines[number + 1 :]]))
            try:
                load(path)
            except BoardError as error:
                refused += 1
                assert re.match(rf"{re.escape(str(path))}:\d+: ", str(error))
    assert refused > 300
