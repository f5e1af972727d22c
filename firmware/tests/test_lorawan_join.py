from binascii import a2b_base64, unhexlify

from checks import raised

from pave_wire import lorawan_join as join
from pave_wire.aes import decryptor, encryptor
from pave_wire.errors import LorawanError, MicError, ReplayError
from pave_wire.lorawan_join import JoinAccept

KEY = bytes(range(1, 17))
JOIN_EUI = unhexlify("70b3d57ed0000001")
DEV_EUI = unhexlify("0004a30b001c0530")


def test_the_block_function_and_its_inverse_give_the_example_of_fips_197():
    key = bytes(range(16))  # FIPS 197, C.1
    plain = unhexlify("00112233445566778899aabbccddeeff")
    sealed = unhexlify("69c4e0d86a7b0430d8cdb78070b4c55a")
    assert encryptor(key)(plain * 2) == sealed * 2 and decryptor(key)(sealed * 2) == plain * 2


def test_join_requests_published_by_others_are_read_and_written():
    for key, join_eui, dev_eui, dev_nonce, data in [
        # brocaar/lorawan, phypayload_test.go
        (b"\1" * 16, "0102030401020304", "0203040502030405", 4141, a2b_base64("AAQDAgEEAwIBBQQDAgUEAwItEGqZDhI=")),
        (KEY, "01" * 8, "02" * 8, 771, a2b_base64("AAEBAQEBAQEBAgICAgICAgIDAwm5ezI=")),
        # lora-packet, __tests__/mic_test.ts
        (
            unhexlify("98929b92c49edba9676d646d3b612456"),
            "aa13693363343639",
            "3331383274356905",
            0x8904,
            unhexlify("0039363463336913aa05693574323831330489c65b1304"),
        ),
    ]:
        euis = unhexlify(join_eui), unhexlify(dev_eui)
        assert join.join_request_euis(data) == euis
        assert join.decode_join_request(key, data, dev_nonce - 1) == dev_nonce
        assert join.encode_join_request(key, euis[0], euis[1], dev_nonce) == data


def test_join_accepts_published_by_others_are_read_and_written():
    for key, join_nonce, net_id, dev_addr, data in [
        # brocaar/lorawan, phypayload_test.go
        (
            unhexlify("00112233445566778899aabbccddeeff"),
            5704647,
            0x221101,
            0x02031980,
            unhexlify("20493eeb51fba2116f810edb3742975142"),
        ),
        (KEY, 65793, 0x020202, 0x01020304, a2b_base64("ICPPM1SJquMYPAvguqje5fM=")),
        # lora-packet, __tests__/join_accept_encrypt.ts
        (bytes(16), 0, 0, 0, unhexlify("20e3de108795f776b8037610ef7869b5b3")),
    ]:
        accept = join.decode_join_accept(key, data)
        assert (accept.join_nonce, accept.net_id, accept.dev_addr) == (join_nonce, net_id, dev_addr)
        assert (accept.rx1_dr_offset, accept.rx2_data_rate, accept.rx_delay_s) == (0, 0, 1)
        assert accept.frequencies_hz == ()
        assert join.encode_join_accept(key, JoinAccept(join_nonce, net_id, dev_addr, rx_delay_s=0)) == data


def test_the_channel_list_of_chirpstacks_codec_has_its_bytes():
    # brocaar/lorawan, payload_test.go, TestJoinAcceptPayload with a CFList
    channels = (867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000)
    accept = JoinAccept(65793, 0x020202, 0x01020304, 6, 7, 9, channels)
    data = join.encode_join_accept(KEY, accept)
    plain = encryptor(KEY)(data[1:])
    assert plain[:28] == bytes(
        [1, 1, 1, 2, 2, 2, 4, 3, 2, 1, 103, 9]
        + [24, 79, 132, 232, 86, 132, 184, 94, 132, 136, 102, 132, 88, 110, 132, 0]
    )
    got = join.decode_join_accept(KEY, data)
    assert (got.rx1_dr_offset, got.rx2_data_rate, got.rx_delay_s) == (6, 7, 9)
    assert got.frequencies_hz == channels


def test_a_channel_list_of_a_type_for_other_plans_is_passed_over():
    # brocaar/lorawan, payload_test.go: a CFList of type 1 (channel masks)
    plain = bytes([1, 1, 1, 2, 2, 2, 4, 3, 2, 1, 0, 1]) + b"\xff" + bytes(14) + b"\1"
    mic = join.Cmac(KEY).digest(b"\x20" + plain)[:4]
    got = join.decode_join_accept(KEY, b"\x20" + decryptor(KEY)(plain + mic))
    assert got.dev_addr == 0x01020304 and got.frequencies_hz == ()


def test_session_keys_are_those_of_lora_packet():
    # lora-packet, __tests__/key_gen_test.ts
    key = unhexlify("98929b92c49edba9676d646d3b612456")
    session = join.session_of(key, JoinAccept(0x376338, 0xAABBCC, 0x01020304), 0xF18E)
    assert session.dev_addr == 0x01020304
    assert session.nwk_skey == unhexlify("4e3d6e6afbcc67af2ba3c8e8ec4acf4b")
    assert session.app_skey == unhexlify("610897aa6f1460623443b527d3ac6a9d")


def test_a_dev_nonce_that_does_not_rise_is_a_replay():
    data = join.encode_join_request(KEY, JOIN_EUI, DEV_EUI, 7)
    assert join.decode_join_request(KEY, data, -1) == 7
    for last in (7, 8, 0xFFFF):
        assert raised(ReplayError, join.decode_join_request, KEY, data, last).counter == 7


def test_a_join_nonce_that_does_not_rise_is_a_replay():
    data = join.encode_join_accept(KEY, JoinAccept(7, 0, 1))
    assert join.decode_join_accept(KEY, data).join_nonce == 7
    assert join.decode_join_accept(KEY, data, 6).join_nonce == 7
    for last in (7, 8, 0xFFFFFF):
        assert raised(ReplayError, join.decode_join_accept, KEY, data, last).counter == 7
    first = join.encode_join_accept(KEY, JoinAccept(0, 0, 1))
    assert join.decode_join_accept(KEY, first, -1).join_nonce == 0
    assert raised(ReplayError, join.decode_join_accept, KEY, first, 0).counter == 0
    forged = data[:-1] + bytes((data[-1] ^ 1,))
    raised(MicError, join.decode_join_accept, KEY, forged, 7)  # an old number proves nothing before the MIC holds


def test_the_first_and_the_last_dev_nonce_are_joined_with():
    for dev_nonce in (0, 65535):
        data = join.encode_join_request(KEY, JOIN_EUI, DEV_EUI, dev_nonce)
        assert join.decode_join_request(KEY, data, dev_nonce - 1) == dev_nonce
        assert raised(ReplayError, join.decode_join_request, KEY, data, dev_nonce).counter == dev_nonce
    for dev_nonce in (-1, 65536):
        raised(LorawanError, join.encode_join_request, KEY, JOIN_EUI, DEV_EUI, dev_nonce)


def test_an_accept_holds_the_highest_of_each_field_and_the_lowest():
    channels = (1_677_721_500, 0, 100, 868_100_000, 1_677_721_500)
    for values in (
        (0xFFFFFF, 0xFFFFFF, 0xFFFFFFFF, 7, 15, 15, channels),
        (0, 0, 0, 0, 0, 1, (0, 0, 0, 0, 0)),
    ):
        got = join.decode_join_accept(KEY, join.encode_join_accept(KEY, JoinAccept(*values)))
        fields = got.join_nonce, got.net_id, got.dev_addr, got.rx1_dr_offset, got.rx2_data_rate, got.rx_delay_s
        assert fields + (got.frequencies_hz,) == values


def test_a_join_of_the_wrong_type_or_length_is_refused_however_well_it_is_sealed():
    def sealed(data):
        return data + join.Cmac(KEY).digest(data)[:4]

    for size in (18, 20):
        assert len(sealed(bytes(size))) != 23
        found = raised(LorawanError, join.decode_join_request, KEY, sealed(bytes(size)), -1)
        assert type(found) is LorawanError, found
    for kind in range(1, 8):
        found = raised(LorawanError, join.decode_join_request, KEY, sealed(bytes((kind << 5,)) + bytes(18)), -1)
        assert type(found) is LorawanError, (kind, found)
        if kind != 1:
            found = raised(LorawanError, join.decode_join_accept, KEY, accept_of(bytes((kind << 5,)), bytes(12)))
            assert type(found) is LorawanError, (kind, found)
    for size in (28 + 16, 28 + 32):
        found = raised(LorawanError, join.decode_join_accept, KEY, accept_of(b"\x20", bytes(size)))
        assert type(found) is LorawanError, (size, found)
    assert join.decode_join_accept(KEY, accept_of(b"\x20", bytes(12))).dev_addr == 0  # the same, of the right kind


def accept_of(head, plain):
    """Return an accept whose MIC holds, whatever it holds."""
    return head + decryptor(KEY)(plain + join.Cmac(KEY).digest(head + plain)[:4])


def test_any_flipped_bit_of_a_join_is_refused():
    request = join.encode_join_request(KEY, JOIN_EUI, DEV_EUI, 7)
    accept = join.encode_join_accept(KEY, JoinAccept(1, 2, 3))
    for data, decode in (
        (request, lambda data: join.decode_join_request(KEY, data, -1)),
        (accept, lambda data: join.decode_join_accept(KEY, data)),
    ):
        decode(data)
        for bit in range(8 * len(data)):
            bad = bytearray(data)
            bad[bit // 8] ^= 1 << bit % 8
            raised(LorawanError if bit < 8 else MicError, decode, bytes(bad))


def test_malformed_joins_are_refused():
    for data in (b"", bytes(22), bytes(24), b"\x40" + bytes(22), b"\x01" + bytes(22)):
        raised(LorawanError, join.join_request_euis, data)
        raised(LorawanError, join.decode_join_request, KEY, data, -1)
    for data in (b"", b"\x20" + bytes(15), b"\x20" + bytes(17), b"\x20" + bytes(31), b"\x00" + bytes(16)):
        raised(LorawanError, join.decode_join_accept, KEY, data)


def test_what_does_not_fit_a_join_is_refused():
    for join_eui, dev_eui, dev_nonce in ((b"", DEV_EUI, 0), (JOIN_EUI, bytes(9), 0), (JOIN_EUI, DEV_EUI, 65536)):
        raised(LorawanError, join.encode_join_request, KEY, join_eui, dev_eui, dev_nonce)
    for accept in (
        JoinAccept(1 << 24, 0, 0),
        JoinAccept(-1, 0, 0),
        JoinAccept(0, 1 << 24, 0),
        JoinAccept(0, -1, 0),
        JoinAccept(0, 0, 1 << 32),
        JoinAccept(0, 0, -1),
        JoinAccept(0, 0, 0, -1),
        JoinAccept(0, 0, 0, 0, -1),
        JoinAccept(0, 0, 0, 0, 0, -1),
        JoinAccept(0, 0, 0, 0, 0, 1, (1_677_721_600, 0, 0, 0, 0)),
        JoinAccept(0, 0, 0, 0, 0, 1, (-100, 0, 0, 0, 0)),
        JoinAccept(0, 0, 0, 8),
        JoinAccept(0, 0, 0, 0, 16),
        JoinAccept(0, 0, 0, 0, 0, 16),
        JoinAccept(0, 0, 0, 0, 0, 1, (868_100_000,)),
        JoinAccept(0, 0, 0, 0, 0, 1, (868_100_050, 0, 0, 0, 0)),
    ):
        found = raised(LorawanError, join.encode_join_accept, KEY, accept)
        assert type(found) is LorawanError, found
