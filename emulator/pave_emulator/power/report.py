"""A projection as a dictionary for JSON, as text for a terminal, and as an HTML fragment with its figures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from pave_emulator.power.figures import STYLE, bars, tornado, voltage
from pave_emulator.power.projection import Projection
from pave_emulator.power.voltage_log import Bucket

PARTS = ("consumer", "state", "cause")
SWINGS_SHOWN = 14
NEGLIGIBLE_YEARS = 0.005


def as_dict(projection: Projection) -> dict[str, Any]:
    """Plain values, units in the keys."""
    model = projection.model
    return {
        "days": projection.days,
        "cell": model.cell.name,
        "mah_per_day": projection.mah_per_day,
        "mah_per_day_by": {part: projection.by(number) for number, part in enumerate(PARTS)},
        "mah_per_day_of_the_supply": dict(projection.own_mah_per_day),
        "budget": [
            {"consumer": consumer, "state": state, "cause": cause, "mah_per_day": mah}
            for (consumer, state, cause), mah in projection.budget.items()
        ],
        "wakes": [{"cause": w.cause, "per_day": w.per_day, "charge_mc": w.charge_mc} for w in projection.wakes],
        "mean_ua": model.current_a() * 1e6,
        "peak_ma": projection.peak_a * 1e3,
        "years": projection.years,
        "beyond_shelf": projection.beyond_shelf,
        "reserve": model.reserve,
        "sensitivity": [
            {"constant": s.constant, "years_at_half": s.low_years, "years_at_one_and_a_half": s.high_years}
            for s in projection.swings
        ],
    }


def as_text(projection: Projection) -> str:
    """Lines for a terminal, of at most 100 columns."""
    lines = [_headline(projection), ""]
    for number, part in enumerate(PARTS):
        lines += [f"mAh/day at the cell by {part}", *_rows(projection.by(number), projection.mah_per_day)]
    lines += ["mAh/day of the supply itself", *_rows(projection.own_mah_per_day, projection.mah_per_day), ""]
    lines.append(f"{'wakes':32}{'per day':>10}{'mC each':>10}")
    lines += [f"  {w.cause:30}{w.per_day:10.1f}{w.charge_mc:10.2f}" for w in projection.wakes]
    lines += ["", f"{'years, a constant changed':32}{'-50 %':>10}{'+50 %':>10}"]
    lines += [f"  {s.constant:30}{s.low_years:10.1f}{s.high_years:10.1f}" for s in _shown(projection)]
    return "\n".join(lines) + "\n"


def as_html(projection: Projection, buckets: Sequence[Bucket] = (), bucket_s: float = 60.0) -> str:
    """A `<section>` that needs no other file; `buckets` of a VoltageLog add the voltage over time."""
    causes = projection.by(2) | {name: mah for name, mah in projection.own_mah_per_day.items() if mah > 0}
    figures = [
        ("Charge by cause, mAh a day", bars(causes)),
        ("Charge by consumer and state, mAh a day", bars(_by_consumer_and_state(projection))),
        (
            f"Years with a constant at half and at one and a half times its value (now {projection.years:.1f})",
            tornado([(s.constant, s.low_years, s.high_years) for s in _shown(projection)], projection.years),
        ),
    ]
    if buckets:
        figures.append(("Battery voltage, lowest and highest of each interval", voltage(buckets, bucket_s)))
    drawn = "".join(f"<figure><figcaption>{html.escape(title)}</figcaption>{svg}</figure>" for title, svg in figures)
    return f'<section class="power">{STYLE}<p>{html.escape(_headline(projection))}</p>{drawn}</section>'


def _headline(projection: Projection) -> str:
    model = projection.model
    beyond = "; manufacturers promise 20 years on a shelf" if projection.beyond_shelf else ""
    return (
        f"{projection.years:.1f} years on one {model.cell.name} to {model.reserve:.0%} of its capacity: "
        f"{projection.mah_per_day:.3f} mAh/day ({model.current_a() * 1e6:.1f} uA mean load, "
        f"peak {projection.peak_a * 1e3:.0f} mA at the rail) over {projection.days:.2f} days{beyond}"
    )


def _rows(values: dict[str, float], total: float) -> list[str]:
    return [f"  {name:30}{mah:10.4f}{mah / total:9.1%}" for name, mah in values.items()]


def _by_consumer_and_state(projection: Projection) -> dict[str, float]:
    sums: dict[str, float] = {}
    for (consumer, state, _), mah in projection.budget.items():
        sums[f"{consumer}, {state}"] = sums.get(f"{consumer}, {state}", 0.0) + mah
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def _shown(projection: Projection) -> list[Any]:
    return [s for s in projection.swings if s.width > NEGLIGIBLE_YEARS][:SWINGS_SHOWN]
