from binascii import unhexlify

from checks import raised

from pave_wire import lorawan
from pave_wire.errors import AddressError, LorawanError, MicError, ReplayError
from pave_wire.lorawan import ACK, ADR, ADR_ACK_REQ, PENDING, Session

# lora-packet's README and __tests__ (its own captured frames)
KIRBY = Session(
    0x49BE7DF1, unhexlify("44024241ed4ce9a68c6a8bc055233fd3"), unhexlify("ec925802ae430ca77fd3dd73cb2cc588")
)
FOX = b"The quick brown fox jumps over the lazy dog."
KIRBY_UP = [
    ("40f17dbe4900020001954378762b11ff0d", 2, b"test"),
    (
        "40f17dbe490004000155332de41a11adc072553544429ce7787707d1c316e027e7e5e334263376affb8aa17ad30075293f28dea8a20af3c5"
        "e7",
        4,
        FOX,
    ),
    ("40f17dbe49000300012a3518af", 3, b""),
]

# brocaar/lorawan (ChirpStack's codec), phypayload_test.go, LoRaWAN 1.0: session, fcnt, port, payload, fopts, flags,
# confirmed, frame
ONES, TWOS = b"\1" * 16, b"\2" * 16
COUNT_UP = bytes(range(1, 17))
COUNT_DOWN = bytes(range(16, 0, -1))
BROCAAR_UP = [
    (Session(0x01020304, TWOS, ONES), 1, 1, b"hello", b"", ADR, False, "40040302018001000" + "1a694642615d6c3b582"),
    (
        Session(0x01020304, ONES, ONES),
        0,
        1,
        b"\1\2\3\4",
        b"\2\3\5",
        0,
        False,
        "4004030201030000020305016a3798f5b64dc039",
    ),
    (Session(0x01020304, ONES, ONES), 0, 0, b"\2\3\5", b"", 0, False, "40040302010000000069369eee6aa508"),
    (
        Session(0x01020304, COUNT_UP, COUNT_DOWN),
        0,
        10,
        b"\1\2\3\4",
        b"\6\x73\7",
        0,
        True,
        "8004030201030000067307" + "0ae264d4f7e117d2c0",
    ),
]


def same(frame, fcnt, port, payload, fopts, flags, confirmed):
    got = (frame.fcnt, frame.port, frame.payload, frame.fopts, frame.flags, frame.confirmed)
    assert got == (fcnt, port, payload, fopts, flags, confirmed), got


def test_uplinks_published_by_lora_packet_are_read_and_written():
    for text, fcnt, payload in KIRBY_UP:
        data = unhexlify(text)
        same(lorawan.decode_uplink(KIRBY, data, -1), fcnt, 1, payload, b"", 0, False)
        assert lorawan.encode_uplink(KIRBY, fcnt, 1, payload) == data
        assert lorawan.dev_addr(data) == KIRBY.dev_addr


def test_the_acknowledging_downlink_published_by_lora_packet_is_read_and_written():
    data = unhexlify("60f17dbe4920020001f9d65d27")
    same(lorawan.decode_downlink(KIRBY, data, 1), 2, 1, b"", b"", ACK, False)
    assert lorawan.encode_downlink(KIRBY, 2, 1, b"", b"", ACK) == data


def test_uplinks_published_by_chirpstacks_codec_are_read_and_written():
    for session, fcnt, port, payload, fopts, flags, confirmed, text in BROCAAR_UP:
        data = unhexlify(text)
        same(lorawan.decode_uplink(session, data, fcnt - 1), fcnt, port, payload, fopts, flags, confirmed)
        assert lorawan.encode_uplink(session, fcnt, port, payload, fopts, flags, confirmed) == data


def test_an_uplink_on_port_0_captured_by_others_authenticates():
    # lora-packet, __tests__/mic_test.ts
    session = Session(0xFC00DC06, unhexlify("581c4d08ef04cda30b1fef7a8b2c74b8"), ONES)
    frame = lorawan.decode_uplink(session, unhexlify("4006dc00fcc07400000244925050"), -1)
    assert (frame.fcnt, frame.port, frame.flags) == (0x74, 0, ADR | ADR_ACK_REQ) and len(frame.payload) == 1


def test_every_shape_of_frame_survives_both_ways():
    session = Session(0xFFFFFFFE, TWOS, ONES)
    for encode, decode in (
        (lorawan.encode_uplink, lorawan.decode_uplink),
        (lorawan.encode_downlink, lorawan.decode_downlink),
    ):
        for fcnt in (0, 0xFFFF, 0x10000, 0xFFFFFFFF):
            for port, payload, fopts in (
                (None, b"", b""),
                (None, b"", b"\2" * 15),
                (0, b"\2" * 242, b""),
                (255, b"", b"\2"),
                (1, b"x" * 242, b""),
                (1, b"x" * 16, b"\2"),
                (1, b"x" * 17, b"\2"),
            ):
                for flags, confirmed in ((0, False), (ADR | ACK | PENDING, True)):
                    data = encode(session, fcnt, port, payload, fopts, flags, confirmed)
                    assert len(data) == 12 + len(fopts) + (0 if port is None else 1 + len(payload))
                    same(decode(session, data, fcnt - 1), fcnt, port, payload, fopts, flags, confirmed)


def test_a_counter_extends_to_the_smallest_above_the_last():
    for last, low, whole in [
        (-1, 0, 0),
        (-1, 0xFFFF, 0xFFFF),
        (0, 0, 0x10000),
        (5, 6, 6),
        (5, 5, 0x10005),
        (5, 4, 0x10004),
        (0xFFFF, 0, 0x10000),
        (0xFFFE, 3, 0x10003),
        (0x12FFFF, 0xFFFF, 0x13FFFF),
        (0xFFFFFFFE, 0xFFFF, 0xFFFFFFFF),
    ]:
        assert lorawan.extend_fcnt(last, low) == whole, (last, low)


def test_a_gap_above_the_old_16384_is_accepted():
    data = lorawan.encode_uplink(KIRBY, 60000, 1, b"x")
    assert lorawan.decode_uplink(KIRBY, data, 7).fcnt == 60000


def test_a_frame_accepted_before_is_a_replay_that_says_its_counter():
    for last, again in ((70000, 70000), (70000, 69999), (70000, 4465)):
        data = lorawan.encode_uplink(KIRBY, again, 1, b"x")
        assert raised(ReplayError, lorawan.decode_uplink, KIRBY, data, last).counter == again


def test_the_first_frame_of_a_session_is_known_again():
    for encode, decode in (
        (lorawan.encode_uplink, lorawan.decode_uplink),
        (lorawan.encode_downlink, lorawan.decode_downlink),
    ):
        data = encode(KIRBY, 0, 1, b"x")
        assert decode(KIRBY, data, -1).fcnt == 0
        assert raised(ReplayError, decode, KIRBY, data, 0).counter == 0


def test_an_address_of_more_than_32_bits_is_refused_by_both_encoders():
    for address in (1 << 32, -1):
        session = Session(address, ONES, TWOS)
        for encode in (lorawan.encode_uplink, lorawan.encode_downlink):
            found = raised(LorawanError, encode, session, 0, 1, b"x")
            assert type(found) is LorawanError and "DevAddr %d" % address in str(found)
    for address in (0, 0xFFFFFFFF):
        assert lorawan.dev_addr(lorawan.encode_uplink(Session(address, ONES, TWOS), 0, 1, b"x")) == address


def test_a_replay_from_more_than_one_round_ago_does_not_authenticate():
    data = lorawan.encode_uplink(KIRBY, 70, 1, b"x")
    assert not isinstance(raised(MicError, lorawan.decode_uplink, KIRBY, data, 200000), ReplayError)


def test_a_counter_that_is_used_up_does_not_start_again():
    raised(MicError, lorawan.decode_uplink, KIRBY, lorawan.encode_uplink(KIRBY, 0, 1, b"x"), 0xFFFFFFFF)
    last = lorawan.encode_uplink(KIRBY, 0xFFFFFFFF, 1, b"x")
    assert raised(ReplayError, lorawan.decode_uplink, KIRBY, last, 0xFFFFFFFF).counter == 0xFFFFFFFF


def test_only_port_0_is_enciphered_for_the_network():
    other = Session(KIRBY.dev_addr, KIRBY.nwk_skey, ONES)
    for port, clear in ((0, True), (1, False)):
        data = lorawan.encode_uplink(KIRBY, 1, port, b"\2\6")
        assert (lorawan.decode_uplink(other, data, 0).payload == b"\2\6") is clear


def test_any_flipped_bit_is_refused():
    good = lorawan.encode_downlink(KIRBY, 9, 3, b"abc", b"\2\1\1", PENDING, True)
    assert lorawan.decode_downlink(KIRBY, good, 8).payload == b"abc"
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        if bit // 8 == 0 and bit % 8 in (2, 3, 4, 5, 6, 7):
            raised(LorawanError, lorawan.decode_downlink, KIRBY, bytes(bad), 8)  # RFU bits and type are sealed too
        elif 1 <= bit // 8 <= 4:
            raised(AddressError, lorawan.decode_downlink, KIRBY, bytes(bad), 8)
        else:
            raised(LorawanError, lorawan.decode_downlink, KIRBY, bytes(bad), 8)


def test_a_frame_of_the_wrong_key_or_direction_is_refused():
    data = lorawan.encode_uplink(KIRBY, 1, 1, b"x")
    raised(MicError, lorawan.decode_uplink, Session(KIRBY.dev_addr, ONES, ONES), data, 0)
    assert "not downlink" in str(raised(LorawanError, lorawan.decode_downlink, KIRBY, data, 0))


def test_malformed_frames_are_refused_with_what_was_wrong():
    for data, word in [
        (b"", "0 bytes"),
        (bytes(11), "11 bytes"),
        (bytes(256), "256 bytes"),
        (b"\x41" + bytes(11), "major version 1"),
        (b"\x00" + bytes(11), "type 0"),
        (b"\xe0" + bytes(11), "type 7"),
        (b"\x60" + bytes(11), "not uplink"),
        (b"\x40\xf1\x7d\xbe\x49\x01" + bytes(6), "run past"),
        (b"\x40\xf1\x7d\xbe\x49\x01\x00\x00\x02\x00" + bytes(4), "both"),
    ]:
        assert word in str(raised(LorawanError, lorawan.decode_uplink, KIRBY, data, -1)), data
    raised(LorawanError, lorawan.dev_addr, b"\x20" + bytes(16))


def test_what_a_frame_cannot_carry_is_refused_before_it_is_sealed():
    for fcnt, port, payload, fopts, flags, word in [
        (-1, 1, b"", b"", 0, "FCnt"),
        (1 << 32, 1, b"", b"", 0, "join again"),
        (0, 1, b"", b"\2" * 16, 0, "FOpts"),
        (0, None, b"x", b"", 0, "port"),
        (0, 256, b"", b"", 0, "port"),
        (0, 0, b"x", b"\2", 0, "both"),
        (0, 1, b"", b"", 1, "flags"),
        (0, 1, b"x" * 243, b"", 0, "256 bytes"),
    ]:
        for encode in (lorawan.encode_uplink, lorawan.encode_downlink):
            assert word in str(raised(LorawanError, encode, KIRBY, fcnt, port, payload, fopts, flags))
