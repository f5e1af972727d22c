"""`python -m pave_emulator.cli`, where no entry point is installed."""

from pave_emulator.cli import main

main()
