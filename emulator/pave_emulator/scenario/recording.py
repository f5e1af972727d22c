"""A recorded field trace, which can drive a sensor in the world's place: CSV with the columns t_s, x_ut, y_ut, z_ut."""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from pave_emulator.reading import unread

Vector = tuple[float, float, float]

COLUMNS = ["t_s", "x_ut", "y_ut", "z_ut"]


class RecordingError(ValueError):
    """`file:line: what was wrong`."""


@dataclass(frozen=True)
class Recording:
    """What the sensor of one bay measured, from `from_s` of the scenario on. Its noise is in it."""

    bay: str
    from_s: float
    times_s: tuple[float, ...]
    fields_ut: tuple[Vector, ...]
    where: str = field(default="", compare=False)

    def field_ut(self, now_s: float) -> Vector:
        """Linear between two rows; the first row before it begins, the last after it has ended."""
        at_s = now_s - self.from_s
        index = bisect_right(self.times_s, at_s)
        if index in (0, len(self.times_s)):
            return self.fields_ut[max(0, index - 1)]
        before_s, after_s = self.times_s[index - 1], self.times_s[index]
        part = (at_s - before_s) / (after_s - before_s)
        a, b = self.fields_ut[index - 1], self.fields_ut[index]
        return (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part)

    def quiet_until_s(self, now_s: float) -> float:
        """Its beginning before it, for ever after its end, no time within it."""
        if now_s < self.from_s + self.times_s[0]:
            return self.from_s + self.times_s[0]
        return math.inf if now_s >= self.from_s + self.times_s[-1] else now_s


def read(path: Path, bay: str, from_s: float = 0.0) -> Recording:
    """Read a trace. Raise RecordingError, which names file and line."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(unread(path, "recording", error)) from error
    if not rows or rows[0] != COLUMNS:
        raise RecordingError(f"{path}:1: the columns are {', '.join(COLUMNS)}")
    times_s: list[float] = []
    fields_ut: list[Vector] = []
    for line, row in enumerate(rows[1:], start=2):
        at_s, x, y, z = _numbers(path, line, row)
        if times_s and at_s <= times_s[-1]:
            raise RecordingError(f"{path}:{line}: t_s {at_s} does not follow {times_s[-1]}")
        times_s.append(at_s)
        fields_ut.append((x, y, z))
    if not times_s:
        raise RecordingError(f"{path}:1: no row follows the columns")
    return Recording(bay, from_s, tuple(times_s), tuple(fields_ut))


def _numbers(path: Path, line: int, row: list[str]) -> list[float]:
    try:
        numbers = [float(cell) for cell in row]
    except ValueError as error:
        raise RecordingError(f"{path}:{line}: {error}") from error
    if len(numbers) != len(COLUMNS) or not all(map(math.isfinite, numbers)):
        raise RecordingError(f"{path}:{line}: {len(COLUMNS)} finite numbers expected, found {', '.join(row)!r}")
    return numbers
