"""A device's console: what the VM prints, and what the emulator has to say about it, in one log file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

MAX_LINE_BYTES = 4096

Subscriber = Callable[[str, str], None]
"""(device, line without its end); lines of the emulator itself begin with "[emu] "."""


class Console:
    """Reads the pipe of one boot after the other; splits into lines, writes the log, tells subscribers."""

    def __init__(self, device: str, log_path: Path) -> None:
        self._device = device
        self._log = log_path.open("ab", buffering=0)
        self._partial = b""
        self._fd: int | None = None
        self._watch = True
        self.subscribers: list[Subscriber] = []
        self.tap: Callable[[bytes], None] | None = None
        """Called with what the VM prints, as it comes."""

    def attach(self, fd: int, watch: bool = True) -> None:
        """Read the pipe `fd` until it ends: when something comes, or (not `watch`) whenever `drain` is called."""
        self.detach()
        self._fd = fd
        self._watch = watch
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
        """Take everything the VM has printed so far."""
        while self._fd is not None and self._read_some():
            pass

    def printed(self, data: bytes) -> None:
        """What the VM, or the port around it, has printed."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._partial) > MAX_LINE_BYTES:
            self._line(self._partial)
            self._partial = b""
        if self.tap:
            self.tap(data)

    def say(self, message: str) -> None:
        """A line of the emulator's own, after what the VM has printed so far."""
        self.drain()
        self._line(b"[emu] " + message.encode())

    def close(self) -> None:
        """Close the log."""
        self.detach()
        self._log.close()

    def _readable(self) -> None:
        self._read_some()

    def _read_some(self) -> bool:
        assert self._fd is not None
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return False
        if not data:
            if self._watch:
                asyncio.get_running_loop().remove_reader(self._fd)
            return False
        self.printed(data)
        return True

    def _line(self, line: bytes) -> None:
        self._log.write(line + b"\n")
        text = line.decode("utf-8", "replace").rstrip("\r")
        for subscriber in self.subscribers:
            subscriber(self._device, text)
