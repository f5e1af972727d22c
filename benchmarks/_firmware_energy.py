"""A year of the sensor from days that were run: budget by cause, years on the cell, what they hang on; and polling.

Theory of operation. A day runs at each of three mean temperatures. The emulator's own projection takes a mean day of
them, each weighted with the share of the year nearest to it (the projection's climate STREET, split linearly between
the two temperatures on either side), and works out the cell at all temperatures of that climate: capacity,
self-discharge. Days at other settings run at the middle temperature and stand beside the middle day alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import _firmware_day as days
from benchmarks import _firmware_images as images
from benchmarks import _firmware_world as world
from benchmarks._firmware_wakes import FALSE_WAKE, FALSE_WITH_RADAR
from pave_emulator import board
from pave_emulator.power.cell import SHELF_YEARS
from pave_emulator.power.figures import LABEL, ROW, STYLE, VALUE, WIDTH, bars, tornado
from pave_emulator.power.ledger import Entry, Snapshot
from pave_emulator.power.projection import STREET, Model, Projection, project
from pave_emulator.power.report import as_dict
from pave_emulator.power.spec import read_power
from pave_tools.board import board_path

YEARS_GOAL = 10.0
TEMPERATURES_C = (-10.0, 15.0, 35.0)
MIDDLE_C = 15.0
POLLS_S = (1, 5, 15)
QUICK_HOURS = 0.5
_VARIANTS: dict[str, dict[str, Any]] = {
    "SF12": {"sf": 12},
    "heartbeat every 10 min": {"heartbeat_s": 600},
    "4,000 passing vehicles": {"passers": 2 * world.PASSERS},
}
PLOT = Path("build") / "benchmarks" / "firmware-power.svg"
_PLOT_WIDTH, _TITLE_PX, _GAP_PX = 780, 28, 24


def measure(quick: bool) -> dict[str, Any]:
    """Run the days, project, write the plot."""
    hours = QUICK_HOURS if quick else 24.0
    temperatures = (MIDDLE_C,) if quick else TEMPERATURES_C
    ran = {celsius: days.run(days.Day(celsius=celsius, hours=hours)) for celsius in temperatures}
    variants = {} if quick else _VARIANTS
    others = {name: days.run(days.Day(celsius=MIDDLE_C, hours=hours, **changed)) for name, changed in variants.items()}
    weights = shares(tuple(ran))
    year = projected(mean_day({celsius: days.snapshot(found) for celsius, found in ran.items()}, weights))
    middle = projected(days.snapshot(ran[MIDDLE_C]))
    sensitivity = _sensitivity(year, middle, others, ran)
    plot(PLOT, year, sensitivity)
    return {
        "weights": {f"{celsius:g}": share for celsius, share in weights.items()},
        "days": {f"{celsius:g}": found for celsius, found in ran.items()},
        "others": others,
        "year": as_dict(year),
        "middle_years": middle.years,
        "sensitivity": sensitivity,
        "plot": str(PLOT),
    }


def polling(quick: bool) -> dict[str, Any]:
    """The timer-polling design in the same world on the same board, at the middle temperature."""
    found: dict[str, Any] = {}
    for poll_s in POLLS_S[-1:] if quick else POLLS_S:
        day = days.Day(images.POLLING, MIDDLE_C, QUICK_HOURS if quick else 24.0, poll_s=poll_s)
        ran = days.run(day)
        made = projected(days.snapshot(ran))
        found[str(poll_s)] = {**ran, "mah_per_day": made.mah_per_day, "years": made.years}
    return found


def shares(temperatures_c: tuple[float, ...]) -> dict[float, float]:
    """Share of the year that each of these, in rising order, stands for."""
    weights = dict.fromkeys(temperatures_c, 0.0)
    for celsius, share in STREET:
        below = max((one for one in temperatures_c if one <= celsius), default=temperatures_c[0])
        above = min((one for one in temperatures_c if one >= celsius), default=temperatures_c[-1])
        part = (celsius - below) / (above - below) if above > below else 0.0
        weights[below] += share * (1 - part)
        weights[above] += share * part
    return weights


def mean_day(spans: dict[float, Snapshot], weights: dict[float, float]) -> Snapshot:
    """The weighted mean of spans of one length: charge, seconds and counts of each entry."""
    sums: defaultdict[tuple[str, str, str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    wakes: defaultdict[str, float] = defaultdict(float)
    for celsius, span in spans.items():
        for one in span.entries:
            total, share = sums[one.consumer, one.state, one.cause, one.rail], weights[celsius]
            total[0] += share * one.charge_c
            total[1] += share * one.seconds
            total[2] += share * one.intervals
            total[3] = max(total[3], one.peak_a)
        for cause, count in span.wakes.items():
            wakes[cause] += weights[celsius] * count
    entries = tuple(
        Entry(*key, charge_c, seconds, round(intervals), peak_a, 0.0)
        for key, (charge_c, seconds, intervals, peak_a) in sorted(sums.items())
    )
    seconds = next(iter(spans.values())).seconds
    total_c = sum(weights[celsius] * span.total_c for celsius, span in spans.items())
    peak_a = max(span.peak_a for span in spans.values())
    return Snapshot(0.0, seconds, entries, {c: max(1, round(n)) for c, n in wakes.items() if n}, total_c, peak_a)


def projected(span: Snapshot, climate: tuple[tuple[float, float], ...] = STREET) -> Projection:
    """The emulator's projection of a span, on the board's own supply."""
    made = board.load(board_path(images.BOARD))
    return project(span, read_power(made.power).supply, climate)


def _sensitivity(
    year: Projection, middle: Projection, others: dict[str, Any], ran: dict[float, dict[str, Any]]
) -> list[dict[str, Any]]:
    """The days that ran stand against the middle day, what the model scales against the year."""
    rows = [_row(name, projected(days.snapshot(found)).years, middle.years, "ran") for name, found in others.items()]
    rows.append(_row("false wakes x 2", _doubled(year.model).years(), year.years, "charge of that cause x 2"))
    rows.append(_row("cell - 20 %", replace(year.model, capacity=0.8).years(), year.years, "capacity x 0.8"))
    for celsius in (celsius for celsius in ran if len(ran) > 1 and celsius != MIDDLE_C):
        always = projected(days.snapshot(ran[celsius]), ((celsius, 1.0),)).years
        rows.append(_row(f"{celsius:g} degrees all year", always, year.years, "ran"))
    return rows


def _row(what: str, years: float, beside: float, how: str) -> dict[str, Any]:
    return {"what": what, "years": years, "beside": beside, "how": how}


def _doubled(model: Model) -> Model:
    falsely = (FALSE_WAKE, FALSE_WITH_RADAR)
    parts = (replace(p, current_a=2 * p.current_a) if p.cause in falsely else p for p in model.parts)
    return replace(model, parts=tuple(parts))


def plot(path: Path, year: Projection, sensitivity: list[dict[str, Any]]) -> None:
    """Write the budget by cause and the sensitivities as one SVG."""
    causes = year.by(2) | {name: mah for name, mah in year.own_mah_per_day.items() if mah > 0}
    swings = [(swing.constant, swing.low_years, swing.high_years) for swing in year.swings[:14]]
    figures = [
        (f"Charge by cause, mAh a day: {year.mah_per_day:.2f}, {year.years:.1f} years", bars(causes)),
        ("Years, a constant at half and at one and a half times its value", tornado(swings, year.years)),
        ("Years where something is different", _years(sensitivity)),
    ]
    drawn, y = [], _GAP_PX
    for title, svg in figures:
        height = int(svg.split('height="', 1)[1].split('"', 1)[0].split(".")[0])
        drawn.append(f'<text x="10" y="{y}">{title}</text>')
        drawn.append(svg.replace("<svg ", f'<svg x="10" y="{y + _TITLE_PX - 16}" ', 1))
        y += height + _TITLE_PX + _GAP_PX
    style = STYLE.replace("<style>", '<style type="text/css">')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_PLOT_WIDTH}" height="{y}" font-family="sans-serif">'
        f'{style}<rect width="100%" height="100%" fill="#ffffff"/><g class="power">{"".join(drawn)}</g></svg>\n'
    )


def _years(rows: list[dict[str, Any]]) -> str:
    """A bar for each row of the sensitivity."""
    scale = (WIDTH - LABEL - 2 * VALUE) / max([row["years"] for row in rows] + [1.0])
    drawn = []
    for number, row in enumerate(rows):
        y, width = number * ROW, row["years"] * scale
        said = f"{row['years']:.1f} instead of {row['beside']:.1f}"
        drawn.append(f'<text x="{LABEL - 10}" y="{y + 16}" text-anchor="end">{row["what"]}</text>')
        drawn.append(f'<rect class="bar" x="{LABEL}" y="{y + 4}" width="{width:.1f}" height="{ROW - 8}"/>')
        drawn.append(f'<text x="{LABEL + width + 6:.1f}" y="{y + 16}">{said}</text>')
    return f'<svg width="{WIDTH}" height="{len(rows) * ROW}">{"".join(drawn)}</svg>'


def show(console: Console, found: dict[str, Any]) -> None:
    """Print the budget, the assumptions and the sensitivities."""
    year = found["year"]
    weighted = ", ".join(f"{celsius} degrees {share:.0%}" for celsius, share in found["weights"].items())
    street = ", ".join(f"{celsius:g} degrees {share:.0%}" for celsius, share in STREET)
    console.print(
        f"{world.PARKINGS} parkings and {world.PASSERS:,} passing vehicles a day, hourly heartbeat, SF9, on one "
        f"{year['cell']} with its capacitor. The year: {weighted} of days that ran; the cell's: {street}. "
        f"{year['reserve']:.0%} of the cell is never used; manufacturers promise {SHELF_YEARS:g} years on a shelf."
    )
    _show_budget(console, year)
    _table(console, "Years where something is different", ("what", "years", "instead of", "how"), [
        (row["what"], f"{row['years']:.1f}", f"{row['beside']:.1f}", row["how"]) for row in found["sensitivity"]
    ])  # fmt: skip
    for name, day in [*((f"{c} degrees", day) for c, day in found["days"].items()), *found["others"].items()]:
        told = day["changes"]
        late = "" if told["latency_s"] is None else f", median {told['latency_s']:.1f} s after it stood or had gone"
        console.print(f"{name}: {told['told']} of {told['true']} changes told{late}; ran in {day['wall_s']} s")
    console.print(f"plot: {found['plot']}")


def _show_budget(console: Console, year: dict[str, Any]) -> None:
    wakes = {wake["cause"]: wake for wake in year["wakes"]}
    budget = year["mah_per_day_by"]["cause"] | year["mah_per_day_of_the_supply"]
    rows: list[tuple[str, ...]] = []
    for cause, mah in sorted(budget.items(), key=lambda item: -item[1]):
        wake = wakes.get(cause)
        each = ("", "") if wake is None else (f"{wake['per_day']:.1f}", f"{wake['charge_mc']:.1f}")
        rows.append((cause, f"{mah:.3f}", f"{mah / year['mah_per_day']:.1%}", *each))
    rows.append(("all", f"{year['mah_per_day']:.3f}", "", "", ""))
    title = f"Charge at the cell by cause: {year['years']:.1f} years"
    _table(console, title, ("cause", "mAh/day", "share", "a day", "mC each"), rows)


def show_polling(console: Console, found: dict[str, Any]) -> None:
    """Print the other design."""
    rows: list[tuple[str, ...]] = []
    for poll_s, day in found.items():
        check, told = day["wakes"].get("timer check", {"count": 0, "mean_mc": 0.0}), day["changes"]
        late = "" if told["latency_s"] is None else f"{told['latency_s']:.1f}"
        changes = f"{told['told']} of {told['true']}", late, str(told["reported"])
        years = f"{day['mah_per_day']:.1f}", f"{day['years']:.2f}"
        rows.append((poll_s, f"{check['count']:,}", f"{check['mean_mc']:.1f}", *changes, *years))
    columns = ("poll, s", "polls", "mC each", "changes told", "median, s", "reports", "mAh/day", "years")
    _table(
        console,
        "Woken by a timer, one sample, a fixed threshold: same board, world and link, 15 degrees",
        columns,
        rows,
    )
    console.print(
        "Each poll pays MicroPython's boot on this chip; a design in C or on the ULP coprocessor would pay less."
    )


def _table(console: Console, title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
