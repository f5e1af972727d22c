"""Errors of writing to an open file name no file: this names it, for whoever has to make room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Raise the OSErrors of what is done within with the name of this file, where they have none."""
    try:
        yield
    except OSError as error:
        raise error if error.filename else OSError(error.errno, error.strerror, str(path)) from error
