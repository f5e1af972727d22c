from app import screen
from app import screen_words as words
from app.screen import FRESH, NONE, OLD, Screen

COUNTS = {"delivery": (12, 24), "taxi": (1, 12), "disabled": (0, 14)}
NEAREST = {"delivery": (123.4, 90.0), "taxi": (1240, 181)}
TURN_MS = screen.TURN_S * 1000


class Layout:
    """Wraps a text into pages of one line, one a sentence."""

    def __init__(self, figure_pages=0):
        self.figure_pages = figure_pages

    def wrap(self, text):
        return [(line,) for line in text.split("|")]


def heard(now_ms=0, figure_pages=0, languages=(words.FRENCH,), heading_deg=0, **given):
    shown = Screen(Layout(figure_pages), languages, heading_deg)
    shown.heard(COUNTS, NEAREST, now_ms, **given)
    return shown


def told(texts, languages=(words.FRENCH, words.ENGLISH), **given):
    shown = heard(languages=languages)
    shown.tell(texts, 0, **given)
    return shown


def pages(shown, count):
    return [shown.view(turn * TURN_MS)[3] for turn in range(count)]


def test_each_kind_has_its_nearest_free_bay_with_distance_and_direction():
    title, tone, rows, page, night = heard().view(1000)
    assert (title, tone, page, night) == ("Places libres", FRESH, (), False)
    assert rows == (
        ("Livraison", "12 libres", 2, "120", "m"),
        ("Taxi", "1 libre", 4, "1,2", "km"),
        ("Handicapés", "", None, "", "complet"),
    )


def test_in_english_it_says_the_same():
    title, _, rows, _, _ = heard(languages=(words.ENGLISH,)).view(1000)
    assert title == "Free bays"
    assert rows == (
        ("Delivery", "12 free", 2, "120", "m"),
        ("Taxi", "1 free", 4, "1.2", "km"),
        ("Disabled", "", None, "", "full"),
    )


def test_where_no_nearest_bay_is_known_it_says_how_many_are_free():
    shown = heard()
    shown.heard(COUNTS, {}, 0)
    assert shown.view(0)[2][:2] == (("Livraison", "", None, "12", "libres"), ("Taxi", "", None, "1", "libre"))


def test_a_kind_the_site_does_not_have_has_no_row():
    shown = heard()
    shown.heard({"taxi": (3, 4)}, {}, 0)
    assert [row[0] for row in shown.view(0)[2]] == ["Taxi"]


def test_directions_are_eighths_of_a_turn_from_where_the_reader_looks():
    for bearing_deg, heading_deg, eighth in (
        (0, 0, 0), (22, 0, 0), (23, 0, 1), (45, 0, 1), (180, 0, 4), (337, 0, 7), (338, 0, 0), (359.9, 0, 0),
        (0, 90, 6), (90, 90, 0), (10, 350, 0), (350, 10, 0), (0, 180, 4), (45, 270, 3), (720, 0, 0), (-90, 0, 6),
    ):  # fmt: skip
        assert screen.eighth_of(bearing_deg, heading_deg) == eighth, (bearing_deg, heading_deg)
    assert heard(heading_deg=180).view(0)[2][0][2] == 6


def test_distances_are_rounded_to_what_they_are_good_for():
    for metres, number, unit in (
        (0, "10", "m"), (4.9, "10", "m"), (14, "10", "m"), (15, "20", "m"), (994, "990", "m"), (995, "1,0", "km"),
        (1049, "1,1", "km"), (1240, "1,2", "km"), (12345, "12,4", "km"),
    ):  # fmt: skip
        assert words.distance(metres, words.FRENCH) == (number, unit), metres


def test_before_the_first_news_it_says_that_it_waits():
    shown = Screen(Layout(), (words.FRENCH,))
    assert shown.view(0) == ("Places libres", NONE, (), ("En attente des premières nouvelles.",), False)
    assert shown.free() is None and shown.next_change_ms(0) is None
    assert heard().free() == 13


def test_old_figures_have_their_age_and_none_are_shown_that_are_too_old():
    shown = heard(now_ms=500)
    for age_s, title, tone in (
        (29, "Places libres", FRESH), (30, "Relevé il y a 30 s", OLD), (59, "Relevé il y a 50 s", OLD),
        (60, "Relevé il y a 1 min", OLD), (599, "Relevé il y a 9 min", OLD), (600, "Indisponible", NONE),
    ):  # fmt: skip
        view = shown.view(500 + age_s * 1000)
        assert view[:2] == (title, tone), age_s
        figures = [row[3] for row in view[2]]
        assert figures == (["–"] * 3 if tone == NONE else ["120", "1,2", ""]), age_s
        assert not any(tone == NONE and (row[1] or row[2] is not None or row[4]) for row in view[2])
    assert shown.view(500 + 13 * 60_000)[3] == ("Aucune nouvelle des places depuis 13 min.",)
    assert shown.view(500 + 3 * 3600_000)[3] == ("Aucune nouvelle des places depuis 3 h.",)


def test_no_view_of_any_age_shows_a_figure_as_fresh_that_is_not():
    for max_age_s in (0, 12, 30, 86_400):
        for figure_pages in (0, 1, 3):
            shown = heard(figure_pages=figure_pages, max_age_s=max_age_s, languages=(0, 1))
            shown.tell({words.FRENCH: "un|deux", words.ENGLISH: "one"}, 0)
            for age_s in range(1300):
                title, tone, rows, _, _ = shown.view(age_s * 1000)
                fresh = age_s < min(max_age_s, screen.FRESH_S)
                assert (tone == FRESH) == fresh and (title in words.FREE_BAYS) == fresh
                assert any(row[3] not in ("", "–") for row in rows) == (age_s < screen.FIGURES_S)


def test_a_view_stays_until_its_next_change():
    for figure_pages, languages in ((0, (0,)), (0, (0, 1)), (3, (1,))):
        shown = heard(now_ms=7000, figure_pages=figure_pages, languages=languages, max_age_s=12)
        shown.tell({0: "un|deux"}, 7300, until_ms=60_000)
        now_ms = 7400
        changes = 0
        while now_ms < 900_000:
            change_ms = shown.next_change_ms(now_ms)
            assert change_ms > now_ms
            assert shown.view(change_ms - 1) == shown.view(now_ms)
            now_ms = change_ms
            changes += 1
        assert changes > 15


def test_one_language_without_a_message_changes_with_age_alone():
    shown = heard()
    assert shown.next_change_ms(3000) == 30_000 and shown.next_change_ms(30_000) == 40_000
    assert shown.next_change_ms(60_000) == 120_000 and shown.next_change_ms(3_600_000) == 7_200_000


def test_languages_take_turns_each_with_all_pages_of_its_text():
    shown = told({words.FRENCH: "un|deux|trois", words.ENGLISH: "one|two"})
    assert pages(shown, 6) == [("un",), ("deux",), ("trois",), ("one",), ("two",), ("un",)]
    titles = [shown.view(turn * TURN_MS)[0] for turn in range(3)]
    assert titles == ["Places libres"] * 3
    assert shown.view(3 * TURN_MS)[0] == "Free bays"


def test_a_new_message_begins_with_its_first_page():
    shown = told({words.FRENCH: "un|deux"})
    shown.tell({words.FRENCH: "neuf|dix"}, 5 * TURN_MS + 3000)
    assert shown.view(5 * TURN_MS + 3000)[3] == ("neuf",)
    assert shown.view(6 * TURN_MS + 3000)[3] == ("dix",)


def test_a_message_in_one_language_is_shown_in_the_turns_of_both():
    assert pages(told({words.ENGLISH: "one"}), 2) == [("one",), ("one",)]
    assert pages(told({words.ENGLISH: "one", words.FRENCH: ""}), 2) == [("one",), ("one",)]
    assert pages(told({words.ENGLISH: "one"}, languages=(words.FRENCH,)), 1) == [("one",)]


def test_a_message_ends_when_its_time_has_come_or_it_is_taken_back():
    shown = told({words.FRENCH: "un"}, until_ms=5000)
    assert shown.view(4999)[3] == ("un",) and shown.next_change_ms(0) == 5000
    assert shown.view(5000)[3] == ()
    shown = told({words.FRENCH: "un"})
    shown.tell({}, 1000)
    assert shown.view(1000)[3] == ()


def test_without_news_a_message_is_still_shown_in_its_turn():
    shown = told({words.FRENCH: "un"}, languages=(words.FRENCH,))
    now_ms = screen.FIGURES_S * 1000 // TURN_MS * TURN_MS + TURN_MS
    assert sorted(shown.view(now_ms + turn * TURN_MS)[3][0][:6] for turn in range(2)) == ["Aucune", "un"]


def test_where_texts_have_no_room_beside_figures_both_take_turns():
    shown = heard(figure_pages=2, languages=(0, 1))
    shown.tell({0: "un", 1: "one"}, 0)
    assert pages(shown, 6) == [0, 1, ("un",), 0, 1, ("one",)]
    assert shown.view(screen.FIGURES_S * 1000)[3] != 0


def test_night_is_part_of_what_is_to_be_seen():
    shown = heard()
    day = shown.view(0)
    shown.night = True
    assert shown.view(0) != day and shown.view(0)[:4] == day[:4]
