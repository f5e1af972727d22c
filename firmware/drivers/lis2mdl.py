"""ST LIS2MDL three-axis magnetometer on I2C (datasheet DS12144 rev 6): a field watched through deep sleep.

    magnetometer = LIS2MDL(I2C(0, sda=Pin(8), scl=Pin(9)))
    magnetometer.start()
    time.sleep_ms(SAMPLE_PERIOD_MS)
    magnetometer.arm(magnetometer.read_field(), 4000 // NT_PER_LSB)  # INT rises 4 uT away from here

The output is what is left of the field after the hard-iron registers are taken away, and with INT_on_DataOFF the
interrupt generator looks at the same corrected value: `arm` writes the field as it is now into the offsets, so that INT
rises when the field moves away from it by the threshold on any axis, in either direction, whatever the earth's field
is.

One LSB is 1.5 mgauss = 0.15 uT on every axis (table 2). Fields are tuples (x, y, z) of raw counts.

This file is what a wake-up needs, since loading it is part of each. Everything else the chip can do is in
`lis2mdl_service`: other rates and modes, single measurements, self-test, resets.
"""

import struct

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

NT_PER_LSB = 150  # table 2, magnetic sensitivity
SAMPLE_PERIOD_MS = 100  # ODR 10 Hz
COUNTS_MAX = 32767  # the offset registers hold 16 bits, two's complement

# Register addresses with the MSb that asks for auto-increment (6.1.1).
_OFFSET_X_L = const(0xC5)
_WHO_AM_I = const(0xCF)
_CFG_A = const(0xE0)
_INT_CTRL = const(0xE3)
_INT_SOURCE = const(0xE4)
_INT_THS_L = const(0xE5)
_OUT_X_L = const(0xE8)

_EIO = const(5)
_IDENTITY = const(0x40)
# CFG_REG_A: temperature-compensated, low power, 10 Hz, continuous. CFG_REG_B: INT_on_DataOFF, offset cancellation,
# low-pass filter (less noise for half the bandwidth). CFG_REG_C: INT on its pin, block data update.
_CONFIGURATION = b"\x90\x0b\x50"
_WITHOUT_CANCELLATION = b"\x90\x09\x50"  # a set pulse every 63 samples instead (Set_FREQ 0)
_INT_OFF = b"\xe6"  # INT_CTRL_REG: all axes, active high, latched
_INT_ON = b"\xe7"


class LIS2MDL:
    """The magnetometer at `address` of `i2c` (machine.I2C or alike).

    Args:
        i2c: the bus.
        address: 0x1E, fixed.
        cancels_offset: with set and reset pulses around every sample: 50 uA at 10 Hz, and 25 without (table 10), when
            the bridges' own offset is in the field and moves with temperature.

    Every method raises OSError with the bus's errno (ENODEV: nobody answers; ETIMEDOUT: the bus is held) and a message
    that says which chip.
    """

    def __init__(self, i2c: "I2C", address: int = 0x1E, cancels_offset: bool = True):
        self._i2c = i2c
        self._address = address
        self._configuration = _CONFIGURATION if cancels_offset else _WITHOUT_CANCELLATION

    def start(self):
        """Check that the chip is a LIS2MDL and start measuring, continuously at 10 Hz.

        The first sample is there SAMPLE_PERIOD_MS later.

        Raises:
            OSError: ENODEV or ETIMEDOUT from the bus, or EIO (5) when another chip answers.
        """
        identity = self._read(_WHO_AM_I, 1)[0]
        if identity != _IDENTITY:
            raise OSError(
                _EIO,
                "WHO_AM_I at 0x%02x is 0x%02x, not the LIS2MDL's 0x40; check address and part"
                % (self._address, identity),
            )
        self._write(_CFG_A, self._configuration)

    def is_started(self):
        """Return whether the chip still is as `start` left it: a brown-out resets it while we sleep."""
        return self._read(_CFG_A, len(self._configuration)) == self._configuration

    def read_field(self):
        """Return the field itself, offsets added back, as (x, y, z) counts.

        The output keeps the offsets it was sampled with: after `arm`, wait a sample period or for INT.
        """
        return self._with_offsets(struct.unpack("<3h", self._read(_OUT_X_L, 6)))

    def read_sample(self):
        """Return (field as `read_field` has it, temperature in whole degrees; it is not calibrated)."""
        *out, temperature = struct.unpack("<4h", self._read(_OUT_X_L, 8))
        return self._with_offsets(out), 25 + (temperature >> 3)

    def arm(self, field, threshold):
        """Make INT rise, and stay, once the field is more than `threshold` counts from `field` on any axis.

        A field beyond what the offset registers hold is watched from their end.
        """
        self._write(_INT_CTRL, _INT_OFF)
        self._write(_OFFSET_X_L, struct.pack("<3h", *[min(COUNTS_MAX, max(-COUNTS_MAX, axis)) for axis in field]))
        self._write(_INT_THS_L, struct.pack("<H", threshold))
        self._write(_INT_CTRL, _INT_ON)
        self.read_source()

    def disarm(self):
        """Keep INT low whatever the field does."""
        self._write(_INT_CTRL, _INT_OFF)
        self.read_source()

    def read_source(self):
        """Return INT_SOURCE_REG and release the latch (table 34).

        Bits 7 to 5 are X, Y, Z above the threshold, 4 to 2 below its negative, 1 an overflow of the range, 0 INT.
        """
        return self._read(_INT_SOURCE, 1)[0]

    def _with_offsets(self, out):
        offset = struct.unpack("<3h", self._read(_OFFSET_X_L, 6))
        return out[0] + offset[0], out[1] + offset[1], out[2] + offset[2]

    def _read(self, register, count):
        try:
            return self._i2c.readfrom_mem(self._address, register, count)
        except OSError as error:
            raise self._fault(error)

    def _write(self, register, data):
        try:
            self._i2c.writeto_mem(self._address, register, data)
        except OSError as error:
            raise self._fault(error)

    def _fault(self, error):
        return OSError(
            error.args[0],
            "LIS2MDL at 0x%02x: I2C error %s; check its supply, SDA, SCL and address" % (self._address, error.args[0]),
        )
