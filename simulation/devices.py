"""The devices of a site file, each with a flash image of its own, as a technician would have flashed it."""

from __future__ import annotations

import time
from pathlib import Path

from pave_emulator.flash import app_image
from pave_emulator.fleet import DeviceSpec
from pave_gateway.config import Config
from pave_gateway.core.places import KIOSK, Place
from pave_tools import firmware
from pave_tools.board import board_path, load_board
from pave_tools.image import DeviceSettings, build_flash_image, first_epoch, mac_of
from pave_tools.nvs_image import NvsValues

WIFI_SSID = "pave-bercy"
WIFI_KEY = "emulated-air-only"
MICROPYTHON = app_image.stand_in("emulated")  # the VM is MicroPython; the bootloader wants an app all the same
BOARDS = {"presence": "pave-presence-v1", "kiosk": "pave-kiosk-v1"}


def build(config: Config, gateway: tuple[str, int], flash_dir: Path, heartbeat_s: int) -> list[DeviceSpec]:
    """Compile the firmware, write one image per device to `flash_dir`, and return what the emulator is to run.

    `gateway` is the (host, port) the devices report to, `heartbeat_s` how often a quiet sensor does.
    """
    boards = {role: load_board(board_path(name)) for role, name in BOARDS.items()}
    files = {role: firmware.build(role) for role in BOARDS}
    nvs: NvsValues = {"pave": {"epoch": first_epoch(time.time())}}
    specs: list[DeviceSpec] = []
    for place in config.places():
        role = "kiosk" if place.kind == KIOSK else "presence"
        settings = DeviceSettings(place.device, role, gateway[0], gateway[1], WIFI_SSID, WIFI_KEY)
        image = flash_dir / f"{place.id}.bin"
        content = {**settings.config(boards[role]), "heartbeat_s": heartbeat_s}
        build_flash_image(boards[role], files[role], content, nvs, image, MICROPYTHON)
        specs.append(_spec(place, BOARDS[role], image))
    return specs


def _spec(place: Place, board: str, image: Path) -> DeviceSpec:
    return DeviceSpec(
        name=place.id,
        mac=mac_of(place.device),
        board_file=board_path(board),
        flash_image=image,
        place=place.id,
    )
