"""Commissioning on the board: drives chips, link and LED as `app.commission` says; loaded only when somebody asks.

    button or magnet -> checks -> baseline learned -> told to the gateway -> walk test -> told -> sleep

The radar loses its supply first: it then starts, says which application it runs, and calibrates as on its first day.
Who stands on the bay keeps the baseline from being learned: that is a failed check, and the old baseline holds.
"""

import machine
from micropython import const

from app import commission, limits, presence_radar
from drivers import lis2mdl
from drivers.led import Led
from net.clock import now_ms
from roles import cell, presence_sense

_LOOK_MS = const(100)
_HELD_MS = const(2000)
_MAGNET_GONE_MS = const(30_000)
_RADAR_OFF_MS = const(50)


def is_called(sensor):
    """Return whether the button, or a magnet, has been held for some seconds; who is not called loses one look."""
    for _ in range(_HELD_MS // _LOOK_MS):
        if not _is_pressed(sensor.board) and not _is_magnet(sensor.sense):
            return False
        sensor.feed()
        machine.lightsleep(_LOOK_MS)
    return True


class Commission:
    """One commissioning of `sensor`, a `PresenceSensor`."""

    def __init__(self, sensor):
        self._sensor = sensor
        self._sense = sensor.sense
        self._round = commission.Commissioning(now_ms())
        self._led = Led(machine.Pin(sensor.board.LED, machine.Pin.OUT, value=0))
        self._battery_mv = None

    def run(self):
        """Do all of it; returns after at most COMMISSION_WALK_S and some seconds."""
        print("commissioning: begun")
        self._show()
        self._wait_released()
        checks = (self._battery, self._magnetometer, self._interrupt, self._radar, self._baseline, self._radio)
        for name, check in zip(commission.CHECKS, checks):
            self._pause(_LOOK_MS)
            try:
                reason = check()
            except OSError as error:
                print("commissioning, %s: %s" % (name, error))
                reason = _reason(error)
            self._round.checked(name, reason)
        self._round.all_checked()
        self._show()
        for values in self._round.verdict(self._battery_mv):
            self._tell(values)
        self._walk()
        self._tell(self._round.walk())
        self._led.show((), now_ms())

    # The checks: each returns what is wrong, or an empty text; OSError counts as wrong.

    def _battery(self):
        self._battery_mv = cell.read_mv(self._sensor.board)
        return commission.battery_reason(self._battery_mv)

    def _magnetometer(self):
        self._sense.magnetometer.start()
        self._pause(2 * lis2mdl.SAMPLE_PERIOD_MS)
        field, _ = self._sense.magnetometer.read_sample()
        return "no field" if field == (0, 0, 0) else commission.PASSED

    def _interrupt(self):
        """Watch for nothing, then for less than the earth's field, then for nothing again."""
        magnetometer, line = self._sense.magnetometer, self._sense.interrupt
        magnetometer.disarm()
        idle = line.value()
        magnetometer.arm((0, 0, 0), 1)
        self._pause(3 * lis2mdl.SAMPLE_PERIOD_MS)
        active = line.value()
        magnetometer.disarm()
        return commission.polarity_reason(idle, active, line.value())

    def _radar(self):
        supply = machine.Pin(self._sensor.board.RADAR_SUPPLY, machine.Pin.OUT, value=0)
        supply.init(hold=False)  # pyright: ignore[reportCallIssue]  the ESP32 has it
        supply.value(0)
        self._pause(_RADAR_OFF_MS)
        self._peaks, self._near_edge = self._sense.look()
        return commission.PASSED

    def _baseline(self):
        if self._round.failed and self._round.failed[-1][0] in ("magnetometer", "radar"):
            return "not looked"
        seen, _ = presence_radar.look(self._peaks, self._near_edge)
        if seen == presence_radar.FLOOR:
            return "vehicle there"
        if seen != presence_radar.NOTHING:
            return "covered"
        if _is_magnet(self._sense):
            return "magnet there"
        detector = self._sense.detector
        detector.relearn(now_ms())
        self._sense.begin(presence_sense.TIMER)
        self._sense.settle(self._sensor.feed)
        return commission.PASSED if detector.known else "not learned"

    def _radio(self):
        return self._sensor.link.fault()

    # The walk

    def _walk(self):
        """Try the link every COMMISSION_EVERY_S, until told to end."""
        next_ms = now_ms()
        while not self._round.is_over(now_ms()):
            if now_ms() >= next_ms and not self._sensor.link.fault():
                heard = self._sensor.link.probe()
                if heard is not None:
                    self._round.walked(*heard)
                elif self._round.tried:
                    self._round.unanswered()
                self._show()
                next_ms = now_ms() + limits.COMMISSION_EVERY_S * 1000
            if _is_pressed(self._sensor.board):
                return
            self._pause(_LOOK_MS)

    def _tell(self, values):
        self._sensor.outbox.add(values, now_ms())
        self._sensor.save()

    def _wait_released(self):
        """Wait until button and magnet are gone; a magnet that stays fails the baseline."""
        for _ in range(_MAGNET_GONE_MS // _LOOK_MS):
            if not _is_pressed(self._sensor.board) and not _is_magnet(self._sense):
                return
            self._pause(_LOOK_MS)

    def _show(self):
        self._led.show(self._round.pattern(), now_ms())

    def _pause(self, ms):
        """Wait in light sleep while the LED goes on."""
        until_ms = now_ms() + ms
        while (left_ms := until_ms - now_ms()) > 0:
            self._sensor.feed()
            change_ms = self._led.update(now_ms())
            machine.lightsleep(left_ms if change_ms is None else min(left_ms, change_ms))


def _is_pressed(board):
    return not machine.Pin(board.BUTTON, machine.Pin.IN, machine.Pin.PULL_UP).value()


def _is_magnet(sense):
    try:
        field = sense.magnetometer.read_field()
    except OSError:
        return False
    return max(field) > presence_sense.MAGNET_LSB or min(field) < -presence_sense.MAGNET_LSB


def _reason(error):
    """Return an OSError of a driver in the few words that a reading holds."""
    text = str(error)
    for word, reason in (("WHO_AM_I", "wrong part"), ("application", "application"), ("calibrat", "calibration")):
        if word in text:
            return reason
    return "no answer"
