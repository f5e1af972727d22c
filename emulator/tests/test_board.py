"""Board files: the real ones load, bad ones say what is wrong."""

import flash_images
import pytest

from pave_emulator.board import BoardError, load
from pave_emulator.chips.chip import Environment, still_field
from pave_emulator.chips.lis2mdl import Lis2mdl


def test_the_presence_board_has_its_magnetometer_and_interrupt_line():
    board = load(flash_images.PRESENCE_BOARD)
    assert board.chips["magnetometer"].pins == {"int": 4}
    assert board.buses["i2c0"].pins == {"scl": 9, "sda": 8}
    assert isinstance(board.build(Environment(still_field))["magnetometer"], Lis2mdl)


@pytest.mark.parametrize(
    ("line", "broken", "message"),
    [
        (
            'part = "LIS2MDL"',
            'part = "LIS3MDL"',
            r"chip 'magnetometer': part 'LIS3MDL' is unknown: did you mean 'LIS2MDL'",
        ),
        (
            'int = "magnetometer_int"',
            'int = "magnet_int"',
            r"pin 'magnet_int' is unknown: did you mean 'magnetometer_int'",
        ),
        ('bus = "i2c0"', 'bus = "i2c1"', r"bus 'i2c1' is unknown: did you mean 'i2c0'"),
        ("address = 0x1E", "adress = 0x1E", r"key 'adress' is unknown: did you mean 'address'"),
        ('name = "pave-presence-v1"', "", r"\[board\] has no 'name'"),
        ("[board]", "[board", r"board.toml: .*line"),
    ],
)
def test_a_bad_board_file_gets_file_what_and_nearest_name(tmp_path, line, broken, message):
    path = tmp_path / "board.toml"
    path.write_text(flash_images.PRESENCE_BOARD.read_text().replace(line, broken, 1))
    with pytest.raises(BoardError, match=message) as raised:
        load(path)
    assert str(raised.value).startswith(str(path))
