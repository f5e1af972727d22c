"""`python -m pave_gateway` is the command `pave-gateway`."""

from pave_gateway.cli import main

main()
