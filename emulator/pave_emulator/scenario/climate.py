"""Temperature, humidity, light and what lies on the road, each as a function of time.

Sources. Daylight: IES, Recommended Practice for the Calculation of Daylight Availability (J. IES 13:4, 1984): solar
illuminance constant 127.5 klx, extinction 0.21 (clear) and 0.80 (partly cloudy), sky 0.8 + 15.5 sin^0.5, 0.3 + 45 sin
and 0.3 + 21 sin klx (clear, partly cloudy, cloudy). The sun's declination is 23.45 degrees times a sine of the day.
Temperatures are cosines: warmest around 20 July and at 15 h. That is a climate, not a forecast.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from pave_emulator.scenario.calendar import HOUR_S, Calendar
from pave_emulator.scenario.model import Weather
from pave_emulator.scenario.noise import key_of, uniform, wander
from pave_emulator.scenario.timeline import Timeline

WARMEST_DAY, WARMEST_HOUR = 201, 15
ANOMALY_K, ANOMALY_DAYS = 4.0, 2.5  # warm and cold spells
SOLAR_CONSTANT_LX = 127_500.0
STREET_LAMP_LX = 15.0  # EN 13201-2, class C3
FILM_MM, DRIES_S = 0.3, 1800.0  # water on a flat lid in rain, and how long it takes to dry
SOLAR_NOON_H = 12.85  # 2.4 degrees east in CET
_SKY = {
    "clear": (0.21, 800.0, 15_500.0, 0.5),
    "partly": (0.80, 300.0, 45_000.0, 1.0),
    "cloudy": (None, 300.0, 21_000.0, 1.0),
}


@dataclass
class Override:
    """What steps of the scenario have made of the weather; None: as the climate has it."""

    temperature_c: Timeline[float | None]
    rain_mmph: Timeline[float | None]
    snow_cm: Timeline[float]
    water_mm: Timeline[float | None]
    leaves: Timeline[bool]


class Climate:
    """The weather of one site."""

    def __init__(self, weather: Weather, seed: int, calendar: Calendar) -> None:
        """`seed` decides on warm and cold spells, clouds and rain."""
        self._weather = weather
        self._calendar = calendar
        self._seed = seed
        self._spells_key, self._clouds_key = key_of(seed, "temperature"), key_of(seed, "clouds")
        self._rain: dict[int, tuple[float, float, float]] = {}
        self.set = Override(Timeline(None), Timeline(None), Timeline(0.0), Timeline(None), Timeline(False))

    def sky(self, now_s: float) -> str:
        """`clear`, `partly` or `cloudy`: a third of the days each, and cloudy in rain."""
        if self.rain_mmph(now_s) > 0:
            return "cloudy"
        return ("clear", "partly", "cloudy")[int(3 * uniform(self._clouds_key, self._calendar.day(now_s)))]

    def air_c(self, now_s: float) -> float:
        """Temperature of the air in the shade."""
        forced = self.set.temperature_c.at(now_s)
        if forced is not None:
            return forced
        weather, day = self._weather, self._calendar.day_of_year(now_s)
        season = math.cos(2 * math.pi * (day - WARMEST_DAY) / 365.25)
        hour = math.cos(2 * math.pi * (self._calendar.hour(now_s) - WARMEST_HOUR) / 24)
        spell = wander(self._spells_key, day / ANOMALY_DAYS) * min(ANOMALY_K, abs(weather.seasonal_c))
        return weather.mean_c + weather.seasonal_c * season + weather.daily_c * hour + spell

    def road_c(self, now_s: float) -> float:
        """Temperature in the road: of the air an hour ago, and of the sun since."""
        sun = sum(max(0.0, self.sun_sin(now_s - hours * HOUR_S)) for hours in (0, 1, 2)) / 3
        share = {"clear": 1.0, "partly": 0.6, "cloudy": 0.25}[self.sky(now_s)]
        return self.air_c(now_s - HOUR_S) + self._weather.asphalt_c * sun * share

    def humidity_pct(self, now_s: float) -> float:
        """Relative humidity: 95 in rain; else 75 in the mean, less when it is warm for the day."""
        if self.rain_mmph(now_s) > 0:
            return 95.0
        hour = math.cos(2 * math.pi * (self._calendar.hour(now_s) - WARMEST_HOUR) / 24)
        return 75.0 - 15.0 * hour

    def illuminance_lux(self, now_s: float) -> float:
        """On the horizontal, in the open; a street lamp at night."""
        sine = self.sun_sin(now_s)
        if sine <= 0:
            twilight = max(0.0, 1 + sine / 0.1)  # gone 6 degrees below the horizon
            return STREET_LAMP_LX + 300.0 * twilight**4
        extinction, least, sky, power = _SKY[self.sky(now_s)]
        direct = 0.0 if extinction is None else SOLAR_CONSTANT_LX * math.exp(-extinction / sine) * sine
        return STREET_LAMP_LX + direct + least + sky * sine**power

    def sun_sin(self, now_s: float) -> float:
        """Sine of the sun's altitude."""
        latitude = math.radians(self._weather.latitude_deg)
        tilt = math.radians(23.45) * math.sin(2 * math.pi * (self._calendar.day_of_year(now_s) + 284 - 1) / 365.25)
        angle = math.radians(15 * (self._calendar.hour(now_s) - SOLAR_NOON_H))
        return math.sin(latitude) * math.sin(tilt) + math.cos(latitude) * math.cos(tilt) * math.cos(angle)

    def rain_mmph(self, now_s: float) -> float:
        """How hard it rains, in mm an hour."""
        forced = self.set.rain_mmph.at(now_s)
        if forced is not None:
            return forced
        begin_s, end_s, rate = self._spell(self._calendar.day(now_s))
        return rate if begin_s <= now_s < end_s else 0.0

    def water_mm(self, now_s: float) -> float:
        """Film of water on a flat lid in the road: there while it rains, dry half an hour later."""
        forced = self.set.water_mm.at(now_s)
        if forced is not None:
            return forced
        if self.rain_mmph(now_s) > 0:
            return FILM_MM
        return FILM_MM * max(0.0, 1 - (now_s - self._rained_s(now_s)) / DRIES_S)

    def snow_cm(self, now_s: float) -> float:
        """Depth of snow on the road."""
        return self.set.snow_cm.at(now_s)

    def leaves(self, now_s: float) -> bool:
        """Whether leaves lie on the sensors."""
        return self.set.leaves.at(now_s)

    def _rained_s(self, now_s: float) -> float:
        """When it last rained."""
        steps_s = [step_s for step_s, _ in self.set.rain_mmph.changes() if step_s <= now_s]
        ended_s = max((step_s for step_s in steps_s if self.rain_mmph(step_s - 1e-6) > 0), default=-math.inf)
        today = self._calendar.day(now_s)
        spells = [self._spell(day)[1] for day in (today - 1, today) if self._spell(day)[2] > 0]
        return max([ended_s, *(end_s for end_s in spells if end_s <= now_s)])

    def _spell(self, day: int) -> tuple[float, float, float]:
        """The day's spell of rain: from, until, mm an hour."""
        if day not in self._rain:
            rng = random.Random(f"{self._seed}:rain:{day}")
            wet = rng.random() < self._weather.rain_days_per_month / 30.4
            begin_s = self._calendar.midnight_s(day) + rng.uniform(0, 18) * HOUR_S
            end_s = begin_s + min(6.0, 0.25 + rng.expovariate(1 / 2.0)) * HOUR_S
            self._rain[day] = (begin_s, end_s, rng.uniform(0.3, 4.0) if wet else 0.0)
        return self._rain[day]
