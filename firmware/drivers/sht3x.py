"""Sensirion SHT30, SHT31 and SHT35 humidity and temperature sensors on I2C (datasheet SHT3x-DIS, version 6).

    climate = SHT3x(I2C(0, sda=Pin(8), scl=Pin(9)))
    climate.start()
    while (measured := climate.poll()) is None:  # give up after MEASURE_MAX_MS
        time.sleep_ms(4)
    print("%d m°C, %d m%%RH" % measured)

Nothing here waits, the sensor included: clock stretching stays off, so while it measures it does not acknowledge, which
`poll` takes for "not yet". Each word it sends is held against its CRC-8 (4.12).

Leave 1 ms between two commands (4).
"""

import struct

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

HIGH, MEDIUM, LOW = 0, 1, 2  # repeatability
MEASURE_MAX_MS = 16  # high repeatability, below 2.4 V too (table 4)
RESET_MAX_MS = 2
HIGH_SET, HIGH_CLEAR, LOW_CLEAR, LOW_SET = 0, 1, 2, 3  # limits of the alert
PERIODS_MS = (2000, 1000, 500, 250, 100)  # of periodic measuring

# What `read_status` returns (table 18).
ALERT = 0x8000
HEATER_ON = 0x2000
HUMIDITY_ALERT = 0x0800
TEMPERATURE_ALERT = 0x0400
WAS_RESET = 0x0010
COMMAND_FAILED = 0x0002
CHECKSUM_FAILED = 0x0001

_SINGLE_SHOT = b"\x24\x00\x24\x0b\x24\x16"  # by repeatability, no clock stretching (table 9)
_PERIODIC = (  # by period, then repeatability (table 10)
    b"\x20\x32\x20\x24\x20\x2f",
    b"\x21\x30\x21\x26\x21\x2d",
    b"\x22\x36\x22\x20\x22\x2b",
    b"\x23\x34\x23\x22\x23\x29",
    b"\x27\x37\x27\x21\x27\x2a",
)
_FETCH = b"\xe0\x00"
_ACCELERATED = b"\x2b\x32"
_BREAK = b"\x30\x93"
_SOFT_RESET = b"\x30\xa2"
_HEATER = (b"\x30\x66", b"\x30\x6d")  # off, on
_STATUS = b"\xf3\x2d"
_CLEAR_STATUS = b"\x30\x41"
_READ_LIMIT = b"\xe1\x1f\xe1\x14\xe1\x09\xe1\x02"  # by limit (application note "Alert Mode")
_WRITE_LIMIT = b"\x61\x1d\x61\x16\x61\x0b\x61\x00"

_EIO = const(5)
_ENODEV = const(19)


def crc8(data):
    """Return the checksum of some bytes (table 20): polynomial 0x31, begun with 0xFF; that of BE EF is 0x92."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31) & 0xFF if crc & 0x80 else crc << 1
    return crc


class SHT3x:
    """The sensor at `address` of `i2c` (machine.I2C or alike): 0x44 with ADDR low, 0x45 high.

    Every method raises OSError: the bus's errno (ENODEV: nobody answers; ETIMEDOUT: the bus is held), or EIO for a
    wrong checksum.
    """

    def __init__(self, i2c: "I2C", address: int = 0x44):
        self._i2c = i2c
        self._address = address

    def start(self, repeatability=HIGH):
        """Start one measurement: HIGH, MEDIUM or LOW."""
        self._command(_SINGLE_SHOT[2 * repeatability : 2 * repeatability + 2])

    def poll(self):
        """Return (temperature in 0.001 degrees, humidity in 0.001 %), or None while there is nothing new.

        A sensor that is gone says nothing either: past MEASURE_MAX_MS, ask `read_status`, which tells.
        """
        try:
            data = self._i2c.readfrom(self._address, 6)
        except OSError as error:
            if error.args[0] == _ENODEV:
                return None
            raise self._fault(error)
        temperature, humidity = self._words(data)
        # 4.13, rounded to the nearest.
        return (175_000 * temperature + 32_767) // 65_535 - 45_000, (100_000 * humidity + 32_767) // 65_535

    def start_periodic(self, period_ms=1000, repeatability=HIGH):
        """Measure by itself, every one of PERIODS_MS; `fetch`, then `poll` for each result."""
        if period_ms not in PERIODS_MS:
            raise ValueError("period_ms %d is not among %s" % (period_ms, PERIODS_MS))
        self._command(_PERIODIC[PERIODS_MS.index(period_ms)][2 * repeatability : 2 * repeatability + 2])

    def start_accelerated(self):
        """Measure by itself four times a second with accelerated response time (4.7)."""
        self._command(_ACCELERATED)

    def fetch(self):
        """Ask for the newest periodic result; `poll` returns None if there is none."""
        self._command(_FETCH)

    def stop_periodic(self):
        """End periodic measuring; 1 ms later it takes other commands."""
        self._command(_BREAK)

    def set_heater(self, on):
        """Switch the heater, which warms the sensor by a few degrees, for tests of plausibility (4.10)."""
        self._command(_HEATER[1 if on else 0])

    def read_status(self):
        """Return the status register, bits ALERT to CHECKSUM_FAILED."""
        return self._ask(_STATUS)

    def clear_status(self):
        """Clear ALERT, HUMIDITY_ALERT, TEMPERATURE_ALERT and WAS_RESET."""
        self._command(_CLEAR_STATUS)

    def soft_reset(self):
        """Restart the sensor; ready after RESET_MAX_MS. Not while it measures periodically: `stop_periodic` first."""
        self._command(_SOFT_RESET)

    def read_limit(self, limit):
        """Return an alert limit, HIGH_SET to LOW_SET, as (0.001 degrees, 0.001 %)."""
        word = self._ask(_READ_LIMIT[2 * limit : 2 * limit + 2])
        return (word & 0x1FF) * 128 * 175_000 // 65_535 - 45_000, (word >> 9) * 512 * 100_000 // 65_535

    def write_limit(self, limit, millicelsius, humidity_mpercent):
        """Set an alert limit; it is kept to 7 bits of humidity and 9 of temperature, till the next reset.

        `read_status` has COMMAND_FAILED if the sensor has not taken it.
        """
        if not -45_000 <= millicelsius <= 130_000:
            raise ValueError("%d m°C is outside of -45000 to 130000" % millicelsius)
        if not 0 <= humidity_mpercent <= 100_000:
            raise ValueError("%d m%% is outside of 0 to 100000" % humidity_mpercent)
        temperature = (millicelsius + 45_000) * 65_535 // 175_000
        word = struct.pack(">H", humidity_mpercent * 65_535 // 100_000 & 0xFE00 | temperature >> 7)
        self._command(_WRITE_LIMIT[2 * limit : 2 * limit + 2] + word + bytes((crc8(word),)))

    def _ask(self, command):
        self._command(command)
        try:
            data = self._i2c.readfrom(self._address, 3)
        except OSError as error:
            raise self._fault(error)
        return self._words(data)[0]

    def _words(self, data):
        words = []
        for start in range(0, len(data), 3):
            word, crc = struct.unpack(">HB", data[start : start + 3])
            right = crc8(data[start : start + 2])
            if crc != right:
                raise OSError(
                    _EIO,
                    "SHT3x at 0x%02x: word 0x%04x has CRC 0x%02x, not 0x%02x; measure again, or look for noise on SDA"
                    % (self._address, word, crc, right),
                )
            words.append(word)
        return words

    def _command(self, command):
        try:
            self._i2c.writeto(self._address, command)
        except OSError as error:
            raise self._fault(error)

    def _fault(self, error):
        return OSError(
            error.args[0],
            "SHT3x at 0x%02x: I2C error %s; check its supply, SDA, SCL and ADDR, or poll() until it has measured"
            % (self._address, error.args[0]),
        )
