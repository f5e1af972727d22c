"""Every mistake that a board file can have: refused with its line, what is wrong, and what would be right."""

from pathlib import Path

import pytest

from pave_boards import BoardError, Catalogue, Part, read
from pave_boards.soc import ESP32, ESP32_S3, spans
from pave_boards.toml_lines import lines_of

BOARD = """\
[board]
name = "small-v1"
mcu = "ESP32-S3"
flash_bytes = 8388608
psram_bytes = 8388608
wake = ["meter_int"]

[pins]
meter_int = 4
meter_reset = 5
i2c_sda = 8
i2c_scl = 9
spi_cs = 10
spi_mosi = 11
spi_sck = 12
spi_miso = 13
cell = 1
divider = 2
button = 38
tx = 39
rx = 40
light = 21

[pulls]
spi_cs = 1

[[bus]]
name = "i2c0"
kind = "i2c"
id = 0
scl = "i2c_scl"
sda = "i2c_sda"

[[bus]]
name = "spi1"
kind = "spi"
id = 1
sck = "spi_sck"
mosi = "spi_mosi"
miso = "spi_miso"

[[chip]]
name = "meter"
part = "METER"
bus = "i2c0"
address = 0x1E
int = "meter_int"
reset = "meter_reset"
[chip.currents_ua]
idle = 2.0

[[chip]]
name = "second"
part = "METER"
bus = "i2c0"
address = 0x1F
reset = "meter_reset"

[[chip]]
name = "screen"
part = "SCREEN"
bus = "spi1"
cs = "spi_cs"
width_px = 128

[[chip]]
name = "lamp"
part = "LAMP"
pwm = "light"

[[uart]]
name = "pc"
id = 1
tx = "tx"
rx = "rx"
peer = "pc"

[[input]]
name = "button"
pin = "button"
idle = 1

[[analog]]
name = "battery"
pin = "cell"
measures = "cell"
divider = 0.5
switch = "divider"

[power]
cell = "CELL"
capacitor = "CAP"
regulator = { kind = "switching", efficiency = 0.9 }
divider_ua = 1.5

[mcu]
currents_ua = { deep_sleep = 8.0 }

[[partition]]
name = "nvs"
type = "data"
subtype = "nvs"
offset = 0x9000
size = 0x6000

[[partition]]
name = "otadata"
type = "data"
subtype = "ota"
offset = 0xF000
size = 0x2000

[[partition]]
name = "ota_0"
type = "app"
subtype = "ota_0"
offset = 0x20000
size = 0x200000

[[partition]]
name = "ota_1"
type = "app"
subtype = "ota_1"
offset = 0x220000
size = 0x200000

[[partition]]
name = "vfs"
type = "data"
subtype = "fat"
offset = 0x420000
size = 0x3E0000
"""


def _too_wide(options: dict[str, int]) -> str | None:
    return "width_px is 999, not up to 128" if options.get("width_px") == 999 else None


CATALOGUE = Catalogue(
    parts={
        "METER": Part("i2c", outputs=("int",), inputs=("reset",), states=("off", "idle")),
        "SCREEN": Part("spi", inputs=("dc",), options={"width_px": int}, refuses=_too_wide),
        "LAMP": Part(None, pwm="pwm", options={"dim": bool}),
    },
    cells=("CELL",),
    capacitors=("CAP",),
    regulators=("switching", "linear"),
    mcu_states=("deep_sleep", "active"),
    sources=("cell",),
)


def refused(folder: Path, text: str, catalogue: Catalogue | None = CATALOGUE) -> list[str]:
    """What is said of this board file: one entry per fault, without the file's name."""
    path = folder / "board.toml"
    path.write_text(text)
    with pytest.raises(BoardError) as raised:
        read(path, catalogue)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines), lines
    return [line.removeprefix(f"{path}:") for line in lines]


def line_of(text: str, wanted: str) -> int:
    """The line of the first occurrence."""
    return text[: text.index(wanted)].count("\n") + 1


TYPES = [
    ("flash_bytes = 8388608", 'flash_bytes = "8M"',
     "[board]: flash_bytes = '8M': a whole number expected, without quotes"),
    ("psram_bytes = 8388608", "psram_bytes = 8000000",
     "[board]: psram_bytes = 8000000: 0, 2, 4, 8, 16, 32 times 1048576 expected"),
    ("psram_bytes = 8388608", "psram_bytes = -1", "[board]: psram_bytes = -1: 0 or more expected"),
    ('mcu = "ESP32-S3"', 'mcu = "ESP32-S4"', "[board]: mcu 'ESP32-S4' is unknown: did you mean 'ESP32-S3'?"),
    ('name = "small-v1"', 'name = "Small v1"',
     "[board]: name = 'Small v1': a small letter expected, then 31 small letters, digits and - at most"),
    ("psram_bytes =", "psram_byte =", "[board]: key 'psram_byte' is unknown: did you mean 'psram_bytes'?"),
    ("spi_cs = 1\n", "spi_cs = true\n", "[pulls]: spi_cs = True: a whole number expected, without quotes"),
    ("spi_cs = 1\n", "spi_cs = 2\n", "[pulls]: spi_cs = 2: 1 or less expected"),
    ("address = 0x1E", 'address = "0x1E"', "chip 'meter': address = '0x1E': a whole number expected, without quotes"),
    ("id = 1\ntx", "tx", "[[uart]] @ uart 'pc' has no 'id'; add it"),
    ("idle = 1\n", "idle = 2\n", "input 'button': idle = 2: 1 or less expected"),
    ("divider = 0.5", "divider = 0", "analog 'battery': divider = 0: more than 0 expected"),
    ("divider = 0.5", "divider = nan", "analog 'battery': divider = nan: a finite number expected"),
    ("[mcu]", "[mpu]", "[mpu] is no table of a board file: did you mean 'mcu'?"),
    ("[[uart]]", "[uart]", "[uart] is one table; write [[uart]], there may be several"),
    ('kind = "spi"\n', 'kind = "spj"\n', "bus 'spi1': kind 'spj' is unknown: did you mean 'spi'?"),
    ('kind = "spi"\n', "", "[[bus]]\nname = \"spi1\" @ bus 'spi1' has no 'kind'; add it: i2c or spi"),
    ("width_px = 128", 'width_px = "128"', "chip 'screen': width_px = '128': a whole number expected"),
    ("width_px = 128", "width_px = true", "chip 'screen': width_px = True: a whole number expected"),
    ("width_px = 128", "width_px = 999", "chip 'screen': width_px is 999, not up to 128"),
    ('int = "meter_int"', "int = 4", "chip 'meter': int = 4: the name of a pin expected"),
    ("[board]", "[board", "not TOML: Expected ']' at the end of a table declaration in column 7"),
]  # fmt: skip
PINS = [
    ("light = 21", "light = 99", "[pins]: light = 99: the ESP32-S3 has no GPIO 99; it has 0 to 21, 26 to 48"),
    ("light = 21", "light = 24", "[pins]: light = 24: the ESP32-S3 has no GPIO 24; it has 0 to 21, 26 to 48"),
    ("light = 21", "light = 30", "[pins]: light = 30: GPIO 30 belongs to the flash; take another"),
    ("light = 21", "light = 35", "[pins]: light = 35: GPIO 35 belongs to the octal PSRAM of 8 MiB; take another"),
    ("light = 21", "light = 38",
     "[pins]: light = 38: GPIO 38 is 'button' already; take another, or one name for both"),
    ("light = 21", "Light = 21",
     "[pins]: Light = 'Light': a small letter expected, then 31 small letters, digits and _ at most"),
    ('int = "meter_int"', 'int = "meter_irq"',
     "chip 'meter': int: pin 'meter_irq' is unknown: did you mean 'meter_int'?"),
    ('int = "meter_int"', 'int = "cell"',
     "pin = \"cell\" @ analog 'battery': pin = 'cell': GPIO 1 is taken by chip 'meter' (int); give it a pin"
     " of its own"),
    ('pwm = "light"', 'pwm = "spi_cs"',
     "chip 'lamp': pwm = 'spi_cs': GPIO 10 is taken by chip 'screen' (cs); give it a pin of its own"),
    ('rx = "rx"', 'rx = "tx"', "uart 'pc': rx = 'tx': GPIO 39 is taken by uart 'pc' (tx); give it a pin of its own"),
    ("spi_cs = 1\n", "spi_ss = 1\n", "[pulls]: pin 'spi_ss' is unknown: did you mean 'spi_cs'?"),
    ('wake = ["meter_int"]', 'wake = ["meter_int", "button"]',
     "[board]: wake: 'button' is GPIO 38, which cannot wake the ESP32-S3 from deep sleep; those that can are 0 to 21"),
    ('wake = ["meter_int"]', 'wake = ["meter"]', "[board]: wake: pin 'meter' is unknown: did you mean 'meter_int'?"),
    ("cell = 1\n", "cell = 41\n",
     "pin = \"cell\" @ analog 'battery': pin = 'cell': GPIO 41 of the ESP32-S3 has no ADC; those with one are 1 to 20"),
]  # fmt: skip
BUSES = [
    ("address = 0x1F", "address = 0x1E",
     "chip 'second': address = 0x1e: 'meter' has it on bus 'i2c0'; strap one to another address"),
    ("address = 0x1F", "address = 0x3E00",
     "chip 'second': address = 0x3e00: an address of I2C is 0x08 to 0x77, without the bit for read and write"),
    ('bus = "i2c0"', 'bus = "i2c1"', "chip 'meter': bus 'i2c1' is unknown: did you mean 'i2c0'?"),
    ('part = "SCREEN"', 'part = "SCREAM"', "chip 'screen': part 'SCREAM' is unknown: did you mean 'SCREEN'?"),
    ('cs = "spi_cs"\n', "", "[[chip]]\nname = \"screen\" @ chip 'screen' has no 'cs'; add it: the pin that selects it"),
    ('name = "second"', 'name = "meter"', "chip 'meter': name = 'meter': another chip has it; choose another"),
    ("id = 0\nscl", "id = 2\nscl", "bus 'i2c0': id = 2: there is no I2C 2 for firmware; there are 0 and 1"),
    ("id = 1\ntx", "id = 0\ntx", "uart 'pc': id = 0: there is no UART 0 for firmware; there are 1 and 2"),
    ("id = 0\nscl", "id = 0\nmax_hz = 4000000\nscl", "max_hz @ bus 'i2c0': max_hz = 4000000: I2C goes to 1000000 Hz"),
    ('pwm = "light"', 'pwm = "light"\nbus = "spi1"',
     "bus = \"spi1\"\n\n[[uart]] @ chip 'lamp': key 'bus' is unknown: valid are currents_ua, dim, name, part,"
     " pwm, supply"),
    ('measures = "cell"', 'measures = "sell"', "analog 'battery': measures 'sell' is unknown: did you mean 'cell'?"),
]  # fmt: skip
POWER = [
    ("[chip.currents_ua]\nidle", "[chip.currents_ua]\nidel",
     "idel @ chip 'meter': currents_ua: power state 'idel' is unknown: did you mean 'idle'?"),
    ("idle = 2.0", "idle = -2.0", "chip 'meter': currents_ua.idle = -2.0: 0 or more expected"),
    ("{ deep_sleep = 8.0 }", "{ deep_slep = 8.0 }",
     "[mcu]: currents_ua: power state 'deep_slep' is unknown: did you mean 'deep_sleep'?"),
    ("{ deep_sleep = 8.0 }", "{ deep_sleep = -8.0 }", "[mcu]: currents_ua.deep_sleep = -8.0: 0 or more expected"),
    ("divider_ua = 1.5", "divider_ua = -1.5", "[power]: divider_ua = -1.5: 0 or more expected"),
    ("divider_ua = 1.5", "divider_ua = inf", "[power]: divider_ua = inf: a finite number expected"),
    ('cell = "CELL"', 'cell = "CEL"', "[power]: cell 'CEL' is unknown: did you mean 'CELL'?"),
    ('cell = "CELL"\n', "", "[power] @ [power] has no 'cell'; add it"),
    ('capacitor = "CAP"', 'capacitor = "CUP"', "[power]: capacitor 'CUP' is unknown: did you mean 'CAP'?"),
    ('kind = "switching"', 'kind = "switched"',
     "[power]: regulator.kind 'switched' is unknown: did you mean 'switching'?"),
    ("efficiency = 0.9", "efficiency = 9", "[power]: regulator.efficiency = 9: 1 or less expected"),
    ("regulator = {", 'regulator = "x" #{', "[power]: regulator = 'x': a table expected"),
]  # fmt: skip
PARTITIONS = [
    ("offset = 0x220000", "offset = 0x210000",
     "partition 'ota_1': offset = 0x210000: 'ota_0' ends at 0x220000; they overlap"),
    ("size = 0x3E0000", "size = 0x3E1000",
     "partition 'vfs': size = 0x3e1000: it ends at 0x801000, the flash at 0x800000; 0x3e0000 bytes are left"),
    ("offset = 0x20000\n", "offset = 0x18000\n",
     "partition 'ota_0': offset = 0x18000: an app begins at a multiple of 0x10000; the next is 0x20000"),
    ("offset = 0xF000", "offset = 0xF800",
     "partition 'otadata': offset = 0xf800: data begins at a multiple of 0x1000; the next is 0x10000"),
    ("offset = 0x9000", "offset = 0x8000",
     "partition 'nvs': offset = 0x8000: boot loader and table end at 0x9000; move it up"),
    ("size = 0x6000", "size = 0x5fff",
     "partition 'nvs': size = 0x5fff: sectors of 0x1000 bytes, one or more, expected"),
    ("size = 0x6000", "size = 0", "partition 'nvs': size = 0x0: sectors of 0x1000 bytes, one or more, expected"),
    ("size = 0x6000", "size = 0x2000", "partition 'nvs': size = 0x2000: NVS wants 0x3000 bytes or more"),
    ("size = 0x2000\n", "size = 0x1000\n",
     "partition 'otadata': size = 0x1000: otadata has 0x2000 bytes, a sector for each of two entries"),
    ('subtype = "ota_1"', 'subtype = "ota_l"', "partition 'ota_1': subtype 'ota_l' is unknown: did you mean 'ota_9'?"),
    ('subtype = "ota_1"', 'subtype = "ota_0"', "partition 'ota_1': subtype 'ota_0' is 'ota_0' already"),
    ('name = "ota_1"', 'name = "a_label_too_long_x"',
     "partition 'a_label_too_long_x': name = 'a_label_too_long_x': a label has 1 to 16 bytes"),
    ('name = "ota_1"', 'name = "vfs"',
     "name = \"vfs\"\ntype = \"data\" @ partition 'vfs': name = 'vfs': another partition has it; choose another"),
]  # fmt: skip
LACKING = [
    ('name = "vfs"', 'name = "files"',
     "[partition]: none has name = 'vfs', type = 'data': MicroPython keeps its files there; add it"),
    ('name = "nvs"', 'name = "settings"',
     "[partition]: none has name = 'nvs', type = 'data', subtype = 'nvs': settings are kept there; add it"),
    ('subtype = "ota"', 'subtype = "phy"',
     "[partition]: none has type = 'data', subtype = 'ota': it says which slot is active; add it"),
    ('subtype = "ota_0"', 'subtype = "ota_2"',
     "[partition]: none has subtype = 'ota_0': slots are counted from 0; add it"),
]  # fmt: skip


def test_the_board_without_a_mistake_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text(BOARD)
    board = read(tmp_path / "board.toml", CATALOGUE)
    assert board.chip[0].currents_ua == {"idle": 2.0}
    assert [chip.more.get("reset") for chip in board.chip[:2]] == ["meter_reset"] * 2  # one output, two listeners


@pytest.mark.parametrize(("old", "new", "message"), [*TYPES, *PINS, *BUSES, *POWER, *PARTITIONS])
def test_a_mistake_is_refused_with_its_line_and_what_would_do(tmp_path: Path, old: str, new: str, message: str) -> None:
    where, _, message = message.rpartition(" @ ")
    text = BOARD.replace(old, new, 1)
    assert text != BOARD
    assert refused(tmp_path, text) == [f"{line_of(text, where) if where else line_of(BOARD, old)}: {message}"]


@pytest.mark.parametrize(("old", "new", "message"), LACKING)
def test_a_partition_that_the_boot_needs_is_missed(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = BOARD.replace(old, new, 1)
    assert refused(tmp_path, text) == [f"{line_of(text, '[[partition]]')}: {message}"]


SEVERAL = [
    ({"address = 0x1E": "adress = 0x1E"}, {
        "[[chip]]": "chip 'meter' has no 'address'; did you mean 'adress'?",
        "adress": "chip 'meter': key 'adress' is unknown: did you mean 'address'?",
    }),
    ({'bus = "spi1"': 'bus = "i2c0"'}, {
        '[[bus]]\nname = "spi1"': "bus 'spi1' has no chip on it; take it out, or say bus = 'spi1' where one is",
        'bus = "i2c0"\ncs': "chip 'screen': bus = 'i2c0': a SCREEN is on SPI, and this is I2C; valid are spi1",
    }),
    ({"flash_bytes = 8388608": "flash_bytes = 4000000", "light = 21": "light = 99", "0x1F": "0x1E"}, {
        "flash_bytes": "[board]: flash_bytes = 4000000: 1, 2, 4, 8, 16, 32, 64, 128 times 1048576 expected",
        "light = 99": "[pins]: light = 99: the ESP32-S3 has no GPIO 99; it has 0 to 21, 26 to 48",
        'address = 0x1E\nreset': "chip 'second': address = 0x1e: 'meter' has it on bus 'i2c0';"
        " strap one to another address",
        "size = 0x200000\n\n[[partition]]\nname = \"vfs\"":
        "partition 'ota_1': size = 0x200000: it ends at 0x420000, the flash at 0x3d0900; 0x1b0900 bytes are left",
        "size = 0x3E0000": "partition 'vfs': size = 0x3e0000: it ends at 0x800000, the flash at 0x3d0900;"
        " 0x0 bytes are left",
    }),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), SEVERAL)
def test_all_faults_of_a_file_are_said_at_once(
    tmp_path: Path, changes: dict[str, str], expected: dict[str, str]
) -> None:
    text = BOARD
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    assert refused(tmp_path, text) == [f"{line_of(text, where)}: {message}" for where, message in expected.items()]


def test_without_a_catalogue_any_part_will_do_but_not_any_pin(tmp_path: Path) -> None:
    text = BOARD.replace('part = "METER"', 'part = "UNHEARD OF"').replace('cell = "CELL"', 'cell = "AAA"')
    (tmp_path / "board.toml").write_text(text)
    assert read(tmp_path / "board.toml").chip[0].part == "UNHEARD OF"
    text = text.replace('int = "meter_int"', 'int = "meter_irq"').replace("light = 21", "light = 22")
    assert refused(tmp_path, text, None) == [
        f"{line_of(text, 'light = 22')}: [pins]: light = 22: the ESP32-S3 has no GPIO 22; it has 0 to 21, 26 to 48",
        f"{line_of(text, 'meter_irq')}: chip 'meter': int: pin 'meter_irq' is unknown: did you mean 'meter_int'?",
    ]


def test_a_file_that_cannot_be_read_is_said_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    with pytest.raises(BoardError, match=r"board\.toml: No such file"):
        read(path)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(BoardError, match=r"board\.toml: not UTF-8 text"):
        read(path)
    path.write_text("")
    with pytest.raises(BoardError, match=r"board\.toml:1: the file has no table \[board\]; add it"):
        read(path)


def esp32(text: str) -> str:
    """The board on an ESP32 without PSRAM, on pins that it has."""
    moved = {"i2c_sda = 8": "i2c_sda = 21", "i2c_scl = 9": "i2c_scl = 22", "spi_cs = 10": "spi_cs = 25",
             "spi_mosi = 11": "spi_mosi = 26", "cell = 1": "cell = 32", "button = 38": "button = 34",
             "tx = 39": "tx = 16", "rx = 40": "rx = 17", "light = 21": "light = 23",
             '"ESP32-S3"': '"ESP32"', "psram_bytes = 8388608": "psram_bytes = 0"}  # fmt: skip
    for old, new in moved.items():
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("light = 23", "light = 9", "light = 9", "[pins]: light = 9: GPIO 9 belongs to the flash; take another"),
        ("light = 23", "light = 24", "light = 24",
         "[pins]: light = 24: the ESP32 has no GPIO 24; it has 0 to 19, 21 to 23, 25 to 27, 32 to 39"),
        ("light = 23", "light = 35", "pwm",
         "chip 'lamp': pwm = 'light': GPIO 35 of the ESP32 is an input only; those are 34 to 39"),
        ("meter_int = 4", "meter_int = 18", "wake",
         "[board]: wake: 'meter_int' is GPIO 18, which cannot wake the ESP32 from deep sleep;"
         " those that can are 0, 2, 4, 12 to 15, 25 to 27, 32 to 39"),
        ("cell = 32", "cell = 18", 'pin = "cell"',
         "analog 'battery': pin = 'cell': GPIO 18 of the ESP32 has no ADC;"
         " those with one are 0, 2, 4, 12 to 15, 25 to 27, 32 to 39"),
    ],
)  # fmt: skip
def test_an_esp32_has_other_pins(tmp_path: Path, old: str, new: str, where: str, message: str) -> None:
    text = esp32(BOARD)
    (tmp_path / "board.toml").write_text(text)
    assert read(tmp_path / "board.toml", CATALOGUE).board.mcu == "ESP32"
    text = text.replace(old, new, 1)
    assert refused(tmp_path, text) == [f"{line_of(text, where)}: {message}"]


def test_psram_takes_pins_and_which_depends_on_its_bus() -> None:
    mib = 1 << 20
    assert [ESP32_S3.taken(35, mib * size) for size in (0, 2)] == [None, None]  # quad PSRAM shares the flash's
    assert ESP32_S3.taken(35, 8 * mib) == "the octal PSRAM of 8 MiB"
    assert [ESP32.taken(16, mib * size) for size in (0, 2)] == [None, "the PSRAM of 2 MiB"]


def test_the_esp32_s3_has_45_pins_and_the_esp32_34() -> None:
    assert (len(ESP32_S3.gpios), len(ESP32.gpios)) == (45, 34)  # what the Programming Guide counts
    assert (len(ESP32_S3.adc), len(ESP32.adc)) == (20, 18)
    assert spans(frozenset({0, 1, 2, 5, 7, 8})) == "0 to 2, 5, 7 to 8"


def test_lines_are_found_of_tables_within_tables_and_of_dotted_keys() -> None:
    text = '[board]\nname = "a"\n[[chip]]\n[[chip]] # the second\nx.y = 1\n  [chip.currents_ua]\n  "on" = 2\n[a.b]\nc=1'
    assert lines_of(text) == {
        ("board",): 1, ("board", "name"): 2, ("chip", 0): 3, ("chip", 1): 4, ("chip", 1, "x", "y"): 5,
        ("chip", 1, "currents_ua"): 6, ("chip", 1, "currents_ua", "on"): 7, ("a", "b"): 8, ("a", "b", "c"): 9,
    }  # fmt: skip
