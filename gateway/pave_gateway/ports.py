"""Takes the ports before anything starts, and says who has one that is busy."""

import contextlib
import errno
import socket
from pathlib import Path

FORWARDERS = "semtech_udp.listen"  # where the site file names the port of its packet forwarders


class PortError(Exception):
    """An address cannot be listened on; the message says who holds it, where that can be known, and the next step."""


def udp_port(host: str, port: int, key: str = "listen.coap") -> int:
    """Return `port`, or a free one for 0, after checking that nobody has it; `key` is where the site file names it.

    aiocoap binds with SO_REUSEPORT, so a second gateway would share the port without a word and lose half of the
    datagrams.

    Raises:
        PortError: busy, forbidden or not an address of this machine.
    """
    with _bound(host, port, socket.SOCK_DGRAM, key) as bound:
        return bound.getsockname()[1]


def tcp_listener(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket.

    Raises:
        PortError: busy, forbidden or not an address of this machine.
    """
    listener = _bound(host, port, socket.SOCK_STREAM, "listen.http")
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _bound(host: str, port: int, kind: socket.SocketKind, key: str) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortError(f"{key} {_join(host, port)}: {_explain(error, host, port, kind, key)}") from error
    return bound


def _explain(error: OSError, host: str, port: int, kind: socket.SocketKind, key: str) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = _holder(port, "udp" if kind == socket.SOCK_DGRAM else "tcp")
        return f"the port is taken{holder}; stop that, or use another with --set {key}={_join(host, port + 1)}"
    if error.errno == errno.EACCES:
        return "ports below 1024 need a privilege; use a higher one"
    return f"{error.strerror}; use an address of this machine"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _holder(port: int, protocol: str) -> str:
    """Return " by NAME (process N)", or "" where /proc does not tell (another user's process, not Linux)."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port, protocol)}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(link.readlink()) in inodes:
                name = (link.parent.parent / "comm").read_text().strip()
                return f" by {name} (process {link.parent.parent.name})"
    return ""


def _inodes(port: int, protocol: str) -> list[str]:
    inodes: list[str] = []
    for table in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()  # sl local_address rem_address st ... inode (proc(5))
                if fields[1].endswith(f":{port:04X}") and (protocol == "udp" or fields[3] == "0A"):
                    inodes.append(fields[9])
    return inodes
