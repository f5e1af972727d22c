from app import kiosk, limits

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


def test_before_the_first_answer_nothing_changes_by_itself_and_nothing_is_reported():
    availability = kiosk.Availability()
    assert availability.next_change_ms(12345) is None
    assert availability.free() is None and kiosk.Reports().due_ms(availability.free()) is None


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


def test_what_the_gateway_calls_fresh_for_less_is_old_sooner_and_for_more_is_not_later():
    for max_age_s, fresh_s in ((12, 12), (0, 0), (86_400, kiosk.STALE_S)):
        availability = kiosk.Availability()
        availability.heard(COUNTS, 5000, max_age_s)
        assert availability.view(5000 + fresh_s * 1000)[1] is not None
        assert fresh_s == 0 or availability.view(5000 + fresh_s * 1000 - 1)[1] is None


def test_the_view_stays_as_it_is_until_its_next_change_and_changes_then():
    for max_age_s in (0, 12, kiosk.STALE_S):
        availability = kiosk.Availability()
        availability.heard(COUNTS, 7000, max_age_s)
        now_ms = 7003
        seen = [availability.view(now_ms)]
        while now_ms < 7000 + 4 * 60_000:
            change_ms = availability.next_change_ms(now_ms)
            assert change_ms > now_ms
            assert availability.view(change_ms - 1) == seen[-1] != availability.view(change_ms)
            seen.append(availability.view(change_ms))
            now_ms = change_ms
        assert [age for _, age in seen[-5:]] == [
            "il y a %s" % age for age in ("50 s", "1 min", "2 min", "3 min", "4 min")
        ]


def test_the_first_report_is_due_at_once_and_the_next_with_a_change_but_not_too_soon():
    reports = kiosk.Reports()
    assert reports.due_ms(22) <= 0 and reports.reason() == "boot"
    reports.said(22, 1000)
    assert reports.due_ms(21) == 1000 + limits.KIOSK_REPORT_EVERY_S * 1000 and reports.reason() == "heartbeat"
    reports.said(21, 20_000)
    assert reports.due_ms(22) == 20_000 + limits.KIOSK_REPORT_EVERY_S * 1000


def test_without_a_change_a_report_is_due_as_a_sign_of_life():
    reports = kiosk.Reports()
    reports.said(22, 5000)
    assert reports.due_ms(22) == 5000 + limits.KIOSK_HEARTBEAT_S * 1000
    assert kiosk.STALE_S < limits.KIOSK_HEARTBEAT_S


def test_a_screen_without_a_free_bay_is_reported_like_any_other():
    reports = kiosk.Reports()
    availability = kiosk.Availability()
    availability.heard({"taxi": (0, 12)}, 0)
    assert reports.due_ms(availability.free()) <= 0
    reports.said(0, 1000)
    assert reports.reason() == "heartbeat" and reports.due_ms(1) < reports.due_ms(0)


def test_pauses_double_with_each_failure_up_to_a_limit_and_are_spread_over_a_quarter():
    pauses_s = [kiosk.pause_ms(failures, 0) / 1000 for failures in range(1, 8)]
    assert pauses_s == [2, 4, 8, 16, 30, 30, 30]
    assert kiosk.pause_ms(100_000, 0) == limits.KIOSK_RETRY_MAX_S * 1000
    assert 1.2 * 16_000 < kiosk.pause_ms(4, 1023) <= 1.25 * 16_000
