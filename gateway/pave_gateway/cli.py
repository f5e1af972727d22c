"""The command `pave-gateway`: its entry point, which is there before the rest is loaded, and what Ctrl-C does to it."""

import os
import signal
import sys  # and no more: until `main` has run, Ctrl-C is a traceback

_SIGNALLED = 128  # an exit status above it names the signal, as shells do


def main() -> None:
    """Entry point."""
    signal.signal(signal.SIGINT, _leave)
    from pave_gateway.cli_app import app  # here: it takes a second, and Ctrl-C may come in it

    signal.signal(signal.SIGINT, _give_up)
    app()


def _leave(number: int, _frame: object) -> None:
    """End with one line, at once: nothing has begun, and the import system drops what is raised in its callbacks."""
    os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(_SIGNALLED + number)


def _give_up(number: int, _frame: object) -> None:
    """End with one line; a second Ctrl-C ends whatever this still waits for."""
    signal.signal(number, signal.SIG_DFL)
    os.write(sys.stderr.fileno(), b"interrupted\n")  # not print, which may be in the middle of a line
    raise SystemExit(_SIGNALLED + number)
