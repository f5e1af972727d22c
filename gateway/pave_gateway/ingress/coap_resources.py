# pyright: reportMissingTypeStubs=false
"""The gateway's resources as aiocoap serves them; what they say is decided by plain functions elsewhere.

    handler: `Question` -> `Reply`    served by `Handled`, or by `Watched` if it can be observed

Every request here is authentic, comes once, and its replay window is on disk; `Question.device` is who asks. GET alone
gets here: what may change something is taken before, by `coap_changes`, so that its rows and its window are one group;
a resource says in `changing` how. Bodies larger than a block are cut here, by number of block, from what the handler
gives: nothing is kept between two blocks, so a transfer of any length costs no memory, and a client whose ETag changes
on the way starts again (RFC 7959, 2.4).
"""

from collections.abc import Callable
from typing import Any, cast

import aiocoap
from aiocoap import error, resource
from aiocoap.util.linkformat import Link, LinkFormat

from pave_gateway.core import limits
from pave_gateway.core.shadow_resources import Reply
from pave_gateway.ingress.coap_changes import Changing, Commit, Handler, Question
from pave_gateway.ingress.observable import Observable
from pave_wire import model

_BLOCK_SIZE_EXP = 6  # 1,024 bytes
_WellKnownCore: Any = resource.WKCResource
_Site: Any = resource.Site


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
        self.changing = Changing(handler, commit)
        self.rt = rt
        self.ct = str(content_format)
        self.max_age_s: int | None = None

    async def render(self, request: Any) -> Any:
        """Answer, with the block that was asked for."""
        reply = self.changing.handler(_question(request))
        return _cut(_message(reply, self.max_age_s), request)


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
        self.changing: dict[bytes, Changing] = {}  # by the one segment of their path
        self._observables: list[Observable] = []
        self.site.add_resource([model.PATH_READINGS], Reports())
        self.site.add_resource(
            [".well-known", "core"], _WellKnownCore(self.site.get_resources_as_linkheader, impl_info=None)
        )

    def add(self, path: str, served: Any) -> None:
        """Serve a resource under one segment of path."""
        self.site.add_resource([path], served)
        if isinstance(served, Handled) and not isinstance(served, HandledBelow):
            self.changing[path.encode()] = served.changing
        if isinstance(served, Observable):
            self._observables.append(served)

    def watch(self, under_way: Callable[[Any], bool]) -> None:
        """Tell what is observed how to know that a notification is still under way."""
        for served in self._observables:
            served.under_way = under_way


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
        queries=tuple(request.opt.uri_query),
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _message(reply: Reply, max_age_s: int | None) -> Any:
    return aiocoap.Message(
        code=aiocoap.Code(reply.code),
        payload=reply.payload,
        content_format=reply.content_format,
        etag=reply.etag or None,
        max_age=max_age_s,
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
