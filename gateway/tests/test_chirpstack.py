"""ChirpStack's events as documented, as its JSON leaves things out, and as nobody should send them."""

import json
import random
from typing import Any

import chirpstack_vectors as vectors
import pytest
from chirpstack_vectors import APPLICATION, DEV_EUI

from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_gateway.core.lorawan.mac import DeviceStatus
from pave_gateway.ingress import chirpstack
from pave_gateway.ingress.chirpstack import ChirpStackError, DownlinkTold, Logged, Status
from pave_gateway.ingress.mqtt_downlinks import Order
from pave_gateway.ingress.mqtt_events import ExternalFrame, ExternalJoin, Heard


def topic(event: str, device: str = DEV_EUI) -> str:
    return f"application/{APPLICATION}/device/{device}/event/{event}"


def read(event: str, payload: bytes) -> Any:
    return chirpstack.event_of(topic(event), payload)


def changed(payload: bytes, **changes: Any) -> bytes:
    """Return an event with fields changed, or (None) taken out."""
    root = {**json.loads(payload), **changes}
    return json.dumps({name: value for name, value in root.items() if value is not None}).encode()


def test_the_documented_uplink_has_no_fcnt_since_it_is_0() -> None:
    assert read("up", vectors.UP) == ExternalFrame(
        DEV_EUI, "00189440", 0, 1, b"\xaa", 1_658_136_855_775, 1, 867_100_000, (Heard("0016c001f153a14c", -36, 10.5),)
    )


def test_the_documented_join_status_ack_txack_and_log_are_read() -> None:
    assert read("join", vectors.JOIN) == ExternalJoin(DEV_EUI, "00189440", "c9dbe358")
    assert read("status", vectors.STATUS) == Status(DEV_EUI, DeviceStatus(224, 10))
    assert read("ack", vectors.ACK) == DownlinkTold(DEV_EUI, "1bbcab1d-6ec6-4136-b3f5-d63be1dc08de", False)
    assert read("txack", vectors.TXACK) == DownlinkTold(DEV_EUI, "42cb6459-a640-46ec-9623-bdff39dc4736", False)
    description = "MIC of join-request is invalid, make sure keys are correct"
    assert read("log", vectors.LOG) == Logged(DEV_EUI, "ERROR", "UPLINK_MIC", description, None)


def test_what_json_leaves_out_has_its_default() -> None:
    frame = read("up", changed(vectors.UP, dr=None, fPort=None, data=None, rxInfo=[{"gatewayId": "a"}], txInfo=None))
    assert (frame.data_rate, frame.port, frame.data, frame.frequency_hz) == (0, None, b"", 0)
    assert frame.heard == (Heard("a", 0, 0),)
    assert read("status", changed(vectors.STATUS, margin=None, batteryLevel=None)).status == DeviceStatus(1, 0)
    assert read("ack", changed(vectors.ACK, acknowledged=None)).lost
    assert read("up", changed(vectors.UP, rxInfo=None, time=None)).received_ms is None


@pytest.mark.parametrize(
    ("changes", "battery"),
    [
        ({"batteryLevel": 100.0}, 254),
        ({"batteryLevel": 0.3952569}, 2),
        ({"externalPowerSource": True, "batteryLevel": None}, 0),
        ({"batteryLevelUnavailable": True, "batteryLevel": None}, 255),
    ],
)
def test_a_battery_is_told_in_the_steps_of_lorawan(changes: dict[str, Any], battery: int) -> None:
    assert read("status", changed(vectors.STATUS, **changes)).status.battery == battery


def test_numbers_may_be_texts_and_base64_may_be_bare() -> None:
    frame = read("up", changed(vectors.UP, fCnt="4294967295", fPort="223", data="_-8"))
    assert (frame.fcnt, frame.port, frame.data) == (4_294_967_295, 223, b"\xff\xef")


def test_the_network_servers_own_clock_goes_before_a_gateways() -> None:
    heard = [
        {"gatewayId": "a", "rssi": -80, "nsTime": "2022-07-18T09:34:16.500Z"},
        {"gatewayId": "b", "rssi": -90, "nsTime": "2022-07-18T09:34:16.400+00:00", "gwTime": "1999-01-01T00:00:00Z"},
    ]
    assert read("up", changed(vectors.UP, rxInfo=heard)).received_ms == 1_658_136_856_400


def test_a_message_that_chirpstack_gives_up_is_told_by_its_log() -> None:
    changes = {"code": "EXPIRED", "context": {"queue_item_id": "17"}, "level": "WARNING"}
    assert read("log", changed(vectors.LOG, **changes)).told == DownlinkTold(DEV_EUI, "17", True)
    assert read("log", changed(vectors.LOG, context={"queue_item_id": "17"})).told is None


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("up", b"\n\x243ac7e3c4-4401-4b8d-9386", chirpstack.PROTOBUF),
        ("up", b"", chirpstack.PROTOBUF),
        ("up", b"{", chirpstack.MALFORMED),
        ("up", b"{}", chirpstack.MALFORMED),
        ("up", b'{"a":' + b"[" * 60_000, chirpstack.MALFORMED),
        ("up", changed(vectors.UP, devAddr=None), chirpstack.MALFORMED),
        ("up", changed(vectors.UP, fCnt=-1), chirpstack.MALFORMED),
        ("up", changed(vectors.UP, fCnt=1 << 32), chirpstack.MALFORMED),
        ("up", changed(vectors.UP, fCnt=1.5), chirpstack.MALFORMED),
        ("up", changed(vectors.UP, fPort=256), chirpstack.MALFORMED),
        ("up", changed(vectors.UP, data="!"), chirpstack.MALFORMED),
        ("up", changed(vectors.UP, data="A" * 1_000), chirpstack.MALFORMED),
        ("up", changed(vectors.UP, rxInfo=[{"rssi": "loud"}]), chirpstack.MALFORMED),
        ("up", changed(vectors.UP, deviceInfo={"devEui": "0101010101010102"}), chirpstack.FOREIGN_DEVICE),
        ("up", changed(vectors.UP, joinServerContext={"sessionKeyId": "01"}), chirpstack.ENCRYPTED),
        ("join", changed(vectors.JOIN, deduplicationId=None), chirpstack.MALFORMED),
        ("status", changed(vectors.STATUS, margin="10"), chirpstack.MALFORMED),
        ("location", vectors.LOCATION, chirpstack.FOREIGN_TOPIC),
    ],
)
def test_what_cannot_be_read_has_a_reason(event: str, payload: bytes, reason: str) -> None:
    with pytest.raises(ChirpStackError, match=f"^{reason}$"):
        read(event, payload)


@pytest.mark.parametrize("name", ["application/x/device/0101010101010101/event", "x", "a/b/c/d/e/f", topic("up", "01")])
def test_a_topic_that_is_none_of_chirpstacks_is_refused(name: str) -> None:
    with pytest.raises(ChirpStackError, match="foreign_topic"):
        chirpstack.event_of(name, vectors.UP)


def test_a_data_rate_of_another_region_is_not_taken_for_one_of_ours() -> None:
    assert read("up", changed(vectors.UP, dr=12)).data_rate is None


def test_topics_of_one_application_and_of_all() -> None:
    assert chirpstack.topics("+")[0] == "application/+/device/+/event/up"
    assert chirpstack.topics(APPLICATION)[1] == f"application/{APPLICATION}/device/+/event/join"


def test_a_message_is_chirpstacks_downlink_command() -> None:
    order = Order(DEV_EUI, "42cb6459", Message(6, b"\x01\x02\x03", Priority.ACKNOWLEDGEMENT), 1_658_136_855_775, False)
    assert json.loads(chirpstack.command(order)) == {
        "id": "42cb6459", "devEui": DEV_EUI, "confirmed": False, "fPort": 6, "data": "AQID",
        "expiresAt": "2022-07-18T09:34:15.775Z",
    }  # fmt: skip
    assert "expiresAt" not in json.loads(chirpstack.command(order._replace(expires_ms=None)))
    assert chirpstack.command_topic("app", DEV_EUI) == f"application/app/device/{DEV_EUI}/command/down"


def test_the_uplink_event_that_pamoja_reads_is_read_alike() -> None:
    gateway = pytest.importorskip("pamoja.gateway", reason="pamoja-gateway 0.2.0 reads ChirpStack's events")
    theirs, ours = gateway.ChirpstackUplinkEvent.from_json(vectors.UP.decode()), read("up", vectors.UP)
    assert (theirs.fcnt, theirs.fport, theirs.data) == (ours.fcnt, ours.port, ours.data)
    assert (theirs.dev_eui, theirs.dev_addr, theirs.data_rate) == (ours.device, int(ours.session, 16), ours.data_rate)
    (heard,) = theirs.receptions
    assert (heard.rssi_dbm, heard.snr_db) == (ours.heard[0].rssi_dbm, ours.heard[0].snr_db)


def test_four_thousand_mutations_raise_nothing_but_what_is_said() -> None:
    source = random.Random(11)
    events = {"up": vectors.UP, "join": vectors.JOIN, "status": vectors.STATUS, "ack": vectors.ACK, "log": vectors.LOG}
    taken = refused = 0
    for _ in range(4_000):
        event, payload = source.choice(list(events.items()))
        body = bytearray(payload)
        for _ in range(source.randrange(1, 4)):
            at = source.randrange(len(body))
            body[at : at + source.randrange(3)] = source.randbytes(source.randrange(3))
        try:
            read(event, bytes(body))
            taken += 1
        except ChirpStackError as error:
            assert str(error) in chirpstack.REASONS
            refused += 1
    assert taken > 500 and refused > 500
