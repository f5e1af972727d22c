"""The JSON of Semtech UDP: receptions and status reports from a forwarder, frames for it, its word on them.

Strict where the server would act on it, lenient where forwarders are known to differ: base64 without padding, with too
much of it, or in the URL-safe alphabet (PROTOCOL.TXT itself shows one with "-"); texts in other encodings; a NUL behind
the JSON; "rsig", an array of antennas with the signal as each heard it, in place of "rssi" and "lsnr"; fields that
nobody knows. What one element of "rxpk" lacks loses that element and no other.

Sources: PROTOCOL.TXT of packet_forwarder 4.0.1, PROTOCOL.md of sx1302_hal 2.1.0.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, cast

from pave_gateway.core import limits
from pave_gateway.core.lorawan.radio import TMST_END, Downlink, TxResult, Uplink
from pave_gateway.ingress.json_fields import Fields, JsonError, base64_bytes, children, integer, load, number
from pave_wire import region
from pave_wire.errors import RegionError
from pave_wire.limits import LORAWAN_PHY_BYTES

BAD_CRC, NO_CRC, OTHER_RADIO, MALFORMED, TOO_MANY = "bad_crc", "no_crc", "other_radio", "malformed", "too_many"
REASONS = (BAD_CRC, NO_CRC, OTHER_RADIO, MALFORMED, TOO_MANY)

_DATA_RATES = {f"SF{sf}BW{bandwidth_hz // 1000}": rate for rate, (sf, bandwidth_hz) in enumerate(region.DATA_RATES)}
_DATA_RATE_NAMES = {rate: name for name, rate in _DATA_RATES.items()}
_FSK_BIT_RATE, _FSK_DEVIATION_HZ = 50_000, 25_000
_NOISE_DBM = -117.0  # of 125 kHz at a noise figure of 6 dB: FSK has no SNR of its own
_RSSI_DBM, _SNR_DB = (-200.0, 50.0), (-40.0, 40.0)  # what lies outside is no measurement
_RESULTS = {result.value: result for result in TxResult if result is not TxResult.UNREACHABLE}
_FILLING = b"\0 \t\r\n"
_COUNT_MAX = 0xFFFFFFFF


class _DropError(Exception):
    """One element is of no use; `str` is one of `REASONS`."""


@dataclass(frozen=True, slots=True)
class Stat:
    """A status report: counts since the last one; None where the forwarder does not say.

    Attributes:
        rxnb: Packets received.
        rxok: Of these, with a good CRC.
        rxfw: Of these, forwarded.
        ackr: Percentage of PUSH_DATA that were acknowledged in time.
        dwnb: PULL_RESP received.
        txnb: Packets sent.
        temp: Of the concentrator, degrees Celsius.
    """

    rxnb: int | None = None
    rxok: int | None = None
    rxfw: int | None = None
    ackr: float | None = None
    dwnb: int | None = None
    txnb: int | None = None
    temp: float | None = None


@dataclass(slots=True)
class Pushed:
    """What a PUSH_DATA brought; `dropped` are the reasons for which elements were left out."""

    uplinks: list[Uplink] = field(default_factory=list[Uplink])
    stat: Stat | None = None
    dropped: list[str] = field(default_factory=list[str])


def pushed(body: bytes, gateway_id: str) -> Pushed:
    """Read the body of a PUSH_DATA; raises JsonError where it is no JSON object."""
    root = load(body)
    found = Pushed()
    packets: Any = root.get("rxpk", [])
    if not isinstance(packets, list):
        raise JsonError("rxpk is not an array")
    listed = cast("list[Any]", packets)
    for packet in listed[: limits.SEMTECH_PACKETS]:
        try:
            found.uplinks.append(_uplink(packet, gateway_id))
        except _DropError as error:
            found.dropped.append(str(error))
    found.dropped += [TOO_MANY] * (len(listed) - limits.SEMTECH_PACKETS)
    if isinstance(root.get("stat"), dict):
        found.stat = _stat(root["stat"])
    return found


def txpk(downlink: Downlink) -> bytes:
    """Return the body of a PULL_RESP: the frame, at its concentrator's time."""
    fields: Fields = {
        "imme": False,
        "tmst": downlink.tmst,
        "freq": round(downlink.frequency_hz / 1e6, 6),
        "rfch": 0,
        "powe": downlink.power_dbm,
    }
    if downlink.data_rate == region.FSK_DATA_RATE:
        fields |= {"modu": "FSK", "datr": _FSK_BIT_RATE, "fdev": _FSK_DEVIATION_HZ, "prea": 5}
    else:
        name = _DATA_RATE_NAMES[downlink.data_rate]
        fields |= {"modu": "LORA", "datr": name, "codr": "4/5", "ipol": True, "ncrc": True, "prea": 8}
    fields |= {"size": len(downlink.phy), "data": base64.b64encode(downlink.phy).decode()}
    return json.dumps({"txpk": fields}, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class TxAck:
    """What a forwarder says of a frame it was given.

    Attributes:
        result: As the network server knows it; an error that it does not know counts as a collision.
        error: The name that was given, "" for none.
        power_dbm: What it can send with, where it says so.
    """

    result: TxResult
    error: str = ""
    power_dbm: int | None = None


def tx_ack(body: bytes) -> TxAck:
    """Read the body of a TX_ACK; an empty one says that all is well. Raises JsonError."""
    if not body.strip(_FILLING):
        return TxAck(TxResult.OK)
    said: Any = load(body).get("txpk_ack")
    if not isinstance(said, dict):
        raise JsonError("no txpk_ack")
    fields = cast("Fields", said)
    name = fields.get("error")
    error = name[: limits.SEMTECH_ERROR_CHARS].upper() if isinstance(name, str) else ""
    result = _RESULTS.get(error or "NONE", TxResult.COLLISION_PACKET)
    value = number(fields.get("value"))
    is_power = TxResult.TX_POWER.value in (error, fields.get("warn")) and value is not None
    return TxAck(
        result, "" if result is TxResult.OK else error, round(value) if is_power and value is not None else None
    )


def _uplink(packet: Any, gateway_id: str) -> Uplink:
    if not isinstance(packet, dict):
        raise _DropError(MALFORMED)
    fields = cast("Fields", packet)
    crc = fields.get("stat", 1)
    if crc != 1:
        raise _DropError(NO_CRC if crc == 0 else BAD_CRC)
    data_rate = _data_rate(fields)
    rssi_dbm, snr_db = _signal(fields, data_rate)
    tmst = fields.get("tmst")
    if not isinstance(tmst, int) or isinstance(tmst, bool) or not 0 <= tmst < TMST_END:
        raise _DropError(MALFORMED)
    return Uplink(
        _payload(fields.get("data")), gateway_id, tmst, _frequency_hz(fields, data_rate), data_rate, rssi_dbm, snr_db
    )


def _data_rate(fields: Fields) -> int:
    named = fields.get("datr")
    if isinstance(named, str) and fields.get("modu", "LORA") == "LORA":
        found = _DATA_RATES.get(named)
    else:
        found = region.FSK_DATA_RATE if number(named) == _FSK_BIT_RATE and fields.get("modu", "FSK") == "FSK" else None
    if found is None:
        raise _DropError(OTHER_RADIO)
    return found


def _frequency_hz(fields: Fields, data_rate: int) -> int:
    """Return the channel, which an answer may have to use: only what the law allows is taken."""
    mhz = number(fields.get("freq"))
    if mhz is None:
        raise _DropError(MALFORMED)
    frequency_hz = round(mhz * 1e6)
    try:
        region.sub_band(frequency_hz, region.occupied_hz(data_rate))
    except RegionError as error:
        raise _DropError(OTHER_RADIO) from error
    return frequency_hz


def _signal(fields: Fields, data_rate: int) -> tuple[float, float]:
    """Return (RSSI of the channel in dBm, SNR in dB), of several antennas the best."""
    antennas = children(fields, "rsig", limits.SEMTECH_ANTENNAS)
    heard = [_measured(antenna.get("rssic"), antenna.get("lsnr"), data_rate) for antenna in antennas]
    heard = heard or [_measured(fields.get("rssi", fields.get("rssis")), fields.get("lsnr"), data_rate)]
    return max(heard, key=lambda one: (one[1], one[0]))


def _measured(rssi: Any, snr: Any, data_rate: int) -> tuple[float, float]:
    rssi_dbm, snr_db = number(rssi), number(snr)
    if rssi_dbm is None or not _RSSI_DBM[0] <= rssi_dbm <= _RSSI_DBM[1]:
        raise _DropError(MALFORMED)
    if data_rate == region.FSK_DATA_RATE:
        snr_db = rssi_dbm - _NOISE_DBM
    if snr_db is None:
        raise _DropError(MALFORMED)
    return rssi_dbm, min(max(snr_db, _SNR_DB[0]), _SNR_DB[1])


def _payload(data: Any) -> bytes:
    try:
        phy = base64_bytes(data, LORAWAN_PHY_BYTES)
    except JsonError as error:
        raise _DropError(MALFORMED) from error
    if not phy:
        raise _DropError(MALFORMED)
    return phy


def _stat(said: Fields) -> Stat:
    return Stat(
        rxnb=integer(said.get("rxnb"), _COUNT_MAX),
        rxok=integer(said.get("rxok"), _COUNT_MAX),
        rxfw=integer(said.get("rxfw"), _COUNT_MAX),
        ackr=number(said.get("ackr")),
        dwnb=integer(said.get("dwnb"), _COUNT_MAX),
        txnb=integer(said.get("txnb"), _COUNT_MAX),
        temp=number(said.get("temp")),
    )
