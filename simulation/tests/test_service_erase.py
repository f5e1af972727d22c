"""Erasing wherever the power goes, and what NVS leaves in flash by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pave_emulator.flash.faults import PowerLost
from pave_emulator.flash.image import Flash
from pave_emulator.flash.nvs import Nvs
from pave_tools.board import board_path, load_board
from pave_tools.image import build_flash_image

from .service_site import DEVICE, IMAGE, ServiceSite, play

CONFIRM = int(DEVICE[-4:], 16)
SECRET = bytes(range(100, 116))


def test_nvs_leaves_the_bytes_of_a_key_that_it_has_erased(tmp_path: Path) -> None:
    """So an erasing has to go beneath it; and the search for the key in the flash can fail."""
    flash, store, space = nvs(tmp_path)
    store.set_blob(space, "secret", SECRET)
    store.erase_key(space, "secret")
    flash.close()
    assert SECRET in (tmp_path / IMAGE).read_bytes()


def nvs(folder: Path) -> tuple[Flash, Nvs, int]:
    path = folder / IMAGE
    board = load_board(board_path("pave-kiosk-v1"))
    build_flash_image(board, {}, {}, {}, path)
    flash = Flash(path, board.flash_bytes, print)
    part = flash.partition("nvs")
    store = Nvs(flash, part.offset, part.size)
    return flash, store, store.namespace("pave")


def test_settings_are_the_old_or_the_new_ones_wherever_the_power_goes_while_they_are_kept(tmp_path: Path) -> None:
    flash, store, space = nvs(tmp_path)
    part = flash.partition("nvs")
    kept = b"the first"
    store.set_blob(space, "settings", kept)
    seen, cuts = set(), 0
    for number in range(1, 400):
        wanted = b"%d" % number * 200  # large enough to turn pages, and to move others
        flash.cut_power_at(1 + number % 17, seed=number)
        try:
            store.set_blob(space, "settings", wanted)
        except PowerLost:
            cuts += 1
        flash.power_on()
        store = Nvs(flash, part.offset, part.size)
        found = store.get_blob(space, "settings", 1100)
        assert found in (kept, wanted), f"write {number}"
        seen.add(found == wanted)
        kept = found
    assert seen == {True, False} and cuts > 100
    flash.close()


def erased(folder: Path, at: int) -> int:
    """Erase a device whose power goes at flash operation `at` of the erasing; return how often it went, 0 or 1."""
    cut: list[str] = []

    async def script(site: ServiceSite) -> None:
        await site.serves()
        flash = site.device.flash
        armed = False

        def watch(kind: str, address: int, _size: int) -> None:
            nonlocal armed
            if not armed and kind == "erase" and address == flash.partition("data").offset:
                armed = True
                flash.cut_power_at(at)

        assert site.secret in site.flash()
        flash.on_operation = watch
        assert await site.command("erase", CONFIRM) == ("done", "")
        await asyncio.sleep(30)
        assert armed
        flash.on_operation = None
        if site.device.state == "off":
            cut.append("off")
            site.device.power_on()
        await site.until(lambda: site.said("roles.oscore_keys.KeysError") or site.said("KeysError"), 120)
        assert site.secret not in site.flash()

    play(folder, script)
    return len(cut)


@pytest.mark.parametrize("at", [2, 4])
def test_a_power_cut_in_the_midst_of_an_erasing_ends_with_everything_erased(tmp_path: Path, at: int) -> None:
    assert erased(tmp_path, at) == 1


@pytest.mark.long
@pytest.mark.parametrize("at", range(1, 12))
def test_a_power_cut_at_any_operation_of_an_erasing_ends_with_everything_erased(tmp_path: Path, at: int) -> None:
    erased(tmp_path, at)
