"""The options of a request: which are acted on here, and what is answered where one is not (RFC 7252, 5.4)."""

from pave_gateway.core import limits
from pave_gateway.ingress.coap_telemetry import problem
from pave_wire import coap
from pave_wire.coap import ACK, Message

# Critical options that are acted on, and the most bytes each may have (RFC 7252, 5.10)
_UNDERSTOOD = {
    coap.URI_HOST: 255,
    coap.URI_PORT: 2,
    coap.URI_PATH: 255,
    coap.URI_QUERY: 255,
    coap.ACCEPT: 2,
    coap.BLOCK2: 3,
    coap.BLOCK1: 3,
}
_REPEATABLE = (coap.URI_PATH, coap.URI_QUERY)


def only_segment(message: Message) -> bytes:
    """Return the path of a request if it has one segment, b"" if it has none or more."""
    path = [value for number, value in message.options if number == coap.URI_PATH]
    return path[0] if len(path) == 1 else b""


def refusal(message: Message) -> Message | None:
    """Return the answer to a request with an option that cannot be acted on, None if there is none."""
    last = None
    for number, value in message.options:
        if number in (coap.PROXY_URI, coap.PROXY_SCHEME):
            return Message(ACK, coap.PROXYING_NOT_SUPPORTED, 0)
        if number & 1:
            again = number == last and number not in _REPEATABLE
            if again or len(value) > _UNDERSTOOD.get(number, -1):
                return Message(ACK, coap.BAD_OPTION, 0)
        last = number
    block = message.option(coap.BLOCK2)
    if block is not None and message.code != coap.GET and coap.uint_value(block) >> 4:  # it would act once more
        return Message(ACK, coap.BAD_OPTION, 0)
    block = message.option(coap.BLOCK1)
    if block is not None and coap.uint_value(block) >> 3:  # more blocks, or not the first: no request here needs two
        detail = f"a request has at most {limits.PACK_BYTES} bytes; send less at once"
        return problem(coap.TOO_LARGE, "Too large", detail)
    return None
