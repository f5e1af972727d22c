"""The devices of a site file, each with a flash image of its own, as a technician would have flashed it."""

from __future__ import annotations

import threading
import time
from collections.abc import Set
from pathlib import Path
from typing import Any

from pave_emulator.flash import app_image
from pave_emulator.fleet import DeviceSpec
from pave_gateway.config import Config
from pave_gateway.core.places import KIOSK, Place
from pave_tools import firmware
from pave_tools.board import Board, board_path, load_board
from pave_tools.device_keys import LORA_NAMESPACE, OSCORE_NAMESPACE, Provisioner
from pave_tools.image import DeviceSettings, build_flash_image, first_epoch, mac_of
from pave_tools.nvs_image import NvsValues
from pave_tools.provisioning import Flashed

WIFI_SSID = "pave-bercy"
WIFI_KEY = "emulated-air-only"
JOIN_EUI = bytes.fromhex("0200000000000001")  # locally administered
MICROPYTHON = app_image.stand_in("emulated")  # the VM is MicroPython; the bootloader wants an app all the same
VERSION = "emulated"
_COMPILING = threading.Lock()  # several threads in ast.parse may end in a SystemError (CPython 3.11.7)
BOARDS = {"presence": "pave-presence-v1", "kiosk": "pave-kiosk-v1"}


def build(
    config: Config,
    gateway: tuple[str, int],
    flash_dir: Path,
    heartbeat_s: int,
    provisioner: Provisioner | None = None,
    flashed_s: float | None = None,
    over_lora: Set[str] = frozenset(),
) -> list[DeviceSpec]:
    """Compile the firmware, write one image per device to `flash_dir`, and return what the emulator is to run.

    Args:
        config: The site.
        gateway: (host, port) the devices report to.
        flash_dir: Where images go.
        heartbeat_s: How often a quiet sensor reports.
        provisioner: Makes each device's keys and its record, in the order of the site file. None: plain CoAP.
        flashed_s: Unix time of the flashing; None is now.
        over_lora: Places whose sensor speaks LoRaWAN, with a provisioner; the others speak Wi-Fi.
    """
    boards = {role: load_board(board_path(name)) for role, name in BOARDS.items()}
    with _COMPILING:
        files = {role: firmware.build(role) for role in BOARDS}
    epoch = first_epoch(time.time() if flashed_s is None else flashed_s)
    specs: list[DeviceSpec] = []
    for place in equipped(config):
        role = "kiosk" if place.kind == KIOSK else "presence"
        flashed = Flashed(place.device, role, boards[role].name, VERSION, epoch)
        image = flash_dir / f"{place.id}.bin"
        if place.id in over_lora:
            assert provisioner is not None, "LoRaWAN has no form without keys"
            content = _over_lora(flashed, boards[role])
            nvs: NvsValues = {
                "pave": {"epoch": epoch},
                LORA_NAMESPACE: provisioner.provision_lora(flashed, JOIN_EUI),
            }
        else:
            settings = DeviceSettings(
                place.device, role, gateway[0], gateway[1], WIFI_SSID, WIFI_KEY, insecure=provisioner is None
            )
            content = settings.config(boards[role])
            nvs = _nvs(flashed, provisioner)
        content = {**content, "heartbeat_s": heartbeat_s}
        build_flash_image(boards[role], files[role], content, nvs, image, MICROPYTHON)
        specs.append(_spec(place, BOARDS[role], image))
    return specs


def equipped(config: Config) -> list[Place]:
    """Return the places of a site that have a device, in the order of its file."""
    return [place for place in config.places() if place.device]


def _over_lora(flashed: Flashed, board: Board) -> dict[str, Any]:
    return {"device": flashed.device, "role": flashed.kind, "board": board.module, "link": "lorawan"}


def _nvs(flashed: Flashed, provisioner: Provisioner | None) -> NvsValues:
    values: NvsValues = {"pave": {"epoch": flashed.epoch}}
    if provisioner is None:
        return values
    return {**values, OSCORE_NAMESPACE: provisioner.provision(flashed)}


def _spec(place: Place, board: str, image: Path) -> DeviceSpec:
    return DeviceSpec(
        name=place.id,
        mac=mac_of(place.device),
        board_file=board_path(board),
        flash_image=image,
        place=place.id,
    )
