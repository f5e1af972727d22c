"""The lean ceiling: what Python can do at best with a sealed request, if nothing has to last.

CoAP header and OSCORE option read at fixed places, `pave_wire` opens the request and seals the bare 2.04, uvloop's UDP
transport sends it. Nothing looks inside the request, nothing knows a duplicate, nothing is stored. With `--read` the
report is read too, by the gateway's own reader: what is then left between this and the gateway is what lasts.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvloop

from benchmarks import _ingest_requests as requests
from benchmarks._ingest_ready import say_ready
from pave_gateway.ingress.coap_pack import usual
from pave_gateway.ingress.coap_telemetry import USUAL
from pave_wire import coap, oscore
from pave_wire.errors import OscoreReplayError, OscoreTagError
from pave_wire.oscore_context import FRESH_WINDOW, Context

_USUAL_BYTES = len(USUAL)
_BARE = bytes((coap.CHANGED,))
_SEALED = bytes((coap.OSCORE << 4, 0xFF))
_ACK_HEAD = tuple(bytes((0x60 | size, coap.CHANGED)) for size in range(9))


class Lean(asyncio.DatagramProtocol):
    """Answers every authentic request with 2.04."""

    def __init__(self, devices: int, reads: bool) -> None:
        self._contexts: dict[bytes, Context] = {}
        self._devices: dict[bytes, str] = {}
        self._reads = reads
        for keys in map(requests.keys_of, range(devices)):
            self._devices[keys.recipient_id] = keys.device
            self._contexts[keys.recipient_id] = Context(
                keys.master_secret, keys.master_salt, keys.sender_id, keys.recipient_id, 0, FRESH_WINDOW
            )

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.DatagramProtocol`."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take a request as sensors send it; anything else meets silence."""
        at = 4 + (data[0] & 0x0F)
        end = at + 1 + (data[at] & 0x0F)
        piv_end = at + 2 + (data[at + 1] & 7)
        context = self._contexts.get(data[piv_end:end])
        if context is None or data[1] != coap.POST or data[at] >> 4 != coap.OSCORE or data[end] != 0xFF:
            return
        try:
            plaintext, exchange = oscore.unseal_request(context, data[at + 2 : piv_end], data[end + 1 :])
        except (OscoreReplayError, OscoreTagError):
            return
        if self._reads and usual(plaintext[_USUAL_BYTES:], self._devices[context.recipient_id]) is None:
            return
        reply = _ACK_HEAD[at - 4] + data[2:at] + _SEALED + oscore.seal_once(exchange, _BARE)
        self._transport.sendto(reply, addr)


async def serve(devices: int, port: int, reads: bool) -> None:
    """Serve until the process is ended."""
    lean = Lean(devices, reads)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: lean, local_addr=("127.0.0.1", port))
    say_ready()
    await asyncio.Event().wait()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--read", action="store_true")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(given.devices, given.port, given.read))


if __name__ == "__main__":
    main()
