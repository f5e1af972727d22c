"""The JSON of Semtech UDP: `rxpk` and `stat` as packet forwarders print them, `txpk` as they read it.

Two shapes exist: that of packet_forwarder 4.0.1 for the SX1301, and that of sx1302_hal 2.1.0, which adds "jver", "mid",
"rssis" and "foff" (lora_pkt_fwd.c, PROTOCOL.TXT and PROTOCOL.md of each). Field order and number formats are theirs.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from pave_emulator.air.airtime import needs_low_data_rate
from pave_emulator.air.concentrator import PUBLIC_SYNC_WORD, Uplink
from pave_emulator.air.radio import Modulation

GPS_EPOCH_UNIX_S = 315_964_800
GPS_LEAP_S = 18
"""GPS is ahead of UTC by so much since 2017."""

_SHORTEST_PREAMBLE, _STANDARD_PREAMBLE = 6, 8  # MIN_LORA_PREAMB, STD_LORA_PREAMB
_LONGEST_PREAMBLE = 0xFFFF
_CODING_RATES = {"4/5": 5, "4/6": 6, "2/3": 6, "4/7": 7, "4/8": 8, "1/2": 8}
_DATA_RATE = re.compile(r"SF(\d{1,2})BW(125|250|500)")


class Shape(Enum):
    """Which forwarder's JSON."""

    SX1301 = "sx1301"
    SX1302 = "sx1302"


class TxpkError(ValueError):
    """A PULL_RESP the forwarder drops without an answer; says which field and why."""


@dataclass(frozen=True)
class GpsFix:
    """A locked GPS receiver: degrees, degrees, metres."""

    latitude: float
    longitude: float
    altitude_m: int


@dataclass(frozen=True)
class Txpk:
    """A downlink as asked for: immediate, or at `tmst`, or at GPS time `tmms` (ms). `power_dbm` includes the
    antenna.
    """

    immediate: bool
    tmst: int | None
    tmms: int | None
    power_dbm: float
    modulation: Modulation
    payload: bytes


@dataclass(frozen=True)
class Counters:
    """What a status report counts; `acknowledged` in percent."""

    received: int
    valid: int
    forwarded: int
    acknowledged: float
    downlinks: int
    sent: int


def rxpk(uplink: Uplink, shape: Shape, utc_s: float | None) -> str:
    """One element of "rxpk". `utc_s` (Unix time of the end of reception) where a GPS is locked."""
    reception, modulation = uplink.reception, uplink.reception.transmission.modulation
    hal = shape is Shape.SX1302
    crc = (1 if reception.crc_ok else -1) if modulation.crc else 0
    fields = ['"jver":1'] if hal else []
    fields.append(f'"tmst":{uplink.tmst}')
    if utc_s is not None:
        moment = datetime.fromtimestamp(utc_s, UTC)
        fields.append(f'"time":"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"')
        fields.append(f'"tmms":{int((utc_s - GPS_EPOCH_UNIX_S + GPS_LEAP_S) * 1000)}')
    fields.append(f'"chan":{uplink.channel.number},"rfch":{uplink.channel.rf_chain}')
    fields.append(f'"freq":{uplink.channel.frequency_hz / 1e6:.6f}')
    fields += [f'"mid":{uplink.demodulator:2}'] if hal else []
    data_rate = f"SF{modulation.spreading_factor}BW{modulation.bandwidth_hz // 1000}"
    fields.append(f'"stat":{crc},"modu":"LORA","datr":"{data_rate}","codr":"4/{modulation.coding_rate}"')
    fields += [f'"rssis":{reception.signal_dbm:.0f}'] if hal else []
    fields.append(f'"lsnr":{reception.snr_db:.1f}')
    if hal:
        offset_hz = modulation.frequency_hz - uplink.channel.frequency_hz
        fields.append(f'"foff":{offset_hz}')
    data = base64.b64encode(reception.payload).decode()
    fields.append(f'"rssi":{reception.rssi_dbm:.0f},"size":{len(reception.payload)},"data":"{data}"')
    return "{" + ",".join(fields) + "}"


def stat(counters: Counters, shape: Shape, utc_s: float, gps: GpsFix | None, temperature_c: float) -> str:
    """The "stat" object, with its name."""
    fields = [f'"time":"{datetime.fromtimestamp(utc_s, UTC):%Y-%m-%d %H:%M:%S} GMT"']
    if gps:
        fields.append(f'"lati":{gps.latitude:.5f},"long":{gps.longitude:.5f},"alti":{gps.altitude_m}')
    fields.append(f'"rxnb":{counters.received},"rxok":{counters.valid},"rxfw":{counters.forwarded}')
    fields.append(f'"ackr":{counters.acknowledged:.1f},"dwnb":{counters.downlinks},"txnb":{counters.sent}')
    fields += [f'"temp":{temperature_c:.1f}'] if shape is Shape.SX1302 else []
    return '"stat":{' + ",".join(fields) + "}"


def parse_txpk(body: bytes) -> Txpk:
    """Read the JSON of a PULL_RESP. Raise TxpkError."""
    try:
        txpk = json.loads(body)["txpk"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TxpkError(f"no JSON object with txpk: {error}") from error
    if not isinstance(txpk, dict):
        raise TxpkError("txpk is not an object")
    immediate = txpk.get("imme") is True
    tmst = None if immediate else _number(txpk, "tmst", None)
    tmms = None if immediate or tmst is not None else _number(txpk, "tmms", None)
    if not immediate and tmst is None and tmms is None:
        raise TxpkError("neither imme nor tmst nor tmms")
    rf_chain = _number(txpk, "rfch")
    if rf_chain != 0:
        raise TxpkError(f"rfch {rf_chain}: only RF chain 0 transmits")
    payload = _payload(txpk)
    power_dbm = _number(txpk, "powe", 0)
    modulation = _modulation(txpk)
    return Txpk(immediate, None if tmst is None else int(tmst), tmms, power_dbm, modulation, payload)


def _modulation(txpk: dict[str, Any]) -> Modulation:
    if txpk.get("modu") != "LORA":
        raise TxpkError(f"modu {txpk.get('modu')!r}: only LORA is modelled")
    match = _DATA_RATE.fullmatch(str(txpk.get("datr")))
    if not match or not 5 <= int(match[1]) <= 12:
        raise TxpkError(f"datr {txpk.get('datr')!r}: SF5 to SF12 with BW125, BW250 or BW500 expected")
    coding_rate = _CODING_RATES.get(str(txpk.get("codr")))
    if coding_rate is None:
        raise TxpkError(f"codr {txpk.get('codr')!r}: one of {', '.join(_CODING_RATES)} expected")
    spreading_factor, bandwidth_hz = int(match[1]), int(match[2]) * 1000
    preamble = int(_number(txpk, "prea", _STANDARD_PREAMBLE))
    if preamble > _LONGEST_PREAMBLE:
        raise TxpkError(f"prea {preamble}: at most {_LONGEST_PREAMBLE}")
    return Modulation(
        frequency_hz=round(_number(txpk, "freq") * 1e6),
        spreading_factor=spreading_factor,
        bandwidth_hz=bandwidth_hz,
        coding_rate=coding_rate,
        preamble_symbols=max(preamble, _SHORTEST_PREAMBLE),
        explicit_header=txpk.get("nhdr") is not True,
        crc=txpk.get("ncrc") is not True,
        inverted_iq=txpk.get("ipol") is True,
        sync_word=PUBLIC_SYNC_WORD,
        low_data_rate=needs_low_data_rate(spreading_factor, bandwidth_hz),
    )


def _payload(txpk: dict[str, Any]) -> bytes:
    size, data = _number(txpk, "size"), txpk.get("data")
    if not isinstance(data, str):
        raise TxpkError("data is missing")
    try:
        payload = base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except binascii.Error as error:
        raise TxpkError(f"data: {error}") from error
    if len(payload) != size:
        raise TxpkError(f"size {size}, but data holds {len(payload)} bytes")
    if len(payload) > 255:
        raise TxpkError(f"size {size}: a LoRa packet has 255 bytes at most")
    return payload


_MISSING = object()
_LARGEST = 1 << 53  # what a JSON number holds exactly; NaN and Infinity, which Python reads, are not below it


def _number(txpk: dict[str, Any], name: str, default: Any = _MISSING) -> Any:
    value = txpk.get(name, default)
    if value is _MISSING:
        raise TxpkError(f"{name} is missing")
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if value is default or (numeric and abs(value) <= _LARGEST):
        return value
    raise TxpkError(f"{name} {value!r} is not a number")
