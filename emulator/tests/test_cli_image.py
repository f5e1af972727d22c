"""`pave-emulator image`: a flash that boots, made without a build of anybody's firmware."""

import stat

import cli_bench
import flash_images
import pytest

from pave_emulator.flash import partitions

SCENARIO = "name: t\nseed: 1\nearth_field_ut: [20.9, 0.6, 42.9]\n"
FILE_SYSTEM = 0x420000


def run(folder, image) -> str:
    (folder / "s.yaml").write_text(SCENARIO)
    device = f"d={image}:{flash_images.PRESENCE_BOARD}"
    arguments = ("--clock", "virtual", "--for", 5, "--work-dir", folder / "w")
    return cli_bench.tool("run", folder / "s.yaml", "--device", device, *arguments)


def test_the_first_boot_of_a_new_image_makes_a_file_system(tmp_path):
    cli_bench.tool("image", flash_images.PRESENCE_BOARD, tmp_path / "new.bin")
    written = (tmp_path / "new.bin").read_bytes()
    assert written[FILE_SYSTEM:].strip(b"\xff") == b""
    said = run(tmp_path, tmp_path / "new.bin")
    assert "not bootable" not in said and "initial setup" in said
    assert b"littlefs" in (tmp_path / "w/flash/d.bin").read_bytes()[FILE_SYSTEM : FILE_SYSTEM + 64]


def test_its_partition_table_is_the_one_another_hand_writes(tmp_path):
    cli_bench.tool("image", flash_images.KIOSK_BOARD, tmp_path / "new.bin")
    other = flash_images.build(tmp_path / "other.bin", {}, flash_images.KIOSK_BOARD, whole=True).read_bytes()
    table = slice(partitions.TABLE_OFFSET, partitions.TABLE_OFFSET + partitions.TABLE_BYTES)
    assert (tmp_path / "new.bin").read_bytes()[table] == other[table]


def test_micropython_is_put_into_an_image_without(tmp_path):
    built = flash_images.build(tmp_path / "a.bin", {"main.py": "print('mine')"})
    without = bytearray(built.read_bytes())
    without[0x20000:0x21000] = bytes(0x1000)
    built.write_bytes(without)
    assert "not bootable" in run(tmp_path, built)
    cli_bench.tool("image", flash_images.PRESENCE_BOARD, tmp_path / "b.bin", "--flash", built)
    assert "mine" in run(tmp_path, tmp_path / "b.bin")


def test_an_image_which_may_hold_keys_is_its_owners_alone_over_an_older_file_too(tmp_path):
    built = flash_images.build(tmp_path / "a.bin", {}, whole=True)
    made, again = tmp_path / "new.bin", tmp_path / "again.bin"
    again.write_bytes(b"")
    again.chmod(0o666)
    for out in (made, again):
        cli_bench.tool("image", flash_images.PRESENCE_BOARD, out, "--flash", built)
        assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('subtype = "ota_0"', 'subtype = "ota_O"', "subtype 'ota_O' is unknown: did you mean"),
        ("offset = 0x9000\n", "", "partition 'nvs' has no 'offset'"),
        ('type = "app"', 'type = "data"', "is unknown"),
    ],
)
def test_a_board_without_usable_partitions_is_said_in_one_line(tmp_path, old, new, message):
    board = tmp_path / "b.toml"
    board.write_text(flash_images.PRESENCE_BOARD.read_text().replace(old, new, 1))
    said = cli_bench.tool_process("image", board, tmp_path / "x.bin", status=2)
    assert message in said and said.count("\n") == 1


def test_an_image_of_another_board_is_refused(tmp_path):
    cli_bench.tool("image", flash_images.PRESENCE_BOARD, tmp_path / "new.bin")
    other = tmp_path / "b.toml"
    other.write_text(flash_images.PRESENCE_BOARD.read_text().replace("size = 0x6000", "size = 0x5000"))
    said = cli_bench.tool_process("image", other, tmp_path / "x.bin", "--flash", tmp_path / "new.bin", status=2)
    assert "partition table" in said
