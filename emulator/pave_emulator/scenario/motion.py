"""How a vehicle comes onto a bay and leaves it: a way in knots, taken smoothly from one to the next.

Theory of operation. A way is a list of (seconds, metres along the street, metres across it) relative to where the
vehicle stops; positions between two knots follow 3x2 - 2x3, so speed is zero at each knot. That is what a driver does
who pulls up, waits, and backs in. Times are plausible, not measured; `quick` is for scenarios in a hurry.
"""

from __future__ import annotations

from dataclasses import dataclass

Knot = tuple[float, float, float]  # s since the first, m along, m across

LANE_M = 2.5  # from the middle of a bay to the middle of the lane beside it


@dataclass(frozen=True)
class Manoeuvre:
    """A way in, which ends at (0, 0), and a way out, which begins there."""

    arrival: tuple[Knot, ...]
    departure: tuple[Knot, ...]

    @property
    def in_s(self) -> float:
        """From out of sight to standing still."""
        return self.arrival[-1][0]

    @property
    def out_s(self) -> float:
        """From standing still to out of sight."""
        return self.departure[-1][0]

    @property
    def span_m(self) -> float:
        """How far from its stop the vehicle is at most while it counts."""
        return max(abs(knot[1]) + abs(knot[2]) for knot in self.arrival + self.departure)


MANOEUVRES = {
    "quick": Manoeuvre(((0, 9, 0), (1.5, 0, 0)), ((0, 0, 0), (1.5, -9, 0))),
    # Nose first from the lane, and on along it.
    "forward": Manoeuvre(
        ((0, -14, LANE_M), (2.5, -6, LANE_M), (6, 0, 0)),
        ((0, 0, 0), (2.5, 4, LANE_M * 0.8), (5, 14, LANE_M)),
    ),
    # Parallel parking: past the bay, a look back, in reverse into it, forward a little, straight.
    "reverse": Manoeuvre(
        ((0, -14, LANE_M), (4, 5.5, LANE_M), (6, 5.5, LANE_M), (11, -0.6, 0.2), (12.5, -0.6, 0.2), (15, 0, 0)),
        ((0, 0, 0), (2, -0.7, 0), (5, 4, LANE_M * 0.8), (8, 14, LANE_M)),
    ),
    # Stops on the bay only at the second attempt: the field rises, falls and rises again.
    "hesitant": Manoeuvre(
        ((0, -14, LANE_M), (4, 0.8, 0.6), (7, 0.8, 0.6), (11, 6, LANE_M), (14, 6, LANE_M), (20, 0, 0)),
        ((0, 0, 0), (3, 1.5, 0.4), (8, 1.5, 0.4), (13, 14, LANE_M)),
    ),
    # Into a tight place, a hand's breadth at a time and with long looks in between; out of it likewise.
    "inching": Manoeuvre(
        (
            (0, -14, LANE_M), (4, -4.5, 1.6), (9, -4.5, 1.6), (12, -2.6, 0.7), (19, -2.6, 0.7),
            (22, -1.2, 0.2), (31, -1.2, 0.2), (33, -0.4, 0), (45, -0.4, 0), (46.5, 0, 0),
        ),
        (
            (0, 0, 0), (2, -0.8, 0), (9, -0.8, 0), (11, 0.3, 0.2), (17, 0.3, 0.2),
            (20, 2, 1.2), (26, 2, 1.2), (31, 14, LANE_M),
        ),
    ),
    # A rank moves up: from the place behind, where it stood unseen, and away ahead.
    "rank": Manoeuvre(((0, -6.5, 0), (4, 0, 0)), ((0, 0, 0), (3.5, 9, 0))),
    # Straight along the lane: who stops beside a bay and not on it.
    "lane": Manoeuvre(((0, -16, 0), (4, 0, 0)), ((0, 0, 0), (4, 16, 0))),
}  # fmt: skip


def position_m(way: tuple[Knot, ...], since_s: float) -> tuple[float, float]:
    """Where the vehicle is along and across, so long after the first knot."""
    before = way[0]
    for after in way[1:]:
        if since_s < after[0]:
            part = max(0.0, (since_s - before[0]) / (after[0] - before[0]))
            eased = part * part * (3 - 2 * part)
            return (before[1] + (after[1] - before[1]) * eased, before[2] + (after[2] - before[2]) * eased)
        before = after
    return (before[1], before[2])
