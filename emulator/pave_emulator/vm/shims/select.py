"""`select.poll` over the shim's sockets, and over any object with a stream `ioctl`, as asyncio uses it.

Waiting is one call to the host, which answers when a socket is ready or the time has come.
"""

import _emu_ops as ops
import _emu_rpc as rpc

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16

_IOCTL_POLL = 3  # MP_STREAM_POLL


class poll:
    def __init__(self):
        self._entries = []  # [object, mask]

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

    def modify(self, obj, mask):
        entry = self._find(obj)
        if not entry:
            raise OSError(2)
        entry[1] = mask

    def unregister(self, obj):
        entry = self._find(obj)
        if entry:
            self._entries.remove(entry)

    def poll(self, timeout_ms=-1):
        ready = [(obj, got) for obj, mask in self._entries for got in (_asked(obj, mask),) if got]
        pairs = bytes(byte for obj, mask in self._entries if hasattr(obj, "_emu_id") for byte in (obj._emu_id, mask))
        if ready:
            timeout_ms = 0
        if timeout_ms == 0 and not pairs:
            return ready
        reply = rpc.call(ops.POLL, (-1 if timeout_ms is None else int(timeout_ms),), pairs)
        for i in range(0, len(reply), 2):
            ready.append((self._by_id(reply[i]), reply[i + 1]))
        return ready

    def ipoll(self, timeout_ms=-1, flags=0):
        return iter(self.poll(timeout_ms))

    def _by_id(self, emu_id):
        for obj, _mask in self._entries:
            if getattr(obj, "_emu_id", None) == emu_id:
                return obj
        return None


def _asked(obj, mask):
    """What an object that is no socket says for itself (asyncio.ThreadSafeFlag and such)."""
    if hasattr(obj, "_emu_id") or not hasattr(obj, "ioctl"):
        return 0
    return obj.ioctl(_IOCTL_POLL, mask)
