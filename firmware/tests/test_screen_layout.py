from checks import raised
from fake_framebuf import framebuf, imported

from app import screen, screen_arrow, screen_show
from app import screen_words as words

screen_oled, screen_tft = imported("app.screen_oled"), imported("app.screen_tft")

COUNTS = {"delivery": (12, 24), "taxi": (3, 12), "disabled": (7, 14)}
NEAREST = {"delivery": (120, 45), "taxi": (80, 200)}
FRENCH, ENGLISH = (words.FRENCH,), (words.ENGLISH,)


class Panel:
    """Counts what is drawn, by area; fails when told to."""

    def __init__(self):
        self.drawn = []
        self.fails = False

    def draw(self, x, y, width, height, paint):
        if self.fails:
            raise OSError(19)
        self.drawn.append((x, y, width, height))


def tft():
    return screen_tft.Layout(lambda red, green, blue: red & 0xF8 | green >> 5)


def layouts():
    return tft(), screen_oled.Layout(64), screen_oled.Layout(32)


def heard(layout, languages=FRENCH):
    shown = screen.Screen(layout, languages)
    shown.heard(COUNTS, NEAREST, 0)
    return shown


def draw_all(shown, view):
    for _ in shown.update(view):
        pass


def redrawn(layout, before, after):
    panel = Panel()
    shown = screen_show.Shown(layout, panel)
    draw_all(shown, before)
    panel.drawn.clear()
    draw_all(shown, after)
    return [layout.areas.index(area) for area in panel.drawn]


def test_the_areas_cover_the_panel_and_do_not_overlap():
    for layout, width, height in zip(layouts(), (240, 128, 128), (320, 64, 32)):
        for row in range(height):
            covered = bytearray(width)
            for x, y, wide, high in layout.areas:
                if y <= row < y + high:
                    for column in range(x, x + wide):
                        covered[column] += 1
            assert covered == b"\x01" * width, row


def test_only_areas_that_look_different_are_drawn():
    layout = tft()
    shown = heard(layout)
    first = shown.view(0)
    assert redrawn(layout, first, shown.view(1000)) == []
    shown.heard(COUNTS, dict(NEAREST, taxi=(90, 200)), 1000)
    assert redrawn(layout, first, shown.view(1000)) == [6], "a distance"
    shown.heard(dict(COUNTS, taxi=(2, 12)), NEAREST, 1000)
    assert redrawn(layout, first, shown.view(1000)) == [4], "a count"
    shown.heard(COUNTS, dict(NEAREST, taxi=(80, 0)), 1000)
    assert redrawn(layout, first, shown.view(1000)) == [5], "a direction"
    english = heard(layout, ENGLISH)
    assert redrawn(layout, first, english.view(0)) == [0, 1, 4, 7, 9], "another language, figures stay"
    shown = heard(layout)
    shown.tell({words.FRENCH: "Bonjour"}, 0)
    assert redrawn(layout, first, shown.view(0)) == [10]
    shown.night = True
    assert len(redrawn(layout, first, shown.view(0))) == len(layout.areas)


def test_on_the_small_panel_only_lines_that_look_different_are_drawn():
    layout = screen_oled.Layout(64)
    shown = heard(layout)
    first = shown.view(0)
    shown.heard(COUNTS, dict(NEAREST, taxi=(90, 200)), 1000)
    assert redrawn(layout, first, shown.view(1000)) == [1]
    assert redrawn(layout, shown.view(30_000), shown.view(41_000)) == [3]


def test_a_panel_that_fails_is_drawn_again_where_it_failed():
    layout = tft()
    view = heard(layout).view(0)
    panel = Panel()
    shown = screen_show.Shown(layout, panel)
    panel.fails = True
    raised(OSError, draw_all, shown, view)
    panel.fails = False
    draw_all(shown, view)
    assert len(panel.drawn) == len(layout.areas)
    panel.drawn.clear()
    shown.forget()
    draw_all(shown, view)
    assert len(panel.drawn) == len(layout.areas)


def test_others_may_go_on_between_areas():
    layout = tft()
    panel = Panel()
    steps = [len(panel.drawn) for _ in screen_show.Shown(layout, panel).update(heard(layout).view(0))]
    assert steps == list(range(1, len(layout.areas) + 1))


def test_an_old_figure_is_never_on_a_page_without_its_age():
    for layout in layouts()[1:]:
        shown = heard(layout)
        shown.tell({words.FRENCH: "Arrêt déplacé"}, 0)
        with_figures = 0
        for now_s in range(30, screen.FIGURES_S):
            lines = layout.contents(shown.view(now_s * 1000))
            figures = [right for _, _, right, _ in lines if right]
            ages = [text for text, _, _, inverse in lines if inverse and text.startswith("Relevé il y a")]
            assert bool(figures) == bool(ages)
            with_figures += bool(figures)
        assert with_figures > 200


def test_the_smallest_panel_shows_each_kind_in_its_turn():
    layout = screen_oled.Layout(32)
    shown = heard(layout)
    seen = [layout.contents(shown.view(turn * screen.TURN_S * 1000))[0][0] for turn in range(4)]
    assert seen == ["Livraison", "Taxi", "Handicapés", "Livraison"]


def test_no_word_of_ours_is_cut_off():
    wide = screen_tft.WIDTH_PX - 16
    for language in (words.FRENCH, words.ENGLISH):
        seen = words.SEEN[language] % "50 min"
        for title in (words.FREE_BAYS[language], words.UNAVAILABLE[language], seen):
            assert screen_tft.screen_text.width(screen_tft.medium, title) <= wide, title
            assert screen_tft.screen_text.width(screen_oled.small, title) <= 128, title
        for _, labels in words.KINDS:
            label = labels[language] + " 88 " + words.free(2, language)
            assert screen_tft.screen_text.width(screen_tft.medium, label) <= wide, label
            line = labels[language] + "9,9 km"
            assert screen_tft.screen_text.width(screen_oled.small, line) + 11 + 8 <= 128, line


def test_a_message_of_the_largest_size_has_few_pages():
    text = "Les arrêts Gare de Bercy et Dijon ne sont pas desservis ce dimanche. " * 3
    text = text[:155]
    assert len(tft().wrap(text)) <= 3 and len(screen_oled.Layout(64).wrap(text)) <= 3
    assert all(len(page) <= 3 for page in tft().wrap(text))


def test_what_is_painted_stays_in_its_area():
    for height in (64, 32):
        layout = screen_oled.Layout(height)
        shown = heard(layout)
        for at, content in enumerate(layout.contents(shown.view(31_000))):
            canvas = framebuf.FrameBuffer(bytearray(128 * (height + 32) // 8), 128, height + 32, framebuf.MONO_VLSB)
            _, y, _, high = layout.areas[at]
            layout.paint(at, content, canvas, 0, y + 16)
            for row in range(height + 32):
                lit = any(canvas.pixel(column, row) for column in range(128))
                assert not lit or y + 16 <= row < y + 16 + high, (at, row)


def test_a_band_is_painted_as_that_part_of_the_whole():
    layout = tft()
    shown = heard(layout)
    view = shown.view(0)
    for at in (4, 5):
        _, _, wide, high = layout.areas[at]
        content = layout.contents(view)[at]
        whole = framebuf.FrameBuffer(bytearray(wide * high * 2), wide, high, framebuf.RGB565)
        layout.paint(at, content, whole, 0, 0)
        band = framebuf.FrameBuffer(bytearray(wide * 10 * 2), wide, 10, framebuf.RGB565)
        layout.paint(at, content, band, 0, -12)
        for row in range(10):
            for column in range(0, wide, 3):
                assert band.pixel(column, row) == whole.pixel(column, row + 12)


def arrow(eighth, size=11):
    canvas = framebuf.FrameBuffer(bytearray(16 * 16 // 8), 16, 16, framebuf.MONO_VLSB)
    screen_arrow.draw(canvas, eighth, 2, 2, size, 1)
    return [[canvas.pixel(x, y) for x in range(16)] for y in range(16)]


def test_arrows_are_turned_by_quarters_and_stay_in_their_square():
    for eighth in range(8):
        rows = arrow(eighth)
        assert not any(rows[0] + rows[1] + rows[13] + rows[14]) and sum([sum(row) for row in rows]) > 20
        square = [row[2:13] for row in rows[2:13]]
        turned = [[square[10 - x][y] for x in range(11)] for y in range(11)]
        after = [row[2:13] for row in arrow((eighth + 2) % 8)[2:13]]
        assert turned == after, eighth


def test_an_arrow_points_where_it_says():
    up = arrow(0)
    assert up[2][7] == 1 and sum(up[2]) == 1 and sum(up[12]) < sum(up[7])
    diagonal = arrow(1)
    assert diagonal[2][12] == 1 and diagonal[12][12] == 0 and diagonal[2][2] == 0
