"""The largest block a board's heap can give.

The ESP32's heap is made of regions; without PSRAM the largest block is 110,592 bytes. The VM's heap is one piece, so
marks that are never freed divide it: no run between two of them is longer. Objects are twice the size here, buffers
are not: the heap as a whole is scaled by the host, blocks are not.
"""

import gc

from uctypes import addressof

LARGEST_BLOCK_BYTES = 110592
PSRAM_HEAP_BYTES = 1 << 20  # a heap of this size or more has no such limit

_marks = []


def limit_largest_block():
    gc.collect()
    if gc.mem_free() + gc.mem_alloc() >= PSRAM_HEAP_BYTES:
        return
    blocks, fillers = [], ()
    try:
        while True:
            blocks.append(bytearray(LARGEST_BLOCK_BYTES))
            fillers = (fillers,)
            while id(fillers) < addressof(blocks[-1]):  # what is small goes into the holes before, while there are any
                fillers = (fillers,)
            _marks.append(bytearray(1))
    except MemoryError:
        pass
    del blocks, fillers
    gc.collect()
