"""The screen on 128 x 64 or 128 x 32 px in black and white: the compact variant, in lines of 16 px.

figures   a line for each kind of bay: label, arrow, distance; below them the title, inverse when it is an age.
          32 px have room for one kind at a time, which take turns: an age is never without figures nor they without
text      all lines: a page of the message, or that there is no news
"""

import framebuf

from app import screen_arrow, screen_text
from app.screen import FRESH
from app.screen_text import Pen
from fonts import small

WIDTH_PX = 128
_LINE_PX = 16
_KINDS = 3
_ARROW_PX = 11
_GAP_PX = 4


class Layout:
    """For a panel `height_px` high: 64 or 32."""

    def __init__(self, height_px=64):
        self._lines = height_px // _LINE_PX
        self._rows = min(_KINDS, self._lines - 1)  # of figures, on one page
        self.figure_pages = (_KINDS + self._rows - 1) // self._rows
        self.areas = [(0, at * _LINE_PX, WIDTH_PX, _LINE_PX) for at in range(self._lines)]
        self._pen = Pen(1, 0, framebuf.MONO_VLSB)
        self._inverse = Pen(0, 1, framebuf.MONO_VLSB)

    def wrap(self, text):
        """Return the pages of a text, each a tuple of lines."""
        lines = screen_text.wrap(small, text, WIDTH_PX)
        return [tuple(lines[at : at + self._lines]) for at in range(0, len(lines), self._lines)]

    def contents(self, view):
        """Return what each line shows of a view: (text, arrow or None, text at the right, inverse)."""
        title, tone, rows, page, _ = view
        if isinstance(page, tuple):
            contents = [(text, None, "", False) for text in page]
        else:
            first = page * self._rows
            contents = [
                (label, arrow, number + " " + word if number else word, False)
                for label, _, arrow, number, word in rows[first : first + self._rows]
            ]
            contents += [("", None, "", False)] * (self._lines - 1 - len(contents))
            contents.append((title, None, "", tone != FRESH))
        return contents + [("", None, "", False)] * (self._lines - len(contents))

    def paint(self, at, content, canvas, x_px, y_px):
        """Paint a line, whose top left corner is at (x_px, y_px) of `canvas`."""
        text, arrow, right, inverse = content
        pen = self._inverse if inverse else self._pen
        canvas.fill_rect(x_px, y_px, WIDTH_PX, _LINE_PX, pen.under)
        top_px = y_px + (_LINE_PX - small.HEIGHT_PX) // 2
        left_px = x_px + WIDTH_PX - screen_text.width(small, right)
        pen.write(canvas, small, right, left_px, top_px)
        if arrow is not None:
            left_px -= _ARROW_PX + _GAP_PX
            screen_arrow.draw(canvas, arrow, left_px, y_px + (_LINE_PX - _ARROW_PX) // 2, _ARROW_PX, pen.colour)
        if right:
            text = screen_text.fit(small, text, left_px - _GAP_PX - x_px)
        pen.write(canvas, small, text, x_px, top_px)
