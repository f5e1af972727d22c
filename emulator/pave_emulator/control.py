"""The control socket of a running emulator: a Unix socket in its work directory, one JSON object a line each way.

    {"do": "status"}                                    -> {"now_s": ..., "devices": {name: {...}}}
    {"do": "fault", "name": ..., "arguments": {...}}    -> {"done": name}
    {"do": "serial", "device": name}                    -> {"url": "rfc2217://..."}
    {"do": "picture", "device": name, "chip": "" or name, "path": file} -> {"chip": name}, and a PNG in the file
    {"do": "trace"}                                     -> {"trace": true, "header": ""}, then each record of the trace

A trace that is followed from its middle comes with its header, a line without its end, in the answer.

What cannot be done is answered with {"error": text}. Names and values are checked here.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pave_emulator import fault_list
from pave_emulator.chips.ili9341 import Ili9341
from pave_emulator.chips.ssd1306 import Ssd1306
from pave_emulator.flash.image import FlashError
from pave_emulator.nearest import hint
from pave_emulator.scenario.events import world_record
from pave_emulator.session import Session
from pave_emulator.trace import Record

SOCKET, LOCK = "control.sock", "lock"
DISPLAYS = (Ili9341, Ssd1306)
MAX_PATH_BYTES = 107  # sockaddr_un, unix(7)
MAX_UNSENT_BYTES = 1 << 20  # a client that does not read its trace is dropped
TIMEOUT_S = 10.0


class ControlError(ValueError):
    """What was asked of a running emulator cannot be done, or none runs there."""


def claim(work_dir: Path) -> None:
    """Make sure that a run can use this directory, which is made if need be; a socket that a dead one left is removed.

    Raise ControlError when another emulator runs there, or the path is too long for a socket.
    """
    path = work_dir / SOCKET
    if len(str(path).encode()) > MAX_PATH_BYTES:
        raise ControlError(f"{path}: a socket's path has at most {MAX_PATH_BYTES} bytes: use --work-dir")
    work_dir.mkdir(parents=True, exist_ok=True)
    if not _lock(work_dir / LOCK) or (path.exists() and _answers(path)):
        raise ControlError(f"an emulator runs in {work_dir} already: use another --work-dir")
    path.unlink(missing_ok=True)


class ControlServer:
    """Serves one session."""

    def __init__(self, session: Session, work_dir: Path) -> None:
        self._session = session
        self._path = work_dir / SOCKET
        self._server: asyncio.Server | None = None
        self._followers: list[asyncio.StreamWriter] = []
        self._clients: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Listen, after `claim`."""
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._clients.add(task)
        try:
            while line := await reader.readline():
                answer = await self._answer(line, writer)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()  # who does not read its answers is asked no further
        except (ConnectionError, asyncio.CancelledError, ValueError):
            pass  # it has gone, or sent a line without end
        finally:
            self._clients.discard(task)
            if writer in self._followers:
                self._unfollow(writer)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Any]:
        try:
            request = json.loads(line)
            what = {
                "status": self._status, "fault": self._fault, "serial": self._serial, "picture": self._picture,
                "trace": self._trace,
            }  # fmt: skip
            do = request.get("do") if isinstance(request, dict) else None
            if not isinstance(do, str) or do not in what:
                raise ControlError(f"'do' is one of {', '.join(what)}")
            return await what[do](request, writer)
        except KeyError as error:
            return {"error": f"{error.args[0]} is missing"}
        except (ValueError, TypeError, OSError, FlashError) as error:
            return {"error": str(error)}
        except RecursionError:
            return {"error": "brackets within brackets without end"}

    async def _status(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        devices = {
            name: {"state": device.state, "boots": device.stats.boots, "wakes": device.stats.wakes}
            for name, device in self._session.fleet.devices.items()
        }
        return {"now_s": self._session.clock.now_s(), "devices": devices}

    async def _fault(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        name, arguments = request["name"], request.get("arguments", {})
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise ControlError("'name' is a text, 'arguments' an object")
        words = [f"{key}={value}" for key, value in arguments.items()]
        checked = fault_list.parse(name, words)
        fault_list.do(self._session, name, checked)
        said = {"name": "by hand", "action": name, **checked}
        self._session.trace.add(world_record(self._session.clock.now_s(), "step", said))
        return {"done": name}

    async def _serial(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        device, ports = str(request["device"]), self._session.ports
        if not ports:
            raise ControlError("a run in virtual time has no serial ports: use --clock wall")
        if device not in ports:
            raise ControlError(f"no device {device!r}: {hint(device, ports)}")
        return {"url": await self._session.serial_url(device)}

    async def _picture(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        device, boards = str(request["device"]), self._session.boards
        if device not in boards:
            raise ControlError(f"no device {device!r}: {hint(device, boards)}")
        chips = {name: self._session.fleet.device(device).chip(name) for name in boards[device].chips}
        displays = {name: chip for name, chip in chips.items() if isinstance(chip, DISPLAYS)}
        name = str(request["chip"]) or next(iter(displays), "")
        if name not in displays:
            have = hint(name, displays) if displays else "there is none"
            raise ControlError(f"{device} has no display {name!r}: {have}")
        displays[name].to_png(Path(request["path"]))
        return {"chip": name}

    async def _trace(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        if not self._followers:
            self._session.trace.subscribers.append(self._send)
        if writer not in self._followers:
            self._followers.append(writer)
        trace = self._session.trace
        return {"trace": True, "header": trace.header.line() if trace.header and trace.records else ""}

    def _send(self, record: Record) -> None:
        line = record.line().encode() + b"\n"
        for writer in list(self._followers):
            if writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
                writer.close()
                self._unfollow(writer)
            else:
                writer.write(line)

    def _unfollow(self, writer: asyncio.StreamWriter) -> None:
        self._followers.remove(writer)
        if not self._followers:
            self._session.trace.subscribers.remove(self._send)


class ControlClient:
    """A person's side. Use it as a context manager. Raise ControlError where no emulator runs."""

    def __init__(self, work_dir: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(work_dir / SOCKET))
        except OSError as error:
            self._socket.close()
            raise ControlError(
                f"no emulator runs in {work_dir}: start one with `pave-emulator run SCENARIO`"
            ) from error
        self._heard = b""

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One request; its answer. Raise ControlError with what the emulator said."""
        try:
            self._socket.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            line = self._line()
        except TimeoutError as error:
            raise ControlError(f"the emulator has not answered for {TIMEOUT_S:g} s") from error
        except ConnectionError:
            line = ""
        if not line:
            raise ControlError("the emulator has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise ControlError(answer["error"])
        return answer

    def trace(self, until_s: float | None = None) -> Iterator[str]:
        """The header, and each line of the trace until `time.monotonic()` is `until_s` or the emulator ends."""
        header = self.ask("trace")["header"]
        return itertools.chain([header + "\n"] if header else [], self._lines(until_s))

    def _lines(self, until_s: float | None) -> Iterator[str]:
        while until_s is None or time.monotonic() < until_s:
            self._socket.settimeout(None if until_s is None else max(0.01, until_s - time.monotonic()))
            try:
                line = self._line()
            except TimeoutError:
                return
            if not line:
                return
            yield line

    def _line(self) -> str:
        """The next line with its end; empty when the emulator has gone. Raise TimeoutError."""
        while b"\n" not in self._heard:
            data = self._socket.recv(65536)
            if not data:
                return ""
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode() + "\n"


_locks: dict[tuple[int, int], int] = {}  # descriptors, open as long as this process lives: with them go the locks


def _lock(path: Path) -> bool:
    """Whether this process has the directory, now or already: of two that start at once, one."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    status = os.fstat(fd)
    file = (status.st_dev, status.st_ino)
    try:
        if file in _locks:
            os.close(fd)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _locks[file] = fd
    except BlockingIOError:
        os.close(fd)
        return False
    return True


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
