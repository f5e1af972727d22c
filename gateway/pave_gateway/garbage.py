"""CPython's collector of reference cycles, kept from stopping the gateway while devices wait.

A full collection looks at every object there is, and with 10,000 devices that takes a quarter of a second. What a start
has made stays until the end, so it is taken out of sight (`gc.freeze`). What comes later is mostly requests, which
reference counting frees: the collector needs to look at them a tenth as often.
"""

import gc

_YOUNG = 10_000  # objects made and not freed before the youngest are looked at (CPython: 700)
_MIDDLE, _OLD = 10, 50  # collections of one generation before the next one's (CPython: 10, 10)


def settle() -> None:
    """Take all there is for lasting. Once, when the gateway has started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
