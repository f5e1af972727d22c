"""The host's side of the zygote: start a VM, end a VM, learn that one has ended."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pave_emulator.vm.zygote import MAX_MESSAGE_BYTES

SHIMS_DIR = Path(__file__).parent / "shims"
BOOT_SCRIPT = SHIMS_DIR / "_emu_boot.py"
STOP_TIMEOUT_S = 5.0


class VmProcess:
    """One boot of one device: its channel and its console, until it exits.

    `channel` is the host's end of the socket pair, non-blocking; `console_fd` the read end of the VM's stdout.
    `on_exit(status)` is called once, with the status of waitpid.
    """

    def __init__(self, vm_id: int, channel: socket.socket, console_fd: int, on_exit: Callable[[int], None]) -> None:
        self.vm_id = vm_id
        self.channel = channel
        self.console_fd = console_fd
        self.on_exit = on_exit


class ZygoteClient:
    """Starts the zygote process and speaks with it."""

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        """`on_lost(what)` is called if the zygote ends by itself."""
        self._on_lost = on_lost
        self._ids = itertools.count(1)
        self._running: dict[int, VmProcess] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._idle = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Process id of the zygote, None before start and after stop."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the zygote, in a session of its own: Ctrl-C is for the host to answer."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "pave_emulator.vm.zygote", str(theirs.fileno()), str(os.getpid())]
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path}
        self._process = subprocess.Popen(  # noqa: ASYNC220  returns as soon as the fork is done
            command, pass_fds=[theirs.fileno()], start_new_session=True, env=environment
        )
        theirs.close()
        ours.setblocking(False)
        self._channel = ours
        asyncio.get_running_loop().add_reader(ours, self._read_notices)

    def spawn(self, image_path: Path, heap_bytes: int, on_exit: Callable[[int], None]) -> VmProcess:
        """Boot a VM on a flash image with a heap of `heap_bytes`."""
        host_end, vm_end = socket.socketpair()
        console_read, console_write = os.pipe()
        host_end.setblocking(False)
        os.set_blocking(console_read, False)
        process = VmProcess(next(self._ids), host_end, console_read, on_exit)
        heap = f"heapsize={heap_bytes}"
        argv = ["micropython", "-X", heap, str(BOOT_SCRIPT), "{fd}", str(image_path.absolute())]
        self._running[process.vm_id] = process
        self._send({"spawn": process.vm_id, "argv": argv}, [vm_end.fileno(), console_write])
        vm_end.close()
        os.close(console_write)
        return process

    def kill(self, process: VmProcess) -> None:
        """SIGKILL the VM; `on_exit` follows. Harmless when it has ended."""
        if process.vm_id in self._running:
            self._send({"kill": process.vm_id}, [])

    async def stop(self) -> None:
        """End every VM and the zygote; return when the processes are gone."""
        if self._channel is None or self._process is None:
            return
        for process in list(self._running.values()):
            self.kill(process)
        while self._running:
            self._idle.clear()
            await asyncio.wait_for(self._idle.wait(), STOP_TIMEOUT_S)
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        self._channel = self._process = None

    def _send(self, message: dict[str, object], fds: list[int]) -> None:
        if self._channel is None:
            return  # it has died: `on_lost` was told, and what ran has ended
        data = json.dumps(message).encode()
        self._channel.setblocking(True)  # a full queue means the zygote is busy forking: wait for it
        if fds:
            socket.send_fds(self._channel, [data], fds)
        else:
            self._channel.send(data)
        self._channel.setblocking(False)

    def _read_notices(self) -> None:
        assert self._channel is not None
        while True:
            try:
                data = self._channel.recv(MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except ConnectionResetError:  # it was killed with requests of ours unread
                data = b""
            if not data:
                self._lost()
                return
            notice = json.loads(data)
            self._exited(notice["exit"], notice["status"])

    def _exited(self, vm_id: int, status: int) -> None:
        process = self._running.pop(vm_id)
        if not self._running:
            self._idle.set()
        process.on_exit(status)
        process.channel.close()

    def _lost(self) -> None:
        assert self._channel is not None
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._channel = None
        for vm_id in list(self._running):
            self._exited(vm_id, -1)
        self._on_lost("the zygote has died, and every VM with it; start the fleet again")
