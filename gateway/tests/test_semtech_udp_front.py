"""Packet forwarders at the gateway's door: who is let in, where downlinks go, what each said of itself."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

import semtech_vectors as vectors
from semtech_vectors import packet, push

from pave_gateway.core import limits
from pave_gateway.core.lorawan.radio import Downlink, TxResult, Uplink
from pave_gateway.findings import Severity
from pave_gateway.ingress import semtech_udp as wire
from pave_gateway.ingress import semtech_udp_health as health
from pave_gateway.ingress.semtech_udp_front import SemtechUdp

NEAR, FAR, STRANGER = "00000000000000a1", "00000000000000a2", "00000000000000ff"
HOME, ELSEWHERE, RESTARTED = ("10.0.0.1", 40_001), ("10.0.0.66", 6_666), ("10.0.0.1", 40_777)


class Quiet:
    """A log that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def warning(self, cause: str, message: str) -> None:
        self.lines.append((cause, message))


@dataclass
class Behind:
    """Stands for the network server: notes what it is told."""

    uplinks: list[Uplink] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    results: list[tuple[int, TxResult, int | None]] = field(default_factory=list)

    def receive_uplink(self, uplink: Uplink, now_ms: int) -> None:
        self.uplinks.append(uplink)

    def concentrator_reached(self, gateway_id: str, now_ms: int) -> None:
        self.reached.append(gateway_id)

    def transmitted(self, token: int, result: TxResult, now_ms: int, power_dbm: int | None = None) -> None:
        self.results.append((token, result, power_dbm))


class Door:
    """A front with its clock in the test's hands."""

    def __init__(self, allowed: frozenset[str] | None = frozenset((NEAR, FAR))) -> None:
        self.now_ms = 1_000_000
        self.log, self.behind = Quiet(), Behind()
        self.sent: list[tuple[bytes, Any]] = []
        self.front = SemtechUdp(
            allowed, lambda: self.now_ms, random.Random(1), lambda data, to: self.sent.append((data, to)), self.log
        )  # fmt: skip
        self.front.serve(self.behind)

    def send(
        self, kind: int, gateway_id: str = NEAR, body: bytes = b"", source: Any = HOME, token: int = 7
    ) -> list[Any]:
        """Send a datagram; return what comes back."""
        self.sent.clear()
        data = bytes((2, token >> 8, token & 0xFF, kind)) + bytes.fromhex(gateway_id) + body
        self.front.receive(data, source, self.now_ms)
        return list(self.sent)

    def pull(self, source: Any = HOME, gateway_id: str = NEAR) -> list[Any]:
        return self.send(wire.PULL_DATA, gateway_id, source=source)

    def transmit(self, number: int = 1, gateway_id: str = NEAR) -> tuple[int, Any] | None:
        """Hand over a frame; return (token, where it went)."""
        self.sent.clear()
        self.front.transmit(Downlink(number, gateway_id, 5, 868_100_000, 3, 14, b"\x60frame"))
        if not self.sent:
            return None
        ((data, to),) = self.sent
        assert data[3] == wire.PULL_RESP and json.loads(data[4:])["txpk"]["tmst"] == 5
        return int.from_bytes(data[1:3], "big"), to

    def confirm(self, token: int, source: Any = HOME, body: bytes = b"") -> None:
        assert not self.send(wire.TX_ACK, body=body, source=source, token=token)

    def proven(self) -> "Door":
        self.pull()
        sent = self.transmit()
        assert sent is not None
        self.confirm(sent[0])
        self.behind.results.clear()
        return self


def test_a_push_is_acknowledged_before_anything_of_it_is_read() -> None:
    door = Door()
    order: list[str] = []
    door.front._send = lambda data, to: order.append("ack")  # type: ignore[method-assign]
    door.behind.receive_uplink = lambda uplink, now_ms: order.append("uplink")  # type: ignore[method-assign]
    door.send(wire.PUSH_DATA, body=push(packet(), packet(tmst=2)))
    assert order == ["ack", "uplink", "uplink"]
    assert door.send(wire.PUSH_DATA, body=b"rubbish") == []  # order has it
    assert order[3:] == ["ack"]


def test_what_a_forwarder_sends_is_answered_under_its_token() -> None:
    door = Door()
    assert door.send(wire.PUSH_DATA, body=push(packet()), token=0x1234) == [(b"\2\x12\x34\1", HOME)]
    assert door.send(wire.PULL_DATA, token=0xFFEE) == [(b"\2\xff\xee\4", HOME)]
    assert [uplink.gateway_id for uplink in door.behind.uplinks] == [NEAR] and door.behind.reached == [NEAR]


def test_a_stranger_meets_silence_and_one_line_of_the_log() -> None:
    door = Door()
    for kind in (wire.PUSH_DATA, wire.PULL_DATA, wire.TX_ACK):
        assert door.send(kind, STRANGER, push(packet())) == []
    assert not door.behind.uplinks and not door.behind.reached and not list(door.front.peers)
    assert door.front.counters.dropped["stranger"] == 3
    assert {cause for cause, _ in door.log.lines} == {"semtech stranger"} and STRANGER in door.log.lines[0][1]


def test_where_any_concentrator_is_welcome_their_number_is_bounded() -> None:
    door = Door(allowed=None)
    for number in range(limits.LORAWAN_CONCENTRATORS + 5):
        assert bool(door.pull(gateway_id=f"{number:016x}")) == (number < limits.LORAWAN_CONCENTRATORS)
    assert len(list(door.front.peers)) == limits.LORAWAN_CONCENTRATORS


def test_a_downlink_goes_where_pull_data_came_from_not_push_data() -> None:
    door = Door()
    door.send(wire.PUSH_DATA, body=push(packet()), source=("10.0.0.1", 40_000))
    assert door.transmit() is None and door.behind.results == [(1, TxResult.UNREACHABLE, None)]
    door.pull(HOME)
    sent = door.transmit()
    assert sent is not None and sent[1] == HOME
    door.confirm(sent[0])
    assert door.behind.results[1:] == [(1, TxResult.OK, None)]


def test_a_way_closes_a_minute_after_the_last_pull_data() -> None:
    door = Door()
    door.pull()
    door.now_ms += limits.SEMTECH_PATH_MS - 1
    assert door.transmit() is not None
    door.now_ms += 1
    assert door.transmit() is None and door.front.counters.unreachable == 1


def test_every_result_reaches_the_network_server_with_the_frame_it_is_of() -> None:
    door = Door()
    door.pull()
    first, second = door.transmit(11), door.transmit(12)
    assert first and second and first[0] != second[0]
    door.confirm(second[0], body=b'{"txpk_ack":{"error":"TOO_LATE"}}')
    door.confirm(first[0], body=b'{"txpk_ack":{"warn":"TX_POWER","value":14}}')
    assert door.behind.results == [(12, TxResult.TOO_LATE, None), (11, TxResult.OK, 14)]


def test_a_tx_ack_nobody_waits_for_or_from_elsewhere_is_dropped() -> None:
    door = Door()
    door.pull()
    sent = door.transmit()
    assert sent is not None
    refusal = b'{"txpk_ack":{"error":"TX_FREQ"}}'
    door.confirm(sent[0] ^ 1, body=refusal)
    door.confirm(sent[0], source=ELSEWHERE, body=refusal)
    assert door.behind.results == [] and door.front.counters.dropped["stray_ack"] == 2
    door.confirm(sent[0])
    door.confirm(sent[0], body=refusal)  # once
    assert door.behind.results == [(1, TxResult.OK, None)] and door.front.counters.dropped["stray_ack"] == 3


def test_before_a_way_is_proven_the_newest_pull_data_decides() -> None:
    door = Door()
    for source in (HOME, ELSEWHERE, HOME):
        door.pull(source)
        sent = door.transmit()
        assert sent is not None and sent[1] == source


def test_a_proven_way_that_is_in_use_is_not_drawn_away() -> None:
    door = Door().proven()
    door.behind.reached.clear()
    for _ in range(20):
        door.now_ms += 10_000
        door.pull(HOME)
        assert door.pull(ELSEWHERE) == [(b"\2\0\7\4", ELSEWHERE)]
        sent = door.transmit()
        assert sent is not None and sent[1] == HOME
        door.confirm(sent[0])
    peer = door.front.peers.find(NEAR)
    assert peer is not None and peer.claims == 20 and door.behind.reached == [NEAR] * 20
    assert "was claimed from 10.0.0.66" in door.log.lines[0][1]


def test_a_forwarder_that_restarts_gets_its_downlinks_after_25_seconds() -> None:
    door = Door().proven()
    door.now_ms += 5_000
    door.pull(RESTARTED)
    sent = door.transmit()
    assert sent is not None and sent[1] == HOME  # the old one, which is lost
    door.now_ms += 20_000
    door.pull(RESTARTED)
    sent = door.transmit()
    assert sent is not None and sent[1] == RESTARTED


def test_a_proven_way_that_swallows_two_frames_is_proven_no_longer() -> None:
    door = Door().proven()
    for _ in range(2):
        door.transmit()
        door.now_ms += limits.SEMTECH_TX_ACK_MS
    door.transmit()  # finds that neither was answered
    door.pull(ELSEWHERE)
    sent = door.transmit()
    assert sent is not None and sent[1] == ELSEWHERE
    peer = door.front.peers.find(NEAR)
    assert peer is not None and peer.silent == 2


def test_a_forwarder_of_version_1_is_served_though_it_never_confirms() -> None:
    door = Door()
    door.front.receive(b"\1\0\7\2" + bytes.fromhex(NEAR), HOME, door.now_ms)
    for number in range(5):
        door.sent.clear()
        door.front.transmit(Downlink(number, NEAR, 5, 868_100_000, 3, 14, b"\x60frame"))
        assert door.sent[0][0][0] == 1
        door.now_ms += 9_000
        door.front.receive(b"\1\0\7\2" + bytes.fromhex(NEAR), HOME, door.now_ms)
    peer = door.front.peers.find(NEAR)
    assert peer is not None and peer.silent == 0


def test_frames_that_wait_for_a_word_are_bounded() -> None:
    door = Door()
    door.pull()
    for number in range(limits.SEMTECH_IN_FLIGHT + 50):
        door.transmit(number)
    assert len(door.front.peers._expected) == limits.SEMTECH_IN_FLIGHT


def test_garbage_is_counted_and_never_answered() -> None:
    door, source = Door(), random.Random(3)
    answers = 0
    for _ in range(3_000):
        data = bytearray(source.randbytes(source.randrange(60)))
        if source.random() < 0.5 and len(data) >= 12:
            data[0], data[4:12] = 2, bytes.fromhex(NEAR)
        door.sent.clear()
        door.front.receive(bytes(data), HOME, door.now_ms)
        answers += len(door.sent)
        assert all(len(answer) <= len(data) for answer, _ in door.sent)  # nothing is answered with more than came in
    counters = door.front.counters
    assert counters.received == 3_000 and not door.behind.uplinks
    assert answers == counters.pushes + counters.pulls < 40
    assert sum(counters.dropped.values()) + counters.pulls >= 2_990
    assert len({cause for cause, _ in door.log.lines}) <= 3


def test_datagrams_written_by_pamoja_are_understood() -> None:
    door = Door()
    door.front.receive(vectors.PAMOJA_PULL_DATA, HOME, door.now_ms)
    assert door.behind.reached == [NEAR]
    sent = door.transmit(9)
    assert sent is not None
    door.front.receive(b"\2" + sent[0].to_bytes(2, "big") + vectors.PAMOJA_TX_ACK[3:], HOME, door.now_ms)
    assert door.behind.results == [(9, TxResult.TOO_LATE, None)]
    door.front.receive(vectors.PAMOJA_PUSH_DATA, HOME, door.now_ms)
    peer = door.front.peers.find(NEAR)
    assert peer is not None and peer.stats[0][1].rxnb == 3
    assert (door.behind.uplinks[0].tmst, door.behind.uplinks[0].data_rate) == (4_294_967_295, 3)


def said(door: Door) -> list[str]:
    return [finding.what for finding in health.findings(door.front.peers, door.now_ms)]


def test_a_concentrator_that_was_never_heard_is_missed() -> None:
    door, nobody = Door().proven(), Door(allowed=None)
    for each in (door, nobody):
        each.now_ms += 30_000  # three keep-alives of a forwarder
    assert said(door) == [f"concentrator {FAR} was never heard", f"concentrator {NEAR}: 0 frames"]
    assert said(nobody) == ["no packet forwarder was heard"]


def test_after_the_start_forwarders_have_three_keep_alives_before_one_is_missed() -> None:
    for door in (Door(), Door(allowed=None)):
        door.now_ms += 29_999
        (finding,) = health.findings(door.front.peers, door.now_ms)
        assert (finding.severity, finding.what) == (
            Severity.FINE, "packet forwarders are waited for: for 1 s none is missed",
        )  # fmt: skip
    door = Door(frozenset((NEAR,)))
    door.pull()
    assert said(door) == [f"concentrator {NEAR}: 0 frames"]


def test_a_forwarder_that_falls_silent_or_never_asks_is_said() -> None:
    door = Door(frozenset((NEAR,)))
    door.send(wire.PUSH_DATA, body=push(packet()))
    assert said(door) == [f"concentrator {NEAR}: its forwarder never asks for frames"]
    door.pull()
    assert said(door) == [f"concentrator {NEAR}: 1 frames"]
    door.now_ms += 90_000
    assert said(door) == [f"concentrator {NEAR}: its forwarder is silent for 90 s"]


def test_a_deaf_concentrator_is_told_from_a_silent_forwarder() -> None:
    door = Door(frozenset((NEAR,)))
    door.send(wire.PUSH_DATA, body=push(packet()))
    for _ in range(12 * 60 + 1):  # it reports and asks, and hears nothing any more
        door.now_ms += 10_000
        door.pull()
    (finding,) = health.findings(door.front.peers, door.now_ms)
    assert finding.severity is Severity.ERROR and "no frame for 120 min" in finding.what and finding.next_step


def test_shares_of_bad_crcs_late_acknowledgements_and_refusals_are_said() -> None:
    door = Door(frozenset((NEAR,)))
    door.proven()
    for _ in range(6):
        stat = {"rxnb": 50, "rxok": 20, "rxfw": 20, "ackr": 80.0, "dwnb": 1, "txnb": 1}
        door.send(wire.PUSH_DATA, body=push(packet(), stat=stat))
    for number in range(20):
        sent = door.transmit(number)
        assert sent is not None
        door.confirm(sent[0], body=b'{"txpk_ack":{"error":"TX_FREQ"}}' if number % 2 else b"")
    door.pull()
    assert said(door) == [
        f"concentrator {NEAR}: 80 % of what it sends is acknowledged in time",
        f"concentrator {NEAR}: 60% of 300 packets had a bad CRC",
        f"concentrator {NEAR}: it refused 10 of 21 frames, most as TX_FREQ",
    ]
