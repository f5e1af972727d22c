"""Flash images of what is measured: the presence sensor on LoRaWAN, and the timer-polling design on the same board."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pave_emulator.fleet import DeviceSpec
from pave_tools import firmware, manifest
from pave_tools.board import board_path, load_board
from pave_tools.image import build_flash_image, mac_of
from simulation.devices import MICROPYTHON

EUI = "24a160fffe000101"
JOIN_EUI, APP_KEY = bytes.fromhex("0200000000000001"), bytes(range(16))
BOARD = "pave-presence-v1"
PLACE = "bay"
SENSOR = "sensor"
PRESENCE, POLLING = "presence", "polling"
FIRST_EPOCH = 1000
_LORA_NVS = {
    "app_key": APP_KEY,
    "join_eui": JOIN_EUI,
    "dev_eui": bytes.fromhex(EUI),
    "dev_nonce": 0,
    "join_nonce": 0,
    "airtime_ms": 0,
}
_POLLING = Path(__file__).with_name("_firmware_polling.py")
_POLLING_BOOT = b"""\
from machine import WDT
watchdog = WDT(timeout=60_000)
import json, sys
sys.path.insert(0, "/a")
import polling
with open("/config.json") as file:
    settings = json.load(file)
polling.poll(__import__("boards." + settings["board"], None, None, ("*",)), settings)
"""


def image(design: str, path: Path, settings: dict[str, Any], files: dict[str, bytes] | None = None) -> DeviceSpec:
    """Write the flash image of a design to `path`; return the device that is to boot it.

    `settings` go over those of /config.json, `files` over those of the firmware.
    """
    board = load_board(board_path(BOARD))
    content = {"device": EUI, "role": "presence", "board": board.module, "link": "lorawan", "heartbeat_s": 3600}
    contents = files_of(design) | (files or {})
    nvs: dict[str, dict[str, Any]] = {"pave": {"epoch": FIRST_EPOCH}, "lora": _LORA_NVS}
    build_flash_image(board, contents, content | settings, nvs, path, MICROPYTHON)
    return DeviceSpec(SENSOR, mac_of(EUI), board_path(BOARD), path, PLACE)


def files_of(design: str) -> dict[str, bytes]:
    """The firmware of a design, by path on the device."""
    return dict(_polling_files() if design == POLLING else _presence_files())


def with_heap(spec: DeviceSpec, heap_bytes: int) -> DeviceSpec:
    """The same device with another heap of its VM."""
    return replace(spec, heap_bytes=heap_bytes)


@cache
def _presence_files() -> dict[str, bytes]:
    return firmware.build("presence")


@cache
def _polling_files() -> dict[str, bytes]:
    """All that the link needs, compiled as a role's modules are, and the polling design itself."""
    files = {"/boot.py": _POLLING_BOOT, "/main.py": b""}
    folders = ("app", "boards", "drivers", "lib", "net", "roles")
    with tempfile.TemporaryDirectory(prefix="pave-bench-") as scratch:
        for source in sorted(path for folder in folders for path in (firmware.FIRMWARE_DIR / folder).rglob("*.py")):
            name = source.relative_to(firmware.FIRMWARE_DIR).as_posix()
            entry = manifest.Entry(source, manifest.module_path(name))
            files[entry.device_path] = firmware.compile_module(entry, Path(scratch))
        polling = manifest.Entry(_POLLING, "/a/polling.mpy")
        files[polling.device_path] = firmware.compile_module(polling, Path(scratch))
    return files
