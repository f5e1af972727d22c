"""What every device does for its gateway beside its own work: settings, commands, the report on its start, its log.

A role makes one and calls it so:

    service = Service(config, persistent, outbox, feed)
    service.requests.acts[command.IDENTIFY] = blink  # the role's own, (argument) -> (status, detail)
    service.start_report(now_ms())                   # into the outbox, where there is something to say
    link = CoapServer(service.requests.answer, ...)  # or, over LoRaWAN, session.respond with what `answer` gives
    ...
    if service.tend(now_ms()):                       # after each turn
        service.act()                                # starts anew, and never returns
"""

import struct

import machine

from app import limits, log_ring, settings
from app.requests import Requests
from pave_wire import command
from pave_wire.limits import TEXT_CHARS
from pave_wire.reading import FAULT
from roles import start_record

_COMMAND = ">IB"  # id and status of the newest


class Service:
    """See above.

    Args:
        config: /config.json as a dict.
        persistent: `roles.persistent.Persistent`.
        outbox: `app.outbox.Outbox`, which takes what is reported.
        feed: the watchdog's.
        wifi: as in `app.settings.Settings`.
        log: an `app.log_ring.LogRing`, or None.

    Raises:
        settings.SettingsError: as `settings.checked`.
        OSError: NVS is damaged.
    """

    def __init__(self, config, persistent, outbox, feed, wifi=None, log=None):
        self._persistent = persistent
        self._outbox = outbox
        self._feed = feed
        self._has_wifi = "wifi" in config
        kind, flashed, self._faults = settings.checked(config)
        for fault in self._faults:
            print(fault)
        self.log = log
        self.settings = settings.Settings(kind, flashed, persistent.blob("settings"), self._keep_settings, wifi)
        self.requests = Requests(config["device"], kind, self.settings, _CommandMemory(persistent))
        self._act = None  # what is to be done once the answer is out
        self._act_ms = None
        acts = self.requests.acts
        acts[command.REBOOT] = self._reboot
        acts[command.UNLOCK] = self._unlock
        acts[command.FACTORY_RESET] = self._factory_reset
        acts[command.ERASE] = self._erase
        if log is not None:
            acts[command.LOG] = self._send_log

    def start_report(self, now_ms):
        """Put a reading about this start into the outbox, where there is one to be made; once."""
        values = start_record.report(self._persistent)
        if values is None:
            return
        if self._faults:
            values[FAULT] = log_ring.plain(self._faults[0])[:TEXT_CHARS]
        self._outbox.add(values, now_ms)

    def tend(self, now_ms, is_idle=True):
        """See to what the turn before has brought; return whether the role is to end, and call `act`.

        That is some time after the answer was given, and not before `is_idle`: nothing waits to be sent.
        """
        if self._outbox.crash_heard:
            self._persistent.forget("crash")
            self._outbox.crash_heard = False
        if self._act is None:
            return False
        if self._act_ms is None:
            self._act_ms = now_ms + limits.ACT_AFTER_MS
        return is_idle and now_ms >= self._act_ms

    def act(self):
        """Do what was asked for and answered; never returns."""
        assert self._act is not None
        self._act()
        machine.reset()

    def _keep_settings(self, kept):
        self._persistent.keep_blob("settings", kept)

    # Commands

    def _later(self, act):
        self._act = act
        return command.DONE, ""

    def _reboot(self, _argument):
        return self._later(machine.reset)

    def _unlock(self, minutes):
        self._persistent.keep_number("unlock", minutes)
        return self._later(machine.reset)

    def _factory_reset(self, _confirmed):
        from roles import erase

        return self._later(lambda: erase.factory_reset(self._persistent, self.settings))

    def _erase(self, _confirmed):
        self._persistent.keep_number("erase", 1)  # from here on it is done at the next start at the latest
        return self._later(self._erase_now)

    def _erase_now(self):
        from roles import erase

        if self._has_wifi:
            from net import wifi

            wifi.stop()  # it has values in NVS, and would write them again
        erase.erase_all(self._feed)

    def _send_log(self, lines):
        from net.clock import now_ms

        at_ms = now_ms()
        for values in log_ring.readings(self.log.lines(lines), at_ms):
            self._outbox.add(values, at_ms)
        return command.DONE, ""


class _CommandMemory:
    """The newest command, in NVS: at most three entries of a page for each of two writes, so commands may be many."""

    def __init__(self, persistent):
        self._persistent = persistent

    def newest(self):
        raw = self._persistent.blob("command", struct.calcsize(_COMMAND))
        return (0, command.DONE) if raw is None else struct.unpack(_COMMAND, raw)

    def keep(self, command_id, status):
        self._persistent.keep_blob("command", struct.pack(_COMMAND, command_id, status))
