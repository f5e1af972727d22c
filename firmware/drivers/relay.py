"""A relay that puts a load on and off, such as Omron's G5LE-1 (datasheet K100).

    pc = Relay(Pin(4, Pin.OUT, value=0), normally_closed=True)
    pc.open()    # the load has no power once OPERATE_MAX_MS are over
    pc.close()

Wired to its normally closed contact, a load keeps its power while the controller has none or starts.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import Pin

OPERATE_MAX_MS = 10
RELEASE_MAX_MS = 5


class Relay:
    """The output `coil` (machine.Pin or alike), high for current through the coil."""

    def __init__(self, coil: "Pin", normally_closed: bool = False):
        self._coil = coil
        self._normally_closed = normally_closed

    def close(self):
        """Give the load its power."""
        self._coil.value(0 if self._normally_closed else 1)

    def open(self):
        """Take the load's power away."""
        self._coil.value(1 if self._normally_closed else 0)

    def is_closed(self):
        """Return whether the load is to have power; a relay does not tell whether its contact has moved."""
        return bool(self._coil.value()) != self._normally_closed
