"""Mistakes of whoever uses the tool: one line on stderr that says where and what, status 2, no traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from pave_emulator.board import BoardError
from pave_emulator.flash.image import FlashError

FAILED, BAD_INPUT = 1, 2


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn what is wrong with the input into one line and status 2."""
    try:
        yield
    except BoardError as error:
        raise end(located(str(error))) from error
    except TimeoutError:
        raise  # nobody's mistake
    except OSError as error:
        raise end(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error
    except (ValueError, FlashError) as error:
        raise end(str(error)) from error


def end(message: str, status: int = BAD_INPUT) -> typer.Exit:
    """Say it; the exception to raise."""
    typer.echo(message, err=True)
    return typer.Exit(status)


def located(message: str) -> str:
    """A board file's error with the line it is about: of the last name in it that the file has.

    TOML's reader keeps no lines, and says them itself only of what it cannot read.
    """
    path, separator, rest = message.partition(": ")
    about = re.split(r": (?:did you mean|valid are) ", rest)[0]
    names = re.findall(r"'([^']+)'", about)
    found = re.search(r"\(at line (\d+)", rest)
    line = int(found[1]) if found else _line_of(Path(path), names) if separator else None
    return f"{path}:{line}: {rest}" if line else message


def _line_of(path: Path, names: list[str]) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for name in reversed(names):
        for number, line in enumerate(lines, start=1):
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line.partition("#")[0]):
                return number
    return None
