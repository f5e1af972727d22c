"""The servers under measurement, each a process of its own, and the load client, on cores that are said.

A server has SERVER_CORE with all its threads, the client has CLIENT_CORE. With two cores for a server, the thread that
serves stays where it was and the others (ours has one: the journal's writer) may use both. Every server is started,
asked and ended in the same way; what differs is in SERVERS.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks._emulator_usage import memory_bytes
from benchmarks._ingest_client import Result, Step
from benchmarks._ingest_ready import READY
from simulation.processes import end_with_parent

ROOT = Path(__file__).parent.parent
CLIENT_CORE = 1
SERVER_CORE = 0
GATEWAY = "gateway"
LEAN = "lean"
LEAN_READING = "lean-reading"
AIOCOAP_OSCORE = ("aiocoap-oscore-10", "aiocoap-oscore-1000")
START_TIMEOUT_S = 120.0
RECEIVE_BYTES = 4 << 20
_PIDFD_GETFD = 438  # pidfd_getfd(2), on every architecture
_libc = ctypes.CDLL(None, use_errno=True)
_TICKS = os.sysconf("SC_CLK_TCK")

Command = Callable[[int, Path], list[str]]


@dataclass(frozen=True)
class Kind:
    """A server that can be measured.

    Attributes:
        label: For the table.
        command: From a port and a folder of its own.
        sealed: Speaks OSCORE.
        devices: How many speak to it.
        addresses: How many they have.
        says_ready: Prints READY; one that does not is asked until it answers.
    """

    label: str
    command: Command
    sealed: bool
    devices: int
    addresses: int
    says_ready: bool = True


def gateway(devices: int) -> Command:
    """Return the command of our gateway, with its journal in the folder."""
    return lambda port, folder: _python("gateway", devices, port, "--journal", folder / "journal.db")


def _python(module: str, devices: int, port: int, *more: object) -> list[str]:
    options = ["--devices", devices, "--port", port, *more]
    return [sys.executable, "-m", f"benchmarks._ingest_{module}", *map(str, options)]


def _aiocoap(devices: int) -> Command:
    return lambda port, folder: _python("peers", devices, port, "--folder", folder / "contexts")


def _libcoap(port: int, _folder: Path) -> list[str]:
    """Return libcoap's example server, allowed to make resources: a POST to one puts its payload in memory."""
    program = shutil.which("coap-server-notls") or shutil.which("coap-server")
    if program is None:
        raise SystemExit("no coap-server here. Next: apt install libcoap3-bin, or leave libcoap out with --only")
    return [program, "-A", "127.0.0.1", "-p", str(port), "-d", "10"]


SERVERS = {
    GATEWAY: Kind("Pavé, durable, OSCORE", gateway(10_000), True, 10_000, 10_000),
    LEAN_READING: Kind(
        "lean, and reads the report", lambda port, _: _python("lean", 10_000, port, "--read"), True, 10_000, 10_000
    ),
    LEAN: Kind("lean ceiling, OSCORE", lambda port, _: _python("lean", 10_000, port), True, 10_000, 10_000),
    "aiocoap-oscore-10": Kind("aiocoap, OSCORE, 10 contexts", _aiocoap(10), True, 10, 10),
    "aiocoap-oscore-1000": Kind("aiocoap, OSCORE, 1,000 contexts", _aiocoap(1000), True, 1000, 1000),
    "aiocoap-plain": Kind("aiocoap, plain", lambda port, _: _python("peers", 0, port), False, 10_000, 10_000),
    "libcoap-one": Kind("libcoap (C), plain, one address", _libcoap, False, 10_000, 1, False),
    "libcoap-plain": Kind("libcoap (C), plain", _libcoap, False, 10_000, 10_000, False),
}


class Server:
    """One of SERVERS, running. It remembers how many requests it had, for none is sent twice."""

    def __init__(self, kind: Kind, folder: Path, two_cores: bool) -> None:
        """Start it and wait until it listens; `started_s` is how long that took."""
        self.kind = kind
        self.port = _free_port()
        self.asked = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._log_path = folder / "log.txt"
        began_s = time.perf_counter()
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                kind.command(self.port, folder), cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
                preexec_fn=lambda: _placed((SERVER_CORE, CLIENT_CORE) if two_cores else (SERVER_CORE,)),
            )  # fmt: skip
        self._wait(began_s)
        self.started_s = time.perf_counter() - began_s
        os.sched_setaffinity(self.pid, (SERVER_CORE,))  # of its first thread, the one that serves
        _make_room(self.pid)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def cpu_s(self) -> float:
        """CPU seconds so far, user and system, of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def pss_mb(self) -> float:
        """Proportional set size, 10^6 bytes."""
        return memory_bytes(self.pid) / 1e6

    def written_bytes(self) -> int:
        """What it has had written to the disk so far, as the kernel counts it."""
        text = Path(f"/proc/{self.pid}/io").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("write_bytes:"))

    def stop(self) -> dict[str, Any]:
        """End it; return what it says of itself last, if it does."""
        self._process.terminate()
        said, _ = self._process.communicate(timeout=START_TIMEOUT_S)
        lines = said.splitlines()
        return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}

    def kill(self) -> None:
        """SIGKILL."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()

    def _wait(self, began_s: float) -> None:
        if not self.kind.says_ready:
            time.sleep(0.5)  # it binds at once or not at all
            if self._process.poll() is None:
                return
        elif _stdout(self._process).readline().strip() == READY:
            return
        self.kill()
        said = self._log_path.read_text(errors="replace")[-2000:]
        raise SystemExit(f"{self.kind.label} did not start, {time.perf_counter() - began_s:.0f} s; it said:\n{said}")


class Client:
    """The load client."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._ingest_client"], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, preexec_fn=lambda: _placed((CLIENT_CORE,)),
        )  # fmt: skip

    def run(self, server: Server, count: int, outstanding: int = 0, rate: float = 0.0) -> Result:
        """Send `count` requests to `server` that it has not had yet."""
        kind = server.kind
        step = Step(server.port, kind.sealed, kind.devices, kind.addresses, server.asked, count, outstanding, rate)
        server.asked += count
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(step)) + "\n")
        self._process.stdin.flush()
        line = _stdout(self._process).readline()
        if not line:
            raise SystemExit("the load client ended; its own message is above")
        return Result(**json.loads(line))

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def _make_room(pid: int) -> None:
    """Give the UDP sockets of a process RECEIVE_BYTES, all servers alike: the kernel's default holds 130 requests."""
    process = os.pidfd_open(pid)
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if str(entry.readlink()).startswith("socket:"):
            with socket.socket(fileno=_libc.syscall(_PIDFD_GETFD, process, int(entry.name), 0)) as shared:
                if shared.type == socket.SOCK_DGRAM:
                    shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    os.close(process)


def _stdout(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


def _placed(cores: Sequence[int]) -> None:
    """Before exec: end with the parent, run on these cores."""
    end_with_parent()
    os.sched_setaffinity(0, cores)
