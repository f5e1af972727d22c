"""Semtech UDP as bytes: datagrams and JSON as forwarders by other hands write them, and what no forwarder writes."""

import base64
import json
import random
from typing import Any

import pytest
import semtech_vectors as vectors
from semtech_vectors import packet, push

from pave_gateway.core import limits
from pave_gateway.core.lorawan.radio import Downlink, TxResult
from pave_gateway.ingress import semtech_udp as wire
from pave_gateway.ingress import semtech_udp_json as words
from pave_gateway.ingress.json_fields import JsonError

EUI = "00000000000000a1"


def one(body: bytes) -> Any:
    found = words.pushed(body, EUI)
    assert not found.dropped
    (uplink,) = found.uplinks
    return uplink


def dropped(*packets: Any) -> list[str]:
    found = words.pushed(push(*packets), EUI)
    assert not found.uplinks
    return found.dropped


def test_the_example_of_protocol_txt_is_read_with_its_unpadded_base64_of_either_alphabet() -> None:
    found = words.pushed(vectors.PROTOCOL_TXT, EUI)
    lora, fsk = found.uplinks
    assert lora.phy == base64.urlsafe_b64decode("-DS4CGaDCdG-48eJNM3Vai-zDpsR71Pn9CPA9uCON84=") and len(lora.phy) == 32
    assert (lora.tmst, lora.frequency_hz, lora.data_rate) == (3_512_348_611, 866_349_812, 5)
    assert (lora.rssi_dbm, lora.snr_db, lora.gateway_id) == (-35, 5.1, EUI)
    assert (fsk.phy, fsk.data_rate, fsk.frequency_hz, fsk.rssi_dbm) == (b"TEST_PACKET_1234", 7, 869_100_000, -75)
    assert found.dropped == [words.OTHER_RADIO]  # 863.00981 MHz: 125 kHz around it leave the band


@pytest.mark.parametrize(
    ("body", "tmst", "size", "data_rate"),
    [
        (vectors.CHIRPSTACK_DOCS, 661_201_908, 23, 1),
        (vectors.AZURE, 3_831_950_603, 23, 5),
        (vectors.GWMP, 114_911_539, 23, 5),
        (vectors.TWO_ANTENNAS, 879_148_780, 24, 5),
        (vectors.KERLINK, 3_593_099_307, 15, 5),
    ],
)
def test_logged_receptions_are_read(body: bytes, tmst: int, size: int, data_rate: int) -> None:
    uplink = one(body)
    assert (uplink.tmst, len(uplink.phy), uplink.data_rate) == (tmst, size, data_rate)


def test_of_several_antennas_the_best_counts() -> None:
    assert (one(vectors.TWO_ANTENNAS).rssi_dbm, one(vectors.TWO_ANTENNAS).snr_db) == (-93, 14)
    assert (one(vectors.KERLINK).rssi_dbm, one(vectors.KERLINK).snr_db) == (-108, -7)


def test_a_status_report_is_read_and_may_come_alone_or_with_frames() -> None:
    found = words.pushed(vectors.STAT_SX1302, EUI)
    assert found.stat == words.Stat(rxnb=2, rxok=2, rxfw=2, ackr=100, dwnb=2, txnb=2, temp=23.2) and not found.uplinks
    both = words.pushed(push(packet(), stat={"rxnb": "many", "rxok": -1, "ackr": None}), EUI)
    assert both.stat == words.Stat() and len(both.uplinks) == 1


def test_the_crc_decides_what_is_taken() -> None:
    assert dropped(packet(stat=-1), packet(stat=0)) == [words.BAD_CRC, words.NO_CRC]
    assert one(push(packet(stat=None))).tmst == 1_000_000  # forwarders that give no stat forward good ones


@pytest.mark.parametrize(
    "data", ["QAECAw==", "QAECAw", "QAECAw=", "QAECAw====", "QAEC\r\nAw==", " QAECAw ", "QAECAw=\n="]
)
def test_base64_is_read_whatever_its_padding(data: str) -> None:
    assert one(push(packet(data=data))).phy == b"@\1\2\3"


@pytest.mark.parametrize("data", ["-_-_", "+/+/"])
def test_base64_is_read_in_either_alphabet(data: str) -> None:
    assert one(push(packet(data=data))).phy == b"\xfb\xff\xbf"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": "QAECA"}, words.MALFORMED),  # 5 characters are no bytes
        ({"data": ""}, words.MALFORMED),
        ({"data": "!!!!"}, words.MALFORMED),
        ({"data": None}, words.MALFORMED),
        ({"data": 7}, words.MALFORMED),
        ({"data": "A" * 344}, words.MALFORMED),  # 258 bytes
        ({"data": "A" * 100_000}, words.MALFORMED),
        ({"tmst": None}, words.MALFORMED),
        ({"tmst": -1}, words.MALFORMED),
        ({"tmst": 1 << 32}, words.MALFORMED),
        ({"tmst": 1.5}, words.MALFORMED),
        ({"tmst": True}, words.MALFORMED),
        ({"freq": None}, words.MALFORMED),
        ({"freq": "868.1"}, words.MALFORMED),
        ({"freq": 10**400}, words.MALFORMED),
        ({"freq": 915.0}, words.OTHER_RADIO),
        ({"freq": 869.3}, words.OTHER_RADIO),  # between two sub-bands: nothing may answer there
        ({"datr": "SF6BW125"}, words.OTHER_RADIO),
        ({"datr": "SF9BW500"}, words.OTHER_RADIO),
        ({"datr": "M0CW137", "modu": "LR-FHSS"}, words.OTHER_RADIO),
        ({"datr": 100_000, "modu": "FSK"}, words.OTHER_RADIO),
        ({"datr": None}, words.OTHER_RADIO),
        ({"rssi": None}, words.MALFORMED),
        ({"rssi": -1e9}, words.MALFORMED),
        ({"lsnr": None}, words.MALFORMED),
        ({"lsnr": "5"}, words.MALFORMED),
    ],
)
def test_what_one_element_lacks_loses_that_one_alone(changes: dict[str, Any], reason: str) -> None:
    assert dropped(packet(**changes)) == [reason]
    found = words.pushed(push(packet(**changes), packet()), EUI)
    assert (len(found.uplinks), found.dropped) == (1, [reason])


def test_the_counter_of_a_concentrator_goes_up_to_2_to_the_32() -> None:
    assert one(push(packet(tmst=(1 << 32) - 1))).tmst == (1 << 32) - 1


def test_sx1302_forwarders_give_the_signals_own_strength_as_well_and_the_channels_counts() -> None:
    assert one(push(packet(rssi=-80, rssis=-95))).rssi_dbm == -80
    assert one(push(packet(rssi=None, rssis=-95))).rssi_dbm == -95


def test_the_strength_of_an_fsk_signal_stands_for_its_snr() -> None:
    uplink = one(push(packet(modu="FSK", datr=50_000, freq=868.8, codr=None, lsnr=None, rssi=-107)))
    assert (uplink.data_rate, uplink.snr_db) == (7, 10)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"7", b'"rxpk"', b"\xff\xfe{\x00}\x00", b'{"rxpk":{}}', b'{"rxpk":[{"freq":NaN}]}',
        b'{"rxpk":[{"freq":Infinity}]}', b"[" * 60_000, b'{"rxpk":' + b"[" * 60_000, b'{"tmst":' + b"9" * 60_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_json_object_of_a_forwarder_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(JsonError):
        words.pushed(body, EUI)


def test_a_report_in_another_encoding_and_a_nul_at_the_end_do_no_harm() -> None:
    body = push(packet()).replace(b'{"rxpk"', b'{"desc":"caf\xe9","rxpk"', 1) + b"\0"
    assert one(body).phy == b"@\1\2\3"


def test_more_packets_than_a_forwarder_fetches_are_left_out() -> None:
    found = words.pushed(push(*[packet(tmst=n) for n in range(limits.SEMTECH_PACKETS + 7)]), EUI)
    assert len(found.uplinks) == limits.SEMTECH_PACKETS and found.dropped == [words.TOO_MANY] * 7


def downlink(data_rate: int = 3, **changes: Any) -> Downlink:
    fields: dict[str, Any] = {
        "token": 7, "gateway_id": EUI, "tmst": 4_294_967_295, "frequency_hz": 868_100_000, "data_rate": data_rate,
        "power_dbm": 16, "phy": b"\x60\xff\xfe\xfd\xfc", **changes,
    }  # fmt: skip
    return Downlink(**fields)


def test_a_downlink_is_what_the_forwarder_expects_of_lorawan() -> None:
    assert json.loads(words.txpk(downlink())) == {
        "txpk": {
            "imme": False, "tmst": 4_294_967_295, "freq": 868.1, "rfch": 0, "powe": 16, "modu": "LORA",
            "datr": "SF9BW125", "codr": "4/5", "ipol": True, "ncrc": True, "prea": 8, "size": 5, "data": "YP/+/fw=",
        }
    }  # fmt: skip
    fsk = json.loads(words.txpk(downlink(7, frequency_hz=868_800_000)))["txpk"]
    assert (
        (fsk["modu"], fsk["datr"], fsk["fdev"]) == ("FSK", 50_000, 25_000) and "ncrc" not in fsk and "ipol" not in fsk
    )
    names = [json.loads(words.txpk(downlink(rate)))["txpk"]["datr"] for rate in range(7)]
    assert names == ["SF12BW125", "SF11BW125", "SF10BW125", "SF9BW125", "SF8BW125", "SF7BW125", "SF7BW250"]


@pytest.mark.parametrize("frequency_hz", [869_525_000, 867_100_000, 868_099_999, 863_000_001])
def test_a_frequency_arrives_to_the_hertz(frequency_hz: int) -> None:
    mhz = json.loads(words.txpk(downlink(frequency_hz=frequency_hz)))["txpk"]["freq"]
    assert int(mhz * 1e6 + 0.5) == frequency_hz  # as lora_pkt_fwd reads it


@pytest.mark.parametrize(
    ("body", "result", "power_dbm"),
    [
        (b"", TxResult.OK, None),
        (b"\0", TxResult.OK, None),
        (b'{"txpk_ack":{"error":"NONE"}}', TxResult.OK, None),
        (b'{"txpk_ack":{"error":"none"}}', TxResult.OK, None),
        (b'{"txpk_ack":{"error":""}}', TxResult.OK, None),
        (b'{"txpk_ack":{"warn":"TX_POWER","value":20}}', TxResult.OK, 20),  # sx1302_hal
        (b'{"txpk_ack":{"error":"TX_POWER"}}', TxResult.TX_POWER, None),  # packet_forwarder
        (b'{"txpk_ack":{"error":"TX_POWER","value":14}}', TxResult.TX_POWER, 14),
        (b'{"txpk_ack":{"error":"TOO_LATE"}}', TxResult.TOO_LATE, None),
        (b'{"txpk_ack":{"error":"TOO_EARLY"}}', TxResult.TOO_EARLY, None),
        (b'{"txpk_ack":{"error":"COLLISION_PACKET"}}', TxResult.COLLISION_PACKET, None),
        (b'{"txpk_ack":{"error":"COLLISION_BEACON"}}', TxResult.COLLISION_BEACON, None),
        (b'{"txpk_ack":{"error":"TX_FREQ"}}', TxResult.TX_FREQ, None),
        (b'{"txpk_ack":{"error":"GPS_UNLOCKED"}}', TxResult.GPS_UNLOCKED, None),
        (b'{"txpk_ack":{"error":"DUTY_CYCLE_OVERFLOW"}}', TxResult.COLLISION_PACKET, None),  # of other forwarders
        (b'{"txpk_ack":{"error":"UNREACHABLE"}}', TxResult.COLLISION_PACKET, None),  # ours alone to say
    ],
)
def test_every_word_of_a_forwarder_on_a_frame_is_known(body: bytes, result: TxResult, power_dbm: int | None) -> None:
    said = words.tx_ack(body)
    assert (said.result, said.power_dbm) == (result, power_dbm)


def test_a_tx_ack_that_says_nothing_readable_is_refused() -> None:
    for body in (b"{}", b"ok", b'{"txpk_ack":7}', b'{"txpk_ack":{"error":'):
        with pytest.raises(JsonError):
            words.tx_ack(body)


def test_headers_are_those_of_chirpstacks_gateway_bridge() -> None:
    pushed = wire.parse(vectors.BRIDGE_PUSH_DATA)
    assert (pushed.kind, pushed.token, pushed.gateway_id, pushed.body) == (
        wire.PUSH_DATA, 0x7B00, "0102030405060708", b"{}",
    )  # fmt: skip
    assert wire.acknowledgement(pushed) == bytes([2, 123, 0, 1])
    assert wire.acknowledgement(wire.parse(vectors.BRIDGE_PULL_DATA)) == bytes([2, 123, 0, 4])
    assert words.tx_ack(wire.parse(vectors.BRIDGE_TX_ACK_NUL).body).result is TxResult.OK
    refused = wire.parse(vectors.BRIDGE_TX_ACK_ERROR)
    assert words.tx_ack(refused.body).result is TxResult.COLLISION_BEACON
    assert wire.pull_resp(2, 0x7B00, b"{}") == bytes([2, 123, 0, 3, 123, 125])  # pull_resp_test.go


def test_an_old_forwarder_is_answered_in_its_own_version() -> None:
    assert wire.acknowledgement(wire.parse(b"\1" + vectors.BRIDGE_PULL_DATA[1:])) == bytes([1, 123, 0, 4])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", wire.TOO_SHORT),
        (b"\2\0\0\2" + bytes(7), wire.TOO_SHORT),
        (b"\3\0\0\2" + bytes(8), wire.VERSION),
        (b"\0\0\0\2" + bytes(8), wire.VERSION),
        (b"\2\0\0\1" + bytes(8), wire.KIND),  # what a server sends
        (b"\2\0\0\x09" + bytes(8), wire.KIND),
        (bytes(65_508), wire.TOO_LONG),
    ],
)
def test_what_is_no_datagram_of_a_forwarder_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(wire.DatagramError, match=f"^{reason}$"):
        wire.parse(data)


def test_five_thousand_mutations_raise_nothing_but_what_is_said() -> None:
    source = random.Random(5)
    seeds = [vectors.PROTOCOL_TXT, vectors.KERLINK, vectors.TWO_ANTENNAS, vectors.STAT_SX1302, push(packet())]
    seeds += [b'{"txpk_ack":{"warn":"TX_POWER","value":20}}']
    taken = refused = 0
    for _ in range(5_000):
        body = bytearray(source.choice(seeds))
        for _ in range(source.randrange(1, 6)):
            at = source.randrange(len(body))
            body[at : at + source.randrange(3)] = source.randbytes(source.randrange(3))
        for read in (lambda body: words.pushed(body, EUI), words.tx_ack):
            try:
                read(bytes(body))
                taken += 1
            except JsonError:
                refused += 1
    assert taken > 500 and refused > 5_000  # the mutations reach both sides of the line


def test_the_fuzzer_sees_a_reader_that_lets_an_error_through() -> None:
    def careless(body: bytes) -> Any:
        return json.loads(body)["rxpk"][0]["tmst"] + 1

    source = random.Random(5)
    with pytest.raises((KeyError, TypeError, ValueError, IndexError)):
        for _ in range(1_000):
            body = bytearray(push(packet()))
            body[source.randrange(len(body))] = source.randrange(256)
            careless(bytes(body))
