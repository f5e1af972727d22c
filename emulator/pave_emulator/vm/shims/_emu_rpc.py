"""The VM's end of the channel to the host, the VM's notion of now, and the interrupts that come with answers.

At wall clock, now is the operating system's. In virtual time it is a number that only grows by what things cost: each
answer sets it, each reading of the clock, byte of flash and block of a cipher adds to it. Until `_quiet_us` the host
has nothing to say, so a sleep that ends before it is an addition.

What only this boot knows (`waking`) is asked for when it is needed first, and leases count from then on. So until then
a boot is the same as one before that got the same answers, which the host makes use of (`vm.checkpoint`).
"""

import struct
import sys

import _emu_ops as ops
import micropython
import uos
import utime

HOST_LOST_GRACE_MS = 2000
LOOK_EVERY_US = 1000  # at wall clock, while interrupts are armed
SCHEDULER_DEPTH = 8  # MICROPY_SCHEDULER_DEPTH of the port

# Asking for the time is the emulator's own need, and fetching interrupts too: what is charged must not depend on them.
_UNCHARGED = (ops.SYNC, ops.EVENTS, ops.WAKING)

_channel = None
_sequence = 0
_busy = False  # in a call; still set at the next one when Ctrl-C has broken it off
virtual = False
_boot_us = 0
_rtc_at_boot_us = 0
_begun_us = 0
_waking = None
_now_us = 0
_answered_us = 0
_quiet_us = 0
_alone_us = 0
_looked_us = 0
_clock_read_us = 0
_call_us = 0
_idle_us = 0
_code_ns_per_byte = 0
_read_ns = 0
_read_ns_per_byte = 0
_allocated = 0
flash_reads = [0, 0]  # how many, and of how many bytes, since code was charged last
_READ_ALLOCATES = 168  # bytes: `Partition.readblocks` here; on the chip it is C
flags = 0
_scheduled = []
_running_scheduled = False
disabled = False  # machine.disable_irq
_on_event = {}


def open_channel(fd, warm):
    """Use the socket `fd` (one end of a pair) from now on; return when the host says so.

    A warm process says that it is ready; its clones wake up in the middle of the read.
    """
    global _channel
    _channel = open(fd, "r+b")
    if warm:
        _channel.write(b"R")
    _channel.read(1)


def begin(hello):
    """Take up the host's facts about this boot."""
    global virtual, _boot_us, _begun_us, _clock_read_us, _call_us, _allocated
    global _code_ns_per_byte, _read_ns, _read_ns_per_byte
    _boot_us = utime.ticks_us() - hello["uptime_us"]
    virtual = hello["virtual"]
    _clock_read_us = hello["costs"]["clock_read_us"]
    _call_us = hello["costs"]["call_us"]
    _code_ns_per_byte = hello["costs"]["code_ns_per_byte"]
    _read_ns = hello["costs"]["read_ns"]
    _read_ns_per_byte = hello["costs"]["read_ns_per_byte"]
    _allocated = micropython.mem_total()
    _begun_us = now_us()


def waking():
    """What only this boot knows: [wake reason, wake pins, seed of its random numbers]. Charged to nobody."""
    global _waking, _rtc_at_boot_us, _quiet_us
    if _waking is None:
        owed = unsettled()
        answer = _exchange(ops.WAKING, b"")[1]
        if flags & ops.FLAG_EVENTS:
            _quiet_us = 0  # the next wait makes a call, which serves them
        reason, rtc_at_hello_us, seed = struct.unpack_from(ops.TABLE[ops.WAKING][2], answer)
        _rtc_at_boot_us = rtc_at_hello_us - _begun_us
        _waking = [reason, list(answer[struct.calcsize(ops.TABLE[ops.WAKING][2]) :]), seed]
        settle(owed)
    return _waking


def on_event(kind, function):
    """Call function(number, value) for each interrupt of this kind."""
    _on_event[kind] = function


# Calls


def call(op, fields=(), tail=b"", charged=False):
    """Make one call; return the body of the answer, None if it was interrupted.

    `charged` says that the firmware's code has been charged, and what was allocated since is the shims'.

    Raises:
        OSError: with the status the host gave.
    """
    if charged:
        settle()
    elif virtual:
        _charge_code()
    body = struct.pack(ops.TABLE[op][1], *fields)
    if len(body) + len(tail) > ops.MAX_BODY_BYTES:
        raise OSError(ops.EINVAL)
    status, answer = _exchange(op, body + tail)
    settle()  # what the call itself has allocated is the emulator's
    if op != ops.EVENTS:
        if flags & ops.FLAG_EVENTS:
            _serve_events()
        if _scheduled:
            run_scheduled()
    if status == ops.INTERRUPTED:
        return None
    if status:
        _raise(status)
    return answer


def ask(op, fields=(), tail=b""):
    """Make one call; return the fixed fields of the answer as a tuple."""
    return struct.unpack_from(ops.TABLE[op][2], call(op, fields, tail))


def wait(op, fields, timeout_us, tail=b"", interrupted=None, charged=False):
    """Make a call that waits, again after each interrupt; `fields(left_us)`, -1 for ever. None when the time is up.

    `interrupted()` is asked after each interrupt: true ends the wait, with an empty answer. `charged` as for `call`.
    """
    end_us = None if timeout_us < 0 else _uncharged_us() + timeout_us
    left_us = timeout_us
    while True:
        answer = call(op, fields(left_us), tail, charged)
        if answer is not None:
            return answer
        if interrupted and interrupted():
            return b""
        charged = False
        if end_us is not None:
            left_us = max(0, end_us - _uncharged_us())


def _exchange(op, body):
    global _sequence, _busy, flags, _now_us, _answered_us, _quiet_us, _alone_us, _idle_us
    if _busy:
        _resynchronise()
    _busy = True
    _sequence = _sequence + 1 & 0xFF
    spent_us = 0
    if virtual:
        spent_us = _now_us - _answered_us
        if op not in _UNCHARGED:
            spent_us += _call_us
    try:
        _channel.write(struct.pack(ops.REQUEST_HEADER, op, _sequence, len(body), spent_us, _idle_us) + body)
    except OSError:
        _die_with_host()
    _idle_us = 0
    while True:
        head = _read(ops.REPLY_HEADER_BYTES)
        status, sequence, flags, size, now, _quiet_us, _alone_us = struct.unpack(ops.REPLY_HEADER, head)
        answer = _read(size) if size else b""
        if sequence == _sequence:
            break  # else the answer to a call that Ctrl-C has broken off
    _busy = False
    _now_us = _answered_us = now
    return status, answer


def _resynchronise():
    """Ctrl-C can strike in the middle of an answer. Have the host send a mark, and drop everything before it."""
    global _sequence
    _sequence = _sequence + 1 & 0xFF
    mark = b"\xa5resync\x5a" + bytes([_sequence])
    _channel.write(struct.pack(ops.REQUEST_HEADER, ops.ECHO, _sequence, len(mark), 0, 0) + mark)
    seen = b""
    while seen != mark:
        seen = (seen + _read(1))[-len(mark) :]


def _read(size):
    try:
        data = _channel.read(size)
    except OSError:
        data = b""
    if not data or len(data) < size:
        _die_with_host()
    return data


def _raise(status):
    if status in ops.ESP_ERRORS:
        raise OSError(status, ops.ESP_ERRORS[status])
    raise OSError(status)


def _die_with_host():
    # The kernel kills this process when its parent goes; this is for the case that it did not.
    utime.sleep_ms(HOST_LOST_GRACE_MS)
    uos.system("kill -9 $PPID")


# Interrupts


def _serve_events():
    global _allocated
    events = call(ops.EVENTS)
    for at in range(0, len(events), 6):
        kind, number, value = struct.unpack_from("<BBi", events, at)
        _on_event[kind](number, value)
    _allocated = micropython.mem_total()  # on the chip this is the interrupt's hardware


def schedule(function, argument):
    """Run function(argument) soon, as an interrupt of the port does; lost when the queue is full, as there: False.

    Not by micropython.schedule: that could run it between a call and its answer, and it may make calls itself.
    """
    if len(_scheduled) >= SCHEDULER_DEPTH:
        return False
    _scheduled.append((function, argument))
    return True


def serving():
    """Something scheduled is running."""
    return _running_scheduled


def run_scheduled():
    """Run what is scheduled, unless interrupts are disabled or something scheduled is running."""
    global _running_scheduled
    if disabled or _running_scheduled:
        return
    _running_scheduled = True
    while _scheduled:
        function, argument = _scheduled.pop(0)
        try:
            function(argument)
        except BaseException as error:
            sys.print_exception(error)
    _running_scheduled = False


# Time


def _charge_code():
    """Charge for the code that has run since the last time, by the bytes it has allocated, and for the flash read."""
    global _now_us, _allocated
    total = micropython.mem_total()
    reads, read_bytes = flash_reads
    # A buffer that shrinks (recvfrom's) takes bytes back from the total: less than nothing was allocated then.
    allocated = max(0, (total - _allocated + 0x80000000 & 0xFFFFFFFF) - 0x80000000 - reads * _READ_ALLOCATES)
    _now_us += (allocated * _code_ns_per_byte + reads * _read_ns + read_bytes * _read_ns_per_byte) // 1000
    _allocated = total
    flash_reads[0] = flash_reads[1] = 0


def charge():
    """Charge the code that has run."""
    if virtual:
        _charge_code()


def unsettled():
    """Bytes that the firmware's code has allocated and that are not charged yet."""
    return micropython.mem_total() - _allocated


def settle(owed=0):
    """What else was allocated so far is the emulator's (the host's paths among it) and is charged to nobody."""
    global _allocated
    _allocated = micropython.mem_total() - owed


def spend(us):
    """Something has taken `us` microseconds of the chip's time."""
    global _now_us
    _now_us += us


def now_us():
    """Microseconds since this boot (the ESP32's esp_timer starts again at every wake-up)."""
    global _now_us, _looked_us
    if virtual:
        _charge_code()
        _now_us += _clock_read_us
        if _now_us >= (_alone_us if _waking is None else _quiet_us):
            call(ops.SYNC, (), b"", True)
        return _now_us
    now = utime.ticks_us() - _boot_us
    if flags & ops.FLAG_ARMED and now - _looked_us > LOOK_EVERY_US:
        _looked_us = now
        call(ops.SYNC)
    return now


def _uncharged_us():
    return _now_us if virtual else utime.ticks_us() - _boot_us


def pass_quietly(us):
    """Charge the code, and let time go by if nothing can happen meanwhile; False if the host must be asked."""
    global _now_us, _idle_us
    if not virtual:
        return False
    if _waking is None:
        waking()
    _charge_code()
    if _now_us + _call_us + us >= _quiet_us:
        return False
    _now_us += _call_us + us
    _idle_us += us
    return True


def sleep_us(us):
    """Sleep; interrupts are served meanwhile."""
    if us > 0 and not pass_quietly(us):
        wait(ops.SLEEP, lambda left_us: (left_us,), us, charged=True)


def set_rtc_us(rtc_us):
    """The real-time clock reads `rtc_us` (since 2000-01-01) now; it went on while the VM was not there."""
    global _rtc_at_boot_us
    waking()
    _rtc_at_boot_us = rtc_us - now_us()


def rtc_us():
    """Microseconds since 2000-01-01 on the device's own clock, which starts at 0 at power-on."""
    if _waking is None:
        waking()
    return _rtc_at_boot_us + now_us()
