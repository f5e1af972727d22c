from checks import raised

from pave_wire import coap, coap_message, limits
from pave_wire.coap_message import Delivery, MessageLayer, Received
from pave_wire.coap_timers import Timed, Timers
from pave_wire.errors import CoapError

PEER = ("192.0.2.1", 5683)
OTHER = ("192.0.2.2", 5683)


def layer(**kwargs):
    return MessageLayer(lambda n: 0, **kwargs)


def request(mid=7, type=coap.CON, token=b"t"):
    return coap.encode(coap.Message(type, coap.POST, mid, token, [(coap.URI_PATH, b"r")]))


def empty(type, mid):
    return coap.encode(coap.Message(type, coap.EMPTY, mid))


def sent_by(made, now_ms=0):
    return [coap.decode(data) for data, _ in made.datagrams_to_send(now_ms)]


def send(made, address=PEER, type=coap.CON):
    return made.send(coap.Message(type, coap.GET, 0, b"tk"), address)


def test_a_request_is_received_once_and_its_response_repeated_to_duplicates():
    made = layer()
    (event,) = made.receive_datagram(request(), PEER, 0)
    assert isinstance(event, Received) and event.address == PEER and event.message.path == "r"
    assert made.receive_datagram(request(), PEER, 10) == [] and sent_by(made) == []
    made.respond(coap.Message(coap.CON, coap.CHANGED, 0, b"t"), 7, PEER)
    for now_ms in (20, coap_message.EXCHANGE_LIFETIME_MS - 1):
        assert made.receive_datagram(request(), PEER, now_ms) == []
    answers = sent_by(made)
    assert [(a.type, a.code, a.mid) for a in answers] == [(coap.ACK, coap.CHANGED, 7)] * 3
    assert len(made.receive_datagram(request(), PEER, coap_message.EXCHANGE_LIFETIME_MS)) == 1


def test_a_request_not_answered_soon_gets_an_empty_ack_and_then_a_message_of_its_own():
    made = layer()
    made.receive_datagram(request(), PEER, 0)
    assert made.next_timeout() == coap_message.EMPTY_ACK_MS
    made.handle_timeout(coap_message.EMPTY_ACK_MS)
    (ack,) = sent_by(made)
    assert (ack.type, ack.code, ack.mid) == (coap.ACK, coap.EMPTY, 7)
    sent = made.respond(coap.Message(coap.CON, coap.CHANGED, 0, b"t"), 7, PEER)
    (separate,) = sent_by(made)
    assert (separate.type, separate.token) == (coap.CON, b"t") and sent.mid == separate.mid
    (event,) = made.receive_datagram(empty(coap.ACK, separate.mid), PEER, 900)
    assert isinstance(event, Delivery) and event.sent is sent and event.how == coap_message.ACKNOWLEDGED
    made.receive_datagram(request(), PEER, 1000)
    assert sent_by(made)[0].code == coap.EMPTY  # the duplicate learns what the original did


def test_the_same_message_id_from_another_address_is_another_message():
    made = layer()
    assert len(made.receive_datagram(request(), PEER, 0)) == 1
    assert len(made.receive_datagram(request(), OTHER, 0)) == 1


def test_a_non_confirmable_message_is_delivered_once_and_never_acknowledged():
    made = layer()
    assert len(made.receive_datagram(request(type=coap.NON), PEER, 0)) == 1
    assert made.receive_datagram(request(type=coap.NON), PEER, coap_message.NON_LIFETIME_MS - 1) == []
    assert made.next_timeout() is None and sent_by(made) == []
    assert len(made.receive_datagram(request(type=coap.NON), PEER, coap_message.NON_LIFETIME_MS)) == 1


def test_what_proves_forged_is_forgotten_so_the_true_message_still_arrives():
    made = layer()
    (event,) = made.receive_datagram(request(), PEER, 0)
    made.forget(event.message, PEER)
    assert made.next_timeout() is None and sent_by(made) == []
    assert len(made.receive_datagram(request(), PEER, 1)) == 1


def test_the_oldest_is_forgotten_when_more_is_received_than_is_remembered():
    made = layer(remembered=3)
    for mid in range(4):
        made.receive_datagram(request(mid), PEER, 0)
    assert made.receive_datagram(request(3), PEER, 1) == []
    assert made.receive_datagram(request(1), PEER, 1) == []
    assert len(made.receive_datagram(request(0), PEER, 1)) == 1


def test_one_confirmable_message_per_peer_is_under_way_and_the_next_follows_its_end():
    made = layer()
    first, second, other = send(made), send(made), send(made, OTHER)
    assert [m.mid for m in sent_by(made)] == [first.mid, other.mid]
    made.receive_datagram(empty(coap.ACK, first.mid), PEER, 50)
    assert [m.mid for m in sent_by(made, 50)] == [second.mid]
    assert made.next_timeout() == 2000  # of `other`; the second counts from when it left
    made.cancel(other)
    assert made.next_timeout() == 2050


def test_a_message_is_sent_again_with_doubled_waits_until_it_has_failed():
    made = layer()
    sent = send(made)
    sent_by(made)
    times, events = [], []
    while made.next_timeout() is not None:
        times.append(made.next_timeout())
        events += made.handle_timeout(times[-1])
        sent_by(made, times[-1])
    assert times == [2000, 6000, 14000, 30000, 62000]
    assert [(e.sent is sent, e.how) for e in events] == [(True, coap_message.TIMEOUT)]


def test_the_first_wait_is_spread_at_random_up_to_half_as_much_again():
    made = MessageLayer(lambda n: n - 1)
    send(made)
    sent_by(made)
    assert made.next_timeout() == 2999


def test_acks_and_resets_count_only_with_the_message_id_and_the_address():
    made = layer()
    sent = send(made)
    sent_by(made)
    for data, address in (
        (empty(coap.ACK, sent.mid), OTHER),
        (empty(coap.ACK, sent.mid + 1), PEER),
        (coap.encode(coap.Message(coap.ACK, coap.CHANGED, sent.mid, b"??")), PEER),
        (coap.encode(coap.Message(coap.ACK, coap.GET, sent.mid, b"tk")), PEER),
        (coap.encode(coap.Message(coap.RST, coap.CHANGED, sent.mid, b"tk")), PEER),
    ):
        assert made.receive_datagram(data, address, 1) == []
    (stray,) = made.receive_datagram(empty(coap.RST, sent.mid), OTHER, 1)
    assert stray.sent is None and stray.address == OTHER and stray.mid == sent.mid
    (event,) = made.receive_datagram(empty(coap.RST, sent.mid), PEER, 1)
    assert event.sent is sent and event.how == coap_message.RESET and made.next_timeout() is None


def test_a_ping_a_reserved_code_and_a_malformed_message_are_reset():
    made = layer()
    for data in (b"\x40\0\0\7", b"\x40\x20\0\7", b"\x40\xff\0\7", b"\x40\x01\0\7\xff", b"\x4f\x01\0\7"):
        assert made.receive_datagram(data, PEER, 0) == []
        (reset,) = sent_by(made)
        assert (reset.type, reset.code, reset.mid) == (coap.RST, coap.EMPTY, 7), data
    for data in (b"", b"\x40", b"\x50\0\0\7", b"\x80\0\0\7", b"\x50\x01\0\7\xff"):
        assert made.receive_datagram(data, PEER, 0) == [] and sent_by(made) == []


def test_a_rejected_message_is_rejected_again_when_it_comes_again():
    made = layer()
    (event,) = made.receive_datagram(request(), PEER, 0)
    made.reject(event.message, PEER)
    made.receive_datagram(request(), PEER, 1)
    assert [m.type for m in sent_by(made)] == [coap.RST, coap.RST]


def test_transmissions_are_limited_and_each_end_makes_room():
    made = layer(transmissions=2)
    first, _ = send(made), send(made)
    assert "too many" in str(raised(CoapError, send, made))
    send(made, type=coap.NON)
    made.cancel(first)
    made.cancel(first)
    send(made)
    raised(CoapError, send, made)


def test_a_message_that_cannot_be_encoded_takes_no_room():
    made = layer(transmissions=1)
    long = coap.Message(coap.CON, coap.POST, 0, b"t", [], bytes(limits.DATAGRAM_BYTES))
    raised(CoapError, made.send, long, PEER)
    assert sent_by(made) == []
    send(made)
    assert len(sent_by(made)) == 1


def test_what_is_cancelled_before_it_left_is_not_sent():
    made = layer()
    made.cancel(send(made))
    assert sent_by(made) == [] and made.next_timeout() is None


def test_timers_tell_the_longest_due_first_and_drop_what_was_replaced():
    timers = Timers()
    items = [Timed() for _ in range(5)]
    for due_ms, item in zip((50, 10, 40, 20, 30), items):
        timers.set(item, due_ms)
    timers.set(items[1], 45)
    timers.set(items[3], None)
    assert timers.next() == 30
    assert timers.due(29) == []
    assert timers.due(45) == [items[4], items[2], items[1]]
    assert timers.next() == 50
    for n in range(1000):
        timers.set(items[0], n)
    assert len(timers._heap) < 100 and timers.due(2000) == [items[0]]


def test_a_message_forgotten_at_once_gives_its_place_back_to_the_one_it_pushed_out():
    made = layer(remembered=3)
    for mid in range(3):
        made.receive_datagram(request(mid), PEER, mid)
    for mid in range(10, 20):
        (event,) = made.receive_datagram(request(mid), OTHER, 3)
        made.forget(event.message, OTHER)
    assert all(made.receive_datagram(request(mid), PEER, 4) == [] for mid in range(3))
    assert made.next_timeout() == coap_message.EMPTY_ACK_MS  # the first still waits for its answer
    made.handle_timeout(coap_message.EMPTY_ACK_MS + 2)
    assert [m.mid for m in sent_by(made)] == [0, 1, 2]
    made.receive_datagram(request(3), PEER, 5)  # and the order is as if nothing had come between
    assert made.receive_datagram(request(1), PEER, 6) == [] and len(made.receive_datagram(request(0), PEER, 6)) == 1


def test_a_message_forgotten_late_gives_no_place_back_that_is_another_s():
    made = layer(remembered=2)
    (first,) = made.receive_datagram(request(0), PEER, 0)
    made.receive_datagram(request(1), PEER, 0)
    made.forget(first.message, PEER)
    made.receive_datagram(request(2), PEER, 0)
    assert made.receive_datagram(request(1), PEER, 1) == [] and made.receive_datagram(request(2), PEER, 1) == []
    for mid in range(3, 9):
        made.receive_datagram(request(mid), PEER, 2)
    assert len(made.receive_datagram(request(1), PEER, 3)) == 1 and len(made._known) == 2


def test_lifetimes_are_those_of_rfc_7252():
    # 4.8.2, in ms: MAX_TRANSMIT_SPAN 45 s + 2 * MAX_LATENCY 100 s + PROCESSING_DELAY 2 s; 45 s + 100 s
    assert coap_message.EXCHANGE_LIFETIME_MS == 247_000 and coap_message.NON_LIFETIME_MS == 145_000
