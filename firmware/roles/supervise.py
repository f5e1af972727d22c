"""What runs last and catches everything: the role named in /config.json, and what happens when it fails.

An exception never ends at a REPL at full current: the traceback goes to the console, the crash is counted and kept for
the gateway (`roles.start_record`), and the device sleeps, longer each time, before it starts again. A bite of the
watchdog counts as a crash too; after the second in a row the device sleeps before it tries again.

    what                         caught                          then
    ---------------------------  ------------------------------  -----------------------------------------
    any exception of the role    here                            kept, sleep, start
    a role that returns          here                            sleep, start
    Ctrl-C                       nobody, where it can come       a REPL (`roles.repl`), until the watchdog bites
    a hang                       the watchdog                    start
    a slot that cannot be read   main.py                         sleep, start
"""

import gc
import json
import sys

import machine
import micropython

from app import limits
from roles import rtc_state

_CTRL_C, _NO_KEY = 3, -1


def run(watchdog):
    """Run the device's role for ever; `watchdog` (machine.WDT) was started by boot.py."""
    sleep_max_s = limits.SENSOR_CRASH_SLEEP_MAX_S
    try:
        config = _config()
        if config.get("role") == "kiosk":
            sleep_max_s = limits.KIOSK_CRASH_SLEEP_MAX_S
        key = _NO_KEY if config.get("production") is True else _CTRL_C
        micropython.kbd_intr(key)  # pyright: ignore[reportAttributeAccessIssue]  not in the stubs
        if machine.reset_cause() != machine.DEEPSLEEP_RESET or rtc_state.crashes():
            _started(config, watchdog, sleep_max_s)
        _role(config)(config, _board(config), watchdog.feed).run()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        crashed(error, sleep_max_s)
    _sleep(sleep_max_s)


def crashed(error, sleep_max_s):
    """Take note of `error`, and sleep: the longer, the more crashes there were in a row. Never returns."""
    sys.print_exception(error)
    try:
        from roles import start_record
        from roles.persistent import Persistent

        start_record.keep_crash(Persistent(), error)
    except Exception as another:  # whatever is broken, the device sleeps
        sys.print_exception(another)
    _sleep(sleep_max_s)


def _sleep(sleep_max_s):
    crashes = rtc_state.crashes() + 1
    rtc_state.set_crashes(crashes)
    machine.deepsleep(1000 * _pause_s(crashes, sleep_max_s))


def _pause_s(crashes, sleep_max_s):
    return min(sleep_max_s, limits.CRASH_SLEEP_FIRST_S << min(crashes - 1, 16))


def _started(config, watchdog, sleep_max_s):
    """A start that is no wake-up of a healthy device: finish what was begun, count it, let a technician in."""
    from roles import erase, repl, start_record
    from roles.persistent import Persistent

    persistent = Persistent()
    if erase.is_asked_for(persistent):
        erase.erase_all(watchdog.feed)
    start_record.begin(persistent, rtc_state.crashes())
    if start_record.cause == machine.DEEPSLEEP_RESET:
        return
    minutes = repl.minutes_asked(persistent, _board(config))
    if minutes:
        repl.stay_open(minutes)
    if start_record.cause == machine.WDT_RESET:
        crashes = rtc_state.crashes() + 1
        rtc_state.set_crashes(crashes)
        if crashes > 1:
            machine.deepsleep(1000 * _pause_s(crashes, sleep_max_s))


def _config():
    with open("/config.json") as file:
        return json.load(file)


def _board(config):
    return __import__("boards." + config["board"], None, None, ("*",))


def _role(config):
    if config["role"] == "presence":
        gc.threshold(limits.SENSOR_COLLECT_BYTES)
        from roles.presence_sensor import PresenceSensor

        return PresenceSensor
    if config["role"] == "kiosk":
        from roles.kiosk_controller import KioskController

        return KioskController
    raise ValueError("role %r in /config.json; presence or kiosk" % config["role"])
