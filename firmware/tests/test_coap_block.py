from checks import raised
from coap_pair import CLIENT, SERVER, Pair

from pave_wire import coap, coap_block, limits
from pave_wire.coap_block import Blocks, pack, unpack
from pave_wire.coap_block_server import KEPT_MS, BlockServer
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_exchange import Failed
from pave_wire.errors import CoapError

BODY = bytes(n % 251 for n in range(1000))
OTHER_BODY = bytes(reversed(BODY))
LONG_BODY = BODY + BODY[:100]  # more than the largest block
_mids = [100]  # message IDs used by `ask`


def pair(client_szx=2, server_szx=2, server=None, **client):
    return Pair(
        Endpoint(lambda n: 0, blocks=Blocks(client_szx, **client)),
        Endpoint(lambda n: 7 % n, block_server=server or BlockServer(server_szx)),
    )


def serve(made, payload=b"", code=coap.CONTENT, **kwargs):
    """Carry everything; answer every request that comes."""
    made.settle()
    answered = 0
    while answered < len(made.asked):
        made.server.respond(made.asked[answered], code, made.now_ms, payload, **kwargs)
        answered += 1
        made.settle()
    return answered


def requests(made):
    return [coap.decode(data) for data, from_client in made.carried if from_client]


def blocks_of(messages, number):
    return [unpack(m.option(number)) for m in messages if m.option(number) is not None]


def test_the_block_values_of_rfc_7959_are_packed():
    # RFC 7959, 3.1 and 3.2: 2:0/1/128, 2:1/1/128, 1:3/0/128
    assert pack(0, True, 3) == b"\x0b" and pack(1, True, 3) == b"\x1b" and pack(3, False, 3) == b"\x33"
    assert pack(0, False, 0) == b"" and unpack(b"") == (0, False, 0)
    assert pack(1 << 19, True, 6) == b"\x80\x00\x0e" and unpack(b"\x80\x00\x0e") == (1 << 19, True, 6)
    raised(CoapError, unpack, b"\x07")
    raised(CoapError, unpack, b"\0\0\0\0")


def test_a_long_request_goes_in_blocks_and_arrives_whole():
    made = pair()
    made.client.request(coap.PUT, "s", SERVER, made.now_ms, BODY, 42)
    assert serve(made, code=coap.CHANGED) == 1
    (request,) = made.asked
    assert request.payload == BODY and request.path == "s" and request.option(coap.CONTENT_FORMAT) == b"\x2a"
    sent = requests(made)
    assert blocks_of(sent, coap.BLOCK1) == [(n, n < 15, 2) for n in range(16)]
    assert coap.uint_value(sent[0].option(coap.SIZE1)) == 1000
    assert len({m.option(coap.REQUEST_TAG) for m in sent}) == 1 and len({m.token for m in sent}) == 16
    assert made.told[0].code == coap.CHANGED and len(made.told) == 1


def test_a_long_response_comes_in_blocks_and_arrives_whole():
    made = pair()
    token = made.client.request(coap.GET, "s", SERVER, made.now_ms)
    assert serve(made, BODY, content_format=42) == 1  # the application is asked once; the blocks are of one moment
    (response,) = made.told
    assert response.payload == BODY and response.token == token and response.option(coap.CONTENT_FORMAT) == b"\x2a"
    assert response.option(coap.BLOCK2) is None and response.option(coap.ETAG)
    assert blocks_of(requests(made), coap.BLOCK2) == [(n, False, 2) for n in range(16)]


def test_a_long_request_with_a_long_response_works_too():
    made = pair()
    made.client.request(coap.POST, "x", SERVER, made.now_ms, BODY)
    assert serve(made, OTHER_BODY) == 1
    assert made.asked[0].payload == BODY and made.told[0].payload == OTHER_BODY


def test_the_smaller_size_of_block_wins_in_each_direction():
    body, other_body = BODY[:300], OTHER_BODY[:300]  # every datagram is kept: the VM has little memory
    for client_szx, server_szx in ((4, 1), (1, 4)):
        made = pair(client_szx, server_szx)
        made.client.request(coap.PUT, "s", SERVER, made.now_ms, body)
        serve(made, other_body)
        assert made.asked[0].payload == body and made.told[0].payload == other_body
        del made.carried[0]  # the first block may be larger
        for data, _ in made.carried:
            raw = coap.decode(data).option(coap.BLOCK1)
            assert raw is None or unpack(raw)[2] == 1
    made = pair(1, 4)  # a client that wants small blocks says so in its first request
    made.client.request(coap.GET, "s", SERVER, made.now_ms)
    serve(made, body)
    assert made.told[0].payload == body
    assert max(len(coap.decode(data).payload) for data, _ in made.carried) == 32


def test_a_server_that_finds_the_first_block_too_large_is_offered_smaller_ones():
    made = pair(6, 6)
    made.client.request(coap.PUT, "s", SERVER, made.now_ms, LONG_BODY)
    (data, _) = made.client.datagrams_to_send(0)[0]
    first = coap.decode(data)
    refusal = coap.Message(coap.ACK, coap.TOO_LARGE, first.mid, first.token, [(coap.BLOCK1, pack(0, False, 3))])
    assert made.client.receive_datagram(coap.encode(refusal), SERVER, 0) == []
    serve(made, code=coap.CHANGED)
    assert made.asked[0].payload == LONG_BODY and blocks_of(requests(made), coap.BLOCK1)[0] == (0, True, 3)


def test_one_block_that_the_caller_asks_for_is_what_it_gets():
    made = pair(6)
    options = [(coap.BLOCK2, pack(3, False, 2))]
    made.client.request(coap.GET, "f/1", SERVER, made.now_ms, options=options)
    assert serve(made, BODY) == 1
    assert made.told[0].payload == BODY[192:256]
    assert unpack(made.told[0].option(coap.BLOCK2)) == (3, True, 2)


def test_a_get_for_a_later_block_is_asked_of_the_application_when_the_rest_is_no_longer_kept():
    made = pair()
    made.client.request(coap.GET, "s", SERVER, made.now_ms)
    made.settle()
    made.server.block_server = BlockServer(2)  # it restarted
    assert serve(made, BODY) > 1 or made.told
    assert made.told[0].payload == BODY


def test_a_change_between_two_blocks_fails_the_request():
    made = pair()
    made.client.request(coap.GET, "s", SERVER, made.now_ms)
    made.settle()
    made.server.respond(made.asked[0], coap.CONTENT, made.now_ms, BODY)
    made.carry = lambda data, from_client: None if from_client else data  # the second request is lost
    made.settle()
    made.carry = lambda data, from_client: data
    made.server.block_server = BlockServer(2)
    made.wait(5000)
    made.server.respond(made.asked[1], coap.CONTENT, made.now_ms, OTHER_BODY)
    made.settle()
    assert isinstance(made.told[0], Failed) and "changed" in made.told[0].why


def ask(made, num, more, payload, tag=b"\1", code=coap.PUT, address=CLIENT, size1=None):
    """Let the server receive a block; return the code it answers with, or None if the application is asked."""
    options = [(coap.URI_PATH, b"s"), (coap.BLOCK1, pack(num, more, 2)), (coap.REQUEST_TAG, tag)]
    if size1:
        options = coap.replaced(options, coap.SIZE1, coap.uint(size1))
    _mids.append(_mids[-1] + 1)
    data = coap.encode(coap.Message(coap.CON, code, _mids[-1], b"t", options, payload))
    made.asked += made.server.receive_datagram(data, address, made.now_ms)
    answers = made.server.datagrams_to_send(made.now_ms)
    return coap.decode(answers[0][0]).code if answers else None


def test_blocks_out_of_order_or_of_another_upload_do_not_mix():
    made = pair()
    assert ask(made, 0, True, b"a" * 64) == coap.CONTINUE
    assert ask(made, 2, True, b"c" * 64) == coap.INCOMPLETE
    assert ask(made, 1, True, b"b" * 64, tag=b"\2") == coap.INCOMPLETE
    assert ask(made, 1, True, b"b" * 64, address=SERVER) == coap.INCOMPLETE
    assert ask(made, 1, True, b"b" * 64, code=coap.POST) == coap.INCOMPLETE
    assert ask(made, 1, True, b"b" * 64) == coap.CONTINUE
    assert ask(made, 1, True, b"b" * 64) == coap.CONTINUE  # sent again in another message: not taken twice
    assert ask(made, 1, True, b"x" * 64) == coap.INCOMPLETE
    assert ask(made, 2, False, b"c") is None
    assert made.asked[0].payload == b"a" * 64 + b"b" * 64 + b"c"
    assert ask(made, 2, False, b"c") == coap.INCOMPLETE  # it was delivered and is gone


def test_an_upload_that_begins_again_replaces_the_first():
    made = pair()
    assert ask(made, 0, True, b"a" * 64) == coap.CONTINUE
    assert ask(made, 0, True, b"z" * 64) == coap.CONTINUE
    assert ask(made, 1, False, b"y") is None
    assert made.asked[0].payload == b"z" * 64 + b"y"


def test_a_body_that_is_too_long_is_refused_as_soon_as_that_is_known():
    made = pair(server=BlockServer(2, body_bytes=100))
    assert ask(made, 0, True, b"a" * 64, size1=101) == coap.TOO_LARGE
    assert ask(made, 0, True, b"a" * 64, size1=100) == coap.CONTINUE
    assert ask(made, 1, False, b"a" * 37) == coap.TOO_LARGE
    assert ask(made, 1, False, b"a") == coap.INCOMPLETE
    made = pair(body_bytes=500)
    made.client.request(coap.GET, "s", SERVER, made.now_ms)
    serve(made, BODY)
    assert "500" in made.told[0].why


def test_uploads_are_limited_and_one_that_stops_makes_room():
    made = pair()
    for n in range(limits.COAP_TRANSFERS):
        assert ask(made, 0, True, b"a" * 64, tag=bytes((n,))) == coap.CONTINUE
    assert ask(made, 0, True, b"a" * 64, tag=b"x") == coap.SERVICE_UNAVAILABLE
    made.now_ms += KEPT_MS
    assert ask(made, 0, True, b"a" * 64, tag=b"x") == coap.CONTINUE


def test_a_block_of_a_size_it_does_not_say_is_a_bad_request():
    made = pair()
    assert ask(made, 0, True, b"a" * 63) == coap.BAD_REQUEST
    data = coap.encode(coap.Message(coap.CON, coap.GET, 5, b"t", [(coap.BLOCK2, b"\x07")]))
    assert made.server.receive_datagram(data, CLIENT, 0) == []
    assert coap.decode(made.server.datagrams_to_send(0)[0][0]).code == coap.BAD_REQUEST


def test_a_later_block_of_an_answer_to_a_post_that_is_gone_is_incomplete():
    made = pair()
    options = [(coap.URI_PATH, b"x"), (coap.BLOCK2, pack(1, False, 2))]
    data = coap.encode(coap.Message(coap.CON, coap.POST, 5, b"t", options))
    assert made.server.receive_datagram(data, CLIENT, 0) == []
    assert coap.decode(made.server.datagrams_to_send(0)[0][0]).code == coap.INCOMPLETE


def test_a_block_past_the_end_is_a_bad_request():
    made = pair()
    made.client.request(coap.GET, "s", SERVER, made.now_ms, options=[(coap.BLOCK2, pack(99, False, 2))])
    serve(made, BODY)
    assert made.told[0].code == coap.BAD_REQUEST


def test_a_server_that_answers_blocks_wrongly_fails_the_request():
    for option, value in ((coap.BLOCK2, pack(3, True, 2)), (coap.BLOCK2, b"\x07"), (coap.BLOCK1, pack(0, False, 2))):
        made = Pair(Endpoint(lambda n: 0, blocks=coap_block.Blocks(2)), Endpoint(lambda n: 7 % n))
        made.client.request(coap.GET, "s", SERVER, made.now_ms)
        (data, _) = made.client.datagrams_to_send(0)[0]
        sent = coap.decode(data)
        answer = coap.Message(coap.ACK, coap.CONTENT, sent.mid, sent.token, [(option, value)], bytes(64))
        (event,) = made.client.receive_datagram(coap.encode(answer), SERVER, 0)
        assert isinstance(event, Failed) == (option == coap.BLOCK2)
