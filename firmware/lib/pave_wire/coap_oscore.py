"""OSCORE between the message layer and the request layer of an endpoint with one peer: every device of ours has one."""

from pave_wire import oscore

TYPE_CHECKING = False  # what follows exists for type checkers alone; nothing of it runs on either runtime
if TYPE_CHECKING:
    from pave_wire.coap import Message
    from pave_wire.coap_message import Address
    from pave_wire.oscore import Exchange
    from pave_wire.oscore_context import Context


class OscoreSecurity:
    """What an endpoint takes as `security`: everything goes and comes under `context`.

    The owner stores the context's `window` when it changed, before it acts on or answers a request, and reserves its
    sequence numbers; see `oscore_context`.
    """

    def __init__(self, context: "Context") -> None:
        self._context = context

    def seal_request(self, message: "Message", address: "Address") -> "tuple[Message, Exchange]":
        """Return what travels, and what its responses need."""
        return oscore.seal_request(self._context, message)

    def open_response(self, binding: "Exchange", message: "Message") -> "Message":
        """Return the response inside; raises OscoreError."""
        return oscore.open_response(binding, message)

    def open_request(self, message: "Message", address: "Address") -> "tuple[Message, Exchange]":
        """Return the request inside, and what its responses need; raises OscoreError."""
        return oscore.open_request(self._context.find, message)

    def seal_response(self, binding: "Exchange", message: "Message") -> "Message":
        """Return what travels."""
        return oscore.seal_response(binding, message)
