"""Sums and tables of a detection run."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks._detection_device import BLIND, OCCUPIED, POWER_ON, TIMER, VACANT
from benchmarks._detection_score import OUTCOMES, SAID, WRONG, Heard, Score, Tally

CONSOLE = Console(width=150)
STATES = (VACANT, OCCUPIED, BLIND)
PERCENT = 100.0


class Sum(Tally):
    """Scores put together."""

    def add(self, one: Score) -> None:
        """Put one more in."""
        self.days += one.days
        self.heard += one.heard
        self.false += one.false
        self.stuck += one.stuck
        self.longest_wrong_s = max(self.longest_wrong_s, one.longest_wrong_s)
        for key, time_s in one.time_s.items():
            self.time_s[key] += time_s
        self.wakes += one.wakes
        self.asked += one.asked
        self.awake_s += one.awake_s
        due, raised, false = one.alarms
        self.alarms = (self.alarms[0] + due, self.alarms[1] + raised, self.alarms[2] + false)

    def right_pct(self, occupied: bool | None = None) -> float:
        """Share of arrivals (True), departures (False) or both that were said right; excused ones are left out."""
        outcomes = [one.outcome for one in self.heard if occupied in (None, one.occupied)]
        counted = [outcome for outcome in outcomes if outcome != "excused"]
        return PERCENT * counted.count("right") / len(counted) if counted else 0.0

    def latency_s(self) -> tuple[float, float]:
        """Median and 95th percentile of what was right; 0 when nothing was."""
        latencies = sorted(one.latency_s for one in self.heard if one.latency_s is not None)
        if not latencies:
            return 0.0, 0.0
        return statistics.median(latencies), latencies[int(0.95 * (len(latencies) - 1))]

    def wrong_time_pct(self) -> float:
        """Share of the time in which the state was the wrong one; blind is not wrong."""
        wrong_s = self.time_s[VACANT, OCCUPIED] + self.time_s[OCCUPIED, VACANT]
        return PERCENT * wrong_s / max(1.0, sum(self.time_s.values()))

    def blind_time_pct(self) -> float:
        """Share of the time in which it said that it cannot see."""
        blind_s = sum(time_s for (_, said), time_s in self.time_s.items() if said == BLIND)
        return PERCENT * blind_s / max(1.0, sum(self.time_s.values()))

    def figures(self) -> dict[str, Any]:
        """For a script."""
        median_s, p95_s = self.latency_s()
        days = max(self.days, 1e-9)
        outcomes = Counter(one.outcome for one in self.heard)
        return {
            "bay_days": round(self.days, 2),
            "events": len(self.heard),
            "right_pct": round(self.right_pct(), 3),
            "arrivals_right_pct": round(self.right_pct(True), 3),
            "departures_right_pct": round(self.right_pct(False), 3),
            **{outcome: outcomes[outcome] for outcome in OUTCOMES},
            "latency_median_s": round(median_s, 2),
            "latency_p95_s": round(p95_s, 2),
            "false_changes_per_day": round(sum(self.false.values()) / days, 4),
            "stuck": self.stuck,
            "longest_wrong_h": round(self.longest_wrong_s / 3600, 2),
            "wrong_time_pct": round(self.wrong_time_pct(), 4),
            "blind_time_pct": round(self.blind_time_pct(), 4),
            "wakes_of_events_per_day": round(self.wakes["of an event"] / days, 2),
            "false_wakes_per_day": round(self.wakes["false"] / days, 2),
            "timer_wakes_per_day": round((self.wakes[TIMER] + self.wakes[POWER_ON]) / days, 2),
            "radar_per_day": round(self.asked / days, 2),
            "awake_s_per_day": round(self.awake_s / days, 1),
            "alarms_due": self.alarms[0],
            "alarms_raised": self.alarms[1],
            "false_alarms_per_day": round(self.alarms[2] / days, 4),
        }

    def confusion(self) -> dict[str, dict[str, int]]:
        """Events by what had happened and what was said when it was due."""
        counted = Counter((one.occupied, one.said) for one in self.heard)
        return {
            name: {SAID[said]: counted[occupied, said] for said in STATES}
            for name, occupied in (("arrived", True), ("left", False))
        }


def summed(scores: Iterable[Score]) -> Sum:
    """All of them together."""
    total = Sum()
    for one in scores:
        total.add(one)
    return total


def of_events(total: Sum, which: Callable[[Heard], str]) -> dict[str, Sum]:
    """Its events apart by a property of theirs; times and wake-ups have none and are left out."""
    apart: dict[str, Sum] = {}
    for one in total.heard:
        apart.setdefault(which(one), Sum()).heard.append(one)
    return dict(sorted(apart.items()))


def show_detectors(sums: dict[str, Sum]) -> None:
    """One row for each detector."""
    table = _table("Detectors", ["detector", "bay-days", "events", "right %", "arr. %", "dep. %", "median s", "p95 s",
                                 "false/d", "stuck", "wrong time %", "blind %"])  # fmt: skip
    for name, total in sums.items():
        f = total.figures()
        _row(table, name, f["bay_days"], f["events"], f["right_pct"], f["arrivals_right_pct"],
             f["departures_right_pct"], f["latency_median_s"], f["latency_p95_s"], f["false_changes_per_day"],
             f["stuck"], f["wrong_time_pct"], f["blind_time_pct"])  # fmt: skip
    CONSOLE.print(table)
    table = _table("What it costs, a day", ["detector", "wakes of events", "false wakes", "timer", "radar", "awake s",
                                            "alarms raised / due", "false alarms"])  # fmt: skip
    for name, total in sums.items():
        f = total.figures()
        _row(table, name, f["wakes_of_events_per_day"], f["false_wakes_per_day"], f["timer_wakes_per_day"],
             f["radar_per_day"], f["awake_s_per_day"], f"{f['alarms_raised']} / {f['alarms_due']}",
             f["false_alarms_per_day"])  # fmt: skip
    CONSOLE.print(table)


def show_confusion(title: str, sums: dict[str, Sum]) -> None:
    """What had happened against what was said when it was due, and how wrong came about."""
    columns = ["", "arrived: occupied", "vacant", "blind", "left: vacant", "occupied", "blind", *WRONG, "right %"]
    table = _table(title, columns)
    for name, total in sums.items():
        matrix = total.confusion()
        outcomes = Counter(one.outcome for one in total.heard)
        arrived, left = matrix["arrived"], matrix["left"]
        _row(table, name, *(arrived[SAID[s]] for s in (OCCUPIED, VACANT, BLIND)),
             *(left[SAID[s]] for s in (VACANT, OCCUPIED, BLIND)), *(outcomes[w] for w in WRONG),
             f"{total.right_pct():.2f}")  # fmt: skip
    CONSOLE.print(table)


def show_disturbances(title: str, sums: dict[str, Sum]) -> None:
    """What each disturbance does beside events."""
    table = _table(title, ["", "right %", "median s", "false occupied/d", "false vacant/d", "stuck", "longest wrong h",
                           "blind %", "false wakes/d", "radar/d"])  # fmt: skip
    for name, total in sums.items():
        f, days = total.figures(), max(total.days, 1e-9)
        _row(table, name, f["right_pct"], f["latency_median_s"], f"{total.false[OCCUPIED] / days:.3f}",
             f"{total.false[VACANT] / days:.3f}", f["stuck"], f["longest_wrong_h"], f["blind_time_pct"],
             f["false_wakes_per_day"], f["radar_per_day"])  # fmt: skip
    CONSOLE.print(table)


def _table(title: str, columns: list[str]) -> Table:
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="left" if column in ("", "detector") else "right")
    return table


def _row(table: Table, *cells: Any) -> None:
    table.add_row(*(f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in cells))
