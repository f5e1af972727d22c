from app import kiosk

COUNTS = {"delivery": (12, 24), "taxi": (3, 12), "disabled": (7, 14)}
WIDTH_PX = 128


class Screen:
    """Records what is drawn, by the calls of framebuf.FrameBuffer."""

    def __init__(self):
        self.texts = []

    def fill(self, colour):
        self.texts = []

    def text(self, text, x, y, colour=1):
        assert 0 <= x and x + 8 * len(text) <= WIDTH_PX and 0 <= y <= 56, (text, x, y)
        self.texts.append(text)

    def hline(self, x, y, width, colour):
        pass

    def fill_rect(self, x, y, width, height, colour):
        pass


def drawn(availability, now_ms):
    screen = Screen()
    kiosk.draw(availability.view(now_ms), screen, WIDTH_PX)
    return screen.texts


def heard(now_ms=0, **changes):
    availability = kiosk.Availability()
    availability.heard(dict(COUNTS, **changes), now_ms)
    return availability


def test_before_the_first_answer_the_screen_says_that_it_waits():
    assert "en attente..." in drawn(kiosk.Availability(), 0)


def test_the_screen_shows_free_and_total_of_each_kind():
    texts = drawn(heard(), 1000)
    for text in ("Livraison", "12/24", "Taxi", "3/12", "GIG-GIC", "7/14"):
        assert text in texts
    assert heard().free() == 22


def test_the_view_changes_only_with_what_is_seen():
    assert heard(now_ms=0).view(100) == heard(now_ms=50).view(200)
    assert heard().view(0) != heard(taxi=(2, 12)).view(0)
    assert heard().view(0) != heard().view(kiosk.STALE_S * 1000)


def test_stale_counts_are_shown_with_their_age():
    availability = heard(now_ms=1000)
    fresh_until_ms = 1000 + kiosk.STALE_S * 1000
    assert not any("il y a" in text for text in drawn(availability, fresh_until_ms - 1))
    assert "il y a 30 s" in drawn(availability, fresh_until_ms)
    assert "il y a 5 min" in drawn(availability, 1000 + 300_000)
    assert "12/24" in drawn(availability, 1000 + 300_000)
