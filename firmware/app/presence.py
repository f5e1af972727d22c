"""Is a vehicle standing on the bay? The part that runs at every wake-up; `presence_judge` is loaded for a look.

Theory of operation. Fields are vectors in counts of 150 nT (LIS2MDL, DS12144 table 2), and nothing assumes that an axis
is vertical: a sensor is laid as it comes out of its box, and no road is level.

What a magnetometer can tell. A vehicle is some 0.1 A m2 a kg of steel, most of it induced along the earth's field: a
moment m of 30 to 1,000 A m2. A dipole's field is at most mu0/4pi 2 m / r3: under a car (130 A m2, 1 m) 10 to
60 uT, under an aluminium body or a high chassis 2 to 10. A lorry of 800 A m2 that stops in the lane 2.5 m beside a
sensor and 1.5 m above it makes up to 7 uT; at 2 m, up to 10. So between 2 and 12 uT no threshold tells who stands here
from who stands beside. Nor does the field tell a vehicle from a steel plate, or from the return current of a DC metro
or tramway (1,000 A in a loop of 0.5 m, 10 m away: 1 uT, rising and falling within half a minute).

What the radar can tell. A floor 0.12 to 0.75 m above the road lies over the sensor, or none does; who stands beside is
never seen. A look takes some 15 mJ, a seventh of the wake-up that it belongs to. So the field says when to look, the
radar what is there, and the field again where the radar is covered.

When to look. The interrupt is armed `threshold` counts around the field as it last came to rest (`watch`), so neither
drift nor a neighbour who stays makes it fire again. Awake, samples are taken until STILL_SAMPLES in a row agree to
within STILL_LSB (with noise of 2 counts rms five samples spread over 9 counts in 99 of 100). If the field is back
within SAME_LSB of what was watched, somebody has passed: nothing is asked, nothing said. Otherwise, and on the timer,
and when there is no verdict, the radar is asked. A field that does not rest within RESTLESS_SAMPLES is judged as it is;
after RESTLESS_LOOKS of that the interrupt is left off for HOLD_OFF_S, doubled each time.

How much to notice. Waking costs about 0.1 J and 2,000 vehicles pass a day, so the threshold follows what passes: each
wake-up for nothing raises it by RAISE_LSB, and it falls by a count in CALM_S. Where the field is quiet it rests at
VACANT_LSB; a busy street finds itself at about one wake-up for nothing in RAISE_LSB * CALM_S. It never exceeds
BUSY_LSB, so that no vehicle of 10 uT comes unnoticed, which is 5.8 uT on one axis at least. Around a parked vehicle it
is a share of that vehicle's field, for that is what its leaving takes away.
"""

from micropython import const

NT_PER_LSB = 150
SAMPLE, RADAR, SLEEP = 0, 1, 2
VACANT, OCCUPIED, BLIND = 0, 1, 2

PERIOD_MS = const(100)
STILL_LSB = const(14)
STILL_SAMPLES = const(5)
SAME_LSB = const(6)  # 0.9 uT: seven times the noise of a mean of five
RESTLESS_SAMPLES = const(50)
RESTLESS_LOOKS = const(2)
HOLD_OFF_S = const(15)
HOLD_OFF_DOUBLINGS = const(3)
VACANT_LSB = const(12)
OCCUPIED_LSB = const(10)  # around a weak vehicle: its leaving may change the field by no more
BUSY_LSB = const(27)
STANDING_LSB = const(40)  # around a strong one
RAISE_LSB = const(2)
CALM_S = const(240)
WEAK_LSB = const(27)  # 4 uT: a vehicle so weak may leave without changing the field by much

_FIRST = (-1,) + (0,) * 27  # nothing has been said yet


class Detector:
    """One wake-up's detector; `benchmarks.detection` tells what whoever drives it does.

    Args:
        state: what `state()` gave before the sleep; None at power-on: then the baseline is learned as soon as the
            radar sees no vehicle.

    Attributes:
        next: SAMPLE, RADAR or SLEEP, what it wants.
        watch, threshold, until_ms: for SLEEP: the field to arm the interrupt around or None, counts on any axis, and
            when to wake at latest.
        reports: what it has to say, each a `presence_judge.Report`; the caller takes them out.
    """

    def __init__(self, state=None):
        # What outlives a sleep; `state` has it in the same order.
        # said: what was reported last; sure: the radar or a field beyond doubt has confirmed it for what is watched;
        # wx to wz: what is watched; raised: how far the threshold is, in counts * CALM_S, when woken last (woken_s);
        # holds: times in a row that the field did not rest; check_s, period_s: when to look unasked, and how often
        (self.said, self.sure, self.wx, self.wy, self.wz, self.raised, self.woken_s, self.holds, self.check_s,
         self.period_s,
        # stood: deviation when judged last; through: a floor was seen through the film on the lid, when
        # last (wet_s);
        # known: there is a baseline, bx to bz, eighths of a count at bt degrees; beside_s: since when a field that is
        # no vehicle's has been steady, 0 if none is; alarm: the one that holds
         self.stood, self.through, self.known, self.bx, self.by, self.bz, self.bt, self.beside_s, self.alarm,
        # ax to az, at: field and degrees from which the temperature's slope is measured next; sx to sz, ss: sums of
        # changes of field times temperature, and of temperature squared
         self.ax, self.ay, self.az, self.at, self.sx, self.sy, self.sz, self.ss, self.wet_s,
        ) = state or _FIRST  # fmt: skip
        self.next = SAMPLE
        self.watch = None
        self.threshold = 0
        self.until_ms = 0
        self.reports = []
        self.looks = 0  # of the radar, since the field was judged last
        self.found_mm = 0  # where the first of them saw a faint echo
        self.mean = (0, 0, 0)  # the field that is judged, and since when it rests
        self.rested_ms = 0
        self.celsius = 0
        self.is_due = False
        self.in_vain = True
        self.is_restless = False
        self._by_interrupt = False
        self._judged = 0
        self._window = [0] * 9  # sums, least and greatest of x, y, z
        self._begin()

    def state(self):
        """Return all it needs after a sleep: a flat tuple of integers, each within signed 32 bits."""
        return (
            self.said, self.sure, self.wx, self.wy, self.wz, self.raised, self.woken_s, self.holds, self.check_s,
            self.period_s, self.stood, self.through, self.known, self.bx, self.by, self.bz, self.bt, self.beside_s,
            self.alarm, self.ax, self.ay, self.az, self.at, self.sx, self.sy, self.sz, self.ss, self.wet_s,
        )  # fmt: skip

    def woken(self, cause, now_ms):
        """Begin a wake-up; `cause` is "power-on", "interrupt" or "timer"."""
        self._by_interrupt = cause == "interrupt"
        self.is_due = not self._by_interrupt and now_ms // 1000 + 2 >= self.check_s
        self.next = SAMPLE

    def sampled(self, field, celsius, now_ms):
        """Take the sample that was asked for: (x, y, z) in counts, and whole degrees."""
        self._samples += 1
        self.celsius = celsius
        if self._is_still(field):
            self.holds = 0
            self.is_restless = False
            window = self._window
            self.mean = tuple([_rounded(window[axis], STILL_SAMPLES) for axis in (0, 1, 2)])
            self.rested_ms = now_ms - (STILL_SAMPLES - 1) * PERIOD_MS
            self._came_to_rest(now_ms)
        elif self._samples >= RESTLESS_SAMPLES:
            self.is_restless = True
            self.mean = field
            self.rested_ms = now_ms
            self.next = RADAR

    def ranged(self, peaks, near_edge, now_ms):
        """Take the radar's answer: ((mm, dB/1000), ...) or None; whether something lies nearer than it can see."""
        from app import presence_judge  # only here: most wake-ups do without

        presence_judge.judge(self, peaks, near_edge, now_ms)

    def relearn(self, now_ms):
        """Forget the baseline; call it in a wake-up: the next look that shows no vehicle gives a new one."""
        self.known = self.sure = self.alarm = self.beside_s = self.ss = 0
        self.check_s = now_ms // 1000

    def say(self, reason, now_ms):
        """Report the state as it stands, for `reason` (one of pave_wire.reading.REASONS), such as a heartbeat.

        Nothing before the first verdict: `reports` stays empty, and the caller, to whom the word is still due, asks
        again at its next wake-up. The first verdict is a report by itself, "boot".
        """
        from app import presence_judge

        presence_judge.say(self, reason, now_ms)

    def look_again(self):
        """Ask the radar once more, a sample later."""
        self._begin()
        self.next = SAMPLE

    def settle(self, now_ms):
        """The field has been judged: sleep around it, or go on while it moves."""
        if not self.is_restless:
            self.sleep(self.mean, now_ms)
            return
        self._judged += 1
        self._begin()
        self.next = SAMPLE
        if self._judged >= RESTLESS_LOOKS:
            self.sleep(None, now_ms)
            self.until_ms = min(self.until_ms, now_ms + (HOLD_OFF_S * 1000 << min(self.holds, HOLD_OFF_DOUBLINGS)))
            self.holds += 1

    def sleep(self, watch, now_ms):
        """Sleep until the field leaves `watch`; None: by the timer only."""
        if watch is not None:
            self.wx, self.wy, self.wz = watch
        self._follow(now_ms // 1000)
        self.next = SLEEP
        self.watch = watch
        self.threshold = self._threshold()
        self.until_ms = self.check_s * 1000

    def _begin(self):
        self._samples = 0
        self._in_a_row = 0

    def _is_still(self, field):
        """Whether this sample completes STILL_SAMPLES that agree."""
        window = self._window
        for axis in (0, 1, 2):
            value = field[axis]
            if self._in_a_row and (value - window[3 + axis] > STILL_LSB or window[6 + axis] - value > STILL_LSB):
                self._in_a_row = 0
        self._in_a_row += 1
        first = self._in_a_row == 1
        for axis in (0, 1, 2):
            value = field[axis]
            window[axis] = value if first else window[axis] + value
            window[3 + axis] = value if first else min(value, window[3 + axis])
            window[6 + axis] = value if first else max(value, window[6 + axis])
        if self._in_a_row < STILL_SAMPLES:
            return False
        self._in_a_row = 0
        return True

    def _came_to_rest(self, now_ms):
        if self.is_due or self.looks or not self.known or self.said == BLIND or self._is_elsewhere():
            self.next = RADAR
        else:
            self.sleep(self.mean, now_ms)

    def _is_elsewhere(self):
        """Whether the field is not what it was, or a vehicle may have left without a trace."""
        x, y, z = self.mean
        if squared(x - self.wx, y - self.wy, z - self.wz) > SAME_LSB * SAME_LSB:
            return True
        return self._by_interrupt and self.said == OCCUPIED and self.stood < WEAK_LSB

    def _follow(self, now_s):
        """Let the threshold fall with time, and rise if this wake-up was for nothing."""
        raised = max(0, self.raised - max(0, now_s - self.woken_s))
        if self._by_interrupt and self.in_vain:
            raised = min(raised + RAISE_LSB * CALM_S, (BUSY_LSB - VACANT_LSB) * CALM_S)
        self.raised = raised
        self.woken_s = now_s

    def _threshold(self):
        raised = self.raised // CALM_S
        if self.said != OCCUPIED:
            return VACANT_LSB + raised
        least = max(OCCUPIED_LSB, self.stood * 3 // 8)
        return min(STANDING_LSB, least + min(raised, least))


def squared(x, y, z):
    """Return the square of a vector's length."""
    return x * x + y * y + z * z


def _rounded(value, by):
    return (2 * value + by) // (2 * by)
