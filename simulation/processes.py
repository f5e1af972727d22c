"""Child processes that never outlive their parent, and never see its Ctrl-C before it does."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


class StartError(Exception):
    """A process did not come up; the message says what it said last."""


class Child:
    """A running process; its output goes to a log file, or where the parent's goes."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log_path: Path | None) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._log_path = log_path

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    def last_words(self) -> str:
        """Return the last lines of its log."""
        if self._log_path is None:
            return ""
        return "\n".join(self._log_path.read_text(errors="replace").splitlines()[-8:])

    async def wait_for_line(self, start: str, timeout_s: float, skip_bytes: int = 0) -> str:
        """Return the first line of its log, after `skip_bytes` of it, that begins with `start`.

        Raises:
            StartError: it ended, or `timeout_s` passed without that line.
        """
        assert self._log_path is not None
        for _ in range(int(timeout_s / 0.05)):
            for line in self._log_path.read_bytes()[skip_bytes:].decode(errors="replace").splitlines():
                if line.startswith(start):
                    return line
            if not self.running:
                break
            await asyncio.sleep(0.05)
        raise StartError(f"{self.name} did not come up; it said:\n{self.last_words()}")

    async def wait_for_port(self, port: int, timeout_s: float) -> None:
        """Return once 127.0.0.1:`port` (TCP) accepts connections; raises `StartError` as `wait_for_line`."""
        for _ in range(int(timeout_s / 0.05)):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            if not self.running:
                break
            await asyncio.sleep(0.05)
        raise StartError(f"{self.name} does not listen on port {port}; it said:\n{self.last_words()}")

    async def wait_for_file(self, path: Path, timeout_s: float) -> None:
        """Return once `path` exists; raises `StartError` as `wait_for_line`."""
        for _ in range(int(timeout_s / 0.05)):
            if await asyncio.to_thread(path.exists):
                return
            if not self.running:
                break
            await asyncio.sleep(0.05)
        raise StartError(f"{self.name} did not get ready; it said:\n{self.last_words()}")

    def on_exit(self, callback: Callable[[Child, int], None]) -> None:
        """Have `callback(child, status)` called when it ends."""

        async def wait() -> None:
            callback(self, await self._process.wait())

        self._watching = asyncio.create_task(wait())

    async def stop(self, number: int = signal.SIGTERM, timeout_s: float = 10) -> int:
        """Ask it to end; after `timeout_s` make it. Return its status."""
        if self.running:
            self._process.send_signal(number)
        try:
            return await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            await self.kill()
            return -signal.SIGKILL

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.running:
            self._process.kill()
        await self._process.wait()


async def start(
    name: str, command: Sequence[str], log_path: Path | None, environment: Mapping[str, str] | None = None
) -> Child:
    """Start `command`; its output is appended to `log_path`, or shown when that is None."""
    output = log_path.open("ab") if log_path else None
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            process_group=0,
            preexec_fn=end_with_parent,
        )
    finally:
        if output:
            output.close()
    return Child(name, process, log_path)


def memory_bytes() -> int:
    """Return the proportional set size of this process and all below it (shared pages are counted once)."""
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(OSError, psutil.NoSuchProcess, ValueError):
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
