"""What outlives deep sleep, crashes and bites of the watchdog: one CBOR value in RTC memory, and a count of crashes.

    byte 0      crashes in a row
    bytes 1-4   CRC-32 of the rest, little-endian: RTC memory is not initialised at power-on, and a flipped bit in a
                count of readings would give an identity twice
    bytes 5-    the value

Writing is a copy in memory: save after every change, before anything that others will see.
"""

import struct
from binascii import crc32

import machine

from pave_wire import cbor
from pave_wire.errors import WireError

_RTC_BYTES = 2048  # ESP32-S3: MICROPY_HW_RTC_USER_MEM_MAX
_HEAD_BYTES = 5


def load():
    """Return the value saved last, or None after a power-on."""
    memory = machine.RTC().memory()
    value = memory[_HEAD_BYTES:]
    if len(memory) <= _HEAD_BYTES or struct.unpack("<I", memory[1:_HEAD_BYTES])[0] != crc32(value):
        return None
    try:
        return cbor.loads(value)
    except WireError:
        return None


def save(value):
    """Keep `value` (as `cbor.dumps` takes it) until the next power-on.

    Raises:
        ValueError: more than RTC memory holds.
    """
    data = cbor.dumps(value)
    if _HEAD_BYTES + len(data) > _RTC_BYTES:
        raise ValueError("state of %d bytes; RTC memory holds %d" % (len(data), _RTC_BYTES - _HEAD_BYTES))
    machine.RTC().memory(bytes((crashes(),)) + struct.pack("<I", crc32(data)) + data)


def crashes():
    """Return how often in a row the application has crashed."""
    memory = machine.RTC().memory()
    return memory[0] if len(memory) >= _HEAD_BYTES else 0


def set_crashes(count):
    """Say how often in a row the application has crashed; 0 when it is healthy."""
    memory = machine.RTC().memory()
    rest = memory[1:] if len(memory) >= _HEAD_BYTES else bytes(_HEAD_BYTES - 1)
    machine.RTC().memory(bytes((min(255, count),)) + rest)
