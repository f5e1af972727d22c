"""The field of the empty bay: learned, followed, and what it is at another temperature.

Theory of operation. The baseline is learned when the radar first sees no floor, and adapted then only: by a quarter
while within DRIFT_LSB, more than wander and the sun on the road make between two looks, and taken anew when a larger
field has been steady for WORKS_S, as beside a plate or after road works. It is kept with its temperature; the slope (up
to SLOPE_MAX, 0.15 uT/K: the sensor's own and that of what it is built into) is learned from changes of SLOPE_STEP_K.
"""

from micropython import const

from app.presence import squared

DRIFT_LSB = const(20)
WORKS_S = const(3600)
SLOPE_MAX = const(256)  # 1/256 count a degree
SLOPE_STEP_K = const(3)
SLOPE_RIDGE = const(16)  # K2: a slope is believed as far as it has been tried
EIGHTHS = const(8)


def deviation_of(detector):
    """Return how far the field is from the baseline at this temperature, in counts; 0 without a baseline."""
    if not detector.known:
        return 0
    x, y, z = detector.mean
    bx, by, bz = expected(detector)
    return root(squared(8 * x - bx, 8 * y - by, 8 * z - bz)) // EIGHTHS


def expected(detector):
    """Return the baseline at this temperature, in eighths of a count."""
    warmer = detector.celsius - detector.bt
    least = detector.ss + SLOPE_RIDGE
    return tuple(
        [
            base + max(-SLOPE_MAX, min(SLOPE_MAX, total * 256 // least)) * warmer * EIGHTHS // 256
            for base, total in ((detector.bx, detector.sx), (detector.by, detector.sy), (detector.bz, detector.sz))
        ]
    )


def adapt(detector, deviation, is_same, now_s):
    """The bay is empty and the field at rest: follow it."""
    if detector.alarm:
        return
    if not detector.known:
        learn(detector)
        return
    if deviation <= DRIFT_LSB:
        detector.beside_s = 0
        _learn_slope(detector)
        x, y, z = detector.mean
        bx, by, bz = expected(detector)
        detector.bx, detector.by, detector.bz = bx + (8 * x - bx) // 4, by + (8 * y - by) // 4, bz + (8 * z - bz) // 4
        detector.bt = detector.celsius
    elif not detector.beside_s or not is_same:
        detector.beside_s = now_s
    elif now_s - detector.beside_s >= WORKS_S:
        learn(detector)


def learn(detector):
    """Take the field as the baseline."""
    x, y, z = detector.mean
    detector.bx, detector.by, detector.bz, detector.bt = 8 * x, 8 * y, 8 * z, detector.celsius
    detector.ax, detector.ay, detector.az, detector.at = x, y, z, detector.celsius
    detector.known = 1
    detector.beside_s = 0


def _learn_slope(detector):
    warmer = detector.celsius - detector.at
    if abs(warmer) < SLOPE_STEP_K:
        return
    x, y, z = detector.mean
    detector.sx = detector.sx * 7 // 8 + (x - detector.ax) * warmer
    detector.sy = detector.sy * 7 // 8 + (y - detector.ay) * warmer
    detector.sz = detector.sz * 7 // 8 + (z - detector.az) * warmer
    detector.ss = detector.ss * 7 // 8 + warmer * warmer
    detector.ax, detector.ay, detector.az, detector.at = x, y, z, detector.celsius


def root(value):
    """Return the integer square root of a number below 2**40, by Newton's method."""
    if value < 2:
        return value
    guess = 1
    while guess * guess < value:
        guess <<= 1
    while True:
        better = (guess + value // guess) >> 1
        if better >= guess:
            return guess
        guess = better


def length_of(detector):
    """Return the baseline's length, in counts."""
    return root(squared(detector.bx, detector.by, detector.bz)) // EIGHTHS
