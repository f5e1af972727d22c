"""Mistakes of whoever uses the tool: on stderr a line for each that says where and what, status 2, no traceback."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from pave_emulator.flash.image import FlashError

FAILED, BAD_INPUT = 1, 2


@contextmanager
def mistakes() -> Iterator[None]:
    """Turn what is wrong with the input into status 2 and lines that say it."""
    try:
        yield
    except TimeoutError:
        raise  # nobody's mistake
    except OSError as error:
        raise end(_said(error)) from error
    except (ValueError, FlashError) as error:
        raise end(str(error)) from error


def end(message: str, status: int = BAD_INPUT) -> typer.Exit:
    """Say it; the exception to raise."""
    typer.echo(message, err=True)
    return typer.Exit(status)


def _said(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        limit, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"{error.strerror}: the limit is {limit}, each device that is awake takes 4: say `ulimit -n` and more"
    files = [str(name) for name in (error.filename, error.filename2) if name]
    return f"{' to '.join(files)}: {error.strerror}" if files else str(error)
