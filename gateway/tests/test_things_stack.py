"""The Things Stack's messages as documented, stored uplinks, and when its storage is asked for what."""

import json
import random
from typing import Any

import pytest
import things_stack_vectors as vectors

from pave_gateway.core import limits
from pave_gateway.core.lorawan.downlinks import Message, Priority
from pave_gateway.ingress import things_stack
from pave_gateway.ingress.mqtt_downlinks import Order
from pave_gateway.ingress.mqtt_events import ExternalFrame, ExternalJoin, Heard
from pave_gateway.ingress.things_stack import DownlinkTold, ThingsStackError, Told
from pave_gateway.ingress.things_stack_refill import Question, Refill
from pave_gateway.ingress.things_stack_storage import instant

UID = "app1@tenant1"


def read(event: str, payload: bytes) -> Told:
    return things_stack.message_of(f"v3/{UID}/devices/dev1/{event}", payload)


def changed(payload: bytes, **changes: Any) -> bytes:
    """Return an uplink with fields of its uplink_message changed, or (None) taken out."""
    root = json.loads(payload)
    uplink = {**root["uplink_message"], **changes}
    root["uplink_message"] = {name: value for name, value in uplink.items() if value is not None}
    return json.dumps(root).encode()


def test_the_documented_uplinks_are_read_with_what_they_leave_out() -> None:
    told = read("up", vectors.UP)
    assert told == Told("dev1", ExternalFrame(
        "0004a30b001c0530", "AXA50tHUGUucuzS/bCGMNw==", 1, None, b"\x82\x41\xde", 1_581_520_545_789, 5, 868_300_000,
        (Heard("gtw1", -35, 5),),
    ))  # fmt: skip
    frame = read("up", vectors.MQTT_UP).event
    assert isinstance(frame, ExternalFrame)
    assert (frame.fcnt, frame.port, frame.data, frame.received_ms) == (0, 15, b"Temperature = 0.0", None)


def test_the_documented_join_ack_and_failure_are_read() -> None:
    session = "AXBSH1Pk6Z0G166RlH16CQ=="
    assert read("join", vectors.JOIN) == Told("dev1", ExternalJoin("0004a30b001c0530", session, session))
    assert read("down/ack", vectors.DOWN_ACK) == Told("dev1", DownlinkTold("", False))  # another application's
    ours = vectors.DOWN_ACK.replace(b"my-correlation-id", b"pave:0123456789abcdef")
    assert read("down/ack", ours).event == DownlinkTold("pave:0123456789abcdef", False)
    assert read("down/sent", ours.replace(b"downlink_ack", b"downlink_sent")).event == DownlinkTold(
        "pave:0123456789abcdef", False
    )
    failed = vectors.FAILED.replace(b"as:downlink:01E19Z5W3BZBG7CXSJE9C0A3CE", b"pave:17")
    assert read("down/failed", failed).event == DownlinkTold("pave:17", True)


def test_the_documented_lines_of_the_storage_are_read() -> None:
    first, second = (things_stack.stored(line) for line in vectors.STORED)
    assert isinstance(first.event, ExternalFrame) and isinstance(second.event, ExternalFrame)
    assert (first.event.device, first.event.fcnt, second.event.fcnt) == ("1111111111111111", 43, 44)
    assert (first.event.port, first.event.data_rate, first.event.heard) == (10, 0, (Heard("gtw1", 0, 0),))
    assert things_stack.stored_at(vectors.STORED[1]) == "2020-08-24T10:08:49.144907967Z"


def test_a_data_rate_is_one_of_ours_or_none() -> None:
    def rate_of(data_rate: Any) -> int | None:
        frame = read("up", changed(vectors.UP, settings={"data_rate": data_rate})).event
        assert isinstance(frame, ExternalFrame)
        return frame.data_rate

    assert rate_of({"lora": {"bandwidth": 250_000, "spreading_factor": 7}}) == 6
    assert rate_of({"fsk": {"bit_rate": 50_000}}) == 7
    assert rate_of({"lora": {"bandwidth": 500_000, "spreading_factor": 8}}) is None
    assert rate_of("SF7BW125") is None


def test_a_device_without_a_join_is_in_the_session_of_its_address() -> None:
    frame = read("up", changed(vectors.UP, session_key_id=None)).event
    assert isinstance(frame, ExternalFrame) and frame.session == "00BCB929"


@pytest.mark.parametrize(
    ("event", "payload", "reason"),
    [
        ("up", b"", things_stack.MALFORMED),
        ("up", b"{}", things_stack.MALFORMED),
        ("up", vectors.FORMATTED, things_stack.MALFORMED),  # no DevEUI
        ("up", changed(vectors.UP, f_cnt=-1), things_stack.MALFORMED),
        ("up", changed(vectors.UP, f_port=300), things_stack.MALFORMED),
        ("up", changed(vectors.UP, frm_payload="!"), things_stack.MALFORMED),
        ("up", changed(vectors.UP, rx_metadata=[{"snr": "5"}]), things_stack.MALFORMED),
        ("up", changed(vectors.UP, app_s_key={"key": "AA=="}), things_stack.ENCRYPTED),
        ("up", vectors.UP[:-1] + b',"simulated":true}', things_stack.SIMULATED),
        ("join", b'{"end_device_ids":{"dev_eui":"0004A30B001C0530"}}', things_stack.MALFORMED),
        ("location/solved", vectors.UP, things_stack.FOREIGN_TOPIC),
    ],
)
def test_what_cannot_be_read_has_a_reason(event: str, payload: bytes, reason: str) -> None:
    with pytest.raises(ThingsStackError, match=f"^{reason}$"):
        read(event, payload)


@pytest.mark.parametrize("line", [b"", b"{}", b'{"result":7}', b'{"result":{"end_device_ids":{"device_id":"a"}}}'])
def test_a_line_of_the_storage_that_is_no_uplink_is_refused(line: bytes) -> None:
    with pytest.raises(ThingsStackError):
        things_stack.stored(line)


def test_a_message_is_a_downlink_of_the_things_stack() -> None:
    order = Order("0004a30b001c0530", "pave:17", Message(6, b"\xbe\xef", Priority.ACKNOWLEDGEMENT), None, True)
    assert json.loads(things_stack.command(order)) == {
        "downlinks": [
            {"f_port": 6, "frm_payload": "vu8=", "confirmed": False, "priority": "HIGH", "correlation_ids": ["pave:17"]}
        ]
    }
    assert things_stack.command_topic(UID, "dev1", True) == "v3/app1@tenant1/devices/dev1/down/replace"
    assert things_stack.command_topic(UID, "dev1", False) == "v3/app1@tenant1/devices/dev1/down/push"


def test_three_thousand_mutations_raise_nothing_but_what_is_said() -> None:
    source = random.Random(13)
    messages = {"up": vectors.UP, "join": vectors.JOIN, "down/ack": vectors.DOWN_ACK, "down/failed": vectors.FAILED}
    taken = refused = 0
    for _ in range(3_000):
        event, payload = source.choice(list(messages.items()))
        body = bytearray(payload)
        for _ in range(source.randrange(1, 4)):
            at = source.randrange(len(body))
            body[at : at + source.randrange(3)] = source.randbytes(source.randrange(3))
        try:
            read(event, bytes(body))
            taken += 1
        except ThingsStackError as error:
            assert str(error) in things_stack.REASONS
            refused += 1
    assert taken > 300 and refused > 300


MINUTE_MS = 60_000
SINCE_MS = 1_795_000_000_000


class Planned:
    """A plan of questions, and which devices have gaps."""

    def __init__(self, *devices: str) -> None:
        self.gaps = set(devices)
        self.refill = Refill(self.gaps.__contains__)
        self.now_ms = 0

    def ask(self) -> Question | None:
        """Wait until there is something to ask."""
        due_ms = self.refill.next_ms(self.now_ms)
        if due_ms is None:
            return None
        self.now_ms = max(self.now_ms, due_ms)
        return self.refill.question(self.now_ms)

    def answer(self, question: Question | None) -> None:
        assert question is not None
        self.refill.answered(question, self.now_ms)


def test_a_connection_asks_for_everything_since_the_newest_frame_once() -> None:
    plan = Planned()
    plan.refill.connected(SINCE_MS)
    question = plan.ask()
    assert question == Question(None, SINCE_MS - limits.REFILL_MARGIN_MS)
    plan.answer(question)
    assert plan.ask() is None


def test_a_gap_is_asked_for_ever_later_until_it_is_closed() -> None:
    plan = Planned("a")
    plan.refill.missed("a", SINCE_MS, 0)
    assert plan.refill.question(14_999) is None
    asked_ms = []
    for _ in limits.REFILL_AFTER_S:
        question = plan.ask()
        assert question == Question("a", SINCE_MS - limits.REFILL_MARGIN_MS)
        asked_ms.append(plan.now_ms)
        plan.answer(question)
    assert asked_ms == [15_000, 135_000, 1_335_000]
    assert plan.ask() is None and plan.refill.waiting == 0  # nobody heard that frame


def test_a_gap_that_was_closed_is_not_asked_for() -> None:
    plan = Planned("a")
    plan.refill.missed("a", SINCE_MS, 0)
    plan.gaps.clear()
    assert plan.ask() is None and plan.refill.next_ms(plan.now_ms) is None


def test_gaps_of_many_devices_are_one_question() -> None:
    devices = [f"{number:016x}" for number in range(40)]
    plan = Planned(*devices)
    for number, device in enumerate(devices):
        plan.refill.missed(device, SINCE_MS - number * 1_000, 0)
    question = plan.ask()
    assert question == Question(None, SINCE_MS - 39_000 - limits.REFILL_MARGIN_MS)
    plan.answer(question)
    assert plan.refill.waiting == 40 and plan.refill.question(plan.now_ms + 10_000) is None


def test_questions_keep_a_distance() -> None:
    plan = Planned("a", "b")
    for device in ("a", "b"):
        plan.refill.missed(device, SINCE_MS, 0)
    plan.answer(plan.ask())
    first_ms = plan.now_ms
    question = plan.ask()
    assert question is not None and question.device == "b" and plan.now_ms - first_ms == limits.REFILL_SPACING_MS


def test_a_question_that_failed_is_asked_again_later_and_later() -> None:
    plan = Planned("a")
    plan.refill.missed("a", SINCE_MS, 0)
    delays = []
    for _ in range(12):
        assert plan.ask() is not None
        before_ms = plan.now_ms
        plan.refill.failed(plan.now_ms, None)
        plan.ask()
        delays.append(plan.now_ms - before_ms)
    assert delays[:3] == [5_000, 10_000, 20_000] and delays[-1] == limits.REFILL_RETRY_MAX_MS
    before_ms = plan.now_ms
    plan.answer(plan.ask())
    plan.refill.failed(plan.now_ms, 90.0)
    plan.ask()
    assert plan.now_ms - before_ms >= 90_000


def test_an_instant_is_written_as_the_api_takes_it() -> None:
    assert instant(1_598_263_724_868) == "2020-08-24T10:08:44.868000Z" and instant(-5) == "1970-01-01T00:00:00.000000Z"
