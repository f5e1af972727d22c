"""The presence role on LoRaWAN, from the magnetometer's interrupt to the journal, and what its wake-ups cost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pave_gateway.core.change import Change, submit
from pave_gateway.store.shadow_tables import commands_of
from pave_wire import shadow

from .lora_site import EUI, NVS
from .sensor_site import SensorSite, live

HOUR_S = 3600
ASLEEP_S = 60


async def asleep(site: SensorSite) -> None:
    await site.until(lambda: site.device.state == "sleeping", ASLEEP_S)


def test_a_bay_is_told_at_power_on_and_at_each_change_with_how_long_the_state_before_lasted(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 3, 900)
        await asleep(site)

    site = live(tmp_path, script, ((200.0, 400.0),))
    assert site.states() == [(False, "boot"), (True, "field"), (False, "field")]
    assert site.readings()[2]["lasted"] == pytest.approx(200, abs=12)
    assert len(site.ledger.dev_nonces) == 1 and not site.police.violations


def test_what_happened_in_an_outage_is_known_after_it_in_order_and_the_state_is_right(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 1, 300)
        await site.stop_gateway()
        await asyncio.sleep(900)
        await site.start_gateway()
        await site.until(lambda: len(site.states()) == 4, 2 * HOUR_S)

    site = live(tmp_path, script, ((350.0, 500.0), (700.0, 90_000.0)))
    assert [state for state, _ in site.states()] == [False, True, False, True]
    assert site.readings()[2]["lasted"] == pytest.approx(150, abs=15)


def test_a_parked_vehicle_is_not_taken_for_an_empty_bay_after_a_power_cut(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 2, 600)
        await asleep(site)
        site.device.power_cut()
        site.device.power_on()
        await site.until(lambda: len(site.states()) == 3, 900)

    site = live(tmp_path, script, ((200.0, 90_000.0),))
    assert site.states() == [(False, "boot"), (True, "field"), (True, "boot")]
    assert len(site.ledger.sessions()) == 1, "the session goes on"


@pytest.mark.long
def test_after_a_brown_out_the_length_of_the_state_is_still_known(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 2, 600)
        await asleep(site)
        site.device.brown_out()
        await site.until(lambda: (False, "field") in site.states(), HOUR_S)

    site = live(tmp_path, script, ((200.0, 900.0),))
    left = site.readings()[site.states().index((False, "field"))]
    assert left["lasted"] > 300
    assert not site.police.violations


def test_a_sensor_without_its_counters_says_nothing_and_sleeps_with_its_radio_asleep(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await asleep(site)
        before = site.device.collect_stats().boots
        await asyncio.sleep(1800)
        assert site.device.collect_stats().boots == before, "not a restart from zero, but a long sleep"
        assert site.device.chip("radio").state == "sleep-cold"

    site = live(tmp_path, script, nvs={key: value for key, value in NVS.items() if key != "dev_nonce"})
    assert not site.uplinks
    assert "dev_nonce is missing beside the AppKey" in site.said("no LoRaWAN:")[0]


@pytest.mark.long
def test_duty_cycle_is_obeyed_over_reboots_and_every_change_arrives(tmp_path: Path) -> None:
    visits = tuple((400.0 + 300 * at, 520.0 + 300 * at) for at in range(10))

    async def script(site: SensorSite) -> None:
        for _ in range(6):
            await asyncio.sleep(500)
            site.device.power_cut()
            site.device.power_on()
        assert site.states()[-1][0] is True, "after a cut what was on air counts as just spent: it has to wait"
        await site.until(lambda: len(site.states()) > 15 and site.states()[-1][0] is False, 3 * HOUR_S)

    site = live(tmp_path, script, visits)
    assert not site.police.violations


def test_the_ledger_tells_what_a_heartbeat_and_a_change_cost(tmp_path: Path) -> None:
    """Figures at what the emulator charges for code and flash; bounds with room, to notice a wake-up that grew."""
    charges: dict[str, float] = {}

    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 1, 300)
        await asleep(site)
        before = site.charge_mc()
        await site.until(lambda: len(site.states()) == 2, 600)
        await asleep(site)
        after = site.charge_mc()
        charges["change"] = after["pin"] - before.get("pin", 0)
        before = after
        await site.until(lambda: len(site.states()) == 3, 900)
        await asleep(site)
        charges["heartbeat"] = site.charge_mc()["timer"] - before.get("timer", 0)

    site = live(tmp_path, script, ((200.0, 90_000.0),), heartbeat_s=300)
    assert site.states()[2] == (True, "heartbeat")
    print("mC:", charges)
    assert 0 < charges["change"] < 700 and 0 < charges["heartbeat"] < 700


def test_who_passes_costs_no_frame_and_little_more_than_the_boot(tmp_path: Path) -> None:
    cost: dict[str, float] = {}

    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 1, 300)
        sent = len(site.uplinks)
        await site.until(lambda: site.wakes("false wake") == 5, HOUR_S)
        await asleep(site)
        cost["mC"] = site.charge_mc()["false wake"] / site.wakes("false wake")
        assert len(site.uplinks) == sent and len(site.states()) == 1

    live(tmp_path, script, None)
    print("mC a false wake-up:", cost["mC"])
    # 25 are spent before boot.py's first line; a wake-up that loaded the outbox and a link would be beyond 150.
    assert 25 < cost["mC"] < 60


def test_commands_and_settings_of_the_gateway_arrive_with_a_frame_and_hold(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 1, 300)
        assert site.gateway is not None
        core = site.gateway.core

        def commit(change: Change) -> None:
            submit(core.committer, change, lambda outcome: None)

        done, first = core.commands.create(EUI, shadow.PRESENCE, "identify", 3, core.now())
        commit(first)
        commit(core.shadows.edit(EUI, shadow.PRESENCE, {"heartbeat_s": 600}))
        await site.until(lambda: not core.commands.waiting(EUI), HOUR_S)
        wrong, second = core.commands.create(EUI, shadow.PRESENCE, "erase", 1, core.now())
        commit(second)
        await site.until(lambda: not core.commands.waiting(EUI), HOUR_S)
        said = {row.id: (row.state, row.detail) for row in core.reader.read(commands_of, EUI)}
        confirm = f"refused by the device: confirm with {int(EUI[-4:], 16)}"
        assert said == {done: ("done", ""), wrong: ("failed", confirm)}
        await site.until(lambda: core.shadows.view(EUI).reported.get("heartbeat_s") == 600, HOUR_S)

    site = live(tmp_path, script, heartbeat_s=300)
    assert not site.said("Traceback") and not site.said("no room"), site.lines
