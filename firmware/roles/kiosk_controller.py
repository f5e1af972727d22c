"""Kiosk controller: a bus shelter's screens, kept true by the gateway, and the house around them.

    task      does                                                             module
    --------  ---------------------------------------------------------------  -------------
    link      hears availability, settings and commands; reports               kiosk_link
    reports   keeps what is due until the link has said it                     kiosk_link
    screen    draws what changed                                               kiosk_screens
    climate   measures the housing                                             kiosk_parts
    light     measures the street, dims the backlight                          kiosk_parts
    fan       cools                                                            kiosk_parts
    pc        cycles the PC's power when it has hung                           kiosk_parts
    inputs    lid and mains                                                    kiosk_parts

`kiosk_tasks` supervises them and feeds the watchdog. Whatever ends them, the screens go dark: they never show as fresh
what nobody updates any more.
"""

import asyncio

import machine
from machine import Pin

from app import kiosk_reports, limits
from app.log_ring import LogRing
from app.outbox import Outbox
from app.screen_words import ENGLISH, FRENCH, IDENTIFY, MAINTENANCE
from app.wifi_profiles import WifiProfiles
from drivers.led import Led
from net.clock import now_ms
from pave_wire import command, reading
from roles import kiosk_parts, rtc_state
from roles.kiosk_link import KioskLink
from roles.kiosk_screens import Screens
from roles.kiosk_tasks import Tasks
from roles.persistent import Persistent
from roles.service import Service

_BLINK_MS = (250, 250)


class KioskController:
    """The controller of one kiosk.

    Args:
        config: the device's /config.json.
        board: the module of pins that `config` names.
        feed: called at least every KIOSK_LOOK_S while all is well.
    """

    def __init__(self, config, board, feed):
        self._feed = feed
        self._board = board
        persistent = Persistent()
        i2c = machine.I2C(0, sda=Pin(board.I2C_SDA), scl=Pin(board.I2C_SCL), freq=board.I2C0_HZ)
        self._reports = kiosk_reports.Reports()
        outbox = Outbox(config["device"], persistent.next_epoch(), room=limits.KIOSK_OUTBOX_READINGS)
        wlan = config["wifi"]
        profiles = WifiProfiles(
            (wlan["ssid"], wlan["key"]), persistent.blob("wifi"), lambda kept: persistent.keep_blob("wifi", kept)
        )
        self._service = Service(config, persistent, outbox, feed, profiles, LogRing(limits.LOG_BYTES))
        self._service.settings.on_change = self._configure
        self._service.start_report(now_ms())
        self._screens = Screens(board, i2c, self._fault)
        climate = kiosk_parts.Climate(board, i2c, self._reports)
        self._light = kiosk_parts.Light(board, i2c, self._reports, self._screens.set_night)
        self._pc = kiosk_parts.Pc(board, self._reports)
        self._link = KioskLink(
            config, board.NAME, profiles, self._service, outbox, persistent, self._reports, self._heard, self._told_time
        )
        self._led = Led(Pin(board.LED, Pin.OUT, value=0))
        self._clock_ms = None  # what to add to `now_ms` for milliseconds since 1970
        self._blinks = self._ends = None  # tasks of commands
        self._notice = None  # words that stand before any message, and until when
        self._act()
        self._tasks = Tasks(feed, self._fault)
        for name, work, stuck_s in (
            ("link", self._link.run, limits.KIOSK_STUCK_S),
            ("reports", self._link.run_collecting, limits.KIOSK_STUCK_S),
            ("screen", self._screens.run, limits.KIOSK_STUCK_S),
            ("climate", climate.run, 3 * limits.KIOSK_CLIMATE_EVERY_S),
            ("light", self._light.run, 3 * limits.KIOSK_LIGHT_EVERY_S),
            ("fan", kiosk_parts.Fan(board, climate, self._reports).run, 3 * limits.KIOSK_FAN_EVERY_S),
            ("pc", self._pc.run, 3 * limits.KIOSK_PC_EVERY_S + limits.KIOSK_PC_OFF_S),
            ("inputs", kiosk_parts.Inputs(board, self._reports).run, 12 * limits.KIOSK_INPUTS_EVERY_S),
        ):
            self._tasks.add(name, work, stuck_s)

    def run(self):
        """Run for ever; whatever escapes is the supervisor's."""
        self._configure()
        try:
            asyncio.run(self._tasks.run(self._healthy))
        finally:
            self._screens.dark()

    def _healthy(self):
        rtc_state.set_crashes(0)

    def _fault(self, part, is_there):
        self._reports.fault(part, is_there)
        if is_there:
            self._service.log.add(3, "fault: " + part, now_ms())

    def _heard(self, counts, nearest, at_ms, max_age_s):
        self._screens.heard(counts, nearest, at_ms, max_age_s)
        self._reports.take(reading.SCREEN_FREE, self._screens.free())

    # Settings and messages

    def _configure(self):
        """Take up the settings that hold now."""
        get = self._service.settings.get
        self._reports.heartbeat_s = get("heartbeat_s")
        control = self._light.control
        control.day_percent = get("backlight_day_percent")
        control.night_percent = min(get("backlight_night_percent"), control.day_percent)
        self._screens.configure(get("languages"), get("heading_deg"))
        self._tell()

    def _told_time(self, time_s):
        had_clock = self._clock_ms is not None
        self._clock_ms = time_s * 1000 - now_ms()
        if not had_clock:
            self._tell()

    def _tell(self):
        """Show the notice that holds, or else the message of the settings."""
        if self._notice is not None and now_ms() < self._notice[1]:
            self._screens.tell(*self._notice)
            return
        get = self._service.settings.get
        texts = {FRENCH: get("message_fr"), ENGLISH: get("message_en")}
        until_s = get("message_until_s")
        if not until_s:
            self._screens.tell(texts, None)
        elif self._clock_ms is not None:
            self._screens.tell(texts, until_s * 1000 - self._clock_ms)
        else:  # nobody knows whether it is over
            self._screens.tell({}, None)

    # Commands

    def _act(self):
        acts = self._service.requests.acts
        acts[command.IDENTIFY] = self._identify
        acts[command.MAINTENANCE] = self._maintenance
        acts[command.POWER_CYCLE_PC] = self._power_cycle_pc

    def _identify(self, seconds):
        self._blinks = asyncio.create_task(self._blink(seconds * 1000))
        return self._show_notice(dict(enumerate(IDENTIFY)), seconds * 1000)

    def _maintenance(self, minutes):
        return self._show_notice(dict(enumerate(MAINTENANCE)), minutes * 60_000)

    def _show_notice(self, texts, for_ms):
        self._notice = (texts, now_ms() + for_ms)
        self._tell()
        if for_ms:
            self._ends = asyncio.create_task(self._end_notice(for_ms))
        return command.DONE, ""

    async def _end_notice(self, after_ms):
        await asyncio.sleep_ms(after_ms)
        self._tell()

    async def _blink(self, for_ms):
        began_ms = now_ms()
        self._led.show(_BLINK_MS, began_ms, for_ms // sum(_BLINK_MS))
        while True:
            wait_ms = self._led.update(now_ms())
            if wait_ms is None:
                return
            await asyncio.sleep_ms(wait_ms)

    def _power_cycle_pc(self, _argument):
        if not self._pc.command(lambda: self._link.finished(command.DONE)):
            return command.REFUSED, "under way"
        return command.STARTED, ""
