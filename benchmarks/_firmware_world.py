"""The bay of the benchmark: so many parkings and passing vehicles a day, at one mean temperature."""

from __future__ import annotations

import random
from datetime import datetime

from pave_emulator.scenario.model import Drift, Passers, People, Scenario, Visit, Weather

DAY_S = 86400.0
SETTLES_S = 7200.0  # before the day that counts: join, baseline, data rate
PARKINGS, PASSERS = 20, 2000
EARTH_UT = (20.9, 0.8, 43.7)  # Paris, IGRF-14
_START = datetime(2026, 11, 23, 22)  # a Monday; the day that counts is the Tuesday
_VEHICLES = ("van", "van", "van", "car", "car", "truck")
_MANOEUVRES = ("forward", "reverse")
_GAP_MIN_S, _STAY_MIN_S = 400.0, 300.0


def scenario(celsius: float, parkings: int = PARKINGS, passers: float = PASSERS, seed: int = 1) -> Scenario:
    """A weekday with `parkings` stays of some 20 minutes, from SETTLES_S on.

    The temperature of the air swings by 3 degrees about `celsius`; a sensor's field goes with it.
    """
    return Scenario(
        "benchmark", seed, EARTH_UT, 0.3,
        visits=tuple(_visits(random.Random(seed), parkings)),
        passers=Passers(passers),
        drift=Drift(temperature_ut_per_k=0.03, wander_ut=0.4, days=5, hard_iron_ut=5),
        weather=Weather(mean_c=celsius, seasonal_c=0.0, daily_c=3.0, asphalt_c=3.0, rain_days_per_month=9),
        people=People(on_bay_per_day=12),
        start=_START,
    )  # fmt: skip


def short(visits: list[tuple[float, float]]) -> Scenario:
    """Quiet, with these stays only."""
    stays = tuple(Visit("bay", *stay, "van", "forward") for stay in visits)
    return Scenario("short", 1, EARTH_UT, 0.3, visits=stays, weather=Weather(15.0, 0.0, 0.0, 0.0))


def _visits(rng: random.Random, count: int) -> list[Visit]:
    """Stays spread over the day, one in each equal part of it."""
    part_s = DAY_S / max(1, count)
    found = []
    for n in range(count):
        begin_s = SETTLES_S + n * part_s + rng.uniform(_GAP_MIN_S, 0.4 * part_s)
        end_s = min(begin_s + max(_STAY_MIN_S, rng.expovariate(1 / 1200)), SETTLES_S + (n + 1) * part_s - _GAP_MIN_S)
        found.append(Visit("bay", begin_s, end_s, rng.choice(_VEHICLES), rng.choice(_MANOEUVRES)))
    return found
