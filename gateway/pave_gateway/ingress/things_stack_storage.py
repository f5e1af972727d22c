"""The HTTP API of The Things Stack's storage integration: stored uplinks, one JSON object a line.

    GET <server>/api/v3/as/applications/<application>[/devices/<device id>]/packages/storage/uplink_message
        ?after=<instant>&order=received_at&limit=<page>      {"result": {...}} {"result": {...}} ...

The API key goes out as a bearer token and nowhere else: no error and no log has it.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from ssl import create_default_context

import httpx

from pave_gateway.core import limits
from pave_gateway.ingress import json_fields

_OK = 200
_STEPS = {
    400: "the storage does not understand the question; report it",
    401: "the API key is not known; make a new one in the console",
    403: 'the API key lacks the right "Read application traffic"',
    404: "there is no such application, or no storage integration; activate it in the console",
    429: "asked too often",
    501: "this installation has no storage integration",
}


class StorageError(Exception):
    """The storage did not answer; `retry_after_s` where it says when it will."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Storage:
    """A connection to it. Everything raises StorageError."""

    def __init__(self, url: str, application: str, key: str, ca_file: Path | None = None) -> None:
        """`url` is the server, such as "https://eu1.cloud.thethings.network"; raises OSError for a bad `ca_file`."""
        self._url = url
        self._application = application
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}", "Accept": "text/event-stream"},
            timeout=limits.REFILL_TIMEOUT_S,
            verify=create_default_context(cafile=str(ca_file)) if ca_file is not None else True,
        )

    async def page(self, device_id: str | None, after: str) -> AsyncGenerator[bytes]:
        """Yield the lines of one page: uplinks of a device, or of all, that the storage has after an instant."""
        device = f"/devices/{device_id}" if device_id is not None else ""
        path = f"{device}/packages/storage/uplink_message"
        query = {"after": after, "order": "received_at", "limit": str(limits.REFILL_PAGE)}
        async with self._get(path, query) as response:
            async for line in _lines(response):
                if line.startswith(b'{"error"'):
                    raise StorageError(f"{self._url}: {line[:160].decode('utf-8', 'replace')}")
                yield line

    async def packages(self) -> list[str]:
        """Return the names of the application's packages; needs a right that the gateway itself does without."""
        async with self._get("/packages/associations", {}) as response:
            body = await response.aread()
        try:
            root = json_fields.load(body[: limits.REFILL_LINE_BYTES])
        except json_fields.JsonError as error:
            raise StorageError(f"{self._url}: {error}") from error
        return [json_fields.text(one, "package_name") for one in json_fields.children(root, "defaults", 64)]

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def _get(self, path: str, query: dict[str, str]) -> AsyncGenerator[httpx.Response]:
        url = f"{self._url}/api/v3/as/applications/{self._application}{path}"
        try:
            async with self._client.stream("GET", url, params=query) as response:
                if response.status_code != _OK:
                    raise StorageError(_refusal(self._url, response), _retry_after_s(response))
                yield response
        except httpx.HTTPError as error:
            raise StorageError(f"{self._url}: {type(error).__name__}: {error}") from error


def instant(ms: int) -> str:
    """Return an instant as the API takes it; `ms` since 1970."""
    return datetime.fromtimestamp(max(ms, 0) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the lines that are not empty; one that is too long raises StorageError."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line.strip()
        if len(rest) > limits.REFILL_LINE_BYTES:
            raise StorageError(f"a stored uplink has more than {limits.REFILL_LINE_BYTES} bytes; what is this server?")
    if rest.strip():
        yield rest.strip()


def _refusal(url: str, response: httpx.Response) -> str:
    step = _STEPS.get(response.status_code, "see the server's own state")
    return f"{url}: HTTP {response.status_code}: {step}"


def _retry_after_s(response: httpx.Response) -> float | None:
    for name in ("Retry-After", "X-Rate-Limit-Retry"):
        value = response.headers.get(name, "")
        if value.isdecimal():
            return float(value)
    return None
