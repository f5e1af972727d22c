"""`machine.Timer`, `WDT` and `RTC` (the port's machine_timer.c, machine_wdt.c and machine_rtc.c)."""

import _emu_ops as ops
import _emu_rpc as rpc

_HARDWARE = 4
_HARDWARE_HZ = 10000000  # APB clock divided by 8
_VIRTUAL_HZ = 1000000
_NO_PERIOD = 0xFFFFFFFF
_RTC_MEMORY_BYTES = 2048
_hardware = {}  # id: Timer
_running = {}  # number on the host: Timer


class Timer:
    """Hardware timers 0 to 3, one object each; -1 makes a new virtual one."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __new__(cls, id=-1, **kwargs):
        if id >= _HARDWARE:
            raise ValueError(f"Timer({id}) doesn't exist, there are only {_HARDWARE} hardware timers")
        timer = _hardware.get(id)
        if timer is None:
            timer = object.__new__(cls)
            timer._id = id
            timer._hz = _HARDWARE_HZ if id >= 0 else _VIRTUAL_HZ
            timer._forget()
            if id >= 0:
                _hardware[id] = timer
        return timer

    def __init__(self, id=-1, **kwargs):
        if kwargs:
            self.init(**kwargs)

    def __repr__(self):
        mode = "ONE_SHOT" if self._repeat else "PERIODIC"  # the port prints them the wrong way round
        return f"Timer({self._id}, mode={mode}, period={self._period * 1000 // self._hz})"

    def _forget(self):
        self._number = None
        self._period = 0  # ticks
        self._repeat = 0
        self._callback = None
        self._started_us = 0
        self._stopped_us = 0

    def init(self, *, mode=1, callback=None, period=_NO_PERIOD, tick_hz=1000, freq=None, hard=False):
        self.deinit()
        if hard:
            raise ValueError("hard Timers are not implemented")
        self._period = int(self._hz / freq) if freq is not None else period * self._hz // tick_hz
        if self._period == 0:
            raise ValueError("Timer period is too short for this timer")
        self._repeat = mode
        self._callback = callback
        self._number = self._id if self._id >= 0 else _free_number()
        _running[self._number] = self
        rpc.settle()  # the port's timer is C
        self._started_us = rpc.now_us()
        rpc.call(ops.TIMER, (self._number, max(1, self._period * 1000000 // self._hz), 1 if mode else 0))

    def deinit(self):
        if self._number is not None:
            rpc.call(ops.TIMER, (self._number, 0, 0))
            _running.pop(self._number, None)
        self._forget()

    def value(self):
        """Milliseconds since it started or last came round."""
        if self._number is None and self._id < 0:
            return (self._stopped_us - self._started_us) // 1000
        return (rpc.now_us() - self._started_us) // 1000

    def _ring(self):
        if self._repeat:
            self._started_us += self._period * 1000000 // self._hz
        elif self._id < 0:
            self._stopped_us = self._started_us + self._period
            _running.pop(self._number)
            self._number = None
        rpc.schedule(self._callback, self)


def _free_number():
    number = _HARDWARE
    while number in _running:
        number += 1
    return number


def _ring(number, _value):
    timer = _running.get(number)
    if timer:
        timer._ring()


rpc.on_event(ops.EVENT_TIMER, _ring)


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
    def memory(self, *data):
        if not data:
            return rpc.call(ops.RTC_READ)
        if len(data[0]) > _RTC_MEMORY_BYTES:
            raise ValueError("buffer too long")
        rpc.call(ops.RTC_WRITE, (), bytes(data[0]))
        return None

    def datetime(self, *when):
        import time

        if not when:
            year, month, day, hour, minute, second, weekday, _ = time.gmtime()
            return (year, month, day, weekday, hour, minute, second, rpc.rtc_us() % 1000000)
        when = _eight(when[0])
        self._set(when[:3] + when[4:7], when[7])
        return None

    def init(self, when):
        when = _eight(when)
        self._set(when[:6], when[7])

    def _set(self, when, microseconds):
        import time

        rtc_us = time.mktime(when) * 1000000 + microseconds
        rpc.call(ops.SET_CLOCK, (rtc_us,))
        rpc.set_rtc_us(rtc_us)


def _eight(when):
    if len(when) != 8:
        raise ValueError(f"requested length 8 but object has length {len(when)}")
    return tuple(when)
