"""From the frame memory of an ILI9341 to what an eye sees on the glass.

Theory of operation. For each gate line the controller fetches a memory line: partial mode leaves lines out (8.2.25),
vertical scrolling takes them from elsewhere (8.2.26, 8.2.30), ML counts both from the bottom (8.2.29). Source outputs
carry a line's pixels, six bits a colour, after idle mode (one bit, 8.2.32) and inversion. The glass is normally white
(8.3.7, REV): what nobody drives is white, as every module shows between power-on and its first SLPOUT. Glass on modules
is mounted so that the picture is upright and its colours right with MADCTL 48h (MX and BGR).
"""

from __future__ import annotations

from dataclasses import dataclass

from pave_emulator.chips.ili9341_gram import HEIGHT, WIDTH
from pave_emulator.chips.png import Picture

WHITE, BLACK = 0xFF, 0x00


@dataclass(frozen=True)
class Drive:
    """How the glass is driven.

    Attributes:
        lines: for each gate line from the top, the memory line it shows; None where nothing is displayed.
        idle: eight colours, the highest bit of each.
        inverted: every bit inverted.
        mirrored: source outputs shifted right to left (SS, 8.3.7).
        blank: level of lines that display nothing, 0 to 255.
        bgr: MADCTL's colour order bit.
    """

    lines: list[int | None]
    idle: bool
    inverted: bool
    mirrored: bool
    blank: int
    bgr: bool


def undriven() -> Picture:
    """Glass in sleep mode, switched off or without supply."""
    return Picture(WIDTH, HEIGHT, bytes([WHITE]) * (3 * WIDTH * HEIGHT))


def seen(planes: tuple[bytearray, ...], drive: Drive) -> Picture:
    """The picture on an upright module."""
    levels = _levels(drive.idle, drive.inverted)
    nothing = bytes([drive.blank]) * WIDTH
    # SS reverses the order of the outputs, so of the colours within each pixel as well.
    in_order = drive.bgr != drive.mirrored
    rgb = bytearray(3 * WIDTH * HEIGHT)
    for channel, plane in enumerate(planes if in_order else planes[::-1]):
        shown = plane.translate(levels)
        lines = [nothing if at is None else shown[at * WIDTH : at * WIDTH + WIDTH] for at in drive.lines]
        if not drive.mirrored:  # the first source output is at the right of the glass
            lines = [line[::-1] for line in lines]
        rgb[channel::3] = b"".join(lines)
    return Picture(WIDTH, HEIGHT, bytes(rgb))


def _levels(idle: bool, inverted: bool) -> bytes:
    """Table from a byte of memory (six bits at the top) to a level of 0 to 255."""
    levels = []
    for value in range(256):
        six = value >> 2
        if idle:
            six = 0x3F if six & 0x20 else 0
        if inverted:
            six ^= 0x3F
        levels.append(six << 2 | six >> 4)
    return bytes(levels)


def scrolled(top_fixed: int, area: int, start: int) -> list[int | None]:
    """Lines in vertical scrolling: between the fixed areas, memory from line `start` on, around and around."""
    lines: list[int | None] = list(range(HEIGHT))
    for at in range(area):
        lines[top_fixed + at] = top_fixed + (start - top_fixed + at) % area
    return lines


def partial(first: int, last: int) -> list[int | None]:
    """Lines in partial mode: from `first` to `last`, around the end of memory when last is smaller (8.2.25)."""
    if first <= last:
        return [at if first <= at <= last else None for at in range(HEIGHT)]
    return [at if at >= first or at <= last else None for at in range(HEIGHT)]


def from_the_bottom(lines: list[int | None]) -> list[int | None]:
    """The same with both lines and memory counted from the bottom (ML)."""
    return [None if at is None else HEIGHT - 1 - at for at in reversed(lines)]
