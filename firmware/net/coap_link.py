"""Waiting for CoAP: one UDP socket, the sans-I/O client of `pave_wire`, and asyncio between them.

Whoever waits here, for a response or for the observation, reads the socket for both: one task uses a link.
"""

import asyncio
import random
import socket
from asyncio import core  # pyright: ignore[reportAttributeAccessIssue]  not in the stubs

from net.clock import now_ms
from pave_wire import coap, coap_client, limits
from pave_wire.coap_exchange import Notification, Request, Response
from pave_wire.coap_message import MAX_RETRANSMIT
from pave_wire.errors import WireError


class LinkError(OSError):
    """The gateway did not answer, or not as hoped; the message says which."""


class CoapLink:
    """Requests to the gateway at `host`:`port` (UDP), one at a time, and beside them observations.

    Args:
        watching: a `coap_observe.Watching`; who does not observe needs none.
        security: a `coap_oscore.OscoreSecurity`, which outlives the link, or None for plain CoAP.
    """

    def __init__(self, host, port, max_retransmit=MAX_RETRANSMIT, watching=None, security=None):
        self._address = socket.getaddrinfo(host, port)[0][-1]
        self._client = self._made(random_below, max_retransmit, security=security, watching=watching)
        self._socket = _open()
        self._told = {}  # by the token of an observation

    async def request(self, code, path, payload=b"", content_format=None):
        """Send a confirmable request and return its `coap_exchange.Response`, whatever its code.

        Raises:
            LinkError: no answer after all retransmissions, refused with a reset, or no network.
            OSError: what `security` had to store, it could not.
        """
        token = None
        try:
            token = self._client.request(code, path, self._address, now_ms(), payload, content_format)
            event = None
            while event is None:
                event = await self._turn(token)
        except WireError as error:
            raise LinkError(str(error))
        finally:
            if token is not None:
                self._client.cancel(token)
        if isinstance(event, Response):
            return event
        raise LinkError("no answer from %s: %s" % (self._address, event.why))

    def observe(self, path, told, query=None):
        """Observe `path`. While somebody waits here, `told` is called with each event (`coap_exchange`) as it comes.

        Anything but a Notification is the last. `told` must not raise.

        Raises:
            LinkError: it cannot be asked for.
        """
        options = [(coap.OBSERVE, b"")]
        if query is not None:
            options.append((coap.URI_QUERY, query.encode()))
        try:
            token = self._client.request(coap.GET, path, self._address, now_ms(), options=options)
        except WireError as error:
            raise LinkError(str(error))
        self._told[token] = told

    async def listen(self, until_ms):
        """Wait until `until_ms` at the latest for a datagram or a timer, and see to it."""
        await self._turn(None, until_ms)

    def close(self):
        """Give the socket back."""
        self._socket.close()

    def _made(self, *args, **kwargs):
        """Return the client of this link, made with these arguments."""
        return coap_client.Client(*args, **kwargs)

    def _event(self, event):
        """Take an event that is not the answer to the request under way."""
        told = self._told.get(event.token)
        if told is not None:
            if not isinstance(event, Notification):
                del self._told[event.token]
            told(event)

    async def _turn(self, token, until_ms=None):
        """Wait for one datagram or timer; return the event of the request `token`, None if it was something else."""
        self._send()
        own = None
        for event in await self._next_events(until_ms):
            if isinstance(event, Request) or event.token != token:
                self._event(event)
            else:
                own = event
        self._send()
        return own

    def _send(self):
        for data, address in self._client.datagrams_to_send(now_ms()):
            self._socket.sendto(data, address)  # pyright: ignore[reportArgumentType]  one of ours, or as it came

    async def _next_events(self, until_ms):
        due_ms = self._client.next_timeout()
        if due_ms is None or (until_ms is not None and until_ms < due_ms):
            due_ms = until_ms
        try:
            await asyncio.wait_for_ms(_readable(self._socket), max(0, due_ms - now_ms()))
        except asyncio.TimeoutError:
            return self._client.handle_timeout(now_ms())
        try:
            data, address = self._socket.recvfrom(limits.DATAGRAM_BYTES)
        except OSError:  # nothing after all
            return []
        if not data:
            # The ESP32 takes an empty datagram for the end of a stream, and reads nothing more from a socket until it
            # is connected (modsocket.c). That keeps its port, so who notifies us still finds us.
            self._socket.connect(self._address)
            return []
        return self._client.receive_datagram(data, address, now_ms())


def random_below(n):
    """Return a random int from 0 to n - 1."""
    return random.getrandbits(30) % n


def _open():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


async def _readable(sock):
    yield core._io_queue.queue_read(sock)  # as MicroPython's own asyncio.stream does
