"""Fan, relay and backlight of a kiosk against their datasheets, without a VM."""

import math

import pytest

from pave_emulator.chips.backlight import FULL_UA, Backlight, passer_by
from pave_emulator.chips.chip import Chip, ChipFault, Environment
from pave_emulator.chips.fan import Fan
from pave_emulator.chips.ili9341 import Ili9341
from pave_emulator.chips.relay import BOUNCES_S, OPERATE_S, RELEASE_S, Relay

PWM_HZ = 25_000.0
LONG_S = 20.0


# Fan


@pytest.fixture
def fan() -> Fan:
    fan = Fan(Environment())
    fan.power_on(0.0)
    return fan


def test_a_fan_without_control_signal_runs_at_full_speed(fan):
    assert fan.rpm(LONG_S) == pytest.approx(2200)
    assert fan.supply_current_ua(LONG_S) == pytest.approx(80_000)


def test_speed_nears_its_target_with_the_inertia_of_the_rotor(fan):
    assert fan.rpm(0.0) == 0
    assert fan.rpm(1.0) == pytest.approx(2200 * (1 - math.exp(-1)))
    fan.set_pwm(0.5, PWM_HZ, LONG_S)
    assert fan.rpm(LONG_S) == pytest.approx(2200)
    assert fan.rpm(LONG_S + 1) == pytest.approx(1100 + 1100 * math.exp(-1))
    assert fan.rpm(2 * LONG_S) == pytest.approx(1100)


def test_below_the_minimum_duty_a_fan_stops_and_at_the_minimum_it_starts(fan):
    fan.set_pwm(0.19, PWM_HZ, LONG_S)
    assert (fan.state, fan.rpm(LONG_S + 4.6) > 0, fan.rpm(LONG_S + 4.8)) == ("stopped", True, 0)
    turned = fan.revolutions(LONG_S + 5)
    assert fan.revolutions(LONG_S + 500) == turned
    fan.set_pwm(0.2, PWM_HZ, 100.0)
    assert (fan.state, fan.rpm(120.0)) == ("on", pytest.approx(440))


def test_the_tachometer_gives_two_pulses_a_revolution(fan):
    before = fan.tach_pulses(LONG_S)
    assert fan.tach_pulses(LONG_S + 60) - before == pytest.approx(2 * 2200, abs=1)


def test_watched_each_edge_of_the_tachometer_is_an_event_and_counting_gives_the_same(fan):
    assert fan.next_event_s() is None
    fan.tach_watched = True
    falls, levels = 0, []
    while (when := fan.next_event_s()) is not None and when < 2.0:
        fan.advance(when)
        levels.append(fan.pin_level("tach"))
        falls += levels[-1] == 0
    assert levels[:4] == [0, None, 0, None]  # open collector
    assert falls == fan.tach_pulses(2.0)
    fan.advance(2.0)
    fan.set_pwm(0.0, 0.0, 2.0)
    while (when := fan.next_event_s()) is not None:
        fan.advance(when)
        falls += fan.pin_level("tach") == 0
    assert falls == fan.tach_pulses(1000.0)


def test_a_stuck_fan_stands_still_draws_little_and_starts_again_when_freed(fan):
    fan.set_fault("stuck", True, LONG_S)
    assert (fan.rpm(LONG_S), fan.rpm(LONG_S + 1)) == (0, 0)
    assert fan.tach_pulses(LONG_S + 100) == fan.tach_pulses(LONG_S)
    fan.set_pwm(1.0, 0.0, LONG_S + 1)
    assert fan.rpm(2 * LONG_S) == 0
    fan.set_fault("stuck", False, 2 * LONG_S)
    assert fan.rpm(3 * LONG_S) == pytest.approx(2200)


def test_without_supply_a_fan_runs_down_and_its_tachometer_is_silent(fan):
    fan.power_off(LONG_S)
    assert (fan.state, fan.supply_current_ua(LONG_S)) == ("off", 0)
    assert 0 < fan.rpm(LONG_S + 1) < 2200
    fan.advance(LONG_S + 0.5)
    assert fan.pin_level("tach") is None


# Relay


@pytest.fixture
def relay() -> Relay:
    return Relay(Environment())


def log(relay: Relay) -> list[tuple[float, bool]]:
    changes: list[tuple[float, bool]] = []
    relay.switched = lambda closed, now_s: changes.append((round(now_s, 6), closed))
    return changes


def run(relay: Relay) -> None:
    while (when := relay.next_event_s()) is not None:
        relay.advance(when)


def test_a_contact_closes_after_the_operate_time_and_bounces(relay):
    changes = log(relay)
    relay.set_input("coil", 1, 1.0)
    assert (relay.state, relay.closed) == ("on", False)
    run(relay)
    start_s = 1.0 + OPERATE_S
    assert changes == [
        (start_s, True),
        *((round(start_s + after_s, 6), closed) for after_s, closed in zip(BOUNCES_S, (False, True) * 2, strict=True)),
    ]
    assert (relay.closed, relay.operations) == (True, 1)
    relay.set_input("coil", 0, 2.0)
    run(relay)
    assert changes[-1] == (2.0 + RELEASE_S, False)
    assert (relay.state, relay.operations) == ("off", 1)


def test_a_coil_that_changes_its_mind_moves_nothing(relay):
    changes = log(relay)
    relay.set_input("coil", 1, 1.0)
    relay.set_input("coil", 0, 1.0 + OPERATE_S / 2)
    run(relay)
    relay.advance(5.0)
    assert (changes, relay.operations) == ([], 0)


def test_a_coil_released_in_mid_bounce_opens_for_good(relay):
    changes = log(relay)
    relay.set_input("coil", 1, 1.0)
    relay.set_input("coil", 0, 1.0104)
    run(relay)
    assert changes == [(1.01, True), (1.0103, False)]
    assert (relay.closed, relay.operations) == (False, 1)


def test_a_normally_closed_contact_conducts_without_current_in_the_coil():
    relay = Relay(Environment(), normally_closed=True)
    assert relay.closed
    relay.set_input("coil", 1, 1.0)
    run(relay)
    assert not relay.closed
    relay.power_off(2.0)
    run(relay)
    assert relay.closed
    relay.power_on(3.0)
    run(relay)
    assert not relay.closed


def test_faults_hold_the_contact_whatever_the_coil_does(relay):
    relay.set_input("coil", 1, 1.0)
    run(relay)
    relay.set_fault("welded", True, 1.5)
    relay.set_input("coil", 0, 2.0)
    run(relay)
    assert relay.closed
    relay.set_fault("welded", False, 3.0)
    assert not relay.closed
    relay.set_fault("stuck_open", True, 4.0)
    relay.set_input("coil", 1, 5.0)
    run(relay)
    assert (relay.closed, relay.operations) == (False, 1)


def test_wear_is_a_part_of_the_specified_operations(relay):
    for at in range(10):
        relay.set_input("coil", 1, float(2 * at))
        relay.advance(2 * at + 1.0)
        relay.set_input("coil", 0, 2 * at + 1.0)
    assert relay.wear == pytest.approx(10 / 100_000)


# Backlight


def test_brightness_and_current_follow_the_duty_cycle():
    light = Backlight(Environment())
    assert (light.brightness(), light.supply_current_ua(0.0), light.state) == (0, 0, "off")
    light.set_pwm(0.25, 1000.0, 1.0)
    assert (light.brightness(), light.supply_current_ua(1.0), light.state) == (0.25, FULL_UA / 4, "on")
    light.power_off(2.0)
    assert (light.brightness(), light.state) == (0, "off")
    light.power_on(3.0)
    assert (light.brightness(), light.state) == (0.25, "on")


def test_a_passer_by_sees_nothing_without_light_and_white_glass_before_initialisation():
    glass, light = Ili9341(Environment()), Backlight(Environment())
    assert set(passer_by(glass, light).rgb) == {0}
    light.set_pwm(1.0, 0.0, 0.0)
    assert set(passer_by(glass, light).rgb) == {255}
    light.set_pwm(0.5, 1000.0, 0.0)
    assert set(passer_by(glass, light).rgb) == {127}


@pytest.mark.parametrize("part", [Fan(Environment()), Backlight(Environment())], ids=["fan", "backlight"])
def test_pwm_out_of_range_faults(part):
    with pytest.raises(ChipFault, match=r"duty cycle 1\.5"):
        part.set_pwm(1.5, PWM_HZ, 0.0)
    with pytest.raises(ChipFault, match="50"):
        part.set_pwm(0.5, 50.0, 0.0)


@pytest.mark.parametrize("part", [Fan(Environment()), Relay(Environment())], ids=["fan", "relay"])
def test_an_unknown_fault_names_the_known_ones(part: Chip):
    with pytest.raises(ChipFault, match=r"no fault 'rusty', it has (stuck|welded)"):
        part.set_fault("rusty", True, 0.0)  # type: ignore[attr-defined]
