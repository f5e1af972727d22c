from checks import raised
from coap_pair import CLIENT, SERVER, Pair

from pave_wire import coap, link_format
from pave_wire.coap_client import Client
from pave_wire.coap_echo import Freshness
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_exchange import Failed, Response
from pave_wire.errors import CoapError, WireError

STRANGER = ("192.0.2.66", 5683)


class Xor:
    """A security that anyone can break, to see the seam: payloads are flipped and marked with a binding."""

    def __init__(self, key=0x55):
        self._key = key
        self._sealed = 0

    def _flip(self, message, mark):
        payload = bytes(byte ^ self._key for byte in mark + message.payload)
        return coap.Message(message.type, message.code, message.mid, message.token, message.options, payload)

    def _open(self, message, mark):
        opened = self._flip(message, b"")
        plain = bytes(byte ^ self._key for byte in message.payload)
        if plain[: len(mark)] != mark:
            raise WireError("not sealed")
        opened.payload = plain[len(mark) :]
        return opened

    def seal_request(self, message, address):
        self._sealed += 1
        mark = b"%02d" % self._sealed
        return self._flip(message, b"q" + mark), mark

    def open_request(self, message, address):
        opened = self._open(message, b"q")
        mark, opened.payload = opened.payload[:2], opened.payload[2:]
        return opened, mark

    def seal_response(self, binding, message):
        return self._flip(message, b"a" + binding)

    def open_response(self, binding, message):
        return self._open(message, b"a" + binding)


def pair(client=None, **server):
    return Pair(client or Endpoint(lambda n: 0), Endpoint(lambda n: 7 % n, **server))


def post(made, **kwargs):
    return made.client.request(coap.POST, "a/b", SERVER, made.now_ms, b"body", 112, **kwargs)


def raw(made, options, type=coap.CON, code=coap.GET, mid=1):
    """Let the server receive a request, and return what it sends back."""
    data = coap.encode(coap.Message(type, code, mid, b"t", options))
    made.asked += made.server.receive_datagram(data, CLIENT, made.now_ms)
    return [coap.decode(data) for data, _ in made.server.datagrams_to_send(made.now_ms)]


def test_a_request_is_told_and_its_answer_comes_back():
    made = pair()
    token = post(made, options=[(coap.URI_QUERY, b"x=1")])
    made.settle()
    (request,) = made.asked
    assert (request.code, request.path, request.payload) == (coap.POST, "a/b", b"body")
    assert request.address == CLIENT and request.option(coap.URI_QUERY) == b"x=1"
    options = [(coap.MAX_AGE, b"\5"), (coap.ETAG, b"e")]
    made.server.respond(request, coap.CONTENT, made.now_ms, b"ok", 112, options)
    made.settle()
    (response,) = made.told
    assert isinstance(response, Response) and response.token == token and response.payload == b"ok"
    assert [number for number, _ in response.options] == [coap.ETAG, coap.CONTENT_FORMAT, coap.MAX_AGE]
    assert len(made.carried) == 2 and made.client.next_timeout() is None


def test_an_answer_that_takes_long_comes_by_itself():
    made = pair()
    post(made)
    made.settle()
    made.wait(5000)
    made.server.respond(made.asked[0], coap.CHANGED, made.now_ms)
    made.settle()
    assert made.told[0].code == coap.CHANGED
    types = [coap.decode(data).type for data, _ in made.carried]
    assert types == [coap.CON, coap.ACK, coap.CON, coap.ACK]
    assert made.client.next_timeout() is None and made.server.next_timeout() is None


def test_a_separate_response_whose_empty_ack_was_lost_ends_the_retransmission():
    made = pair()
    post(made)
    made.carry = lambda data, from_client: None if coap.decode(data).code == coap.EMPTY and not from_client else data
    made.wait(1000)
    made.server.respond(made.asked[0], coap.CHANGED, made.now_ms)
    made.wait(60_000)
    assert [e.code for e in made.told] == [coap.CHANGED] and len(made.asked) == 1


def test_a_non_confirmable_request_is_answered_by_a_non_confirmable_response_or_fails():
    made = pair()
    post(made, confirmable=False)
    made.settle()
    made.server.respond(made.asked[0], coap.CHANGED, made.now_ms)
    made.settle()
    assert made.told[0].code == coap.CHANGED
    assert [coap.decode(data).type for data, _ in made.carried] == [coap.NON, coap.NON]
    token = post(made, confirmable=False)
    made.wait(30_000)
    assert isinstance(made.told[1], Failed) and made.told[1].token == token and made.told[1].why == "timeout"


def test_a_client_alone_rejects_requests():
    made = Pair(Endpoint(lambda n: 0), Client(lambda n: 0))
    post(made)
    made.settle()
    assert made.told[0].why == "reset" and made.asked == []


def test_an_unknown_critical_option_is_a_bad_option_and_an_elective_one_is_nothing():
    made = pair()
    (answer,) = raw(made, [(coap.URI_PATH, b"r"), (2049, b"")])
    assert answer.code == coap.BAD_OPTION and b"2049" in answer.payload and made.asked == []
    assert raw(made, [(coap.URI_PATH, b"r"), (2048, b"")], mid=2) == [] and len(made.asked) == 1
    assert raw(made, [(2049, b"")], coap.NON, mid=3) == [] and len(made.asked) == 1


def test_critical_options_out_of_their_form_are_unknown_ones():
    made = pair()
    for mid, options in enumerate(
        (
            [(coap.ACCEPT, b"abc")],
            [(coap.ACCEPT, b"a"), (coap.ACCEPT, b"a")],
            [(coap.URI_PATH, bytes(256))],
            [(coap.BLOCK2, b"\6")],  # there is no block server
            [(5, b"")],  # If-None-Match
        )
    ):
        (answer,) = raw(made, options, mid=10 + mid)
        assert answer.code == coap.BAD_OPTION, options
    assert made.asked == []
    made = pair(understood=(5,))
    assert raw(made, [(5, b"")]) == [] and len(made.asked) == 1


def test_a_request_for_a_proxy_is_refused():
    made = pair()
    assert raw(made, [(coap.PROXY_URI, b"coap://x")])[0].code == coap.PROXYING_NOT_SUPPORTED


def test_a_path_that_is_no_text_or_hides_a_slash_is_a_bad_request():
    made = pair()
    assert raw(made, [(coap.URI_PATH, b"\xff")])[0].code == coap.BAD_REQUEST
    assert raw(made, [(coap.URI_PATH, b"a/b")], mid=2)[0].code == coap.BAD_REQUEST
    assert made.asked == []


def test_a_response_with_an_unknown_critical_option_fails_the_request():
    made = pair()
    post(made)
    made.settle()
    made.server.respond(made.asked[0], coap.CONTENT, made.now_ms, options=[(2049, b"")])
    made.settle()
    assert isinstance(made.told[0], Failed) and "2049" in made.told[0].why


def test_a_request_is_repeated_once_with_the_echo_it_is_asked_for():
    made = pair()
    freshness = Freshness(b"secret of a boot", 10_000)
    post(made)
    made.settle()
    assert not freshness.is_fresh(made.server, made.asked[0], made.now_ms)
    made.settle()
    assert made.told == [] and len(made.asked) == 2 and made.asked[1].payload == b"body"
    assert freshness.is_fresh(made.server, made.asked[1], made.now_ms)
    assert not freshness.is_fresh(made.server, made.asked[1], made.now_ms + 10_001)  # too old: challenged again
    made.settle()
    assert made.told[0].code == coap.UNAUTHORIZED  # and a second challenge is the caller's


def test_an_echo_that_is_forged_from_elsewhere_or_cut_is_not_fresh():
    made = pair()
    freshness = Freshness(b"secret of a boot", 10_000)
    value = freshness._value(CLIENT, made.now_ms)
    assert freshness._holds(value, CLIENT, made.now_ms)
    assert not freshness._holds(value, SERVER, made.now_ms)
    assert not freshness._holds(value, CLIENT, made.now_ms - 1)
    assert not Freshness(b"another secret", 10_000)._holds(value, CLIENT, made.now_ms)
    for wrong in (b"", value[:-1], value + b"\0", value[:-1] + bytes((value[-1] ^ 1,)), bytes(16)):
        assert not freshness._holds(wrong, CLIENT, made.now_ms), wrong


def test_security_sits_between_messages_and_requests_and_binds_responses():
    made = pair(Endpoint(lambda n: 0, security=Xor()), security=Xor())
    post(made)
    made.settle()
    assert made.asked[0].payload == b"body" and b"body" not in made.carried[0][0]
    made.server.respond(made.asked[0], coap.CHANGED, made.now_ms, b"ok")
    made.settle()
    assert made.told[0].payload == b"ok"


def test_what_does_not_pass_security_meets_silence_and_leaves_no_trace():
    made = pair(Endpoint(lambda n: 0, security=Xor()), security=Xor(0x33))
    post(made)
    made.settle()
    assert made.asked == [] and len(made.carried) == 1 and made.server.layer._known == {}
    # a forged response on the ACK does not end the request: the true one may still come
    sent = coap.decode(made.carried[0][0])
    forged = coap.Message(coap.ACK, coap.CHANGED, sent.mid, sent.token, [], b"forged")
    assert made.client.receive_datagram(coap.encode(forged), SERVER, made.now_ms) == []
    good = Xor().seal_response(b"01", coap.Message(coap.CON, coap.CHANGED, 99, sent.token, [], b"true"))
    (event,) = made.client.receive_datagram(coap.encode(good), SERVER, made.now_ms)
    assert event.payload == b"true"


def test_a_request_that_cannot_be_sealed_is_the_callers_error_and_is_not_open():
    class Unsealing(Xor):
        def seal_request(self, message, address):
            raise WireError("no number left")

    made = pair(Endpoint(lambda n: 0, security=Unsealing()))
    for _ in range(20):
        assert "no number" in str(raised(WireError, post, made))
    assert made.client.next_timeout() is None


def test_too_much_at_once_is_refused_to_the_caller():
    made = pair(Endpoint(lambda n: 0, exchanges=2))
    post(made)
    post(made)
    assert "2 requests" in str(raised(CoapError, post, made))


def test_resources_are_told_in_link_format():
    made = pair()
    made.client.request(coap.GET, link_format.PATH, SERVER, made.now_ms)
    made.settle()
    links = [("/r", [("rt", "urn:pave:readings"), ("ct", "112")])]
    made.server.respond(made.asked[0], coap.CONTENT, made.now_ms, link_format.encode(links), link_format.CONTENT_FORMAT)
    made.settle()
    assert link_format.parse(made.told[0].payload) == links


def both_ways(security):
    """A request of ours and one of the peer's under one message ID; return the endpoint, and the two as sent."""
    endpoint = Endpoint(lambda n: 0, security=security)
    endpoint.request(coap.GET, "a", SERVER, 0)
    ours = coap.decode(endpoint.datagrams_to_send(0)[0][0])
    theirs = Xor().seal_request(coap.Message(coap.CON, coap.POST, ours.mid, b"q", [(coap.URI_PATH, b"x")]), SERVER)[0]
    data = coap.encode(theirs)
    assert len(endpoint.receive_datagram(data, SERVER, 1)) == 1
    return endpoint, ours, data


def test_an_ack_that_does_not_pass_security_leaves_the_peers_message_of_its_id_known():
    endpoint, ours, theirs = both_ways(Xor())
    forged = coap.Message(coap.ACK, coap.CONTENT, ours.mid, ours.token, [], b"forged")
    assert endpoint.receive_datagram(coap.encode(forged), SERVER, 2) == []
    assert endpoint.receive_datagram(theirs, SERVER, 3) == []  # a duplicate, not to be acted on again


def test_a_response_on_an_ack_does_not_acknowledge_the_peers_message_of_its_id():
    endpoint, ours, _ = both_ways(Xor())
    good = Xor().seal_response(b"01", coap.Message(coap.ACK, coap.CONTENT, ours.mid, ours.token))
    assert len(endpoint.receive_datagram(coap.encode(good), SERVER, 2)) == 1
    assert endpoint.datagrams_to_send(2) == []  # the peer's request still waits for its answer


def test_forged_requests_do_not_push_out_what_is_remembered():
    endpoint = Endpoint(lambda n: 0, security=Xor())
    good = coap.Message(coap.CON, coap.POST, 1, b"q", [(coap.URI_PATH, b"x")])
    data = coap.encode(Xor().seal_request(good, CLIENT)[0])
    assert len(endpoint.receive_datagram(data, CLIENT, 0)) == 1
    for mid in range(100):
        forged = coap.encode(coap.Message(coap.CON, coap.POST, mid, b"q", [], b"forged"))
        assert endpoint.receive_datagram(forged, STRANGER, 1) == []
    assert endpoint.receive_datagram(data, CLIENT, 2) == []


def test_a_bad_path_of_any_length_is_answered():
    made = pair()
    (answer,) = raw(made, [(coap.URI_PATH, b"\xff" * 250)] * 3)
    assert answer.code == coap.BAD_REQUEST and 0 < len(answer.payload) <= 64
