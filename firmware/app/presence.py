"""Is a vehicle standing on the bay? Magnetic field in, a verdict out whenever the field has come to rest.

A vehicle is iron: standing over the sensor it bends the earth's field by tens of microtesla, whichever way it is
parked. The detector keeps a baseline, the field of the empty bay. While something moves the field is restless and
nothing is decided; once SETTLE_SAMPLES samples in a row agree to within STILL_LSB on each axis, their mean is compared
with the baseline: farther than OCCUPIED_LSB is a vehicle, nearer than VACANT_LSB is none, and in between the earlier
verdict stands. A field that will not settle is judged after RESTLESS_SAMPLES all the same.

The verdict says what to watch next (`watch`, WAKE_LSB on any axis). An empty bay is watched from its baseline, so that
no vehicle can arrive in steps too small to notice: OCCUPIED_LSB over three axes is at least 30 on one of them. An
occupied one is watched from the field as it is with the vehicle. A settled empty field takes the baseline half-way
along, so slow drift is followed and what is watched comes to rest.

Fields are (x, y, z) in counts of NT_PER_LSB nanotesla (LIS2MDL: 150).
"""

NT_PER_LSB = 150
WAKE_LSB = 27  # 4 uT on one axis: what is worth waking for
OCCUPIED_LSB = 53  # 8 uT
VACANT_LSB = 33  # 5 uT
STILL_LSB = 14  # 2.1 uT peak to peak: five samples of 0.3 uT rms stay inside
SETTLE_SAMPLES = 5
RESTLESS_SAMPLES = 100
EARTH_MIN_LSB, EARTH_MAX_LSB = 147, 433  # 22 to 65 uT: the earth's field anywhere (IGRF); outside it is no empty bay


class Verdict:
    """The field has settled.

    Attributes:
        occupied: a vehicle stands on the bay.
        changed: the verdict differs from the one before.
        confidence: 0.5 (at a threshold) to 0.99.
        deviation_t: distance from the baseline, in tesla.
        watch: the field (x, y, z) in counts from which a movement is to be noticed.
    """

    __slots__ = ("changed", "confidence", "deviation_t", "occupied", "watch")


class Detector:
    """The verdict so far, and what it rests on.

    Args:
        baseline: field of the empty bay; None until the first settled plausible field, taken with the bay empty.
        occupied: the verdict before.
    """

    def __init__(self, baseline=None, occupied=False):
        self.baseline = baseline
        self.occupied = occupied
        self._window = []
        self._restless = 0

    def sample(self, field):
        """Take one sample; return a `Verdict` if there is one, else None."""
        self._window.append(field)
        if len(self._window) > SETTLE_SAMPLES:
            del self._window[0]
        self._restless += 1
        if len(self._window) < SETTLE_SAMPLES:
            return None
        still = all(max(axis) - min(axis) <= STILL_LSB for axis in zip(*self._window))
        mean = tuple(round(sum(axis) / SETTLE_SAMPLES) for axis in zip(*self._window))
        if self.baseline is None:
            if not still or not EARTH_MIN_LSB <= distance(mean, (0, 0, 0)) <= EARTH_MAX_LSB:
                return None
            self.baseline = mean
        if not still and self._restless < RESTLESS_SAMPLES:
            return None
        return self._settled(mean, still)

    def disturbed(self):
        """Something moves again: decide afresh."""
        self._window = []
        self._restless = 0

    def _settled(self, field, still):
        baseline = self.baseline or field  # `sample` comes here with one only
        deviation = distance(field, baseline)
        verdict = Verdict()
        verdict.deviation_t = deviation * NT_PER_LSB * 1e-9
        verdict.occupied = deviation > (VACANT_LSB if self.occupied else OCCUPIED_LSB)
        verdict.changed = verdict.occupied != self.occupied
        verdict.confidence = _confidence(deviation, verdict.occupied)
        self.occupied = verdict.occupied
        if still and not verdict.occupied:
            self.baseline = tuple(b + round((f - b) / 2) for f, b in zip(field, baseline))
        verdict.watch = field if verdict.occupied else self.baseline
        self.disturbed()
        return verdict


def distance(one, other):
    """Return the Euclidean distance of two fields in counts."""
    return sum((a - b) * (a - b) for a, b in zip(one, other)) ** 0.5


def _confidence(deviation, occupied):
    """How far beyond the threshold that would have said otherwise, in steps of a hundredth."""
    margin = deviation / VACANT_LSB - 1 if occupied else 1 - deviation / OCCUPIED_LSB
    return round(min(0.99, max(0.5, 0.5 + margin / 2)), 2)
