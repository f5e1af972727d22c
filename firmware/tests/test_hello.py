from checks import raised

from pave_wire import cbor, hello, limits
from pave_wire.errors import ModelError

GOOD = {0: 3, 1: 42, 2: "pave-presence-v1", 3: "0.1.0", 4: "power-on"}


def test_a_hello_survives_and_fits_the_smallest_lorawan_frame():
    sent = hello.Hello(limits.EPOCH_MAX, limits.SEQ_MAX, "pave-presence-v1", "0.1.0", "brown-out")
    data = hello.pack_hello(sent)
    got = hello.unpack_hello(data)
    for name in ("epoch", "seq", "board", "version", "reset_cause"):
        assert getattr(got, name) == getattr(sent, name)
    assert len(data) + 1 <= 51  # the token, and the largest payload at data rate 0 of EU868 (RP002-1.0.4, N)


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
        ({0: 3, 1: 42, 2: "x" * 65}, "field 2"),
    ]:
        error = str(raised(ModelError, hello.unpack_hello, cbor.dumps(fields)))
        assert word in error, error
    for fields, word in [({0: -1, 1: b""}, "field 0"), ({}, "ETag"), ({1: bytes(9)}, "ETag"), ({1: "x"}, "ETag")]:
        error = str(raised(ModelError, hello.unpack_welcome, cbor.dumps(fields)))
        assert word in error, error
