"""A device's console: what the VM prints, and what the emulator has to say about it, in one log file."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

MAX_LINE_BYTES = 4096
PIPE_BYTES = 65536  # pipe(7): what a VM can have printed before somebody reads
MAX_UNREAD_BYTES = 1 << 20  # printed between two calls; a VM that prints more waits, and is taken for dead
BANNER = re.compile(rb"(MicroPython \S+ on [\d-]+; )linux \[[^]\n]*\] version")  # the host's VM names its own machine
UNFINISHED_BANNER = re.compile(rb"MicroPython \S+ on [\d-]+[^\n]{0,64}\Z")  # it is written in pieces

Subscriber = Callable[[str, str], None]
"""(device, line without its end); lines of the emulator itself begin with "[emu] "."""


class Console:
    """Reads the pipe of one boot after the other; splits into lines, writes the log, tells subscribers.

    In the REPL's banner stands `machine`, as on the board.
    """

    def __init__(self, device: str, log_path: Path, machine: str) -> None:
        self._device = device
        self._banner = rb"\g<1>" + machine.encode()
        self._log = log_path.open("ab", buffering=0)
        self._partial = b""
        self._untold = b""
        self._fd: int | None = None
        self._watch = True
        self._unread = bytearray()
        self._ignored = False
        self.subscribers: list[Subscriber] = []
        self.heard_bytes = 0
        """What VMs have printed, of all boots."""
        self.tap: Callable[[bytes], None] | None = None
        """Called with what the VM prints, as it comes."""

    def attach(self, fd: int, watch: bool = True) -> None:
        """Read the pipe `fd` until it ends: when something comes, or (not `watch`) whenever `drain` is called."""
        self.detach()
        self._fd = fd
        self._watch = watch
        self._ignored = False
        if watch:
            asyncio.get_running_loop().add_reader(fd, self._readable)

    def detach(self) -> None:
        """Read what is left in the pipe and let go of it."""
        if self._fd is None:
            return
        self.drain()
        if self._watch:
            asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = None
        if self._partial:
            self._line(self._partial)
            self._partial = b""

    def drain(self) -> None:
        """Take everything the VM has printed so far, and not what it prints meanwhile."""
        if self._unread:
            unread, self._unread = bytes(self._unread), bytearray()
            self.printed(unread)
        room = PIPE_BYTES
        while room > 0 and self._fd is not None and not self._ignored:
            taken = self._read_some(room)
            room = room - taken if taken else 0

    def absorb(self) -> None:
        """Make room in the pipe; what was in it is said with the next `drain`."""
        while self._fd is not None and len(self._unread) < MAX_UNREAD_BYTES:
            try:
                data = os.read(self._fd, min(PIPE_BYTES, MAX_UNREAD_BYTES - len(self._unread)))
            except BlockingIOError:
                return
            if not data:
                return
            self._unread += data

    def ignore(self) -> None:
        """Read no more of this boot than what was absorbed: how much there is depends on the machine."""
        self._ignored = True

    def printed(self, data: bytes) -> None:
        """What the VM, or the port around it, has printed."""
        self.heard_bytes += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._line(self._cut(BANNER.sub(self._banner, line)))
        self._partial = self._cut(self._partial)
        if self.tap:
            self.tap(self._tapped(data))

    def _tapped(self, data: bytes) -> bytes:
        """What whoever listens is told now: a banner only when it is whole."""
        data = self._untold + data
        cut = UNFINISHED_BANNER.search(data)
        whole = data if cut is None else data[: cut.start()]
        self._untold = data[len(whole) :]
        return BANNER.sub(self._banner, whole)

    def say(self, message: str) -> None:
        """A line of the emulator's own, after what the VM has printed so far."""
        self.drain()
        self._line(b"[emu] " + message.encode())

    def close(self) -> None:
        """Close the log."""
        self.detach()
        self._log.close()

    def _cut(self, line: bytes) -> bytes:
        """Say what is too long for one line in pieces; return the rest."""
        at = 0
        while len(line) - at > MAX_LINE_BYTES:
            self._line(line[at : at + MAX_LINE_BYTES])
            at += MAX_LINE_BYTES
        return line[at:]

    def _readable(self) -> None:
        self._read_some(PIPE_BYTES)

    def _read_some(self, size: int) -> int:
        """Bytes read; 0 when there are none."""
        assert self._fd is not None
        try:
            data = os.read(self._fd, size)
        except BlockingIOError:
            return 0
        if not data:
            if self._watch:
                asyncio.get_running_loop().remove_reader(self._fd)
            return 0
        self.printed(data)
        return len(data)

    def _line(self, line: bytes) -> None:
        if not self._log.closed:
            try:
                self._log.write(line + b"\n")
            except OSError as error:  # a full disk is no reason to stop, and no part of what the device says
                logging.getLogger(__name__).error("%s: %s: nothing more is logged", self._log.name, error.strerror)
                self._log.close()
        text = line.decode("utf-8", "replace").rstrip("\r")
        for subscriber in self.subscribers:
            subscriber(self._device, text)
