from checks import raised

from pave_wire import mac_commands as mac
from pave_wire.errors import LorawanError
from pave_wire.lorawan import DOWN, UP

# brocaar/lorawan (ChirpStack's codec), mac_commands_test.go, payload bytes as there; DeviceTimeAns: TS001-1.0.3, 5.9
# (12 February 2016 14:24:31 UTC is 1139322288 s of GPS time).
VECTORS = [
    (DOWN, 0x02, {"margin_db": 10, "gateways": 15}, [10, 15]),
    (UP, 0x02, {}, []),
    (
        DOWN,
        0x03,
        {"data_rate": 1, "tx_power": 2, "channel_mask": 4, "mask_control": 4, "nb_trans": 5},
        [18, 4, 0, 69],
    ),
    (UP, 0x03, {"channel_mask_ok": 1, "data_rate_ok": 0, "tx_power_ok": 0}, [1]),
    (UP, 0x03, {"channel_mask_ok": 0, "data_rate_ok": 1, "tx_power_ok": 0}, [2]),
    (UP, 0x03, {"channel_mask_ok": 0, "data_rate_ok": 0, "tx_power_ok": 1}, [4]),
    (DOWN, 0x04, {"max_duty_cycle": 13}, [13]),
    (UP, 0x04, {}, []),
    (DOWN, 0x05, {"frequency_hz": 26265700, "rx2_data_rate": 11, "rx1_dr_offset": 3}, [59, 1, 2, 4]),
    (UP, 0x05, {"frequency_ok": 1, "rx2_data_rate_ok": 0, "rx1_dr_offset_ok": 0}, [1]),
    (UP, 0x05, {"frequency_ok": 0, "rx2_data_rate_ok": 1, "rx1_dr_offset_ok": 0}, [2]),
    (UP, 0x05, {"frequency_ok": 0, "rx2_data_rate_ok": 0, "rx1_dr_offset_ok": 1}, [4]),
    (DOWN, 0x06, {}, []),
    (UP, 0x06, {"battery": 0, "snr_db": -30}, [0, 34]),
    (UP, 0x06, {"battery": 255, "snr_db": 30}, [255, 30]),
    (UP, 0x06, {"battery": 127, "snr_db": -1}, [127, 63]),
    (UP, 0x06, {"battery": 127, "snr_db": 0}, [127, 0]),
    (
        DOWN,
        0x07,
        {"channel": 3, "frequency_hz": 26265700, "max_data_rate": 5, "min_data_rate": 10},
        [3, 1, 2, 4, 90],
    ),
    (UP, 0x07, {"frequency_ok": 1, "data_rate_ok": 0}, [1]),
    (UP, 0x07, {"frequency_ok": 0, "data_rate_ok": 1}, [2]),
    (DOWN, 0x08, {"delay_s": 15}, [15]),
    (UP, 0x08, {}, []),
    (DOWN, 0x09, {"max_eirp": 5, "uplink_dwell": 0, "downlink_dwell": 1}, [0x25]),
    (UP, 0x09, {}, []),
    (DOWN, 0x0A, {"channel": 0, "frequency_hz": 868_100_000}, [0, 40, 118, 132]),
    (DOWN, 0x0A, {"channel": 1, "frequency_hz": 868_200_000}, [1, 16, 122, 132]),
    (UP, 0x0A, {"frequency_ok": 1, "uplink_exists": 0}, [1]),
    (UP, 0x0A, {"frequency_ok": 0, "uplink_exists": 1}, [2]),
    (UP, 0x0D, {}, []),
    (DOWN, 0x0D, {"gps_s": 1, "fraction_256": 0}, [1, 0, 0, 0, 0]),
    (DOWN, 0x0D, {"gps_s": 1139322288, "fraction_256": 128}, [0xB0, 0xAD, 0xE8, 0x43, 128]),
]


def test_commands_have_the_bytes_of_chirpstacks_codec_both_ways():
    for direction, cid, fields, payload in VECTORS:
        data = bytes([cid] + payload)
        assert mac.encode(direction, [(cid, fields)]) == data, cid
        assert mac.decode(direction, data) == ([(cid, fields)], mac.COMPLETE), cid


def test_a_sequence_is_read_in_order():
    for direction in (UP, DOWN):
        commands = [(cid, fields) for way, cid, fields, _ in VECTORS if way == direction]
        assert mac.decode(direction, mac.encode(direction, commands)) == (commands, mac.COMPLETE)


def test_an_unknown_command_ends_the_parse_and_what_came_before_counts():
    # A proprietary one, a class B one, and an answer that only the other side sends.
    for direction, unknown in ((DOWN, b"\x80\x06"), (DOWN, b"\x11\x03\x06"), (UP, b"\x0b\x06")):
        data = mac.encode(direction, [(mac.RX_TIMING_SETUP, {"delay_s": 2} if direction == DOWN else {})])
        commands, end = mac.decode(direction, data + unknown)
        assert end == mac.UNKNOWN and [cid for cid, _ in commands] == [mac.RX_TIMING_SETUP]


def test_a_command_cut_short_is_not_read():
    for direction, cid, fields, payload in VECTORS:
        for length in range(len(payload)):
            data = mac.encode(direction, [(mac.DEV_STATUS, {} if direction == DOWN else {"battery": 1, "snr_db": 2})])
            commands, end = mac.decode(direction, data + bytes([cid] + payload[:length]))
            assert end == mac.TRUNCATED and len(commands) == 1, (cid, fields)


def test_a_flood_of_commands_is_bounded():
    commands, end = mac.decode(UP, b"\x02" * 242)
    assert end == mac.TOO_MANY and len(commands) == 48
    assert mac.decode(UP, b"\x02" * 48)[1] == mac.COMPLETE


def test_reserved_bits_are_ignored_when_read_and_zero_when_written():
    commands, end = mac.decode(DOWN, b"\x08\xf3")
    assert (commands, end) == ([(mac.RX_TIMING_SETUP, {"delay_s": 3})], mac.COMPLETE)
    assert mac.encode(DOWN, commands) == b"\x08\x03"


def test_the_command_that_eu868_does_not_use_is_known_by_name_so_that_the_parse_goes_on():
    commands, end = mac.decode(DOWN, b"\x09\x25\x06")
    assert end == mac.COMPLETE and [cid for cid, _ in commands] == [mac.TX_PARAM_SETUP, mac.DEV_STATUS]
    assert mac.TX_PARAM_SETUP in mac.NOT_FOR_EU868


def test_commands_that_cannot_be_sent_are_refused():
    for direction, cid, fields, word in [
        (DOWN, 0x80, {}, "0x80"),
        (DOWN, mac.RX_TIMING_SETUP, {}, "delay_s"),
        (DOWN, mac.RX_TIMING_SETUP, {"delay_s": 1, "more": 1}, "delay_s"),
        (DOWN, mac.RX_TIMING_SETUP, {"delay": 1}, "delay_s"),
        (DOWN, mac.RX_TIMING_SETUP, {"delay_s": 16}, "16"),
        (DOWN, mac.RX_TIMING_SETUP, {"delay_s": -1}, "-1"),
        (UP, mac.DEV_STATUS, {"battery": 1, "snr_db": 32}, "32"),
        (UP, mac.DEV_STATUS, {"battery": 1, "snr_db": -33}, "-33"),
        (DOWN, mac.DL_CHANNEL, {"channel": 0, "frequency_hz": 868_100_099}, "868100099"),
        (DOWN, mac.DL_CHANNEL, {"channel": 0, "frequency_hz": 1_677_721_600}, "1677721600"),
    ]:
        assert word in str(raised(LorawanError, mac.encode, direction, [(cid, fields)])), fields
