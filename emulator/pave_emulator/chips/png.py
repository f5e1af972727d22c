"""A grey picture as PNG (W3C PNG specification, third edition), with nothing but zlib."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY_8_BIT = b"\x08\x00\x00\x00\x00"  # depth, colour type, compression, filter, interlace


def write_grey(path: Path, rows: list[bytes]) -> None:
    """Write rows of 8-bit grey pixels, all of one length."""
    header = struct.pack(">II", len(rows[0]), len(rows)) + GREY_8_BIT
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    path.write_bytes(SIGNATURE + chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
