"""Faults a person can act on: `str(error)` is one line that says what, the value found, and the next step."""

import difflib
from collections.abc import Iterable


class ToolError(Exception):
    """Base of all that follows; the command line prints it without a traceback."""


class BoardError(ToolError):
    """A board file that does not describe a board."""


class ManifestError(ToolError):
    """`firmware/manifest.toml` names something that cannot be built."""


class CompileError(ToolError):
    """mpy-cross is missing, or refused a file."""


class PartitionError(ToolError):
    """A partition table that the ESP32 would not accept, or bytes that are not one."""


class ImageError(ToolError):
    """Files, settings or NVS values that do not fit the flash."""


def nearest(found: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` for a misspelt name, else the list of the known ones."""
    names = sorted(known)
    close = difflib.get_close_matches(found, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names) or 'none'}"
