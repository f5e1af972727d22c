from coap_pair import CLIENT, SERVER, Pair

from pave_wire import coap
from pave_wire.coap_block import Blocks
from pave_wire.coap_block_server import BlockServer
from pave_wire.coap_echo import Freshness
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_exchange import Failed, Notification, Response
from pave_wire.coap_observe import DAY_MS, FRESH_MS, Observers, Watching

BODY = bytes(n % 251 for n in range(300))
OTHER_BODY = bytes(reversed(BODY))


def pair(observers=8):
    def none(n):
        return 0

    client = Endpoint(none, watching=Watching(none), blocks=Blocks(2))
    return Pair(client, Endpoint(lambda n: 7 % n, observers=Observers(observers), block_server=BlockServer(2)))


def observe(made, payload=b"first", **kwargs):
    """Let the client observe; return its token."""
    token = made.client.request(coap.GET, "o", SERVER, made.now_ms, options=[(coap.OBSERVE, b"")])
    made.settle()
    made.server.respond(made.asked.pop(), coap.CONTENT, made.now_ms, payload, topic="o", **kwargs)
    made.settle()
    return token


def notify(made, payload, code=coap.CONTENT, **kwargs):
    made.server.notify("o", code, made.now_ms, payload, **kwargs)


def payloads(made):
    return [event.payload for event in made.told]


def sent_by_server(made):
    return [coap.decode(data) for data, from_client in made.carried if not from_client]


def forged(made, token, number, payload, mid, type=coap.NON, **extra):
    """Let the client receive a notification with this Observe number."""
    options = [(coap.OBSERVE, coap.uint(number))] if number is not None else []
    message = coap.Message(type, extra.get("code", coap.CONTENT), mid, token, options, payload)
    made.told += made.client.receive_datagram(coap.encode(message), SERVER, made.now_ms)


def test_notifications_follow_the_first_response_until_one_is_final():
    made = pair()
    token = observe(made)
    notify(made, b"second")
    made.settle()
    notify(made, b"gone", coap.NOT_FOUND)
    made.settle()
    assert payloads(made) == [b"first", b"second", b"gone"]
    assert [type(event) for event in made.told] == [Notification, Notification, Response]
    assert all(event.token == token for event in made.told)
    notify(made, b"to nobody")
    made.settle()
    assert len(made.told) == 3 and made.client.next_timeout() is None and made.server.next_timeout() is None


def test_a_server_that_does_not_know_observing_gives_a_plain_response():
    made = pair()
    token = made.client.request(coap.GET, "o", SERVER, made.now_ms, options=[(coap.OBSERVE, b"")])
    made.settle()
    made.server.respond(made.asked[0], coap.CONTENT, made.now_ms, b"once")
    made.settle()
    assert type(made.told[0]) is Response and made.told[0].token == token and made.client.next_timeout() is None


def test_older_notifications_that_come_late_are_dropped():
    made = pair()
    token = observe(made)  # number 1
    forged(made, token, 5, b"5", 50)
    forged(made, token, 3, b"3", 51)
    forged(made, token, 5, b"5 again", 52)
    assert payloads(made) == [b"first", b"5"]
    forged(made, token, 5 + (1 << 23) - 1, b"far", 53)
    forged(made, token, 2, b"around the circle", 54)
    assert payloads(made)[2:] == [b"far", b"around the circle"]
    made.now_ms += FRESH_MS + 1
    forged(made, token, 1, b"restarted", 55)
    assert payloads(made)[4:] == [b"restarted"]


def test_while_a_notification_is_on_its_way_only_the_newest_state_follows():
    made = pair()
    observe(made)
    made.carry = lambda data, from_client: None if from_client else data  # acknowledgements are lost
    for n in range(5):
        notify(made, b"%d" % n)
        made.settle()
    assert payloads(made) == [b"first", b"0"]
    made.carry = lambda data, from_client: data
    made.wait(10_000)
    assert payloads(made) == [b"first", b"0", b"4"]


def test_a_client_that_forgot_rejects_and_a_dead_one_is_given_up():
    made = pair()
    observe(made)
    made.client.cancel()
    notify(made, b"x")
    made.settle()
    assert len(made.told) == 1 and made.server._observers._observers == []
    made = pair()
    observe(made)
    made.carry = lambda data, from_client: None
    notify(made, b"x")
    made.wait(100_000)
    assert made.server._observers._observers == [] and made.server._observers._latest == {}


def test_non_confirmable_notifications_can_be_rejected_by_their_id_and_address_alone():
    made = pair()
    observe(made)
    made.carry = lambda data, from_client: data if from_client else None
    notify(made, b"x", confirmable=False)
    ((data, _),) = made.server.datagrams_to_send(made.now_ms)
    message = coap.decode(data)
    assert message.type == coap.NON
    reset = coap.encode(coap.Message(coap.RST, coap.EMPTY, message.mid))
    made.server.receive_datagram(reset, SERVER, made.now_ms)
    made.server.receive_datagram(coap.encode(coap.Message(coap.RST, coap.EMPTY, 9)), CLIENT, made.now_ms)
    assert len(made.server._observers._observers) == 1
    made.server.receive_datagram(reset, CLIENT, made.now_ms)
    assert made.server._observers._observers == []


def test_once_a_day_a_notification_is_confirmable():
    made = pair()
    observe(made, options=[(coap.MAX_AGE, b"\xff\xff\xff\xff")])
    confirmable = []
    for hour in range(1, 50):
        made.now_ms += 3_600_000
        made.carried.clear()
        made.told.clear()
        notify(made, b"x", confirmable=False)
        made.settle()
        assert len(made.told) == 1
        if sent_by_server(made)[0].type == coap.CON:
            confirmable.append(hour)
    assert confirmable == [24, 48] and DAY_MS == 86_400_000


def test_the_client_registers_again_when_max_age_is_over():
    made = pair()
    token = observe(made, options=[(coap.MAX_AGE, b"\x0a")])
    assert made.client.next_timeout() == made.now_ms + 15_000
    made.server._observers = Observers()  # the server restarted, its numbers too
    made.wait(15_000)
    (request,) = made.asked
    assert request.option(coap.OBSERVE) == b"" and request.token == token
    made.server.respond(request, coap.CONTENT, made.now_ms, b"after the restart", topic="o")
    made.settle()
    notify(made, b"and on")
    made.settle()
    assert payloads(made) == [b"first", b"after the restart", b"and on"]


def test_a_max_age_of_zero_is_no_max_age_of_sixty_seconds():
    for options, over_ms in (([(coap.MAX_AGE, b"")], 5000), ([(coap.MAX_AGE, b"\0")], 5000), ([], 65_000)):
        made = pair()
        observe(made, options=options)
        made.wait(over_ms - 1)
        assert made.asked == [], options
        made.wait(1)
        assert len(made.asked) == 1, options


def test_an_observation_whose_server_is_gone_fails_at_its_renewal():
    made = pair()
    token = observe(made)
    made.carry = lambda data, from_client: None
    made.wait(200_000)
    assert isinstance(made.told[1], Failed) and made.told[1].token == token and made.client.next_timeout() is None


def test_a_renewal_replaces_the_observation_instead_of_adding_one():
    made = pair(observers=1)
    observe(made, options=[(coap.MAX_AGE, b"\1")])
    for _ in range(3):
        made.wait(6_000)
        made.server.respond(
            made.asked.pop(), coap.CONTENT, made.now_ms, b"s", topic="o", options=[(coap.MAX_AGE, b"\1")]
        )
        made.settle()
    assert len(made.told) == 4 and len(made.server._observers._observers) == 1


def test_observers_are_limited_and_one_too_many_gets_a_plain_response():
    made = pair(observers=1)
    observe(made)
    observe(made)
    assert [type(event) for event in made.told] == [Notification, Response]


def test_a_get_with_observe_1_ends_the_observation():
    made = pair()
    token = observe(made)
    options = [(coap.OBSERVE, b"\1"), (coap.URI_PATH, b"o")]
    data = coap.encode(coap.Message(coap.CON, coap.GET, 77, token, options))
    (request,) = made.server.receive_datagram(data, CLIENT, made.now_ms)
    made.server.respond(request, coap.CONTENT, made.now_ms, b"last", topic="o")
    assert made.server._observers._observers == []


def test_the_rest_of_a_long_notification_is_fetched():
    made = pair()
    token = observe(made, BODY)
    notify(made, OTHER_BODY)
    made.settle()
    notify(made, b"short")
    made.settle()
    assert payloads(made) == [BODY, OTHER_BODY, b"short"] and made.asked == []
    assert all(event.token == token and type(event) is Notification for event in made.told)


def test_a_newer_notification_stops_the_fetching_of_the_older():
    made = pair()
    observe(made)
    made.carry = lambda data, from_client: None if from_client and coap.decode(data).code else data
    notify(made, BODY)
    made.settle()  # its first block came, the requests for the others are lost
    notify(made, OTHER_BODY)
    made.settle()
    made.carry = lambda data, from_client: data
    made.wait(10_000)
    assert payloads(made) == [b"first", OTHER_BODY]


def test_a_newer_state_that_fits_one_message_stops_the_fetching_of_the_older():
    for code in (coap.CONTENT, coap.NOT_FOUND):
        made = pair()
        observe(made)
        late = []

        def hold(data, from_client, late=late):
            if from_client and coap.decode(data).code:
                late.append(data)
                return None
            return data

        made.carry = hold
        notify(made, BODY)
        made.settle()  # its first block came, the request for the second is held up
        made.carry = lambda data, from_client: data
        notify(made, b"new", code)
        made.settle()
        assert len(late) == 1
        made.server.receive_datagram(late[0], CLIENT, made.now_ms)
        made.wait(10_000)
        assert payloads(made) == [b"first", b"new"], code


def test_an_observation_closed_by_its_part_is_not_registered_again_in_the_same_pass():
    made = pair()
    observe(made)
    made.carry = lambda data, from_client: None if from_client and coap.decode(data).code else data
    notify(made, BODY)
    made.settle()
    (child,) = [exchange for exchange in made.client._exchanges.values() if exchange.parent is not None]
    ack = coap.encode(coap.Message(coap.ACK, coap.EMPTY, child.sent.mid))
    made.client.receive_datagram(ack, SERVER, made.now_ms)
    made.client.datagrams_to_send(made.now_ms)
    (event,) = made.client.handle_timeout(made.now_ms + 200_000)  # its answer and Max-Age are both overdue
    assert isinstance(event, Failed)
    assert made.client._exchanges == {} and made.client.datagrams_to_send(made.now_ms) == []


def test_observe_0_may_have_a_leading_zero_byte():
    for value, kind in ((b"\0", Notification), (b"\0\0\0", Notification), (b"\0\1", Response), (bytes(4), Response)):
        made = pair()
        token = made.client.request(coap.GET, "o", SERVER, made.now_ms, options=[(coap.OBSERVE, value)])
        made.settle()
        made.server.respond(made.asked[0], coap.CONTENT, made.now_ms, b"x", topic="o")
        made.settle()
        assert type(made.told[0]) is kind and made.told[0].token == token, value
        assert len(made.server._observers._observers) == (kind is Notification), value


def test_each_registration_may_be_challenged_once():
    made = pair()
    freshness = Freshness(b"secret of a boot", 1000)
    made.client.request(coap.GET, "o", SERVER, made.now_ms, options=[(coap.OBSERVE, b"")])
    for turn in range(2):
        made.settle()
        assert not freshness.is_fresh(made.server, made.asked[-1], made.now_ms), turn
        made.settle()
        assert freshness.is_fresh(made.server, made.asked[-1], made.now_ms), turn
        made.server.respond(made.asked[-1], coap.CONTENT, made.now_ms, b"%d" % turn, topic="o")
        made.wait(65_000)  # Max-Age
    assert payloads(made) == [b"0", b"1"]


def test_an_observer_that_is_gone_is_sent_nothing_again():
    made = pair()
    token = observe(made)
    made.carry = lambda data, from_client: None
    notify(made, b"x")
    made.settle()
    options = [(coap.OBSERVE, b"\1"), (coap.URI_PATH, b"o")]
    data = coap.encode(coap.Message(coap.NON, coap.GET, 77, token, options))
    assert len(made.server.receive_datagram(data, CLIENT, made.now_ms)) == 1
    assert made.server.next_timeout() is None
