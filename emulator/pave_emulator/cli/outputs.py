"""Where a command writes, looked at before it begins: a run of hours must not end with nowhere to put its report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def check(path: Path, what: str, *others: Path) -> None:
    """Raise ValueError, which names `what` is given so and the next step, when the file cannot be written.

    `others` are files that it must not replace. What is there stays as it is. Pipes and devices are not tried.
    """
    said = f"{what} {path}"
    if path.is_dir():
        raise ValueError(f"{said}: that is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"{said}: there is no folder {path.parent}; make it first")
    for other in others:
        if path.resolve() == other.resolve():
            raise ValueError(f"{said}: that is {other} itself, which would be lost; name another file")
    if path.exists() and not path.is_file():
        return
    _try(path.resolve(), said)


def check_all(paths: Mapping[str, Path | None], *inputs: Path) -> None:
    """The same for several, by option; None for one that is not asked for."""
    seen: dict[Path, str] = {}
    for what, path in paths.items():
        if path is None:
            continue
        check(path, what, *inputs)
        if path.is_file() or not path.exists():
            first = seen.setdefault(path.resolve(), what)
            if first != what:
                raise ValueError(f"{what} {path}: {first} writes there; name another file")


def check_folder(path: Path, what: str) -> None:
    """Make a folder, and see that files can be made in it. Raise ValueError as `check` does."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "that is a file" if path.is_file() else str(error.strerror)
        raise ValueError(f"{what} {path}: {why}; name a folder that can be made") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError(f"{what} {path}: nothing can be written there; name another folder")


def _try(path: Path, said: str) -> None:
    """Open it as if to write; a file that was not there is gone again."""
    there = path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise ValueError(f"{said}: {error.strerror}; name a file that can be written") from error
    if not there:
        path.unlink()
