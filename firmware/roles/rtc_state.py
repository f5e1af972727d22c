"""What outlives deep sleep, crashes and bites of the watchdog: one CBOR value in RTC memory, and two numbers.

    byte 0       crashes in a row
    bytes 1-4    CRC-32 of the value, little-endian: RTC memory is not initialised at power-on, and a flipped bit in a
                 count of readings would give an identity twice
    bytes 5-8    the OSCORE sender sequence number that is next, little-endian
    bytes 9-12   its CRC-32, from another start than 0
    bytes 13-    the value

Writing is a copy in memory: save after every change, before anything that others will see.
"""

import struct
from binascii import crc32

import machine

from pave_wire import cbor
from pave_wire.errors import WireError

_RTC_BYTES = 2048  # ESP32-S3: MICROPY_HW_RTC_USER_MEM_MAX
_HEAD = "<BIII"
_HEAD_BYTES = 13
_SEQUENCE_START = 0x50495600  # what the CRC starts from: with 0, memory that is all ones would pass


def load():
    """Return the value saved last, or None after a power-on."""
    head, value = _read()
    if not value or head[1] != crc32(value):
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
    head, _ = _read()
    head[1] = crc32(data)
    _write(head, data)


def crashes():
    """Return how often in a row the application has crashed."""
    return _read()[0][0]


def set_crashes(count):
    """Say how often in a row the application has crashed; 0 when it is healthy."""
    head, value = _read()
    head[0] = min(255, count)
    _write(head, value)


def sequence():
    """Return the OSCORE sender sequence number kept last, or None after a power-on."""
    head = _read()[0]
    return head[2] if head[3] == _sequence_crc(head[2]) else None


def set_sequence(number):
    """Keep the number (32 bits) until the next power-on."""
    head, value = _read()
    head[2] = number
    head[3] = _sequence_crc(number)
    _write(head, value)


def _read():
    """Return the list of the head's fields, and the value's bytes."""
    memory = machine.RTC().memory()
    if len(memory) < _HEAD_BYTES:
        return [0, 0, 0, 0], b""
    return list(struct.unpack(_HEAD, memory[:_HEAD_BYTES])), memory[_HEAD_BYTES:]


def _write(head, value):
    machine.RTC().memory(struct.pack(_HEAD, *head) + value)


def _sequence_crc(number):
    return crc32(struct.pack("<I", number), _SEQUENCE_START)
