"""The timeline of a run as SVG: a row per device with its sleep, wakes and radio, and its bay's truth below.

Theory of operation. Time is cut into as many columns as there are pixels, so the figure is as large for a month as for
a minute. A column's shade is the share of it that the device was awake; marks of one kind in one column are one mark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

from pave_emulator.report.collect import BayLog, Collector, DeviceLog, Interval

WIDTH, LEFT, RIGHT = 1080, 130, 10
COLUMNS = WIDTH - LEFT - RIGHT
ROW, GAP, AXIS = 40, 8, 26
STATE_Y, STATE_H, MARK_H, BAY_Y, BAY_H = 7, 12, 6, 24, 6
MAX_ROWS = 60
SHADES = 10
TICKS = 8
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def draw(seen: Collector, bay_of: dict[str, str]) -> str:
    """The figure. `bay_of` is device to bay."""
    span_s = max(seen.now_s, 1e-6)
    shown = list(seen.devices)[:MAX_ROWS]
    height = len(shown) * (ROW + GAP) + AXIS
    parts = _axis(span_s, height)
    for row, name in enumerate(shown):
        y = row * (ROW + GAP)
        parts.append(f'<text x="{LEFT - 8}" y="{y + STATE_Y + 10}" text-anchor="end">{html.escape(name)}</text>')
        parts += _device(seen.devices[name], span_s, y)
        if bay_of.get(name) in seen.bays:
            parts += _bay(seen.bays[bay_of[name]], bay_of[name], span_s, y)
    more = len(seen.devices) - len(shown)
    note = f"<p>{more} more devices are not drawn.</p>" if more else ""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="timeline">{"".join(parts)}</svg>{note}'
    )


def shares(intervals: Iterable[Interval], span_s: float, columns: int = COLUMNS) -> list[float]:
    """Which share of each column the intervals cover, 0 to 1."""
    column_s = span_s / columns
    covered = [0.0] * columns
    for from_s, until_s in intervals:
        first = min(columns - 1, int(from_s / column_s))
        last = min(columns - 1, int(until_s / column_s))
        for column in range(first, last + 1):
            inside_s = min(until_s, (column + 1) * column_s) - max(from_s, column * column_s)
            covered[column] += max(0.0, inside_s)
    return [min(1.0, seconds / column_s) for seconds in covered]


def _device(log: DeviceLog, span_s: float, y: float) -> list[str]:
    state_y = y + STATE_Y
    parts = [f'<rect class="asleep" x="{LEFT}" y="{state_y}" width="{COLUMNS}" height="{STATE_H}"/>']
    levels = [math.ceil(share * SHADES) for share in shares(log.awake, span_s)]
    parts += _runs(levels, "awake", state_y, STATE_H)
    parts += _runs([SHADES if share > 0 else 0 for share in shares(log.off, span_s)], "off", state_y, STATE_H)
    parts.append(_marks((at_s for at_s, _ in log.wakes), "wake", span_s, y + STATE_Y - MARK_H, MARK_H))
    parts.append(_marks(log.sends, "tx", span_s, state_y + 1, STATE_H - 2))
    parts.append(_marks(log.receives, "rx", span_s, state_y + STATE_H - 4, 4))
    return parts


def _bay(bay: BayLog, name: str, span_s: float, y: float) -> list[str]:
    parts = []
    for number, (kind, stays) in enumerate((("truth", bay.truth), ("reported", bay.reported))):
        for from_s, until_s in stays:
            x, end = _x(from_s, span_s), _x(span_s if until_s is None else until_s, span_s)
            title = f"<title>{html.escape(name)} {kind} from {from_s:.1f} s</title>"
            box = f'x="{x:.1f}" y="{y + BAY_Y + number * (BAY_H + 2)}" width="{max(1.0, end - x):.1f}" height="{BAY_H}"'
            parts.append(f'<rect class="{kind}" {box}>{title}</rect>')
    parts.append(f'<text class="faint" x="{LEFT - 8}" y="{y + BAY_Y + 6}" text-anchor="end">{html.escape(name)}</text>')
    return parts


def _runs(levels: list[int], kind: str, y: float, height: float) -> list[str]:
    """Neighbouring columns of one level as one rectangle; nothing for level 0."""
    parts, start = [], 0
    for column in range(1, len(levels) + 1):
        if column == len(levels) or levels[column] != levels[start]:
            if levels[start]:
                box = f'x="{LEFT + start}" y="{y}" width="{column - start}" height="{height}"'
                parts.append(f'<rect class="{kind}" {box} fill-opacity="{levels[start] / SHADES:.1f}"/>')
            start = column
    return parts


def _marks(times_s: Iterable[float], kind: str, span_s: float, y: float, height: float) -> str:
    columns = sorted({round(_x(at_s, span_s)) for at_s in times_s})
    return f'<path class="{kind}" d="{"".join(f"M{x} {y}v{height}" for x in columns)}"/>' if columns else ""


def _x(at_s: float, span_s: float) -> float:
    return LEFT + COLUMNS * min(1.0, at_s / span_s)


def _axis(span_s: float, height: float) -> list[str]:
    unit_s, unit = next((pair for pair in UNITS if span_s >= 2 * pair[0]), UNITS[-1])
    step = _step(span_s / unit_s)
    parts = []
    for number in range(int(span_s / unit_s / step) + 1):
        x = _x(number * step * unit_s, span_s)
        anchor = "end" if x > WIDTH - 40 else "middle"
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - AXIS + 4}"/>')
        text = f"{number * step:g} {unit}"
        parts.append(f'<text class="faint" x="{x:.1f}" y="{height - 8}" text-anchor="{anchor}">{text}</text>')
    return parts


def _step(span: float) -> float:
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    return next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= TICKS)
