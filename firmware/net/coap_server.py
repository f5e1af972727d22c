"""A `CoapLink` that serves as well: whoever waits on it, for whatever, answers requests meanwhile."""

from net.clock import now_ms
from net.coap_link import CoapLink
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_exchange import Request
from pave_wire.errors import WireError


class CoapServer(CoapLink):
    """As `CoapLink`, and `serve(code, path, payload)` returns (code, payload bytes, content-format or None).

    `serve` sees only what `security` has let through, each request once; it must not raise.
    """

    def __init__(self, serve, *args, **kwargs):
        self._serve = serve
        super().__init__(*args, **kwargs)

    def _made(self, *args, **kwargs):
        self._endpoint = Endpoint(args[0], max_retransmit=args[1], **kwargs)
        return self._endpoint

    def _event(self, event):
        if not isinstance(event, Request):
            super()._event(event)
            return
        code, payload, content_format = self._serve(event.code, event.path, event.payload)
        try:
            self._endpoint.respond(event, code, now_ms(), payload, content_format)
        except WireError as error:  # no room, or no number left: the gateway asks again
            print("request not answered:", error)
