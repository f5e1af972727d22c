"""Two of our endpoints over a network that loses, repeats and reorders, in virtual time."""

import random

import pytest
from host import coap_network

from pave_wire import coap, coap_exchange, limits
from pave_wire.coap_block import Blocks
from pave_wire.coap_block_server import BlockServer
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_message import MessageLayer
from pave_wire.coap_observe import Observers, Watching
from pave_wire.coap_oscore import OscoreSecurity
from pave_wire.errors import CoapError
from pave_wire.oscore_context import FRESH_WINDOW, Context

DEVICE, GATEWAY = ("192.0.2.9", 5683), ("192.0.2.1", 5683)


def security(own_id, peer_id):
    context = Context(bytes(range(16)), b"", own_id, peer_id, 0, FRESH_WINDOW)
    context.reserve(1 << 20)
    return OscoreSecurity(context)


class Site:
    """A client with requests of every kind, and a server that answers at once, late, or in pieces."""

    def __init__(self, seed, sealed=False):
        self.network = coap_network.Network(seed)
        self.random = random.Random(seed ^ 0x5EED)
        self.client = self._endpoint(security(b"c", b"s") if sealed else None)
        self.server = self._endpoint(security(b"s", b"c") if sealed else None)
        self.network.add(DEVICE, self.client, self.told_client)
        self.network.add(GATEWAY, self.server, self.told_server)
        self.asked = {}
        self.ended = {}
        self.notified = {}
        self.effects = []
        self.state = b"state 0"

    def _endpoint(self, sealing):
        below = self.random.randrange
        layer = MessageLayer(below, transmissions=32, remembered=64)
        return Endpoint(
            below,
            layer=layer,
            exchanges=16,
            blocks=Blocks(szx=2, body_bytes=4096),
            block_server=BlockServer(szx=2, body_bytes=4096, transfers=16),
            watching=Watching(below),
            observers=Observers(),
            security=sealing,
        )

    def ask(self, now_ms):
        """Send a random request whose body names it."""
        serial = len(self.asked)
        body = b"%d:" % serial + b"x" * self.random.choice((0, 10, 64, 65, 500))
        code, path = self.random.choice(((coap.POST, "r"), (coap.POST, "late"), (coap.PUT, "s"), (coap.GET, "long")))
        payload = b"" if code == coap.GET else body
        options = [(coap.URI_QUERY, b"%d" % serial)]
        confirmable = len(payload) < 64 and code != coap.GET and self.random.random() < 0.8
        confirmable = confirmable or len(payload) >= 64 or code == coap.GET
        try:
            token = self.client.request(code, path, GATEWAY, now_ms, payload, options=options, confirmable=confirmable)
        except CoapError:  # too many at once: it never began
            return
        self.asked[serial] = (token, path, payload)

    def told_client(self, event, now_ms):
        if isinstance(event, coap_exchange.Notification):
            self.notified.setdefault(event.token, []).append((now_ms, event.payload))
        else:
            self.ended.setdefault(event.token, []).append(event)

    def told_server(self, event, now_ms):
        query = event.option(coap.URI_QUERY)
        if event.path == "o":
            self.server.respond(event, coap.CONTENT, now_ms, self.state, topic="o")
            return
        self.effects.append((event.path, int(query), event.payload))
        if event.path == "late":
            answer_ms = now_ms + self.random.randrange(3000)
            self.network.at(answer_ms, lambda now_ms: self.answer(event, now_ms))
        else:
            self.answer(event, now_ms)

    def answer(self, request, now_ms):
        payload = (b"%d|" % int(request.option(coap.URI_QUERY))) * (1 if request.path != "long" else 200)
        try:
            self.server.respond(request, coap.CHANGED, now_ms, payload)
        except CoapError:  # no room for one more separate response: the client's time runs out
            pass


def run_requests(seed, requests=40, sealed=False):
    site = Site(seed, sealed)
    for _ in range(requests):
        site.network.at(site.network.now_ms + site.random.randrange(60_000), site.ask)
    site.network.run()
    return site


def check_requests(site):
    tokens = [token for token, _, _ in site.asked.values()]
    assert len(set(tokens)) == len(tokens)
    assert sorted(site.ended) == sorted(tokens), "requests without an end, or ends without a request"
    assert all(len(events) == 1 for events in site.ended.values()), "a request ended twice"
    writes = [(path, serial) for path, serial, _ in site.effects if path != "long"]
    assert len(writes) == len(set(writes)), "a request had its effect twice"
    for path, serial, payload in site.effects:
        assert path == site.asked[serial][1] and payload == site.asked[serial][2]
    for serial, (token, path, _) in site.asked.items():
        event = site.ended[token][0]
        if isinstance(event, coap_exchange.Response) and event.code == coap.CHANGED:
            assert event.payload == (b"%d|" % serial) * (200 if path == "long" else 1)
            assert path == "long" or (path, serial) in writes


def check_nothing_is_kept(endpoint):
    layer = endpoint.layer
    assert not endpoint._exchanges and not layer._peers and not layer._outgoing
    assert layer._room == 32 and endpoint.next_timeout() is None
    assert len(layer._known) <= len(layer._ring)
    assert len(layer._timers._heap) <= layer._timers._room


@pytest.mark.parametrize("seed", range(60))
def test_every_request_ends_exactly_once_and_acts_at_most_once(seed):
    site = run_requests(seed)
    check_requests(site)
    check_nothing_is_kept(site.client)
    check_nothing_is_kept(site.server)
    answered = [e for events in site.ended.values() for e in events if isinstance(e, coap_exchange.Response)]
    assert len(answered) > 10, "so much was lost that nothing was tested"


@pytest.mark.parametrize("seed", range(20))
def test_under_oscore_too_every_request_ends_exactly_once_and_acts_at_most_once(seed):
    site = run_requests(seed, sealed=True)
    check_requests(site)
    check_nothing_is_kept(site.client)
    check_nothing_is_kept(site.server)
    answered = [e for events in site.ended.values() for e in events if isinstance(e, coap_exchange.Response)]
    assert len(answered) > 10


@pytest.mark.long
def test_every_request_ends_exactly_once_over_two_thousand_networks():
    requests = datagrams = 0
    for seed in range(1000, 3000):
        site = run_requests(seed)
        try:
            check_requests(site)
            check_nothing_is_kept(site.client)
            check_nothing_is_kept(site.server)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        requests += len(site.asked)
        datagrams += site.network.datagrams
    print(f"{requests} requests in {datagrams} datagrams")


def test_without_the_memory_of_duplicates_an_effect_is_seen_twice(monkeypatch):
    receive = MessageLayer.receive_datagram

    def forgetful(layer, data, address, now_ms):
        layer._known.clear()
        return receive(layer, data, address, now_ms)

    monkeypatch.setattr(MessageLayer, "receive_datagram", forgetful)
    with pytest.raises(AssertionError, match="effect twice"):
        for seed in range(5):
            check_requests(run_requests(seed))


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_an_observer_ends_with_the_newest_state_whatever_is_lost(seed, sealed):
    site = Site(seed, sealed)
    site.network.loss = 0.1
    token = site.client.request(coap.GET, "o", GATEWAY, site.network.now_ms, options=[(coap.OBSERVE, b"")])

    def change(now_ms):
        site.state = b"state %d" % now_ms
        site.server.notify("o", coap.CONTENT, now_ms, site.state, options=[(coap.MAX_AGE, coap.uint(30))])

    for _ in range(50):
        site.network.at(site.network.now_ms + 2000 + site.random.randrange(45_000), change)
    site.network.run(site.network.now_ms + 400_000)
    assert token not in site.ended
    states = [payload for _, payload in site.notified[token]]
    assert states[-1] == site.state and len(states) > 2


def test_an_endpoint_under_a_flood_of_strangers_stays_within_its_bounds():
    rng = random.Random(7)
    server = Endpoint(rng.randrange, block_server=BlockServer(), observers=Observers())
    for i in range(20_000):
        address = ("198.51.100.%d" % rng.randrange(256), rng.randrange(65536))
        options = rng.choice(([], [(coap.OBSERVE, b"")], [(coap.BLOCK1, b"\x0e")], [(coap.BLOCK2, b"\x06")]))
        payload = bytes(1024) if options and options[0][0] == coap.BLOCK1 else b""
        message = coap.Message(rng.randrange(4), rng.choice((0, 1, 2, 69)), i & 0xFFFF, b"tt", options, payload)
        for event in server.receive_datagram(coap.encode(message) if message.code else b"\x40\0\0\0", address, i):
            if rng.random() < 0.5:
                try:
                    server.respond(event, coap.CONTENT, i, bytes(3000), topic="t")
                except CoapError:
                    pass
        if i % 50 == 0:
            server.notify("t", coap.CONTENT, i, bytes(3000))
        server.handle_timeout(i)
        server.datagrams_to_send(i)
    layer = server.layer
    assert len(layer._known) <= limits.COAP_REMEMBERED
    assert sum(len(queue) for queue in layer._peers.values()) <= limits.COAP_TRANSMISSIONS
    assert len(server._observers._observers) <= limits.COAP_OBSERVERS
    assert len(server.block_server._coming) <= limits.COAP_TRANSFERS
    assert len(server.block_server._going) <= limits.COAP_TRANSFERS
    assert len(layer._timers._heap) <= 128 and len(server.timers._heap) <= 128
