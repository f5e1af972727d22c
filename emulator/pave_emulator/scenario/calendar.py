"""What hour and day it is in the scenario, and how busy a street is at that hour.

The shares of the hours are round figures, not counted: a street is quiet from 1 to 5 and full from 8 to 20, weekends
have three quarters of a weekday, deliveries cluster in the morning. Time is local and has no daylight saving.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR_S, DAY_S = 3600.0, 86400.0
DEFAULT_START = datetime(2026, 11, 23)  # a Monday


@dataclass(frozen=True)
class Profile:
    """Weights of the 24 hours of a weekday, of mean 1, and of a weekend day against it."""

    hours: tuple[float, ...]
    weekend: float


def _profile(shares: list[float], weekend: float) -> Profile:
    mean = sum(shares) / 24
    return Profile(tuple(share / mean for share in shares), weekend)


PROFILES = {
    "flat": _profile([1.0] * 24, 1.0),
    "street": _profile([2, 1, 1, 1, 1, 2, 4, 6, 8, 8, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 7, 5, 4, 3], 0.75),
    "delivery": _profile([1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 10, 9, 6, 5, 7, 7, 6, 5, 4, 3, 2, 2, 1, 1], 0.4),
    "people": _profile([1, 1, 0.5, 0.5, 0.5, 1, 3, 6, 8, 7, 6, 6, 8, 8, 7, 6, 7, 9, 9, 8, 6, 4, 3, 2], 0.9),
}


class Calendar:
    """Scenario seconds to local dates."""

    def __init__(self, start: datetime) -> None:
        """`start` is the local time at second 0."""
        self.start = start
        self._midnight = datetime(start.year, start.month, start.day)
        self._offset_s = (start - self._midnight).total_seconds()
        self._first_day = start.timetuple().tm_yday
        self._weekday = start.weekday()

    def hour(self, now_s: float) -> float:
        """Hour of the day, 0 to 24."""
        return (now_s + self._offset_s) % DAY_S / HOUR_S

    def day(self, now_s: float) -> int:
        """Days since the day of the start."""
        return int((now_s + self._offset_s) // DAY_S)

    def day_of_year(self, now_s: float) -> float:
        """1.0 at midnight of 1 January; goes on past 366 in a scenario that does."""
        return self._first_day + (now_s + self._offset_s) / DAY_S

    def midnight_s(self, day: int) -> float:
        """When a day begins."""
        return day * DAY_S - self._offset_s

    def local(self, now_s: float) -> datetime:
        """Local date and time."""
        return self.start + timedelta(seconds=now_s)

    def weight(self, profile: Profile, now_s: float) -> float:
        """How busy this hour is; the mean over a weekday is 1."""
        weekend = (self._weekday + self.day(now_s)) % 7 >= 5
        return profile.hours[int(self.hour(now_s))] * (profile.weekend if weekend else 1.0)

    def after_busy(self, profile: Profile, start_s: float, busy_s: float) -> float:
        """When so many seconds of mean traffic have passed since `start_s`: more in a quiet night, less in a rush."""
        now_s = start_s
        while True:
            weight = self.weight(profile, now_s)
            ends_s = ((now_s + self._offset_s) // HOUR_S + 1) * HOUR_S - self._offset_s
            passed_s = (ends_s - now_s) * weight
            if passed_s >= busy_s:
                return now_s + busy_s / weight
            busy_s -= passed_s
            now_s = ends_s
