from coap_pair import CLIENT, SERVER, Pair

from pave_wire import coap
from pave_wire.coap_block import Blocks, pack, unpack
from pave_wire.coap_block_server import BlockServer
from pave_wire.coap_echo import Freshness
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_exchange import Failed

BODY = bytes(n % 251 for n in range(1000))


def pair():
    return Pair(Endpoint(lambda n: 0, blocks=Blocks(2)), Endpoint(lambda n: 7 % n, block_server=BlockServer(2)))


def test_a_server_that_answers_each_block_by_itself_gets_all_of_them():
    client = Endpoint(lambda n: 0, blocks=Blocks(2))
    client.request(coap.PUT, "s", SERVER, 0, BODY)
    came, events = b"", []
    while not events:  # RFC 7959, 2.3: 2.04 and no more flag to every block
        ((data, _),) = client.datagrams_to_send(0)
        block = coap.decode(data)
        came += block.payload
        num, _, szx = unpack(block.option(coap.BLOCK1))
        answer = coap.Message(coap.ACK, coap.CHANGED, block.mid, block.token, [(coap.BLOCK1, pack(num, False, szx))])
        events = client.receive_datagram(coap.encode(answer), SERVER, 0)
    assert came == BODY and len(events) == 1 and events[0].code == coap.CHANGED


def test_a_block_that_was_not_sent_cannot_be_acknowledged():
    client = Endpoint(lambda n: 0, blocks=Blocks(2))
    client.request(coap.PUT, "s", SERVER, 0, BODY)
    block = coap.decode(client.datagrams_to_send(0)[0][0])
    answer = coap.Message(coap.ACK, coap.CONTINUE, block.mid, block.token, [(coap.BLOCK1, pack(1, True, 2))])
    (event,) = client.receive_datagram(coap.encode(answer), SERVER, 0)
    assert isinstance(event, Failed) and "block 1 acknowledged" in event.why


def test_a_long_request_that_is_challenged_begins_again_with_the_echo():
    made = pair()
    freshness = Freshness(b"secret of a boot", 10_000)
    made.client.request(coap.PUT, "s", SERVER, made.now_ms, BODY)
    made.settle()
    assert made.asked[0].payload == BODY and not freshness.is_fresh(made.server, made.asked[0], made.now_ms)
    made.settle()
    assert made.told == [] and made.asked[1].payload == BODY
    assert freshness.is_fresh(made.server, made.asked[1], made.now_ms)
    made.server.respond(made.asked[1], coap.CHANGED, made.now_ms)
    made.settle()
    assert [event.code for event in made.told] == [coap.CHANGED]
    sent = [coap.decode(data) for data, from_client in made.carried if from_client]
    assert [unpack(m.option(coap.BLOCK1))[0] for m in sent] == 2 * list(range(16))


def test_a_client_that_restarted_does_not_go_on_with_the_body_of_before():
    server = Endpoint(lambda n: 7 % n, block_server=BlockServer(2))

    def block_of(client):
        ((data, _),) = client.datagrams_to_send(0)
        asked = server.receive_datagram(data, CLIENT, 0)
        for answer, _ in server.datagrams_to_send(0):
            client.receive_datagram(answer, SERVER, 0)
        return asked

    clients = [Endpoint(lambda n, start=start: start % n, blocks=Blocks(2)) for start in (100, 5000)]
    for client, fill in zip(clients, (b"a", b"b")):
        client.request(coap.PUT, "s", SERVER, 0, 128 * fill)
        assert block_of(client) == []
    assert [request.payload for client in clients for request in block_of(client)] == [128 * b"a", 128 * b"b"]
    tags = {client.blocks._tag for client in clients}
    assert tags == {101, 5001}


def test_the_answer_to_a_block_before_the_last_is_no_body_to_keep():
    made = pair()
    options = [(coap.URI_PATH, b"s"), (coap.BLOCK2, pack(0, False, 1)), (coap.BLOCK1, pack(0, True, 2))]
    data = coap.encode(coap.Message(coap.CON, coap.PUT, 5, b"t", options, bytes(64)))
    assert made.server.receive_datagram(data, CLIENT, 0) == []
    answer = coap.decode(made.server.datagrams_to_send(0)[0][0])
    assert answer.code == coap.CONTINUE and [number for number, _ in answer.options] == [coap.BLOCK1]
    assert made.server.block_server._going == []
