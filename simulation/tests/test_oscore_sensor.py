"""The whole presence sensor under OSCORE: its counters outlive sleep and power, and it follows a replaced gateway."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pave_tools.device_keys import oscore_values
from pave_tools.tree import FIRMWARE_DIR
from pave_wire import coap
from pave_wire.coap import Message

from .oscore_site import EUI, FIRST, KEYS, SECOND, THIRD, Gateway, Site, play

OUTBOX_READINGS = 20  # what the firmware keeps at most
MORE_BYTES = 20  # kid, Partial IV and tag of a report
LIMITS_SOURCE = (FIRMWARE_DIR / "lib/pave_wire/limits.py").read_text()
KEYS_SOURCE = (FIRMWARE_DIR / "roles/oscore_keys.py").read_text()


def changed(source: str, old: str, new: str) -> str:
    """Return firmware that does something else."""
    assert source.count(old) == 1, f"{old!r} is there {source.count(old)} times"
    return source.replace(old, new)


def blocks_of(size: int) -> dict[str, str]:
    return {"pave_wire/limits": changed(LIMITS_SOURCE, "OSCORE_RESERVE = 256", f"OSCORE_RESERVE = {size}")}


def wrong_keys(old: str, new: str) -> dict[str, str]:
    """A negative control: firmware that keeps its counters wrongly."""
    return {"roles/oscore_keys": changed(KEYS_SOURCE, old, new)}


def sensor(tmp_path: Path, script: Callable[[Site], Any], **made: Any) -> Site:
    return play(tmp_path, "presence", script, **made)


async def first_report(site: Site) -> Gateway:
    gateway = site.gateway
    assert gateway is not None
    await site.taken_more(gateway)
    return gateway


def numbers(site: Site) -> list[int]:
    """The Partial IVs the device has used, in order of size."""
    return sorted(int.from_bytes(piv, "big") for _, piv in site.ledger.sealed)


def test_readings_arrive_sealed_and_nothing_leaves_unsealed_whatever_the_settings_say(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        gateway = await first_report(site)
        await site.taken_more(gateway, 3)
        said = [(r.values["occupied"], r.values["reason"]) for r in gateway.taken]
        assert said == [(False, "boot"), (True, "field"), (False, "field"), (False, "heartbeat")]
        assert [r.identity for r in gateway.taken] == [f"{EUI}:1001:{seq}" for seq in range(4)]
        assert gateway.doors and gateway.doors.challenges == 1

    site = sensor(tmp_path, script, visits=[(10.0, 20.0)], insecure=True)
    assert site.ledger.unsealed == [] and numbers(site) == [0, 1, 2, 3, 4] and site.ledger.reused() == 0


def test_without_keys_it_speaks_plain_coap_where_its_settings_say_so_and_oscore_takes_few_bytes(tmp_path: Path) -> None:
    async def plain(site: Site) -> None:
        gateway = await site.open_gateway(insecure=True)
        await site.taken_more(gateway)

    one = sensor(tmp_path, plain, nvs={}, insecure=True)
    assert one.ledger.sealed == {} and len(one.ledger.unsealed) == 1
    other = sensor(tmp_path, first_report)
    assert 0 < other.ledger.up_bytes[0] - one.ledger.up_bytes[0] <= MORE_BYTES


def test_after_a_long_outage_a_full_outbox_arrives_though_it_is_more_than_a_datagram(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await first_report(site)
        site.close_gateway()
        await asyncio.sleep(780)
        gateway = await site.open_gateway(sequence=1 << 30)
        await site.taken_more(gateway, OUTBOX_READINGS, within_s=1200)
        assert len({reading.identity for reading in gateway.taken}) == len(gateway.taken)

    visits = [(20.0 + 35 * count, 37.0 + 35 * count) for count in range(20)]
    assert sensor(tmp_path, script, visits=visits, heartbeat_s=3600).ledger.reused() == 0


# A gateway that knows nothing


def test_it_follows_new_gateways_untouched_through_sleep_and_power_cuts(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await first_report(site)
        for gateway_id in (SECOND, THIRD):
            gateway = await site.open_gateway(gateway_id)
            await site.taken_more(gateway)
            assert site.nvs("gateway")[10:] == gateway_id
            await site.taken_more(gateway)
            site.power_cycle()
            await site.taken_more(gateway)
            assert gateway.doors and gateway.doors.challenges == 1, "it knows the gateway in every later life"

    assert sensor(tmp_path, script).ledger.reused() == 0


def test_a_gateway_that_lost_its_window_asks_for_echo_and_nothing_is_written(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await first_report(site)
        await site.asleep()
        programs = site.device.flash.programs
        gateway = await site.open_gateway(sequence=1 << 30)
        await site.taken_more(gateway)
        assert gateway.doors and gateway.doors.challenges == 1
        assert site.nvs("gateway")[10:] == FIRST and site.device.flash.programs == programs

    assert sensor(tmp_path, script).ledger.reused() == 0


async def cut_in_an_update_of_the_id(site: Site, seed: int) -> int:
    """Replace the gateway again and again, the power failing in one more flash operation each time; return how many."""
    await first_report(site)
    for number in itertools.count(1):
        await site.asleep()
        new_id = b"gw%05d" % number
        gateway = await site.open_gateway(new_id)
        site.device.flash.cut_power_at(number, seed=seed)
        await site.until(lambda: site.device.state == "off" or gateway.taken, 300)  # noqa: B023
        if site.device.state != "off":
            return number - 1
        assert gateway.taken == [], "nothing is said to the new gateway before its ID is stored"
        site.device.power_on()
        await site.taken_more(gateway)
        assert site.nvs("gateway")[10:] == new_id
    raise AssertionError


def id_campaign(tmp_path: Path, seed: int) -> int:
    points: list[int] = []

    async def script(site: Site) -> None:
        points.append(await cut_in_an_update_of_the_id(site, seed))

    site = sensor(tmp_path, script)
    assert site.ledger.reused() == 0 and site.ledger.unsealed == []
    return points[0]


def test_a_power_cut_in_any_flash_operation_of_the_new_id_leaves_a_device_that_follows(tmp_path: Path) -> None:
    assert id_campaign(tmp_path, 1) >= 5


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 22))
def test_no_cut_of_many_in_the_new_id_loses_a_device(tmp_path: Path, seed: int) -> None:
    assert id_campaign(tmp_path, seed) >= 5


def test_firmware_that_keeps_the_new_id_in_ram_alone_is_seen_to_be_stranded(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await first_report(site)
        gateway = await site.open_gateway(SECOND)
        await site.taken_more(gateway)
        assert not any("no answer" in line for line in site.lines)
        await site.taken_more(gateway, 2, 600)
        assert any("no answer" in line for line in site.lines), "it heard nothing that it could open"
        assert gateway.taken[-1].identity == gateway.taken[-2].identity

    forgets = "        return\n        self._nvs.set_blob("
    sensor(tmp_path, script, replaced=wrong_keys("        self._nvs.set_blob(", forgets))


# Sequence numbers


async def cut_in_reservations(site: Site, seed: int) -> int:
    """Cut the power in one more flash operation of a boot with two reservations each time; return how many."""
    gateway = await first_report(site)
    for number in itertools.count(1):
        site.device.power_cut()
        enough = len(gateway.taken) + 2
        site.device.flash.cut_power_at(number, seed=seed)
        site.device.power_on()
        await site.until(lambda: site.device.state == "off" or len(gateway.taken) >= enough, 600)  # noqa: B023
        if site.device.state != "off":
            return number - 1
        site.device.power_on()
        await site.taken_more(gateway)
    raise AssertionError


def reservation_campaign(tmp_path: Path, seed: int) -> int:
    points: list[int] = []

    async def script(site: Site) -> None:
        points.append(await cut_in_reservations(site, seed))

    site = sensor(tmp_path, script, replaced=blocks_of(1))
    assert site.ledger.reused() == 0 and site.ledger.unsealed == [] and len(site.ledger.sealed) > 12
    return points[0]


def test_a_power_cut_in_any_flash_operation_of_a_reservation_uses_no_number_twice(tmp_path: Path) -> None:
    assert reservation_campaign(tmp_path, 1) >= 8


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 22))
def test_no_cut_of_many_in_reservations_uses_a_number_twice(tmp_path: Path, seed: int) -> None:
    assert reservation_campaign(tmp_path, seed) >= 8


def test_firmware_that_reserves_after_use_is_caught(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await first_report(site)
        site.power_cycle()
        await asyncio.sleep(15)

    late = wrong_keys('set_i32("reserved", limit)', 'set_i32("reserved", limit - limits.OSCORE_RESERVE)')
    assert sensor(tmp_path, script, replaced=late).ledger.reused() > 0


def test_a_sleeping_sensor_writes_nvs_once_for_a_block_and_leaves_no_number_out(tmp_path: Path) -> None:
    written: list[int] = []

    async def script(site: Site) -> None:
        gateway = await first_report(site)  # numbers 0 and 1 of 0 to 2
        for count in (1, 1, 2, 1):
            await site.asleep()
            before = site.device.flash.programs
            await site.taken_more(gateway, count)
            written.append(site.device.flash.programs - before)

    site = sensor(tmp_path, script, replaced=blocks_of(3))
    assert numbers(site) == list(range(7)) and site.ledger.reused() == 0
    assert [programs > 0 for programs in written] == [False, True, False, True], written


async def brown_outs(site: Site, after_s: list[float]) -> None:
    """Brown out so long after a report has left, once for each of these times."""
    gateway = await first_report(site)
    heard, waiting = site.ledger.heard, list(after_s)

    def tap(device: str, way: str, now_s: float, data: bytes) -> None:
        heard(device, way, now_s, data)
        if way == "up" and waiting:
            site.loop.call_later(waiting.pop(), site.device.brown_out)

    site.air.tap = tap
    await site.until(lambda: not waiting, 5000)  # its clock begins again each time, and its heartbeat is late
    await site.taken_more(gateway, within_s=5000)
    assert site.nvs("reserved") == 256, "RTC memory knew where the block stood"


def test_a_brown_out_amid_a_report_uses_no_number_twice_and_no_new_block(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await brown_outs(site, [0.0, 0.0005, 0.0015, 0.003, 0.03, 0.1])

    site = sensor(tmp_path, script)
    assert site.ledger.reused() == 0 and len(site.ledger.sealed) > 6
    assert site.lines.count("[emu] brown-out") == 6


def test_firmware_whose_rtc_memory_lags_behind_is_caught(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await first_report(site)
        await asyncio.sleep(70)

    lags = wrong_keys("rtc_state.set_sequence(sequence)", "rtc_state.set_sequence(sequence - 1)")
    assert sensor(tmp_path, script, replaced=lags).ledger.reused() > 0


# Keys that are not whole


def test_a_counter_that_is_missing_beside_the_keys_makes_it_silent_and_it_says_which(tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await first_report(site)
        for missing in ("salt", "id", "gateway", "reserved"):
            site.device.power_cut()
            kept = site.nvs(missing)
            site.set_nvs(missing, None)
            sent = len(site.ledger.up_bytes)
            site.device.power_on()
            said = f"NVS oscore {missing} is missing beside the secret; provision this device anew"
            await site.until(lambda said=said: any(said in line for line in site.lines), 60)
            assert len(site.ledger.up_bytes) == sent
            site.device.power_cut()
            site.set_nvs(missing, kept)
        assert site.device.stats.crashes == 0

    sensor(tmp_path, script, insecure=True)


def test_without_keys_and_without_leave_to_be_insecure_it_is_silent(tmp_path: Path) -> None:
    nvs = oscore_values(KEYS)
    del nvs["secret"]

    async def script(site: Site) -> None:
        await site.until(lambda: any("no keys in NVS" in line for line in site.lines), 60)
        assert site.device.stats.crashes == 0

    assert sensor(tmp_path, script, nvs=nvs).ledger.up_bytes == []


# Hostile answers


def forgeries(request: Message) -> list[bytes]:
    """What a stranger who saw a request may answer."""
    options: list[list[tuple[int, bytes]]] = [[], [(coap.ECHO, b"12345678")], [(coap.OSCORE, b"\x09\x01strange")]]
    return [
        coap.encode(Message(coap.CON, code, 9, request.token, coap.ordered(one), b"12345678 payload"))
        for one in options
        for code in (coap.UNAUTHORIZED, coap.CHANGED, coap.CONFLICT, coap.BAD_REQUEST)
    ]


def test_unprotected_answers_do_not_confuse_it_and_a_reset_costs_one_attempt(tmp_path: Path) -> None:
    resets: list[int] = []

    async def script(site: Site) -> None:
        gateway = await first_report(site)

        def hostile(data: bytes, address: tuple[str, int]) -> bool:
            request = coap.decode(data)
            for forged in forgeries(request)[len(resets) :: 3]:  # four: lwIP has room for six
                gateway.transport.sendto(forged, address)
            if len(resets) == 2:
                return True
            resets.append(request.mid)
            gateway.transport.sendto(coap.encode(Message(coap.RST, coap.EMPTY, request.mid)), address)
            return False

        gateway.admits = hostile
        await site.taken_more(gateway, 2)
        assert [reading.seq for reading in gateway.taken] == [0, 1, 2]
        assert site.nvs("gateway")[10:] == FIRST

    site = sensor(tmp_path, script)
    assert len(resets) == 2 and site.ledger.reused() == 0 and site.ledger.unsealed == []


# What it costs


def charge_c(tmp_path: Path, **made: Any) -> float:
    """What a report of a sleeping sensor takes from its cell, C."""
    taken: list[float] = []

    async def script(site: Site) -> None:
        gateway = await site.open_gateway(insecure=bool(made))
        await site.taken_more(gateway, 1)
        await site.asleep()
        assert site.device.meter
        ledger = site.device.meter.ledger
        before = ledger.snapshot(site.loop.time())
        await site.taken_more(gateway, 2)
        await site.asleep()
        taken.append(ledger.snapshot(site.loop.time()).since(before).total_c / 2)

    sensor(tmp_path, script, metered=True, **made)
    return taken[0]


def test_a_report_under_oscore_takes_at_most_a_quarter_more_charge_than_plain(tmp_path: Path) -> None:
    plain_c, sealed_c = charge_c(tmp_path, nvs={}, insecure=True), charge_c(tmp_path)
    assert plain_c < sealed_c < 1.25 * plain_c, (plain_c, sealed_c)
