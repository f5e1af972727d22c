from checks import raised
from oscore_ends import ID_CONTEXT, pair, request, response, same

from pave_wire import coap, limits, oscore
from pave_wire.coap import CON, POST, Message
from pave_wire.errors import CoapError, OscoreContextError, OscoreFormatError
from pave_wire.oscore_context import FRESH_WINDOW
from pave_wire.oscore_options import decode_value, encode_value


def test_only_what_a_proxy_needs_stays_outside():
    client, server = pair()
    options = [
        (coap.URI_HOST, b"bercy"),
        (coap.ETAG, b"e"),
        (coap.URI_PORT, b"\x16\x33"),
        (coap.URI_PATH, b"r"),
        (coap.URI_PATH, b"b"),
        (coap.URI_PATH, b"a"),
        (coap.CONTENT_FORMAT, b"\x70"),
        (coap.MAX_AGE, b"\x3c"),
        (coap.BLOCK1, b"\x0a"),
        (coap.PROXY_SCHEME, b"coap"),
        (coap.SIZE1, b"\x01\x00"),
        (coap.NO_RESPONSE, b"\x1a"),
        (coap.REQUEST_TAG, b"x"),
        (2049, b"unknown"),
    ]
    message = request(*options, code=POST, payload=b"payload")
    outer, _ = oscore.seal_request(client, message)
    assert [number for number, _ in outer.options] == [
        coap.URI_HOST,
        coap.URI_PORT,
        coap.OSCORE,
        coap.PROXY_SCHEME,
    ]
    outer.options = [option for option in outer.options if option[0] != coap.PROXY_SCHEME]  # the proxy takes it off
    outside = (coap.URI_HOST, coap.URI_PORT, coap.PROXY_SCHEME)
    message.options = [option for option in options if option[0] not in outside]
    assert outer.code == POST and (outer.type, outer.mid, outer.token) == (CON, 0x1234, b"tk")
    opened, _ = oscore.open_request(server.find, outer)
    assert same(opened, message)


def test_outer_options_that_should_be_sealed_are_dropped_and_the_code_outside_means_nothing():
    client, server = pair()
    message = request((coap.URI_PATH, b"a"))
    outer, asked = oscore.seal_request(client, message)
    outer.code = coap.FETCH
    outer.options = [
        (coap.URI_HOST, b"h"),
        (coap.ETAG, b"1"),
        (coap.OBSERVE, b""),
        (coap.URI_PORT, b""),
    ] + outer.options
    outer.options += [(coap.URI_PATH, b"b"), (coap.BLOCK2, b"\x01"), (coap.NO_RESPONSE, b"\x1a"), (9998, b"")]
    opened, answered = oscore.open_request(server.find, outer)
    assert same(opened, message)
    outer = oscore.seal_response(answered, response(payload=b"p"), True)
    outer.options = [(coap.URI_HOST, b"h"), (coap.OBSERVE, b"")] + outer.options
    outer.options += [(coap.MAX_AGE, b""), (coap.PROXY_URI, b"coap://x"), (9999, b"")]
    assert oscore.open_response(asked, outer).options == []


def test_outer_options_that_must_not_be_overlooked_are_refused_before_the_partial_iv_is_taken():
    client, server = pair()
    outer, _ = oscore.seal_request(client, request((coap.URI_HOST, b"h"), (coap.URI_PORT, b"\x16\x33")))
    genuine = outer.options
    for forged in (
        (coap.PROXY_URI, b"coap://x"),
        (coap.PROXY_SCHEME, b"coap"),
        (13, b""),  # critical and unknown
        (9999, b""),
        (1, bytes(9)),
        (5, b"1"),
        (coap.URI_HOST, b""),
        (coap.URI_HOST, bytes(256)),
        (coap.URI_HOST, b"another"),  # the second of its kind
        (coap.URI_PORT, bytes(3)),
        (coap.URI_PORT, b""),
        (coap.OSCORE, b"\x09\x01"),
        (coap.URI_PATH, bytes(256)),
        (coap.URI_QUERY, bytes(256)),
        (coap.ACCEPT, bytes(3)),
        (coap.BLOCK2, bytes(4)),
        (coap.BLOCK1, bytes(4)),
    ):
        outer.options = coap.ordered(genuine + [forged])
        raised(OscoreFormatError, oscore.open_request, server.find, outer)
    alone, _ = oscore.seal_request(client, request())
    for forged in ((coap.URI_HOST, b""), (coap.URI_HOST, bytes(256)), (coap.URI_PORT, bytes(3))):
        alone.options = coap.ordered([(coap.OSCORE, b"\x09\x01"), forged])
        raised(OscoreFormatError, oscore.open_request, server.find, alone)
    assert server.window == FRESH_WINDOW
    outer.options = genuine
    oscore.open_request(server.find, outer)


def test_a_proxy_uri_is_not_sealed():
    client, _ = pair()
    raised(OscoreFormatError, oscore.seal_request, client, request((coap.PROXY_URI, b"coap://h/secret")))
    assert client.sequence == 0


def test_what_is_too_long_once_sealed_costs_neither_number_nor_nonce():
    client, server = pair(client_id=b"\x05\x06", id_context=bytes(32))
    host = (coap.URI_HOST, bytes(200))  # outside: the sealed part alone would fit
    for size in (900, 950, 1100, 1142, 1143, 1144, 1152, 2000):
        before = client.sequence
        raised(CoapError, oscore.seal_request, client, request(host, payload=bytes(size)))
        raised(CoapError, oscore.seal_request, client, Message(CON, POST, 1, bytes(9), [], b""))
        assert client.sequence == before
    outer, _ = oscore.seal_request(client, request(host, payload=bytes(880)))
    _, answered = oscore.open_request(server.find, outer)
    for reuse_nonce in (False, True):
        for size in (1142, 1143, 1152, 2000):
            raised(CoapError, oscore.seal_response, answered, response(payload=bytes(size)), reuse_nonce)
    assert server.sequence == 0 and answered.nonce_free
    fitting = response(payload=bytes(limits.DATAGRAM_BYTES - 4 - 2 - 1 - 1 - 1 - 1 - 8))  # header to tag
    assert len(coap.encode(oscore.seal_response(answered, fitting, True))) == limits.DATAGRAM_BYTES


def test_every_message_that_is_sealed_can_be_sent_and_cost_a_number():
    client, _ = pair(client_id=b"\x05\x06", id_context=bytes(32), sequence=(1 << 40) - 256)
    client.reserve(1 << 40)
    refused = 0
    for size in range(1040, 1152):
        before = client.sequence
        try:
            outer, _ = oscore.seal_request(client, request(payload=bytes(size)))
        except CoapError:
            refused += 1
            assert client.sequence == before
        else:
            assert len(coap.encode(outer)) <= limits.DATAGRAM_BYTES and client.sequence == before + 1
    assert 0 < refused < 112


def test_the_option_value_is_read_to_its_last_byte():
    for value, parts in (
        (b"", (b"", None, None)),
        (b"\x09\x14", (b"\x14", b"", None)),
        (b"\x09\x00kid", (b"\x00", b"kid", None)),
        (b"\x0a\x01\x00k", (b"\x01\x00", b"k", None)),
        (b"\x05\x01\x00\x00\x00\x05", (b"\x01\x00\x00\x00\x05", None, None)),
        (b"\x19\x14\x02ctk", (b"\x14", b"k", b"ct")),
        (b"\x11\x14\x00", (b"\x14", None, b"")),
        (b"\x08k", (b"", b"k", None)),
        (b"\x10\x01c", (b"", None, b"c")),
    ):
        assert decode_value(value) == parts
        if parts[1] is not None or parts[2] is None:
            assert encode_value(*parts) == value
    for flag in (0x20, 0x40, 0x80, 0xE0):
        assert "flags" in str(raised(OscoreFormatError, decode_value, bytes((0x09 | flag, 0x14))))
    for value in (b"\x00", b"\x00\x01", b"\x06123456", b"\x0e123456", b"\x0f1234567", b"\x02\x01", b"\x05\x0123"):
        assert "flags" in str(raised(OscoreFormatError, decode_value, value))
    for value in (b"\x01\x14k", b"\x11\x14\x01ck"):
        assert "1 bytes left over" in str(raised(OscoreFormatError, decode_value, value))
    for value in (b"\x11\x14", b"\x19\x14\x02c", b"\x19\x14\x21" + bytes(33)):
        assert "kid context" in str(raised(OscoreFormatError, decode_value, value))
    assert "zeros" in str(raised(OscoreFormatError, decode_value, b"\x02\x00\x01"))


def test_a_response_with_a_foreign_kid_context_is_refused():
    for id_context in (None, ID_CONTEXT):
        client, server = pair(id_context=id_context)
        outer, asked = oscore.seal_request(client, request())
        _, answered = oscore.open_request(server.find, outer)
        outer = oscore.seal_response(answered, response())
        outer.options = [(coap.OSCORE, encode_value(b"\x00", b"\x01", b"foreign"))]
        raised(OscoreContextError, oscore.open_response, asked, outer)
        outer.options = [(coap.OSCORE, encode_value(b"\x00", b"\x01", id_context))]
        oscore.open_response(asked, outer)


def test_malformed_oscore_options_are_named():
    _, server = pair()
    for value in (
        b"",
        b"\x00",
        b"\x08",  # no Partial IV
        b"\x01\x00",  # no kid
        b"\x09",
        b"\x0a\x01",
        b"\x0a\x00\x01",  # a leading zero
        b"\x0e123456",
        b"\x0f1234567",
        b"\x29\x01",
        b"\x49\x01",
        b"\x89\x01",
        b"\x01\x05left",
        b"\x19\x05",
        b"\x19\x05\x02k",
        b"\x19\x05\xff" + bytes(100),
        b"\x19\x05\x21" + bytes(33),
    ):
        outer = Message(CON, POST, 1, b"", [(coap.OSCORE, value)], bytes(20))
        raised(OscoreFormatError, oscore.open_request, server.find, outer)
    raised(OscoreFormatError, oscore.open_request, server.find, request(payload=bytes(20)))
    twice = request((coap.OSCORE, b"\x09\x01"), (coap.OSCORE, b"\x09\x01"))
    raised(OscoreFormatError, oscore.open_request, server.find, twice)
