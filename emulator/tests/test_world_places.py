"""What stands around a sensor: vehicles beside the bay or off its middle; how it was laid, how floors reflect."""

import itertools
import math
import random
import statistics

import pytest
from quiet import quiet_until_s

from pave_emulator.scenario import vehicle
from pave_emulator.scenario.laying import STRAIGHT, Laid, product, turned
from pave_emulator.scenario.load import load
from pave_emulator.scenario.model import (
    Beside,
    Drift,
    Laying,
    Passers,
    Reflection,
    Scenario,
    ScenarioError,
    Traffic,
    Visit,
)
from pave_emulator.scenario.world import Bay, World

EARTH = (20.9, 0.8, 43.7)
HOUR_S, DAY_S = 3600.0, 86400.0
BAY = [Bay("bay-0", "taxi", "rue", (0.0, 0.0))]
BUSY = Traffic("taxi", 1500, 900, 60, "street", (("forward", 0.5), ("reverse", 0.5)))
LANE = Traffic("taxi", 1500, 300, 30, "flat", (("lane", 1.0),), (("van", 1.0),))
FILE = """\
name: test
seed: 7
earth_field_ut: [20.9, 0.8, 43.7]
traffic:
  - {kind: taxi, gap_s: 100, stay_s: 100, from_s: 50, off_m: [0.2, 0.9]}
beside:
  - {kind: taxi, across_m: 2.4, gap_s: 500, stay_s: 60, vehicles: van}
laying: {any_yaw: true, tilt_deg: 5}
reflection: {vehicle_db: 4, look_db: 1}
"""


def world(bays=BAY, **sections) -> World:
    return World(Scenario("test", 7, EARTH, 0.3, **sections), bays)


def away_ut(here: World, now_s: float) -> float:
    return math.dist(here.field_ut("bay-0", now_s), EARTH)


def test_who_stops_beside_a_bay_is_felt_on_it_is_no_change_of_it_and_no_echo():
    here = world(beside=(Beside(LANE, 2.3),))
    assert here.advance(DAY_S) == []
    felt = [away_ut(here, float(at_s)) for at_s in range(0, int(DAY_S), 20)]
    assert 0.05 < sum(ut > 0.5 for ut in felt) / len(felt) < 0.3  # 300 s of 1,800
    assert 1 < max(felt) < 12
    assert all(here.echoes("bay-0", float(at_s)) == () for at_s in range(0, int(DAY_S), 200))


def test_who_stops_beside_comes_to_rest_there_and_the_nearer_the_more_is_felt():
    near, far = (world(beside=(Beside(LANE, across_m),)) for across_m in (2.2, 3.6))
    at_s = [float(second) for second in range(0, int(DAY_S), 10)]
    felt = [away_ut(near, second) for second in at_s]
    rests = sum(a == b and a > 0.3 for a, b in itertools.pairwise(felt))
    assert rests > 500
    assert max(felt) > 1.5 * max(away_ut(far, second) for second in at_s)


def test_bays_of_another_kind_have_nobody_beside_them():
    here = world([*BAY, Bay("bay-1", "delivery", "rue", (0.0, 200.0))], beside=(Beside(LANE, 2.3),))
    assert all(here.field_ut("bay-1", float(at_s)) == EARTH for at_s in range(0, int(DAY_S), 60))


def test_traffic_begins_when_it_is_told_to():
    at_once, later = (world(traffic=(Traffic("taxi", 20, 20, 10, from_s=from_s),)) for from_s in (0.0, 500.0))
    first, second = at_once.next_change_s(), later.next_change_s()
    assert first is not None and second is not None and 10 <= first < second
    assert second >= 510


def test_drivers_stop_as_far_off_as_the_scenario_says_to_either_side():
    here = world(traffic=(Traffic("taxi", 300, 300, 60, off_m=(0.4, 1.1)),))
    usual = world(traffic=(Traffic("taxi", 300, 300, 60),))
    found = [(here._street.tracks["bay-0"], usual._street.tracks["bay-0"])]
    offs = []
    for track, other in found:
        for now_s in range(0, int(DAY_S), 120):
            stay, there = track.at(float(now_s)).stay, other.at(float(now_s)).stay
            assert (stay is None) == (there is None)
            if stay is not None and there is not None:
                offs.append(stay.vehicle.stop_m[0] - there.vehicle.stop_m[0])
                assert stay.vehicle.dipoles == there.vehicle.dipoles
    assert min(map(abs, offs)) >= 0.4 and max(map(abs, offs)) <= 1.1
    assert min(offs) < 0 < max(offs)


@pytest.mark.parametrize("kind", ["electric", "high-chassis"])
def test_vehicles_with_little_steel_below_are_weaker_than_cars_where_they_stand(kind):
    drawn = [vehicle.draw(random.Random(seed), kind) for seed in range(200)]
    cars = [vehicle.draw(random.Random(seed), "car") for seed in range(200)]
    standing = statistics.median(math.hypot(*one.field_ut(*one.stop_m)) for one in drawn)
    assert standing < statistics.median(math.hypot(*one.field_ut(*one.stop_m)) for one in cars) / 2


def test_a_high_chassis_is_felt_more_under_its_engine_than_in_its_middle():
    drawn = [vehicle.draw(random.Random(seed), "high-chassis") for seed in range(100)]
    ends = [max(math.hypot(*one.field_ut(along_m, 0)) for along_m in (-2.5, 2.5)) for one in drawn]
    middles = [math.hypot(*one.field_ut(*one.stop_m)) for one in drawn]
    assert statistics.median(ends) > 1.3 * statistics.median(middles)


# How a sensor lies


def test_a_turned_sensor_measures_the_same_field_along_other_axes():
    straight, laid = world(visits=(Visit("bay-0", 100),)), world(visits=(Visit("bay-0", 100),), laying=Laying(True, 6))
    for now_s in (50.0, 200.0):
        one, other = straight.field_ut("bay-0", now_s), laid.field_ut("bay-0", now_s)
        assert math.hypot(*one) == pytest.approx(math.hypot(*other)) and math.dist(one, other) > 1
    assert math.dist(straight.field_ut("bay-0", 200), straight.field_ut("bay-0", 50)) == pytest.approx(
        math.dist(laid.field_ut("bay-0", 200), laid.field_ut("bay-0", 50))
    )


def test_yaws_go_all_round_and_tilts_stay_within_theirs():
    downs = [Laid(Laying(True, 8), seed, "bay").seen((0.0, 0.0, 1.0), 0.0) for seed in range(300)]
    tilts = [math.degrees(math.acos(min(1.0, down[2]))) for down in downs]
    assert max(tilts) <= 8.0001 and statistics.fmean(tilts) == pytest.approx(4, abs=0.5)
    norths = [Laid(Laying(True, 0), seed, "bay").seen((1.0, 0.0, 0.0), 0.0) for seed in range(300)]
    quarters = {(x > 0, y > 0) for x, y, _ in norths}
    assert len(quarters) == 4
    assert Laid(Laying(), 1, "bay").straight


def test_a_rotation_keeps_lengths_and_is_undone_by_its_inverse():
    there, back = turned(0.0, 0.6, 1.1), turned(0.0, -0.6, 1.1)
    again = product(back, there)
    for row, expected in zip(again, STRAIGHT, strict=True):
        assert row == pytest.approx(expected)
    for row in product(there, turned(2.0, 0.3, 1.1)):
        assert math.hypot(*row) == pytest.approx(1)


def test_a_step_turns_a_sensor_from_its_time_on_and_tells_who_sleeps():
    here, told = world(), []
    here.disturbed.append(lambda place, now_s: told.append((place, now_s)))
    here.act("turn", {"bay": "bay-0", "yaw_deg": 90.0, "tilt_deg": 0.0}, 50)
    assert told == [("bay-0", 50)]
    assert here.field_ut("bay-0", 49.9) == EARTH
    x, y, z = here.field_ut("bay-0", 50)
    assert (x, y, z) == pytest.approx((EARTH[1], -EARTH[0], EARTH[2]))
    assert quiet_until_s(here, "bay-0", 20) == 50
    here.act("turn", {"bay": "bay-0", "yaw_deg": -90.0, "tilt_deg": 0.0}, 80)
    assert here.field_ut("bay-0", 80) == pytest.approx(EARTH)


def test_what_is_promised_to_a_turned_sensor_is_kept():
    here = world(
        traffic=(BUSY,), passers=Passers(2500), drift=Drift(0.1, 0.5, 3, 5), laying=Laying(True, 30),
        beside=(Beside(LANE, 2.3),),
    )  # fmt: skip
    here.act("turn", {"bay": "bay-0", "yaw_deg": 20.0, "tilt_deg": 30.0}, 7.5 * HOUR_S)
    rng, now_s, quiet_s = random.Random(1), 7 * HOUR_S, 0.0
    while now_s < 8 * HOUR_S:
        until_s = quiet_until_s(here, "bay-0", now_s, 1.5)
        if until_s > now_s:
            quiet_s += until_s - now_s
            before = here.field_ut("bay-0", now_s)
            for share in (rng.random(), rng.random(), 0.999):
                later = here.field_ut("bay-0", now_s + share * (until_s - now_s))
                assert max(abs(a - b) for a, b in zip(before, later, strict=True)) <= 1.5
        now_s = max(until_s, now_s + 0.1)
    assert quiet_s > 0.4 * HOUR_S


# Echoes and files


def test_floors_reflect_differently_each_the_same_but_for_a_little_at_each_look():
    visits = tuple(Visit("bay-0", 100.0 * n, 100.0 * n + 50) for n in range(1, 60))
    here = world(visits=visits, reflection=Reflection(6, 1))
    plain = world(visits=visits)
    gains = []
    for n in range(1, 60):
        looks = []
        for at_s in (100.0 * n + 10, 100.0 * n + 20, 100.0 * n + 30):
            (echo,), (usual,) = here.echoes("bay-0", at_s), plain.echoes("bay-0", at_s)
            assert echo.distance_m == usual.distance_m
            looks.append(echo.strength_db - usual.strength_db)
        assert 0 < max(looks) - min(looks) <= 2
        gains.append(statistics.fmean(looks))
    assert -7 <= min(gains) < -3 and 3 < max(gains) <= 7


def test_a_file_says_all_of_it_and_a_vehicle_too_near_is_refused(tmp_path):
    path = tmp_path / "street.yaml"
    path.write_text(FILE)
    made = load(path)
    (beside,), (traffic,) = made.beside, made.traffic
    assert beside.across_m == 2.4 and beside.traffic.manoeuvres == (("lane", 1.0),)
    assert traffic.from_s == 50 and traffic.off_m == (0.2, 0.9)
    assert made.laying == Laying(True, 5) and made.reflection == Reflection(4, 1)
    path.write_text(FILE.replace("across_m: 2.4", "across_m: -1.1"))
    with pytest.raises(ScenarioError, match=r"street.yaml:7: across_m is -1.1: nearer than 1.8 m"):
        load(path)
    path.write_text(FILE.replace("across_m: 2.4, ", ""))
    with pytest.raises(ScenarioError, match=r"street.yaml:7: 'across_m' is missing"):
        load(path)


def test_somebody_beside_a_kind_of_bay_that_there_is_not_is_refused():
    with pytest.raises(ScenarioError, match="no bay of kind 'coach'"):
        world(beside=(Beside(Traffic("coach", 100, 100, 30), 2.4),))
