"""What outlives the power: the epoch and the baseline, in NVS under "pave"."""

import struct

from esp32 import NVS


class Identity:
    """The device's persistent memory."""

    def __init__(self):
        self._nvs = NVS("pave")

    def next_epoch(self):
        """Advance the epoch, keep it, and return it: the count of readings starts again at 0 under a new number."""
        try:
            epoch = self._nvs.get_i32("epoch") + 1
        except OSError:  # first boot of this device
            epoch = 1
        self._nvs.set_i32("epoch", epoch)
        self._nvs.commit()
        return epoch

    def baseline(self):
        """Return the field of the empty bay (x, y, z) in counts, or None before commissioning."""
        raw = bytearray(6)
        try:
            self._nvs.get_blob("baseline", raw)
        except OSError:
            return None
        return struct.unpack("<3h", raw)

    def keep_baseline(self, field):
        """Keep the field of the empty bay for the next power-on."""
        self._nvs.set_blob("baseline", struct.pack("<3h", *field))
        self._nvs.commit()
