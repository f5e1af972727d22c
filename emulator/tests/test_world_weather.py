"""Weather, light and what a radar sees through what lies on it."""

import statistics
from datetime import datetime

import pytest

from pave_emulator.chips.environment import Echo
from pave_emulator.scenario.calendar import PROFILES, Calendar
from pave_emulator.scenario.climate import Climate
from pave_emulator.scenario.model import Scenario, ScenarioError, Visit, Weather
from pave_emulator.scenario.radar import Cover, echoes
from pave_emulator.scenario.steps import WORLD_ACTIONS
from pave_emulator.scenario.world import Bay, World

HOUR_S, DAY_S = 3600.0, 86400.0
PARIS = Weather(mean_c=11.2, seasonal_c=7.9, daily_c=3.5, asphalt_c=18, rain_days_per_month=9)


def climate(start: str, weather: Weather = PARIS) -> Climate:
    return Climate(weather, 7, Calendar(datetime.fromisoformat(start)))


def world(**sections) -> World:
    return World(Scenario("test", 7, (20.9, 0.8, 43.7), 0.3, **sections), [Bay("bay-0", "taxi")], ["kiosk-0"])


@pytest.mark.parametrize(("start", "mean_c"), [("2027-01-01", 3.4), ("2027-04-01", 10.7), ("2027-07-01", 19.1)])
def test_a_months_mean_temperature_is_that_of_paris(start, mean_c):
    paris = climate(start)
    found_c = statistics.fmean(paris.air_c(hour * HOUR_S) for hour in range(30 * 24))
    assert found_c == pytest.approx(mean_c, abs=1.5)


def test_a_day_is_warmest_in_the_afternoon_and_the_road_warmer_still():
    july = climate("2027-07-10")
    air_c = [july.air_c(hour * HOUR_S) for hour in range(24)]
    assert 13 <= air_c.index(max(air_c)) <= 17
    assert 5 < max(air_c) - min(air_c) < 12
    noons = [day * DAY_S + 14 * HOUR_S for day in range(20)]
    assert 10 < max(july.road_c(at_s) - july.air_c(at_s) for at_s in noons) < 20
    assert all(abs(july.road_c(day * DAY_S + 2 * HOUR_S) - july.air_c(day * DAY_S + HOUR_S)) < 0.1 for day in range(20))


@pytest.mark.parametrize(
    ("date", "rises_h", "sets_h"),
    # The sun's middle on the horizon without refraction, in CET all year: astral 3.2, for 48.84 N 2.385 E.
    [("2026-11-23", 8.29, 16.93), ("2027-03-20", 6.99, 18.96), ("2027-06-21", 4.89, 20.85)],
)
def test_the_sun_rises_and_sets_when_it_does_in_paris(date, rises_h, sets_h):
    sky = climate(date)
    up_h = [minute / 60 for minute in range(24 * 60) if sky.sun_sin(minute * 60) > 0]
    assert up_h[0] == pytest.approx(rises_h, abs=0.35)
    assert up_h[-1] == pytest.approx(sets_h, abs=0.35)


def test_light_is_that_of_the_sky_by_day_and_of_a_lamp_by_night():
    june = climate("2027-06-01", Weather())
    noons = {june.sky(day * DAY_S): june.illuminance_lux(day * DAY_S + 12.85 * HOUR_S) for day in range(30)}
    assert 85_000 < noons["clear"] < 120_000
    assert 15_000 < noons["cloudy"] < 21_000
    assert noons["cloudy"] < noons["partly"]
    assert june.illuminance_lux(2 * HOUR_S) == 15


def test_it_rains_on_a_third_of_the_days_and_the_lid_dries_within_half_an_hour():
    paris = climate("2027-01-01")
    wet_days = sum(any(paris.rain_mmph(day * DAY_S + i * 600) for i in range(144)) for day in range(300))
    assert 60 < wet_days < 120
    ends_s = next(i * 60.0 for i in range(100_000) if paris.rain_mmph(i * 60) > 0 and not paris.rain_mmph(i * 60 + 60))
    film = [paris.water_mm(ends_s + minutes * 60) for minutes in (0, 5, 15, 25, 32)]
    assert film[0] == 0.3 and film[-1] == 0
    assert film == sorted(film, reverse=True)
    assert paris.humidity_pct(ends_s) == 95


def test_steps_set_the_weather_from_their_time_on_and_give_it_back():
    here = world(weather=PARIS)
    usual_c = here.climate.air_c(5000)
    here.act("temperature", {"c": -12.0}, 3600)
    here.act("snow", {"cm": 4.0}, 3600)
    here.act("leaves", {"on": True}, 3700)
    here.act("rain", {"mm_per_h": 5.0}, 3800)
    assert here.climate.air_c(5000) == -12 and here.climate.air_c(3599) != -12
    assert (here.climate.snow_cm(3599), here.climate.snow_cm(3600)) == (0, 4)
    assert here.climate.leaves(5000) and here.climate.rain_mmph(5000) == 5
    here.act("usual_weather", {}, 4900)
    assert here.climate.air_c(5000) == usual_c
    assert (here.climate.snow_cm(5000), here.climate.leaves(5000)) == (0, False)
    assert 0 < here.climate.water_mm(5000) < 0.3  # it dries


def test_every_action_of_the_table_is_one_the_world_can_do():
    values = {"bay": "bay-0", "place": "kiosk-0", "vehicle": "car", "manoeuvre": "quick", "mm": 0.1, "c": 1.0, "s": 5.0}
    here = world()
    for now_s, (action, table) in enumerate(WORLD_ACTIONS.items()):
        here.act(action, {name: values.get(name, 1) for name in table}, 100.0 * now_s)


def test_a_step_for_a_place_that_is_no_kiosk_is_refused():
    with pytest.raises(ScenarioError, match="no kiosk 'bay-0': valid are kiosk-0"):
        world().act("lid", {"place": "bay-0", "open": True}, 0)


# The radar


def test_a_free_dry_bay_gives_no_echo_and_a_car_a_strong_one_at_its_floor():
    here = world(visits=(Visit("bay-0", 100, 200),))
    assert here.echoes("bay-0", 50) == ()
    (floor,) = here.echoes("bay-0", 150)
    assert 0.14 < floor.distance_m < 0.25 and 17 < floor.strength_db < 24
    assert here.echoes("bay-0", 201) == ()


def test_a_film_of_water_hides_the_car_above_it():
    car = 0.15
    dry, damp, wet = (echoes(Cover(water_mm=mm), car, False, None) for mm in (0.0, 0.2, 1.2))
    assert len(dry) == 1
    lid, floor = damp
    assert lid.distance_m < 0.05 and lid.strength_db > floor.strength_db
    assert dry[0].strength_db - floor.strength_db == pytest.approx(2 * 0.2 * 26)
    assert [echo.distance_m for echo in wet] == [lid.distance_m]


def test_wet_snow_hides_the_car_and_dry_snow_does_not():
    wet = echoes(Cover(snow_cm=4, snow_wet=True), 0.15, False, None)
    dry = echoes(Cover(snow_cm=4), 0.15, False, None)
    assert [echo.distance_m for echo in wet] == [pytest.approx(0.07)]
    assert [echo.distance_m for echo in dry] == [pytest.approx(0.07), pytest.approx(0.18)]
    assert dry[1].strength_db > 15


def test_a_person_is_a_weaker_echo_than_a_car_and_leaves_a_near_one():
    (soles, knees) = echoes(Cover(), None, True, None)
    assert soles.distance_m < knees.distance_m < 0.6 and knees.strength_db < soles.strength_db < 10
    assert echoes(Cover(leaves=True), None, False, None) == (Echo(pytest.approx(0.04), -4.0),)


def test_rain_gives_faint_drops_that_change_from_look_to_look_and_repeat_with_the_seed():
    looks = []
    for _ in range(2):
        here = world()
        here.act("rain", {"mm_per_h": 3.0}, 0)
        here.act("water_film", {"mm": 0.0}, 0)
        looks.append([here.echoes("bay-0", float(i)) for i in range(1, 30)])
    assert looks[0] == looks[1]
    assert len({look[0].distance_m for look in looks[0]}) > 20
    assert all(look[0].strength_db < -8 for look in looks[0])


def test_a_board_feels_the_world_of_its_place():
    here = world(weather=PARIS)
    bay, kiosk = here.environment("bay-0"), here.environment("kiosk-0")
    noon_s = 12 * HOUR_S
    assert bay.temperature_c(noon_s) == here.climate.road_c(noon_s)
    assert kiosk.temperature_c(noon_s) > here.climate.air_c(noon_s)
    assert kiosk.illuminance_lux(noon_s) > 1000 > bay.illuminance_lux(noon_s)
    assert bay.field_stays_until_s(noon_s, (-100.0,) * 3, (100.0,) * 3) > noon_s
    assert bay.field_ut(noon_s) != bay.field_ut(noon_s + 1)
    assert bay.echoes(noon_s) == here.echoes("bay-0", noon_s)
    with pytest.raises(KeyError, match="no bay 'bay-1': did you mean 'bay-0'"):
        here.environment("bay-1")


def test_a_mean_weekday_has_the_mean_traffic_and_a_night_stretches_time():
    monday = Calendar(datetime(2026, 11, 23))
    for profile in PROFILES.values():
        assert statistics.fmean(profile.hours) == pytest.approx(1)
        assert monday.after_busy(profile, 0, DAY_S) == pytest.approx(DAY_S)
    street = PROFILES["street"]
    assert monday.after_busy(street, 2 * HOUR_S, 600) > 2 * HOUR_S + 1200
    assert monday.after_busy(street, 17 * HOUR_S, 600) < 17 * HOUR_S + 600
    assert monday.weight(street, 5 * DAY_S) == pytest.approx(0.75 * monday.weight(street, 0))  # Saturday
