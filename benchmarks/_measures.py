"""What benchmarks of several measures share: measures, goals and how they are shown, the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

Figures = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """`run(settings)` returns the figures, `show(console, figures)` prints them."""

    run: Callable[[Any], Figures]
    show: Callable[[Console, Figures], None]


@dataclass(frozen=True)
class Goal:
    """A figure of a measure, and its bound: one of the two."""

    name: str
    measure: str
    value: Callable[[Figures], float]
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        """Compare."""
        return value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0.0)

    @property
    def bound(self) -> str:
        """In words."""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


def show_goals(console: Console, goals: Sequence[Goal], found: dict[str, Figures]) -> Figures:
    """Print each goal whose measure has run; return figure and goal by name."""
    table = Table(title="Goals")
    for column in ("figure", "measured", "goal", ""):
        table.add_column(column)
    reached: Figures = {}
    for goal in goals:
        if goal.measure in found:
            value = goal.value(found[goal.measure])
            table.add_row(goal.name, f"{value:,.2f}", goal.bound, "met" if goal.is_met(value) else "MISSED")
            reached[goal.name] = {"measured": value, "goal": goal.bound, "met": goal.is_met(value)}
    if reached:
        console.print(table)
    return reached


def machine() -> Figures:
    """What this runs on, and how busy it is already."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
