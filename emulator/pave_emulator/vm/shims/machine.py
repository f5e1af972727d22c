"""`machine` of an ESP32-S3: pins, I2C, RTC, watchdog, sleep and reset, each a call to the host."""

import _emu_ops as ops
import _emu_rpc as rpc

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

PIN_WAKE = 2  # esp_sleep_wakeup_cause_t
EXT0_WAKE = 2
EXT1_WAKE = 3
TIMER_WAKE = 4
TOUCHPAD_WAKE = 5
ULP_WAKE = 6

SLEEP = 1
DEEPSLEEP = 2

_GPIO_COUNT = 49
_NO_GPIO = (22, 23, 24, 25)  # ESP32-S3 datasheet v2.0, table 2-1
_FREQUENCIES_MHZ = (20, 40, 80, 160, 240)
_RTC_MEMORY_BYTES = 2048

_freq_hz = 160000000


def unique_id():
    return rpc.mac


def reset_cause():
    return rpc.hello["reset_cause"]


def wake_reason():
    return rpc.hello["wake_reason"]


def wake_pins():
    return tuple(Pin(number) for number in rpc.hello["wake_pins"])


def reset():
    rpc.call(ops.RESET, (HARD_RESET,))


def soft_reset():
    rpc.call(ops.RESET, (SOFT_RESET,))


def deepsleep(ms=-1):
    rpc.call(ops.DEEPSLEEP, (int(ms),))


def lightsleep(ms=-1):
    rpc.call(ops.LIGHTSLEEP, (int(ms),))


def freq(hz=None):
    global _freq_hz
    if hz is None:
        return _freq_hz
    if hz // 1000000 not in _FREQUENCIES_MHZ:
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _freq_hz = hz
    return None


def idle():
    pass


def disable_irq():
    return 0


def enable_irq(state=0):
    pass


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    def __init__(self, id, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if isinstance(id, Pin):
            id = id._number
        if not isinstance(id, int) or not 0 <= id < _GPIO_COUNT or id in _NO_GPIO:
            raise ValueError("invalid pin")
        self._number = id
        if mode is not None or pull != -1 or value is not None:
            self.init(mode, pull, value=value)

    def __repr__(self):
        return "Pin({})".format(self._number)

    def init(self, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if value is not None:
            self.value(value)
        if mode is not None or pull != -1:
            rpc.call(ops.PIN_MODE, (self._number, mode or 0, -1 if pull is None else pull))

    def value(self, level=None):
        if level is None:
            return rpc.ask(ops.PIN_GET, (self._number,))[0]
        rpc.call(ops.PIN_SET, (self._number, 1 if level else 0))
        return None

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(not self.value())


def _pin_number(pin):
    return pin._number if isinstance(pin, Pin) else Pin(pin)._number


class I2C:
    """Hardware I2C 0 or 1. A whole transaction, with its repeated start, is one call."""

    _defaults = {0: (9, 8), 1: (9, 8)}  # (scl, sda) where the port names none

    def __init__(self, id=0, *, scl=None, sda=None, freq=400000, timeout=50000):
        if id not in self._defaults:
            raise ValueError("I2C({}) doesn't exist".format(id))
        default_scl, default_sda = self._defaults[id]
        self._open(id, default_scl if scl is None else scl, default_sda if sda is None else sda, freq)

    def _open(self, bus, scl, sda, freq):
        self._bus = bus
        rpc.call(ops.I2C_INIT, (bus, _pin_number(scl), _pin_number(sda), freq))

    def _transfer(self, address, directions, size, data=b""):
        return rpc.call(ops.I2C, (self._bus, address, directions, size), data)

    def scan(self):
        found = []
        for address in range(0x08, 0x78):
            try:
                self._transfer(address, 1, 0)
                found.append(address)
            except OSError:
                pass
        return found

    def writeto(self, address, data, stop=True):
        if not stop:
            raise OSError(ops.EINVAL)  # the host carries whole transactions: use writevto or readfrom_mem
        self._transfer(address, 1, 0, bytes(data))
        return len(data)

    def writevto(self, address, parts, stop=True):
        return self.writeto(address, b"".join(parts), stop)

    def readfrom(self, address, size, stop=True):
        return self._transfer(address, 2, size)

    def readfrom_into(self, address, buf, stop=True):
        buf[:] = self._transfer(address, 2, len(buf))

    def writeto_mem(self, address, register, data, *, addrsize=8):
        self._transfer(address, 1, 0, register.to_bytes(addrsize // 8, "big") + bytes(data))

    def readfrom_mem(self, address, register, size, *, addrsize=8):
        return self._transfer(address, 3, size, register.to_bytes(addrsize // 8, "big"))

    def readfrom_mem_into(self, address, register, buf, *, addrsize=8):
        buf[:] = self.readfrom_mem(address, register, len(buf), addrsize=addrsize)


class SoftI2C(I2C):
    _next_bus = 16

    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        SoftI2C._next_bus += 1
        self._open(SoftI2C._next_bus, scl, sda, freq)


class WDT:
    """The task watchdog: once started it cannot be stopped, and resets the chip when it is not fed."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        rpc.call(ops.WDT, (timeout,))

    def feed(self):
        rpc.call(ops.WDT, (0,))


class RTC:
    def memory(self, data=None):
        if data is None:
            return rpc.call(ops.RTC_READ)
        if len(data) > _RTC_MEMORY_BYTES:
            raise ValueError("buffer too long")
        rpc.call(ops.RTC_WRITE, (), bytes(data))
        return None

    def datetime(self, when=None):
        import time

        if when is None:
            year, month, day, hour, minute, second, weekday, _ = time.gmtime()
            return (year, month, day, weekday, hour, minute, second, rpc.rtc_us() % 1000000)
        self._set(when[:3] + when[4:7], when[7])
        return None

    def init(self, when):
        self._set(when[:6], when[7])

    def _set(self, when, microseconds):
        import time

        rtc_us = time.mktime(when) * 1000000 + microseconds
        rpc.call(ops.SET_CLOCK, (rtc_us,))
        rpc.set_rtc_us(rtc_us)
