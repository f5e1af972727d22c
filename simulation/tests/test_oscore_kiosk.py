"""The whole kiosk under OSCORE: one observation and its reports, through a bad path, a new gateway and power cuts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .oscore_site import EUI, FIRST, SECOND, Gateway, Site, play
from .shelter import Shown, shown_by


def kiosk(tmp_path: Path, script: Callable[[Site], Any], **made: Any) -> Site:
    site = play(tmp_path, "kiosk", script, **made)
    assert site.ledger.unsealed == [] and site.ledger.reused() == 0 and site.device.stats.crashes == 0
    return site


def observed(site: Site) -> Gateway:
    assert site.gateway is not None
    return site.gateway


async def shows(site: Site, wanted: Shown, within_s: float) -> None:
    await site.until(lambda: shown_by(site.device) == wanted, within_s)


def test_what_the_gateway_says_is_on_the_screen_within_2_s_and_reported(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        gateway = observed(site)
        await shows(site, (0, ""), 15)
        for wait_s, free in ((3.3, 1), (0.4, 2), (0.0, 3), (21.0, 1)):
            await asyncio.sleep(wait_s)
            gateway.tell(free)
            await shows(site, (free, ""), 2)
        await site.until(lambda: gateway.taken and gateway.taken[-1].values["screen-free"] == 1, 30)
        assert {reading.device for reading in gateway.taken} == {EUI}
        assert gateway.doors and gateway.doors.challenges == 1 and site.nvs("reserved") == 256

    kiosk(tmp_path, script)


def test_on_a_path_that_loses_repeats_and_reorders_no_older_state_comes_after_a_newer_one(tmp_path: Path) -> None:
    seen: list[Shown] = []

    async def script(site: Site) -> None:
        gateway = observed(site)
        await shows(site, (0, ""), 15)
        site.air.paths.impair("device", loss=0.2, duplicate=0.3, reorder=0.3, delay_s=0.05, jitter_s=0.4)
        for count in range(12):
            gateway.tell(count % 4)
            await asyncio.sleep(0.3)
        for free in (1, 2, 3):
            gateway.tell(free)
            for _ in range(120):
                await asyncio.sleep(0.25)
                seen.append(shown_by(site.device))
        site.air.paths.impair("device", loss=0.0, duplicate=0.0, reorder=0.0, delay_s=0.0, jitter_s=0.0)
        gateway.tell(2)
        await shows(site, (2, ""), 75)

    kiosk(tmp_path, script)
    fresh = [one for one in seen[20:] if isinstance(one, tuple) and not one[1]]
    assert fresh == sorted(fresh) and len(set(fresh)) == 3, "1, then 2, then 3, and never back"


def test_a_kiosk_follows_a_new_gateway_and_knows_it_after_a_power_cut(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        observed(site).tell(1)
        await shows(site, (1, ""), 15)
        gateway = await site.open_gateway(SECOND)
        gateway.free = 2
        await shows(site, (2, ""), 120)
        gateway.tell(3)
        await shows(site, (3, ""), 2)
        assert site.nvs("gateway")[10:] == SECOND
        site.power_cycle()
        await shows(site, (3, ""), 20)
        assert gateway.doors and gateway.doors.challenges == 1

    kiosk(tmp_path, script)


def test_a_kiosk_without_a_counter_says_nothing_and_goes_on_waiting(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await shows(site, (0, ""), 15)
        site.device.power_cut()
        site.set_nvs("reserved", None)
        sent = len(site.ledger.up_bytes)
        site.device.power_on()
        await asyncio.sleep(100)
        assert len(site.ledger.up_bytes) == sent and shown_by(site.device) == "waiting"
        assert any("reserved is missing" in line for line in site.lines)
        assert site.device.stats.watchdog_resets == 0 and site.nvs("gateway")[10:] == FIRST

    kiosk(tmp_path, script)
