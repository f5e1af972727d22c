"""A real device on LoRaWAN, from its radio's registers to the journal: what it must not lose, invent, or use twice."""

import asyncio
import random
from pathlib import Path

import pytest

from pave_gateway.core.change import submit
from pave_wire import lorawan, shadow

from .lora_site import EUI, NVS, BrokenError, Ledger, LoraSite, play

HOUR_S = 3600


def identities(epoch: int, count: int) -> list[str]:
    return [f"{EUI}:{epoch}:{seq}" for seq in range(count)]


@pytest.mark.parametrize("part", ["SX1262", "SX1276"])
def test_a_device_joins_says_hello_and_empties_its_outbox(tmp_path: Path, part: str) -> None:
    async def script(site: LoraSite) -> None:
        await site.until(lambda: len(site.stored()) == 2, 3 * HOUR_S)
        await site.until(lambda: site.device.state == "sleeping", 60)

    site = play(tmp_path, script, part)
    assert site.stored() == identities(1001, 2)
    assert site.said("sleeps")[-1].startswith("sleeps 2 0 "), site.lines
    assert len(site.ledger.dev_nonces) == 1 and len(site.ledger.sessions()) == 1
    assert not site.faults and not site.police.violations
    # The emulated SX1276 has no RegImageCal (datasheet rev 7, 2.1.3.8); nothing else may be wrong.
    assert not [line for line in site.lines if "FAULT" in line and "register 0x3b of the FSK" not in line]


@pytest.mark.long
def test_lost_downlinks_cost_repetitions_and_nothing_else(tmp_path: Path) -> None:
    async def script(site: LoraSite) -> None:
        await site.until(lambda: len(site.stored()) == 1, HOUR_S)
        site.drops = lambda payload: site.downlinks % 3 != 0
        await site.until(lambda: len(site.stored()) == 6, 4 * HOUR_S)
        site.drops = lambda payload: False
        await site.until(lambda: site.said("sleeps")[-1].startswith("sleeps 2 0 "), HOUR_S)

    site = play(tmp_path, script)
    assert site.stored()[:6] == identities(1001, 6)
    assert not site.police.violations


@pytest.mark.long
def test_a_restarted_gateway_goes_on_with_the_session(tmp_path: Path) -> None:
    async def script(site: LoraSite) -> None:
        await site.until(lambda: len(site.stored()) == 2, HOUR_S)
        await site.stop_gateway()
        await asyncio.sleep(1500)
        await site.start_gateway()
        await site.until(lambda: len(site.stored()) >= 6, 3 * HOUR_S)
        await site.until(lambda: site.said("sleeps")[-1].startswith("sleeps 2 0 "), HOUR_S)

    site = play(tmp_path, script)
    assert sorted(site.stored()) == identities(1001, len(site.stored()))
    assert len(site.ledger.sessions()) == 1


@pytest.mark.long
def test_a_power_cut_begins_a_new_epoch_in_the_old_session_without_a_counter_used_twice(tmp_path: Path) -> None:
    async def script(site: LoraSite) -> None:
        for life in range(1, 4):
            await site.until(lambda life=life: len(site.stored()) >= 2 * life, 2 * HOUR_S)
            site.device.power_cut()
            site.device.power_on()
        await site.until(lambda: len(site.stored()) >= 7, 2 * HOUR_S)

    site = play(tmp_path, script)
    assert {identity.split(":")[1] for identity in site.stored()} == {"1001", "1002", "1003", "1004"}
    assert len(site.ledger.dev_nonces) == 1 and len(site.ledger.sessions()) == 1
    counters = [fcnt for _, fcnt in site.ledger.frames]
    assert counters == sorted(counters) and counters[-1] >= 3 * 64


@pytest.mark.long
def test_brown_outs_in_transmission_use_no_counter_twice_and_keep_the_law(tmp_path: Path) -> None:
    async def script(site: LoraSite) -> None:
        browned = 0

        def brown_out(record: object) -> None:
            nonlocal browned
            if len(site.uplinks) % 2:
                browned += 1
                site.clock.call_after(0.030, site.device.brown_out)

        site.on_uplink = brown_out
        await site.until(lambda: browned >= 6, 12 * HOUR_S)
        site.on_uplink = lambda record: None
        await site.until(lambda: site.said("sleeps")[-1].startswith("sleeps 2 0 "), 6 * HOUR_S)

    site = play(tmp_path, script, every_s=1800)
    assert len(site.said("[emu] brown-out")) >= 6 and len(site.ledger.dev_nonces) >= 2
    assert not site.police.violations
    assert len(site.stored()) == len(set(site.stored())) >= 3


def test_nothing_is_sent_where_dev_nonce_is_missing_beside_the_keys(tmp_path: Path) -> None:
    async def script(site: LoraSite) -> None:
        await site.until(lambda: site.device.state == "sleeping", 600)
        await asyncio.sleep(600)

    site = play(tmp_path, script, nvs={key: value for key, value in NVS.items() if key != "dev_nonce"})
    assert not site.uplinks
    assert "dev_nonce is missing beside the AppKey; provision this device anew" in site.said("stopped:")[0]


@pytest.mark.long
def test_nvs_erased_under_a_running_device_is_refused_not_begun_again(tmp_path: Path) -> None:
    async def script(site: LoraSite) -> None:
        await site.until(lambda: len(site.stored()) == 2, HOUR_S)
        sent = len(site.uplinks)
        site.device.power_cut()
        with site.device.flash.path.open("r+b") as image:
            image.seek(0x9000)
            image.write(b"\xff" * 0x6000)
        site.device.power_on()
        await asyncio.sleep(2 * HOUR_S)
        assert len(site.uplinks) == sent
        assert "no LoRaWAN keys" in site.said("stopped:")[0]

    play(tmp_path, script)


def test_a_command_reaches_the_device_and_its_answer_the_gateway(tmp_path: Path) -> None:
    async def script(site: LoraSite) -> None:
        await site.until(lambda: len(site.stored()) == 1, HOUR_S)
        assert site.gateway is not None
        core = site.gateway.core
        _, change = core.commands.create(EUI, shadow.PRESENCE, "identify", 30, core.now())
        submit(core.committer, change, lambda outcome: None)
        await site.until(lambda: bool(site.said("request")), 2 * HOUR_S)
        await site.until(lambda: core.commands.waiting(EUI) == [], HOUR_S)
        states = core.reader.connection.execute("SELECT state FROM command").fetchall()
        assert states == [("done",)] and site.said("blinks") == ["blinks 30"]

    play(tmp_path, script)


def test_settings_reach_the_device_in_parts_and_its_report_the_gateway(tmp_path: Path) -> None:
    async def script(site: LoraSite) -> None:
        await site.until(lambda: len(site.stored()) == 1, HOUR_S)
        assert site.gateway is not None
        core = site.gateway.core
        change = core.shadows.edit(EUI, shadow.PRESENCE, {"heartbeat_s": 1800, "hold_off_s": 60})
        submit(core.committer, change, lambda outcome: None)
        wanted = {"heartbeat_s": 1800, "hold_off_s": 60}
        await site.until(lambda: core.shadows.view(EUI).reported == wanted, 4 * HOUR_S)
        assert site.said("request") and core.shadows.view(EUI).differing == []

    play(tmp_path, script)


def test_the_ledger_sees_a_counter_that_seals_two_frames() -> None:
    ledger = Ledger()
    session = lorawan.Session(1, bytes(16), bytes(16))
    ledger.tell(lorawan.encode_uplink(session, 5, 1, b"one"))
    ledger.tell(lorawan.encode_uplink(session, 5, 1, b"one"))
    with pytest.raises(BrokenError, match="FCnt 5"):
        ledger.tell(lorawan.encode_uplink(session, 5, 1, b"two"))
    ledger.tell(bytes(17) + b"\2\0" + bytes(4))
    with pytest.raises(BrokenError, match="DevNonce 2 after 2"):
        ledger.tell(bytes(17) + b"\2\0" + bytes(4))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_days_of_bad_luck_lose_nothing(tmp_path: Path, seed: int) -> None:
    """Half of the downlinks lost, power cuts and gateway restarts at random times, for a day."""
    chance = random.Random(seed)

    async def script(site: LoraSite) -> None:
        site.drops = lambda payload: chance.random() < 0.5
        for _ in range(16):
            await asyncio.sleep(chance.uniform(600, 3 * HOUR_S))
            what = chance.randrange(3)
            if what == 0:
                await site.stop_gateway()
                await asyncio.sleep(chance.uniform(10, 3000))
                await site.start_gateway()
            elif what == 1:
                site.device.power_cut()
                site.device.power_on()
            else:
                site.device.brown_out()
        site.drops = lambda payload: False
        await site.until(lambda: site.said("sleeps")[-1].startswith("sleeps 2 0 "), 8 * HOUR_S)

    site = play(tmp_path, script, seed=seed)
    assert not site.police.violations
    assert len(site.stored()) == len(set(site.stored())) > 50
