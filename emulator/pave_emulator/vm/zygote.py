"""A small process with the MicroPython VM loaded, which forks one child per boot: a boot costs a fork, not a start.

Theory of operation. `python -m pave_emulator.vm.zygote FD` serves the SOCK_SEQPACKET socket FD. Requests and notices
are JSON datagrams:

    {"spawn": id, "argv": [...]}   with two descriptors: the VM's channel, its console (stdout and stderr)
    {"kill": id}                   SIGKILL, if it still runs
    <- {"exit": id, "status": s}   once per spawn; s as in waitpid

In argv, "{fd}" stands for the channel's number. Nothing may outlive the host, not even after SIGKILL: the kernel
kills the zygote when its parent goes and each child when the zygote goes (PR_SET_PDEATHSIG); the end of the channel
ends the zygote too.
"""

from __future__ import annotations

import array
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys

MAX_MESSAGE_BYTES = 16384
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; end now if it has ended already."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


class Zygote:
    """The loop: requests in, children out, exits told."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._ids_by_pid: dict[int, int] = {}
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._wake_write = wake_write

    def run(self) -> None:
        """Serve until the host closes the channel, then take every child along."""
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        while True:
            for fd, _event in poller.poll():
                if fd == self._wake_read:
                    os.read(self._wake_read, 4096)
                elif not self._serve_one():
                    self._kill_all()
                    return
            self._reap()

    def _serve_one(self) -> bool:
        message, fds, _flags, _address = socket.recv_fds(self._channel, MAX_MESSAGE_BYTES, 2)
        if not message:
            return False
        request = json.loads(message)
        if "spawn" in request:
            self._spawn(request["spawn"], request["argv"], fds)
        else:
            self._kill(request["kill"])
        return True

    def _spawn(self, vm_id: int, argv: list[str], fds: array.array | list[int]) -> None:
        channel_fd, console_fd = fds
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._become_vm(argv, channel_fd, console_fd, zygote_pid)
            finally:
                os._exit(127)
        self._ids_by_pid[pid] = vm_id
        os.close(channel_fd)
        os.close(console_fd)

    def _become_vm(self, argv: list[str], channel_fd: int, console_fd: int, zygote_pid: int) -> None:
        die_with_parent(zygote_pid)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(console_fd, 1)
        os.dup2(console_fd, 2)
        for fd in (console_fd, self._channel.fileno(), self._wake_read, self._wake_write):
            os.close(fd)
        os.set_inheritable(channel_fd, True)
        run_micropython([word.replace("{fd}", str(channel_fd)) for word in argv])

    def _kill(self, vm_id: int) -> None:
        for pid, known in self._ids_by_pid.items():
            if known == vm_id:
                os.kill(pid, signal.SIGKILL)

    def _kill_all(self) -> None:
        for pid in self._ids_by_pid:
            os.kill(pid, signal.SIGKILL)
        for pid in self._ids_by_pid:
            os.waitpid(pid, 0)

    def _reap(self) -> None:
        while self._ids_by_pid:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            notice = {"exit": self._ids_by_pid.pop(pid), "status": status}
            self._channel.send(json.dumps(notice).encode())


def run_micropython(argv: list[str]) -> None:
    """Be MicroPython from here on: the loaded one, or the binary that $PAVE_MICROPYTHON names."""
    binary = os.environ.get("PAVE_MICROPYTHON")
    if binary:
        os.execv(binary, [binary, *argv[1:]])
    import micropython_run  # type: ignore[import-not-found]

    os._exit(micropython_run.run_main(argv) & 0xFF)


def main() -> None:
    """Run as the child of the process whose pid is the second argument, on the socket in the first."""
    channel_fd, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent_pid)
    if not os.environ.get("PAVE_MICROPYTHON"):
        import micropython_run  # type: ignore[import-not-found] # noqa: F401  loaded once, here
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    gc.freeze()
    try:
        Zygote(socket.socket(fileno=channel_fd)).run()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the host went in mid-sentence; the children follow through PR_SET_PDEATHSIG


if __name__ == "__main__":
    main()
