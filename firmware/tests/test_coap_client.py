from checks import raised

from pave_wire import coap, coap_client, limits
from pave_wire.coap_exchange import Response
from pave_wire.errors import CoapError

GATEWAY = ("192.0.2.1", 5683)
STRANGER = ("192.0.2.66", 5683)


def client(**kwargs):
    return coap_client.Client(lambda n: 0, **kwargs)


def post(endpoint, now_ms=0):
    """Open a POST and return (its token, the message sent)."""
    token = endpoint.request(coap.POST, "r", GATEWAY, now_ms, b"body", 112)
    ((data, address),) = endpoint.datagrams_to_send(now_ms)
    assert address == GATEWAY
    return token, coap.decode(data)


def answer(endpoint, message, now_ms=100, address=GATEWAY):
    return endpoint.receive_datagram(coap.encode(message), address, now_ms)


def test_a_piggybacked_response_closes_the_exchange():
    endpoint = client()
    token, request = post(endpoint)
    assert (request.type, request.path, request.payload) == (coap.CON, "r", b"body")
    (event,) = answer(endpoint, coap.Message(coap.ACK, coap.CHANGED, request.mid, token))
    assert isinstance(event, Response) and event.token == token and event.code == coap.CHANGED
    assert endpoint.next_timeout() is None


def test_an_unanswered_request_is_sent_again_with_doubled_waits_and_then_fails():
    endpoint = client()
    token, request = post(endpoint)
    sent_ms = []
    events = []
    while endpoint.next_timeout() is not None:
        now_ms = endpoint.next_timeout()
        assert endpoint.handle_timeout(now_ms - 1) == []
        events += endpoint.handle_timeout(now_ms)
        for data, _ in endpoint.datagrams_to_send(now_ms):
            assert coap.decode(data).mid == request.mid
            sent_ms.append(now_ms)
    assert sent_ms == [2000, 6000, 14000, 30000]  # RFC 7252, 4.2 with ACK_RANDOM_FACTOR at its lowest
    assert [event.why for event in events] == ["timeout"] and events[0].token == token


def test_fewer_retransmissions_can_be_chosen():
    endpoint = client(max_retransmit=0)
    post(endpoint)
    assert endpoint.handle_timeout(2000)[0].why == "timeout"


def test_a_separate_response_is_awaited_after_an_empty_ack_and_acknowledged():
    endpoint = client()
    token, request = post(endpoint)
    assert answer(endpoint, coap.Message(coap.ACK, coap.EMPTY, request.mid)) == []
    assert endpoint.handle_timeout(20000) == [] and endpoint.datagrams_to_send(0) == []
    (event,) = answer(endpoint, coap.Message(coap.CON, coap.CONTENT, 99, token, [], b"late"))
    assert event.payload == b"late"
    ((data, _),) = endpoint.datagrams_to_send(0)
    ack = coap.decode(data)
    assert (ack.type, ack.code, ack.mid) == (coap.ACK, coap.EMPTY, 99)


def test_a_separate_response_that_never_comes_is_a_time_out():
    endpoint = client()
    _, request = post(endpoint)
    answer(endpoint, coap.Message(coap.ACK, coap.EMPTY, request.mid), now_ms=1000)
    assert endpoint.next_timeout() == 1000 + coap_client.RESPONSE_MS
    assert endpoint.handle_timeout(endpoint.next_timeout())[0].why == "timeout"


def test_a_reset_fails_the_request():
    endpoint = client()
    _, request = post(endpoint)
    assert answer(endpoint, coap.Message(coap.RST, coap.EMPTY, request.mid))[0].why == "reset"


def test_answers_from_another_address_message_id_or_token_change_nothing():
    endpoint = client()
    token, request = post(endpoint)
    good = coap.Message(coap.ACK, coap.CHANGED, request.mid, token)
    assert answer(endpoint, good, address=STRANGER) == []
    assert answer(endpoint, coap.Message(coap.ACK, coap.CHANGED, request.mid ^ 1, token)) == []
    assert answer(endpoint, coap.Message(coap.ACK, coap.CHANGED, request.mid, b"??")) == []
    assert answer(endpoint, coap.Message(coap.RST, coap.EMPTY, request.mid), address=STRANGER) == []
    assert endpoint.receive_datagram(b"\xff\xff", GATEWAY, 100) == []
    assert len(answer(endpoint, good)) == 1


def test_a_duplicate_response_is_ignored_and_a_late_confirmable_one_is_reset():
    endpoint = client()
    token, request = post(endpoint)
    good = coap.Message(coap.ACK, coap.CHANGED, request.mid, token)
    assert len(answer(endpoint, good)) == 1
    assert answer(endpoint, good) == []
    assert answer(endpoint, coap.Message(coap.CON, coap.CHANGED, 5, token)) == []
    assert coap.decode(endpoint.datagrams_to_send(0)[0][0]).type == coap.RST


def test_open_exchanges_are_limited_and_can_be_cancelled():
    endpoint = client()
    for _ in range(limits.COAP_EXCHANGES):
        endpoint.request(coap.GET, "a", GATEWAY, 0)
    assert "open" in str(raised(CoapError, endpoint.request, coap.GET, "a", GATEWAY, 0))
    endpoint.cancel()
    assert endpoint.next_timeout() is None and endpoint.datagrams_to_send(0) == []


def test_a_request_too_large_for_a_datagram_is_refused_before_it_is_sent():
    endpoint = client()
    raised(CoapError, endpoint.request, coap.POST, "r", GATEWAY, 0, bytes(limits.DATAGRAM_BYTES))
    assert endpoint.datagrams_to_send(0) == [] and endpoint.next_timeout() is None


def test_a_separate_response_from_another_address_is_rejected_and_changes_nothing():
    endpoint = client()
    token, request = post(endpoint)
    answer(endpoint, coap.Message(coap.ACK, coap.EMPTY, request.mid))
    assert answer(endpoint, coap.Message(coap.CON, coap.CHANGED, 9, token), address=STRANGER) == []
    ((data, address),) = endpoint.datagrams_to_send(100)
    assert coap.decode(data).type == coap.RST and address == STRANGER
    assert len(answer(endpoint, coap.Message(coap.CON, coap.CHANGED, 10, token))) == 1


def test_an_ack_with_a_code_of_a_reserved_class_is_ignored():
    for code in (0x01, 0x20, 0x60, 0xC0, 0xE1):
        endpoint = client()
        token, request = post(endpoint)
        assert answer(endpoint, coap.Message(coap.ACK, code, request.mid, token)) == []
        assert endpoint.next_timeout() == 2000
        assert len(answer(endpoint, coap.Message(coap.ACK, coap.CHANGED, request.mid, token))) == 1
