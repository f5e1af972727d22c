from checks import raised
from oscore_ends import exchanged, observed, pair, request, response

from pave_wire import coap, oscore
from pave_wire.coap import CONTENT, GET, NON, Message
from pave_wire.errors import (
    OscoreEchoError,
    OscoreFormatError,
    OscoreNonceError,
    OscoreReplayError,
    OscoreTagError,
)


def test_observe_is_fetch_and_content_outside_and_empty_inside_notifications():
    client, server = pair()
    outer, asked = oscore.seal_request(client, request((coap.OBSERVE, b""), (coap.URI_PATH, b"a")))
    assert outer.code == coap.FETCH and outer.option(coap.OBSERVE) == b""
    outer.options = [option for option in outer.options if option[0] != coap.OBSERVE]  # a proxy may drop it
    opened, answered = oscore.open_request(server.find, outer)
    assert opened.code == GET and opened.option(coap.OBSERVE) == b""
    for number in range(3):
        outer = oscore.seal_response(answered, response((coap.OBSERVE, b"\x99"), payload=b"p", kind=NON), number == 0)
        assert outer.code == CONTENT and outer.option(coap.OBSERVE) == b"\x99"
        opened = oscore.open_response(asked, outer)
        assert opened.option(coap.OBSERVE) == (b"", b"", b"\x01")[number]  # none, Partial IV 0, Partial IV 1
        assert opened.payload == b"p"


def test_a_cancellation_is_no_observation():
    asked, answered, outer = exchanged(request((coap.OBSERVE, b"\x01")))
    assert outer.code == coap.FETCH and not asked.observing
    raised(
        OscoreFormatError, oscore.open_response, asked, oscore.seal_response(answered, response((coap.OBSERVE, b"")))
    )
    oscore.open_response(asked, oscore.seal_response(answered, response()))


def test_notifications_are_taken_in_ascending_order_only():
    asked, answered = observed()
    oldest = oscore.seal_response(answered, response((coap.OBSERVE, b"")), True)
    later = [oscore.seal_response(answered, response((coap.OBSERVE, b""), payload=b"%d" % n)) for n in range(4)]
    assert oscore.open_response(asked, later[1]).payload == b"1"
    for outer in (oldest, later[0], later[1]):
        raised(OscoreReplayError, oscore.open_response, asked, outer)
    assert oscore.open_response(asked, later[3]).payload == b"3"
    raised(OscoreReplayError, oscore.open_response, asked, later[2])


def test_one_notification_without_partial_iv_is_taken():
    asked, answered = observed()
    outer = oscore.seal_response(answered, response((coap.OBSERVE, b"")), True)
    oscore.open_response(asked, outer)
    raised(OscoreReplayError, oscore.open_response, asked, outer)
    oscore.open_response(asked, oscore.seal_response(answered, response((coap.OBSERVE, b""))))


def test_a_forged_notification_does_not_end_the_observation():
    asked, answered = observed()
    outer = oscore.seal_response(answered, response((coap.OBSERVE, b"")))
    forged = Message(NON, CONTENT, 1, b"tk", outer.options, outer.payload[:-1] + b"\0")
    raised(OscoreTagError, oscore.open_response, asked, forged)
    raised(OscoreTagError, oscore.open_response, asked, Message(NON, CONTENT, 1, b"tk", [(9, b"\x01\xff")], bytes(20)))
    oscore.open_response(asked, outer)


def test_a_response_without_observe_ends_the_observation():
    asked, answered = observed()
    oscore.open_response(asked, oscore.seal_response(answered, response((coap.OBSERVE, b""))))
    assert oscore.open_response(asked, oscore.seal_response(answered, response(code=0x84))).code == 0x84
    outer = oscore.seal_response(answered, response((coap.OBSERVE, b"")))
    raised(OscoreReplayError, oscore.open_response, asked, outer)


def test_a_lost_window_is_recovered_with_echo():
    client, server = pair(server_window=None)
    old, _ = oscore.seal_request(client, request())
    raised(OscoreReplayError, oscore.open_request, server.find, old)  # no challenge yet
    server.lose_window(b"a random one")
    outer, asked = oscore.seal_request(client, request())
    error = raised(OscoreEchoError, oscore.open_request, server.find, outer)
    unauthorized = response((coap.ECHO, server.challenge), code=coap.UNAUTHORIZED)
    raised(OscoreNonceError, oscore.seal_response, error.exchange, unauthorized, True)
    answer = oscore.seal_response(error.exchange, unauthorized)
    assert answer.option(coap.OSCORE) == b"\x01\x00"
    echo = oscore.open_response(asked, answer).option(coap.ECHO)
    held_back, _ = oscore.seal_request(client, request())
    fresh, asked = oscore.seal_request(client, request((coap.ECHO, echo)))
    _, answered = oscore.open_request(server.find, fresh)
    assert not answered.nonce_free
    oscore.open_response(asked, oscore.seal_response(answered, response()))
    for known in (old, outer, held_back, fresh):
        raised(OscoreReplayError, oscore.open_request, server.find, known)
    later, _ = oscore.seal_request(client, request())
    oscore.open_request(server.find, later)


def test_a_forged_or_wrong_echo_recovers_nothing():
    client, server = pair()
    server.lose_window(b"a random one")
    for value in (b"", b"another one!", b"a random one "):
        outer, _ = oscore.seal_request(client, request((coap.ECHO, value)))
        forged = Message(outer.type, outer.code, 1, b"", outer.options, bytes(len(outer.payload)))
        raised(OscoreTagError, oscore.open_request, server.find, forged)
        raised(OscoreEchoError, oscore.open_request, server.find, outer)
    assert server.window is None


def test_each_partial_iv_is_challenged_once_and_a_forged_one_never_counts():
    client, server = pair()
    server.lose_window(b"a random one")
    old = [oscore.seal_request(client, request())[0] for _ in range(3)]
    forged = Message(old[0].type, old[0].code, 1, b"", [(coap.OSCORE, b"\x0d\xff\xff\xff\xff\xff")], bytes(20))
    raised(OscoreTagError, oscore.open_request, server.find, forged)
    raised(OscoreEchoError, oscore.open_request, server.find, old[1])
    for outer in (old[1], old[0], old[1]):
        raised(OscoreReplayError, oscore.open_request, server.find, outer)
    raised(OscoreEchoError, oscore.open_request, server.find, old[2])
    fresh, _ = oscore.seal_request(client, request((coap.ECHO, b"a random one")))
    oscore.open_request(server.find, fresh)
    assert server.window[0] == 3
