from checks import raised
from coap_pair import SERVER

from pave_wire import coap
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_message import MessageLayer
from pave_wire.coap_observe import RETRY_MS, Observers
from pave_wire.errors import CoapError, OscoreSequenceError


def two_observers(**server):
    """Return a server that two clients observe, the topics "a" and "b"."""
    endpoint = Endpoint(lambda n: 7 % n, observers=Observers(), **server)
    for mid, topic in enumerate(("a", "b")):
        options = [(coap.OBSERVE, b""), (coap.URI_PATH, topic.encode())]
        data = coap.encode(coap.Message(coap.CON, coap.GET, mid, topic.encode(), options))
        (request,) = endpoint.receive_datagram(data, (topic, 5683), 0)
        endpoint.respond(request, coap.CONTENT, 0, b"first", topic=topic)
    endpoint.datagrams_to_send(0)
    return endpoint


def states(endpoint, now_ms):
    return [coap.decode(data).payload for data, _ in endpoint.datagrams_to_send(now_ms)]


class Counted:
    """A security that seals nothing and refuses who is in `refused`, as when no sequence number is reserved."""

    refused = ()

    def open_request(self, message, address):
        return message, address[0]

    def seal_response(self, binding, message):
        if binding in self.refused:
            raise OscoreSequenceError("none reserved")
        return message


def test_a_state_too_long_for_a_datagram_is_the_callers_error_and_nobody_elses():
    endpoint = two_observers()
    raised(CoapError, endpoint.notify, "a", coap.CONTENT, 1, bytes(2000))
    assert states(endpoint, 1) == [] and endpoint.next_timeout() is None
    endpoint.notify("b", coap.CONTENT, 2, b"b")
    endpoint.notify("a", coap.CONTENT, 2, b"a")
    sent = [coap.decode(data) for data, _ in endpoint.datagrams_to_send(2)]
    assert [m.payload for m in sent] == [b"b", b"a"]
    raised(CoapError, endpoint.notify, "a", coap.CONTENT, 3, bytes(2000))  # while one is on its way, too
    endpoint.receive_datagram(coap.encode(coap.Message(coap.ACK, coap.EMPTY, sent[1].mid)), ("a", 5683), 4)
    assert states(endpoint, 4) == []


def test_a_state_that_only_sealing_makes_too_long_is_the_callers_error_too():
    class Padding(Counted):
        sealed = 0

        def seal_response(self, binding, message):
            self.sealed += 1
            message.payload += bytes(100)
            return message

    security = Padding()
    endpoint = two_observers(security=security)
    raised(CoapError, endpoint.notify, "a", coap.CONTENT, 1, bytes(1100))
    before = security.sealed
    endpoint.notify("b", coap.CONTENT, 2, b"b")
    assert security.sealed == before + 1 and states(endpoint, 2) == [b"b" + bytes(100)]


def test_a_state_that_cannot_be_sealed_now_is_sent_later_and_holds_up_nobody():
    security = Counted()
    endpoint = two_observers(security=security)
    security.refused = ("a",)
    endpoint.notify("a", coap.CONTENT, 1, b"old")
    endpoint.notify("a", coap.CONTENT, 1, b"a")
    endpoint.notify("b", coap.CONTENT, 1, b"b", confirmable=False)
    assert states(endpoint, 1) == [b"b"] and endpoint.next_timeout() == 1 + RETRY_MS
    assert endpoint.handle_timeout(1 + RETRY_MS) == [] and endpoint.next_timeout() == 1 + 2 * RETRY_MS
    security.refused = ()
    endpoint.handle_timeout(1 + 2 * RETRY_MS)
    assert states(endpoint, 1 + 2 * RETRY_MS) == [b"a"]


def test_a_state_for_which_there_is_no_room_is_sent_later():
    endpoint = two_observers(layer=MessageLayer(lambda n: 0, transmissions=1))
    endpoint.notify("a", coap.CONTENT, 1, b"a")
    endpoint.notify("b", coap.CONTENT, 1, b"b")
    ((data, address),) = endpoint.datagrams_to_send(1)
    assert address[0] == "a"
    endpoint.receive_datagram(coap.encode(coap.Message(coap.ACK, coap.EMPTY, coap.decode(data).mid)), address, 5)
    assert states(endpoint, 5) == [b"b"]
    endpoint = two_observers(layer=MessageLayer(lambda n: 0, transmissions=1))
    endpoint.request(coap.GET, "x", SERVER, 1)  # nothing of an observer's will be delivered
    endpoint.datagrams_to_send(1)
    endpoint.notify("b", coap.CONTENT, 1, b"b")
    endpoint.cancel()
    assert states(endpoint, 1) == [] and endpoint.next_timeout() == 1 + RETRY_MS
    endpoint.handle_timeout(1 + RETRY_MS)
    assert states(endpoint, 1 + RETRY_MS) == [b"b"]
