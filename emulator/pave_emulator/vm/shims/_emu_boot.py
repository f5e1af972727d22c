"""What a VM runs first. Arguments: the descriptors of channel and image, and where the image is mapped (0: nowhere).

This module is `__main__`, whose names boot.py, main.py and the REPL share, so it keeps none of its own.
"""

import sys

sys.path.insert(0, sys.argv[0].rsplit("/", 1)[0])
import _emu_start

del sys
_emu_start.boot(globals())
del _emu_start
