"""`os` as on the ESP32 port: no environment and no shell, `uname`, `sync`, and random bytes of this boot's own."""

import hashlib
import os as vm_os
import sys as vm_sys
from collections import namedtuple

import _emu_rpc as rpc
import _emu_sys
from _emu_vfs import VfsFat, VfsLfs2, mount, umount  # noqa: F401

sep = vm_os.sep
chdir = vm_os.chdir
getcwd = vm_os.getcwd
ilistdir = vm_os.ilistdir
listdir = vm_os.listdir
mkdir = vm_os.mkdir
remove = unlink = vm_os.remove
rename = vm_os.rename
rmdir = vm_os.rmdir
stat = vm_os.stat
statvfs = vm_os.statvfs

_Uname = namedtuple("", ("sysname", "nodename", "release", "version", "machine"))
_drawn = 0


def uname():
    number = ".".join(str(part) for part in vm_sys.implementation.version[:3])
    built = vm_sys.version.split("; MicroPython ")[1]
    return _Uname("esp32", "esp32", number, built, _emu_sys.machine())


def urandom(size):
    """The host's noise at wall clock; in virtual time a stream that the boot's seed begins."""
    global _drawn
    if size < 0:
        raise ValueError
    if not rpc.virtual:
        return vm_os.urandom(size)
    out = b""
    while len(out) < size:
        out += hashlib.sha256("{}:{}".format(rpc.waking()[2], _drawn).encode()).digest()
        _drawn += 1
    return out[:size]


def sync():
    pass


def dupterm(stream, index=0):
    raise RuntimeError("the emulator has no os.dupterm: the console is its serial port")
