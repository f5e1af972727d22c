# pyright: reportMissingTypeStubs=false
"""CoAP over UDP: `POST /r` takes readings, `GET /a` (Observe) tells of free bays, `.well-known/core` lists both.

aiocoap does the messages (retransmission, duplicates, tokens; it sends an empty ACK by itself when a commit takes
long), this module the resources. A POST is answered only from the core's verdict, so 2.04 means: on disk.

    2.04 stored            4.00 not CBOR, SenML or readings     4.03 not a device of this site
    4.09 identity in use   4.13 more than a block               4.15 not application/senml+cbor
    5.03 not stored; Max-Age says when to return

Errors carry RFC 9290 problem details. Plain CoAP has no security at all, so it is refused unless the site file says
`insecure = true`, and then only on loopback.
"""

import asyncio
import ipaddress
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiocoap
from aiocoap import resource
from aiocoap.numbers.codes import Code

from pave_gateway.core import limits
from pave_gateway.core.bays import Bays
from pave_gateway.core.ingest import Ingest, Refusal, Refused, Verdict
from pave_gateway.ingress.observable import Observable, confirmables
from pave_gateway.log import LimitedLog
from pave_wire import model
from pave_wire.errors import WireError

_CODES = {
    Refusal.UNKNOWN_DEVICE: Code.FORBIDDEN,
    Refusal.FOREIGN_VALUE: Code.BAD_REQUEST,
    Refusal.BUSY: Code.SERVICE_UNAVAILABLE,
    Refusal.NOT_STORED: Code.SERVICE_UNAVAILABLE,
    Refusal.CONFLICT: Code.CONFLICT,  # RFC 8132, 2.3.2
    Refusal.REPLAYED: Code.CONFLICT,
}
_TITLES = {
    Refusal.UNKNOWN_DEVICE: "Unknown device",
    Refusal.FOREIGN_VALUE: "Not this place's",
    Refusal.BUSY: "Too busy",
    Refusal.NOT_STORED: "Not stored",
    Refusal.CONFLICT: "Conflict",
    Refusal.REPLAYED: "Replayed",
}


class InsecureError(Exception):
    """Plain CoAP is not allowed here; the message says what to change."""


# aiocoap has no types: its messages are `Any` here, and nowhere else.
_Context: Any = aiocoap.Context
_WellKnownCore: Any = resource.WKCResource


class Readings(resource.Resource):
    """`POST /r`: a SenML CBOR pack of readings."""

    rt = "urn:pave:readings"
    ct = str(model.CONTENT_FORMAT_SENML_CBOR)

    def __init__(self, ingest: Ingest, clock_ms: Callable[[], int], log: LimitedLog) -> None:
        """`clock_ms` returns milliseconds since 1970."""
        super().__init__()
        self._ingest = ingest
        self._clock_ms = clock_ms
        self._log = log
        self.answers: Counter[str] = Counter()

    async def needs_blockwise_assembly(self, request: Any) -> Any:
        """A report fits in one block, so nobody can make us hold the pieces of a longer one."""
        return False

    async def render_post(self, request: Any) -> Any:
        """Answer only after the commit."""
        answer = await self._answer(request)
        self.answers[f"{answer.code.class_}.{answer.code & 0x1F:02d}"] += 1
        return answer

    async def _answer(self, request: Any) -> Any:
        if request.opt.content_format != model.CONTENT_FORMAT_SENML_CBOR:
            detail = f"content-format {request.opt.content_format}; send {model.CONTENT_FORMAT_SENML_CBOR} (senml+cbor)"
            return self._refuse(request, Code.UNSUPPORTED_CONTENT_FORMAT, "Wrong content-format", detail)
        if request.opt.block1 is not None or len(request.payload) > limits.PACK_BYTES:
            detail = f"a pack has at most {limits.PACK_BYTES} bytes; send fewer readings at once"
            return self._refuse(request, Code.REQUEST_ENTITY_TOO_LARGE, "Too large", detail)
        try:
            readings = model.unpack_readings(request.payload)
        except WireError as error:
            return self._refuse(request, Code.BAD_REQUEST, type(error).__name__, str(error))
        decided: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._ingest.offer(readings, self._clock_ms(), lambda verdict: _resolve(decided, verdict))
        verdict = await decided
        if isinstance(verdict, Refused):
            return self._refuse(request, _CODES[verdict.why], _TITLES[verdict.why], verdict.detail)
        return aiocoap.Message(code=Code.CHANGED)

    def _refuse(self, request: Any, code: Code, title: str, detail: str) -> Any:
        source = request.remote.hostinfo
        self._log.warning(f"coap {source.rpartition(':')[0]} {title}", f"coap {source}: {title}: {detail}")
        answer = problem(code, title, detail)
        if code == Code.REQUEST_ENTITY_TOO_LARGE:
            answer.opt.size1 = limits.PACK_BYTES
        return answer


class Availability(Observable):
    """`GET /a`, observable: how many bays are free, per kind."""

    rt = "urn:pave:availability"
    ct = str(model.CONTENT_FORMAT_SENML_CBOR)

    def __init__(self, bays: Bays) -> None:
        """Serve the state of `bays`."""
        super().__init__()
        self._bays = bays
        self._counts = bays.availability()
        bays.subscribe(lambda bay: self._look())

    def _look(self) -> None:
        """A bay has changed, in a way that need not be of interest here."""
        counts = self._bays.availability()
        if counts != self._counts:
            self._counts = counts
            self.changed()

    async def render_get(self, request: Any) -> Any:
        """Answer in SenML CBOR, the only form there is."""
        if request.opt.accept not in (None, model.CONTENT_FORMAT_SENML_CBOR):
            return problem(Code.NOT_ACCEPTABLE, "Not acceptable", f"only {model.CONTENT_FORMAT_SENML_CBOR} is offered")
        return aiocoap.Message(
            code=Code.CONTENT,
            payload=model.pack_availability(self._bays.availability()),
            content_format=model.CONTENT_FORMAT_SENML_CBOR,
            max_age=limits.FRESH_S,
        )


class CoapServer:
    """The running server."""

    def __init__(self, context: Any, readings: Readings) -> None:
        """Made by `start`."""
        self._context = context
        self._readings = readings

    @property
    def answers(self) -> dict[str, int]:
        """Answers to `POST /r` since the start, by response code."""
        return dict(self._readings.answers)

    async def close(self) -> None:
        """Stop listening."""
        await self._context.shutdown()


def check_security(host: str, insecure: bool) -> None:
    """Raise InsecureError unless plain CoAP on `host` was asked for and cannot leave this machine."""
    if not insecure:
        raise InsecureError(
            "coap.insecure is false and only plain CoAP is built in; set coap.insecure = true (loopback only)"
        )
    if not ipaddress.ip_address(host).is_loopback:
        raise InsecureError(
            f"listen.coap {host} is not loopback and plain CoAP has no security; use 127.0.0.1 or [::1]"
        )


async def start(
    host: str,
    port: int,
    ingest: Ingest,
    bays: Bays,
    clock_ms: Callable[[], int],
    monotonic: Callable[[], float],
    transport: str = "udp6",
) -> CoapServer:
    """Serve on `host`:`port` (UDP) until `CoapServer.close`.

    `transport` is aiocoap's; `simplesocketserver` makes its socket through the event loop, which a simulation replaces.
    """
    readings = Readings(ingest, clock_ms, LimitedLog(logging.getLogger(__name__), monotonic))
    site: Any = resource.Site()
    site.add_resource([model.PATH_READINGS], readings)
    availability = Availability(bays)
    site.add_resource([model.PATH_AVAILABILITY], availability)
    site.add_resource([".well-known", "core"], _WellKnownCore(site.get_resources_as_linkheader, impl_info=None))
    context = await _Context.create_server_context(site, bind=(host, port), transports=[transport])
    availability.under_way = confirmables(context)
    return CoapServer(context, readings)


def problem(code: Code, title: str, detail: str) -> Any:
    """Return a response with RFC 9290 problem details."""
    payload = model.problem(title, detail[: limits.PROBLEM_CHARS])
    message = aiocoap.Message(code=code, payload=payload, content_format=model.CONTENT_FORMAT_PROBLEM)
    if code == Code.SERVICE_UNAVAILABLE:
        message.opt.max_age = limits.RETRY_AFTER_S
    return message


def _resolve(decided: "asyncio.Future[Verdict]", verdict: Verdict) -> None:
    if not decided.done():  # aiocoap cancels the request when its device is gone; the readings are stored all the same
        decided.set_result(verdict)
