"""The Things Stack v3: its MQTT messages and stored uplinks as ours, our downlinks as its. Nothing is sent here.

    v3/<application>@<tenant>/devices/<device id>/up                           uplinks
                                                 /join                        a device has joined
                                                 /down/<sent|ack|nack|failed> what became of a downlink
                                                 /down/<push|replace>         to The Things Stack

The JSON is protobuf's mapping: a field that has its default is not there (an FCnt of 0), bytes are base64. MQTT 3.1.1
with QoS 0 is all there is, so the storage integration keeps what is missed: one JSON object a line, {"result": uplink}.
Messages are those of api/ttn/lorawan/v3/messages.proto.
"""

import base64
import json
from dataclasses import dataclass

from pave_gateway.core import limits
from pave_gateway.core.lorawan.downlinks import Priority
from pave_gateway.ingress import json_fields as fields
from pave_gateway.ingress.json_fields import Fields, JsonError
from pave_gateway.ingress.mqtt_downlinks import Order
from pave_gateway.ingress.mqtt_events import ExternalFrame, ExternalJoin, Heard
from pave_wire import region
from pave_wire.limits import SCHC_BYTES

FOREIGN_TOPIC, ENCRYPTED, SIMULATED, MALFORMED = "foreign_topic", "encrypted", "simulated", "malformed"
REASONS = (FOREIGN_TOPIC, ENCRYPTED, SIMULATED, MALFORMED)

EVENTS = ("up", "join", "down/sent", "down/ack", "down/nack", "down/failed")
OURS = "pave:"  # what the names of our messages begin with, among other correlation ids
_FCNT_MAX = 0xFFFFFFFF
_PORT_MAX = 255
_SESSION_CHARS = 64
_CORRELATIONS = 32
_PRIORITIES = {
    Priority.RESPONSE: "HIGH",
    Priority.ACKNOWLEDGEMENT: "HIGH",
    Priority.COMMAND: "NORMAL",
    Priority.SHADOW: "LOW",
}
_DATA_RATES = {rate: number for number, rate in enumerate(region.DATA_RATES)}
_FSK_BIT_RATE = 50_000


class ThingsStackError(ValueError):
    """Not a message for us; `str` is the reason, one of `REASONS`."""


@dataclass(frozen=True, slots=True)
class DownlinkTold:
    """The message that we called `name` was sent, or (`lost`) will never be."""

    name: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A message of The Things Stack: of the device that it calls `device_id`."""

    device_id: str
    event: ExternalFrame | ExternalJoin | DownlinkTold


def topics(uid: str) -> list[str]:
    """Return what to subscribe to; `uid` is "application@tenant", or the application alone."""
    return [f"v3/{uid}/devices/+/{event}" for event in EVENTS]


def message_of(topic: str, payload: bytes) -> Told:
    """Read a message; raises ThingsStackError."""
    parts = topic.split("/", 4)
    if len(parts) != 5 or parts[0] != "v3" or parts[2] != "devices" or parts[4] not in EVENTS:
        raise ThingsStackError(FOREIGN_TOPIC)
    try:
        root = fields.load(payload)
        if parts[4] == "up":
            return Told(parts[3], _up(root))
        return Told(parts[3], _join(root) if parts[4] == "join" else _down(root, parts[4]))
    except JsonError as error:
        raise ThingsStackError(MALFORMED) from error


def stored(line: bytes) -> Told:
    """Read a line of the storage integration; raises ThingsStackError."""
    try:
        root = fields.child(fields.load(line), "result")
        device_id = fields.text(fields.child(root, "end_device_ids"), "device_id")
        if not device_id:
            raise JsonError("no device_id")
        return Told(device_id, _up(root))
    except JsonError as error:
        raise ThingsStackError(MALFORMED) from error


def stored_at(line: bytes) -> str:
    """Return when the storage has a line for: what to ask after for the next page; "" where it does not say."""
    try:
        return fields.text(fields.child(fields.load(line), "result"), "received_at", 64)
    except JsonError:
        return ""


def command_topic(uid: str, device_id: str, replaces: bool) -> str:
    """Return where a message for a device goes."""
    return f"v3/{uid}/devices/{device_id}/down/{'replace' if replaces else 'push'}"


def command(order: Order) -> bytes:
    """Return a message for the queue; it has no date, for The Things Stack knows none."""
    body = {
        "f_port": order.message.port,
        "frm_payload": base64.b64encode(order.message.data).decode(),
        "confirmed": order.message.confirmed,
        "priority": _PRIORITIES[order.message.priority],
        "correlation_ids": [order.name],
    }
    return json.dumps({"downlinks": [body]}, separators=(",", ":")).encode()


def _device(root: Fields) -> str:
    return fields.eui64(fields.child(root, "end_device_ids").get("dev_eui"))


def _up(root: Fields) -> ExternalFrame:
    if root.get("simulated") is True:
        raise ThingsStackError(SIMULATED)
    uplink = fields.child(root, "uplink_message")
    if not uplink:
        raise JsonError("no uplink_message")
    if fields.child(uplink, "app_s_key"):
        raise ThingsStackError(ENCRYPTED)
    fcnt = fields.integer(uplink.get("f_cnt", 0), _FCNT_MAX)
    port = fields.integer(uplink.get("f_port", 0), _PORT_MAX)
    if fcnt is None or port is None:
        raise JsonError("f_cnt or f_port is no number of LoRaWAN")
    settings = fields.child(uplink, "settings")
    return ExternalFrame(
        _device(root),
        _session(root, uplink),
        fcnt,
        port or None,
        fields.base64_bytes(uplink.get("frm_payload", ""), SCHC_BYTES),
        fields.instant_ms(uplink.get("received_at") or root.get("received_at")),
        _data_rate(settings),
        fields.integer(settings.get("frequency", 0), _FCNT_MAX) or 0,
        tuple(_heard(one) for one in fields.children(uplink, "rx_metadata", limits.EXTERNAL_GATEWAYS)),
    )


def _join(root: Fields) -> ExternalJoin:
    session = _session(root, fields.child(root, "join_accept"))
    return ExternalJoin(_device(root), session, session)


def _session(root: Fields, message: Fields) -> str:
    """Return the id of the session's keys; of a device without a join, its address."""
    name = fields.text(message, "session_key_id", _SESSION_CHARS)
    name = name or fields.text(fields.child(root, "end_device_ids"), "dev_addr", _SESSION_CHARS)
    if not name:
        raise JsonError("neither session_key_id nor dev_addr")
    return name


def _down(root: Fields, event: str) -> DownlinkTold:
    kind = "downlink_" + event.removeprefix("down/")
    downlink = fields.child(root, kind)
    if event == "down/failed":
        downlink = fields.child(downlink, "downlink")
    listed = downlink.get("correlation_ids")
    names = [name for name in listed[:_CORRELATIONS] if isinstance(name, str)] if isinstance(listed, list) else []  # pyright: ignore[reportUnknownVariableType]
    ours = [name for name in names if name.startswith(OURS)]
    return DownlinkTold(ours[0] if ours else "", event in ("down/nack", "down/failed"))


def _data_rate(settings: Fields) -> int | None:
    data_rate = fields.child(settings, "data_rate")
    lora = fields.child(data_rate, "lora")
    if fields.integer(fields.child(data_rate, "fsk").get("bit_rate"), _FCNT_MAX) == _FSK_BIT_RATE:
        return region.FSK_DATA_RATE
    spreading_factor = fields.integer(lora.get("spreading_factor"), 12)
    bandwidth_hz = fields.integer(lora.get("bandwidth"), _FCNT_MAX)
    return (
        None if spreading_factor is None or bandwidth_hz is None else _DATA_RATES.get((spreading_factor, bandwidth_hz))
    )


def _heard(one: Fields) -> Heard:
    gateway = fields.child(one, "gateway_ids")
    rssi_dbm = fields.number(one.get("channel_rssi", one.get("rssi", 0)))
    snr_db = fields.number(one.get("snr", 0))
    if rssi_dbm is None or snr_db is None:
        raise JsonError("rssi or snr is no number")
    return Heard(fields.text(gateway, "gateway_id", 64) or fields.text(gateway, "eui", 64), rssi_dbm, snr_db)
