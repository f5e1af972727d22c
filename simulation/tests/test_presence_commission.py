"""Commissioning on the emulated board: the button or a magnet begins it, a broken part is named, the gateway told."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from pave_emulator.chips.chip import Nack

from .sensor_site import SensorSite, live

BUTTON = 18


async def commissioned(site: SensorSite, verdicts: int = 1) -> None:
    """Wait for the first reading, hold the button until the role sees it, and wait for what commissioning tells."""
    await site.until(lambda: len(site.states()) == 1, 300)
    site.device.mcu.pins.drive(BUTTON, 0)
    await site.until(lambda: bool(site.said("commissioning:")), 900)
    site.device.mcu.pins.drive(BUTTON, 1)
    await site.until(lambda: len(told(site)) >= verdicts, 300)


def told(site: SensorSite) -> list[object]:
    return [values["commission"] for values in site.readings() if "commission" in values]


def silent(*_: object) -> bytes:
    raise Nack("broken")


def played(
    tmp_path: Path,
    breaks: Callable[[SensorSite], None],
    verdicts: int = 1,
    visits: tuple[tuple[float, float], ...] = (),
) -> SensorSite:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 1, 300)
        breaks(site)
        await commissioned(site, verdicts)

    return live(tmp_path, script, visits, heartbeat_s=120)


def test_the_button_begins_it_and_the_gateway_has_verdict_battery_and_margin(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await commissioned(site)
        await asyncio.sleep(60)
        site.device.mcu.pins.drive(BUTTON, 0)
        await asyncio.sleep(2)
        site.device.mcu.pins.drive(BUTTON, 1)
        await site.until(lambda: len(told(site)) == 2, 300)

    site = live(tmp_path, script, heartbeat_s=120)
    verdict, walk = (values for values in site.readings() if "commission" in values)
    assert verdict["commission"] == "passed" and verdict["battery"] == pytest.approx(3.6, abs=0.2)
    assert walk["commission"] == "good link" and walk["margin"] >= 5 and walk["rssi"] < -50
    assert not site.police.violations


def test_a_magnet_begins_it_and_one_that_is_taken_away_does_no_harm(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 1, 300)
        await site.until(lambda: site.device.state == "sleeping", 60)
        chip = site.device.chip("magnetometer")
        street = chip._environment  # type: ignore[attr-defined]
        chip._environment = dataclasses.replace(street, field_ut=lambda _: (2000.0, 0.0, 0.0))  # type: ignore[attr-defined]
        await site.until(lambda: bool(site.said("commissioning:")), 300)
        chip._environment = street  # type: ignore[attr-defined]
        await site.until(lambda: len(told(site)) == 1, 300)

    assert told(live(tmp_path, script, heartbeat_s=120)) == ["passed"]


def test_a_radar_that_does_not_answer_is_named(tmp_path: Path) -> None:
    def breaks(site: SensorSite) -> None:
        radar = site.device.chip("radar")
        radar.write = radar.read = silent  # type: ignore[attr-defined]

    site = played(tmp_path, breaks, 2)
    assert told(site)[:2] == ["radar no answer", "baseline not looked"]


def test_an_interrupt_line_that_does_not_move_is_named(tmp_path: Path) -> None:
    def breaks(site: SensorSite) -> None:
        site.device.chip("magnetometer").pin_level = lambda name: 0

    assert told(played(tmp_path, breaks))[0] == "interrupt stays low"


def test_another_part_in_the_magnetometers_place_is_named(tmp_path: Path) -> None:
    def breaks(site: SensorSite) -> None:
        chip = site.device.chip("magnetometer")
        read = chip._read_register  # type: ignore[attr-defined]
        chip._read_register = lambda register, now_s: 0x33 if register == 0x4F else read(register, now_s)  # type: ignore[attr-defined]

    assert told(played(tmp_path, breaks, 2))[0] == "magnetometer wrong part"


def test_no_baseline_is_learned_under_a_vehicle(tmp_path: Path) -> None:
    site = played(tmp_path, lambda site: None, visits=((1.0, 90_000.0),))
    assert told(site)[0] == "baseline vehicle there"
    assert False not in [state for state, _ in site.states()]


def test_the_radar_alone_tells_of_the_bay_while_the_magnetometer_is_silent(tmp_path: Path) -> None:
    async def script(site: SensorSite) -> None:
        await site.until(lambda: len(site.states()) == 1, 300)
        magnetometer = site.device.chip("magnetometer")
        magnetometer.write = magnetometer.read = silent  # type: ignore[attr-defined]
        await site.until(lambda: (True, "radar") in site.states() or (True, "field") in site.states(), 3600)
        await site.until(lambda: site.states()[-1][0] is False, 3600)

    site = live(tmp_path, script, ((900.0, 2400.0),), heartbeat_s=600)
    assert "magnetometer" in [values.get("fault") for values in site.readings()]
