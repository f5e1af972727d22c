"""Put the shims in place, then do what the ESP32 port does at every boot.

The shims are loaded before the host lets the boot begin (see `vm.warm`) and the path to them is taken away again, so
that `sys.path` and the file system are the board's. The boot sequence is that of the release (ports/esp32/main.c,
modules/_boot.py, modules/inisetup.py): mount `vfs` at /, run boot.py, then main.py unless boot.py raised; an exception
ends at the REPL, SystemExit is a soft reset.
"""

import gc
import sys

from _emu_absent import Absent

# Built-in modules that the path cannot shadow have files of another name and are put in place through sys.modules.
SHIMS = (
    ("_emu_errno", "errno"),
    ("time", "time"),
    ("_emu_asyncio", "_asyncio"),
    ("_emu_sys", "sys"),
    ("_emu_vfs", "vfs"),
    ("_emu_os", "os"),
    ("_emu_gc", "gc"),
    ("_emu_micropython", "micropython"),
    ("_emu_random", "random"),
    ("_emu_hashlib", "hashlib"),
    ("_emu_cryptolib", "cryptolib"),
    ("_emu_thread", "_thread"),
    ("select", "select"),
    ("socket", "socket"),
    ("network", "network"),
    ("machine", "machine"),
    ("esp32", "esp32"),
)

BOOT_PY = """\
# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
#import webrepl
#webrepl.start()
"""

ABSENT = ("termios", "argparse")  # what the host's VM has more

CORRUPTED = """\
The filesystem appears to be corrupted. If you had important data there, you
may want to make a flash snapshot to try to recover it. Otherwise, perform
factory reprogramming of MicroPython firmware (completely erase flash, followed
by firmware programming).
"""


def load_shims(fd, warm):
    """Load every shim, then open the channel and wait for the host."""
    import binascii
    import json

    import _emu_heap
    import _emu_rpc

    modules = [__import__(file) for file, _name in SHIMS]
    _emu_heap.limit_largest_block()
    _emu_rpc.open_channel(fd, warm)
    return modules, json, binascii


def take_up(modules, json, binascii, image_fd, mapped_at):
    """The boot begins: learn of the host what this device is, and be it."""
    import _emu_ops
    import _emu_rpc

    hello = _emu_rpc.hello = json.loads(_emu_rpc.call(_emu_ops.HELLO))
    _emu_rpc.mac = binascii.unhexlify(hello["mac"])
    _emu_rpc.begin(hello)
    esp32 = modules[-1]
    esp32._open_image(image_fd, mapped_at, hello["image_bytes"])
    # After the last shim: from here `import utime` finds what `import time` finds, as on the board.
    for (_file, name), module in zip(SHIMS, modules):
        module.__name__ = name
        if hasattr(module, "_take_up"):
            module._take_up()
        sys.modules[name] = module
        sys.modules["u" + name] = module
    for name in ABSENT:
        sys.modules[name] = sys.modules["u" + name] = Absent(name)
    sys.path[:] = ["", ".frozen", "/lib"]
    _emu_rpc.settle()
    return esp32


def mount(partition):
    import vfs

    vfs.umount("/")
    try:
        if partition:
            vfs.mount(partition, "/")
    except OSError:
        set_up(partition)


def set_up(partition):
    """First boot: an empty first sector gets a file system, anything else is a brick."""
    import vfs

    sector = bytearray(partition.ioctl(5, 0))
    partition.readblocks(0, sector)
    if sector.count(b"\xff") != len(sector):
        stay_corrupted()
    print("Performing initial setup")
    vfs.VfsLfs2.mkfs(partition)
    vfs.mount(vfs.VfsLfs2(partition), "/")
    with open("boot.py", "w") as f:
        f.write(BOOT_PY)


def stay_corrupted():
    import time

    while True:
        print(CORRUPTED)
        time.sleep(3)


def run_file(path, names):
    """Run a file if it exists; False if it raised. SystemExit resets, as on the board."""
    import os

    try:
        os.stat(path)
    except OSError:
        return True
    try:
        execfile(path, names)  # noqa: F821  MicroPython has it
    except SystemExit:
        soft_reset()
    except BaseException as error:
        sys.print_exception(error)
        return False
    return True


def soft_reset():
    import machine

    machine.soft_reset()


def stay_at_repl():
    """Leave the rest to the VM's own REPL where there is a terminal."""
    import _emu_ops
    import _emu_rpc

    if _emu_rpc.hello["terminal"]:
        _emu_rpc.call(_emu_ops.REPL)
    else:
        print(">>> ")
        _emu_rpc.call(_emu_ops.IDLE)


def boot(names):
    """Boot; boot.py and main.py run with these globals, which are the REPL's."""
    mapped_at = int(sys.argv[3])
    esp32 = take_up(*load_shims(int(sys.argv[1]), mapped_at > 0), int(sys.argv[2]), mapped_at)
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")
    mount(found[0] if found else None)
    gc.collect()
    runs_main = run_file("boot.py", names)
    import _emu_rpc

    if runs_main and _emu_rpc.hello["runs_main"]:
        run_file("main.py", names)
    stay_at_repl()
