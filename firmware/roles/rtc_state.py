"""What outlives deep sleep, crashes and bites of the watchdog, in RTC memory: a value, what sensing needs, two numbers.

    byte 0       crashes in a row
    bytes 1-4    CRC-32 of the value, little-endian: RTC memory is not initialised at power-on, and a flipped bit in a
                 count of readings would give an identity twice
    bytes 5-8    the OSCORE sender sequence number that is next, little-endian
    bytes 9-12   its CRC-32, from another start than 0
    bytes 13-14  length of the sensing state, little-endian; 0: none
    bytes 15-18  its CRC-32, from a third start
    bytes 19-    the sensing state, then the value (CBOR)

The sensing state is apart so that a wake-up that turns out to be nothing has no CBOR to load. Writing is a copy in
memory: save after every change, before anything that others will see.
"""

import struct
from binascii import crc32

import machine

_RTC_BYTES = 2048  # ESP32-S3: MICROPY_HW_RTC_USER_MEM_MAX
_HEAD = "<BIIIHI"
_HEAD_BYTES = 19
_SEQUENCE_START = 0x50495600  # what the CRCs start from: with 0, memory that is all ones would pass
_SENSING_START = 0x53454E53


def load():
    """Return the value saved last, or None after a power-on."""
    head, _, value = _read()
    if not value or head[1] != crc32(value):
        return None
    from pave_wire import cbor
    from pave_wire.errors import WireError

    try:
        return cbor.loads(value)
    except WireError:
        return None


def save(value, sensing=None):
    """Keep `value` (as `cbor.dumps` takes it) and, in the same act, `sensing` (bytes; None: as it is).

    Raises:
        ValueError: more than RTC memory holds; what was there stays.
    """
    from pave_wire import cbor

    head, kept, _ = _read()
    data = cbor.dumps(value)
    head[1] = crc32(data)
    _write(head, kept if sensing is None else _marked(head, sensing), data)


def sensing():
    """Return the sensing state kept last, empty after a power-on."""
    head, kept, _ = _read()
    return kept if head[5] == _sensing_crc(kept) else b""


def save_sensing(state):
    """Keep the sensing state (bytes)."""
    head, _, value = _read()
    _write(head, _marked(head, state), value)


def crashes():
    """Return how often in a row the application has crashed."""
    return _read()[0][0]


def set_crashes(count):
    """Say how often in a row the application has crashed; 0 when it is healthy."""
    head, kept, value = _read()
    head[0] = min(255, count)
    _write(head, kept, value)


def sequence():
    """Return the OSCORE sender sequence number kept last, or None after a power-on."""
    head = _read()[0]
    return head[2] if head[3] == _sequence_crc(head[2]) else None


def set_sequence(number):
    """Keep the number (32 bits) until the next power-on."""
    head, kept, value = _read()
    head[2] = number
    head[3] = _sequence_crc(number)
    _write(head, kept, value)


def _read():
    """Return the list of the head's fields, the sensing state's bytes, and the value's."""
    memory = machine.RTC().memory()
    if len(memory) < _HEAD_BYTES:
        return [0, 0, 0, 0, 0, 0], b"", b""
    head = list(struct.unpack(_HEAD, memory[:_HEAD_BYTES]))
    end = _HEAD_BYTES + head[4]
    return head, memory[_HEAD_BYTES:end], memory[end:]


def _write(head, kept, data):
    size = _HEAD_BYTES + len(kept) + len(data)
    if size > _RTC_BYTES:
        raise ValueError("state of %d bytes; RTC memory holds %d" % (size, _RTC_BYTES))
    machine.RTC().memory(struct.pack(_HEAD, *head) + kept + data)


def _marked(head, state):
    """Return `state`, its length and CRC in `head`."""
    head[4], head[5] = len(state), _sensing_crc(state)
    return state


def _sequence_crc(number):
    return crc32(struct.pack("<I", number), _SEQUENCE_START)


def _sensing_crc(state):
    return crc32(state, _SENSING_START)
