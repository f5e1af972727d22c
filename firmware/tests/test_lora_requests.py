from lora_network import Bench

from app import lora_talk
from pave_wire import coap, schc, schc_rules


def test_a_request_is_handed_on_and_its_answer_sent():
    bench = Bench().running()
    options = [(coap.URI_PATH, b"x"), (coap.CONTENT_FORMAT, coap.uint(60))]
    message = coap.Message(coap.NON, coap.POST, 0, b"\7", options, b"\xa1\0\1")
    bench.add()
    _, events = bench.send(lambda frame: bench.downlink(*schc.compress(message, schc_rules.DOWN)))
    ((kind, request),) = events
    assert kind == lora_talk.REQUEST and request.path == "x" and request.payload == b"\xa1\0\1"
    bench.session.respond(request, coap.CHANGED, b"\xa0")
    frame, _ = bench.send()
    answer = schc.decompress(frame.port, frame.payload, schc_rules.UP)
    assert (answer.code, answer.token, answer.payload) == (coap.CHANGED, b"\7", b"\xa0")
