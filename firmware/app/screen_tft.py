"""The screen on 240 x 320 px in colours: where things stand, and how they are painted.

    title         white on blue; age of the figures, black on amber; no news, white on grey
    label         kind of bay, how many are free       three times: nearest free bay of each kind
    arrow figure  where it is
    text          three lines: a page of the message, or that there is no news

By day black on white, which is legible in the sun; at night amber on black, which dazzles nobody. Figures that are not
fresh are pale. A label and a text fill one area each, so another language or page leaves arrows and figures alone.
"""

import framebuf

from app import screen_arrow, screen_text
from app.screen import FRESH
from app.screen_text import Pen
from fonts import large, medium

WIDTH_PX = 240
HEIGHT_PX = 320
TEXT_LINES = 3
_MARGIN_PX = 8
_TITLE_PX = 32
_LABEL_PX = 26
_FIGURE_PX = 44
_ARROW_PX = 37  # odd, for a point in the middle
_ARROW_AREA_PX = 60
_TEXT_PX = 26
_ROW_PX = _LABEL_PX + _FIGURE_PX
_TEXT_TOP_PX = _TITLE_PX + 3 * _ROW_PX


class _Theme:
    def __init__(self, colour, ground, ink, pale, line, titles):
        self.ground = colour(*ground)
        self.line = colour(*line)
        self.ink = self._pen(colour, ink, ground)
        self.pale = self._pen(colour, pale, ground)
        self.titles = [self._pen(colour, text, under) for text, under in titles]  # by tone

    def _pen(self, colour, text, under):
        return Pen(colour(*text), colour(*under), framebuf.RGB565)


_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)
_BLUE = (0, 48, 120)
_AMBER = (255, 176, 0)
_GREY = (88, 88, 88)
_BROWN = (64, 32, 0)
_DIM = (160, 104, 32)


class Layout:
    """`colour(red, green, blue)` returns a colour as the panel's canvases hold it."""

    def __init__(self, colour):
        self._day = _Theme(
            colour, _WHITE, _BLACK, (104, 104, 104), (176, 176, 176),
            ((_WHITE, _BLUE), (_BLACK, _AMBER), (_WHITE, _GREY)),
        )  # fmt: skip
        self.figure_pages = 0  # they are always there
        self._night = _Theme(
            colour, _BLACK, _AMBER, _DIM, _BROWN, ((_AMBER, _BROWN), (_BLACK, _DIM), (_DIM, (24, 24, 24)))
        )
        self.areas = [(0, 0, WIDTH_PX, _TITLE_PX)]
        for row in range(3):
            top = _TITLE_PX + row * _ROW_PX
            self.areas.append((0, top, WIDTH_PX, _LABEL_PX))
            self.areas.append((0, top + _LABEL_PX, _ARROW_AREA_PX, _FIGURE_PX))
            self.areas.append((_ARROW_AREA_PX, top + _LABEL_PX, WIDTH_PX - _ARROW_AREA_PX, _FIGURE_PX))
        for line in range(TEXT_LINES):
            self.areas.append((0, _TEXT_TOP_PX + line * _TEXT_PX, WIDTH_PX, _TEXT_PX))
        row = (self._label, self._arrow, self._figure)
        self._paints = (self._title,) + 3 * row + TEXT_LINES * (self._text,)

    def wrap(self, text):
        """Return the pages of a text, each a tuple of lines."""
        lines = screen_text.wrap(medium, text, WIDTH_PX - 2 * _MARGIN_PX)
        return [tuple(lines[at : at + TEXT_LINES]) for at in range(0, len(lines), TEXT_LINES)]

    def contents(self, view):
        """Return what each area shows of a view."""
        title, tone, rows, lines, night = view
        contents = [(title, tone, night)]
        for row in range(3):
            label, count, arrow, number, word = rows[row] if row < len(rows) else ("", "", None, "", "")
            pale = tone != FRESH
            contents += [(label, count, night), (arrow, pale, night), (number, word, pale, night)]
        for line in range(TEXT_LINES):
            contents.append((lines[line] if line < len(lines) else "", line, night))
        return contents

    def paint(self, at, content, canvas, x_px, y_px):
        """Paint the area `at`, whose top left corner is at (x_px, y_px) of `canvas`."""
        theme = self._night if content[-1] else self._day
        self._paints[at](theme, content, canvas, x_px, y_px)

    def _title(self, theme, content, canvas, x_px, y_px):
        pen = theme.titles[content[1]]
        canvas.fill(pen.under)
        pen.write(canvas, medium, content[0], x_px + _MARGIN_PX, y_px + (_TITLE_PX - medium.HEIGHT_PX) // 2)

    def _label(self, theme, content, canvas, x_px, y_px):
        label, count, _ = content
        canvas.fill(theme.ground)
        canvas.hline(x_px, y_px, WIDTH_PX, theme.line)
        y_px += _LABEL_PX - medium.HEIGHT_PX
        theme.ink.write(canvas, medium, label, x_px + _MARGIN_PX, y_px)
        right_px = x_px + WIDTH_PX - _MARGIN_PX
        theme.pale.write(canvas, medium, count, right_px - screen_text.width(medium, count), y_px)

    def _arrow(self, theme, content, canvas, x_px, y_px):
        eighth, pale, _ = content
        canvas.fill(theme.ground)
        if eighth is not None:
            y_px += (_FIGURE_PX - _ARROW_PX) // 2
            colour = (theme.pale if pale else theme.ink).colour
            screen_arrow.draw(canvas, eighth, x_px + _MARGIN_PX, y_px, _ARROW_PX, colour)

    def _figure(self, theme, content, canvas, x_px, y_px):
        number, word, pale, _ = content
        pen = theme.pale if pale else theme.ink
        canvas.fill(theme.ground)
        y_px += (_FIGURE_PX - large.HEIGHT_PX) // 2
        if number:
            x_px = pen.write(canvas, large, number, x_px, y_px) + _MARGIN_PX
        pen.write(canvas, medium, word, x_px, y_px + large.BASELINE_PX - medium.BASELINE_PX)

    def _text(self, theme, content, canvas, x_px, y_px):
        text, line, _ = content
        canvas.fill(theme.ground)
        if line == 0:
            canvas.hline(x_px, y_px, WIDTH_PX, theme.line)
        theme.ink.write(canvas, medium, text, x_px + _MARGIN_PX, y_px + (_TEXT_PX - medium.HEIGHT_PX) // 2 + 1)
