"""The VM's end of the channel to the host, and the VM's notion of now.

`now_us` is the seam for another clock: with a virtual one it asks the host instead of the operating system.
"""

import struct

import _emu_ops as ops
import uos
import utime

HOST_LOST_GRACE_MS = 2000

_channel = None
_boot_us = 0
_rtc_at_boot_us = 0


def open_channel(fd):
    """Use the socket `fd` (one end of a pair) from now on."""
    global _channel, _boot_us
    _channel = open(fd, "r+b")
    _boot_us = utime.ticks_us()


def call(op, fields=(), tail=b""):
    """Make one call; return the body of the reply. Raise OSError with the status the host gave."""
    body = struct.pack(ops.TABLE[op][1], *fields)
    size = len(body) + len(tail)
    if size > ops.MAX_BODY_BYTES:
        raise OSError(ops.EINVAL)
    status, reply = _exchange(struct.pack(ops.REQUEST_HEADER, op, size) + body + tail)
    if status:
        _raise(status)
    return reply


def _exchange(request):
    try:
        _channel.write(request)
        header = _channel.read(ops.REPLY_HEADER_BYTES)
    except OSError:
        header = b""
    if not header or len(header) < ops.REPLY_HEADER_BYTES:
        _die_with_host()
    status, size = struct.unpack(ops.REPLY_HEADER, header)
    return status, _channel.read(size) if size else b""


def ask(op, fields=(), tail=b""):
    """Make one call; return the fixed fields of the reply as a tuple."""
    return struct.unpack_from(ops.TABLE[op][2], call(op, fields, tail))


def _raise(status):
    if status in ops.ESP_ERRORS:
        raise OSError(status, ops.ESP_ERRORS[status])
    raise OSError(status)


def _die_with_host():
    # The kernel kills this process when its parent goes; this is for the case that it did not.
    utime.sleep_ms(HOST_LOST_GRACE_MS)
    uos.system("kill -9 $PPID")


def now_us():
    """Microseconds since this boot (the ESP32's esp_timer starts again at every wake-up)."""
    return utime.ticks_us() - _boot_us


def set_rtc_us(rtc_us):
    """The real-time clock reads `rtc_us` (since 2000-01-01) now; it went on while the VM was not there."""
    global _rtc_at_boot_us
    _rtc_at_boot_us = rtc_us - now_us()


def rtc_us():
    """Microseconds since 2000-01-01 on the device's own clock, which starts at 0 at power-on."""
    return _rtc_at_boot_us + now_us()
