"""The field at a bay: neighbours, passers-by, trains, drift, and what is promised of it."""

import itertools
import math
import random
import statistics

import pytest
from dipole import dipole_ut
from quiet import quiet_until_s

from pave_emulator.scenario import vehicle
from pave_emulator.scenario.model import Drift, Metro, Passers, Scenario, ScenarioError, Traffic, Visit, Weather
from pave_emulator.scenario.motion import MANOEUVRES, position_m
from pave_emulator.scenario.site import Bay, rows
from pave_emulator.scenario.vehicle import KINDS
from pave_emulator.scenario.world import World

EARTH = (20.9, 0.8, 43.7)
HOUR_S, DAY_S = 3600.0, 86400.0
ROW = [Bay(f"bay-{i}", "taxi", "rue", (5.5 * i, 0.0)) for i in range(4)]  # an eastward street
BUSY = Traffic("taxi", 1500, 900, 60, "street", (("forward", 0.5), ("reverse", 0.4), ("hesitant", 0.1)))


def scenario(**sections) -> Scenario:
    return Scenario("test", 7, EARTH, 0.3, **sections)


def away_ut(world: World, place: str, now_s: float) -> float:
    return math.dist(world.field_ut(place, now_s), EARTH)


def largest(a, b) -> float:
    return max(abs(p - q) for p, q in zip(a, b, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_vehicle_of_each_kind_gives_the_field_of_its_kind_where_it_stops(kind):
    for seed in range(100):
        drawn = vehicle.draw(random.Random(seed), kind)
        least, most = KINDS[kind].standing_ut
        assert least < math.hypot(*drawn.field_ut(*drawn.stop_m)) < most
        assert len(drawn.dipoles) == 4


def test_the_field_of_a_vehicle_is_the_sum_of_its_dipoles():
    drawn = vehicle.draw(random.Random(1), "van")
    parts = [
        dipole_ut(part.moment_am2, (-3 - part.along_m, -2 - part.across_m, part.height_m)) for part in drawn.dipoles
    ]
    assert drawn.field_ut(3, 2) == pytest.approx(tuple(map(sum, zip(*parts, strict=True))))


def test_far_from_a_vehicle_its_parts_are_one_dipole():
    drawn = vehicle.draw(random.Random(1), "truck")
    moment = tuple(sum(part.moment_am2[axis] for part in drawn.dipoles) for axis in range(3))
    height_m = drawn.dipoles[0].height_m
    assert drawn.field_ut(40, 30) == pytest.approx(dipole_ut(moment, (-40, -30, height_m)), rel=0.15)


def test_no_field_of_a_vehicle_passes_its_bound():
    rng = random.Random(3)
    for _ in range(300):
        drawn = vehicle.draw_passing(rng, rng.choice(list(KINDS)))
        along_m, across_m = rng.uniform(-12, 12), rng.uniform(-6, 6)
        assert math.hypot(*drawn.field_ut(along_m, across_m)) <= drawn.bound_ut(math.hypot(along_m, across_m))


@pytest.mark.parametrize("name", MANOEUVRES)
def test_a_manoeuvre_ends_where_it_should_and_never_jumps(name):
    way = MANOEUVRES[name]
    assert position_m(way.arrival, way.in_s) == position_m(way.departure, 0) == (0, 0)
    for knots in (way.arrival, way.departure):
        points = [position_m(knots, i / 50) for i in range(int(knots[-1][0] * 50) + 2)]
        assert max(math.dist(a, b) for a, b in itertools.pairwise(points)) < 10 / 50  # m in a fiftieth of a second


def test_a_hesitant_driver_is_felt_twice_before_the_vehicle_has_stopped():
    world = World(scenario(visits=(Visit("bay-0", 100, 500, manoeuvre="hesitant"),)), ROW[:1])
    seen = [away_ut(world, "bay-0", 80 + i / 10) for i in range(200)]
    first, gone = max(seen[:80]), min(seen[80:160])
    assert first > 8 and gone < 3 and seen[-1] > 10


def test_a_neighbour_is_felt_as_far_as_its_dipoles_reach_and_one_across_the_town_is_not():
    visits = (Visit("bay-1", 100, math.inf),)
    far = Bay("bay-9", "taxi", "rue", (300.0, 0.0))
    world = World(scenario(visits=visits), [*ROW, far])
    standing = [away_ut(world, bay, 200) for bay in ("bay-1", "bay-0", "bay-3", "bay-9")]
    assert standing[0] > 10
    assert 0.05 < standing[1] < 2  # 5.5 m away
    assert 0 < standing[2] < standing[1]
    assert standing[3] == 0


def test_who_reverses_into_the_next_bay_drives_past_this_one():
    visits = (Visit("bay-1", 100, math.inf, manoeuvre="reverse"),)
    world = World(scenario(visits=visits), ROW)
    passing = max(away_ut(world, "bay-0", 85 + i / 20) for i in range(300))
    assert passing > 2 * away_ut(world, "bay-0", 101)


def test_a_row_has_the_heading_of_its_street_and_the_field_is_turned_by_it():
    (row,) = rows(ROW)
    assert row.heading_rad == pytest.approx(math.pi / 2)  # east
    assert row.along_m == pytest.approx({"bay-0": 0, "bay-1": 5.5, "bay-2": 11, "bay-3": 16.5})
    north = [Bay(bay.id, bay.kind, bay.street, (0.0, bay.position_m[0])) for bay in ROW]
    visits = (Visit("bay-0", 10),)
    eastward = World(scenario(visits=visits), ROW).field_ut("bay-0", 50)
    northward = World(scenario(visits=visits), north).field_ut("bay-0", 50)
    along, across, down = (b - e for b, e in zip(northward, EARTH, strict=True))
    assert [b - e for b, e in zip(eastward, EARTH, strict=True)] == pytest.approx([-across, along, down])


def test_two_thousand_vehicles_pass_in_a_day_most_by_daylight_and_few_wake_a_sensor():
    passers = Passers(2000, (2.4, 5.5), (4, 13))
    world = World(scenario(passers=passers), ROW[:1])
    lanes = world._fields["bay-0"]._lanes
    windows = [window for hour in range(24) for window in lanes._hour(hour)[1]]
    assert 1500 < len(windows) < 2100  # two-wheelers in the far lane are not felt
    assert sum(8 * HOUR_S < begin_s < 20 * HOUR_S for begin_s, _, _ in windows) > 0.6 * len(windows)
    peaks_ut = [
        max(away_ut(world, "bay-0", begin_s + (end_s - begin_s) * i / 20) for i in range(21))
        for begin_s, end_s, _ in windows
    ]
    assert 20 < sum(peak > 2 for peak in peaks_ut) < 200
    assert 0 < sum(peak > 4 for peak in peaks_ut) < 50  # over the magnetometer's threshold
    assert 0.2 < statistics.median(peaks_ut) < 1.5
    for begin_s, end_s, passer in windows:
        alone_ut = [passer.field_ut(0.0, begin_s + (end_s - begin_s) * i / 60) for i in range(61)]
        assert max(math.hypot(*field_ut) for field_ut in alone_ut) <= passer.peak_ut


def test_who_passes_one_bay_passes_the_next_a_moment_later():
    world = World(scenario(passers=Passers(300, (2.4, 3.0), (8, 8), (("truck", 1.0),))), ROW)
    begin_s, end_s, passer = world._fields["bay-0"]._lanes._hour(12)[1][3]
    shift_s = 16.5 / passer.velocity_mps
    assert world._fields["bay-3"].at((begin_s + end_s) / 2 + shift_s) == pytest.approx(
        world._fields["bay-0"].at((begin_s + end_s) / 2), abs=0.05
    )


def test_between_passers_by_the_field_is_exactly_at_rest():
    world = World(scenario(passers=Passers(2000)), ROW[:1])
    values = [world.field_ut("bay-0", 12 * HOUR_S + i) for i in range(1800)]
    assert 0.3 < values.count(EARTH) / len(values) < 0.98


def test_when_traffic_stops_nobody_passes_any_more():
    world = World(scenario(passers=Passers(5000)), ROW[:1])
    world.stop_traffic(12 * HOUR_S)
    assert any(world.field_ut("bay-0", 12 * HOUR_S - i) != EARTH for i in range(300))
    assert all(world.field_ut("bay-0", 12 * HOUR_S + 20 + i) == EARTH for i in range(600))
    assert quiet_until_s(world, "bay-0", 12 * HOUR_S + 20) == math.inf


def test_a_train_below_makes_a_slow_swell_and_at_night_none_runs():
    line = Metro("M14", ("bay-0",), (0.5, 0.2, 1.0), 100, 40)
    world = World(scenario(metro=(line,)), ROW[:2])
    day = [world.field_ut("bay-0", 12 * HOUR_S + i) for i in range(3600)]
    assert all(world.field_ut("bay-1", 12 * HOUR_S + i) == EARTH for i in range(0, 3600, 7))
    swell_ut = [value[2] - EARTH[2] for value in day]
    assert 1.2 < max(swell_ut) < 3.1
    assert max(abs(b - a) for a, b in itertools.pairwise(swell_ut)) < 0.25  # in a second
    begins = sum(a == 0 and b > 0 for a, b in itertools.pairwise(swell_ut))
    assert 25 < begins <= 37
    assert all(world.field_ut("bay-0", 3 * HOUR_S + i) == EARTH for i in range(3600))


def test_drift_follows_the_temperature_and_stays_in_bounds():
    weather = Weather(mean_c=12, seasonal_c=8, daily_c=5, asphalt_c=20)
    only_heat = World(scenario(drift=Drift(temperature_ut_per_k=0.1), weather=weather), ROW)
    days = [only_heat.field_ut("bay-1", i * HOUR_S) for i in range(24 * 5)]
    roads_c = [only_heat.climate.road_c(i * HOUR_S - 600) for i in range(24 * 5)]
    for axis in range(3):
        assert abs(statistics.correlation([day[axis] for day in days], roads_c)) > 0.999
    wandering = World(scenario(drift=Drift(wander_ut=0.5, hard_iron_ut=10)), ROW)
    at_rest = [wandering.field_ut("bay-1", i * HOUR_S) for i in range(24 * 60)]
    for axis in range(3):
        values = [value[axis] - EARTH[axis] for value in at_rest]
        assert 0.2 < max(values) - min(values) <= 1.0
        assert abs(statistics.fmean(values)) < 10.5


@pytest.mark.parametrize("within_ut", [0.3, 2.0])
def test_what_is_promised_to_be_quiet_is(within_ut):
    """Walk a day as a sensor would: ask, sleep, ask again; look at the sleep."""
    whole = scenario(
        traffic=(BUSY,),
        passers=Passers(2000),
        metro=(Metro("M14", ("bay-1",), (0.5, 0.2, 0.8), 105, 40), Metro("M6", ("bay-1",), (0.2, 0.5, 0.4), 150, 40)),
        drift=Drift(0.1, 0.5, 3, 5),
        weather=Weather(12, 8, 5, 20),
    )
    world, rng = World(whole, ROW), random.Random(1)
    quiet_s, asked, largest_ut = 0.0, 0, 0.0
    now_s = 6 * HOUR_S
    while now_s < 9 * HOUR_S:
        until_s = quiet_until_s(world, "bay-1", now_s, within_ut)
        assert until_s >= now_s
        asked += 1
        if until_s > now_s:
            quiet_s += until_s - now_s
            before = world.field_ut("bay-1", now_s)
            for share in (rng.random(), rng.random(), 0.999):
                later = world.field_ut("bay-1", now_s + share * (until_s - now_s))
                largest_ut = max(largest_ut, largest(before, later))
        now_s = max(until_s, now_s + 0.1)
    assert largest_ut <= within_ut
    assert largest_ut > within_ut / 20  # there was something to promise about
    assert quiet_s > (0.7 if within_ut < 1 else 0.85) * 3 * HOUR_S


def test_the_field_does_not_depend_on_when_it_was_asked_before():
    whole = scenario(traffic=(BUSY,), passers=Passers(2000), drift=Drift(0.1, 0.5, 3, 5), weather=Weather(12, 8, 5))
    forward, mixed = World(whole, ROW), World(whole, ROW[::-1])
    times_s = [9 * HOUR_S + i * 3.3 for i in range(900)]
    expected = {time_s: forward.field_ut("bay-2", time_s) for time_s in times_s}
    random.Random(2).shuffle(times_s)
    near = [time_s for time_s in times_s if time_s > 9 * HOUR_S]
    mixed.field_ut("bay-2", min(near))
    for time_s in times_s:
        quiet_until_s(mixed, "bay-2", time_s)
        assert mixed.field_ut("bay-2", time_s) == expected[time_s]


def test_a_parked_vehicle_takes_ten_to_twenty_decibels_from_the_antenna():
    world = World(scenario(traffic=(BUSY,)), ROW)
    standing: list[float] = []
    for change in world.advance(2 * DAY_S):
        at_db = world.attenuation_db(change.bay, change.t_s + 0.1)
        if change.occupied:
            standing.append(at_db)
        else:
            assert at_db == 0
    assert all(10 <= at_db <= 20 for at_db in standing)
    assert max(standing) - min(standing) > 8


# What steps do


def test_a_step_shifts_the_field_from_its_time_on_and_tells_who_sleeps():
    world = World(scenario(), ROW[:1])
    told: list[tuple[str, float]] = []
    world.disturbed.append(lambda place, now_s: told.append((place, now_s)))
    assert quiet_until_s(world, "bay-0", 0) == math.inf
    world.act("shift_field", {"bay": "bay-0", "x_ut": 1.0, "y_ut": -2.0, "z_ut": 3.0}, 50)
    assert told == [("bay-0", 50)]
    assert world.field_ut("bay-0", 49.9) == EARTH
    assert world.field_ut("bay-0", 50) == pytest.approx((21.9, -1.2, 46.7))
    assert quiet_until_s(world, "bay-0", 20) == 50


def test_vehicles_come_and_go_by_steps():
    world = World(scenario(), ROW)
    told: list[str] = []
    world.disturbed.append(lambda place, now_s: told.append(place))
    world.act("arrive", {"bay": "bay-1", "vehicle": "van", "manoeuvre": "forward"}, 100)
    assert sorted(told) == ["bay-0", "bay-1", "bay-2", "bay-3"]
    with pytest.raises(ScenarioError, match="arrive: at 103 s a vehicle is still on bay-1"):
        world.act("arrive", {"bay": "bay-1", "vehicle": "van", "manoeuvre": "forward"}, 103)
    assert [(c.t_s, c.occupied, c.n) for c in world.advance(200)] == [(106, True, 1)]
    assert away_ut(world, "bay-1", 150) > 10
    world.act("leave", {"bay": "bay-1"}, 200)
    with pytest.raises(ScenarioError, match="leave: at 201 s no vehicle stands on bay-1"):
        world.act("leave", {"bay": "bay-1"}, 201)
    assert [(c.t_s, c.occupied, c.n) for c in world.advance(300)] == [(205, False, 2)]
    assert away_ut(world, "bay-1", 206) == 0
    world.act("arrive", {"bay": "bay-1", "vehicle": "car", "manoeuvre": "quick"}, 300)
    assert [(c.t_s, c.n) for c in world.advance(400)] == [(301.5, 3)]


def test_a_step_cannot_move_the_vehicles_of_a_bay_with_traffic():
    world = World(scenario(traffic=(BUSY,)), ROW)
    with pytest.raises(ScenarioError, match="bay-1 has traffic or visits of its own"):
        world.act("arrive", {"bay": "bay-1", "vehicle": "van", "manoeuvre": "forward"}, 100)
