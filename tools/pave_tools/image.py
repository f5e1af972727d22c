"""A device's whole flash as one file, `flash.bin`: what the emulator boots, and part by part what a technician flashes.

What is in it: the partition table, the NVS partition, and in `vfs` a LittleFS with the firmware and `/config.json`.
What is not: the bootloader and MicroPython itself. **The app slots are empty**: a real board gets both from the release
of MicroPython; the emulator runs the same interpreter from its own binary.

Erased flash reads 0xFF, so what nobody wrote is 0xFF in the file. Only the app slots, half of the flash, are left as a
hole: it reads 0x00, and takes no disk where the file system knows holes.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pave_tools.board import Board
from pave_tools.errors import ImageError
from pave_tools.littlefs_image import build_littlefs
from pave_tools.nvs_image import NvsValues, build_nvs
from pave_tools.partition import TABLE_OFFSET, encode_table

CONFIG_PATH = "/config.json"
_EPOCH_ZERO_S = 1767225600  # 2026-01-01T00:00:00Z


@dataclass(frozen=True)
class DeviceSettings:
    """What makes one device out of many: written as `/config.json`."""

    device: str  # EUI-64, 16 lower-case hex digits
    role: str
    gateway_host: str
    gateway_port: int
    wifi_ssid: str
    wifi_key: str
    insecure: bool = False  # speak plain CoAP where there are no keys in NVS: laboratories only

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{6}fffe[0-9a-f]{6}", self.device):
            raise ImageError(f"device {self.device!r} should be a MAC as EUI-64: 16 lower-case hex digits, fffe amid")
        if not 1 <= self.gateway_port <= 65535:
            raise ImageError(f"gateway port {self.gateway_port} should be 1 to 65535")
        if self.wifi_key and not 8 <= len(self.wifi_key) <= 63:
            raise ImageError(
                f"the Wi-Fi key has {len(self.wifi_key)} characters; WPA wants 8 to 63, an open network none"
            )

    def config(self, board: Board) -> dict[str, Any]:
        """Return the settings in the form the firmware reads."""
        insecure = {"insecure": True} if self.insecure else {}
        return {
            "device": self.device,
            "role": self.role,
            "board": board.module,
            "wifi": {"ssid": self.wifi_ssid, "key": self.wifi_key},
            "gateway": {"host": self.gateway_host, "port": self.gateway_port, **insecure},
        }


def first_epoch(now_s: float) -> int:
    """Return the epoch a device flashed at `now_s` (unix time) begins after: seconds since 2026-01-01.

    It advances by one at each power-on, so a device that is flashed anew never comes back to an epoch it has used.
    """
    return int(now_s) - _EPOCH_ZERO_S


def mac_of(device: str) -> bytes:
    """Return the 6 bytes of the MAC inside an EUI-64: `24a160fffe000101` -> 24:a1:60:00:01:01."""
    return bytes.fromhex(device[:6] + device[10:])


def build_flash_image(
    board: Board,
    files: Mapping[str, bytes],
    settings: Mapping[str, Any],
    nvs: NvsValues,
    path: Path,
    micropython: bytes = b"",
) -> None:
    """Write the flash of one device to `path` (`board.flash_bytes` long); the same arguments give the same bytes.

    `files` is what `firmware.build` returned, `settings` becomes `/config.json`, `micropython` is the app image for the
    first slot (empty: the image boots only once one has been written there). Raises `ImageError`.
    """
    config = json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False).encode()
    vfs, nvs_part = board.partition("vfs"), board.partition("nvs")
    parts = {
        TABLE_OFFSET: encode_table(board.partitions, board.flash_bytes),
        vfs.offset: build_littlefs({**files, CONFIG_PATH: config}, vfs.size),
        nvs_part.offset: build_nvs(nvs, nvs_part.size),
        board.partition("ota_0").offset: micropython,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb", opener=_private) as file:  # it may hold keys
        os.fchmod(file.fileno(), 0o600)  # an older file's mode too
        file.truncate(board.flash_bytes)
        for start, end in erased_ranges(board):
            file.seek(start)
            file.write(b"\xff" * (end - start))
        for offset, content in parts.items():
            file.seek(offset)
            file.write(content)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def erased_ranges(board: Board) -> list[tuple[int, int]]:
    """Return the (start, end) offsets of all flash outside the app slots."""
    ranges: list[tuple[int, int]] = []
    start = 0
    for app in sorted((part for part in board.partitions if part.type == "app"), key=lambda part: part.offset):
        ranges.append((start, app.offset))
        start = app.end
    ranges.append((start, board.flash_bytes))
    return [(low, high) for low, high in ranges if low < high]
