"""Acconeer XM125 radar module with the I2C Distance Detector application (user guide a121-v1.12.0, 2025-10-15).

Radar of 60 GHz; the module's own processor finds the distances of what reflects. Registers have 16-bit addresses and
32-bit values, big endian (3.2). Nothing here waits: a command is started, and `poll` says when it is done.

    radar = XM125(i2c, wake_up=Pin(5, Pin.OUT, value=0), mcu_int=Pin(6, Pin.IN))
    radar.wake()
    while not radar.is_awake(): ...       # give up after WAKE_MAX_MS
    radar.check()
    if not radar.is_configured():
        radar.configure(start_mm=200, end_mm=1200, sensitivity=500)
        radar.start_calibration()
        while not radar.poll(): ...       # give up after CALIBRATE_MAX_MS
    radar.start_measurement()
    while not radar.poll(): ...           # give up after MEASURE_MAX_MS
    print(radar.read_result())            # near_start_edge, calibration_needed, temperature_c, ((mm, mdB), ...)
    radar.sleep()                         # asleep, and the configuration kept, once is_awake() is False

The configuration can be applied once; another one needs `reset` first (2.3.3). A module that answers EBUSY past those
bounds is stuck: take its supply away.
"""

import struct

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C, Pin

WAKE_MAX_MS = 1000  # the guide gives no figures: bounds with room, after which something is wrong
CALIBRATE_MAX_MS = 3000
MEASURE_MAX_MS = 3000
PEAKS_MAX = 10

FIXED_AMPLITUDE, RECORDED, CFAR, FIXED_STRENGTH = 1, 2, 3, 4  # threshold methods (6.2.32)
CLOSEST, STRONGEST = 1, 2  # peak sorting (6.2.33)
GENERIC, PLANAR = 1, 2  # reflector shapes (6.2.37)

_VERSION = const(0x0000)
_PROTOCOL_STATUS = const(0x0001)
_MEASURE_COUNTER = const(0x0002)
_STATUS = const(0x0003)
_RESULT = const(0x0010)
_PEAK0_DISTANCE = const(0x0011)
_PEAK0_STRENGTH = const(0x001B)
_START = const(0x0040)
_MEASURE_ON_WAKEUP = const(0x0080)
_COMMAND = const(0x0100)
_APPLICATION_ID = const(0xFFFF)

_APPLY_CONFIG_AND_CALIBRATE = const(1)
_MEASURE_DISTANCE = const(2)
_RECALIBRATE = const(5)
_RESET_MODULE = const(1381192737)

_DISTANCE_DETECTOR = const(1)
_BUSY = const(0x8000_0000)
_ERRORS = const(0x13FF_0000)
_ALL_OK = const(0x0000_03FF)
_NEAR_START_EDGE = const(0x100)
_CALIBRATION_NEEDED = const(0x200)
_MEASURE_ERROR = const(0x400)

_EIO = const(5)
_EBUSY = const(16)
# 6.2.4, error bits 16 to 25, and 28.
_STEPS = "RSS register,config create,sensor create,detector create,detector buffer,sensor buffer,calibration buffer"
_STEPS += ",config apply,sensor calibrate,detector calibrate,,,detector"
_PROTOCOL_ERRORS = ("protocol state", "packet length", "register address", "write failed", "write to read only")


class XM125:
    """The module at `address` of `i2c` (machine.I2C or alike).

    Args:
        i2c: the bus, up to 400 kHz.
        wake_up: the output on WAKE_UP.
        mcu_int: the input on MCU_INT, high while the module may be spoken to.
        address: 0x51, 0x52 or 0x53, by the I2C_ADDRESS pin (2.1).

    Every method raises OSError: ENODEV when nobody answers, EBUSY when asked too early, EIO for what the module
    reports; the message says what and what to do.
    """

    def __init__(self, i2c: "I2C", wake_up: "Pin", mcu_int: "Pin", address: int = 0x52):
        self._i2c = i2c
        self._wake_up = wake_up
        self._mcu_int = mcu_int
        self._address = address

    def wake(self):
        """Ask the module to wake up."""
        self._wake_up.value(1)

    def sleep(self):
        """Let the module sleep; it keeps configuration and calibration.

        Raises:
            OSError: EBUSY while it is not ready, for then it would not (2.3).
        """
        self._must_be_awake()
        self._wake_up.value(0)

    def is_awake(self):
        """Return whether the module may be spoken to, MCU_INT."""
        return bool(self._mcu_int.value())

    def check(self):
        """Return the version of its software as (major, minor, patch) once sure that it runs the distance detector.

        Raises:
            OSError: EIO when it runs another application.
        """
        application = self.read(_APPLICATION_ID)
        if application != _DISTANCE_DETECTOR:
            raise OSError(
                _EIO,
                "XM125 runs application %d, not the distance detector (1); flash i2c_distance_detector" % application,
            )
        version = self.read(_VERSION)
        return version >> 16, version >> 8 & 0xFF, version & 0xFF

    def is_configured(self):
        """Return whether a configuration is applied and calibrated, as after `start_calibration`."""
        return self.read(_STATUS) & _ALL_OK == _ALL_OK

    def configure(
        self,
        start_mm=250,
        end_mm=3000,
        max_step_length=0,
        leakage_cancellation=True,
        signal_quality=15_000,
        max_profile=5,
        threshold_method=CFAR,
        peak_sorting=STRONGEST,
        recorded_frames=100,
        fixed_amplitude=100_000,
        sensitivity=500,
        reflector_shape=GENERIC,
        fixed_strength_mdb=0,
    ):
        """Write all of the configuration (6.2.26 to 6.2.38; the defaults are the module's own).

        Values are those of the registers, 1000 times Acconeer's. `start_calibration` applies it.
        """
        if not 0 <= start_mm < end_mm:
            raise ValueError("from %d to %d mm is no interval" % (start_mm, end_mm))
        if not 1 <= max_profile <= 5:
            raise ValueError("max_profile %d is not 1 to 5" % max_profile)
        if not 0 <= sensitivity <= 1000:
            raise ValueError("sensitivity %d is not 0 to 1000" % sensitivity)
        self._must_accept()
        self._send(
            struct.pack(
                ">HIIIIiIIIIIIIi",
                _START,
                start_mm,
                end_mm,
                max_step_length,
                1 if leakage_cancellation else 0,
                signal_quality,
                max_profile,
                threshold_method,
                peak_sorting,
                recorded_frames,
                fixed_amplitude,
                sensitivity,
                reflector_shape,
                fixed_strength_mdb,
            )
        )

    def start_calibration(self):
        """Apply the configuration and calibrate sensor and detector."""
        self._start(_APPLY_CONFIG_AND_CALIBRATE)

    def start_recalibration(self):
        """Calibrate once more, as a result with `calibration_needed` asks for (2.4.2)."""
        self._start(_RECALIBRATE)

    def start_measurement(self):
        """Measure once."""
        self._start(_MEASURE_DISTANCE)

    def measure_on_wake(self, enabled):
        """Let every `wake` measure too: the result is there once `is_awake` (2.4.3)."""
        self.write(_MEASURE_ON_WAKEUP, 1 if enabled else 0)

    def poll(self):
        """Return whether the command that was started is done.

        Raises:
            OSError: EIO when it failed, with the steps that did; only `reset` helps then (2.3.1).
        """
        status = self.read(_STATUS)
        if status & _ERRORS:
            raise self._failed(status)
        return not status & _BUSY

    def read_result(self):
        """Return (near_start_edge, calibration_needed, temperature_c, peaks) of the last measurement.

        `peaks` are up to PEAKS_MAX tuples (distance in mm, strength in 0.001 dB), in the order of `peak_sorting`.
        `near_start_edge`: something may be nearer than the interval begins. The temperature is the sensor's, relative.

        Raises:
            OSError: EIO when the measurement failed.
        """
        result = self.read(_RESULT)
        if result & _MEASURE_ERROR:
            raise OSError(_EIO, "XM125: the measurement failed, result 0x%08x; measure again, then reset" % result)
        count = min(result & 0xF, PEAKS_MAX)
        peaks = ()
        if count:
            distances = struct.unpack(">%dI" % count, self._receive(_PEAK0_DISTANCE, 4 * count))
            strengths = struct.unpack(">%di" % count, self._receive(_PEAK0_STRENGTH, 4 * count))
            peaks = tuple(zip(distances, strengths))
        celsius = result >> 16
        if celsius & 0x8000:
            celsius -= 0x1_0000
        return bool(result & _NEAR_START_EDGE), bool(result & _CALIBRATION_NEEDED), celsius, peaks

    def read_measure_counter(self):
        """Return how many measurements it has made since its last restart."""
        return self.read(_MEASURE_COUNTER)

    def read_protocol_errors(self):
        """Return what it found wrong with our transfers, names of 6.2.2."""
        status = self.read(_PROTOCOL_STATUS)
        return [name for bit, name in enumerate(_PROTOCOL_ERRORS) if status >> bit & 1]

    def reset(self):
        """Restart the module; it forgets its configuration. Wait for `is_awake`, then `poll`."""
        self.write(_COMMAND, _RESET_MODULE)

    def read(self, register):
        """Return the 32 bits of a register."""
        return struct.unpack(">I", self._receive(register, 4))[0]

    def write(self, register, value):
        """Write the 32 bits of a register."""
        self._send(struct.pack(">HI", register, value))

    def _start(self, command):
        self._must_accept()
        self.write(_COMMAND, command)

    def _must_accept(self):
        if not self.poll():
            raise OSError(_EBUSY, "XM125 is busy with the last command; poll() until it is done")

    def _must_be_awake(self):
        if not self.is_awake():
            raise OSError(_EBUSY, "XM125 is not ready, MCU_INT is low; wake() and poll is_awake(), or check its supply")

    def _receive(self, register, count):
        self._must_be_awake()
        try:
            # A stop in between: the module knows no repeated start (3.2.2).
            self._i2c.writeto(self._address, struct.pack(">H", register))
            return self._i2c.readfrom(self._address, count)
        except OSError as error:
            raise self._fault(error)

    def _send(self, data):
        self._must_be_awake()
        try:
            self._i2c.writeto(self._address, data)
        except OSError as error:
            raise self._fault(error)

    def _fault(self, error):
        return OSError(
            error.args[0],
            "XM125 at 0x%02x: I2C error %s; check its supply, SDA, SCL and the I2C_ADDRESS pin"
            % (self._address, error.args[0]),
        )

    def _failed(self, status):
        steps = _STEPS.split(",")
        failed = [steps[bit - 16] for bit in range(16, 29) if status >> bit & 1 and steps[bit - 16]]
        return OSError(
            _EIO, "XM125: %s failed, status 0x%08x; reset() and configure anew" % (", ".join(failed), status)
        )
