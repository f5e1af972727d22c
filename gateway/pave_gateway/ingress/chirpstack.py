"""ChirpStack v4's MQTT integration: its events as ours, our downlinks as its commands. Nothing is sent or kept here.

    application/<application>/device/<DevEUI>/event/<up|join|status|ack|txack|log>   from ChirpStack
    application/<application>/device/<DevEUI>/command/down                           to ChirpStack

The JSON is protobuf's mapping: a field that has its default is not there (an FCnt of 0, DR0, an RSSI of 0), bytes are
base64, names are in camel case. `up` and `join` may overtake each other. The events are those of the protobuf messages
in api/proto/integration/integration.proto of ChirpStack 4.
"""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pave_gateway.core import limits
from pave_gateway.core.lorawan.mac import DeviceStatus
from pave_gateway.ingress import json_fields as fields
from pave_gateway.ingress.json_fields import Fields, JsonError
from pave_gateway.ingress.mqtt_downlinks import Order
from pave_gateway.ingress.mqtt_events import ExternalFrame, ExternalJoin, Heard
from pave_wire.limits import SCHC_BYTES

FOREIGN_TOPIC, FOREIGN_DEVICE, PROTOBUF, ENCRYPTED, MALFORMED = (
    "foreign_topic", "foreign_device", "protobuf", "encrypted", "malformed",
)  # fmt: skip
REASONS = (FOREIGN_TOPIC, FOREIGN_DEVICE, PROTOBUF, ENCRYPTED, MALFORMED)

EVENTS = ("up", "join", "status", "ack", "txack", "log")
_FCNT_MAX = 0xFFFFFFFF
_PORT_MAX, _DATA_RATE_MAX = 255, 7
_JOIN_CHARS = 8  # of a deduplication id; one device's joins are told apart
_LOST = ("EXPIRED", "DOWNLINK_PAYLOAD_SIZE", "F_CNT_DOWN")  # log codes after which a message is in no queue any more
_BATTERY_STEPS = 253  # DevStatusAns counts 1 to 254 (TS001-1.0.4, 5.5)
_EXTERNAL_POWER, _BATTERY_UNKNOWN = 0, 255
_MARGIN_DB = (-32, 31)


class ChirpStackError(ValueError):
    """Not an event for us; `str` is the reason, one of `REASONS`."""


@dataclass(frozen=True, slots=True)
class Status:
    """A DevStatusAns."""

    device: str
    status: DeviceStatus


@dataclass(frozen=True, slots=True)
class DownlinkTold:
    """The message that we called `name` is on its way, or (`lost`) will never be."""

    device: str
    name: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Logged:
    """ChirpStack has something to say of a device; `told` where it is of a message of ours."""

    device: str
    level: str
    code: str
    description: str
    told: DownlinkTold | None


Event = ExternalFrame | ExternalJoin | Status | DownlinkTold | Logged


def topics(application: str) -> list[str]:
    """Return what to subscribe to; `application` is an id or "+"."""
    return [f"application/{application}/device/+/event/{event}" for event in EVENTS]


def of_topic(topic: str) -> tuple[str, str, str]:
    """Return (application, device, event) of a topic; raises ChirpStackError."""
    parts = topic.split("/")
    if len(parts) != 6 or parts[0] != "application" or parts[2] != "device" or parts[4] != "event":
        raise ChirpStackError(FOREIGN_TOPIC)
    try:
        return parts[1], fields.eui64(parts[3]), parts[5]
    except JsonError as error:
        raise ChirpStackError(FOREIGN_TOPIC) from error


def event_of(topic: str, payload: bytes) -> Event:
    """Read an event; raises ChirpStackError."""
    _, device, name = of_topic(topic)
    if name not in EVENTS:
        raise ChirpStackError(FOREIGN_TOPIC)
    if not payload.lstrip().startswith(b"{"):
        raise ChirpStackError(PROTOBUF)
    try:
        root = fields.load(payload)
        if fields.eui64(fields.child(root, "deviceInfo").get("devEui")) != device:
            raise ChirpStackError(FOREIGN_DEVICE)
        return _READERS[name](device, root)
    except JsonError as error:
        raise ChirpStackError(MALFORMED) from error


def command_topic(application: str, device: str) -> str:
    """Return where ChirpStack takes messages for a device."""
    return f"application/{application}/device/{device}/command/down"


def command(order: Order) -> bytes:
    """Return a message for ChirpStack's queue; its `id` comes back in what is said of it."""
    body: dict[str, Any] = {
        "id": order.name,
        "devEui": order.device,
        "confirmed": order.message.confirmed,
        "fPort": order.message.port,
        "data": base64.b64encode(order.message.data).decode(),
    }
    if order.expires_ms is not None:
        moment = datetime.fromtimestamp(order.expires_ms / 1000, UTC)
        body["expiresAt"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(body, separators=(",", ":")).encode()


def _up(device: str, root: Fields) -> ExternalFrame:
    _check_clear(root)
    heard = fields.children(root, "rxInfo", limits.EXTERNAL_GATEWAYS)
    fcnt = fields.integer(root.get("fCnt", 0), _FCNT_MAX)
    port = fields.integer(root.get("fPort", 0), _PORT_MAX)
    if fcnt is None or port is None:
        raise JsonError("fCnt or fPort is no number of LoRaWAN")
    return ExternalFrame(
        device,
        _dev_addr(root),
        fcnt,
        port or None,
        fields.base64_bytes(root.get("data", ""), SCHC_BYTES),
        _received_ms(root, heard),
        fields.integer(root.get("dr", 0), _DATA_RATE_MAX),
        fields.integer(fields.child(root, "txInfo").get("frequency", 0), _FCNT_MAX) or 0,
        tuple(_heard(one) for one in heard),
    )


def _join(device: str, root: Fields) -> ExternalJoin:
    _check_clear(root)
    name = fields.text(root, "deduplicationId")[:_JOIN_CHARS]
    if not name:
        raise JsonError("a join without deduplicationId")
    return ExternalJoin(device, _dev_addr(root), name)


def _status(device: str, root: Fields) -> Status:
    margin = fields.number(root.get("margin", 0))
    level = fields.number(root.get("batteryLevel", 0))
    if margin is None or level is None:
        raise JsonError("margin or batteryLevel is no number")
    battery = 1 + round(min(max(level, 0.0), 100.0) / 100 * _BATTERY_STEPS)
    if root.get("externalPowerSource") is True:
        battery = _EXTERNAL_POWER
    elif root.get("batteryLevelUnavailable") is True:
        battery = _BATTERY_UNKNOWN
    return Status(device, DeviceStatus(battery, round(min(max(margin, _MARGIN_DB[0]), _MARGIN_DB[1]))))


def _ack(device: str, root: Fields) -> DownlinkTold:
    return DownlinkTold(device, fields.text(root, "queueItemId"), root.get("acknowledged") is not True)


def _txack(device: str, root: Fields) -> DownlinkTold:
    return DownlinkTold(device, fields.text(root, "queueItemId"), False)


def _log(device: str, root: Fields) -> Logged:
    code = fields.text(root, "code", 32)
    name = fields.text(fields.child(root, "context"), "queue_item_id")
    told = DownlinkTold(device, name, True) if name and code in _LOST else None
    return Logged(device, fields.text(root, "level", 16) or "INFO", code, fields.text(root, "description", 160), told)


_READERS = {"up": _up, "join": _join, "status": _status, "ack": _ack, "txack": _txack, "log": _log}


def _check_clear(root: Fields) -> None:
    """With a join server of one's own and end-to-end encryption, ChirpStack hands over what it cannot read."""
    if fields.child(root, "joinServerContext"):
        raise ChirpStackError(ENCRYPTED)


def _dev_addr(root: Fields) -> str:
    address = fields.text(root, "devAddr", 16)
    if not address:
        raise JsonError("no devAddr")
    return address


def _received_ms(root: Fields, heard: list[Fields]) -> int | None:
    """Return when ChirpStack had the first copy; "time" may be a gateway's own clock."""
    told = [instant for instant in (fields.instant_ms(one.get("nsTime")) for one in heard) if instant is not None]
    return min(told) if told else fields.instant_ms(root.get("time"))


def _heard(one: Fields) -> Heard:
    rssi_dbm, snr_db = fields.number(one.get("rssi", 0)), fields.number(one.get("snr", 0))
    if rssi_dbm is None or snr_db is None:
        raise JsonError("rssi or snr is no number")
    return Heard(fields.text(one, "gatewayId", 64), rssi_dbm, snr_db)
