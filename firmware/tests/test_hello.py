from checks import raised

from pave_wire import cbor, coap, hello, limits, model, region, schc, schc_rules
from pave_wire.errors import ModelError

GOOD = {0: 3, 1: 42, 2: "pave-presence-v1", 3: "0.1.0", 4: 1}
EPOCH = 20000000  # 32 bits: seconds from 2026 to the summer


def packet(said):
    """The payload of the frame that carries a hello."""
    options = [(coap.URI_PATH, b"h"), (coap.CONTENT_FORMAT, coap.uint(model.CONTENT_FORMAT_CBOR))]
    message = coap.Message(coap.NON, coap.POST, 0, b"\x51", options, hello.pack_hello(said))
    return schc.compress(message, schc_rules.UP)[1]


def test_a_hello_survives():
    for sent in (
        hello.Hello(EPOCH, 70000, "pave-presence-v1", "0.1.0", 4),
        hello.Hello(limits.EPOCH_MAX, limits.SEQ_MAX, "Z.a-b_c+9" + "x" * 7, "1" * 15, hello.RESET_CAUSE_MAX),
        hello.Hello(0, 0, "b", "v", 0),
    ):
        got = hello.unpack_hello(hello.pack_hello(sent))
        for name in ("epoch", "seq", "board", "version", "reset_cause"):
            assert getattr(got, name) == getattr(sent, name)


def test_the_longest_hello_fits_the_smallest_lorawan_payload_and_a_usual_one_leaves_room_for_mac_commands():
    smallest = region.max_payload_bytes(0)
    board = "b" * limits.BOARD_CHARS
    for epoch in (EPOCH, limits.EPOCH_MAX):
        longest = hello.Hello(epoch, limits.SEQ_MAX, board, "v" * limits.VERSION_CHARS, hello.RESET_CAUSE_MAX)
        assert len(hello.pack_hello(longest)) == 50 and len(packet(longest)) == smallest == 51
    usual = packet(hello.Hello(EPOCH, 70000, "pave-presence-v1", "0.10.12", 6))
    assert len(usual) == 43 and len(usual) <= region.max_payload_bytes(0, 8)
    assert len(usual) > region.max_payload_bytes(0, 9)  # then the MAC commands go first


def test_the_boards_of_the_contract_have_names_that_fit():
    for board in ("pave-presence-v1", "pave-kiosk-v1"):
        hello.pack_hello(hello.Hello(EPOCH, 0, board, "0.1.0", 1))


def test_causes_of_reset_have_the_numbers_of_the_chip():
    for number, cause in ((1, "power-on"), (2, "hard"), (3, "watchdog"), (4, "deep-sleep"), (5, "soft")):
        assert hello.RESET_CAUSES[number] == cause
    assert len(hello.RESET_CAUSES) <= hello.RESET_CAUSE_MAX


def test_a_device_does_not_send_a_hello_that_would_be_refused():
    for fields in ((-1, 0, "b", "v", 0), (0, 0, "b" * 17, "v", 0), (0, 0, "b", "v" * 16, 0), (0, 0, "b", "v", "hard")):
        raised(ModelError, hello.pack_hello, hello.Hello(*fields))


def test_a_welcome_survives_with_and_without_the_time():
    for welcome in ((1765000000, b"\x01\x02\x03\x04"), (None, b"")):
        assert hello.unpack_welcome(hello.pack_welcome(*welcome)) == welcome


def test_keys_of_a_later_version_are_ignored():
    later = dict(GOOD)
    later[9] = [1]
    assert hello.unpack_hello(cbor.dumps(later)).seq == 42


def test_what_is_no_hello_is_refused_with_the_field():
    for fields, word in [
        ([], "list"),
        ({0: 3}, "field 1"),
        ({0: True, 1: 1}, "field 0"),
        ({0: 2**32, 1: 1}, "4294967296"),
        ({0: 3, 1: 42, 2: 7}, "field 2"),
        ({0: 3, 1: 42, 2: "x" * 17}, "field 2"),
        ({0: 3, 1: 42, 2: ""}, "field 2"),
        ({0: 3, 1: 42, 2: "<b>"}, "field 2"),
        ({0: 3, 1: 42, 2: "b\u00e9"}, "field 2"),
        ({0: 3, 1: 42, 2: "b", 3: "v" * 16}, "field 3"),
        ({0: 3, 1: 42, 2: "b", 3: "1 0"}, "field 3"),
        ({0: 3, 1: 42, 2: "b", 3: "1"}, "field 4"),
        ({0: 3, 1: 42, 2: "b", 3: "1", 4: 24}, "field 4"),
        ({0: 3, 1: 42, 2: "b", 3: "1", 4: "hard"}, "field 4"),
    ]:
        error = str(raised(ModelError, hello.unpack_hello, cbor.dumps(fields)))
        assert word in error, error
    for fields, word in [({0: -1, 1: b""}, "field 0"), ({}, "ETag"), ({1: bytes(9)}, "ETag"), ({1: "x"}, "ETag")]:
        error = str(raised(ModelError, hello.unpack_welcome, cbor.dumps(fields)))
        assert word in error, error
