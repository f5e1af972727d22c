"""What runs last and catches everything: the role named in /config.json, and what happens when it fails.

An exception never ends at a REPL at full current: the traceback goes to the console, the crash is counted in RTC
memory, and the device sleeps, longer each time, before it starts again.
"""

import json
import sys

import machine

from app import limits
from roles import rtc_state


def run(watchdog):
    """Run the device's role for ever; `watchdog` (machine.WDT) was started by boot.py."""
    try:
        _role(_settings(), watchdog.feed).run()
    except Exception as error:
        sys.print_exception(error)
    crashes = rtc_state.crashed()
    machine.deepsleep(1000 * min(limits.CRASH_SLEEP_MAX_S, limits.CRASH_SLEEP_FIRST_S << (crashes - 1)))


def _settings():
    with open("/config.json") as file:
        return json.load(file)


def _role(settings, feed):
    board = __import__("boards." + settings["board"], None, None, ("*",))
    if settings["role"] == "presence":
        from roles.presence_sensor import PresenceSensor

        return PresenceSensor(settings, board, feed)
    if settings["role"] == "kiosk":
        from roles.kiosk_controller import KioskController

        return KioskController(settings, board, feed)
    raise ValueError("role %r in /config.json; presence or kiosk" % settings["role"])
