import struct

from checks import raised

from pave_wire import cbor, limits
from pave_wire.errors import CborError


def unhex(text):
    return bytes(int(text[at : at + 2], 16) for at in range(0, len(text), 2))


# RFC 8949, Appendix A, table 6: (value, encoding)
BOTH_WAYS = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"),
    (-1000, "3903e7"),
    (0.0, "f90000"),
    (1.0, "f93c00"),
    (1.5, "f93e00"),
    (65504.0, "f97bff"),
    (5.960464477539063e-8, "f90001"),
    (0.00006103515625, "f90400"),
    (-4.0, "f9c400"),
    (float("inf"), "f97c00"),
    (-float("inf"), "f9fc00"),
    (100000.0, "fa47c35000"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("IETF", "6449455446"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({1: 2}, "a10102"),
    (["a", {"b": "c"}], "826161a161626163"),
]
ONLY_READ = [
    (100000.0, "fb40f86a0000000000"),
    (None, "f7"),
    (b"\x01\x02\x03\x04\x05", "5f42010243030405ff"),
    ("streaming", "7f657374726561646d696e67ff"),
    ([1, [2, 3], [4, 5]], "9f018202039f0405ffff"),
    ({"a": 1, "b": [2, 3]}, "bf61610161629f0203ffff"),
]
REFUSED = [
    ("", "truncated"),
    ("18", "truncated"),
    ("4401", "truncated"),
    ("0000", "after the end"),
    ("1c", "reserved"),
    ("c074", "tag"),
    ("f0", "simple"),
    ("ff", "break"),
    ("82ff00", "break"),
    ("bf00ff", "break"),
    ("1f", "indefinite"),
    ("5f00ff", "chunk"),
    ("5f5f4100ffff", "chunk of indefinite"),  # RFC 8949, 3.2.3
    ("7f7f6100ffff", "chunk of indefinite"),
    ("5f41005f", "chunk of indefinite"),
    ("5f", "truncated"),
    ("62c328", "UTF-8"),
    ("a200010002", "duplicate"),
    ("a1f500", "key"),
    ("a100", "truncated"),
    ("8181818181818100", "deeper"),
]


def test_values_of_rfc_8949_appendix_a_encode_and_decode():
    for value, text in BOTH_WAYS:
        assert cbor.dumps(value) == unhex(text), text
        assert cbor.loads(unhex(text)) == value, text


def test_longer_encodings_of_rfc_8949_appendix_a_decode():
    for value, text in ONLY_READ:
        assert cbor.loads(unhex(text)) == value, text


def test_bytes_outside_the_data_model_are_refused_by_name():
    for text, word in REFUSED:
        error = raised(CborError, cbor.loads, unhex(text))
        assert word in str(error), (text, str(error))


def test_a_count_larger_than_the_message_does_not_allocate():
    for head in ("9bffffffffffffffff", "bbffffffffffffffff", "5bffffffffffffffff"):
        raised(CborError, cbor.loads, unhex(head))


def test_more_values_than_the_limit_are_refused():
    head = b"\x99" + struct.pack(">H", limits.CBOR_ITEMS)
    assert "more than" in str(raised(CborError, cbor.loads, head + bytes(limits.CBOR_ITEMS)))
    head = b"\x99" + struct.pack(">H", limits.CBOR_ITEMS - 1)
    assert len(cbor.loads(head + bytes(limits.CBOR_ITEMS - 1))) == limits.CBOR_ITEMS - 1


def test_every_two_byte_message_is_a_value_or_a_named_error():
    refused = 0
    for number in range(0x10000):
        try:
            cbor.loads(struct.pack(">H", number))
        except CborError:
            refused += 1
    assert 0 < refused < 0x10000


def test_a_float_takes_fewer_bytes_only_where_that_loses_nothing():
    for value, size in [
        (0.5, 3),
        (0.96875, 3),
        (65504.0, 3),
        (65520.0, 5),
        (2.0**-24, 3),
        (1.5 * 2.0**-24, 5),
        (2.0**-25, 5),
    ]:
        assert len(cbor.dumps(value)) == size and cbor.loads(cbor.dumps(value)) == value, value
    assert cbor.dumps(float("nan")) == b"\xf9\x7e\x00"
    assert cbor.dumps(-0.0) == b"\xf9\x80\x00"
    if struct.unpack(">d", struct.pack(">d", 0.1))[0] != struct.unpack(">f", struct.pack(">f", 0.1))[0]:
        assert len(cbor.dumps(0.1)) == 9


def test_every_half_precision_float_survives():
    for bits in range(0, 0x10000, 7):
        data = b"\xf9" + struct.pack(">H", bits)
        value = cbor.loads(data)
        assert cbor.dumps(value) == data or value != value, bits


def test_a_type_outside_the_data_model_cannot_be_encoded():
    assert "object" in str(raised(CborError, cbor.dumps, object()))
