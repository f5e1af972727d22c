"""Text in the fonts of `fonts/` on a FrameBuffer: how wide it is, how it breaks into lines, and drawing it.

A font is a module that tools/pave_tools/fonts.py has generated:

    HEIGHT_PX   of a line of text
    CHARS       the characters it has, as one string
    INDEX       5 bytes for each: where its bitmap begins (2, big-endian), its width, its first row, its rows; in px
    BITMAPS     rows of bits, each row in whole bytes, leftmost pixel in the highest bit (MONO_HLSB)

Bitmaps are blitted straight from there: drawing takes no memory but a slice for each character.
"""

import framebuf

_ENTRY_BYTES = 5
_FIXED_SPACES = "\u00a0\u202f"  # of French typography, before : ; ! ? and units: no line ends there
_UNKNOWN = "?"


class Pen:
    """A colour to write with, over `under`, on canvases of `form` (framebuf.RGB565, MONO_VLSB ...)."""

    def __init__(self, colour, under, form):
        self.colour = colour
        self.under = under
        self._palette = framebuf.FrameBuffer(bytearray(4), 2, 1, form)
        self._palette.pixel(0, 0, under)
        self._palette.pixel(1, 0, colour)
        self._glyph = [None, 0, 0, framebuf.MONO_HLSB]

    def write(self, canvas, font, text, x_px, y_px):
        """Write one line of `text` with its top left corner at (x_px, y_px); return where it ends."""
        glyph = self._glyph
        index = font.INDEX
        bitmaps = memoryview(font.BITMAPS)
        for char in text:
            at = _find(font, char)
            width_px = index[at + 2]
            rows = index[at + 4]
            if rows:
                start = index[at] << 8 | index[at + 1]
                glyph[0] = bitmaps[start : start + rows * ((width_px + 7) // 8)]
                glyph[1] = width_px
                glyph[2] = rows
                canvas.blit(glyph, x_px, y_px + index[at + 3], self.under, self._palette)
            x_px += width_px
        return x_px


def width(font, text):
    """Return how many pixels wide one line of `text` is."""
    total_px = 0
    for char in text:
        total_px += font.INDEX[_find(font, char) + 2]
    return total_px


def wrap(font, text, width_px):
    """Return the lines of `text` that are at most `width_px` wide, broken at spaces; too long a word is cut."""
    lines = []
    line = ""
    for word in text.split(" "):  # not split(): CPython would end lines at fixed spaces too
        longer = line + " " + word if line else word
        if width(font, longer) <= width_px:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while width(font, line) > width_px:
            cut = _fitting(font, line, width_px)
            lines.append(line[:cut])
            line = line[cut:]
    if line:
        lines.append(line)
    return lines


def fit(font, text, width_px):
    """Return as much of `text` as is at most `width_px` wide."""
    return text if width(font, text) <= width_px else text[: _fitting(font, text, width_px)]


def _fitting(font, text, width_px):
    """Return how many characters, at least one, are at most `width_px` wide."""
    count = len(text)
    while count > 1 and width(font, text[:count]) > width_px:
        count -= 1
    return count


def _find(font, char):
    """Return where in INDEX the entry of `char` begins, or that of what stands for it."""
    at = font.CHARS.find(char)
    if at < 0:
        at = max(0, font.CHARS.find(" " if char in _FIXED_SPACES else _UNKNOWN))
    return at * _ENTRY_BYTES
