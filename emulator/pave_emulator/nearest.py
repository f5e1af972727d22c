"""Errors that name the nearest valid word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def hint(word: str, valid: Iterable[str]) -> str:
    """`did you mean 'x'?` for a near miss, else the valid words."""
    names = sorted(valid)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"valid are {', '.join(names) or '(none)'}"
