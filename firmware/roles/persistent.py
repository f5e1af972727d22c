"""What outlives the power, in NVS under "pave"; keys have namespaces of their own, beside their counters.

    epoch      i32   of the readings
    baseline   blob  the detector's state, with the field of the empty bay (roles/presence_sensor.py)
    settings   blob  desired settings (app/settings.py)
    command    blob  id and status of the newest command (app/requests.py)
    crash      blob  the crash that was not yet reported (roles/start_record.py)
    resets     blob  counts of resets (roles/start_record.py)
    erase      i32   1: erase everything at the next start (roles/erase.py)
    unlock     i32   minutes of a REPL at the next start (roles/repl.py)

NVS writes a new value before it erases the old one, so each changes at one instant, wherever the power goes; it spreads
its writes over all its pages. What is written often is written where its module says.
"""

from esp32 import NVS

_NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND
_BLOB_BYTES = 1100  # settings are the largest: a shadow of 1,000 bytes with its version and what was refused


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

    def blob(self, key, size=_BLOB_BYTES):
        """Return what was kept under `key` (bytes, at most `size`), or None."""
        raw = bytearray(size)
        got = found(self._nvs.get_blob, key, raw)
        return None if got is None else bytes(raw[:got])

    def keep_blob(self, key, value):
        """Keep bytes under `key`."""
        self._nvs.set_blob(key, value)
        self._nvs.commit()

    def number(self, key):
        """Return the integer (32 bits, signed) under `key`, or None."""
        return found(self._nvs.get_i32, key)

    def keep_number(self, key, value):
        """Keep an integer under `key`."""
        self._nvs.set_i32(key, value)
        self._nvs.commit()

    def forget(self, *keys):
        """Forget keys; those that are not there are forgotten already. Their bytes stay in flash (roles/erase.py)."""
        for key in keys:
            found(self._nvs.erase_key, key)
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
