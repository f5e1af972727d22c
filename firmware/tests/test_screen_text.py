from fake_framebuf import framebuf, imported

from fonts import large, medium, small

screen_text = imported("app.screen_text")


class Marks:
    """A font of three characters: "|" 1 px wide, "#" 9 px wide (two bytes a row), " " 4 px wide."""

    HEIGHT_PX = 3
    BASELINE_PX = 3
    CHARS = " #|"
    INDEX = b"\x00\x00\x04\x00\x00" + b"\x00\x00\x09\x01\x02" + b"\x00\x04\x01\x00\x03"
    BITMAPS = b"\xff\x80\x80\x80" + b"\x80\x80\x80"


def drawn(text, colour=1, under=0, x=0, y=0):
    frame = bytearray(64)
    canvas = framebuf.FrameBuffer(frame, 32, 8, framebuf.MONO_VLSB)
    canvas.fill(under)
    end = screen_text.Pen(colour, under, framebuf.MONO_VLSB).write(canvas, Marks, text, x, y)
    rows = []
    for row in range(4):
        rows.append("".join([".#"[canvas.pixel(column, row)] for column in range(16)]))
    return end, rows


def test_characters_stand_side_by_side_at_their_height():
    assert drawn("#|") == (10, [".........#......", "##########......", "#.......##......", "................"])
    assert drawn("| |", x=1) == (7, [".#....#........."] * 3 + ["................"])


def test_what_lies_outside_the_canvas_is_cut_off():
    assert drawn("#|", x=-8, y=-1)[1] == [
        "##..............",
        "##..............",
        "................",
        "................",
    ]


def test_a_pen_writes_over_its_own_ground():
    assert drawn("|", colour=0, under=1)[1][0] == ".###############"


def test_in_colours_a_pen_leaves_the_ground_alone():
    canvas = framebuf.FrameBuffer(bytearray(20 * 4 * 2), 20, 4, framebuf.RGB565)
    canvas.fill(0x1234)
    screen_text.Pen(0xABCD, 0x1234, framebuf.RGB565).write(canvas, Marks, "#", 0, 0)
    assert [canvas.pixel(x, 1) for x in (0, 8, 9)] == [0xABCD, 0xABCD, 0x1234]
    assert [canvas.pixel(x, 2) for x in (0, 1, 8)] == [0xABCD, 0x1234, 0xABCD]


def test_a_character_the_font_lacks_takes_the_place_of_another():
    assert screen_text.width(small, "\u4e2d") == screen_text.width(small, "?")
    assert screen_text.width(small, "a\u00a0b\u202fc") == screen_text.width(small, "a b c")


def test_lines_end_at_spaces_and_are_no_wider_than_asked():
    text = "Arrêt déplacé : prenez le bus à l'angle de la rue de Dijon, jusqu'au 3 décembre inclus."
    lines = screen_text.wrap(medium, text, 224)
    assert " ".join(lines) == text and 3 <= len(lines) <= 6
    assert max([screen_text.width(medium, line) for line in lines]) <= 224
    words = text.split(" ")
    at = 0
    for line in lines[:-1]:
        at += len(line.split(" "))
        assert screen_text.width(medium, line + " " + words[at]) > 224, "the next word would have had no room"


def test_a_line_does_not_end_at_a_fixed_space():
    narrow_px = screen_text.width(small, "prix :")
    assert screen_text.wrap(small, "prix : 10", narrow_px) == ["prix :", "10"]
    assert screen_text.wrap(small, "prix :\u00a010", narrow_px) == ["prix", ":\u00a010"]


def test_a_word_wider_than_a_line_is_cut():
    lines = screen_text.wrap(small, "un " + "W" * 30 + " deux", 128)
    assert "".join(lines).replace(" ", "") == "un" + "W" * 30 + "deux"
    assert max([screen_text.width(small, line) for line in lines]) <= 128
    assert screen_text.wrap(small, "WW", 1) == ["W", "W"]


def test_of_nothing_there_are_no_lines():
    assert screen_text.wrap(small, "", 128) == [] and screen_text.wrap(small, "   ", 128) == []


def test_what_does_not_fit_is_left_out():
    assert screen_text.fit(small, "Handicapés", 200) == "Handicapés"
    cut = screen_text.fit(small, "Handicapés", 40)
    assert "Handicapés".startswith(cut) and 0 < screen_text.width(small, cut) <= 40


def test_every_font_is_whole_and_has_the_letters_of_french():
    for font in (small, medium, large):
        assert len(font.INDEX) == 5 * len(font.CHARS) and len(set(font.CHARS)) == len(font.CHARS)
        for at in range(0, len(font.INDEX), 5):
            start = font.INDEX[at] << 8 | font.INDEX[at + 1]
            width_px, top_px, rows = font.INDEX[at + 2 : at + 5]
            assert width_px > 0 and top_px + rows <= font.HEIGHT_PX
            assert start + rows * ((width_px + 7) // 8) <= len(font.BITMAPS)
    for char in "ÀÂÆÇÈÉÊËÎÏÔŒÙÛÜàâæçèéêëîïôœùûüÿ«»’–…€°Zz09?!:":
        assert char in small.CHARS and char in medium.CHARS, char
    for char in "0123456789,.–":
        assert char in large.CHARS, char


def test_no_two_letters_look_the_same():
    for font in (small, medium):
        looks = {}
        for at, char in enumerate(font.CHARS):
            start = font.INDEX[5 * at] << 8 | font.INDEX[5 * at + 1]
            width_px, top_px, rows = font.INDEX[5 * at + 2 : 5 * at + 5]
            look = (width_px, top_px, font.BITMAPS[start : start + rows * ((width_px + 7) // 8)])
            assert look not in looks, (char, looks.get(look))
            looks[look] = char
