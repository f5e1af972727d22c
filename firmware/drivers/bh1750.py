"""ROHM BH1750FVI ambient light sensor on I2C (technical note 11046EDT01, rev D).

    light = BH1750(I2C(0, sda=Pin(8), scl=Pin(9)))
    light.start(ONE_TIME_HIGH)
    time.sleep_ms(light.measure_max_ms())
    print(light.read_millilux())

Nothing here waits, and the sensor does not tell when it has measured: before, it sends its last result. After a
one-time measurement it powers down by itself.
"""

import struct

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

# Modes: the instruction of each.
CONTINUOUS_HIGH, CONTINUOUS_HIGH2, CONTINUOUS_LOW = 0x10, 0x11, 0x13  # 1 lx, 0.5 lx, 4 lx
ONE_TIME_HIGH, ONE_TIME_HIGH2, ONE_TIME_LOW = 0x20, 0x21, 0x23

SENSITIVITY_MIN, SENSITIVITY_DEFAULT, SENSITIVITY_MAX = 31, 69, 254  # MTreg
SATURATED = 0xFFFF  # counts

_POWER_DOWN = const(0x00)
_POWER_ON = const(0x01)
_RESET = const(0x07)
_MT_HIGH = const(0x40)  # 01000_MT[7,6,5]
_MT_LOW = const(0x60)  # 011_MT[4,3,2,1,0]
_RESOLUTION = const(0x03)  # these bits of a mode: one of
_HIGH2 = const(0x01)
_LOW = const(0x03)
_MODES = b"\x10\x11\x13\x20\x21\x23"
_HIGH_MAX_MS = const(180)
_LOW_MAX_MS = const(24)
_MLX_PER_COUNT = const(57_500)  # 1000 / 1.2, times the MTreg of 69 that this is for


class BH1750:
    """The sensor at `address` of `i2c` (machine.I2C or alike): 0x23 with ADDR low, 0x5C high.

    Every method raises OSError with the bus's errno (ENODEV: nobody answers; ETIMEDOUT: the bus is held) and a message
    that says which chip.
    """

    def __init__(self, i2c: "I2C", address: int = 0x23):
        self._i2c = i2c
        self._address = address
        self._mode = ONE_TIME_HIGH
        self._sensitivity = SENSITIVITY_DEFAULT

    def start(self, mode=ONE_TIME_HIGH):
        """Power on and measure, once or continuously; a result is there `measure_max_ms()` later."""
        if mode not in _MODES:
            raise ValueError("mode 0x%02x is none of the BH1750's; take one of this module's" % mode)
        self._instruct(_POWER_ON)
        self._instruct(mode)
        self._mode = mode

    def measure_max_ms(self):
        """Return how long a measurement takes at most in the mode of `start` and with the sensitivity set."""
        default_ms = _LOW_MAX_MS if self._mode & _RESOLUTION == _LOW else _HIGH_MAX_MS
        return default_ms * self._sensitivity // SENSITIVITY_DEFAULT + 1

    def set_sensitivity(self, mtreg):
        """Set the measurement time, 31 to 254: 69 is nominal, 254 for dark windows, 31 for 100,000 lx. Then `start`."""
        if not SENSITIVITY_MIN <= mtreg <= SENSITIVITY_MAX:
            raise ValueError("MTreg %d is not %d to %d" % (mtreg, SENSITIVITY_MIN, SENSITIVITY_MAX))
        self._instruct(_MT_HIGH | mtreg >> 5)
        self._instruct(_MT_LOW | mtreg & 0x1F)
        self._sensitivity = mtreg

    def read_counts(self):
        """Return the last result as it is; SATURATED is more light than it can say: lower the sensitivity."""
        try:
            return struct.unpack(">H", self._i2c.readfrom(self._address, 2))[0]
        except OSError as error:
            raise self._fault(error)

    def read_millilux(self):
        """Return the last result in 0.001 lx, for a window that takes nothing away.

        Typical values; from one sensor to the next they differ by up to 20 %.
        """
        return self.millilux(self.read_counts())

    def millilux(self, counts):
        """Return what `counts` are in 0.001 lx, in the mode of `start` and with the sensitivity set."""
        halves = 2 if self._mode & _RESOLUTION == _HIGH2 else 1
        return counts * _MLX_PER_COUNT // (self._sensitivity * halves)

    def power_down(self):
        """End continuous measuring; the last result stays."""
        self._instruct(_POWER_DOWN)

    def reset_result(self):
        """Make the last result 0; it works only while powered on."""
        self._instruct(_POWER_ON)
        self._instruct(_RESET)

    def _instruct(self, instruction):
        try:
            self._i2c.writeto(self._address, bytes((instruction,)))
        except OSError as error:
            raise self._fault(error)

    def _fault(self, error):
        return OSError(
            error.args[0],
            "BH1750 at 0x%02x: I2C error %s; check its supply, SDA, SCL, ADDR and DVI" % (self._address, error.args[0]),
        )
