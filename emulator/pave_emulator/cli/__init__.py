"""`pave-emulator`: boards in a street that is not there. One module per command, `commands` puts them together."""

from __future__ import annotations

import sys

INTERRUPTED = 130  # as a shell says of a program that Ctrl-C has ended


def main() -> None:
    """Entry point of `pave-emulator`. What it needs takes a second to load, and Ctrl-C may come meanwhile."""
    try:
        from pave_emulator.cli.commands import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
