"""A MicroPython VM at the door of its first boot, which clones itself when asked.

Theory of operation. The VM is a C library in a Python process. A warm process calls it and never gets the call back:
the VM runs `_emu_boot.py`, loads every shim, says "ready" on its channel and blocks in read(2), waiting for a byte.
SIGUSR1 interrupts that read. The handler, a C function pointer made by ctypes, takes what is to be cloned from a
socket and calls clone(2) with CLONE_PARENT, so that the new process is the zygote's child and not ours. In the clone
it puts the new channel and console in the place of the old, maps the flash image into memory (a block read is then a
copy) and returns into the interrupted read(2), which goes on with the new channel. In the warm process it returns to
wait for the next. One clone at a time, and only ever at that one system call.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path

MAX_MESSAGE_BYTES = 16384
CHANNEL_FD, IMAGE_FD = 100, 101  # where a VM finds its channel and its flash image
IMAGE_ADDRESS = 0x600000000000  # where the image is mapped

SHIMS_DIR = Path(__file__).parent / "shims"
BOOT_SCRIPT = "./_emu_boot.py"  # from SHIMS_DIR: tracebacks name no folder of this machine
PR_SET_PDEATHSIG = 1
SYS_CLONE = {"x86_64": 56, "aarch64": 220}
CLONE_PARENT = 0x8000
ADDR_NO_RANDOMIZE, ASK_PERSONALITY = 0x0040000, 0xFFFFFFFF  # personality(2)
PROT_READ, MAP_SHARED, MAP_FIXED = 1, 0x01, 0x10

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int)


class _SigAction(ctypes.Structure):
    _fields_ = (  # as glibc has it on 64-bit Linux
        ("handler", _Handler),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; end now if it has ended already."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def fix_addresses() -> None:
    """Start this program again with addresses that are the same in every run, where the kernel lets us.

    The order of objects in a MicroPython set, and what a conservative collection keeps, depend on where the heap lies.
    """
    now = _libc.personality(ASK_PERSONALITY)
    if now & ADDR_NO_RANDOMIZE or _libc.personality(now | ADDR_NO_RANDOMIZE) < 0:
        return
    if _libc.personality(ASK_PERSONALITY) & ADDR_NO_RANDOMIZE:
        os.execv(sys.executable, sys.orig_argv)


class Clonable:
    """The zygote's end of a process whose VM waits in read(2) and can be cloned there."""

    def __init__(self, orders: socket.socket, pid: int) -> None:
        self._orders = orders
        self.pid = pid

    def clone(self, image: str, fds: list[int]) -> int:
        """Boot on the flash image at this path; `fds` are channel, console, input, and the clone's own orders, if any.

        Return the process id.
        """
        socket.send_fds(self._orders, [json.dumps(image).encode()], fds)
        os.kill(self.pid, signal.SIGUSR1)
        return int(self._orders.recv(MAX_MESSAGE_BYTES))

    def close(self) -> None:
        """The process has ended."""
        self._orders.close()


class Clone(Clonable):
    """A VM in the middle of its boot. It has made a call, and is on its way into read(2) or there."""

    def clone(self, image: str, fds: list[int]) -> int:
        """As above, once it waits."""
        stat = Path(f"/proc/{self.pid}/stat")
        while stat.read_bytes().rsplit(b")", 1)[1].split()[0] != b"S":  # proc(5): sleeping
            os.sched_yield()
        return super().clone(image, fds)


class Warm(Clonable):
    """A VM that stands ready for its first boot."""

    def __init__(self, heap_bytes: int) -> None:
        """Start it and wait until it is ready."""
        orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ready, channel = socket.socketpair()
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                _be_warm(theirs, channel, heap_bytes, zygote_pid)
            finally:
                os._exit(127)
        theirs.close()
        channel.close()
        if not ready.recv(1):
            raise SystemExit("the MicroPython VM ended before its first boot")
        self._ready = ready  # its end keeps the warm process's read from ending
        super().__init__(orders, pid)


def run_cold(heap_bytes: int, image: str, fds: list[int]) -> int:
    """Start the MicroPython binary that $PAVE_MICROPYTHON names for one boot; return the process id."""
    zygote_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _settle(fds, zygote_pid)
            _open_image(image)
            os.chdir(SHIMS_DIR)
            binary = os.environ["PAVE_MICROPYTHON"]
            os.execv(binary, [binary, *_arguments(heap_bytes, 0)])
        finally:
            os._exit(127)
    return pid


def _arguments(heap_bytes: int, mapped_at: int) -> list[str]:
    # -i: what the boot script leaves behind is the VM's own REPL.
    return ["-i", "-X", f"heapsize={heap_bytes}", BOOT_SCRIPT, str(CHANNEL_FD), str(IMAGE_FD), str(mapped_at)]


def _settle(fds: list[int], zygote_pid: int) -> None:
    """Put channel, console and input where a VM looks for them."""
    die_with_parent(zygote_pid)
    channel, console, keyboard = fds
    os.dup2(channel, CHANNEL_FD)
    os.dup2(keyboard, 0)
    os.dup2(console, 1)
    os.dup2(console, 2)
    for fd in fds:
        os.close(fd)


def _be_warm(orders: socket.socket, channel: socket.socket, heap_bytes: int, zygote_pid: int) -> None:
    import micropython_run  # type: ignore[import-not-found]

    die_with_parent(zygote_pid)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(channel.fileno(), CHANNEL_FD)
    _close_others((orders.fileno(), CHANNEL_FD))
    clone = SYS_CLONE[os.uname().machine]

    def on_order(_number: int) -> None:
        nonlocal orders
        message, fds, _flags, _address = socket.recv_fds(orders, MAX_MESSAGE_BYTES, 4)
        pid = _libc.syscall(clone, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
        if pid:
            for fd in fds:
                os.close(fd)
            orders.send(str(pid).encode())
            return
        orders.close()
        if len(fds) > 3:
            orders = socket.socket(fileno=fds[3])
        _settle(list(fds[:3]), zygote_pid)
        _map(json.loads(message))

    handler = _SigAction(_Handler(on_order), (ctypes.c_ulong * 16)(), 0, None)
    _libc.sigaction(signal.SIGUSR1, ctypes.byref(handler), None)
    os.chdir(SHIMS_DIR)
    os._exit(micropython_run.run_main(["micropython", *_arguments(heap_bytes, IMAGE_ADDRESS)]) & 0xFF)


def _close_others(kept: tuple[int, ...]) -> None:
    """Let go of all but these and 0 to 2: the zygote had open the channel of the VM it starts, whose end must show."""
    last = 2
    for fd in sorted(kept):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))


def _open_image(image: str) -> int:
    """Put the file where a VM looks for it; return its size. A VM never learns its name, so nothing depends on it."""
    fd = os.open(image, os.O_RDONLY)
    os.dup2(fd, IMAGE_FD)
    os.close(fd)
    return os.fstat(IMAGE_FD).st_size


def _map(image: str) -> None:
    """Map the file at IMAGE_ADDRESS, where nothing else lies; a VM is told the size by its host."""
    try:
        size = _open_image(image)
    except OSError:
        os._exit(126)
    if _libc.mmap(IMAGE_ADDRESS, size, PROT_READ, MAP_SHARED | MAP_FIXED, IMAGE_FD, 0) != IMAGE_ADDRESS:
        os._exit(126)
