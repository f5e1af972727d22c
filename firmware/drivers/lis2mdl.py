"""ST LIS2MDL three-axis magnetometer on I2C (datasheet DS12144 rev 6).

The output is what is left of the field after the hard-iron registers are taken away, and with INT_on_DataOFF the
interrupt generator looks at the same corrected value: `arm` writes the field as it is now into the offsets, so that INT
rises when the field moves away from it by the threshold on any axis, in either direction, whatever the earth's field
is.

One LSB is 1.5 mgauss = 0.15 uT on every axis (table 2). Fields are tuples (x, y, z) of raw counts.
"""

import struct

NT_PER_LSB = 150  # table 2, magnetic sensitivity
SAMPLE_PERIOD_MS = 100  # ODR 10 Hz

_OFFSET_X_L = 0x45
_WHO_AM_I = 0x4F
_CFG_A = 0x60
_INT_CTRL = 0x63
_INT_SOURCE = 0x64
_INT_THS_L = 0x65
_OUT_X_L = 0x68

_IDENTITY = 0x40
_AUTO_INCREMENT = 0x80  # MSb of the sub-address (6.1.1)
# CFG_REG_A: temperature-compensated, low power, 10 Hz, continuous. CFG_REG_B: INT_on_DataOFF, offset cancellation,
# low-pass filter (less noise for half the bandwidth). CFG_REG_C: INT on its pin, block data update.
_CONFIGURATION = b"\x90\x0b\x50"
_INT_OFF = 0xE6  # INT_CTRL_REG: all axes, active high, latched
_INT_ON = 0xE7


class LIS2MDL:
    """The magnetometer at `address` of `i2c` (machine.I2C or alike)."""

    def __init__(self, i2c, address=0x1E):
        self._i2c = i2c
        self._address = address

    def start(self):
        """Check that the chip is a LIS2MDL and start measuring, continuously at 10 Hz.

        The first sample is there SAMPLE_PERIOD_MS later.

        Raises:
            OSError: ENODEV or ETIMEDOUT from the bus, or EIO (5) when another chip answers.
        """
        identity = self._i2c.readfrom_mem(self._address, _WHO_AM_I, 1)[0]
        if identity != _IDENTITY:
            raise OSError(5, "WHO_AM_I is 0x%02x, not the LIS2MDL's 0x40; check address and part" % identity)
        self._write(_CFG_A, _CONFIGURATION)

    def is_started(self):
        """Return whether the chip still is as `start` left it: a brown-out resets it while we sleep."""
        return self._read(_CFG_A, len(_CONFIGURATION)) == _CONFIGURATION

    def read_field(self):
        """Return the field itself, offsets added back, as (x, y, z) counts.

        The output keeps the offsets it was sampled with: after `arm`, wait a sample period or for INT.
        """
        out = struct.unpack("<3h", self._read(_OUT_X_L, 6))
        offset = struct.unpack("<3h", self._read(_OFFSET_X_L, 6))
        return tuple(o + h for o, h in zip(out, offset))

    def arm(self, field, threshold):
        """Make INT rise, and stay, once the field is more than `threshold` counts from `field` on any axis."""
        self._write(_INT_CTRL, bytes((_INT_OFF,)))
        self._write(_OFFSET_X_L, struct.pack("<3h", *field))
        self._write(_INT_THS_L, struct.pack("<H", threshold))
        self._write(_INT_CTRL, bytes((_INT_ON,)))
        self._read(_INT_SOURCE, 1)  # releases the latch (table 34)

    def _read(self, register, count):
        if count > 1:
            register |= _AUTO_INCREMENT
        return self._i2c.readfrom_mem(self._address, register, count)

    def _write(self, register, data):
        if len(data) > 1:
            register |= _AUTO_INCREMENT
        self._i2c.writeto_mem(self._address, register, data)
