"""Pictures, and how they become PNG files (W3C PNG specification, third edition), with nothing but zlib."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2  # colour types (11.2.2)
FAST = 1  # zlib level


@dataclass(frozen=True)
class Picture:
    """What an eye sees: 8-bit RGB, three bytes a pixel, row by row from the top left."""

    width_px: int
    height_px: int
    rgb: bytes

    def to_png(self, path: Path) -> None:
        """Write the picture as a PNG."""
        stride = 3 * self.width_px
        _write(path, self.width_px, RGB, [self.rgb[at : at + stride] for at in range(0, len(self.rgb), stride)])

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        """Red, green, blue of one pixel, 0 to 255."""
        at = 3 * (y * self.width_px + x)
        return self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]

    def turned(self, quarters: int) -> Picture:
        """The picture turned clockwise by `quarters` times 90 degrees."""
        picture = self
        for _ in range(quarters % 4):
            picture = picture._turned_once()
        return picture

    def _turned_once(self) -> Picture:
        turned = bytearray(len(self.rgb))
        for channel in range(3):
            plane = self.rgb[channel::3]
            columns = [plane[x :: self.width_px][::-1] for x in range(self.width_px)]
            turned[channel::3] = b"".join(columns)
        return Picture(self.height_px, self.width_px, bytes(turned))


def write_grey(path: Path, rows: list[bytes]) -> None:
    """Write rows of 8-bit grey pixels, all of one length."""
    _write(path, len(rows[0]), GREY, rows)


def _write(path: Path, width_px: int, colour_type: int, rows: list[bytes]) -> None:
    # Depth 8, then colour type, compression, filter and interlace method.
    header = struct.pack(">IIBBBBB", width_px, len(rows), 8, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), FAST)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    path.write_bytes(SIGNATURE + chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
