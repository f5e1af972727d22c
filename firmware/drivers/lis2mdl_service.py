"""Everything else of the ST LIS2MDL (datasheet DS12144 rev 6, application note AN5069 rev 3): see `lis2mdl`.

For commissioning and laboratories: rates and modes, single measurements, data-ready and interrupt on the pin, offsets,
temperature, self-test, resets. Nothing here waits.

    chip = LIS2MDLService(I2C(0, sda=Pin(8), scl=Pin(9)))
    chip.configure(SINGLE, low_power=False)
    while not chip.is_ready():  # give up after SINGLE_MAX_MS
        time.sleep_ms(2)
    print(chip.read_nanotesla(), chip.read_millicelsius())

    test = SelfTest(chip)
    while (differences := test.poll()) is None:  # give up after SELF_TEST_MAX_MS
        time.sleep_ms(5)
    print(differences, passed(differences))
    chip.start()
"""

import struct

from micropython import const

from drivers.lis2mdl import LIS2MDL, NT_PER_LSB

CONTINUOUS, SINGLE, IDLE = 0, 1, 3  # CFG_REG_A, MD
X, Y, Z = 0x80, 0x40, 0x20  # axes of the interrupt
ODRS_HZ = (10, 20, 50, 100)  # CFG_REG_A, by the value of ODR
BOOT_MS = 20  # after power-on and after `reboot`, AN5069
SINGLE_MAX_MS = 30  # 9.4 ms turn-on time, and one more measurement with offset cancellation
SELF_TEST_MAX_MS = 1500  # 108 samples at 100 Hz take 1,080

_OFFSET_X_L = const(0xC5)
_CFG_A = const(0xE0)
_CFG_B = const(0xE1)
_CFG_C = const(0xE2)
_INT_CTRL = const(0xE3)
_INT_THS_L = const(0xE5)
_STATUS = const(0xE7)
_OUT_X_L = const(0xE8)
_TEMP_OUT_L = const(0xEE)

_COMP_TEMP_EN = const(0x80)  # "to be set to 1 for proper operation"
_REBOOT = const(0x40)
_SOFT_RST = const(0x20)
_LP = const(0x10)
_MD = const(0x03)

_OFF_CANC_ONE_SHOT = const(0x10)
_INT_ON_DATA_OFF = const(0x08)
_SET_FREQ = const(0x04)
_OFF_CANC = const(0x02)
_LPF = const(0x01)

_INT_ON_PIN = const(0x40)
_BDU = const(0x10)
_DRDY_ON_PIN = const(0x01)

_IEA = const(0x04)
_IEL = const(0x02)
_IEN = const(0x01)

_ZYXDA = const(0x08)

_MC_AT_ZERO = const(25_000)  # output 0 is 25 degrees
_MC_PER_LSB = const(125)  # 8 LSB a degree

# AN5069, self-test: 100 Hz, offset cancellation, block data update; then the same with Self_test; then idle.
_TEST_OFF = b"\x8c\x02\x10"
_TEST_ON = b"\x12"
_TEST_END_C = b"\x10"
_TEST_END_A = b"\x83"
_SETTLE_OFF = const(2)  # samples in the 20 ms after turning on
_SETTLE_ON = const(6)  # in the 60 ms after the coil is on
_AVERAGED = const(50)
_MIN_NT = const(1_500)  # 15 mgauss
_MAX_NT = const(50_000)  # 500 mgauss


class LIS2MDLService(LIS2MDL):
    """The magnetometer at `address` of `i2c`, all of it. After any of this `start` brings back how sensors use it."""

    def configure(
        self,
        mode,
        odr_hz=10,
        low_power=True,
        low_pass=False,
        offset_cancellation=True,
        set_pulse_once=False,
        watch_corrected=False,
        interrupt_on_pin=False,
        ready_on_pin=False,
    ):
        """Set up rate, filters and pin, and go to `mode`; SINGLE starts one measurement.

        Args:
            mode: CONTINUOUS, SINGLE or IDLE.
            odr_hz: 10, 20, 50 or 100.
            low_power: less current, more noise.
            low_pass: bandwidth ODR/4 instead of ODR/2.
            offset_cancellation: measure with the bridge set and reset, in SINGLE too.
            set_pulse_once: set the bridge at power-on only, instead of every 63 samples.
            watch_corrected: the interrupt looks at the field less the hard-iron offsets (INT_on_DataOFF).
            interrupt_on_pin: the pin is INT.
            ready_on_pin: the pin is DRDY.
        """
        if odr_hz not in ODRS_HZ:
            raise ValueError("odr_hz %d is not among %s" % (odr_hz, ODRS_HZ))
        if interrupt_on_pin and ready_on_pin:
            raise ValueError("INT and DRDY share one pin; choose one")
        a = _COMP_TEMP_EN | ODRS_HZ.index(odr_hz) << 2 | (_LP if low_power else 0)
        b = c = 0
        for wanted, bit in ((low_pass, _LPF), (set_pulse_once, _SET_FREQ), (watch_corrected, _INT_ON_DATA_OFF)):
            b |= bit if wanted else 0
        if offset_cancellation:
            b |= _OFF_CANC | (_OFF_CANC_ONE_SHOT if mode == SINGLE else 0)
        if interrupt_on_pin:
            c = _INT_ON_PIN
        elif ready_on_pin:
            c = _DRDY_ON_PIN
        self._write(_CFG_B, bytes((b, c | _BDU)))
        self._enter(a, mode)

    def set_mode(self, mode):
        """Go to CONTINUOUS, SINGLE (one more measurement) or IDLE; all else stays as it is."""
        self._enter(self._read(_CFG_A, 1)[0] & ~_MD & 0xFF, mode)

    def is_ready(self):
        """Return whether there is a sample that has not been read."""
        return bool(self._read(_STATUS, 1)[0] & _ZYXDA)

    def read_output(self):
        """Return the output, the field less the offsets, as (x, y, z) counts."""
        return struct.unpack("<3h", self._read(_OUT_X_L, 6))

    def read_nanotesla(self):
        """Return the output as (x, y, z) in nT."""
        return tuple(counts * NT_PER_LSB for counts in self.read_output())

    def read_millicelsius(self):
        """Return the chip's temperature in 0.001 degrees; good to follow a drift, not calibrated."""
        return _MC_AT_ZERO + _MC_PER_LSB * struct.unpack("<h", self._read(_TEMP_OUT_L, 2))[0]

    def read_offsets(self):
        """Return the hard-iron registers as (x, y, z) counts."""
        return struct.unpack("<3h", self._read(_OFFSET_X_L, 6))

    def write_offsets(self, field):
        """Set the hard-iron registers, counts of -32768 to 32767, from the next sample on."""
        for axis in field:
            if not -32768 <= axis <= 32767:
                raise ValueError("offset %d does not fit 16 bits" % axis)
        self._write(_OFFSET_X_L, struct.pack("<3h", *field))

    def watch(self, threshold, axes=X | Y | Z, active_high=True, latched=True):
        """Interrupt once an axis is above `threshold` counts or below its negative.

        Args:
            threshold: 0 to 65535 counts, for all axes.
            axes: any of X | Y | Z; 0 ends it.
            active_high: polarity of INT.
            latched: INT stays until `read_source`; else it follows the samples.
        """
        if not 0 <= threshold <= 0xFFFF:
            raise ValueError("threshold %d is not 0 to 65535" % threshold)
        control = axes | (_IEA if active_high else 0) | (_IEL if latched else 0)
        self._write(_INT_CTRL, bytes((control,)))
        self._write(_INT_THS_L, struct.pack("<H", threshold))
        if axes:
            self._write(_INT_CTRL, bytes((control | _IEN,)))
        self.read_source()

    def soft_reset(self):
        """Put configuration, offsets and threshold to their defaults; ready after 5 us (AN5069)."""
        self._write(_CFG_A, bytes((_SOFT_RST | IDLE,)))

    def reboot(self):
        """Load the factory's trimming values again; takes BOOT_MS, then `start` or `configure`.

        The datasheet does not say whether the configuration outlives it.
        """
        self._write(_CFG_A, bytes((self._read(_CFG_A, 1)[0] | _REBOOT,)))

    def _enter(self, a, mode):
        if mode == SINGLE:  # a sample from before, never read, would be taken for this one
            self._write(_CFG_A, bytes((a | IDLE,)))
            self.read_output()
        self._write(_CFG_A, bytes((a | mode,)))


class SelfTest:
    """The self-test of AN5069: a coil in the chip adds a field, and the averages with and without it are compared.

    The note's waits are counted in samples, so nothing waits. Hard-iron offsets fall out of the difference; a vehicle
    that passes meanwhile does not. It leaves the chip idle.
    """

    def __init__(self, chip):
        self._chip = chip
        self._skip = _SETTLE_OFF
        self._taken = 0
        self._sums = [0, 0, 0]
        self._without = None
        chip._write(_CFG_A, _TEST_OFF)

    def poll(self):
        """Return None while it is under way, then what the coil adds as (x, y, z) in nT."""
        if not self._chip.is_ready():
            return None
        sample = self._chip.read_output()
        if self._skip:
            self._skip -= 1
            return None
        for axis in range(3):
            self._sums[axis] += sample[axis]
        self._taken += 1
        return self._averaged() if self._taken == _AVERAGED else None

    def _averaged(self):
        sums, self._sums = self._sums, [0, 0, 0]
        self._taken = 0
        if self._without is None:
            self._without = sums
            self._skip = _SETTLE_ON
            self._chip._write(_CFG_C, _TEST_ON)
            return None
        self._chip._write(_CFG_C, _TEST_END_C)
        self._chip._write(_CFG_A, _TEST_END_A)
        return tuple((sums[axis] - self._without[axis]) * NT_PER_LSB // _AVERAGED for axis in range(3))


def passed(differences_nt):
    """Return whether each axis of a self-test is within the limits of the datasheet."""
    return all(_MIN_NT <= abs(difference) <= _MAX_NT for difference in differences_nt)
