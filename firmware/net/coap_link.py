"""Waiting for CoAP: one UDP socket, the sans-I/O client of `pave_wire`, and asyncio between them."""

import asyncio
import random
import socket
from asyncio import core

from net.clock import now_ms
from pave_wire import coap_client, limits
from pave_wire.coap_exchange import Response
from pave_wire.coap_message import MAX_RETRANSMIT
from pave_wire.errors import WireError


class LinkError(OSError):
    """The gateway did not answer, or not as hoped; the message says which."""


class CoapLink:
    """Requests to the gateway at `host`:`port` (UDP), one at a time."""

    def __init__(self, host, port, max_retransmit=MAX_RETRANSMIT):
        self._address = socket.getaddrinfo(host, port)[0][-1]
        self._client = coap_client.Client(_random_below, max_retransmit)
        self._socket = _open()

    async def request(self, code, path, payload=b"", content_format=None):
        """Send a confirmable request and return its `coap_exchange.Response`, whatever its code.

        Raises:
            LinkError: no answer after all retransmissions, refused with a reset, or no network.
        """
        client = self._client
        try:
            client.request(code, path, self._address, now_ms(), payload, content_format)
            while True:
                for data, address in client.datagrams_to_send(now_ms()):
                    self._socket.sendto(data, address)
                for event in await self._next_events():
                    for data, address in client.datagrams_to_send(now_ms()):
                        self._socket.sendto(data, address)
                    if isinstance(event, Response):
                        return event
                    raise LinkError("no answer from %s: %s" % (self._address, event.why))
        except WireError as error:
            raise LinkError(str(error))
        finally:
            client.cancel()

    def close(self):
        """Give the socket back."""
        self._socket.close()

    async def _next_events(self):
        wait_ms = max(0, self._client.next_timeout() - now_ms())
        try:
            await asyncio.wait_for_ms(_readable(self._socket), wait_ms)
        except asyncio.TimeoutError:
            return self._client.handle_timeout(now_ms())
        try:
            data, address = self._socket.recvfrom(limits.DATAGRAM_BYTES)
        except OSError:  # nothing after all
            return []
        if not data:
            # An empty datagram closes the socket for good on the ESP32 (modsocket.c takes it for the end of a stream).
            self._socket.close()
            self._socket = _open()
            return []
        return self._client.receive_datagram(data, address, now_ms())


def _open():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


async def _readable(sock):
    yield core._io_queue.queue_read(sock)  # as MicroPython's own asyncio.stream does


def _random_below(n):
    return random.getrandbits(30) % n
