"""`sys` as on an ESP32-S3. What is a matter of the VM (path, modules, streams, version) is the VM's own."""

import sys as vm_sys
from collections import namedtuple

import _emu_rpc as rpc

platform = "esp32"
maxsize = 0x7FFFFFFF
argv = []
byteorder = vm_sys.byteorder
exit = vm_sys.exit
modules = vm_sys.modules
path = vm_sys.path
print_exception = vm_sys.print_exception
ps1 = ">>> "
ps2 = "... "
stdin = vm_sys.stdin
stdout = vm_sys.stdout
stderr = vm_sys.stderr
version = vm_sys.version
version_info = vm_sys.version_info

BOARD = "Generic ESP32S3 module"  # ports/esp32/boards/ESP32_GENERIC_S3/mpconfigboard.h
_MPY = 6 | 3 << 8 | 10 << 10  # version 6.3, native code for Xtensa with windows (py/persistentcode.h)


def machine():
    """What the banner and os.uname() call the board."""
    return "{} {}with ESP32S3".format(BOARD, "with Octal-SPIRAM " if rpc.hello["psram"] else "")


def _take_up():
    global implementation
    fields = namedtuple("", ("name", "version", "_machine", "_mpy", "_build", "_thread"))
    build = "ESP32_GENERIC_S3-SPIRAM_OCT" if rpc.hello["psram"] else "ESP32_GENERIC_S3"
    implementation = fields("micropython", vm_sys.implementation.version, machine(), _MPY, build, "GIL")
