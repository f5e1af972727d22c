"""Is a vehicle standing on the bay? Magnetic field in, a verdict out whenever the field has come to rest.

A vehicle is iron: standing over the sensor it bends the earth's field by tens of microtesla, whichever way it is
parked. The detector keeps a baseline, the field of the empty bay. While something moves the field is restless and
nothing is decided; once SETTLE_SAMPLES samples in a row agree to within STILL_LSB on each axis, their mean is compared
with the baseline: farther than OCCUPIED_LSB is a vehicle, nearer than VACANT_LSB is none, and in between the earlier
verdict stands. A field that will not settle is judged after RESTLESS_SAMPLES all the same. The baseline follows slow
drift, and only while the bay is empty.

Fields are (x, y, z) in counts of NT_PER_LSB nanotesla (LIS2MDL: 150).
"""

NT_PER_LSB = 150
WAKE_LSB = 27  # 4 uT on one axis: what is worth waking for
OCCUPIED_LSB = 53  # 8 uT
VACANT_LSB = 33  # 5 uT
STILL_LSB = 14  # 2.1 uT peak to peak: five samples of the chip's noise (0.3 uT rms) stay inside
SETTLE_SAMPLES = 5
RESTLESS_SAMPLES = 100
_BASELINE_SHARE = 8  # a settled empty field moves the baseline by an eighth of the difference


class Verdict:
    """The field has settled.

    Attributes:
        occupied: a vehicle stands on the bay.
        changed: the verdict differs from the one before.
        confidence: 0.5 (at a threshold) to 0.99.
        deviation_t: distance from the baseline, in tesla.
        field: the settled field (x, y, z) in counts.
    """

    __slots__ = ("changed", "confidence", "deviation_t", "field", "occupied")


class Detector:
    """The verdict so far, and what it rests on."""

    def __init__(self, baseline=None, occupied=False):
        self.baseline = baseline  # None until the first settled field, taken with the bay empty (commissioning)
        self.occupied = occupied
        self._window = []
        self._restless = 0

    def sample(self, field):
        """Take one sample; return a `Verdict` if the field is at rest, else None."""
        self._window.append(field)
        if len(self._window) > SETTLE_SAMPLES:
            del self._window[0]
        self._restless += 1
        if len(self._window) < SETTLE_SAMPLES:
            return None
        if self._restless < RESTLESS_SAMPLES and any(max(axis) - min(axis) > STILL_LSB for axis in zip(*self._window)):
            return None
        return self._settled(tuple(round(sum(axis) / SETTLE_SAMPLES) for axis in zip(*self._window)))

    def disturbed(self):
        """Something moves again: decide afresh."""
        self._window = []
        self._restless = 0

    def _settled(self, field):
        if self.baseline is None:
            self.baseline = field
        deviation = distance(field, self.baseline)
        verdict = Verdict()
        verdict.field = field
        verdict.deviation_t = deviation * NT_PER_LSB * 1e-9
        verdict.occupied = deviation > (VACANT_LSB if self.occupied else OCCUPIED_LSB)
        verdict.changed = verdict.occupied != self.occupied
        verdict.confidence = _confidence(deviation, verdict.occupied)
        self.occupied = verdict.occupied
        if not verdict.occupied:
            self.baseline = tuple(b + (f - b) // _BASELINE_SHARE for f, b in zip(field, self.baseline))
        self.disturbed()
        return verdict


def distance(one, other):
    """Return the Euclidean distance of two fields in counts."""
    return sum((a - b) * (a - b) for a, b in zip(one, other)) ** 0.5


def _confidence(deviation, occupied):
    """How far beyond the threshold that would have said otherwise, in steps of a hundredth."""
    margin = deviation / VACANT_LSB - 1 if occupied else 1 - deviation / OCCUPIED_LSB
    return round(min(0.99, 0.5 + margin / 2), 2)
