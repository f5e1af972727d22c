from checks import raised

from app.wifi_profiles import NOT_FOUND, WRONG_KEY, WifiProfiles
from pave_wire import shadow
from pave_wire.errors import ModelError

FLASHED = ("libre", "eight chars")
OFFER = {0: 3, 1: "new", 2: "other chars", 3: True}


class Kept:
    value = None

    def __call__(self, value):
        self.value = value


def made(kept=None):
    kept = kept or Kept()
    return WifiProfiles(FLASHED, kept.value, kept), kept


def test_the_flashed_profile_is_used_until_another_is_offered():
    profiles, _ = made()
    assert profiles.next() == (0, "libre", "eight chars") and not profiles.offers()
    assert profiles.reported() == {0: 0, 1: [0]}


def test_an_offered_profile_is_tried_once_and_in_use_when_it_led_to_the_gateway():
    profiles, kept = made()
    profiles.desired(OFFER)
    assert profiles.offers() and profiles.is_news and profiles.next() == (3, "new", "other chars")
    again, _ = made(kept)
    assert again.offers(), "a power cut between the two"
    again.reached(3)
    assert again.reported() == {0: 3, 1: [0, 3]} and not again.offers()
    assert made(kept)[0].next()[0] == 3


def test_an_offered_profile_that_fails_is_reported_and_not_tried_again():
    profiles, kept = made()
    profiles.desired(OFFER)
    profiles.failed(3, WRONG_KEY)
    assert profiles.next()[0] == 0 and profiles.reported() == {0: 0, 1: [0, 3], 2: 3, 3: WRONG_KEY}
    shadow.check_reported_wifi(profiles.reported())
    profiles.reached(0)
    profiles.desired(OFFER)
    assert not profiles.offers() and made(kept)[0].next()[0] == 0


def test_when_the_one_in_use_fails_the_other_is_tried():
    profiles, _ = made()
    profiles.desired(OFFER)
    profiles.failed(3, NOT_FOUND)
    seen = []
    for _ in range(4):
        number = profiles.next()[0]
        seen.append(number)
        profiles.failed(number, NOT_FOUND)
    assert seen == [0, 3, 0, 3]
    profiles.reached(3)
    assert profiles.reported()[0] == 3 and 2 not in profiles.reported()


def test_nothing_is_forgotten_but_on_the_gateways_word_about_the_one_in_use():
    profiles, kept = made()
    profiles.desired(dict(OFFER))
    alone = dict(OFFER)
    alone[3] = False
    profiles.desired(alone)
    assert profiles.reported()[1] == [0, 3], "it is not in use"
    profiles.reached(3)
    profiles.desired(alone)
    assert profiles.reported() == {0: 3, 1: [3]} and made(kept)[0].next()[0] == 3


def test_what_cannot_be_is_refused_and_nothing_changes():
    profiles, kept = made()
    for value in ({0: 9, 3: True}, {0: 0, 1: "libre", 2: "another key", 3: True}):
        raised(ModelError, profiles.desired, value)
    assert kept.value is None and profiles.reported() == {0: 0, 1: [0]}
    for number in range(1, 4):
        profiles.desired({0: number, 1: "n%d" % number, 2: "eight chars", 3: True})
    raised(ModelError, profiles.desired, {0: 4, 1: "one too many", 2: "eight chars", 3: True})


def test_memory_that_is_damaged_leaves_the_flashed_profile():
    kept = Kept()
    for value in (b"", b"\xff", b"\x80", b"\x85\xa0\x00\xf6\xf6\x00"):
        kept.value = value
        assert made(kept)[0].next()[0] == 0
