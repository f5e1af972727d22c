# Runs first after every reset and wake-up. The watchdog is the first thing that lives.
from machine import WDT

watchdog = WDT(timeout=60_000)

# Nobody gets a REPL by Ctrl-C from here on, unless roles.supervise lets him.
from micropython import kbd_intr  # pyright: ignore[reportAttributeAccessIssue]  not in the stubs

kbd_intr(-1)

import sys

# What a file could replace is looked for in the file system at each import; by their old names these are not.
for name in ("struct", "binascii", "json"):
    sys.modules[name] = __import__("u" + name)
sys.path.insert(0, "/a")  # the slot the application is in

try:
    from roles import rtc_state

    # Most wake-ups of a presence sensor end here: it has felt nothing to tell.
    if rtc_state.sensing():
        from roles import presence_sense

        presence_sense.wake(watchdog.feed)
except Exception as error:  # a damaged slot would end at a REPL here; main.py meets it too, and sleeps
    print("fast path:", error)
