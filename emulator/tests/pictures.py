"""Pictures in tests: goldens to compare with, and letters to draw."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

GOLDENS = Path(__file__).parent / "goldens"

LETTERS = {  # 5 x 7 dots, rows from the top
    "A": ".###. #...# #...# ##### #...# #...# #...#",
    "B": "####. #...# #...# ####. #...# #...# ####.",
    "E": "##### #.... #.... ####. #.... #.... #####",
    "I": ".###. ..#.. ..#.. ..#.. ..#.. ..#.. .###.",
    "L": "#.... #.... #.... #.... #.... #.... #####",
    "P": "####. #...# #...# ####. #.... #.... #....",
    "R": "####. #...# #...# ####. #.#.. #..#. #...#",
    "S": ".#### #.... #.... .###. ....# ....# ####.",
    "V": "#...# #...# #...# #...# #...# .#.#. ..#..",
    "1": "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
    "2": ".###. #...# ....# ..##. .#... #.... #####",
    "<": "...#. ..#.. .#... #.... .#... ..#.. ...#.",
    " ": "..... ..... ..... ..... ..... ..... .....",
}


def dots(text: str, x: int, y: int, scale: int = 1) -> Iterator[tuple[int, int]]:
    """Where the dots of `text` lie whose top left corner is (x, y)."""
    for number, letter in enumerate(text):
        for row, line in enumerate(LETTERS[letter].split()):
            for column, mark in enumerate(line):
                if mark == "#":
                    for at in range(scale * scale):
                        across, down = at % scale, at // scale
                        yield x + (6 * number + column) * scale + across, y + row * scale + down


def scan_lines(path: Path) -> tuple[bytes, bytes]:
    """Header and unpacked scan lines of a PNG: compressors differ from one zlib to another, these do not."""
    raw = path.read_bytes()
    at, header, packed = 8, b"", b""
    while at < len(raw):
        size, kind = struct.unpack(">I4s", raw[at : at + 8])
        data = raw[at + 8 : at + 8 + size]
        header, packed = (data, packed) if kind == b"IHDR" else (header, packed + data)
        at += size + 12
    return header, zlib.decompress(packed)


def assert_golden(path: Path) -> None:
    """The PNG at `path` has byte for byte the scan lines of the golden of that name."""
    golden = GOLDENS / path.name
    assert golden.exists(), f"no golden {golden.name}: look at {path}, then copy it to {GOLDENS}"
    assert scan_lines(path) == scan_lines(golden), f"{path} is not {golden}: look at both"
