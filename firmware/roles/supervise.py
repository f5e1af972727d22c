"""What runs last and catches everything: the role named in /config.json, and what happens when it fails.

An exception never ends at a REPL at full current: the traceback goes to the console, the crash is counted in RTC
memory, and the device sleeps, longer each time, before it starts again. A bite of the watchdog counts as a crash too.
"""

import json
import sys

import machine

from app import limits
from roles import rtc_state


def run(watchdog):
    """Run the device's role for ever; `watchdog` (machine.WDT) was started by boot.py."""
    if machine.reset_cause() == machine.WDT_RESET:
        rtc_state.set_crashes(rtc_state.crashes() + 1)
    sleep_max_s = limits.SENSOR_CRASH_SLEEP_MAX_S
    try:
        settings = _settings()
        role = _role(settings)
        sleep_max_s = role.crash_sleep_max_s
        role(settings, _board(settings), watchdog.feed).run()
    except Exception as error:
        sys.print_exception(error)
    crashes = rtc_state.crashes() + 1
    rtc_state.set_crashes(crashes)
    machine.deepsleep(1000 * min(sleep_max_s, limits.CRASH_SLEEP_FIRST_S << min(crashes - 1, 16)))


def _settings():
    with open("/config.json") as file:
        return json.load(file)


def _board(settings):
    return __import__("boards." + settings["board"], None, None, ("*",))


def _role(settings):
    if settings["role"] == "presence":
        from roles.presence_sensor import PresenceSensor

        return PresenceSensor
    if settings["role"] == "kiosk":
        from roles.kiosk_controller import KioskController

        return KioskController
    raise ValueError("role %r in /config.json; presence or kiosk" % settings["role"])
