from coap_pair import CLIENT, SERVER, Pair
from oscore_ends import pair

from pave_wire import coap
from pave_wire.coap_block import Blocks
from pave_wire.coap_block_server import BlockServer
from pave_wire.coap_client import Client
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_oscore import OscoreSecurity

FORGED = [
    (coap.PROXY_URI, b"coap://x"),
    (coap.PROXY_SCHEME, b"coap"),
    (coap.URI_HOST, b""),
    (coap.URI_PORT, bytes(3)),
    (13, b""),
    (2049, b"?"),
]


def ends():
    """Return a `Pair` under OSCORE, and the server's context."""
    own, other = pair()
    client = Client(lambda n: 0, security=OscoreSecurity(own), blocks=Blocks(szx=2))
    server = Endpoint(lambda n: 7 % n, security=OscoreSecurity(other), block_server=BlockServer())
    return Pair(client, server), other


def with_option(data, option):
    message = coap.decode(data)
    message.options = coap.ordered(list(message.options) + [option])
    return coap.encode(message)


class Adding:
    """A `carry` that adds an option to one request by its place, 1 being the first, or for 0 to every response."""

    def __init__(self, option, place):
        self._option = option
        self._place = place
        self.requests = 0

    def __call__(self, data, from_client):
        self.requests += from_client
        here = self.requests == self._place if from_client else not self._place
        return with_option(data, self._option) if here else data


def post(made, payload=b"body"):
    return made.client.request(coap.POST, "r", SERVER, made.now_ms, payload)


def test_a_copy_with_an_option_added_meets_silence_and_the_genuine_request_is_answered():
    for option in FORGED:
        made, context = ends()
        post(made)
        ((data, _),) = made.client.datagrams_to_send(made.now_ms)
        assert made.server.receive_datagram(with_option(data, option), CLIENT, made.now_ms) == []
        assert made.server.datagrams_to_send(made.now_ms) == [] and made.server.next_timeout() is None, option
        assert context.sequence == 0
        made.asked += made.server.receive_datagram(data, CLIENT, made.now_ms)
        made.server.respond(made.asked[0], coap.CHANGED, made.now_ms, b"ok")
        made.settle()
        assert made.told[0].payload == b"ok"


def test_a_host_or_port_added_to_one_block_does_not_part_it_from_its_body():
    for option in ((coap.URI_HOST, b"x"), (coap.URI_PORT, b"\x01")):
        made, _ = ends()
        made.carry = Adding(option, 2)
        post(made, bytes(range(200)))
        made.settle()
        assert made.carry.requests == 4 and made.asked[0].payload == bytes(range(200)), option


def test_an_option_added_to_a_response_is_dropped():
    for option in FORGED:
        made, _ = ends()
        made.carry = Adding(option, 0)
        post(made)
        made.settle()
        made.server.respond(made.asked[0], coap.CHANGED, made.now_ms, b"ok")
        made.settle()
        assert made.told[0].payload == b"ok" and made.told[0].option(option[0]) is None, option


def test_while_the_window_is_lost_two_thousand_replays_are_answered_once():
    made, context = ends()
    token = post(made)
    ((data, _),) = made.client.datagrams_to_send(made.now_ms)
    context.lose_window(b"a random one")
    answers = []
    for mid in range(2000):
        copy = data[:2] + bytes((mid >> 8, mid & 0xFF)) + data[4:]
        assert made.server.receive_datagram(copy, CLIENT, made.now_ms) == []
        answers += made.server.datagrams_to_send(made.now_ms)
    assert len(answers) == 1 and context.sequence == 1
    # the honest client asks again, is challenged, and repeats its request with the Echo
    made.client.cancel(token)
    post(made)
    made.settle()
    assert context.sequence == 2 and len(made.asked) == 1 and made.asked[0].payload == b"body"
