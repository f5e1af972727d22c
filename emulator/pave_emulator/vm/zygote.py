"""Processes that stand ready to be a device: a boot costs a fork of a MicroPython VM that has loaded its shims.

Theory of operation. `python -m pave_emulator.vm.zygote FD PID` serves the SOCK_SEQPACKET socket FD. Requests and
notices are JSON datagrams:

    {"spawn": id, "heap": bytes, "image": path, "clonable": bool, "origin": id}
                                                  with descriptors: the VM's channel, its console, its input
    {"kill": id}                                  SIGKILL, if it still runs
    {"interrupt": id}                             SIGINT, which is Ctrl-C on the console, if the VM catches it now
    <- {"interrupted": id, "caught": bool}        the answer to it, while the VM runs
    <- {"exit": id, "status": s}                  once per spawn; s as in waitpid

For each heap size there is one warm process (`vm.warm`): it has run `_emu_boot.py` as far as the first byte of its
channel. Asked for a boot it clones itself, as a child of this process; so does a VM that was spawned as clonable, the
"origin", while it waits for an answer (`vm.checkpoint`). Nothing may outlive the host, not even after
SIGKILL: the kernel kills the zygote when its parent goes and each child when the zygote goes (PR_SET_PDEATHSIG); the
end of the channel ends the zygote too.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from pave_emulator.vm.warm import MAX_MESSAGE_BYTES, Clonable, Clone, Warm, die_with_parent, fix_addresses, run_cold

DESCRIPTORS = 3


class Zygote:
    """The loop: requests in, children out, exits told."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._ids_by_pid: dict[int, int] = {}
        self._warm: dict[int, Warm] = {}
        self._clonable: dict[int, Clonable] = {}
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

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
        message, fds, _flags, _address = socket.recv_fds(self._channel, MAX_MESSAGE_BYTES, DESCRIPTORS)
        if not message:
            return False
        request = json.loads(message)
        if "spawn" in request:
            self._spawn(request, list(fds))
        elif "kill" in request:
            self._signal(request["kill"], signal.SIGKILL)
        else:
            self._interrupt(request["interrupt"])
        return True

    def _spawn(self, request: dict[str, Any], fds: list[int]) -> None:
        vm_id = request["spawn"]
        if os.environ.get("PAVE_MICROPYTHON"):
            pid = run_cold(request["heap"], request["image"], fds)
        elif request["clonable"]:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            fds.append(theirs.detach())
            pid = self._origin(request).clone(request["image"], fds)
            self._clonable[vm_id] = Clone(ours, pid)
        else:
            pid = self._origin(request).clone(request["image"], fds)
        self._ids_by_pid[pid] = vm_id
        for fd in fds:
            os.close(fd)

    def _origin(self, request: dict[str, Any]) -> Clonable:
        if request["origin"] is not None:
            return self._clonable[request["origin"]]
        heap_bytes = request["heap"]
        if heap_bytes not in self._warm:
            self._warm[heap_bytes] = Warm(heap_bytes)
        return self._warm[heap_bytes]

    def _interrupt(self, vm_id: int) -> None:
        """A VM that reads a line at its prompt does not catch SIGINT, and would end."""
        for pid, known in self._ids_by_pid.items():
            if known == vm_id:
                caught = _catches(pid, signal.SIGINT)
                if caught:
                    os.kill(pid, signal.SIGINT)
                self._channel.send(json.dumps({"interrupted": vm_id, "caught": caught}).encode())

    def _signal(self, vm_id: int, number: signal.Signals) -> None:
        for pid, known in self._ids_by_pid.items():
            if known == vm_id:
                os.kill(pid, number)

    def _kill_all(self) -> None:
        pids = [*self._ids_by_pid, *(warm.pid for warm in self._warm.values())]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)

    def _reap(self) -> None:
        while self._ids_by_pid:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid not in self._ids_by_pid:
                raise SystemExit("a warm process has ended: no device can boot any more")
            vm_id = self._ids_by_pid.pop(pid)
            if vm_id in self._clonable:
                self._clonable.pop(vm_id).close()
            notice = {"exit": vm_id, "status": status}
            self._channel.send(json.dumps(notice).encode())


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal (proc(5), status, SigCgt)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> number - 1 & 1)
    return False


def main() -> None:
    """Run as the child of the process whose pid is the second argument, on the socket in the first."""
    channel_fd, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent_pid)
    fix_addresses()
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
