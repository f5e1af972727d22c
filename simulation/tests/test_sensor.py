"""The whole presence sensor on the emulator: what it must not lose, invent or repeat."""

from pathlib import Path

from pave_wire import coap
from pave_wire.model import Reading

from .street import DEVICE, Street


def said(readings: list[Reading]) -> list[tuple[object, object]]:
    return [(r.values.get("occupied"), r.values.get("reason")) for r in readings]


async def test_it_reports_its_first_state_then_each_change_with_how_long_the_last_lasted(tmp_path: Path) -> None:
    async with Street(tmp_path, [(2.0, 7.5)]) as street:
        readings = await street.gateway.until(lambda taken: len(taken) == 3)
    assert said(readings) == [(False, "boot"), (True, "field"), (False, "field")]
    assert [r.identity for r in readings] == [f"{DEVICE}:1001:{seq}" for seq in range(3)]
    assert 3 <= readings[2].values["lasted"] <= 5  # from field at rest to the start of leaving


async def test_what_the_gateway_did_not_take_comes_again_with_the_same_identity_and_its_age(tmp_path: Path) -> None:
    async with Street(tmp_path, [(2.0, 30.0)]) as street:
        street.gateway.answer = lambda readings: coap.SERVICE_UNAVAILABLE
        while len(street.gateway.asked) < 3:
            await street.asleep()
            await street.gateway.until(lambda taken: len(street.gateway.asked) >= 3)
        street.gateway.answer = lambda readings: coap.CHANGED
        readings = await street.gateway.until(lambda taken: len(taken) == 2)
    assert said(readings) == [(False, "boot"), (True, "field")]
    assert {r.identity for asked in street.gateway.asked[1:] for r in asked} == {f"{DEVICE}:1001:1"}
    assert readings[1].age_s > street.gateway.asked[1][0].age_s + 1


async def test_a_reading_the_gateway_refuses_does_not_hold_back_the_others(tmp_path: Path) -> None:
    async with Street(tmp_path, [(2.0, 6.0)]) as street:
        street.gateway.answer = lambda readings: (
            coap.BAD_REQUEST if any(r.values["occupied"] for r in readings) else coap.CHANGED
        )
        readings = await street.gateway.until(lambda taken: len(taken) == 2)
    assert said(readings) == [(False, "boot"), (False, "field")]
    assert readings[1].values["dropped"] == 1


async def test_an_identity_that_is_taken_makes_it_begin_a_new_epoch(tmp_path: Path) -> None:
    async with Street(tmp_path, [(2.0, 30.0)]) as street:
        street.gateway.answer = lambda readings: coap.CONFLICT if readings[0].epoch == 1001 else coap.CHANGED
        readings = await street.gateway.until(lambda taken: len(taken) == 2)
    assert said(readings)[1] == (True, "field") and readings[1].identity == f"{DEVICE}:1002:0"


async def test_a_heartbeat_says_what_is_measured_even_after_the_chip_forgot_its_interrupt(tmp_path: Path) -> None:
    async with Street(tmp_path, [(4.0, 30.0)], heartbeat_s=6) as street:
        await street.asleep()
        street.sensor.chip("magnetometer").power_on(0.0)  # a brown-out: no interrupt will come any more
        readings = await street.gateway.until(lambda taken: len(taken) == 2)
    assert said(readings)[1] == (True, "field")


async def test_after_a_power_cut_a_new_epoch_begins_and_the_baseline_is_still_known(tmp_path: Path) -> None:
    async with Street(tmp_path, [(2.0, 40.0)]) as street:
        await street.gateway.until(lambda taken: len(taken) == 2)
        await street.asleep()
        street.sensor.power_cut()
        street.sensor.power_on()
        readings = await street.gateway.until(lambda taken: len(taken) == 3)
    assert said(readings)[2] == (True, "boot"), "a parked car is not taken for an empty bay"
    assert readings[2].identity == f"{DEVICE}:1002:0"


async def test_an_empty_datagram_costs_a_retransmission_and_no_more(tmp_path: Path) -> None:
    async with Street(tmp_path, [(2.0, 40.0)]) as street:
        street.gateway.spits = True
        await street.gateway.until(lambda taken: len(street.gateway.asked) == 2)
        street.gateway.spits = False
        readings = await street.gateway.until(lambda taken: len({r.identity for r in taken}) == 2)
        await street.asleep()
    assert said(readings)[-1] == (True, "field")
    assert street.sensor.stats.boots < 4, "it heard the answer to its retransmission"
