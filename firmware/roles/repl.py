"""Who may have a REPL on the serial port.

A device whose /config.json says `production` has none: boot.py makes Ctrl-C a character like any other before anything
else runs, `roles.supervise` leaves it so, and main.py never ends, so what is typed is never read. It opens for a
bounded time, in which the device does nothing else, for who sends an authenticated `unlock`, or holds the button at a
start. The watchdog sees to the end.

What stays open on stock MicroPython: boot.py's first milliseconds, in which a Ctrl-C ends at a REPL until the watchdog
bites, and the ROM loader, which reads and writes the whole flash. So the lock keeps an accident or a curious hand out,
and no thief: docs/SECURITY.md. A device in development lets Ctrl-C through, as MicroPython does.
"""

import time

import machine
import micropython

from app import limits

_CTRL_C = 3
_LOOK_MS = 50
_MARGIN_MS = 60_000


def minutes_asked(persistent, board):
    """Return for how many minutes a REPL was asked for, by command before this start or by the button now; 0: not.

    A command counts once. The button is held for UNLOCK_BUTTON_MS; who does not hold it loses nothing.
    """
    asked = persistent.number("unlock")
    if asked is not None:
        persistent.forget("unlock")
        return asked
    pin = getattr(board, "BUTTON", None)
    if pin is None:
        return 0
    button = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP)
    for _ in range(limits.UNLOCK_BUTTON_MS // _LOOK_MS):
        if button.value():
            return 0
        time.sleep_ms(_LOOK_MS)
    return limits.UNLOCK_BUTTON_MIN


def stay_open(minutes):
    """Let Ctrl-C through for so long, then start anew. Who comes in has what is left of it, and a minute.

    Raises:
        KeyboardInterrupt: somebody has come in; let it reach the REPL.
    """
    machine.WDT(timeout=minutes * 60_000 + _MARGIN_MS)
    print("serial port open for %d min: Ctrl-C" % minutes)
    micropython.kbd_intr(_CTRL_C)  # pyright: ignore[reportAttributeAccessIssue]  not in the stubs
    for _ in range(minutes * 60):
        time.sleep(1)
    machine.reset()
