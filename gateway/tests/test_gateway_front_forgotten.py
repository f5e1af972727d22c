"""A device that knows an older name of its gateway, after the gateway has a window of it: it must be able to follow."""

from typing import Any

import pytest
from oscore_support import HERE, Bench, device_name, keys_of

from pave_gateway.core.shadow_resources import Reply
from pave_gateway.ingress.coap_changes import Changing
from pave_wire import coap, model
from pave_wire.coap_endpoint import Endpoint
from pave_wire.coap_oscore import OscoreSecurity
from pave_wire.oscore_context import FRESH_WINDOW, Context
from pave_wire.oscore_options import decode_value

NUMBER = 0x101
NAME = device_name(NUMBER)
OLD, NEW = b"older", b"newer"
PATIENCE_MS = 100_000  # longer than a client waits for one answer


class Memory:
    """The NVS of a device, see `pave_wire.coap_oscore.Memory`. What is told a second time may be forgotten."""

    def __init__(self) -> None:
        self.peer = OLD
        self.window = FRESH_WINDOW
        self.reserved = 0
        self.kept: list[bytes] = []

    def reserve(self, limit: int) -> None:
        self.reserved = limit

    def used(self, sequence: int) -> None:
        pass

    def keep_peer(self, peer_id: bytes, window: Any) -> None:
        self.peer, self.window = peer_id, window
        self.kept.append(peer_id)

    def context(self, peer_id: bytes, sequence: int, window: Any) -> Context:
        keys = keys_of(NUMBER)
        return Context(keys.master_secret, keys.master_salt, keys.recipient_id, peer_id, sequence, window)


class Device:
    """One power-on of a device: its endpoint is that of the firmware, its memory outlives it."""

    def __init__(self, bench: Bench, memory: Memory) -> None:
        self.bench = bench
        context = memory.context(memory.peer, memory.reserved, memory.window)
        self.endpoint = Endpoint(lambda below: below // 3, security=OscoreSecurity(context, memory))
        self.bytes_down: list[int] = []

    def ask(self, code: int, path: str, payload: bytes = b"", content_format: int | None = None) -> int | None:
        """Send a request and as many retransmissions as it takes; return the code of the answer, None for silence."""
        bench = self.bench
        end_ms = bench.now_ms + PATIENCE_MS
        self.endpoint.request(code, path, HERE, bench.now_ms, payload, content_format)
        while bench.now_ms < end_ms:
            for data, _ in self.endpoint.datagrams_to_send(bench.now_ms):
                for reply in bench.put(data):
                    self.bytes_down.append(len(reply))
                    for event in self.endpoint.receive_datagram(reply, HERE, bench.now_ms):
                        return event.code
            bench.now_ms = max(self.endpoint.next_timeout() or 0, bench.now_ms + 1)
            if self.endpoint.handle_timeout(bench.now_ms):
                return None  # it has given up
        raise AssertionError("a request never ends")

    def report(self, *seqs: int) -> int | None:
        readings = [model.Reading(NAME, 1, seq, 0, {"occupied": True, "reason": "field"}) for seq in seqs]
        return self.ask(coap.POST, "r", model.pack_readings(NAME, readings), 112)


def gateway(**made: Any) -> Bench:
    return Bench(devices=1, gateway_id=NEW, **made)


def followed(memory: Memory) -> bool:
    return memory.peer == NEW


def test_a_device_that_forgot_the_name_after_its_window_was_stored_follows_with_its_second_report():
    bench, memory = gateway(lost=True), Memory()
    assert Device(bench, memory).report(1) == coap.CHANGED and followed(memory)
    memory.peer = OLD  # what it wrote was lost with its power
    device = Device(bench, memory)
    assert device.report(2) is None, "what it has never sent is answered without a name"
    assert device.report(2) == coap.CHANGED and followed(memory)
    assert device.report(3) == coap.CHANGED
    assert bench.counters.echo == 1 and len(bench.disk.readings) == 3


def test_it_follows_too_when_each_report_of_what_was_not_acknowledged_has_something_new_in_it():
    bench, memory = gateway(), Memory()
    device = Device(bench, memory)
    assert device.report(1) is None
    assert device.report(1, 2) == coap.CHANGED and followed(memory)
    assert len(bench.disk.readings) == 2


def test_the_control_a_gateway_that_never_says_its_name_is_not_heard_again():
    bench, memory = gateway(), Memory()
    device = Device(bench, memory)
    send = bench.front.outbox.accept
    bench.front._telemetry._answer_repeated = send
    assert [device.report(1) for _ in range(4)] == [None] * 4 and not followed(memory)


@pytest.mark.parametrize("code", [coap.POST, coap.PUT])
def test_the_answer_to_any_other_request_says_the_name_at_once(code):
    bench, memory = gateway(), Memory()
    changing = Changing(lambda question: Reply(coap.CHANGED), bench.committer.submit)
    bench.front._changing = {b"h": changing}
    assert Device(bench, memory).ask(code, "h", b"x") == coap.CHANGED and followed(memory)


def test_a_refusal_says_the_name():
    bench, memory = gateway(), Memory()
    assert Device(bench, memory).ask(coap.POST, "r", b"\xff", 112) == coap.BAD_REQUEST and followed(memory)


def test_what_aiocoap_answers_says_the_name_and_a_notification_does_not():
    bench = gateway()
    made = Device(bench, Memory())
    taken: list[Any] = []
    bench.tokens.request = lambda request, message: taken.append(request)
    made.endpoint.request(coap.GET, "a", HERE, bench.now_ms)
    ((data, _),) = made.endpoint.datagrams_to_send(bench.now_ms)
    bench.put(data)
    (request,) = taken
    bench.front.outbox.answer(request, coap.Message(coap.ACK, coap.CONTENT, 0))
    assert kid_of(bench.sent()[0]) == NEW
    bench.front.outbox.send(request.exchange, coap.Message(coap.CON, coap.CONTENT, 0, b"t"), HERE)
    assert kid_of(bench.sent()[0]) is None


def kid_of(datagram: bytes) -> bytes | None:
    return decode_value(coap.decode(datagram).option(coap.OSCORE) or b"")[1]


def test_a_name_costs_nothing_where_every_answer_arrives():
    bench, memory = gateway(lost=True), Memory()
    device = Device(bench, memory)
    assert device.report(1) == coap.CHANGED
    device.bytes_down.clear()
    for seq in range(2, 20):
        assert device.report(seq) == coap.CHANGED
    assert len(set(device.bytes_down)) == 1 and memory.kept == [NEW]
