"""What is wrong in a board file, and how it is said: `file:line: table: key = value: what; next step`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pave_boards.toml_lines import lines_of

KeyPath = tuple[str | int, ...]
"""Where a key is: ("board", "mcu"), or ("chip", 2, "address") in the third [[chip]]."""


class BoardError(ValueError):
    """A board file that cannot be used; `str(error)` has one line per fault, in the order of the file."""


@dataclass(frozen=True)
class Fault:
    """One fault. `text` follows the name of the table and says key, value and next step."""

    path: KeyPath
    text: str


def report(path: Path, source: str, document: dict[str, Any], faults: Iterable[Fault]) -> BoardError:
    """The error about these faults of one file; `source` is its text, `document` what TOML makes of it."""
    lines = lines_of(source)
    located = sorted({(_line(lines, fault.path), table_name(document, fault.path) + fault.text) for fault in faults})
    return BoardError("\n".join(f"{path}:{line}: {text}" for line, text in located))


def table_name(document: dict[str, Any], path: KeyPath) -> str:
    """What a person calls the table of a key: `[board]`, `chip 'radio'`, `chip 3` where it has no name."""
    if not path:
        return "the file"
    if len(path) == 1 or not isinstance(path[1], int):
        return f"[{path[0]}]"
    name = document[str(path[0])][path[1]].get("name")
    return f"{path[0]} {name!r}" if isinstance(name, str) else f"{path[0]} {path[1] + 1}"


def hint(word: object, valid: Iterable[str]) -> str:
    """`did you mean 'x'?` for a near miss, else the valid words."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(word), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"valid are {', '.join(names) or '(none)'}"


def lacks(key: str, strange: Iterable[str]) -> str:
    """What to say where a key is missing, and `strange` ones are there."""
    near = hint(key, strange)
    return f" has no {key!r}; {near if near.startswith('did') else 'add it'}"


def _line(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """Of the key; of its table, or of the first of its kind, where the key is not there."""
    for length in range(len(path), 0, -1):
        for known in (path[:length], (*path[:length], 0)):
            if known in lines:
                return lines[known]
    return 1
