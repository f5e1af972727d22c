"""Why this device has started, how often it did so for each reason, and the crash that nobody has heard of yet.

`begin` is called once at each start that is no wake-up of a healthy device. What it finds goes to the gateway as one
reading, of the class diagnostics: `report`.

A brown-out calls itself a power-on (ESP32: esp_reset_reason ESP_RST_BROWNOUT, which MicroPython maps to PWRON_RESET).
RTC memory tells them apart: it lives on less voltage than the core, and after a true power-on it is empty. So an
interruption too short to empty it is counted as a brown-out too.

NVS is written once at each start but for wake-ups from sleep, and once at each crash: 14 bytes, which take 3 of the 126
entries of a page. Of six pages five are in turn, each for 100,000 erasures: 21 million starts. Of a row of crashes the
first is kept, until the gateway has acknowledged it; the others are counted.
"""

import gc
import struct
import sys

import machine

from pave_wire.hello import RESET_CAUSES
from pave_wire.reading import CRASH, CRASH_AT, CRASH_VIA, RESET

POWER_ON, DEEP_SLEEP, BROWN_OUT, CRASHED = 1, 4, 6, 7
_COUNTS = "<7H"  # by cause, from POWER_ON on; deep sleep stays 0
_MOST = 0xFFFF
_CRASH_TEXTS = (CRASH, CRASH_AT, CRASH_VIA)

cause = 0  # index in RESET_CAUSES of the start that `begin` saw
_is_due = False  # whether there is something to report


def begin(persistent, crashes):
    """Take note of this start, `crashes` in a row before it; before anything writes to RTC memory."""
    global cause, _is_due
    cause = machine.reset_cause()
    if cause == POWER_ON and machine.RTC().memory():
        cause = BROWN_OUT
    _is_due = crashes > 0 or cause != DEEP_SLEEP
    if cause != DEEP_SLEEP:
        _count(persistent, cause)


def keep_crash(persistent, error):
    """Count a crash, and keep what `error` says unless there is an earlier one to report."""
    _count(persistent, CRASHED)
    if persistent.blob("crash") is not None:
        return
    gc.collect()  # it may have been a lack of memory
    import io

    from app import crash_text

    traceback = io.StringIO()
    sys.print_exception(error, traceback)  # pyright: ignore[reportArgumentType]  a stream is one
    values = crash_text.summary(traceback.getvalue())  # pyright: ignore[reportAttributeAccessIssue]  not in the stubs
    persistent.keep_blob("crash", "\n".join([values.get(name, "") for name in _CRASH_TEXTS]).encode())


def report(persistent):
    """Return the values of the reading about this start, once; None where there is nothing to say."""
    global _is_due
    if not _is_due:
        return None
    _is_due = False
    crash = persistent.blob("crash")
    values: dict = {RESET: "crash" if crash is not None and cause == DEEP_SLEEP else RESET_CAUSES[cause]}
    for index, count in enumerate(counts(persistent)):
        if count:
            values["resets-" + _name(index + 1)] = count
    if crash is not None:
        for name, text in zip(_CRASH_TEXTS, crash.decode().split("\n")):
            if text:
                values[name] = text
    return values


def parts(values):
    """Return the values of `report` as those of readings that LoRaWAN's frames of 242 bytes hold, all but CRASH_VIA."""
    crash = {name: values[name] for name in (CRASH, CRASH_AT) if name in values}
    start = {name: value for name, value in values.items() if name not in _CRASH_TEXTS}
    return [start, crash] if crash else [start]


def counts(persistent):
    """Return how often the device has started for each cause, from power-on on; the last is crashes."""
    raw = persistent.blob("resets", struct.calcsize(_COUNTS))
    if raw is None or len(raw) != struct.calcsize(_COUNTS):
        return [0] * 7
    return list(struct.unpack(_COUNTS, raw))


def _count(persistent, why):
    now = counts(persistent)
    now[why - 1] = min(_MOST, now[why - 1] + 1)
    persistent.keep_blob("resets", struct.pack(_COUNTS, *now))


def _name(why):
    return "crash" if why == CRASHED else RESET_CAUSES[why]
