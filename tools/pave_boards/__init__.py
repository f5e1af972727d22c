"""Board files (`hardware/boards/*.toml`): read once, checked whole, for the tools and for the emulator alike.

Theory of operation. `read` parses the file; `model` says what keys and values a table may have. When that holds, the
checks look at what the tables say together: `pins` (has the chip this GPIO, is it free, can it do that), `buses`
(addresses, peripherals, who is on which bus), `partitions` (does the table fit the flash, can it boot), `parts`. A
fault knows the path of its key, `toml_lines` the line; `BoardError` has one line for every fault of the file.

What a part is (its pins, options, power states) is known to whoever emulates it and comes in as a `Catalogue`; without
one the names of parts are taken as they are.
"""

from pave_boards.catalogue import Catalogue, Part
from pave_boards.faults import BoardError
from pave_boards.model import BoardFile
from pave_boards.reader import read

__all__ = ["BoardError", "BoardFile", "Catalogue", "Part", "read"]
