"""Finds the lines of keys in a TOML text, which tomllib does not keep.

Covers what board files are made of: tables, arrays of tables, tables within them, one key a line. A key within an
inline table has no line of its own.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*([\w.\s\"-]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([\w.\"-]+)\s*=")


def lines_of(text: str) -> dict[tuple[str | int, ...], int]:
    """The line (from 1) of every table and key, by path: ("board",), ("board", "mcu"), ("chip", 2, "address")."""
    lines: dict[tuple[str | int, ...], int] = {}
    counts: dict[str, int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            head, *rest = _parts(header[2])
            if header[1] == "[[":
                counts[head] = counts.get(head, -1) + 1
            table = (head, counts[head], *rest) if head in counts else (head, *rest)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_parts(key[1])), number)
    return lines


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip('"') for part in dotted.split(".")]
