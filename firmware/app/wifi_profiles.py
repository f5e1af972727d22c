"""The Wi-Fi credentials of a device, which rotate without stranding it (`pave_wire.shadow`): pure logic.

Profiles are numbered; 0 is the one that was flashed. One is in use: the one by which the gateway was reached last.

    what                                             then
    -----------------------------------------------  ----------------------------------------------------------------
    the gateway offers a profile that is not known   it is kept, and tried once, at the next connection
    it leads to the gateway                          it is in use from then on
    it does not                                      the one in use is taken again; the failure is reported
    the one in use fails                             each of the others is tried in turn, and it again
    the gateway says: this one alone (3 is false)    the others are forgotten, if this is the one in use

So nothing is forgotten before something else has worked, whatever the gateway says. Every change is kept (`keep`)
before it takes effect; a device that loses its power on the way tries again or has the proof already.
"""

from pave_wire import cbor
from pave_wire.errors import ModelError, WireError

PROFILE, SSID, KEY, KEEP = 0, 1, 2, 3  # of the desired map
IN_USE, KNOWN, FAILED, WHY = 0, 1, 2, 3  # of the reported one
NOT_FOUND, WRONG_KEY, NO_ADDRESS, NO_GATEWAY = 0, 1, 2, 3  # index in shadow.WIFI_FAILURES
PROFILES_MAX = 4


class WifiProfiles:
    """The profiles of one device.

    Args:
        flashed: (SSID, key) of profile 0.
        kept: bytes that `keep` was given last, None for none.
        keep: function of the bytes to store durably; raises OSError.

    Attributes:
        is_news: something is to be reported; who reports sets it back.
    """

    def __init__(self, flashed, kept, keep):
        self._keep = keep
        self._profiles = {0: tuple(flashed)}
        self._in_use = 0
        self._failed = None
        self._why = 0
        self._untried = None  # the profile that was offered last
        self._turn = 0  # how many connections have failed in a row
        self.is_news = False
        if kept is not None:
            self._load(kept)

    def offers(self):
        """Return whether there is a profile to try at once, though the one in use may be well."""
        return self._untried is not None

    def next(self):
        """Return (number, SSID, key) to connect with now."""
        number = self._untried
        if number is None:
            others = [each for each in sorted(self._profiles) if each != self._in_use]
            turns = [self._in_use] + others
            number = turns[self._turn % len(turns)]
        return (number,) + self._profiles[number]

    def reached(self, number):
        """Take note that `number` led to the gateway."""
        self._turn = 0
        if number != self._in_use or number == self._untried:
            self._in_use = number
            if self._failed == number:
                self._failed = None
            self._changed(None if number == self._untried else self._untried)

    def failed(self, number, why):
        """Take note that `number` did not lead to the gateway, as in WIFI_FAILURES."""
        if number == self._untried:
            self._failed, self._why = number, why
            self._changed(None)
        elif len(self._profiles) > 1:
            self._turn += 1

    def desired(self, value):
        """Take what the gateway wants (`shadow.check` has seen it).

        Raises:
            ModelError: a profile without credentials that is not known, other credentials for the one in use, too many.
            OSError: it could not be kept; nothing has changed.
        """
        number = value[PROFILE]
        pair = (value[SSID], value[KEY]) if SSID in value else self._profiles.get(number)
        if pair is None:
            raise ModelError("Wi-Fi profile %d is not known here" % number)
        profiles, untried = dict(self._profiles), self._untried
        if profiles.get(number) != pair:
            if number == self._in_use:
                raise ModelError("Wi-Fi profile %d is in use" % number)
            if len(profiles) >= PROFILES_MAX:
                raise ModelError("%d Wi-Fi profiles; at most %d" % (len(profiles) + 1, PROFILES_MAX))
            profiles[number] = pair
            untried = number
        if not value[KEEP] and number == self._in_use:
            profiles, untried = {number: pair}, None
        if profiles != self._profiles:
            self._keep(self._packed(profiles, untried))
            self._profiles, self._untried = profiles, untried
            self.is_news = True

    def reported(self):
        """Return the map for the report."""
        value = {IN_USE: self._in_use, KNOWN: sorted(self._profiles)}
        if self._failed is not None:
            value[FAILED] = self._failed
            value[WHY] = self._why
        return value

    def _changed(self, untried):
        self._keep(self._packed(self._profiles, untried))
        self._untried = untried
        self.is_news = True

    def _packed(self, profiles, untried):
        pairs = {number: list(pair) for number, pair in profiles.items()}
        return cbor.dumps([pairs, self._in_use, untried, self._failed, self._why])

    def _load(self, kept):
        try:
            pairs, in_use, untried, failed, why = cbor.loads(kept)
            profiles = {number: (pair[0], pair[1]) for number, pair in pairs.items()}
            if in_use not in profiles or untried not in (None,) + tuple(profiles):
                raise ValueError("no profile in use")
        except (WireError, ValueError, TypeError, IndexError, AttributeError) as error:
            print("Wi-Fi profiles in NVS not understood, the one as flashed holds:", type(error).__name__)
            return
        if 0 in profiles:
            profiles[0] = self._profiles[0]  # flashed anew, perhaps
        self._profiles, self._in_use = profiles, in_use
        self._untried, self._failed, self._why = untried, failed, why
