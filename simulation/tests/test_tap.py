from pave_wire import coap, coap_client, model
from simulation.tap import Tap

DEVICE = "24a160fffe000101"
GATEWAY = ("127.0.0.1", 5683)


def post(seq: int) -> coap.Message:
    reading = model.Reading(DEVICE, 1, seq, 0, {"occupied": True, "reason": "field"})
    client = coap_client.Client(lambda n: seq)
    client.request(coap.POST, "r", GATEWAY, 0, model.pack_readings(DEVICE, [reading]), 112)
    return coap.decode(client.datagrams_to_send(0)[0][0])


def test_a_reading_is_sent_when_it_is_on_the_air_and_acknowledged_with_its_own_2_04() -> None:
    tap = Tap()
    request = post(7)
    tap.from_device(DEVICE, coap.encode(request))
    assert set(tap.sent) == {f"{DEVICE}:1:7"} and tap.acknowledged == set()
    other = coap.Message(coap.ACK, coap.CHANGED, request.mid, b"\x00\x00")
    tap.to_device(DEVICE, coap.encode(other))
    refused = coap.Message(coap.ACK, coap.SERVICE_UNAVAILABLE, request.mid, request.token)
    tap.to_device(DEVICE, coap.encode(refused))
    assert tap.acknowledged == set()
    tap.to_device(DEVICE, coap.encode(coap.Message(coap.ACK, coap.CHANGED, request.mid, request.token)))
    assert tap.acknowledged == {f"{DEVICE}:1:7"}


def test_what_is_no_report_is_counted_and_otherwise_ignored() -> None:
    tap = Tap()
    tap.from_device(DEVICE, b"\xff\xff")
    tap.from_device(DEVICE, coap.encode(coap.Message(coap.CON, coap.GET, 1, b"a", [(coap.URI_PATH, b"a")])))
    tap.to_device(DEVICE, b"")
    assert (tap.datagrams, tap.sent, tap.acknowledged) == (3, {}, set())
