# pyright: reportMissingTypeStubs=false
"""Peers and messages as aiocoap has them."""

from typing import Any

import aiocoap
from aiocoap import interfaces
from aiocoap.message import Direction

from pave_gateway.core.oscore_contexts import DeviceContext
from pave_gateway.ingress.coap_counters import host_of
from pave_gateway.ingress.coap_exchanges import Address, Incoming
from pave_wire import coap
from pave_wire.coap import Message

_BLOCK_BYTES = 1024  # and so the largest payload, options and seal beside it, that a datagram has room for


_EndpointAddress: Any = interfaces.EndpointAddress  # aiocoap has no types
_option_number: Any = aiocoap.OptionNumber


class Remote(_EndpointAddress):
    """A peer as aiocoap sees it: equal to another if both are the same device or, without OSCORE, the same address."""

    scheme = "coap"
    is_multicast = False
    is_multicast_locally = False
    hostinfo_local = "gateway"
    uri_base_local = "coap://gateway"
    maximum_payload_size = _BLOCK_BYTES
    maximum_block_size_exp = 6

    def __init__(self, context: DeviceContext | None, address: Address, request: Incoming | None = None) -> None:
        """`request` is the one that came from there, if this is the remote of a request."""
        self.context = context
        self.address = address
        self.request = request
        self.identity = address if context is None else context.device

    @property
    def device(self) -> str | None:
        """The device that is asking, None without OSCORE."""
        return None if self.context is None else self.context.device

    @property
    def hostinfo(self) -> str:
        """The device, or the host without OSCORE."""
        return self.device or host_of(self.address)

    @property
    def uri_base(self) -> str:
        """The same as a URI."""
        return f"coap://{self.hostinfo}"

    @property
    def authenticated_claims(self) -> tuple[str, ...]:
        """The device."""
        return () if self.context is None else (self.context.device,)

    @property
    def blockwise_key(self) -> object:
        """Whose blocks belong together."""
        return self.identity

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


def to_aiocoap(message: Message, remote: Remote) -> Any:
    """Return the message as aiocoap has them; raises aiocoap's errors and ValueError for an option that cannot be."""
    converted: Any = aiocoap.Message(code=message.code, payload=message.payload, _token=message.token)
    for number, value in message.options:
        converted.opt.add_option(_option_number(number).create_option(decode=value))
    converted.remote = remote
    converted.direction = Direction.INCOMING
    return converted


def options_of(message: Any) -> list[tuple[int, bytes]]:
    """Return the options of aiocoap's `message`; No-Response is a request's alone."""
    is_request = message.code.is_request()
    listed = [(int(option.number), option.encode()) for option in message.opt.option_list()]
    return [(number, value) for number, value in listed if is_request or number != coap.NO_RESPONSE]
