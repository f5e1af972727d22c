"""`machine.PWM` (the port's machine_pwm.c over ESP-IDF's LEDC): 8 channels on 4 timers, one frequency a timer.

The duty cycle has as many bits as the 80 MHz clock allows at the frequency, at most 13; what is read back is what the
hardware made of it.
"""

import _emu_ops as ops
import _emu_pin
import _emu_rpc as rpc

_CHANNELS = 8
_TIMERS = 4
_SOURCE_HZ = 80000000
_MOST_BITS = 13  # SOC_LEDC_TIMER_BIT_WIDTH is 14, and the port takes one off: full duty cannot be reached there
_FRACTION_BITS = 8  # of the divider
_DEFAULT_HZ = 5000
_FULL = 65536
_frequencies = {}  # GPIO: Hz of each channel in use


class PWM:
    def __init__(self, pin, freq=-1, *, duty=-1, duty_u16=-1, duty_ns=-1, invert=False, lightsleep=False):
        self._pin = _emu_pin.number_of(pin)
        self._forget()
        self.init(freq, duty=duty, duty_u16=duty_u16, duty_ns=duty_ns, invert=invert, lightsleep=lightsleep)

    def _forget(self):
        self._freq = 0  # 0: inactive
        self._wanted = None  # ("u16" or "ns", value)
        self._raw = 0
        self._invert = False

    def __repr__(self):
        if not self._freq:
            return f"PWM(Pin({self._pin}))"
        invert = ", invert=True" if self._invert else ""
        return f"PWM(Pin({self._pin}), freq={self.freq()}, duty_u16={self.duty_u16()}{invert})"

    def init(self, freq=-1, *, duty=-1, duty_u16=-1, duty_ns=-1, invert=None, lightsleep=False):
        if freq != -1:
            _check_freq(freq)
        if duty_u16 >= 0:
            self._want_u16(duty_u16)
        elif duty_ns >= 0:
            self._want_ns(duty_ns)
        elif duty >= 0:
            self._want_u10(duty)
        elif self._wanted is None:
            self._wanted = ("u16", _FULL // 2)
        if invert is not None:
            self._invert = bool(invert)
        if self._pin not in _frequencies and len(_frequencies) >= _CHANNELS:
            raise RuntimeError(f"out of PWM channels:{_CHANNELS}")
        self._start(_frequencies.get(self._pin, _DEFAULT_HZ) if freq == -1 else freq)

    def deinit(self):
        if self._freq:
            rpc.call(ops.PWM, (self._pin, 0, 0, int(self._invert)))
        _frequencies.pop(self._pin, None)
        self._forget()

    def freq(self, *hz):
        self._check_active()
        if not hz:
            return _achieved(self._freq)
        _check_freq(hz[0])
        self._start(hz[0])
        return None

    def duty(self, *value):
        if not value:
            return self.duty_u16() >> 6
        self._want_u10(value[0])
        self._apply()
        return None

    def duty_u16(self, *value):
        if not value:
            self._check_active()
            return min(self._raw << 16 - _resolution(self._freq), _FULL - 1)
        self._want_u16(value[0])
        self._apply()
        return None

    def duty_ns(self, *value):
        if not value:
            return self._to_ns(self.duty_u16())
        self._want_ns(value[0])
        self._apply()
        return None

    def _check_active(self):
        if not self._freq:
            raise RuntimeError("PWM is inactive")

    def _want_u16(self, value):
        if not 0 <= value < _FULL:
            raise ValueError(f"duty_u16 must be from 0 to {_FULL}")
        self._wanted = ("u16", _FULL if value == _FULL - 1 else value)

    def _want_u10(self, value):
        if not 0 <= value < 1024:
            raise ValueError("duty must be from 0 to 1023")
        self._wanted = ("u16", _FULL if value == 1023 else value << 6)

    def _want_ns(self, value):
        longest = self._to_ns(_FULL)
        if not 0 <= value <= longest:
            raise ValueError(f"duty_ns must be from 0 to {longest} ns")
        self._wanted = ("ns", value)

    def _to_ns(self, duty):
        self._check_active()
        return (duty * 1000000000 + self._freq * _FULL // 2) // (self._freq * _FULL)

    def _start(self, freq):
        others = {_frequencies[pin] for pin in _frequencies if pin != self._pin}
        if freq not in others and len(others) >= _TIMERS:
            raise RuntimeError(f"out of PWM timers:{_TIMERS}")
        _frequencies[self._pin] = self._freq = freq
        self._apply()

    def _apply(self):
        self._check_active()
        unit, duty = self._wanted
        if unit == "ns":
            wanted = (duty * _FULL * self._freq + 500000000) // 1000000000
            duty = 1 if duty > 0 and wanted == 0 else min(wanted, _FULL)
        bits = _resolution(self._freq)
        self._raw = duty >> 16 - bits
        rpc.call(ops.PWM, (self._pin, _achieved(self._freq), self._raw << 16 - bits, int(self._invert)))


def _check_freq(freq):
    if not 0 < freq <= _SOURCE_HZ // 2:
        raise ValueError(f"frequency must be from 1Hz to {_SOURCE_HZ // 2000000}MHz")


def _resolution(freq):
    """Bits of the duty cycle (ledc_find_suitable_duty_resolution)."""
    divider = (_SOURCE_HZ + freq // 2) // freq
    bits = -1
    while divider:
        divider >>= 1
        bits += 1
    if _divider(freq, bits) < 1 << _FRACTION_BITS:
        bits -= 1
    return min(bits, _MOST_BITS)


def _divider(freq, bits):
    """With its fraction (ledc_calculate_divisor)."""
    per_period = freq << bits
    return ((_SOURCE_HZ << _FRACTION_BITS) + per_period // 2) // per_period


def _achieved(freq):
    """Hz that the divider makes of it (ledc_get_freq)."""
    bits = _resolution(freq)
    divider = _divider(freq, bits) << bits
    return max(1, ((_SOURCE_HZ << _FRACTION_BITS) + divider // 2) // divider)
