"""Captures that Wireshark opens: the LoRa air as LoRaTap, datagrams as raw IPv4.

Sources: the pcap file format (draft-ietf-opsawg-pcap) with microseconds; LINKTYPE_LORATAP and LINKTYPE_RAW of the
tcpdump group's link-layer list; LoRaTap header version 1 as its README has it (github.com/eriknl/LoRaTap); RFC 791
and RFC 768.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import BinaryIO

from pave_emulator import trace as traces
from pave_emulator.trace import Record

LINKTYPE_RAW = 101
LINKTYPE_LORATAP = 270
SNAP_BYTES = 65535

_MAGIC_US = 0xA1B2C3D4
_LORATAP_0 = struct.Struct(">BBHIBBBBBbB")
_LORATAP_1 = struct.Struct(">QIBBHBBH")  # what version 1 adds
_RSSI_OFFSET_DBM = 139
_NOT_KNOWN = 0xFF
_BANDWIDTH_STEP_HZ = 125_000
_FLAG_IQ_INVERTED, _FLAG_IMPLICIT, _FLAG_CRC_OK, _FLAG_CRC_BAD, _FLAG_NO_CRC = 0x02, 0x04, 0x08, 0x10, 0x20
_UDP = 17
_TTL = 64


class PcapWriter:
    """A capture file with one link type. `epoch_unix_s` is the Unix time at the clock's zero."""

    def __init__(self, file: BinaryIO, linktype: int, epoch_unix_s: float = 0.0) -> None:
        self._file = file
        self._epoch_us = round(epoch_unix_s * 1e6)
        file.write(struct.pack("<IHHiIII", _MAGIC_US, 2, 4, 0, 0, SNAP_BYTES, linktype))

    def write(self, t_us: int, packet: bytes) -> None:
        """Add a packet seen at `t_us` of the clock, in us."""
        seconds, micros = divmod(self._epoch_us + t_us, 1_000_000)
        kept = packet[:SNAP_BYTES]
        self._file.write(struct.pack("<IIII", seconds, micros, len(kept), len(packet)) + kept)


@dataclass(frozen=True)
class LoraFrame:
    """A LoRa packet with what LoRaTap says of it; levels are None where nobody measured them (a transmission)."""

    frequency_hz: int
    bandwidth_hz: int
    spreading_factor: int
    coding_rate: int
    sync_word: int
    payload: bytes
    inverted_iq: bool = False
    implicit_header: bool = False
    crc: bool = True
    crc_ok: bool = True
    rssi_dbm: float | None = None
    snr_db: float | None = None
    gateway: int = 0
    tmst: int = 0

    def loratap(self, version: int) -> bytes:
        """The packet behind a LoRaTap header. Bandwidths under 125 kHz, which it cannot express, are 0.

        Version 0 has no polarity, CRC, coding rate and gateway, but every Wireshark reads it; that of Debian 12 takes
        what version 1 adds for payload.
        """
        added = self._version_1() if version else b""
        snr = 0 if self.snr_db is None else max(-128, min(127, round(self.snr_db * 4)))
        header = _LORATAP_0.pack(
            *(version, 0, _LORATAP_0.size + len(added)),
            *(self.frequency_hz, self.bandwidth_hz // _BANDWIDTH_STEP_HZ, self.spreading_factor),
            *(self._packet_rssi(), _NOT_KNOWN, _NOT_KNOWN, snr, self.sync_word),
        )
        return header + added + self.payload

    def _version_1(self) -> bytes:
        flags = _FLAG_IQ_INVERTED * self.inverted_iq | _FLAG_IMPLICIT * self.implicit_header
        flags |= (_FLAG_CRC_OK if self.crc_ok else _FLAG_CRC_BAD) if self.crc else _FLAG_NO_CRC
        return _LORATAP_1.pack(self.gateway, self.tmst, flags, self.coding_rate, 0, 0, 0, 0)

    def _packet_rssi(self) -> int:
        if self.rssi_dbm is None:
            return _NOT_KNOWN
        scale = 4 if self.snr_db is not None and self.snr_db < 0 else 1  # below the noise the unit is 0.25 dB
        return max(0, min(_NOT_KNOWN - 1, round((self.rssi_dbm + _RSSI_OFFSET_DBM) * scale)))


class AirCapture:
    """Writes the LoRa records of a trace: subscribe it with `trace.subscribers.append(capture)`.

    With no `receiver` it sees every transmission, as a perfect sniffer without a level meter; with one it sees what
    that device or gateway received. `version` is that of the LoRaTap header.
    """

    def __init__(self, writer: PcapWriter, receiver: str = "", version: int = 0) -> None:
        self._writer = writer
        self._receiver = receiver
        self._version = version

    def __call__(self, record: Record) -> None:
        """Take a record of any kind."""
        if record.kind != traces.LORA:
            return
        wanted = record.fields["what"] == ("rx" if self._receiver else "tx")
        if wanted and self._receiver in ("", record.device):
            self._writer.write(record.t_us, _frame(record).loratap(self._version))


def udp_packet(source: tuple[str, int], destination: tuple[str, int], payload: bytes) -> bytes:
    """A datagram as an IPv4 packet, for LINKTYPE_RAW. Raise ValueError when an address is not IPv4 or it is too
    long.
    """
    addresses = ipaddress.IPv4Address(source[0]).packed + ipaddress.IPv4Address(destination[0]).packed
    length = 8 + len(payload)
    if 20 + length > 0xFFFF:
        raise ValueError(f"a datagram of {len(payload)} bytes fits no IPv4 packet")
    pseudo = addresses + struct.pack(">BBH", 0, _UDP, length)
    ports = struct.pack(">HHH", source[1], destination[1], length)
    checksum = _checksum(pseudo + ports + b"\x00\x00" + payload) or 0xFFFF  # 0 would mean none, RFC 768
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + length, 0, 0, _TTL, _UDP)
    ip = head + struct.pack(">H", _checksum(head + b"\x00\x00" + addresses)) + addresses
    return ip + ports + struct.pack(">H", checksum) + payload


def _frame(record: Record) -> LoraFrame:
    fields = record.fields
    return LoraFrame(
        frequency_hz=fields["frequency_hz"],
        bandwidth_hz=fields["bw_hz"],
        spreading_factor=fields["sf"],
        coding_rate=fields["cr"],
        sync_word=fields["sync_word"],
        payload=fields["payload"],
        inverted_iq=fields["iq"],
        implicit_header=fields["implicit"],
        crc=fields["crc"],
        rssi_dbm=fields.get("rssi_dbm"),
        snr_db=fields.get("snr_db"),
    )


def _checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\x00" * (len(data) % 2))
    total = sum(words)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
