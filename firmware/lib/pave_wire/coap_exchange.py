"""What the request layer of CoAP tells its caller, and what it keeps for a request that has not ended."""

from pave_wire.coap import Message
from pave_wire.coap_timers import Timed

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from typing import Any, Protocol

    from pave_wire.coap_block import Download
    from pave_wire.coap_message import Address
    from pave_wire.coap_observe import Watch

    class Security(Protocol):
        """What seals messages between this layer and the one below; `coap_oscore` has one.

        What `seal_request` and `open_request` return second stays with the request and comes back with its responses.
        A WireError from the `open_` functions drops the message in silence; one from the others reaches the caller.
        """

        def seal_request(self, message: Message, address: Address) -> tuple[Message, Any]: ...
        def open_response(self, binding: Any, message: Message) -> Message: ...
        def open_request(self, message: Message, address: Address) -> tuple[Message, Any]: ...
        def seal_response(self, binding: Any, message: Message) -> Message: ...


class Response(Message):
    """Event: the response to a request, which is thereby over. `token` is what `request` returned."""

    __slots__ = ()

    def __init__(self, token: bytes, message: Message) -> None:
        super().__init__(message.type, message.code, message.mid, token, message.options, message.payload)


class Notification(Response):
    """Event: a response that others will follow."""

    __slots__ = ()


class Failed:
    """Event: no response will come. `why` is "timeout", "reset" or what was wrong with the response."""

    __slots__ = ("token", "why")

    def __init__(self, token: bytes, why: str) -> None:
        self.token = token
        self.why = why


class Exchange(Timed):
    """A request that has not ended. `id` is the token its caller knows, `token` the one that is on the wire."""

    __slots__ = ("address", "binding", "block", "echoed", "id", "message", "parent", "sent", "token", "watch")

    def __init__(self, token: bytes, message: Message, address: "Address") -> None:
        self.token = token
        self.id = token
        self.message = message  # as last sent, before it was sealed
        self.address = address
        self.binding: "Any" = None
        self.sent: "Any" = None  # the Transmission, while it goes on
        self.echoed = False
        self.block: "Download | None" = None
        self.watch: "Watch | None" = None
        self.parent: "Exchange | None" = None  # the observation for which this fetches the rest of a notification
        self.due_ms = None


class Request(Message):
    """Event: a request to be answered by `Endpoint.respond`, now or later; `token` is the client's.

    `address` is who asks; `binding` is what `security` keeps with it, None for plain CoAP.
    """

    __slots__ = ("address", "binding")

    def __init__(self, message: Message, address: "Address", binding: "Any") -> None:
        super().__init__(message.type, message.code, message.mid, message.token, message.options, message.payload)
        self.address = address
        self.binding = binding
