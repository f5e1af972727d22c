# pyright: reportMissingTypeStubs=false
"""The gateway's resources as aiocoap serves them; what they say is decided by plain functions elsewhere.

    handler: `Question` -> `Reply`    served by `Handled`, or by `Watched` if it can be observed

Every request here is authentic, comes once, and its replay window is on disk; `Question.device` is who asks. The rows
of a `Reply` are committed before it is sent; if they cannot be, 5.03 is the answer instead. Bodies larger than a block
are cut here, by number of block, from what the handler gives: nothing is kept between two blocks, so a transfer of any
length costs no memory, and a client whose ETag changes on the way starts again (RFC 7959, 2.4).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import aiocoap
from aiocoap import error, resource
from aiocoap.util.linkformat import Link, LinkFormat

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, CommitterBusy, Outcome, Row
from pave_gateway.core.shadow_resources import Reply
from pave_gateway.ingress.observable import Observable
from pave_wire import coap, model

_BLOCK_SIZE_EXP = 6  # 1,024 bytes
_WellKnownCore: Any = resource.WKCResource
_Site: Any = resource.Site


@dataclass(frozen=True, slots=True)
class Question:
    """A request.

    Attributes:
        device: EUI-64 of who asks, None without OSCORE.
        code: GET, POST, ...
        rest: The segments of the path behind the resource's own.
        payload: Its body.
        content_format: Of the body, None if not said.
        accept: What the answer may be, None for anything.
        etags: Of what the client has.
    """

    device: str | None
    code: int
    rest: tuple[str, ...]
    payload: bytes
    content_format: int | None
    accept: int | None
    etags: tuple[bytes, ...]


Handler = Callable[[Question], Reply]
Commit = Callable[[Sequence[Row], Callable[[Outcome], None]], None]


class _Served(resource.Resource):
    """What all resources here have in common."""

    async def needs_blockwise_assembly(self, request: Any) -> Any:
        """Requests fit one block. What aiocoap would assemble of responses, it would keep for minutes."""
        return False


class Handled(_Served):
    """A resource answered by a handler."""

    def __init__(self, handler: Handler, rt: str, content_format: int, commit: Commit) -> None:
        """`rt` and `content_format` are told in `.well-known/core`; `commit` is a committer's `submit`."""
        super().__init__()
        self._handler = handler
        self._commit = commit
        self.rt = rt
        self.ct = str(content_format)
        self.max_age_s: int | None = None

    async def render(self, request: Any) -> Any:
        """Answer, with the block that was asked for."""
        reply = self._handler(_question(request))
        if reply.rows:
            reply = await self._committed(reply)
        return _cut(_message(reply, self.max_age_s), request)

    async def _committed(self, reply: Reply) -> Reply:
        """Return `reply` once its rows are on disk, 5.03 if they cannot be."""
        decided: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            self._commit(reply.rows, partial(_decide, decided, reply.apply))
        except CommitterBusy as error:
            return _unavailable(str(error))
        outcome = await decided
        return reply if isinstance(outcome, Committed) else _unavailable("not stored; ask again later")


class HandledBelow(Handled, resource.PathCapable):
    """Everything below a path, answered by a handler; the path itself is not there."""

    def get_resources_as_linkheader(self) -> Any:
        """What is below is not listed, only that there is something."""
        description: Any = cast("Any", self).get_link_description()
        return LinkFormat([Link("", **description)])


class Watched(Handled, Observable):
    """A resource answered by a handler, whose GET can be observed; `max_age_s` is how long a state may be believed."""

    def changed_for(self, device: str) -> None:
        """Let the observers on one device know, soon."""
        for pipe, news in self._news.items():
            if pipe.request.remote.device == device:
                news.set()


class Reports(_Served):
    """`/r` as `.well-known/core` lists it. A POST never gets here, other methods are answered 4.05."""

    rt = "urn:pave:readings"
    ct = str(model.CONTENT_FORMAT_SENML_CBOR)


class Site:
    """The tree of resources."""

    def __init__(self) -> None:
        """With `/r` and `.well-known/core`."""
        self.site = _Site()
        self._observables: list[Observable] = []
        self.site.add_resource([model.PATH_READINGS], Reports())
        self.site.add_resource(
            [".well-known", "core"], _WellKnownCore(self.site.get_resources_as_linkheader, impl_info=None)
        )

    def add(self, path: str, served: Any) -> None:
        """Serve a resource under one segment of path."""
        self.site.add_resource([path], served)
        if isinstance(served, Observable):
            self._observables.append(served)

    def watch(self, under_way: Callable[[Any], bool]) -> None:
        """Tell what is observed how to know that a notification is still under way."""
        for served in self._observables:
            served.under_way = under_way


def _decide(decided: "asyncio.Future[Outcome]", apply: Callable[[], None], outcome: Outcome) -> None:
    if isinstance(outcome, Committed):
        apply()  # here and not after the await: the client may be gone, what is on disk holds
    if not decided.done():
        decided.set_result(outcome)


def _unavailable(detail: str) -> Reply:
    return problem(coap.SERVICE_UNAVAILABLE, "Not stored", detail)


def problem(code: int, title: str, detail: str) -> Reply:
    """Return a reply with RFC 9290 problem details."""
    return Reply(code, model.problem(title, detail[: limits.PROBLEM_CHARS]), model.CONTENT_FORMAT_PROBLEM)


def _question(request: Any) -> Question:
    return Question(
        device=request.remote.device,
        code=int(request.code),
        rest=tuple(request.opt.uri_path),
        payload=request.payload,
        content_format=_number(request.opt.content_format),
        accept=_number(request.opt.accept),
        etags=tuple(request.opt.etags),
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _message(reply: Reply, max_age_s: int | None) -> Any:
    return aiocoap.Message(
        code=aiocoap.Code(reply.code),
        payload=reply.payload,
        content_format=reply.content_format,
        etag=reply.etag or None,
        max_age=limits.RETRY_AFTER_S if reply.code == coap.SERVICE_UNAVAILABLE else max_age_s,
    )


def _cut(message: Any, request: Any) -> Any:
    """Return the block of `message` that `request` asks for, or all of it if it is none."""
    asked = request.opt.block2
    exponent = _BLOCK_SIZE_EXP if asked is None else min(asked.size_exponent, _BLOCK_SIZE_EXP)
    size = 16 << exponent
    start = 0 if asked is None else asked.block_number * (16 << min(asked.size_exponent, _BLOCK_SIZE_EXP))
    whole = cast("bytes", message.payload)
    if len(whole) <= size and not start:
        return message
    if start >= len(whole):
        raise error.BadRequest(f"block at {start} of {len(whole)} bytes")
    message.payload = whole[start : start + size]
    message.opt.block2 = (start // size, start + size < len(whole), exponent)
    return message
