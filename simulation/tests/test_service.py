"""A whole device and its gateway: settings, commands, crashes, the log, and what is left in its flash."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .service_site import DEVICE, ROLE, ServiceSite, play

CONFIRM = int(DEVICE[-4:], 16)


def test_commands_of_the_gateway_are_carried_out_and_their_results_known(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        assert await site.command("identify", 30) == ("done", "")
        assert site.said("identify 30") == 1
        state, detail = await site.command("power_cycle_pc")
        assert (state, detail) == ("failed", "refused by the device: not on this device")
        state, detail = await site.command("erase", 1)
        assert (state, detail) == ("failed", f"refused by the device: confirm with {CONFIRM}")
        assert await site.command("log", 5) == ("done", "")
        await site.until(lambda: site.reported("log-1"), 10)
        assert site.reported("log-1")[0].endswith("i identify for 30 s")

    play(tmp_path, script)


def test_settings_are_taken_kept_through_a_power_cut_and_the_bad_ones_reported(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        await site.edit(heartbeat_s=900, languages="en")
        shadows = site.gateway.core.shadows
        await site.until(lambda: shadows.view(DEVICE).reported.get("heartbeat_s") == 900, 20)
        site.device.power_cut()
        site.device.power_on()
        await site.until(lambda: site.said("serving; heartbeat 900"), 30)

    site = play(tmp_path, script, colour="blue", heartbeat_s=7)
    assert site.said("colour in /config.json: no setting of this name; the default holds") == 2
    assert site.said("heartbeat_s in /config.json: heartbeat_s is 7; an integer from 60 to 86400") == 2
    assert site.reported("fault")[0].startswith(("colour in", "heartbeat_s in"))


def test_a_crash_ends_in_sleep_and_its_traceback_at_the_gateway_once(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        assert site.reported("reset") == ["power-on"] and site.reported("resets-power-on") == [1]
        await site.edit(message_en="crash")
        await site.until(lambda: site.said("ValueError: asked to crash"), 20)
        await site.edit(message_en="")
        await site.until(lambda: site.device.state == "sleeping", 5)
        await site.serves()
        assert site.reported("reset") == ["power-on", "crash"] and site.reported("resets-crash") == [1]
        assert site.reported("crash") == ["ValueError: asked to crash"]
        assert site.reported("crash-at")[0].startswith("kiosk_controller:")
        assert await site.command("reboot") == ("done", "")
        await site.serves()
        assert site.reported("reset") == ["power-on", "crash", "hard"]
        assert len(site.reported("crash")) == 1, "acknowledged, so not said again"

    play(tmp_path, script)


def test_a_crash_that_nobody_acknowledged_is_said_again_and_the_first_of_a_row_is_kept(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        await site.edit(message_en="crash")
        await site.until(lambda: site.said("ValueError: asked to crash"), 20)
        await site.gateway.stop()
        await site.until(lambda: crashes(site) >= 3, 400)
        site.device.power_cut()
        await site.gateway.start("127.0.0.1", 5683)
        await site.edit(message_en="")
        site.device.power_on()
        await site.serves()
        assert site.reported("crash") == ["ValueError: asked to crash"]
        assert site.reported("resets-crash")[-1] >= 3

    play(tmp_path, script)


def crashes(site: ServiceSite) -> int:
    return site.said("Traceback")


def test_a_hang_is_bitten_and_after_the_second_bite_in_a_row_the_device_sleeps(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        await site.edit(message_en="hang")
        await site.until(lambda: site.device.stats.watchdog_resets == 1, 120)
        await asyncio.sleep(0.5)
        assert site.device.state == "running"
        await site.until(lambda: site.device.stats.watchdog_resets == 2, 120)
        await site.until(lambda: site.device.state == "sleeping", 5)
        await site.edit(message_en="")
        await site.serves(60)
        assert site.reported("resets-watchdog")[-1] == 2

    play(tmp_path, script)


def test_a_brown_out_is_told_from_a_power_on(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        site.device.brown_out()
        await site.serves()
        site.device.power_cut()
        site.device.power_on()
        await site.serves()
        assert site.reported("reset") == ["power-on", "brown-out", "power-on"]
        assert site.reported("resets-brown-out") == [1, 1] and site.reported("resets-power-on")[-1] == 2

    play(tmp_path, script)


def test_after_an_erasing_no_key_is_in_the_flash_and_the_device_says_nothing(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        await site.edit(message_en="settings go too")
        await asyncio.sleep(10)
        assert site.secret in site.flash() and b"settings go too" in site.flash()
        assert await site.command("erase", CONFIRM) == ("done", "")
        await site.until(lambda: site.said("no keys") or site.said("KeysError"), 60)
        assert site.secret not in site.flash() and b"settings go too" not in site.flash()
        readings = len(site.readings())
        await asyncio.sleep(300)
        assert len(site.readings()) == readings

    site = play(tmp_path, script)
    assert any("provision this device" in line for line in site.lines)


def test_a_factory_reset_forgets_settings_and_keeps_keys_and_counters(tmp_path: Path) -> None:
    async def script(site: ServiceSite) -> None:
        await site.serves()
        await site.edit(heartbeat_s=900)
        await asyncio.sleep(10)
        await site.edit(heartbeat_s=None)
        epochs = {reading.epoch for reading in site.readings()}
        assert await site.command("factory_reset", CONFIRM) == ("done", "")
        await site.serves()
        assert site.said("serving; heartbeat 600") == 2 and site.secret in site.flash()
        assert {reading.epoch for reading in site.readings()} > epochs
        assert await site.command("identify", 1) == ("done", "")

    play(tmp_path, script)


def test_a_passphrase_in_a_log_would_be_seen(tmp_path: Path) -> None:
    loud = 'print("identify", seconds)\n        self._log.add(1, self._config["wifi"]["key"], now_ms())'
    role = ROLE.read_text().replace('print("identify", seconds)', loud)

    async def script(site: ServiceSite) -> None:
        await site.serves()
        await site.command("identify", 1)
        await site.command("log", 9)
        await site.until(lambda: site.reported("log-1"), 10)

    with pytest.raises(AssertionError, match="secrets in what the device says"):
        play(tmp_path, script, role)


@pytest.mark.parametrize("module", ["roles/rtc_state", "roles/supervise", "roles/service"])
def test_a_slot_that_has_lost_a_module_ends_in_sleep_and_never_at_a_prompt(tmp_path: Path, module: str) -> None:
    async def script(site: ServiceSite) -> None:
        await site.until(lambda: site.device.state == "sleeping", 20)
        assert site.said("ImportError") and not site.said(">>>")

    play(tmp_path, script, without=module)
