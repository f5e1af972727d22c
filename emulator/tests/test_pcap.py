"""Captures: read back by a parser written from the specifications, and by Wireshark's own."""

import io
import shutil
import struct
import subprocess
from dataclasses import replace

import pytest
from lora_bench import SF7, Bench

from pave_emulator.air.concentrator import Concentrator
from pave_emulator.pcap import LINKTYPE_LORATAP, LINKTYPE_RAW, AirCapture, LoraFrame, PcapWriter, udp_packet
from pave_emulator.trace import Record

EPOCH_S = 1_700_000_000.0
JOIN_REQUEST = bytes.fromhex("00dc0000d07ed5b3701e6fedf57ceeaf0085cc587fe913")  # of lora-packet's README
FRAME = LoraFrame(868_100_000, 125_000, 7, 5, 0x34, JOIN_REQUEST)


def packets(capture: bytes):
    """(link type, [(time in us, bytes)]) of a pcap file with microseconds, little-endian."""
    magic, major, minor, _, _, _, linktype = struct.unpack_from("<IHHiIII", capture)
    assert (magic, major, minor) == (0xA1B2C3D4, 2, 4)
    found, offset = [], 24
    while offset < len(capture):
        seconds, micros, kept, size = struct.unpack_from("<IIII", capture, offset)
        assert kept == size
        found.append((seconds * 1_000_000 + micros, capture[offset + 16 : offset + 16 + kept]))
        offset += 16 + kept
    return linktype, found


def test_a_capture_has_a_header_and_times_in_microseconds():
    file = io.BytesIO()
    writer = PcapWriter(file, LINKTYPE_RAW, EPOCH_S)
    writer.write(1, b"one")
    writer.write(2_500_000, b"three")
    start_us = int(EPOCH_S) * 1_000_000
    assert packets(file.getvalue()) == (101, [(start_us + 1, b"one"), (start_us + 2_500_000, b"three")])


def test_a_loratap_header_of_version_1_is_as_its_readme_lays_it_out():
    frame = replace(FRAME, rssi_dbm=-85.0, snr_db=7.25, inverted_iq=True, gateway=0xAA555A0000000001, tmst=0x01020304)
    header = bytes.fromhex(
        "01 00 0023 33be27a0 01 07 36 ff ff 1d 34"  # version 1, length 35, 868.1 MHz, 125 kHz, SF7, -85 dBm
        "aa555a0000000001 01020304 0a 05 0000 00 00 0000"  # gateway, tmst, inverted and CRC good, 4/5
    )
    assert frame.loratap(1) == header + JOIN_REQUEST


def test_version_0_is_the_first_fifteen_bytes():
    frame = replace(FRAME, rssi_dbm=-85.0, snr_db=7.25)
    assert frame.loratap(0) == bytes.fromhex("00 00 000f 33be27a0 01 07 36 ff ff 1d 34") + JOIN_REQUEST


def test_below_the_noise_rssi_is_in_quarters_and_snr_negative():
    tap = replace(FRAME, rssi_dbm=-117.25, snr_db=-12.5).loratap(0)
    assert tap[10] == round((139 - 117.25) * 4)
    assert struct.unpack_from("b", tap, 13) == (-50,)


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, 0x08),
        ({"crc_ok": False}, 0x10),
        ({"crc": False}, 0x20),
        ({"implicit_header": True}, 0x0C),
    ],
)
def test_flags_say_what_the_crc_was(fields, flags):
    assert replace(FRAME, **fields).loratap(1)[27] == flags


def test_a_datagram_is_an_ipv4_packet_whose_checksums_add_up():
    packet = udp_packet(("10.0.0.2", 5683), ("127.0.0.1", 1700), b"odd")
    assert packet[:10].hex() == "4500001f000000004011"
    assert packet[12:28].hex() == "0a0000027f000001163306a4000b" + packet[26:28].hex()
    assert packet[28:] == b"odd"

    def total(data):
        data += b"\x00" * (len(data) % 2)
        value = sum(struct.unpack(f">{len(data) // 2}H", data))
        return (value & 0xFFFF) + (value >> 16)

    assert total(packet[:20]) == 0xFFFF
    assert total(packet[12:20] + b"\x00\x11\x00\x0b" + packet[20:]) == 0xFFFF
    with pytest.raises(ValueError, match="70000 bytes"):
        udp_packet(("10.0.0.2", 1), ("10.0.0.3", 2), bytes(70_000))


def test_a_checksum_of_zero_is_sent_as_ones():
    # With this payload the sum is 0xffff, its complement 0: RFC 768 reserves that for "no checksum".
    plain = udp_packet(("10.0.0.2", 5683), ("10.0.0.1", 1700), b"\x00\x00")
    assert udp_packet(("10.0.0.2", 5683), ("10.0.0.1", 1700), plain[26:28])[26:28] == b"\xff\xff"


@pytest.fixture
def captured():
    """An uplink that a gateway hears and its own downlink: the air's capture and the gateway's."""
    bench = Bench()
    air, heard = io.BytesIO(), io.BytesIO()
    bench.trace.subscribers.append(AirCapture(PcapWriter(air, LINKTYPE_LORATAP, EPOCH_S), version=1))
    bench.trace.subscribers.append(AirCapture(PcapWriter(heard, LINKTYPE_LORATAP, EPOCH_S), "gw"))
    Concentrator(bench.air, "gw", (0, 0, 0)).start(0.0)
    bench.at(1.0, bench.sender("a"), JOIN_REQUEST, -25)
    bench.at(2.0, bench.sender("b"), b"\x60down", 14, replace(SF7, inverted_iq=True, crc=False))
    bench.clock.run_until(3)
    return air.getvalue(), heard.getvalue()


def test_the_air_is_captured_at_the_start_and_a_receiver_at_the_end_of_packets(captured):
    air, heard = (packets(capture)[1] for capture in captured)
    start_us = int(EPOCH_S) * 1_000_000
    assert [t - start_us for t, _ in air] == [1_000_000, 2_000_000]
    assert [t - start_us for t, _ in heard] == [1_061_696]
    assert air[0][1][10] == 0xFF
    assert heard[0][1][10] == 90  # -116.4 dBm in quarters above -139
    assert air[1][1][27] == 0x22


def test_other_records_are_not_captured():
    file = io.BytesIO()
    AirCapture(PcapWriter(file, LINKTYPE_LORATAP))(Record(1, "a", "pin", {"what": "tx"}))
    assert packets(file.getvalue())[1] == []


def tshark(path, capture, *fields):
    path.write_bytes(capture)
    command = ["tshark", "-r", str(path), "-T", "fields", *(part for field in fields for part in ("-e", field))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@pytest.mark.server
@needs_tshark
def test_wireshark_reads_the_air(captured, tmp_path):
    shown = tshark(
        tmp_path / "air.pcap",
        captured[1],
        *("frame.time_epoch", "loratap.channel.frequency", "loratap.channel.bandwidth", "loratap.channel.sf"),
        *(
            "loratap.rssi.packet",
            "loratap.rssi.snr",
            "loratap.syncword",
            "lorawan.join_request.appeui",
            "lorawan.join_request.deveui",
            "_ws.malformed",
        ),
    )
    heard = ["1700000001.061696000", "868100000", "1", "7", "90", "224"]  # 224 is -32, in quarters
    assert shown == [[*heard, "0x34", "70:b3:d5:7e:d0:00:00:dc", "00:af:ee:7c:f5:ed:6f:1e", ""]]


@pytest.mark.server
@needs_tshark
def test_wireshark_reads_datagrams_and_finds_their_checksums_good(tmp_path):
    file = io.BytesIO()
    PcapWriter(file, LINKTYPE_RAW).write(0, udp_packet(("10.0.0.2", 40_000), ("10.0.0.1", 1700), b"\x02\x12\x34\x00"))
    path = tmp_path / "udp.pcap"
    path.write_bytes(file.getvalue())
    options = ["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    names = ("ip.src", "udp.dstport", "ip.checksum.status", "udp.checksum.status", "udp.payload")
    command = ["tshark", *options, "-r", str(path), "-T", "fields", *(p for name in names for p in ("-e", name))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["10.0.0.2", "1700", "1", "1", "02123400"]
