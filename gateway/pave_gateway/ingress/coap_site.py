# pyright: reportMissingTypeStubs=false
"""Starts and stops the CoAP front: socket, front, and aiocoap on top of it.

aiocoap gets its messages through `Context._append_tokenmanaged_transport`, which is what its own TCP and WebSocket
transports use, and which has no public name: a contract test tells when a version changes it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiocoap
from aiocoap import error

from pave_gateway.core import limits
from pave_gateway.core.committer import Committer
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import Now
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.ingress.coap_counters import CoapCounters, Drops
from pave_gateway.ingress.coap_front import CoapFront, FrontParts
from pave_gateway.ingress.coap_resources import Site
from pave_gateway.ingress.coap_socket import CoapSocket
from pave_gateway.ingress.coap_tokens import Remote, Tokens
from pave_gateway.ingress.oscore_gate import Reservation

_log = logging.getLogger(__name__)
_Context: Any = aiocoap.Context


class Unreachable(Exception):  # noqa: N818 - a state of the device, not a defect
    """The device cannot be asked, or did not answer; the message says which."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a device answered: its code, payload, and the payload's content-format, None if it said none."""

    code: int
    payload: bytes
    content_format: int | None


@dataclass(frozen=True, slots=True)
class CoapParts:
    """What the CoAP front is made of.

    Attributes:
        contexts: Who may speak.
        ingest: Takes reports.
        committer: The one that `ingest` uses.
        site: The resources.
        now: Returns the site's time.
        monotonic: Returns seconds that never step.
        random_below: Returns a random integer below its argument.
        insecure: Serve plain CoAP too.
        reservation: `JournalReader.reservation`: asked where a journal was salvaged while the gateway runs.
    """

    contexts: OscoreContexts
    ingest: Ingest
    committer: Committer
    site: Site
    now: Callable[[], Now]
    monotonic: Callable[[], float]
    random_below: Callable[[int], int]
    insecure: bool
    reservation: Reservation = lambda device: 0


class CoapServer:
    """The running front."""

    def __init__(self, front: CoapFront, socket: CoapSocket, context: Any, contexts: OscoreContexts) -> None:
        """Made by `start`."""
        self.insecure = front.insecure
        self.counters: CoapCounters = front.counters
        self.address: tuple[str, int] = ("", 0)  # where it listens
        self._socket = socket
        self._context = context
        self._contexts = contexts
        self._reminding = asyncio.create_task(_remind(), name="plain CoAP") if front.insecure else None

    @property
    def answers(self) -> dict[str, int]:
        """Answers to `POST /r` since the start, by response code."""
        return self.counters.answers

    def can_reach(self, device: str) -> bool:
        """Say whether `device` was heard on IP since the gateway's start."""
        context = self._contexts.of_device(device)
        return context is not None and context.address is not None

    async def ask(
        self, device: str, code: int, path: str, payload: bytes = b"", content_format: int | None = None
    ) -> Response:
        """Send a request to a device and return its response.

        Raises:
            Unreachable: nothing was heard of it since the gateway's start, or it did not answer in time.
        """
        context = self._contexts.of_device(device)
        if context is None or context.address is None:
            raise Unreachable(f"{device} has not been heard since the gateway's start; it will be asked when it speaks")
        message: Any = aiocoap.Message(
            code=aiocoap.Code(code), payload=payload, uri_path=path.split("/"), content_format=content_format
        )
        message.remote = Remote(context, context.address)
        try:
            async with asyncio.timeout(limits.COAP_ASK_TIMEOUT_S):
                response = await self._context.request(message, handle_blockwise=False).response
        except (error.Error, TimeoutError) as reason:
            raise Unreachable(f"{device} did not answer {path}: {reason!r}") from reason
        found = response.opt.content_format
        return Response(int(response.code), response.payload, None if found is None else int(found))

    async def close(self) -> None:
        """Stop listening; observers are not told, they register again when nothing comes."""
        if self._reminding is not None:
            self._reminding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reminding
        self._socket.close()
        await self._context.shutdown()


async def start(host: str, port: int, parts: CoapParts) -> CoapServer:
    """Serve on `host`:`port` (UDP) until `CoapServer.close`; "::" is every address, IPv4's too. Raises OSError."""
    counters = CoapCounters()
    drops = Drops(counters, _log, parts.monotonic)
    socket = CoapSocket()
    front = CoapFront(
        FrontParts(
            parts.contexts,
            parts.ingest,
            parts.committer,
            parts.now,
            parts.random_below,
            drops,
            counters,
            parts.insecure,
            parts.reservation,
            parts.site.changing,
        ),
        socket.wake,
    )
    context = _Context(loop=asyncio.get_running_loop(), serversite=parts.site.site, loggername="coap-server")

    async def below(manager: Any) -> Tokens:
        manager._token = parts.random_below(0x10000)  # aiocoap draws it from the global source
        front.tokens = Tokens(manager, front.outbox, front.gate, counters)
        return front.tokens

    await context._append_tokenmanaged_transport(below)
    parts.site.watch(front.tokens.under_way)
    parts.contexts.subscribe(front.tokens.left)
    server = CoapServer(front, socket, context, parts.contexts)
    try:
        server.address = await socket.open(front, host, port)
    except BaseException:
        await server.close()
        raise
    return server


async def _remind() -> None:
    while True:
        _log.warning("plain CoAP is on (coap.insecure = true): anyone who reaches this port can report and read")
        await asyncio.sleep(limits.INSECURE_REMINDER_S)
