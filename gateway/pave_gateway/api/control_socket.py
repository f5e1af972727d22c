"""The control interface's Unix socket: who may open the file may act, and the kernel says who it is (unix(7))."""

import logging
import os
import pwd
import socket
import stat
import struct
from asyncio import Transport
from pathlib import Path

from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from pave_gateway.api.http_server import HttpServer
from pave_gateway.control_address import reachable
from pave_gateway.ports import PortError

_log = logging.getLogger(__name__)

_OWNER_ALONE = 0o600
_BACKLOG = 16
_CREDENTIALS = struct.Struct("iII")  # struct ucred: process, user, group
_NOBODY_LOGGED_IN = 0xFFFFFFFF
_PROC = Path("/proc")


class ControlServer:
    """Serves an application there until `close`."""

    def __init__(self, app: FastAPI, path: Path) -> None:
        """Raise PortError if `path` cannot be had."""
        self._path = path
        self._http = HttpServer(app, _listener(path), _Peer)

    async def close(self) -> None:
        """Finish what runs for a second, then stop and take the socket away."""
        await self._http.close()
        self._path.unlink(missing_ok=True)


def _listener(path: Path) -> socket.socket:
    try:
        if is_stale(path):
            path.unlink()
            _log.info("%s: left by a gateway that was killed; replaced", path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.fchmod(listener.fileno(), _OWNER_ALONE)  # before it has a name: nobody else ever gets in
        with reachable(path) as address:
            listener.bind(address)
    except OSError as error:
        raise PortError(f"{path}: {error.strerror}; check the owner of its folder, and the disk") from error
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def is_stale(path: Path) -> bool:
    """Return whether a gateway that was killed has left its socket at `path`; False where nothing is.

    Raises:
        OSError: nobody can tell.
        PortError: somebody listens there: a gateway with another journal in the same folder; or it is no socket.
    """
    if not os.path.lexists(path):
        return False
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise PortError(f"{path}: it is no socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, reachable(path) as address:
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            return True
    raise PortError(f"{path}: another gateway listens there; give each journal a folder of its own")


class _Peer(H11Protocol):
    """HTTP from a process of this machine: `request.client.host` is its user."""

    def connection_made(self, transport: Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        process, user = _credentials(transport)
        self.client = (_actor(process, user), process)


def _credentials(transport: Transport) -> tuple[int, int]:
    """Return (process, user) at the other end, as of its `connect`."""
    own = transport.get_extra_info("socket")
    with socket.fromfd(own.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as copy:
        raw = copy.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _group = _CREDENTIALS.unpack(raw)
    return process, user


def _actor(process: int, user: int) -> str:
    """Return who acts, for the audit trail: the process's user, and who logged in where that is somebody else."""
    try:
        login = int((_PROC / str(process) / "loginuid").read_text())
    except (OSError, ValueError):
        login = user
    if login in (user, _NOBODY_LOGGED_IN):
        return _name(user)
    return f"{_name(login)} as {_name(user)}"


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
