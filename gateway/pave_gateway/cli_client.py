"""HTTP to the running gateway, over its control socket."""

import ipaddress
import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

from pave_gateway.control_address import reachable
from pave_gateway.core import limits

_FAILED = 400

Answer = dict[str, Any]


class NotRunningError(Exception):
    """No gateway listens on the socket."""


class RefusedError(Exception):
    """The gateway said no, or could not be asked; the message says why and the next step."""

    def __init__(self, message: str, status: int = 0) -> None:
        """`status` is HTTP's, 0 where there was no answer."""
        super().__init__(message)
        self.status = status


class Client:
    """Asks the gateway at `path`. Everything raises NotRunningError or RefusedError."""

    def __init__(self, path: Path, timeout_s: float = limits.CONTROL_ANSWER_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def get(self, *segments: str, **query: int | str) -> Answer:
        """Return the answer to a GET."""
        return self._ask("GET", segments, None, {}, query)

    def pages(self, name: str) -> Iterator[Answer]:
        """Yield all entries of the pages of `name`."""
        after: int | None = 0
        while after is not None:
            page = self.get(name, after=after, limit=limits.CONTROL_PAGE)
            yield from page[name]
            after = page["next"]

    def post(self, *segments: str, body: object = None) -> Answer:
        """Return the answer to a POST."""
        return self._ask("POST", segments, body, {}, {})

    def patch(self, *segments: str, body: object, version: int) -> Answer:
        """Return the answer to a PATCH of what has this version."""
        return self._ask("PATCH", segments, body, {"If-Match": f'"{version}"'}, {})

    def lines(self, *segments: str, body: object) -> Iterator[Answer]:
        """Yield the objects of an answer that has one a line."""
        connection = _Connection(self._path, self._timeout_s)
        try:
            response = self._send(connection, "POST", segments, body, {}, {})
            while line := response.readline():
                yield json.loads(line)
        except (OSError, HTTPException) as error:
            raise self._meant(error) from error
        finally:
            connection.close()

    def _ask(
        self, method: str, segments: tuple[str, ...], body: object, headers: dict[str, str], query: dict[str, Any]
    ) -> Answer:
        connection = _Connection(self._path, self._timeout_s)
        try:
            response = self._send(connection, method, segments, body, headers, query)
            return json.loads(response.read())
        except (OSError, HTTPException) as error:
            raise self._meant(error) from error
        finally:
            connection.close()

    def _send(
        self,
        connection: "_Connection",
        method: str,
        segments: tuple[str, ...],
        body: object,
        headers: dict[str, str],
        query: dict[str, Any],
    ) -> HTTPResponse:
        path = "/" + "/".join(quote(segment, safe="") for segment in segments)
        content = None if body is None else json.dumps(body)
        headers = {**headers, "Content-Type": "application/json"}
        connection.request(method, f"{path}?{urlencode(query)}" if query else path, content, headers)
        response = connection.getresponse()
        if response.status >= _FAILED:
            raise RefusedError(told(json.loads(response.read())), response.status)
        return response

    def _meant(self, error: OSError | HTTPException) -> Exception:
        if isinstance(error, FileNotFoundError | NotADirectoryError | ConnectionRefusedError):
            return NotRunningError(f"no gateway listens on {self._path}")
        if isinstance(error, PermissionError):
            return RefusedError(f"{self._path}: {error.strerror}; act as the user that runs the gateway, or as root")
        if isinstance(error, TimeoutError):
            return RefusedError(f"no answer in {self._timeout_s:.0f} s; look at the gateway's log, and at its disk")
        return RefusedError(f"the gateway went away: {error!r}; look whether it stops, then ask again")


def waiting_start(address: tuple[str, int]) -> str | None:
    """Return why a start of a gateway waits that serves HTTP at `address` meanwhile; None where none does."""
    host, port = address
    if port == 0:
        return None
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    connection = HTTPConnection(host, port, timeout=limits.WAITING_START_ANSWER_S)
    try:
        connection.request("GET", "/healthz")
        found: Any = json.loads(connection.getresponse().read(limits.WAITING_START_BYTES))
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()
    waits = isinstance(found, dict) and cast("Answer", found).get("started") is False
    return str(cast("Answer", found).get("storage_error")) if waits else None


def told(details: Answer) -> str:
    """Return problem details as a line."""
    step = details.get("next_step")
    return f"{details.get('detail')}; {step}" if step else str(details.get("detail"))


class _Connection(HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("gateway", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of an address."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with reachable(self._path) as address:
            self.sock.connect(address)
