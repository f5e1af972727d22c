"""Board files, and the pins generated from them."""

from pathlib import Path

import pytest

from pave_tools import pins
from pave_tools.board import Board, board_path, load_board
from pave_tools.errors import BoardError

BOARD = """
[board]
name = "small-v1"
mcu = "ESP32-S3"
flash_bytes = 0x800000
psram_bytes = 0
[pins]
i2c_sda = 8
i2c_scl = 9
[[bus]]
name = "i2c0"
kind = "i2c"
id = 0
sda = "i2c_sda"
scl = "i2c_scl"
max_hz = 400000
[[chip]]
name = "display"
part = "SSD1306"
bus = "i2c0"
address = 0x3C
width_px = 128
[[partition]]
name = "nvs"
type = "data"
subtype = "nvs"
offset = 0x9000
size = 0x6000
[[partition]]
name = "app"
type = "app"
subtype = "factory"
offset = 0x10000
size = 0x1F0000
[[partition]]
name = "vfs"
type = "data"
subtype = "fat"
offset = 0x200000
size = 0x600000
"""


@pytest.fixture
def boards_dir(tmp_path: Path) -> Path:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "small-v1.toml").write_text(BOARD)
    return tmp_path / "boards"


@pytest.mark.parametrize("name", ["pave-presence-v1", "pave-kiosk-v1"])
def test_every_board_of_the_repository_loads(name: str) -> None:
    assert load_board(board_path(name)).name == name


def test_the_generated_pins_in_the_repository_are_not_stale() -> None:
    assert pins.stale() == []


def test_a_board_becomes_a_module_of_constants(boards_dir: Path) -> None:
    source = pins.render(load_board(boards_dir / "small-v1.toml"))
    for line in ("I2C_SDA = const(8)", "I2C0_HZ = const(400000)", "DISPLAY_ADDRESS = const(0x3C)"):
        assert line in source.splitlines()


def test_a_changed_pin_makes_the_check_fail_and_show_the_line(boards_dir: Path, tmp_path: Path) -> None:
    pins.write(tmp_path / "out", boards_dir)
    assert pins.stale(tmp_path / "out", boards_dir) == []
    (boards_dir / "small-v1.toml").write_text(BOARD.replace("i2c_scl = 9", "i2c_scl = 10"))
    assert "+I2C_SCL = const(10)" in pins.stale(tmp_path / "out", boards_dir)


def test_a_module_that_was_never_generated_is_stale(boards_dir: Path, tmp_path: Path) -> None:
    assert "+I2C_SDA = const(8)" in pins.stale(tmp_path / "nothing-here", boards_dir)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('sda = "i2c_sda"', 'sda = "i2c_sdb"',
         "14: bus 'i2c0': sda: pin 'i2c_sdb' is unknown: did you mean 'i2c_sda'?"),
        ('bus = "i2c0"', 'bus = "i2c1"', "20: chip 'display': bus 'i2c1' is unknown: did you mean 'i2c0'?"),
        ("address = 0x3C", "adress = 0x3C", "17: chip 'display' has no 'address'; did you mean 'adress'?"),
        ("address = 0x3C", 'address = "0x3C"',
         "21: chip 'display': address = '0x3C': a whole number expected, without quotes"),
        ("i2c_sda = 8", "i2c_sda = true", "8: [pins]: i2c_sda = True: a whole number expected, without quotes"),
        ("offset = 0x9000", "offset = 0x9800",
         "27: partition 'nvs': offset = 0x9800: data begins at a multiple of 0x1000; the next is 0xa000"),
        ("[pins]", "[pins", "7: not TOML: Expected ']' at the end of a table declaration in column 6"),
    ],
)  # fmt: skip
def test_a_bad_board_file_is_refused_with_file_and_fault(boards_dir: Path, old: str, new: str, message: str) -> None:
    path = boards_dir / "small-v1.toml"
    path.write_text(BOARD.replace(old, new, 1))
    with pytest.raises(BoardError) as raised:
        load_board(path)
    assert str(raised.value).splitlines()[0] == f"{path}:{message}"


def test_an_unknown_board_names_the_nearest(boards_dir: Path) -> None:
    with pytest.raises(BoardError, match=r"no board 'small-v2'.*did you mean 'small-v1'"):
        board_path("small-v2", boards_dir)


def test_a_partition_the_board_does_not_have_is_named(board: Board) -> None:
    with pytest.raises(BoardError, match="no partition 'vsf'; did you mean 'vfs'"):
        board.partition("vsf")


def test_two_constants_of_one_name_are_refused(boards_dir: Path) -> None:
    (boards_dir / "small-v1.toml").write_text(BOARD.replace("[pins]", "[pins]\ndisplay_address = 5"))
    with pytest.raises(BoardError, match="DISPLAY_ADDRESS would be defined twice"):
        pins.constants(load_board(boards_dir / "small-v1.toml"))
