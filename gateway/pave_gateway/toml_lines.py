"""Finds the line of a key in a TOML text, for error messages: tomllib does not keep it.

Covers what site files are made of: tables, arrays of tables and one key per line. Where it finds nothing the message
goes without.
"""

import re

_ARRAY = re.compile(r"^\s*\[\[\s*([\w.-]+)\s*\]\]")
_TABLE = re.compile(r"^\s*\[\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"^\s*([\w-]+)\s*=")


def line_of(text: str, path: tuple[str | int, ...]) -> int | None:
    """Return the line (from 1) of `path`, such as ("bay", 2, "lat"); of its table when the key itself is not there."""
    lines = _lines(text)
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _lines(text: str) -> dict[tuple[str | int, ...], int]:
    lines: dict[tuple[str | int, ...], int] = {}
    counts: dict[str, int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _ARRAY.match(line):
            index = counts.get(match[1], 0)
            counts[match[1]] = index + 1
            table = (*match[1].split("."), index)
            lines[table] = number
        elif match := _TABLE.match(line):
            table = tuple(match[1].split("."))
            lines[table] = number
        elif match := _KEY.match(line):
            lines.setdefault((*table, match[1]), number)
    return lines
