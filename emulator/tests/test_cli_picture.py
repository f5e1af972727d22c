"""`pave-emulator picture`: a kiosk's screen as a PNG, from an emulator that runs."""

import subprocess
import zlib

import cli_bench
import flash_images
import pytest

SCENARIO = "name: t\nseed: 1\nearth_field_ut: [20.9, 0.6, 42.9]\n"
MAIN = """
import time
from machine import I2C, Pin
i2c = I2C(0, scl=Pin(9), sda=Pin(8))
i2c.writeto(0x3C, bytes((0x00, 0x8D, 0x14, 0x20, 0x00, 0x21, 0, 127, 0x22, 0, 7, 0xA1, 0xC8, 0xAF)))
i2c.writeto(0x3C, b"\\x40" + b"\\xff" * 512 + bytes(512))
print("drawn")
while True:
    time.sleep(1)
"""


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("k")
    (folder / "s.yaml").write_text(SCENARIO)
    image = flash_images.build(folder / "k.bin", {"main.py": MAIN}, flash_images.KIOSK_BOARD)
    device = f"k={image}:{flash_images.KIOSK_BOARD}:shelter:kiosk"
    arguments = ["run", folder / "s.yaml", "--device", device, "--for", "60", "--work-dir", folder / "w"]
    command = [*cli_bench.COMMAND, *map(str, arguments)]
    emulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cli_bench.environment())
    assert emulator.stdout and any("| drawn" in line for line in emulator.stdout)
    yield folder / "w"
    emulator.terminate()
    emulator.communicate(timeout=20)


def test_the_upper_half_is_lit_and_the_lower_dark(work_dir, tmp_path):
    said = cli_bench.tool("picture", "k", tmp_path / "p.png", "--chip", "display", "--work-dir", work_dir)
    assert "display of k" in said
    data = (tmp_path / "p.png").read_bytes()
    start = data.index(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big")
    pixels = zlib.decompress(data[start : start + size])
    rows = [pixels[at : at + len(pixels) // 256] for at in range(0, len(pixels), len(pixels) // 256)]
    assert set(rows[20][1:]) == {255} and set(rows[200][1:]) == {0}


def test_the_first_display_is_meant_where_none_is_named(work_dir, tmp_path):
    assert "display of k" in cli_bench.tool("picture", "k", tmp_path / "p.png", "--work-dir", work_dir)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("kk",), "no device 'kk': did you mean 'k'"),
        (("k", "--chip", "lcdd"), "did you mean 'lcd'"),
        (("k", "--chip", "fan"), "no display 'fan'"),
    ],
)
def test_what_has_no_picture_is_said(work_dir, tmp_path, words, message):
    device, *more = words
    said = cli_bench.tool("picture", device, tmp_path / "p.png", *more, "--work-dir", work_dir, status=2)
    assert message in said
    assert not (tmp_path / "p.png").exists()


def test_a_folder_that_is_not_there_is_said(work_dir, tmp_path):
    said = cli_bench.tool("picture", "k", tmp_path / "no/p.png", "--work-dir", work_dir, status=2)
    assert said.startswith(f"OUT {tmp_path}/no/p.png: there is no folder {tmp_path}/no; make it first")
