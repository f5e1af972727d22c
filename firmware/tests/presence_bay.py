"""A bay around a presence detector: what its sensor feels and sees is set by the test, and time passes as it would."""

from app.presence import RADAR, SAMPLE, Detector

EMPTY = (140, 4, 286)  # Paris, in counts of 150 nT
CAR = (60, 90, 380)
FLOOR = ((200, 20000),)
PERSON = ((130, 7700), (530, -4500))
SAMPLES_MAX = 300
NOISE = ((0, 2, -1), (2, -1, 1), (-2, 0, 2), (1, -2, -2), (-1, 1, 0))


class Bay:
    """One sensor. Set `field`, `peaks` and `near_edge`; `moving` makes the field swing by so many counts."""

    def __init__(self):
        self.now_ms = 10_000
        self.field, self.peaks, self.near_edge = EMPTY, (), False
        self.moving = 0
        self.celsius = 15
        self.state = None
        self.looks = 0
        self.samples = 0
        self.said = []
        self.detector = None
        self.wake("power-on")

    def wake(self, cause="interrupt"):
        """Live from a wake-up until the detector sleeps; return what it reported."""
        detector = self.detector = Detector(self.state)
        detector.woken(cause, self.now_ms)
        self.looks = self.samples = 0
        while detector.next in (SAMPLE, RADAR):
            self.now_ms += 100
            if detector.next == SAMPLE:
                detector.sampled(self._sample(), self.celsius, self.now_ms)
            else:
                self.looks += 1
                detector.ranged(self.peaks, self.near_edge, self.now_ms)
        self.state = detector.state()
        reports = list(detector.reports)
        self.said += [report.state for report in reports if not report.alarm]
        return reports

    def becomes(self, field, peaks, near_edge=False):
        """Change what there is; wake up if the interrupt says so. Return what was reported."""
        self.field, self.peaks, self.near_edge = field, peaks, near_edge
        return self.wake() if self.is_raised() else []

    def is_raised(self):
        """Whether the interrupt would be raised by the field at rest."""
        watch = self.detector.watch
        if watch is None:
            return False
        return max([abs(f - w) for f, w in zip(self.field, watch)]) > self.detector.threshold

    def passes(self, count=1, every_s=20):
        """Vehicles pass: the field is away from rest and comes back before it can be looked at."""
        for _ in range(count):
            self.now_ms += every_s * 1000
            self.wake()

    def wait(self, for_s):
        """Sleep through, with the timer's wake-ups."""
        until_ms = self.now_ms + for_s * 1000
        reports = []
        while self.detector.until_ms < until_ms:
            self.now_ms = max(self.now_ms + 1000, self.detector.until_ms)
            reports += self.wake("timer")
        self.now_ms = max(self.now_ms, until_ms)
        return reports

    def _sample(self):
        self.samples += 1
        assert self.samples < SAMPLES_MAX, "the detector does not go to sleep"
        noise = NOISE[self.samples % 5]
        swing = self.moving if self.samples % 2 else -self.moving
        return tuple([f + n + swing for f, n in zip(self.field, noise)])


def plus(one, other):
    """The sum of two fields."""
    return tuple([a + b for a, b in zip(one, other)])
