"""The campaign of power cuts in its short form, what it must be seen to find, and keys whose memory was erased."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from simulation.power_cut_day import DAY, change, crash, power_on, settings
from simulation.power_cut_site import DENSE, CutSite, Edit
from simulation.power_cuts import Found, at_random, every_first_start, every_of, lived

from .lora_site import NVS
from .sensor_site import SensorSite, live

HOUR_S = 3600
RAM_ONLY: Edit = (
    "roles/lorawan_keys.py",
    '        self._nvs.set_blob("counters", struct.pack(_COUNTERS, join_nonce, reserved, fcnt_down + 1))\n'
    "        self._nvs.commit()\n",
    "        self._kept = join_nonce, reserved, fcnt_down\n",
)
AFTER_SENDING: tuple[Edit, ...] = (
    ("app/lora_session.py", "        self._reserve()\n        uplink", "        uplink"),
    (
        "app/lora_session.py",
        "        taken, self._taken = self._taken, None\n        if self.phase",
        "        taken, self._taken = self._taken, None\n"
        "        if self._mac is not None:\n"
        "            self._reserve()\n"
        "        if self.phase",
    ),
)
NONCE_IN_RAM: Edit = (
    "roles/lorawan_keys.py",
    '        self._nvs.set_i32("dev_nonce", dev_nonce + 1)\n',
    "",
)
NEW_NAMES: Edit = (  # each start gives what waits in the outbox new identities
    "roles/presence_sensor.py",
    "            self.outbox = Outbox(device, *presence_pack.unpack(kept[1]))\n",
    "            self.outbox = Outbox(device, *presence_pack.unpack(kept[1]))\n"
    "            if self.is_restarted:\n"
    "                self.outbox.renumber(self.persistent.next_epoch())\n",
)


def silent(line: str) -> None:
    """Say nothing."""


def test_a_sensor_comes_back_from_cuts_in_its_first_start_and_in_its_power_on_and_repeats_nothing() -> None:
    found = Found()
    every_first_start(found, silent, numbers=range(50, 51))
    every_of(power_on, found, silent, numbers=range(39, 40))
    assert not found.broken
    assert found.kinds["flash"] == 2 and found.boots > found.cuts
    assert found.frames > 5 and found.readings > 2


@pytest.mark.long
def test_a_cut_at_every_flash_operation_of_a_day_and_random_ones_break_nothing() -> None:
    found = Found()
    every_first_start(found, print)
    for part in DAY:
        every_of(part, found, print)
    at_random(found, 1000, 7, print)
    assert not found.broken, found.broken
    assert found.points["first start"] > 40 and sum(found.points.values()) > 150, found.points
    assert found.kinds["brown-out"] > 20 and found.kinds["power"] > 50, found.kinds


def test_a_crash_is_heard_over_lorawan() -> None:
    async def script(site: CutSite) -> None:
        await site.settled()
        await crash(site)
        told = [row.values for row in site.books.rows if "crash" in row.values]
        assert [one["crash"] for one in told] == ["ValueError: asked to crash"]
        assert str(told[0]["crash-at"]).startswith("presence_service:")

    found = Found()
    assert lived(found, "crash", script), found.broken


def test_a_sensor_with_a_setting_of_the_gateway_comes_back_and_keeps_it() -> None:
    async def script(site: CutSite) -> None:
        await site.settled()
        await settings(site)
        await power_on(site)

    found = Found()
    assert lived(found, "settings", script), found.broken


# Negative controls


def test_frame_counters_kept_in_memory_alone_are_seen_to_be_used_twice() -> None:
    async def script(site: CutSite) -> None:
        await site.settled()
        await power_on(site)
        await power_on(site)

    found = Found()
    assert not lived(found, "twice", script, (*DENSE, RAM_ONLY))
    assert "FCnt" in found.broken[0], found.broken


@pytest.mark.long
def test_frame_counters_stored_after_they_are_sent_are_seen_to_be_used_twice() -> None:
    found = Found()
    every_of(power_on, found, silent, (*DENSE, *AFTER_SENDING))
    assert any("FCnt" in broken for broken in found.broken), found.broken


@pytest.mark.long
def test_a_dev_nonce_kept_in_memory_alone_is_seen_to_be_used_twice() -> None:
    async def script(site: CutSite) -> None:
        def cut(record: object) -> None:
            site.on_uplink = lambda record: None
            site.clock.call_after(0.03, site.cut)

        site.on_uplink = cut  # in its Join-Request
        await site.settled()

    found = Found()
    assert lived(found, "as it is", script), found.broken
    assert not lived(found, "in memory", script, (*DENSE, NONCE_IN_RAM))
    assert "DevNonce" in found.broken[0], found.broken


@pytest.mark.long
@pytest.mark.parametrize("edits", [(), (NEW_NAMES,)])
def test_a_reading_that_is_told_under_another_name_after_a_brown_out_is_seen(edits: tuple[Edit, ...]) -> None:
    async def script(site: CutSite) -> None:
        await site.settled()
        site.drops = lambda payload: True
        await change(site)
        site.brown_out()
        site.drops = lambda payload: False
        await asyncio.sleep(HOUR_S)

    found = Found()
    assert lived(found, "told anew", script, (*DENSE, *edits)) == (not edits), found.broken
    assert not edits or "tells anew" in found.broken[0], found.broken


@pytest.mark.long
def test_a_journal_that_forgets_what_was_acknowledged_is_seen() -> None:
    async def script(site: CutSite) -> None:
        await site.settled()
        await site.stop_gateway()
        journal = site.folder / "journal.db"
        before = journal.read_bytes()
        await site.start_gateway()
        await change(site)
        await site.stop_gateway()
        journal.write_bytes(before)
        await site.start_gateway()

    found = Found()
    assert not lived(found, "forgets", script)
    assert "was acknowledged, and is gone" in found.broken[0], found.broken


# Erased keys


def test_keys_erased_under_the_sensor_are_refused_and_nothing_begins_again_at_zero(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 1, 300)
        sent = len(site.uplinks)
        site.device.power_cut()
        nvs = site.device.flash.partition("nvs")
        site.device.flash.erase(nvs.offset, nvs.size)
        site.device.power_on()
        await asyncio.sleep(3 * HOUR_S)
        assert site.device.state == "sleeping" and site.device.chip("radio").state == "sleep-cold"
        assert len(site.uplinks) == sent
        assert "no LoRaWAN keys in NVS; provision this device" in site.said("no LoRaWAN:")[-1]

    live(tmp_path, script)


@pytest.mark.long
@pytest.mark.parametrize("gone", ["dev_nonce", "join_nonce", "airtime_ms", "dev_eui", "join_eui"])
def test_any_value_missing_beside_the_key_is_refused_by_its_name(tmp_path: Path, gone: str) -> None:
    async def script(site: SensorSite) -> None:
        await asyncio.sleep(2 * HOUR_S)

    site = live(tmp_path, script, nvs={key: value for key, value in NVS.items() if key != gone})
    assert not site.uplinks and f"{gone} is missing beside the AppKey" in site.said("no LoRaWAN:")[0]
