"""SVG figures of the power report: bars, a tornado, a voltage band. No script, no other file, both colour schemes."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence

from pave_emulator.power.voltage_log import Bucket

WIDTH, LABEL, VALUE, ROW = 760, 240, 90, 24  # px: whole, names on the left, numbers on the right, height of a row
MAX_BARS = 12
PLOT_HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 240, 56, 16, 10, 36
TICKS = 5
PAD_V = 0.02
DAY_S, HOUR_S = 86400.0, 3600.0

STYLE = """<style>
.power { --paper: #ffffff; --ink: #1b1b1b; --faint: #8a8a8a; --grid: #dddddd;
  --bar: #2b6cb0; --worse: #c05621; --better: #2f855a;
  background: var(--paper); color: var(--ink); font: 14px/1.4 system-ui, sans-serif; padding: .5em 1em; }
@media (prefers-color-scheme: dark) { .power { --paper: #1b1b1b; --ink: #e8e8e8; --faint: #9a9a9a; --grid: #3a3a3a;
  --bar: #63b3ed; --worse: #ed8936; --better: #68d391; } }
.power figure { margin: 1.2em 0; overflow-x: auto; }
.power figcaption { font-weight: 600; margin-bottom: .4em; }
.power svg { max-width: 100%; height: auto; }
.power text { fill: var(--ink); font-size: 12px; }
.power .faint { fill: var(--faint); }
.power .grid { stroke: var(--grid); }
.power .bar { fill: var(--bar); }
.power .worse { fill: var(--worse); }
.power .better { fill: var(--better); }
.power .now { stroke: var(--ink); stroke-dasharray: 3 3; }
.power .band { fill: var(--bar); stroke: var(--bar); stroke-width: 1; fill-opacity: .45; }
</style>"""


def bars(values: Mapping[str, float]) -> str:
    """Horizontal bars, largest first; what does not fit into twelve is summed as one."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    shown = ordered[:MAX_BARS]
    if rest := ordered[MAX_BARS:]:
        shown.append((f"{len(rest)} more", sum(value for _, value in rest)))
    total = sum(values.values())
    scale = (WIDTH - LABEL - VALUE) / max([value for _, value in shown] + [1e-12])
    rows = []
    for row, (name, value) in enumerate(shown):
        y, width = row * ROW, max(1.0, value * scale)
        share = f"{_figures(value)} ({value / total:.0%})" if total else "0"
        rows.append(_label(name, y))
        rows.append(f'<rect class="bar" x="{LABEL}" y="{y + 4}" width="{width:.1f}" height="{ROW - 8}"/>')
        rows.append(f'<text x="{LABEL + width + 6:.1f}" y="{y + 16}">{share}</text>')
    return _svg(len(shown) * ROW, rows)


def _figures(value: float) -> str:
    """Three figures, and no exponent however large."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def tornado(swings: Sequence[tuple[str, float, float]], now: float) -> str:
    """For each (name, value at -50 %, value at +50 %) a bar across `now`."""
    if not swings:
        return _svg(ROW, ['<text class="faint" x="0" y="16">no constant matters</text>'])
    at = _axis([value for _, *pair in swings for value in pair] + [now], LABEL + 80, WIDTH - 100)
    height = len(swings) * ROW
    rows = [f'<line class="now" x1="{at(now):.1f}" x2="{at(now):.1f}" y1="0" y2="{height}"/>']
    for row, (name, low, high) in enumerate(swings):
        y = row * ROW
        rows.append(_label(name, y))
        for value, change in ((low, "−50 %"), (high, "+50 %")):
            left, right = sorted((at(now), at(value)))
            kind = "better" if value > now else "worse"
            box = f'x="{left:.1f}" y="{y + 4}" width="{right - left:.1f}" height="{ROW - 8}"'
            anchor, x = ("start", at(value) + 4) if value > now else ("end", at(value) - 4)
            rows.append(f'<rect class="{kind}" {box}/>')
            rows.append(f'<text x="{x:.1f}" y="{y + 16}" text-anchor="{anchor}">{change}: {value:.1f}</text>')
    return _svg(height, rows)


def voltage(buckets: Sequence[Bucket], bucket_s: float) -> str:
    """Lowest to highest voltage of each bucket over time."""
    end_s = buckets[-1].start_s + bucket_s
    x_at = _axis([buckets[0].start_s, end_s], LEFT, WIDTH - RIGHT, padded=False)
    lowest_v = min(bucket.lowest_v for bucket in buckets) - PAD_V
    highest_v = max(bucket.highest_v for bucket in buckets) + PAD_V
    y_at = _axis([lowest_v, highest_v], PLOT_HEIGHT - BOTTOM, TOP, padded=False)
    rows = _grid_y(lowest_v, highest_v, y_at) + _grid_x(buckets[0].start_s, end_s, x_at)
    width = max(1.0, x_at(end_s) - x_at(end_s - bucket_s))
    for bucket in buckets:
        top, bottom = y_at(bucket.highest_v), y_at(bucket.lowest_v)
        box = f'x="{x_at(bucket.start_s):.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(1.0, bottom - top):.1f}"'
        rows.append(f'<rect class="band" {box}/>')
    return _svg(PLOT_HEIGHT, rows)


def _grid_y(lowest_v: float, highest_v: float, y_at: Callable[[float], float]) -> list[str]:
    rows = []
    for volts in _ticks(lowest_v, highest_v):
        y = y_at(volts)
        rows.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        rows.append(f'<text class="faint" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{volts:.3g} V</text>')
    return rows


def _grid_x(start_s: float, end_s: float, x_at: Callable[[float], float]) -> list[str]:
    unit_s, unit = (DAY_S, "d") if end_s - start_s > 2 * DAY_S else (HOUR_S, "h")
    place = f'y="{PLOT_HEIGHT - 12}" text-anchor="middle"'
    return [
        f'<text class="faint" x="{x_at(t * unit_s):.1f}" {place}>{t:g} {unit}</text>'
        for t in _ticks(start_s / unit_s, end_s / unit_s)
    ]


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers from `low` to `high`."""
    step = 10 ** math.floor(math.log10(max(high - low, 1e-6) / TICKS))
    step = next(step * m for m in (1, 2, 5, 10, 20) if (high - low) / (step * m) <= TICKS)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 9) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _axis(values: Sequence[float], start: float, end: float, padded: bool = True) -> Callable[[float], float]:
    """From values to pixels between `start` and `end`."""
    low, high = min(values), max(values)
    margin = max(0.02, 0.05 * (high - low)) if padded else 0.0
    low, high = low - margin, max(high + margin, low + 1e-9)
    return lambda value: start + (end - start) * (value - low) / (high - low)


def _label(name: str, y: float) -> str:
    return f'<text x="{LABEL - 10}" y="{y + 16}" text-anchor="end">{html.escape(name)}</text>'


def _svg(height: float, rows: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">{"".join(rows)}</svg>'
