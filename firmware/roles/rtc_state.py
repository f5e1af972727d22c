"""What outlives deep sleep: one CBOR value in RTC memory, and a count of crashes in a row.

The value is written only on the way to sleep, so after a crash or a bite of the watchdog it is the one from before:
`load` says so, and its owner must not give out again what may have been given out since. After
FAILURES_BEFORE_COLD_START crashes in a row the value itself is suspect and is dropped.
"""

import machine

from app import limits
from pave_wire import cbor
from pave_wire.errors import WireError

_RTC_BYTES = 2048  # ESP32-S3: MICROPY_HW_RTC_USER_MEM_MAX


def load():
    """Return (value saved last, whether nothing ran since); the value is None after a power-on."""
    memory = machine.RTC().memory()
    if len(memory) < 2 or memory[0] >= limits.FAILURES_BEFORE_COLD_START:
        return None, False
    try:
        return cbor.loads(memory[1:]), memory[0] == 0 and machine.reset_cause() == machine.DEEPSLEEP_RESET
    except WireError:
        return None, False


def save(value):
    """Keep `value` (as `cbor.dumps` takes it) until the next power-on, and forget earlier crashes.

    Raises:
        ValueError: more than RTC memory holds.
    """
    memory = b"\x00" + cbor.dumps(value)
    if len(memory) > _RTC_BYTES:
        raise ValueError("state of %d bytes; RTC memory holds %d" % (len(memory), _RTC_BYTES))
    machine.RTC().memory(memory)


def crashed():
    """Count a crash; return how many there were in a row."""
    memory = bytearray(machine.RTC().memory() or b"\x00")
    memory[0] = min(255, memory[0] + 1)
    machine.RTC().memory(memory)
    return memory[0]
