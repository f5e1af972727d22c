from lora_network import Bench

from app import lora_talk
from pave_wire import coap, hello, schc, schc_rules


def test_hello_and_welcome_are_what_schc_says():
    bench = Bench()
    bench.send(bench.accept)

    def welcome(frame):
        request = schc.decompress(frame.port, frame.payload, schc_rules.UP)
        assert (request.code, request.path, len(request.token)) == (coap.POST, "h", 1)
        told = hello.unpack_hello(request.payload)
        assert (told.epoch, told.seq, told.board) == (100, 0, "pave-presence-v1")
        options = [(coap.CONTENT_FORMAT, coap.uint(60))]
        answer = coap.Message(coap.NON, coap.CHANGED, 0, request.token, options, hello.pack_welcome(7, b"etag"))
        return bench.downlink(*schc.compress(answer, schc_rules.DOWN))

    assert bench.send(welcome)[1] == [(lora_talk.WELCOME, 7, b"etag")]
