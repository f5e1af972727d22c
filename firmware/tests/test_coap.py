from checks import raised

from pave_wire import coap, limits
from pave_wire.errors import CoapError


def test_the_get_of_rfc_7252_appendix_a_encodes_to_its_bytes():
    # RFC 7252, figure 16: CON GET 0x7d34, Uri-Path "temperature"
    message = coap.Message(coap.CON, coap.GET, 0x7D34, b"", [(coap.URI_PATH, b"temperature")])
    assert coap.encode(message) == b"\x40\x01\x7d\x34\xbbtemperature"
    # figure 17: with token 0x20
    message.token = b"\x20"
    message.mid = 0x7D35
    assert coap.encode(message) == b"\x41\x01\x7d\x35\x20\xbbtemperature"


def test_messages_with_long_and_distant_options_survive_the_codec():
    options = [(1, b""), (11, b"x" * 12), (11, b"y" * 13), (300, b"z" * 268), (60000, b"w" * 269)]
    got = coap.decode(coap.encode(coap.Message(coap.NON, coap.CONTENT, 7, b"12345678", options, b"\xff\x00")))
    assert (got.type, got.code, got.mid, got.token) == (coap.NON, coap.CONTENT, 7, b"12345678")
    assert got.options == options and got.payload == b"\xff\x00"


def test_a_trailing_option_value_of_0xff_is_not_a_payload_marker():
    options = [(11, b"a\xff")]
    assert coap.decode(coap.encode(coap.Message(coap.CON, coap.GET, 1, b"", options))).options == options


def test_malformed_datagrams_are_refused_with_what_was_wrong():
    for data, word in [
        (b"", "0 bytes"),
        (b"\x40\x01\x00", "3 bytes"),
        (bytes(limits.DATAGRAM_BYTES + 1), "bytes"),
        (b"\x80\x01\x00\x00", "version"),
        (b"\x49\x01\x00\x00123456789", "token"),
        (b"\x42\x01\x00\x00x", "token"),
        (b"\x40\x00\x00\x00x", "empty"),
        (b"\x40\x01\x00\x00\xff", "no payload"),
        (b"\x40\x01\x00\x00\xf0", "reserved"),
        (b"\x40\x01\x00\x00\x0f", "reserved"),
        (b"\x40\x01\x00\x00\xd0", "truncated"),
        (b"\x40\x01\x00\x00\xb5ab", "past the end"),
        (b"\x40\x01\x00\x00" + b"\x00" * 17, "options"),
    ]:
        assert word in str(raised(CoapError, coap.decode, data)), data


def test_uint_options_have_no_leading_zeros():
    assert [coap.uint(n) for n in (0, 1, 255, 256, 65536)] == [b"", b"\1", b"\xff", b"\1\0", b"\1\0\0"]
    assert all(coap.uint_value(coap.uint(n)) == n for n in (0, 1, 255, 256, 65536))


def test_a_path_that_is_not_utf_8_or_hides_a_slash_is_a_named_error():
    def path(*segments):
        return coap.Message(coap.CON, coap.GET, 1, b"", [(coap.URI_PATH, segment) for segment in segments]).path

    assert path(b"a", b"\xc3\xa9") == "a/é" and path() == ""
    assert "UTF-8" in str(raised(CoapError, path, b"\xff"))
    assert "slash" in str(raised(CoapError, path, b"a/b"))


def test_what_no_datagram_can_hold_is_not_encoded():
    for mid, token, options, payload in [
        (0x10000, b"", [], b""),
        (1, b"123456789", [], b""),
        (1, b"", [(12, b""), (11, b"")], b""),
        (1, b"", [(65536, b"")], b""),
        (1, b"", [(11, bytes(70000))], b""),
        (1, b"", [], bytes(limits.DATAGRAM_BYTES)),
    ]:
        raised(CoapError, coap.encode, coap.Message(coap.CON, coap.GET, mid, token, options, payload))


def test_options_are_put_in_order_and_those_of_one_number_stay_as_given():
    options = [(11, b"z"), (11, b"a"), (6, b""), (11, b"m")]
    assert coap.ordered(options) == [(6, b""), (11, b"z"), (11, b"a"), (11, b"m")]
    assert coap.replaced(options, 11, b"x") == [(6, b""), (11, b"x")]
    assert coap.replaced(options, 11) == [(6, b"")]


def test_a_uint_option_of_more_than_four_bytes_is_refused():
    assert coap.uint_value(b"\xff\xff\xff\xff") == 0xFFFFFFFF
    raised(CoapError, coap.uint_value, b"\0\0\0\0\0")


def test_an_option_number_beyond_16_bits_is_refused():
    assert "65535" in str(raised(CoapError, coap.decode, b"\x40\x01\0\0\xe0\xff\xff\xe0\xff\xff"))
