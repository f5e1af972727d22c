"""Hostile traffic: silence for it, bounds for what it costs, and no loss for the devices behind it."""

import gc
import random
import sys
from typing import Any

import pytest
from oscore_support import Bench, MemoryDisk, Sealer

from pave_gateway.core import limits
from pave_wire import coap
from pave_wire.coap import CON, Message
from simulation import hostile

DEVICES = 20


class Siege:
    """Hostile datagrams from forged addresses, and the frames of devices that an attacker has captured."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        self.captured: list[bytes] = []
        self._malice = hostile.Malice(self.source, self.captured)

    def address(self) -> tuple[str, int]:
        return (f"203.0.{self.source.randrange(256)}.{self.source.randrange(256)}", self.source.randrange(1, 65_536))

    def packet(self) -> bytes:
        return self._malice.packet() if self.captured else b"\x40"


def besieged(bench: Bench, frames: int, per_valid: int, seed: int = 1) -> tuple[int, int, Siege]:
    """Return (valid reports sent, of them acknowledged); nothing hostile may be answered."""
    siege = Siege(seed)
    sealers = [Sealer(0x101 + number) for number in range(DEVICES)]
    valid = acknowledged = 0
    for number in range(frames):
        out = bench.put(siege.packet(), siege.address())
        assert out == [], "a hostile datagram was answered"
        if number % per_valid == 0:
            valid += 1
            sealer = siege.source.choice(sealers)
            siege.captured.append(sealer.report(valid))
            acknowledged += sealer.code(bench.put(siege.captured[-1])[0]) == "2.04"
        bench.now_ms += number % 5 == 0  # 5,000 a second
    return valid, acknowledged, siege


def test_behind_hostile_packets_every_report_is_taken_and_nothing_hostile_is_answered(caplog):
    bench = Bench(devices=DEVICES)
    valid, acknowledged, _ = besieged(bench, 20_000, 40)
    assert valid == acknowledged == 500
    assert sum(bench.counters.dropped.values()) == 20_000
    dropped = {reason: count for reason, count in bench.counters.dropped.items() if count}
    assert set(dropped) >= {
        "too_short",
        "too_long",
        "version",
        "malformed",
        "not_oscore",
        "unknown_kid",
        "replay",
        "tag",
    }
    # 4 s of it from ten thousand addresses
    assert len(caplog.records) <= limits.DROP_LINES


def test_the_log_goes_on_with_a_few_lines_in_ten_seconds_and_says_what_it_left_out(caplog):
    bench = Bench(devices=DEVICES)
    for number in range(3_000):
        bench.put(b"", (f"203.0.113.{number % 250}", 5))
        bench.now_ms += 10
    assert len(caplog.records) <= 3 * (limits.DROP_LINES + 1)
    assert any("more refusals from other sources were not logged" in line.getMessage() for line in caplog.records)


def test_hostile_packets_leave_nothing_behind_in_memory():
    bench = Bench(devices=DEVICES)
    besieged(bench, 2_000, 40)
    gc.collect()
    before = len(gc.get_objects()), sys.getsizeof(bench.front._exchanges._known)
    siege = Siege(3)
    siege.captured.append(Sealer(0x101).report(1))
    for _ in range(20_000):
        bench.put(siege.packet(), siege.address())
    gc.collect()
    after = len(gc.get_objects()), sys.getsizeof(bench.front._exchanges._known)
    assert after[0] - before[0] < 500
    assert after[1] == before[1]
    assert bench.front.next_timeout() is None


def test_no_single_bit_of_an_answered_report_can_be_changed_without_silence():
    bench = Bench(disk=MemoryDisk())
    device = Sealer()
    for seq in range(4):
        report = device.report(seq)
        for bit in range(8 * len(report)):
            forged = bytearray(report)
            forged[bit >> 3] ^= 1 << (bit & 7)
            out = bench.put(bytes(forged), ("203.0.113.9", bit))
            header = bit >> 3 < 4 + (report[0] & 0x0F)
            if out:  # type, message ID and token are not authenticated: who alters them is on the path
                assert header
                report = device.report(seq)
        bench.put(report)
    assert bench.counters.dropped["tag"] > 1_000


@pytest.mark.parametrize("kind", ["ping", "empty", "reset", "response", "giant", "reserved"])
def test_no_message_without_a_request_in_it_is_answered(kind):
    bench = Bench(insecure=True)  # even then
    data = {
        "ping": coap.encode(Message(CON, 0, 1)),
        "empty": b"",
        "reset": b"\x70\x00\x00\x01",
        "response": coap.encode(Message(CON, 0x45, 1, b"t", [], b"x")),
        "giant": b"\x40\x01" + bytes(60_000),
        "reserved": b"\x40\xe1\x00\x01",
    }[kind]
    assert bench.put(data) == []
    assert sum(bench.counters.dropped.values()) == 1


@pytest.mark.parametrize(
    "broken", [b"\x49\x02\x00\x01123456789", b"\x40\x02\x00\x01\xff", b"\x40\x02\x00\x01\xf0", b"\x00"]
)
def test_a_malformed_confirmable_message_is_met_with_silence(broken):
    assert Bench().put(broken) == []
    assert Bench(insecure=True).put(broken) == []


async def test_a_gateway_of_its_own_holds_out_for_a_few_seconds(tmp_path):
    report: dict[str, Any] = await hostile.campaign(tmp_path, for_s=2, rate=2_000, seed=5, warm_up_s=1)
    assert report["passed"], report
    assert report["hostile"] > 3_000 and report["valid"] > 150


def test_the_campaign_sees_a_report_that_is_lost_and_an_answer_to_a_stranger():
    good = {"valid": 100, "accepted_share": 1.0, "hostile_answered": 0, "memory_grown_bytes": 0, "log_lines": 5}
    assert hostile._passed(good, 10)
    for fault in (
        {"accepted_share": 0.98},
        {"hostile_answered": 1},
        {"memory_grown_bytes": 1 << 30},
        {"log_lines": 5_000},
        {"valid": 0},
    ):
        assert not hostile._passed(good | fault, 10)
