"""What is said of an input file that cannot be read: one line, the file's name in it once, and what to try instead."""

from __future__ import annotations

from pathlib import Path

from pave_emulator.nearest import hint


def unread(path: Path, what: str, error: OSError | UnicodeDecodeError) -> str:
    """The line for this error; `what` the file should have been, in a word or two, such as "scenario"."""
    if isinstance(error, UnicodeDecodeError):
        return f"{path}: not text, so no {what}"
    if isinstance(error, FileNotFoundError) and path.suffix and path.parent.is_dir():
        beside = (found.name for found in path.parent.glob(f"*{path.suffix}") if found.is_file())
        return f"there is no {what} {path}: {hint(path.name, beside)}"
    return f"{path}: {error.strerror}"
