"""How bright a kiosk's screen is: lux in, percent out, in steps that nobody sees. Pure logic.

The eye is nearly logarithmic, so brightness follows the logarithm of the light: `night_percent` at NIGHT_LX and below,
`day_percent` at DAY_LX and above, evenly by octaves between. It is night when the light stayed below NIGHT_LX for
DWELL_MS, and day when it stayed above DAWN_LX for as long: headlights, a hand, a lamp that flickers change neither. A
sensor that fails leaves the screen at `day_percent`: too bright at night is better than black in the sun.

From one brightness to another it goes by STEP_PERCENT every STEP_MS. A new one that is less than BAND_PERCENT away is
not taken.
"""

NIGHT_LX = 10  # a street at night has 5 to 15 lx (EN 13201-2, classes M and P)
DAWN_LX = 25
DAY_LX = 2000  # shade on a bright day
DWELL_MS = 60_000
STEP_PERCENT = 2
STEP_MS = 50
BAND_PERCENT = 8


class LightControl:
    """The brightness of one screen.

    Attributes:
        percent: what it is, 0 to 100: to be set after each `step`.
        target_percent: what it is to become.
        is_night: whether colours for the night are shown.
        day_percent, night_percent: see above; set at any time.
    """

    def __init__(self, day_percent, night_percent):
        self.day_percent = day_percent
        self.night_percent = night_percent
        self.percent = 0
        self.target_percent = day_percent
        self.is_night = False
        self._other_since_ms = None

    def update(self, lux, now_ms):
        """Take the light on the screen, None where it is not known."""
        self._turn(lux, now_ms)
        wanted = self._wanted(lux)
        is_end = wanted in (self.day_percent, self.night_percent)
        if abs(wanted - self.target_percent) >= BAND_PERCENT or (is_end and wanted != self.target_percent):
            self.target_percent = wanted

    def step(self):
        """Go one step towards the target; return after how many ms to go on, None when it is reached."""
        away = self.target_percent - self.percent
        self.percent += max(-STEP_PERCENT, min(STEP_PERCENT, away))
        return None if self.percent == self.target_percent else STEP_MS

    def _turn(self, lux, now_ms):
        if lux is None:
            is_other = self.is_night
        else:
            is_other = lux > DAWN_LX if self.is_night else lux < NIGHT_LX
        if not is_other:
            self._other_since_ms = None
        elif self._other_since_ms is None:
            self._other_since_ms = now_ms
        elif now_ms - self._other_since_ms >= DWELL_MS:
            self._other_since_ms = None
            self.is_night = not self.is_night

    def _wanted(self, lux):
        if self.is_night:
            return self.night_percent
        if lux is None or lux >= DAY_LX:
            return self.day_percent
        octaves = part = 0
        level = NIGHT_LX
        while level * 2 <= lux:
            level *= 2
            octaves += 1
        if lux > level:
            part = lux / level - 1  # between two octaves, straight
        share = (octaves + part) / _OCTAVES
        return int(self.night_percent + (self.day_percent - self.night_percent) * min(1, share))


_OCTAVES = 7.6  # from NIGHT_LX to DAY_LX: log2(200)
