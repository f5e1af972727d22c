"""What the gateway answers a device about itself, and what it has to say to it: plain functions for every link.

    request             answered                                            durable before the answer
    POST /h  hello      2.04, 60: time (if known), ETag of the settings     the hello
    GET  /s             2.05, 60: desired settings, ETag; 2.03 if unchanged nothing
    PUT  /s             2.04: reported settings                             the report, and the Wi-Fi's next step
    POST /x             2.04: the result of a command                       the command's new state

A `Reply` names rows: whoever answers commits them with the replay window of the request, in one group, calls `apply`,
then sends. If they cannot be committed the answer is 5.03 instead, and nothing has happened.

What the gateway has to say (`next_for`) is a request to the device: a command is a `POST /x`, on every link; settings
are a `PUT /s` with a part of them, over LoRaWAN alone, for on IP the device fetches or observes them. `answered` takes
the payload of what comes back: a map under 1 is a document of settings, a number a result.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from pave_gateway.core import limits
from pave_gateway.core.change import Change
from pave_gateway.core.commands import Commands
from pave_gateway.core.committer import Row
from pave_gateway.core.instant import Now
from pave_gateway.core.shadow import Shadows
from pave_gateway.core.shadow_rows import HelloRow
from pave_wire import cbor, coap, hello, model
from pave_wire.errors import WireError


class Link(Enum):
    """How a device is reached."""

    IP = "ip"
    LORAWAN = "lorawan"


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and what must be on disk before it.

    Attributes:
        code: CoAP response code.
        payload: Its bytes.
        content_format: Of the payload, None without one.
        etag: For the option ETag, b"" for none.
        rows: To commit first, in one group with what admitted the request.
        apply: To call when they are committed.
    """

    code: int
    payload: bytes = b""
    content_format: int | None = None
    etag: bytes = b""
    rows: tuple[Row, ...] = ()
    apply: Callable[[], None] = field(default=_nothing)


@dataclass(frozen=True, slots=True)
class Request:
    """What to send to a device: CBOR (content-format 60) to `path`; commit `change`, if there is one, as well."""

    code: int
    path: str
    payload: bytes
    change: Change | None


class Resources:
    """Shadow and commands as the devices see them."""

    def __init__(self, shadows: Shadows, commands: Commands, kind_of: Callable[[str], int | None]) -> None:
        """`kind_of(device)` returns the kind (`pave_wire.shadow`) of a device of the site, None for any other."""
        self._shadows = shadows
        self._commands = commands
        self._kind_of = kind_of

    def hello(self, device: str, payload: bytes, now: Now) -> tuple[Reply, hello.Hello | None]:
        """Answer `POST /h`; return what it said as well, None if it cannot be read."""
        try:
            said = hello.unpack_hello(payload)
        except WireError as error:
            return _bad_request(error), None
        row = HelloRow(device, said.board, said.version, said.reset_cause, said.epoch, said.seq, now.ms)
        time_s = now.ms // 1000 if now.synchronized else None
        welcome = hello.pack_welcome(time_s, self._shadows.etag(device))
        return Reply(coap.CHANGED, welcome, model.CONTENT_FORMAT_CBOR, rows=(row,)), said

    def desired(self, device: str, etags: tuple[bytes, ...], secure: bool) -> Reply:
        """Answer `GET /s`, with Observe too: again when `Shadows.subscribe` tells of this device.

        Args:
            device: Who asks.
            etags: Of the request: what the device has.
            secure: Whether the answer is sealed; otherwise it has no Wi-Fi in it.
        """
        etag = self._shadows.etag(device)
        if etag in etags:
            return Reply(coap.VALID, etag=etag)
        return Reply(coap.CONTENT, self._shadows.payload(device, secure), model.CONTENT_FORMAT_CBOR, etag)

    def reported(self, device: str, payload: bytes, now: Now) -> Reply:
        """Answer `PUT /s`: what the device says of its settings."""
        kind = self._kind_of(device)
        if kind is None:
            return _unknown(device)
        try:
            return _changed(self._shadows.report(device, kind, payload, now))
        except WireError as error:
            return _bad_request(error)

    def result(self, device: str, payload: bytes, now: Now) -> Reply:
        """Answer `POST /x`: what became of a command."""
        try:
            return _changed(self._commands.result(device, payload, now))
        except WireError as error:
            return _bad_request(error)

    def answered(self, device: str, payload: bytes, now: Now) -> Reply:
        """Take the content of a device's response to a `Request`; nothing is sent back, rows and `apply` count."""
        try:
            said = cbor.loads(payload)
        except WireError as error:
            return _bad_request(error)
        is_document = isinstance(said, dict) and isinstance(said.get(1), dict)  # pyright: ignore[reportUnknownMemberType]
        return (self.reported if is_document else self.result)(device, payload, now)

    def has_commands(self, device: str) -> bool:
        """Say whether `next_for` may have a command; cheap, for whoever asks at every reading."""
        return self._commands.are_waiting(device)

    def next_for(self, device: str, link: Link, now: Now, max_bytes: int) -> Request | None:
        """Return what to send to a device that can be reached now, its payload at most `max_bytes`; None: nothing.

        Over LoRaWAN that is the room of the frame less 1, for the token: 50 at SF12 without FOpts.
        """
        sending = self._commands.next_for(device, now)
        if sending is not None:
            return Request(coap.POST, model.PATH_COMMAND, sending.payload, sending.change)
        part = self._shadows.next_part(device, max_bytes, now) if link is Link.LORAWAN else None
        return None if part is None else Request(coap.PUT, model.PATH_SHADOW, part, None)


def _changed(change: Change | None) -> Reply:
    return Reply(coap.CHANGED) if change is None else Reply(coap.CHANGED, rows=change.rows, apply=change.apply)


def _unknown(device: str) -> Reply:
    return _problem(coap.FORBIDDEN, "Unknown device", f"device {device} stands nowhere on this site; add it")


def _bad_request(error: WireError) -> Reply:
    return _problem(coap.BAD_REQUEST, type(error).__name__, str(error))


def _problem(code: int, title: str, detail: str) -> Reply:
    return Reply(code, model.problem(title, detail[: limits.PROBLEM_CHARS]), model.CONTENT_FORMAT_PROBLEM)
