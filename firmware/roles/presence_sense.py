"""Magnetometer, radar and detector: what a wake-up does before anything else is loaded, and most of them are no more.

    boot.py -> wake() -> one sample or some -> armed again -> deep sleep

A wake-up costs by what it loads: this file, the detector, the driver. Only when there is something to say, or something
else is due, does `wake` return, and main.py loads the rest, which goes on with what was found (`take`). All that is
needed here is in RTC memory's sensing state, the chips' pins among it, so that no file has to be read:

    i2c SDA, SCL, INT, address of the magnetometer; WAKE_UP, MCU_INT, supply, address of the radar; faults; then, in 32
    bits each, Hz of I2C, when something else is due (s, `net.clock`), and the detector's `state()`

While it senses the processor is in light sleep between samples. An exception here is raised again by the role that is
loaded then, under the supervisor.
"""

import struct
import time

import esp32
import machine
from micropython import const

from app import presence
from drivers.lis2mdl import LIS2MDL, SAMPLE_PERIOD_MS
from roles import rtc_state

SAMPLE, RADAR, SLEEP = 0, 1, 2  # Detector.next
MAGNETOMETER_FAULT, RADAR_FAULT = 1, 2
POWER_ON, INTERRUPT, TIMER = "power-on", "interrupt", "timer"

# Here, since to load app/limits.py would take a tenth of a wake-up.
AWAKE_MAX_S = 60  # of one wake-up: a field that never rests, or an interrupt that never falls, must not empty the cell
HOLD_OFF_S = 120  # then the interrupt is left alone for so long
RADAR_ALONE_S = 300  # between looks while the magnetometer does not answer: half of a day's charge goes on them
MAGNET_LSB = 6667  # 1 mT on an axis: no vehicle makes a third of it, a technician's magnet calls for commissioning

_PLACES = "<9BIi"
_PLACES_BYTES = struct.calcsize(_PLACES)
_TOLD_MAX_MS = const(2_000)  # a report waits so long for the detector to come to rest
_SLEEP_MIN_MS = const(1_000)

_found = None  # what `wake` leaves to the role: a Sense
_failed = None  # or an exception


class Sense:
    """The chips at `places` (bytes, as above; the last two numbers are of no account), with a detector.

    Attributes:
        detector: the `app.presence.Detector`.
        faults: of which part could not be asked, MAGNETOMETER_FAULT | RADAR_FAULT; it stays until it answers again.
        is_resting: the detector wants to sleep, and the interrupt is armed as it wants.
        magnetometer, interrupt: the chip, and its line.
        pause: ms -> waits; light sleep, but where Wi-Fi is on, which would end in it.
    """

    def __init__(self, places, detector):
        numbers = struct.unpack(_PLACES, places)
        sda, scl, interrupt, address = numbers[:4]
        self._places = numbers[:8]
        self._radar = numbers[4:8]
        self.faults, hz = numbers[8:10]
        self._hz = hz
        self._i2c = machine.I2C(0, sda=machine.Pin(sda), scl=machine.Pin(scl), freq=hz)
        # Cancelling costs a tenth of the cell; the detector measures how the field goes with temperature anyway.
        self.magnetometer = LIS2MDL(self._i2c, address, cancels_offset=False)
        self.interrupt = machine.Pin(interrupt, machine.Pin.IN)
        self.detector = detector
        self.pause = machine.lightsleep
        self.is_resting = self._held_off = False

    def begin(self, cause):
        """Begin a wake-up by POWER_ON, INTERRUPT or TIMER."""
        self.is_resting = self._held_off = False
        if cause == POWER_ON:  # its times are those of a clock that has begun again
            self.detector.check_s = self.detector.beside_s = 0
            self.detector.woken_s = now_ms() // 1000
        self.detector.woken(cause, now_ms())
        # Only a wake-up by the interrupt leaves no doubt that the chip is as it was: a brown-out resets it.
        if cause != INTERRUPT:
            self._magnetic(self._start)

    def turn(self):
        """Do what the detector wants next; return how many ms to wait before the next turn."""
        if self.detector.next == SAMPLE:
            if not self.faults & MAGNETOMETER_FAULT and self._magnetic(self._sample):
                return SAMPLE_PERIOD_MS
            self._stand_in()
            return 0
        if self.detector.next == RADAR:
            self._range()
            return 0
        self._magnetic(self._arm)
        self.is_resting = True
        return 0

    def stirs(self):
        """Return whether the field has moved since the interrupt was armed; if so, a wake-up begins."""
        if not (self.is_resting and self.interrupt.value() and self.detector.watch is not None):
            return False
        if self.faults & MAGNETOMETER_FAULT:
            return False  # its line says nothing
        self.begin(INTERRUPT)
        return True

    def settle(self, feed):
        """Take turns, in light sleep between them, until the detector rests, at most so long as a wake-up may take.

        One that has something to say ends soon after.
        """
        began_ms = now_ms()
        told_ms = None
        while True:
            feed()
            wait_ms = self.turn()
            if self.is_resting:
                # One that is to wake at once need not boot for it.
                self.pause(SAMPLE_PERIOD_MS)
                if not self.stirs():
                    return
                wait_ms = 0
            passed_ms = now_ms() - began_ms
            if told_ms is None and self.detector.reports:
                told_ms = passed_ms
            if passed_ms > AWAKE_MAX_S * 1000:
                self.hold_off()
                return
            if told_ms is not None and passed_ms - told_ms > _TOLD_MAX_MS:
                return
            if wait_ms:
                self.pause(wait_ms)

    def is_magnet(self):
        """Return whether the field that was judged last is a magnet's."""
        return max(self.detector.mean) > MAGNET_LSB or min(self.detector.mean) < -MAGNET_LSB

    def hold_off(self):
        """Leave the interrupt alone for a while."""
        self._held_off = self.is_resting = True
        self._magnetic(self.magnetometer.disarm)

    def state(self, due_ms):
        """Return the bytes for RTC memory, with when something else is due."""
        values = self.detector.state()
        head = struct.pack(_PLACES, *self._places, self.faults, self._hz, due_ms // 1000)
        return head + struct.pack("<%di" % len(values), *values)

    def sleep(self, due_ms):
        """Sleep deeply until the detector's time, the interrupt, or `due_ms`."""
        at_ms = now_ms()
        until_ms = min(due_ms, at_ms + HOLD_OFF_S * 1000 if self._held_off else self.detector.until_ms)
        if self.faults & MAGNETOMETER_FAULT:
            until_ms = min(due_ms, at_ms + RADAR_ALONE_S * 1000)
        elif self.detector.watch is not None and not self._held_off:
            esp32.wake_on_ext0(self.interrupt, esp32.WAKEUP_ANY_HIGH)
        machine.deepsleep(max(_SLEEP_MIN_MS, until_ms - at_ms))

    def _magnetic(self, act):
        """Do something with the magnetometer; return whether it answered."""
        try:
            act()
        except OSError as error:
            print("magnetometer:", error)
            self.faults |= MAGNETOMETER_FAULT
            return False
        return True

    def _start(self):
        if not self.magnetometer.is_started():
            self.magnetometer.start()
            self.pause(SAMPLE_PERIOD_MS)
        self.faults &= ~MAGNETOMETER_FAULT
        detector = self.detector
        if detector.known and detector.bx == detector.by == detector.bz == 0:
            detector.relearn(now_ms())  # learned from `_stand_in`: the earth's field is never nothing

    def _stand_in(self):
        """Let the field be as it was watched last, while nobody measures it: the radar alone tells, at each look."""
        detector = self.detector
        detector.is_due = True
        detector.sampled((detector.wx, detector.wy, detector.wz), detector.bt, now_ms())

    def _sample(self):
        field, celsius = self.magnetometer.read_sample()
        self.detector.sampled(field, celsius, now_ms())

    def _arm(self):
        if self.detector.watch is None:
            self.magnetometer.disarm()
        else:
            self.magnetometer.arm(self.detector.watch, self.detector.threshold)

    def look(self):
        """Return what the radar sees, as `presence_radar.measure` does, or raise its OSError."""
        from roles import presence_radar  # few wake-ups need it

        seen = presence_radar.measure(self._i2c, self.pause, *self._radar)
        self.faults &= ~RADAR_FAULT
        return seen

    def _range(self):
        peaks, near_edge = None, False
        try:
            peaks, near_edge = self.look()
        except OSError as error:
            print("radar:", error)
            self.faults |= RADAR_FAULT
        self.detector.ranged(peaks, near_edge, now_ms())


def now_ms():
    """Return what `net.clock` does, which is not loaded yet."""
    return time.time_ns() // 1_000_000


def wake(feed):
    """Sense, and sleep again if that was all; else return, for the role to `take`. Nothing is raised."""
    global _found, _failed
    try:
        kept = rtc_state.sensing()
        if not kept or rtc_state.crashes() or machine.reset_cause() != machine.DEEPSLEEP_RESET:
            return  # not a sleeping sensor's, or not as it should be
        due_ms = struct.unpack_from("<i", kept, _PLACES_BYTES - 4)[0] * 1000
        sense = Sense(kept[:_PLACES_BYTES], presence.Detector(_detector_state(kept)))
        faults = sense.faults
        sense.begin(INTERRUPT if machine.wake_reason() == machine.EXT0_WAKE else TIMER)
        sense.settle(feed)
        if now_ms() >= due_ms or sense.detector.reports or sense.faults != faults or sense.is_magnet():
            _found = sense
            return
        rtc_state.save_sensing(sense.state(due_ms))
        sense.sleep(due_ms)
    except Exception as error:
        _failed = error


def take():
    """Return the Sense that `wake` has left, None where it had nothing to begin with.

    Raises:
        Exception: what ended `wake`.
    """
    if _failed is not None:
        raise _failed
    return _found


def made(board, kept, state):
    """Return a Sense of a board (a module of pins).

    Args:
        board: the board.
        kept: the sensing state in RTC memory, or empty.
        state: of a detector, where there is none in `kept`: what non-volatile memory has, or None.
    """
    faults = kept[8] if kept else 0
    places = struct.pack(
        _PLACES,
        board.I2C_SDA,
        board.I2C_SCL,
        board.MAGNETOMETER_INT,
        board.MAGNETOMETER_ADDRESS,
        board.RADAR_WAKE,
        board.RADAR_INT,
        board.RADAR_SUPPLY,
        board.RADAR_ADDRESS,
        faults,
        board.I2C0_HZ,
        0,
    )
    if kept:
        state = _detector_state(kept)
    if state is not None and len(state) != len(presence.Detector().state()):
        state = None  # of another version
    return Sense(places, presence.Detector(state))


def _detector_state(kept):
    return struct.unpack("<%di" % ((len(kept) - _PLACES_BYTES) // 4), kept[_PLACES_BYTES:])
