"""Requests that may change something, other than reports: POST and PUT to a resource that a handler answers.

Theory of operation. A handler is a plain function: it says what the answer is, which rows make it true, and what is to
happen in memory then (`Reply`). So all that a request does can be on disk in one group with what admitted it:

    handler -> Reply -> [ReplayRow, SenderRow, rows of the reply] -> committed -> it acts (`apply`), and is answered
                                    |
                                    not committed -> [ReplayRow, SenderRow] -> committed -> 5.03: ask again
                                                               |
                                                               not committed -> silence, and it never came

The second group is for rows that are refused while the disk is well, such as a version that somebody else has changed
meanwhile: the request did nothing, but was heard, and must not be heard again. Either way no kill can leave a request
that acted and would act once more, nor one that was admitted and lost.

A request that only reads has no rows. It goes to aiocoap, which knows how to observe and how to cut into blocks, once
its window is on disk (`oscore_gate`, `coap_tokens`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, CommitterBusy, Outcome, Row
from pave_gateway.core.shadow_resources import Reply
from pave_gateway.ingress.coap_exchanges import Incoming
from pave_gateway.ingress.coap_outbox import Outbox
from pave_gateway.ingress.oscore_gate import Gate
from pave_wire import coap, model
from pave_wire.coap import Message


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
        queries: Each Uri-Query, of a request that changes nothing.
    """

    device: str | None
    code: int
    rest: tuple[str, ...]
    payload: bytes
    content_format: int | None
    accept: int | None
    etags: tuple[bytes, ...]
    queries: tuple[str, ...] = ()


Handler = Callable[[Question], Reply]
Commit = Callable[[Sequence[Row], Callable[[Outcome], None], bool], None]
"""A committer's `submit`."""


class Changing:
    """A handler, and where its rows go."""

    def __init__(self, handler: Handler, commit: Commit) -> None:
        """`handler` changes nothing by itself."""
        self.handler = handler
        self._commit = commit

    def take(self, question: Question, admission: Sequence[Row], done: Callable[[Reply | None], None]) -> None:
        """Commit what the reply to `question` needs, in one group with `admission`, and apply it.

        Then `done(reply)` is called; `done(None)` if nothing of it is on disk.
        """
        reply = self.handler(question)
        rows = (*admission, *reply.rows)
        if not rows:
            done(reply)
            return
        try:
            self._commit(rows, partial(_decided, reply, done), True)
        except CommitterBusy:
            done(None)


class Changes:
    """Takes such requests."""

    def __init__(self, gate: Gate, outbox: Outbox) -> None:
        self._gate = gate
        self._outbox = outbox

    def take(self, request: Incoming, message: Message, changing: Changing) -> None:
        """Answer a request, `message` being what was inside."""
        context = request.context
        question = Question(
            device=None if context is None else context.device,
            code=message.code,
            rest=(),
            payload=message.payload,
            content_format=_number(message, coap.CONTENT_FORMAT),
            accept=_number(message, coap.ACCEPT),
            etags=tuple(value for number, value in message.options if number == coap.ETAG),
        )
        rows = () if context is None else self._gate.admission(context)
        changing.take(question, rows, partial(self._decided, request, rows))

    def _decided(self, request: Incoming, rows: Sequence[Row], reply: Reply | None) -> None:
        if self._gate.lapsed(request):
            return
        if reply is None:
            self._gate.store(request, partial(self._outbox.answer, request, unavailable()))
            return
        if request.context is not None:
            self._gate.admitted(request.context, rows)
        self._outbox.answer(request, _message(reply))


def unavailable() -> Message:
    """Return 5.03: not stored."""
    options = [
        (coap.CONTENT_FORMAT, coap.uint(model.CONTENT_FORMAT_PROBLEM)),
        (coap.MAX_AGE, coap.uint(limits.RETRY_AFTER_S)),
    ]
    payload = model.problem("Not stored", "it could not be stored; send it again later")
    return Message(coap.ACK, coap.SERVICE_UNAVAILABLE, 0, b"", options, payload)


def _decided(reply: Reply, done: Callable[[Reply | None], None], outcome: Outcome) -> None:
    if isinstance(outcome, Committed):
        reply.apply()
        done(reply)
    else:
        done(None)


def _message(reply: Reply) -> Message:
    options: list[tuple[int, bytes]] = []
    if reply.etag:
        options.append((coap.ETAG, reply.etag))
    if reply.content_format is not None:
        options.append((coap.CONTENT_FORMAT, coap.uint(reply.content_format)))
    return Message(coap.ACK, reply.code, 0, b"", options, reply.payload)


def _number(message: Message, option: int) -> int | None:
    value = message.option(option)
    return None if value is None else int.from_bytes(value, "big")
