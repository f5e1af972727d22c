"""What a VM runs first: put the shims in place, then do what the ESP32 port does at every boot.

Arguments: the channel's file descriptor, the path of the flash image. The shims are loaded here and the path to them
is taken away again, so that `sys.path` and the file system are the board's. The boot sequence is that of the release
(ports/esp32/main.c, modules/_boot.py, modules/inisetup.py): mount `vfs` at /, run boot.py, then main.py unless boot.py
raised; an exception ends at the REPL, SystemExit is a soft reset.
"""

import gc
import sys

# Built-in modules that the path cannot shadow have files of another name and are put in place through sys.modules.
SHIMS = (
    ("_emu_errno", "errno"),
    ("time", "time"),
    ("_emu_asyncio", "_asyncio"),
    ("select", "select"),
    ("socket", "socket"),
    ("network", "network"),
    ("machine", "machine"),
    ("esp32", "esp32"),
)

CORRUPTED = """\
The filesystem appears to be corrupted. If you had important data there, you
may want to make a flash snapshot to try to recover it. Otherwise, perform
factory reprogramming of MicroPython firmware (completely erase flash, followed
by firmware programming).
"""


def load_shims(fd, image_path):
    sys.path.insert(0, sys.argv[0].rsplit("/", 1)[0])
    import _emu_ops
    import _emu_rpc

    _emu_rpc.open_channel(fd)
    import binascii
    import json

    _emu_rpc.hello = json.loads(_emu_rpc.call(_emu_ops.HELLO))
    _emu_rpc.mac = binascii.unhexlify(_emu_rpc.hello["mac"])
    _emu_rpc.set_rtc_us(_emu_rpc.hello["rtc_us"])
    modules = [__import__(file) for file, _name in SHIMS]
    modules[-1]._image = open(image_path, "rb")
    # After the last shim: from here `import utime` finds what `import time` finds, as on the board.
    for (_file, name), module in zip(SHIMS, modules):
        sys.modules[name] = module
        sys.modules["u" + name] = module
    sys.path[:] = ["", ".frozen", "/lib"]
    return modules[-1]


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
        f.write("# This file is executed on every boot (including wake-boot from deepsleep)\n")


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

    print("MPY: soft reboot")
    machine.soft_reset()


def stay_at_repl():
    import _emu_ops
    import _emu_rpc

    print(">>> ")
    _emu_rpc.call(_emu_ops.IDLE)


def main():
    esp32 = load_shims(int(sys.argv[1]), sys.argv[2])
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")
    mount(found[0] if found else None)
    gc.collect()
    names = {"__name__": "__main__"}
    if run_file("boot.py", names):
        run_file("main.py", names)
    stay_at_repl()


main()
