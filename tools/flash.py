"""The technician's tool: `python tools/flash.py --help`. Everything it does is in `tools/pave_tools`."""

from pave_tools.cli import main

if __name__ == "__main__":
    main()
