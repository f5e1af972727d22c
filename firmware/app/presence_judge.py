"""What the field and the radar together say: the part of the presence detector that is loaded for a look.

Theory of operation; what the sensor feels and when it looks is told in `presence`, the empty bay's field in
`presence_baseline`.

What a look shows is told in `presence_radar`:

    FLOOR    something wide lies over the sensor: occupied, whatever the field
    NOTHING  nothing does: vacant, whatever the field; after three looks where the field is a vehicle's
    COVERED  water or snow on the lid: the radar cannot tell
    SILENT   it did not answer

What a film lets through is learned from what is seen: a floor behind it shows that the next one would be seen too
(`through`, for THROUGH_S), so that then nothing seen is NOTHING; a field beyond STRONG_LSB without an echo, that it
lets through no more.

Without the radar the field decides where it can. As long as it is what it was when the state was last confirmed, the
state stands. Beyond STRONG_LSB it is a vehicle's, whoever stands beside; within NONE_LSB nobody is there; and where a
vehicle stood, a quarter of its field is an empty bay. In between a covered sensor says BLIND. A radar that does not
answer at all is a fault and no weather: then the field decides by itself, with hysteresis.

Alarms. The earth has 22 to 65 uT (IGRF-14), the sensor's own steel up to 20, who stands beside or a plate 35: a field
beyond MAGNET_LSB with nothing above is a magnet's. A lorry's axle (300 A m2, 0.9 m) adds 82 to the first two: beyond
MAGNET_UNDER_LSB it is a magnet's, whatever is above or on the lid. (A ferrite disc of 0.05 A m2 makes 370 uT at 3 cm.)
It is looked for at every look, at rest or not, and gone below MAGNET_LSB; while it is there the field tells of no
vehicle, so that what the radar cannot see is BLIND. A sensor that is tilted, turned or taken away feels the same earth
from another side: with no floor above, a deviation beyond TILT_LSB (17 degrees in 48 uT, and more than who stands
beside can make) whose length has changed by a third of that at most. Then the baseline is learned anew. Below a vehicle
a turn of the sensor and a move of the vehicle change the field alike: a tilt there is told when the vehicle has left.
"""

from micropython import const

from app.presence import BLIND, OCCUPIED, RADAR, SAME_LSB, VACANT, squared
from app.presence_baseline import DRIFT_LSB, adapt, deviation_of, learn, length_of, root
from app.presence_radar import COVERED, FAINT, FLOOR, NOTHING, SILENT, look

SAME_MM = const(40)

NONE_LSB = const(7)
GONE_LSB = const(27)
STRONG_LSB = const(60)
FIELD_OCCUPIED_LSB = const(53)
FIELD_VACANT_LSB = const(33)
MAGNET_LSB = const(800)  # 120 uT
MAGNET_UNDER_LSB = const(1200)  # 180 uT: 167, and what a vehicle is magnetised for good
TILT_LSB = const(96)
LOOKS = const(3)
THROUGH_S = const(3600)  # a film dries in half an hour
STOOD_UNKNOWN_LSB = const(100)  # taken for the field of a vehicle that was there before the baseline
CHECK_S = const(2400)  # a bay that was judged wrongly is so for less than an hour
DOUBT_S = const(300)
TILT, MAGNET = const(1), const(2)
ALARMS = ("", "tilt", "magnet")


class Report:
    """A state, and why.

    Attributes:
        state: VACANT, OCCUPIED or BLIND.
        alarm: one of ALARMS.
        reason: one of pave_wire.reading.REASONS.
        confidence: that `state` is right, 0.52 to 0.96 in the wire's steps of 0.04.
        deviation: from the baseline, counts.
        at_ms: when that happened, as far as it is known.
    """

    __slots__ = ("alarm", "at_ms", "confidence", "deviation", "reason", "state")

    def __init__(self, state, alarm, reason, confidence, deviation, at_ms):
        self.state = state
        self.alarm = alarm
        self.reason = reason
        self.confidence = confidence
        self.deviation = deviation
        self.at_ms = at_ms


def judge(detector, peaks, near_edge, now_ms):
    """Decide on the field that is at rest and this answer of the radar, or ask for one more."""
    deviation = deviation_of(detector)
    seen, at_mm = look(peaks, near_edge)
    detector.looks += 1
    if seen == FAINT:
        if detector.looks == 1:
            detector.found_mm = at_mm
            detector.next = RADAR
            return
        same = abs(at_mm - detector.found_mm) <= SAME_MM
        seen = FLOOR if same and (deviation > NONE_LSB or not detector.known) else COVERED if near_edge else NOTHING
    seen = _through(detector, seen, near_edge, deviation, now_ms // 1000)
    if seen == NOTHING and detector.known and deviation > FIELD_OCCUPIED_LSB and detector.looks < LOOKS:
        detector.look_again()
        return
    detector.looks = 0
    _decide(detector, seen, deviation, now_ms)


def _through(detector, seen, near_edge, deviation, now_s):
    """What is seen, given what the film on the lid has let through of late; learn from it."""
    if now_s - detector.wet_s > THROUGH_S or not near_edge:
        detector.through = 0
    if not near_edge:
        return seen
    if seen == FLOOR:
        detector.through, detector.wet_s = 1, now_s
    elif seen == COVERED and deviation >= STRONG_LSB:
        detector.through = 0
    elif seen == COVERED and detector.through > 0:
        return NOTHING
    return seen


def say(detector, reason, at_ms, alarm=""):
    """Report the state as it stands, of `at_ms`."""
    if detector.said < VACANT:
        return
    deviation = detector.stood
    detector.reports.append(Report(detector.said, alarm, reason, _confidence(detector, deviation), deviation, at_ms))


def _decide(detector, seen, deviation, now_ms):
    x, y, z = detector.mean
    moved = squared(x - detector.wx, y - detector.wy, z - detector.wz)
    is_same = moved <= 4 * SAME_LSB * SAME_LSB
    state, sure = _verdict(detector, seen, deviation, is_same)
    alarm = _magnet(detector, seen)
    if detector.alarm and seen in (COVERED, SILENT):
        state, sure = BLIND, 0
    if seen == NOTHING and not detector.is_restless:
        alarm = alarm or _tilt(detector, deviation)
        adapt(detector, deviation, is_same, now_ms // 1000)
    elif seen == SILENT and not (detector.known or detector.alarm or detector.is_restless):
        learn(detector)
    changed, is_first = state != detector.said, detector.said < VACANT
    detector.said, detector.sure = state, sure
    if changed or seen == FLOOR:
        detector.in_vain = False
    detector.stood = deviation if detector.known else STOOD_UNKNOWN_LSB
    in_doubt = deviation > DRIFT_LSB if state == VACANT else deviation < DRIFT_LSB or not sure
    _look_next(detector, changed, in_doubt, now_ms // 1000)
    if changed:
        _say_change(detector, is_first, now_ms)
    if alarm:
        say(detector, "tilt", now_ms, ALARMS[alarm])
    detector.is_due = False
    detector.settle(now_ms)


def _say_change(detector, is_first, now_ms):
    """Who was found by the timer came or went at a time that nobody knows."""
    if is_first:
        say(detector, "boot", now_ms)
    elif detector.is_due:
        say(detector, "radar", now_ms)
    else:
        say(detector, "field", detector.rested_ms)


def _verdict(detector, seen, deviation, is_same):
    """The state, and whether it is sure."""
    if seen == FLOOR:
        return OCCUPIED, 1
    if seen == NOTHING:
        return VACANT, 1
    if seen == SILENT:
        limit = FIELD_VACANT_LSB if detector.said == OCCUPIED else FIELD_OCCUPIED_LSB
        return (OCCUPIED if deviation > limit else VACANT), 0
    if detector.sure and is_same:
        return detector.said, 1
    return _by_field(detector, deviation)


def _look_next(detector, changed, in_doubt, now_s):
    """Look again unasked: soon where there is doubt, then less and less often."""
    if not in_doubt:
        detector.period_s = CHECK_S
    elif changed or detector.period_s == CHECK_S:
        detector.period_s = DOUBT_S
    else:
        detector.period_s = min(CHECK_S - 1, 2 * detector.period_s)
    detector.check_s = now_s + detector.period_s


def _by_field(detector, deviation):
    """The state that the field alone allows, and whether it is beyond doubt."""
    if not detector.known:
        return BLIND, 0
    if deviation >= STRONG_LSB:
        return OCCUPIED, 1
    if deviation <= NONE_LSB:
        return VACANT, 1
    if detector.said == OCCUPIED and deviation < GONE_LSB and 4 * deviation <= detector.stood:
        return VACANT, 0
    return BLIND, 0


def _magnet(detector, seen):
    """Return MAGNET if one begins now, else 0."""
    strength = squared(*detector.mean)
    if strength <= MAGNET_LSB * MAGNET_LSB:
        detector.alarm = 0
    elif not detector.alarm and (seen == NOTHING or strength > MAGNET_UNDER_LSB * MAGNET_UNDER_LSB):
        detector.alarm = MAGNET
        return MAGNET
    return 0


def _tilt(detector, deviation):
    """Return TILT, with a new baseline, if the sensor lies otherwise than before, else 0. Nobody stands above."""
    if detector.alarm or not detector.known or deviation < TILT_LSB:
        return 0
    strength = root(squared(*detector.mean))
    if 3 * abs(strength - length_of(detector)) > deviation:
        return 0
    learn(detector)
    return TILT


def _confidence(detector, deviation):
    if detector.said == BLIND:
        return 0.52
    against = deviation < DRIFT_LSB if detector.said == OCCUPIED else deviation > DRIFT_LSB
    if detector.sure:
        return 0.8 if against else 0.96
    return 0.6 if against else 0.76
