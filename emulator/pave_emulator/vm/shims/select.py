"""`select.poll` over the shim's sockets, and over any object with a stream `ioctl`, as asyncio uses it.

Waiting is one call to the host, which answers when a socket is ready or the time has come.
"""

import sys

import _emu_ops as ops
import _emu_rpc as rpc
import uselect

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16
_POLLNVAL = 32
_ONE_SHOT = 1

_IOCTL_POLL = 3  # MP_STREAM_POLL
_LOOK_US = 5000  # at standard input, which the host does not know of, while waiting for anything else


class poll:
    def __init__(self):
        self._entries = []  # [object, mask]
        self._streams = None  # the VM's own poll, once standard input is among the entries

    def _find(self, obj):
        for entry in self._entries:
            if entry[0] is obj:
                return entry
        return None

    def register(self, obj, mask=POLLIN | POLLOUT):
        entry = self._find(obj)
        if entry:
            entry[1] = mask
        else:
            self._entries.append([obj, mask])
        if obj is sys.stdin or obj is sys.stdin.buffer:
            self._streams = self._streams or uselect.poll()
            self._streams.register(obj, mask)

    def modify(self, obj, mask):
        entry = self._find(obj)
        if not entry:
            raise OSError(2)
        entry[1] = mask

    def unregister(self, obj):
        entry = self._find(obj)
        if entry:
            self._entries.remove(entry)
            if self._streams and (obj is sys.stdin or obj is sys.stdin.buffer):
                self._streams.unregister(obj)

    def poll(self, timeout_ms=-1):
        if self._streams is None:
            return self._poll(timeout_ms)
        left_us = -1 if timeout_ms is None or timeout_ms < 0 else int(timeout_ms) * 1000
        while True:
            slice_us = _LOOK_US if left_us < 0 else min(left_us, _LOOK_US)
            typed = list(self._streams.poll(0))
            ready = typed + self._poll(0 if typed else slice_us // 1000)
            if left_us > 0:
                left_us -= slice_us
            if ready or left_us == 0:
                return ready

    def _poll(self, timeout_ms):
        ready = self._ask_all()
        open_sockets = [entry for entry in self._entries if getattr(entry[0], "_emu_id", None) is not None]
        pairs = bytes(byte for obj, mask in open_sockets for byte in (obj._emu_id, mask))
        if ready:
            timeout_ms = 0
        if timeout_ms == 0 and not pairs:
            return ready
        timeout_us = -1 if timeout_ms is None or timeout_ms < 0 else int(timeout_ms) * 1000
        if timeout_us >= 0 and self._nothing_comes(pairs):
            if rpc.pass_quietly(timeout_us):
                return ready
        else:
            rpc.charge()  # as much as if it had tried

        def interrupted():  # a handler may have set a flag that somebody waits for
            ready.extend(self._ask_all())
            return bool(ready)

        reply = rpc.wait(ops.POLL, lambda left_us: (left_us,), timeout_us, pairs, interrupted, True)
        for i in range(0, len(reply), 2):
            ready.append((self._by_id(reply[i]), reply[i + 1]))
        return ready

    def _ask_all(self):
        return [(obj, got) for obj, mask in self._entries for got in (_asked(obj, mask),) if got]

    def ipoll(self, timeout_ms=-1, flags=0):
        for obj, got in self.poll(timeout_ms):
            if flags & _ONE_SHOT:
                self.modify(obj, 0)
            yield obj, got

    def _nothing_comes(self, pairs):
        """Nothing is there, nobody wants to write, and objects without a socket are not asked while waiting."""
        if rpc.flags & ops.FLAG_READABLE:
            return False
        return not any(pairs[at] & POLLOUT for at in range(1, len(pairs), 2))

    def _by_id(self, emu_id):
        for obj, _mask in self._entries:
            if getattr(obj, "_emu_id", None) == emu_id:
                return obj
        return None


def _asked(obj, mask):
    """What an object that is no socket says for itself (asyncio.ThreadSafeFlag and such)."""
    if hasattr(obj, "_emu_id"):
        return _POLLNVAL if obj._emu_id is None else 0
    if not hasattr(obj, "ioctl"):
        return 0
    return obj.ioctl(_IOCTL_POLL, mask)


def select(readers, writers, errors, timeout_s=None):
    """The lists of those that are ready, in the order given."""
    poller = poll()
    for obj in list(readers) + list(writers) + list(errors):
        poller.register(obj, (POLLIN if obj in readers else 0) | (POLLOUT if obj in writers else 0))
    got = {id(obj): mask for obj, mask in poller.poll(-1 if timeout_s is None else int(timeout_s * 1000))}
    return (
        [obj for obj in readers if got.get(id(obj), 0) & (POLLIN | POLLHUP | POLLERR)],
        [obj for obj in writers if got.get(id(obj), 0) & POLLOUT],
        [obj for obj in errors if got.get(id(obj), 0) & (POLLERR | POLLHUP)],
    )
