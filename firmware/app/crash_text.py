"""A traceback as a few short texts: what a reading can carry, and what is worth a look first.

    crash       the exception: ValueError: state of 2100 bytes; RTC memory holds 2035
    crash-at    where, innermost first: presence_sensor:88 _save/presence_sensor:120 _decided
    crash-via   more of that

The message of an exception is words of this firmware and never holds a key or a passphrase.
"""

from app import limits
from app.log_ring import plain
from pave_wire.limits import TEXT_CHARS
from pave_wire.reading import CRASH, CRASH_AT, CRASH_VIA


def summary(traceback):
    """Return {name: text} for a reading, from what `sys.print_exception` has written."""
    lines = traceback[-limits.CRASH_TRACEBACK_CHARS :].split("\n")
    frames = []
    last = ""
    for line in lines:
        frame = _frame(line)
        if frame:
            frames.insert(0, frame)
        elif line.strip() and not line.startswith("Traceback") and not line.startswith(" "):
            last = line
    values = {CRASH: plain(last or "unknown")[:TEXT_CHARS]}
    first = second = ""
    for frame in frames:
        if not second and len(first) + len(frame) < TEXT_CHARS:
            first += ("/" if first else "") + frame
        elif len(second) + len(frame) < TEXT_CHARS:
            second += ("/" if second else "") + frame
        else:
            break
    if first:
        values[CRASH_AT] = first
    if second:
        values[CRASH_VIA] = second
    return values


def _frame(line):
    """Return "module:line function" of `  File "a/module.py", line 3, in function`, or None."""
    parts = line.strip().split('"')
    if len(parts) != 3 or parts[0] != "File ":
        return None
    name = parts[1]
    if name.endswith(".py"):
        name = name[:-3]
    words = parts[2].replace(",", "").split()  # line 3 in function
    if len(words) < 2 or words[0] != "line":
        return None
    text = name.split("/")[-1] + ":" + words[1]
    if len(words) == 4:
        text += " " + words[3]
    return plain(text)[: TEXT_CHARS - 1]
