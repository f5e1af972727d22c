"""The host's side of the zygote: start a VM, end a VM, learn that one has ended."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from pave_emulator.vm.warm import MAX_MESSAGE_BYTES

STOP_TIMEOUT_S = 5.0
LOOK_S = 0.002
MAX_CLONABLE = 256  # each is a process that waits, and two descriptors
GO = b"G"  # what a VM waits for before it begins


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
        self.let_go = False  # nobody listens to the channel any more


class ZygoteClient:
    """Starts the zygote process and speaks with it."""

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        """`on_lost(what)` is called if the zygote ends by itself."""
        self._on_lost = on_lost
        self._ids = itertools.count(1)
        self._running: dict[int, VmProcess] = {}
        self._clonable: set[int] = set()
        self._interrupts: dict[int, Callable[[bool], None]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._heard: deque[bytes] = deque()
        self._ready = select.poll()
        self._channel: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the zygote, None before start and after stop."""
        return self._process.pid if self._process else None

    @property
    def clones(self) -> bool:
        """Whether one more VM can be started that is clonable."""
        return len(self._clonable) < MAX_CLONABLE and not os.environ.get("PAVE_MICROPYTHON")

    @property
    def lives(self) -> bool:
        """False when it was not started, has been stopped or was lost: no VM will boot."""
        return self._channel is not None

    async def start(self) -> None:
        """Start the zygote, in a session of its own: Ctrl-C is for the host to answer."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "pave_emulator.vm.zygote", str(theirs.fileno()), str(os.getpid())]
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(  # noqa: ASYNC220  returns as soon as the fork is done
            command, pass_fds=[theirs.fileno()], start_new_session=True, env=environment
        )
        theirs.close()
        ours.setblocking(False)
        self._channel = ours
        self._ready.register(ours, select.POLLIN | select.POLLOUT)
        asyncio.get_running_loop().add_reader(ours, self._read_notices)

    def spawn(
        self,
        image_path: Path,
        heap_bytes: int,
        on_exit: Callable[[int], None],
        keyboard: int | None = None,
        clonable: bool = False,
        origin: VmProcess | None = None,
    ) -> VmProcess:
        """Boot a VM on a flash image with a heap of `heap_bytes`; `keyboard` is its input, closed here.

        One that is `clonable` can be the `origin` of others while it waits for an answer: they go on from there.
        """
        host_end, vm_end = socket.socketpair()
        host_end.setblocking(False)
        console_read, output = os.pipe()
        os.set_blocking(console_read, False)
        if keyboard is None:
            keyboard = os.open(os.devnull, os.O_RDONLY)
        process = VmProcess(next(self._ids), host_end, console_read, on_exit)
        if self.lives:
            self._running[process.vm_id] = process
            if clonable:
                self._clonable.add(process.vm_id)
        message: dict[str, object] = {"spawn": process.vm_id, "heap": heap_bytes, "image": str(image_path.absolute())}
        message |= {"clonable": clonable, "origin": origin.vm_id if origin else None}
        self._send(message, [vm_end.fileno(), output, keyboard])
        if origin is None:
            host_end.send(GO)
        vm_end.close()
        os.close(keyboard)
        os.close(output)
        return process

    def kill(self, process: VmProcess) -> None:
        """SIGKILL the VM and let go of its channel; `on_exit` follows. Harmless when it has ended."""
        process.let_go = True
        if process.vm_id in self._running:
            self._send({"kill": process.vm_id}, [])
        else:
            process.channel.close()

    def interrupt(self, process: VmProcess, answered: Callable[[bool], None]) -> None:
        """Ctrl-C: KeyboardInterrupt in what the VM runs. `answered` is told whether it ran anything that takes it."""
        if process.vm_id in self._running:
            self._interrupts[process.vm_id] = answered
            self._send({"interrupt": process.vm_id}, [])

    async def stop(self) -> None:
        """End every VM and the zygote; return when the processes are gone."""
        if self._channel is None or self._process is None:
            return
        for process in list(self._running.values()):
            self.kill(process)
        give_up_s = time.monotonic() + STOP_TIMEOUT_S
        while self._running and time.monotonic() < give_up_s:
            await asyncio.to_thread(time.sleep, LOOK_S)  # processes end in wall time, whatever the loop's
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        self._channel = self._process = None

    def _send(self, message: dict[str, object], fds: list[int]) -> None:
        if self._channel is None:
            return  # it has died: `on_lost` was told, and what ran has ended
        data = json.dumps(message).encode()
        while True:
            try:
                socket.send_fds(self._channel, [data], fds)
                return
            except (BrokenPipeError, ConnectionResetError):
                return  # it has died: reading its notices finds that out
            except BlockingIOError:  # it is busy forking, or waits until we take its notices
                self._ready.poll()
                self._collect()

    def _collect(self) -> None:
        """Make room for the zygote to speak; what it says is dealt with in the next turn of the loop."""
        assert self._channel is not None
        if not self._heard:
            asyncio.get_running_loop().call_soon(self._read_notices)
        try:
            self._heard.append(self._channel.recv(MAX_MESSAGE_BYTES))
        except (BlockingIOError, ConnectionResetError):
            pass

    def _read_notices(self) -> None:
        while self._channel is not None:
            try:
                data = self._heard.popleft() if self._heard else self._channel.recv(MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except ConnectionResetError:  # it was killed with requests of ours unread
                data = b""
            if not data:
                self._lost()
                return
            notice = json.loads(data)
            if "exit" in notice:
                self._exited(notice["exit"], notice["status"])
            elif answered := self._interrupts.pop(notice["interrupted"], None):
                answered(notice["caught"])

    def _exited(self, vm_id: int, status: int) -> None:
        process = self._running.pop(vm_id)
        self._clonable.discard(vm_id)
        self._interrupts.pop(vm_id, None)
        process.on_exit(status)
        if process.let_go:
            process.channel.close()

    def _lost(self) -> None:
        assert self._channel is not None
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        self._channel = None
        for vm_id in list(self._running):
            self._exited(vm_id, -1)
        self._on_lost("the zygote has died, and every VM with it; start the fleet again")
