"""Flash images for tests: a partition table, a LittleFS with the firmware's files, NVS where asked for."""

from __future__ import annotations

import hashlib
import struct
import tomllib
from pathlib import Path

from littlefs import LittleFS

from pave_emulator.flash import app_image

REPOSITORY = Path(__file__).parents[2]
PRESENCE_BOARD = REPOSITORY / "hardware/boards/pave-presence-v1.toml"
KIOSK_BOARD = REPOSITORY / "hardware/boards/pave-kiosk-v1.toml"
TYPES = {"app": 0, "data": 1}
SUBTYPES = {"nvs": 0x02, "ota": 0x00, "phy": 0x01, "fat": 0x81, "ota_0": 0x10, "ota_1": 0x11}
SECTOR_BYTES = 4096


def build(
    path: Path,
    files: dict[str, str],
    board: Path = PRESENCE_BOARD,
    nvs: bytes | None = None,
    vfs: bytes | None = None,
    whole: bool = False,
) -> Path:
    """Write an image. It ends after `vfs` (the rest is erased flash), or has the chip's size when `whole`."""
    text = tomllib.loads(board.read_text())
    table = {entry["name"]: entry for entry in text["partition"]}
    end = text["board"]["flash_bytes"] if whole else table["vfs"]["offset"] + table["vfs"]["size"]
    image = bytearray(b"\xff" * end)
    image[0x8000:0x8C00] = partition_table(text["partition"])
    app = app_image.stand_in("test")
    image[table["ota_0"]["offset"] : table["ota_0"]["offset"] + len(app)] = app
    contents = littlefs(files, table["vfs"]["size"]) if vfs is None else vfs
    image[table["vfs"]["offset"] : table["vfs"]["offset"] + len(contents)] = contents
    if nvs is not None:
        image[table["nvs"]["offset"] : table["nvs"]["offset"] + len(nvs)] = nvs
    path.write_bytes(image)
    return path


def partition_table(entries: list[dict]) -> bytes:
    """The binary partition table of ESP-IDF with its MD5 entry."""
    table = b""
    for entry in entries:
        fields = (TYPES[entry["type"]], SUBTYPES[entry["subtype"]], entry["offset"], entry["size"])
        table += b"\xaa\x50" + struct.pack("<BBII16sI", *fields, entry["name"].encode(), 0)
    table += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table).digest()
    return table.ljust(0xC00, b"\xff")


def littlefs(files: dict[str, str], size: int) -> bytes:
    """A LittleFS2 image as MicroPython mounts it."""
    fs = LittleFS(block_size=SECTOR_BYTES, block_count=size // SECTOR_BYTES, read_size=32, prog_size=32)
    for name, text in files.items():
        if "/" in name.strip("/"):
            fs.makedirs(name.rsplit("/", 1)[0], exist_ok=True)
        with fs.open(name, "w") as f:
            f.write(text)
    return bytes(fs.context.buffer)
