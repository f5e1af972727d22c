"""An endpoint of ours on a real UDP socket, a small site for it to serve, and a proxy that makes a path bad."""

import asyncio
import random
import time

from pave_wire import coap, coap_exchange, link_format
from pave_wire.coap_block import Blocks
from pave_wire.coap_block_server import BlockServer
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_message import MessageLayer
from pave_wire.coap_observe import Observers, Watching

BODY_BYTES = 1 << 17


def now_ms():
    return time.monotonic_ns() // 1_000_000


class UdpEndpoint(asyncio.DatagramProtocol):
    """`served(event)` gets the requests; `ask` waits for a response, `watch` yields notifications."""

    def __init__(self, seed, served=None, security=None):
        below = random.Random(seed).randrange
        self.endpoint = Endpoint(
            below,
            layer=MessageLayer(below, transmissions=64, remembered=4096),
            exchanges=64,
            blocks=Blocks(body_bytes=BODY_BYTES),
            block_server=BlockServer(body_bytes=BODY_BYTES),
            watching=Watching(below),
            observers=Observers(),
            security=security,
        )
        self._served = served
        self._waiting = {}
        self._timer = None

    async def open(self):
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    def close(self):
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()

    async def ask(self, code, path, address, payload=b"", **kwargs):
        events = self._ask(code, path, address, payload, **kwargs)
        return await asyncio.wait_for(events.get(), 120)

    def watch(self, path, address):
        return self._ask(coap.GET, path, address, options=[(coap.OBSERVE, b"")])

    def respond(self, *args, **kwargs):
        self.endpoint.respond(*args, **kwargs)
        self._pump()

    def notify(self, *args, **kwargs):
        self.endpoint.notify(*args, **kwargs)
        self._pump()

    def datagram_received(self, data, address):
        self._tell(self.endpoint.receive_datagram(data, address, now_ms()))

    def _ask(self, code, path, address, payload=b"", **kwargs):
        events = asyncio.Queue()
        self._waiting[self.endpoint.request(code, path, address, now_ms(), payload, **kwargs)] = events
        self._pump()
        return events

    def _tell(self, events):
        for event in events:
            if isinstance(event, coap_exchange.Request):
                self._served(event)
            else:
                self._waiting[event.token].put_nowait(event)
        self._pump()

    def _pump(self):
        for data, address in self.endpoint.datagrams_to_send(now_ms()):
            self._transport.sendto(data, address)
        if self._timer is not None:
            self._timer.cancel()
        due_ms = self.endpoint.next_timeout()
        if due_ms is not None:
            wait_s = max(0, due_ms - now_ms()) / 1000
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._expire)

    def _expire(self):
        self._tell(self.endpoint.handle_timeout(now_ms()))


class Site:
    """A server of ours: `/s` keeps what it is given, `/o` is observed, `/late` answers after an empty ACK."""

    LINKS = [("/s", [("rt", "urn:pave:store"), ("ct", "42")]), ("/o", [("obs", None)])]

    def __init__(self, seed, security=None):
        self.udp = UdpEndpoint(seed, self._serve, security)
        self.stored = b"nothing yet"
        self.state = b"0"
        self.writes = 0

    async def open(self):
        await self.udp.open()
        self.address = ("127.0.0.1", self.udp.port)
        return self

    def close(self):
        self.udp.close()

    def change(self, state):
        self.state = state
        self.udp.notify("o", coap.CONTENT, now_ms(), state)

    def _serve(self, request):
        path, now = request.path, now_ms()
        if path == link_format.PATH:
            self.udp.respond(request, coap.CONTENT, now, link_format.encode(self.LINKS), link_format.CONTENT_FORMAT)
        elif path == "o":
            self.udp.respond(request, coap.CONTENT, now, self.state, topic="o")
        elif path == "late":
            asyncio.get_running_loop().call_later(
                0.8, lambda: self.udp.respond(request, coap.CONTENT, now_ms(), b"at last")
            )
        elif path != "s":
            self.udp.respond(request, coap.NOT_FOUND, now)
        elif request.code == coap.GET:
            self.udp.respond(request, coap.CONTENT, now, self.stored)
        elif request.code in (coap.PUT, coap.POST):
            self.stored = request.payload
            self.writes += 1
            self.udp.respond(request, coap.CHANGED, now)
        else:
            self.udp.respond(request, coap.NOT_ALLOWED, now)


class BadPath(asyncio.DatagramProtocol):
    """A proxy to `server` that loses, repeats and delays datagrams both ways; one upstream socket per client."""

    def __init__(self, server, seed, loss, duplication=0.1, delay_s=0.02):
        self._server = server
        self._random = random.Random(seed)
        self._loss = loss
        self._duplication = duplication
        self._delay_s = delay_s
        self._upstreams = {}
        self._closed = False
        self.lost = self.repeated = self.passed = 0

    async def open(self):
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.address = self._transport.get_extra_info("sockname")
        return self

    def close(self):
        self._closed = True
        for upstream in self._upstreams.values():
            upstream.close()
        self._transport.close()

    def datagram_received(self, data, client):
        asyncio.get_running_loop().create_task(self._forward(data, client))

    async def _forward(self, data, client):
        if client not in self._upstreams:
            self._upstreams[client] = None
            back = _Back(lambda data: self._later(self._transport.sendto, data, client))
            loop = asyncio.get_running_loop()
            self._upstreams[client], _ = await loop.create_datagram_endpoint(lambda: back, remote_addr=self._server)
        while self._upstreams[client] is None:
            await asyncio.sleep(0)
        self._later(self._upstreams[client].sendto, data)

    def _later(self, send, *args):
        copies = 1
        if self._random.random() < self._duplication:
            copies = 2
            self.repeated += 1
        for _ in range(copies):
            if self._random.random() < self._loss:
                self.lost += 1
            else:
                self.passed += 1
                asyncio.get_running_loop().call_later(self._random.random() * self._delay_s, self._send, send, *args)

    def _send(self, send, *args):
        if not self._closed:
            send(*args)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, deliver):
        self._deliver = deliver

    def datagram_received(self, data, address):
        self._deliver(data)

    def error_received(self, error):
        pass
