from binascii import unhexlify

from checks import raised
from oscore_ends import ID_CONTEXT, SALT, SECRET, exchanged, pair, request, response, same

from pave_wire import coap, oscore
from pave_wire.coap import ACK, CHANGED, CON, POST, Message
from pave_wire.errors import (
    OscoreContextError,
    OscoreError,
    OscoreFormatError,
    OscoreNonceError,
    OscoreReplayError,
    OscoreSequenceError,
    OscoreTagError,
)
from pave_wire.oscore_context import FRESH_WINDOW, Context

# RFC 8613, appendix C.4 to C.6: salt, client's ID, ID context, request, OSCORE message
REQUESTS = [
    (
        (SALT, b"", None),
        "44015d1f00003974396c6f63616c686f737483747631",
        "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e",
    ),
    (
        (b"", b"\x00", None),
        "440171c30000b932396c6f63616c686f737483747631",
        "440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0",
    ),
    (
        (SALT, b"", ID_CONTEXT),
        "44012f8eef9bbf7a396c6f63616c686f737483747631",
        "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3",
    ),
]
# C.7 and C.8: the response to C.4 without and with a Partial IV
RESPONSE = "64455d1f00003974ff48656c6c6f20576f726c6421"
RESPONSE_BY_NONCE = "64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106"
RESPONSE_BY_PIV = "64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e"
# Partial IV, and what aiocoap makes under it of the request of C.4 without Uri-Host and of the response to C.4
LONG_PIVS = [
    (
        0x0100,
        "44025d1f00003974930a0100ff95c7c0dda4fa7959ecb705e681",
        "64445d1f0000397493020100ff2b13abd0a02ca2eefb4a5808195ac10017356106ab74",
    ),
    (
        0xFFFF,
        "44025d1f00003974930affffff2894988b4cbb79609192a3d6a0",
        "64445d1f000039749302ffffffd982fd95f753143087a5c480822a34da733510dc1dd1",
    ),
    (
        0x0100000005,
        "44025d1f00003974960d0100000005ffc93aa6a128fe9096b31b98545c",
        "64445d1f0000397496050100000005ff3f38284331312054431f3889d8b89860bf0f0f05c437",
    ),
]


def test_the_requests_of_appendix_c_are_sealed_and_opened_byte_for_byte():
    for parameters, plain, sealed in REQUESTS:
        client, server = pair(*parameters, sequence=20)
        outer, _ = oscore.seal_request(client, coap.decode(unhexlify(plain)))
        assert coap.encode(outer) == unhexlify(sealed)
        opened, _ = oscore.open_request(server.find, coap.decode(unhexlify(sealed)))
        opened.options = [(coap.URI_HOST, b"localhost")] + opened.options  # it came outside, so it is not trusted
        assert coap.encode(opened) == unhexlify(plain)
        assert server.window == (20, 1)


def test_the_responses_of_appendix_c_are_sealed_and_opened_byte_for_byte():
    for reuse_nonce, sealed in ((True, RESPONSE_BY_NONCE), (False, RESPONSE_BY_PIV)):
        client, server = pair(sequence=20)
        outer, asked = oscore.seal_request(client, coap.decode(unhexlify(REQUESTS[0][1])))
        _, answered = oscore.open_request(server.find, outer)
        outer = oscore.seal_response(answered, coap.decode(unhexlify(RESPONSE)), reuse_nonce)
        assert coap.encode(outer) == unhexlify(sealed)
        assert coap.encode(oscore.open_response(asked, coap.decode(unhexlify(sealed)))) == unhexlify(RESPONSE)


def test_partial_ivs_of_two_to_five_bytes_are_those_of_another_implementation():
    # The request of C.4 without its Uri-Host, and a response with a Partial IV to C.4, by aiocoap 0.4.17
    for number, request_hex, response_hex in LONG_PIVS:
        client, server = pair(sequence=number)
        client.reserve(1 << 40)
        plain = coap.decode(unhexlify(REQUESTS[0][1]))
        plain.options = [option for option in plain.options if option[0] != coap.URI_HOST]
        outer, _ = oscore.seal_request(client, plain)
        assert coap.encode(outer) == unhexlify(request_hex)
        opened, _ = oscore.open_request(server.find, outer)
        assert same(opened, plain) and server.window == (number, 1)

        client, _ = pair(sequence=20)
        server = Context(SECRET, SALT, b"\x01", b"", number, FRESH_WINDOW)
        server.reserve(1 << 40)
        outer, asked = oscore.seal_request(client, coap.decode(unhexlify(REQUESTS[0][1])))
        _, answered = oscore.open_request(server.find, outer)
        answer = coap.decode(unhexlify(RESPONSE))
        outer = oscore.seal_response(answered, answer)
        assert coap.encode(outer) == unhexlify(response_hex)
        assert same(oscore.open_response(asked, outer), answer)


def test_an_oscore_message_is_not_sealed_again():
    asked, answered, outer = exchanged()
    raised(OscoreFormatError, oscore.seal_request, asked.context, outer)
    raised(OscoreFormatError, oscore.seal_response, answered, response((coap.OSCORE, b"")))


def test_a_refused_seal_uses_no_sequence_number():
    client, _ = pair()
    raised(OscoreFormatError, oscore.seal_request, client, request((coap.OSCORE, b"")))
    assert client.sequence == 0


def test_nothing_is_sealed_under_a_number_that_is_not_reserved():
    client = Context(SECRET, SALT, b"", b"\x01", 7, FRESH_WINDOW)
    raised(OscoreSequenceError, oscore.seal_request, client, request())
    server = Context(SECRET, SALT, b"\x01", b"", 7, FRESH_WINDOW)
    client.reserve(8)
    outer, asked = oscore.seal_request(client, request())
    _, answered = oscore.open_request(server.find, outer)
    raised(OscoreSequenceError, oscore.seal_response, answered, response())
    outer = oscore.seal_response(answered, response(), True)  # the request's nonce needs no number
    oscore.open_response(asked, outer)


def test_the_nonce_of_a_request_seals_one_response_the_first():
    _, answered, _ = exchanged()
    oscore.seal_response(answered, response(), True)
    raised(OscoreNonceError, oscore.seal_response, answered, response(), True)
    _, answered, _ = exchanged()
    oscore.seal_response(answered, response())
    raised(OscoreNonceError, oscore.seal_response, answered, response(), True)
    oscore.seal_response(answered, response())


def test_a_request_is_accepted_once():
    client, server = pair()
    first, _ = oscore.seal_request(client, request())
    second, _ = oscore.seal_request(client, request())
    oscore.open_request(server.find, second)
    oscore.open_request(server.find, first)  # late, but inside the window
    for outer in (first, second):
        raised(OscoreReplayError, oscore.open_request, server.find, outer)
    kept = Context(SECRET, SALT, b"\x01", b"", 0, server.window)
    for outer in (first, second):
        raised(OscoreReplayError, oscore.open_request, kept.find, outer)


def test_a_forged_request_changes_nothing():
    client, server = pair()
    outer, _ = oscore.seal_request(client, request())
    payload = outer.payload
    outer.payload = payload[:-1] + bytes((payload[-1] ^ 1,))
    raised(OscoreTagError, oscore.open_request, server.find, outer)
    assert server.window == FRESH_WINDOW
    outer.payload = payload
    oscore.open_request(server.find, outer)


def test_a_bit_wrong_anywhere_in_what_oscore_reads_is_refused():
    for id_context in (None, ID_CONTEXT):
        client, server = pair(client_id=b"\x05\x06", id_context=id_context)
        outer, asked = oscore.seal_request(client, request((coap.URI_PATH, b"a"), payload=b"p"))
        value, sealed = outer.option(coap.OSCORE), outer.payload
        for bit in range(8 * (len(value) + len(sealed))):
            wrong = bytearray(value + sealed)
            wrong[bit >> 3] ^= 1 << (bit & 7)
            forged = Message(CON, POST, 1, b"", [(9, bytes(wrong[: len(value)]))], bytes(wrong[len(value) :]))
            raised(OscoreError, oscore.open_request, server.find, forged)
        assert server.window == FRESH_WINDOW
        _, answered = oscore.open_request(server.find, outer)
        outer = oscore.seal_response(answered, response(payload=b"p"))
        value, sealed = outer.option(coap.OSCORE), outer.payload
        for bit in range(8 * (len(value) + len(sealed))):
            wrong = bytearray(value + sealed)
            wrong[bit >> 3] ^= 1 << (bit & 7)
            forged = Message(ACK, CHANGED, 1, b"", [(9, bytes(wrong[: len(value)]))], bytes(wrong[len(value) :]))
            raised(OscoreError, oscore.open_response, asked, forged)
        oscore.open_response(asked, outer)


def test_contexts_that_are_not_known_are_named():
    client, server = pair()
    outer, _ = oscore.seal_request(client, request())
    raised(OscoreContextError, oscore.open_request, lambda kid, kid_context: None, outer)
    with_context, _ = pair(id_context=b"other")
    outer, _ = oscore.seal_request(with_context, request())
    raised(OscoreContextError, oscore.open_request, server.find, outer)


def test_a_kid_context_is_needed_only_where_it_is_given():
    client, server = pair(id_context=ID_CONTEXT)
    client.id_context = None  # the keys are those of the ID context still
    outer, _ = oscore.seal_request(client, request())
    oscore.open_request(server.find, outer)


def test_sealed_bytes_that_are_no_message_are_named():
    for plaintext in (
        b"",
        b"\x00",
        b"\x00\xff1",
        b"\x45",
        b"\x01\xff",
        b"\x01\xf0",
        b"\x01\xb5a",
        b"\x01\x91\x00",
        b"\x01\x30",
    ):
        client, server = pair()
        number = client.take_number()
        sealed = client.seal(client.sender_nonce(number), plaintext, client.own_request_aad(b"\0"))
        outer = Message(CON, POST, 1, b"", [(coap.OSCORE, b"\x09\x00")], sealed)
        raised(OscoreFormatError, oscore.open_request, server.find, outer)
        raised(OscoreReplayError, oscore.open_request, server.find, outer)
    asked, answered, _ = exchanged()
    for plaintext in (b"\x01", b"\x61", b"\x45\xff", b"\xe1"):
        sealed = answered.context.seal(answered.nonce, plaintext, answered.aad)
        raised(OscoreFormatError, oscore.open_response, asked, Message(ACK, 68, 1, b"", [(9, b"")], sealed))


def test_a_response_answers_its_own_request_only():
    client, server = pair()
    exchanges = []
    for _ in range(2):
        outer, asked = oscore.seal_request(client, request())
        exchanges.append((asked, oscore.open_request(server.find, outer)[1]))
    (first, _), (_, second) = exchanges
    for reuse_nonce in (True, False):
        second.nonce_free = True
        answer = oscore.seal_response(second, response(), reuse_nonce)
        raised(OscoreTagError, oscore.open_response, first, answer)


def test_a_request_sent_back_is_no_response():
    asked, _, outer = exchanged()
    raised(OscoreContextError, oscore.open_response, asked, outer)
    outer.options = [(coap.OSCORE, b"")]
    raised(OscoreTagError, oscore.open_response, asked, outer)


def test_a_second_response_is_refused():
    for reuse_nonce in (True, False):
        asked, answered, _ = exchanged()
        outer = oscore.seal_response(answered, response(), reuse_nonce)
        oscore.open_response(asked, outer)
        raised(OscoreReplayError, oscore.open_response, asked, outer)
        raised(OscoreReplayError, oscore.open_response, asked, oscore.seal_response(answered, response()))


def test_an_unprotected_response_is_refused_and_the_right_one_still_taken():
    asked, answered, _ = exchanged()
    raised(OscoreFormatError, oscore.open_response, asked, response(code=0x81, payload=b"Security context not found"))
    oscore.open_response(asked, oscore.seal_response(answered, response(), True))
