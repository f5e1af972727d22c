"""NVS: the calls of esp32.NVS, the page format, and images by Espressif's own generator."""

import random
import subprocess
import sys
from pathlib import Path

import flash_images
import pytest

from pave_emulator.flash.image import Flash
from pave_emulator.flash.nvs import Nvs
from pave_emulator.flash.nvs_format import NvsError

NVS_BYTES = 0x6000


@pytest.fixture
def flash(tmp_path: Path) -> Flash:
    return Flash(flash_images.build(tmp_path / "nvs.bin", {}), 8 << 20, print)


def store(flash: Flash) -> Nvs:
    entry = flash.partition("nvs")
    return Nvs(flash, entry.offset, entry.size)


def generated(tmp_path: Path, rows: str) -> bytes:
    """An NVS partition by esp-idf-nvs-partition-gen."""
    table, image = tmp_path / "nvs.csv", tmp_path / "gen.bin"
    table.write_text("key,type,encoding,value\n" + rows)
    command = [sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate", str(table), str(image), hex(NVS_BYTES)]
    subprocess.run(command, check=True, capture_output=True)
    return image.read_bytes()


async def test_integers_and_blobs_survive_a_power_cut(bench):
    main = """
import esp32, machine
n = esp32.NVS("app")
buf = bytearray(8)
try: print("kept", n.get_i32("epoch"), n.get_blob("key", buf), buf)
except OSError as e:
    print("errno", e.args)
    n.set_i32("epoch", -7); n.set_blob("key", b"\\x01\\x02\\x03"); n.commit()
    print("written")
"""
    b = await bench(main)
    assert await b.line("errno") == "(-4354, 'ESP_ERR_NVS_NOT_FOUND')"
    await b.line("written")
    b.device.power_cut()
    b.device.power_on()
    assert await b.line("kept") == r"-7 3 bytearray(b'\x01\x02\x03\x00\x00\x00\x00\x00')"


async def test_errors_are_those_of_the_board(bench):
    main = """
import esp32
n = esp32.NVS("app")
def attempt(f, *args):
    try: f(*args)
    except OSError as e: print("error", e.args[1])
n.set_blob("b", b"12345")
attempt(n.get_blob, "b", bytearray(4))
attempt(n.set_i32, "a_key_of_16_char", 1)
attempt(n.get_i32, "b")
n.erase_key("b")
attempt(n.erase_key, "b")
"""
    b = await bench(main)
    assert await b.line("error") == "ESP_ERR_NVS_INVALID_LENGTH"
    assert await b.line("error") == "ESP_ERR_NVS_KEY_TOO_LONG"
    assert await b.line("error") == "ESP_ERR_NVS_NOT_FOUND"
    assert await b.line("error") == "ESP_ERR_NVS_NOT_FOUND"


async def test_firmware_reads_an_image_made_by_espressifs_generator(bench, tmp_path):
    blob = bytes(range(256)) * 20  # more than one page
    rows = f"pave,namespace,,\nepoch,data,i32,-1234\nkey,data,hex2bin,00ff10\nlong,data,hex2bin,{blob.hex()}\n"
    main = """
import esp32
n = esp32.NVS("pave")
buf = bytearray(6000)
print("epoch", n.get_i32("epoch"))
print("key", buf[:n.get_blob("key", buf)])
size = n.get_blob("long", buf)
print("long", size, buf[:size] == bytes(range(256)) * 20)
n.set_i32("epoch", 5)
print("now", n.get_i32("epoch"))
"""
    b = await bench(main, nvs=generated(tmp_path, rows))
    assert await b.line("epoch") == "-1234"
    assert await b.line("key") == r"bytearray(b'\x00\xff\x10')"
    assert await b.line("long") == "5120 True"
    assert await b.line("now") == "5"


def test_our_first_page_is_byte_for_byte_the_generators(flash, tmp_path):
    nvs = store(flash)
    space = nvs.namespace("pave")
    nvs.set_i32(space, "epoch", 3)
    nvs.set_blob(space, "key", b"0123456789")
    ours = flash.read(flash.partition("nvs").offset, 4096)
    theirs = generated(tmp_path, "pave,namespace,,\nepoch,data,i32,3\nkey,data,hex2bin,30313233343536373839\n")[:4096]
    assert ours == theirs


def test_a_thousand_updates_turn_pages_collect_garbage_and_lose_nothing(flash):
    rng = random.Random(1)
    nvs, model = store(flash), {}
    space = nvs.namespace("app")
    for step in range(1000):
        key = f"k{rng.randrange(12)}"
        if rng.random() < 0.5:
            model[key] = rng.randbytes(rng.randrange(0, 300))
            nvs.set_blob(space, "b" + key, model[key])
        else:
            model["i" + key] = rng.randrange(-(2**31), 2**31)
            nvs.set_i32(space, key, model["i" + key])
        if step % 100 == 0:
            nvs = store(flash)
            space = nvs.namespace("app")
    nvs = store(flash)
    for key, value in model.items():
        read = nvs.get_i32(space, key[1:]) if key[0] == "i" else nvs.get_blob(space, "b" + key, 300)
        assert read == value
    assert flash.erases > 10


def test_a_full_store_says_so_and_keeps_what_it_has(flash):
    nvs = store(flash)
    space = nvs.namespace("app")
    with pytest.raises(NvsError, match="full of live entries"):
        for number in range(1000):
            nvs.set_i32(space, f"k{number}", number)
    assert number > 500
    again = store(flash)
    assert [again.get_i32(space, f"k{i}") for i in range(number)] == list(range(number))


def test_a_page_with_a_damaged_header_is_not_read(flash):
    nvs = store(flash)
    nvs.set_i32(nvs.namespace("app"), "k", 1)
    flash.program(flash.partition("nvs").offset + 28, b"\0\0\0\0")
    with pytest.raises(NvsError):
        again = store(flash)
        again.get_i32(again.namespace("app"), "k")
