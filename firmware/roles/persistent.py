"""What outlives the power: the epoch and the baseline, in NVS under "pave"."""

import struct

from esp32 import NVS

_NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND


class Persistent:
    """The device's persistent memory.

    Raises, in every method:
        OSError: NVS is damaged. Only a missing key is normal: starting over would give an identity twice.
    """

    def __init__(self):
        self._nvs = NVS("pave")

    def next_epoch(self):
        """Advance the epoch, keep it, and return it: the count of readings starts again at 0 under a new number.

        The technician's tool wrote the first one, the date of flashing in seconds, so a device that is flashed anew
        does not come back to epochs it has used.
        """
        epoch = found(self._nvs.get_i32, "epoch")
        epoch = 1 if epoch is None else epoch + 1
        self._nvs.set_i32("epoch", epoch)
        self._nvs.commit()
        return epoch

    def baseline(self):
        """Return the field of the empty bay (x, y, z) in counts, or None before commissioning."""
        raw = bytearray(6)
        return None if found(self._nvs.get_blob, "baseline", raw) is None else struct.unpack("<3h", raw)

    def keep_baseline(self, field):
        """Keep the field of the empty bay for the next power-on."""
        self._nvs.set_blob("baseline", struct.pack("<3h", *field))
        self._nvs.commit()


def found(get, *args):
    """Return `get(*args)` of an NVS namespace, None where there is no such key.

    Raises:
        OSError: anything else.
    """
    try:
        return get(*args)
    except OSError as error:
        if error.args[0] != _NOT_FOUND:
            raise
        return None
