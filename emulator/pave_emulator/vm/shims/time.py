"""`time` as on the ESP32 port: the epoch is 2000-01-01, ticks wrap at 2**30, sleeping is a call to the host."""

import _emu_rpc as rpc
import utime

_TICKS_MASK = (1 << 30) - 1
_TICKS_HALF = 1 << 29
_EPOCH_2000_S = 946684800
_SHORTEST_CALL_US = 1000  # below this a call costs more than the sleep


def ticks_ms():
    return (rpc.now_us() // 1000) & _TICKS_MASK


def ticks_us():
    return rpc.now_us() & _TICKS_MASK


def ticks_cpu():
    """Cycles of the core's clock."""
    import machine

    return rpc.now_us() * (machine.freq() // 1000000) & _TICKS_MASK


def ticks_add(ticks, delta):
    if not -_TICKS_HALF < delta < _TICKS_HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) & _TICKS_MASK


def ticks_diff(end, start):
    return ((end - start + _TICKS_HALF) & _TICKS_MASK) - _TICKS_HALF


def sleep_us(us):
    us = int(us)
    if us >= _SHORTEST_CALL_US or rpc.virtual:
        rpc.sleep_us(us)
    elif us > 0:
        utime.sleep_us(us)


def sleep_ms(ms):
    sleep_us(ms * 1000)


def sleep(seconds):
    sleep_us(int(seconds * 1000000))


def time():
    return rpc.rtc_us() // 1000000


def time_ns():
    return rpc.rtc_us() * 1000


def gmtime(seconds=None):
    return utime.gmtime((time() if seconds is None else int(seconds)) + _EPOCH_2000_S)[:8]


localtime = gmtime


def mktime(when):
    """Seconds since 2000-01-01 of (year, month, day, hour, minute, second, ...), by the civil calendar."""
    year, month, day, hour, minute, second = when[:6]
    shifted = (month + 9) % 12  # months since March, so that the leap day comes last
    years = year - (month <= 2)
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * shifted + 2) // 5 + day - 1
    return ((days - 730425) * 24 + hour) * 3600 + minute * 60 + second  # 730425: days from 0000-03-01 to 2000-01-01
