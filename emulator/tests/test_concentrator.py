"""The concentrator: channels, demodulators, its counter, deafness, and which downlinks it takes."""

from dataclasses import replace

import pytest
from lora_bench import SF7, Bench

from pave_emulator.air.airtime import time_on_air_s
from pave_emulator.air.concentrator import EU868, Answer, Concentrator
from pave_emulator.air.jit_queue import COUNTER, JitQueue, Kind, TxPacket

DOWN = replace(SF7, inverted_iq=True)
S = 1_000_000


class Gateway:
    """A concentrator on a bench, its uplinks kept."""

    def __init__(self, **options):
        self.bench = Bench()
        self.clock = self.bench.clock
        self.uplinks = []
        self.radio = Concentrator(self.bench.air, "gw", (0, 0, 10), **options)
        self.radio.on_uplink = self.uplinks.append
        self.radio.start(0.0)

    def send_at(self, when_s, name, payload, modulation=SF7, power_dbm=0.0):
        self.bench.at(when_s, self.bench.sender(name), payload, power_dbm, modulation)

    def submit(self, tmst, kind=Kind.CLASS_A, modulation=DOWN, power_dbm=14, payload=b"d" * 20):
        return self.radio.submit(TxPacket(tmst, modulation, payload, power_dbm), kind, self.clock.now_s())

    def payloads(self):
        return [u.reception.payload for u in self.uplinks if u.reception.crc_ok]


@pytest.fixture
def gateway():
    return Gateway()


def test_all_channels_and_spreading_factors_are_received(gateway):
    for i, channel in enumerate(EU868.multi_sf):
        for sf in range(5, 13):
            modulation = replace(SF7, frequency_hz=channel.frequency_hz, spreading_factor=sf, low_data_rate=sf > 10)
            gateway.send_at(i * 100 + sf * 10, f"{i}-{sf}", bytes([i, sf]), modulation)
    wide = replace(SF7, frequency_hz=868_300_000, bandwidth_hz=250_000)
    gateway.send_at(900, "wide", b"wide", wide)
    gateway.clock.run_until(1000)
    assert [(u.channel.number, u.reception.payload) for u in gateway.uplinks[:-1]] == [
        (i, bytes([i, sf])) for i in range(8) for sf in range(5, 13)
    ]
    assert (gateway.uplinks[-1].channel.number, gateway.uplinks[-1].demodulator) == (8, 16)


def test_downlinks_of_others_are_not_received(gateway):
    gateway.send_at(0, "a", b"down", DOWN)
    gateway.send_at(1, "b", b"private", replace(SF7, sync_word=0x12))
    gateway.clock.run_until(2)
    assert gateway.uplinks == []


def test_tmst_is_the_end_of_the_packet_and_wraps():
    gateway = Gateway(tmst_at_start=COUNTER - 500_000)
    end_us = round(time_on_air_s(SF7, 4) * 1e6)
    gateway.send_at(0.1, "a", b"four")
    gateway.send_at(0.6, "b", b"four")
    gateway.clock.run_until(1)
    assert [u.tmst for u in gateway.uplinks] == [COUNTER - 400_000 + end_us, 100_000 + end_us]
    assert gateway.submit(600_000) == Answer()  # 100 ms ahead, beyond the wrap
    gateway.clock.run_until(2)
    sent = [r for r in gateway.bench.records if r.device == "gw" and r.fields.get("what") == "tx"]
    assert [r.t_us for r in sent] == [1_100_000]


def crowd(gateway, spreading_factors):
    """A packet per channel and spreading factor given, all at once, each a little stronger than what it bears."""
    for i, channel in enumerate(EU868.multi_sf):
        for sf in spreading_factors:
            modulation = replace(SF7, frequency_hz=channel.frequency_hz, spreading_factor=sf, low_data_rate=sf > 10)
            gateway.send_at(0.0, f"{i}-{sf}", bytes([i, sf]), modulation)
    gateway.clock.run_until(10)
    return len(gateway.payloads()), [reason for _, reason in gateway.bench.lost("gw")]


def test_sixteen_packets_at_once_are_received_and_no_more(gateway):
    # SF8 and SF9 lock before SF10 does, and last until then.
    received, lost = crowd(gateway, (8, 9, 10))
    assert received == 16
    assert lost == ["demodulators"] * 8


def test_slow_packets_find_only_eight_demodulators():
    assert crowd(Gateway(), (11, 12)) == (8, ["demodulators"] * 8)
    assert crowd(Gateway(), (10, 12)) == (16, [])


def test_a_demodulator_is_free_again_after_its_packet(gateway):
    for n in range(40):
        gateway.send_at(n * 0.1, f"a{n}", bytes([n]))
    gateway.clock.run_until(10)
    assert len(gateway.payloads()) == 40
    assert {u.demodulator for u in gateway.uplinks} == {8}


def test_a_broken_header_frees_its_demodulator(gateway):
    for n in range(20):
        gateway.send_at(n, f"a{n}", b"a" * 20)
        gateway.send_at(n + 0.01, f"b{n}", b"b" * 20)
    gateway.send_at(20, "alone", b"alone")
    gateway.clock.run_until(21)
    assert gateway.payloads() == [b"alone"]
    assert gateway.uplinks[0].demodulator == 8


def test_a_preamble_that_has_just_begun_is_lost_to_a_downlink_too(gateway):
    gateway.submit(1 * S)
    gateway.send_at(1 - 3 * SF7.symbol_s, "a", b"a" * 20)
    gateway.clock.run_until(2)
    assert gateway.bench.lost("gw") == [("a", "deaf")]


def test_it_is_deaf_while_it_sends(gateway):
    ear = gateway.bench.ear(modulation=DOWN)
    assert gateway.submit(1 * S) == Answer()
    gateway.send_at(0.98, "before", b"before" * 3)
    gateway.send_at(1.01, "during", b"during" * 3, replace(SF7, frequency_hz=867_100_000))
    gateway.send_at(1.04, "after", b"after", replace(SF7, frequency_hz=867_500_000, preamble_symbols=40))
    gateway.clock.run_until(3)
    assert ear.packets == [(b"d" * 20, True)]
    assert gateway.payloads() == [b"after"]
    assert gateway.bench.lost("gw") == [("before", "deaf"), ("during", "deaf")]


def test_a_downlink_leaves_at_its_tmst_and_is_heard_with_inverted_iq(gateway):
    ear = gateway.bench.ear(modulation=DOWN)
    gateway.bench.ear("up", modulation=SF7)
    gateway.submit(2 * S)
    gateway.clock.run_until(3)
    assert ear.events[0][1] == pytest.approx(2 + 5 * DOWN.symbol_s)
    assert gateway.bench.lost("up") == []
    assert gateway.radio.sent == 1


def test_a_downlink_is_too_late_within_what_the_forwarder_needs(gateway):
    gateway.clock.run_until(10)
    # TX_START_DELAY 1500 + TX_MARGIN_DELAY 1000 + TX_JIT_DELAY 40000 us (sx1302_hal jitqueue.c)
    assert gateway.submit(10 * S + 42_500) == Answer("TOO_LATE")
    assert gateway.submit(10 * S + 42_501) == Answer()


def test_a_downlink_too_far_ahead_or_in_the_past_is_too_early(gateway):
    gateway.clock.run_until(10)
    assert gateway.submit(10 * S + 512 * S + 1) == Answer("TOO_EARLY")
    assert gateway.submit(9 * S) == Answer("TOO_EARLY")
    assert gateway.submit(10 * S + 512 * S) == Answer()


def test_downlinks_may_not_overlap_with_the_time_to_prepare_them(gateway):
    airtime_us = round(time_on_air_s(DOWN, 20) * 1000) * 1000
    assert gateway.submit(5 * S) == Answer()
    assert gateway.submit(5 * S) == Answer("COLLISION_PACKET")
    assert gateway.submit(5 * S + airtime_us + 42_500) == Answer("COLLISION_PACKET")
    assert gateway.submit(5 * S + airtime_us + 42_501) == Answer()
    assert gateway.submit(5 * S - airtime_us - 42_500) == Answer("COLLISION_PACKET")


def test_frequency_and_power_must_be_in_the_plan(gateway):
    assert gateway.submit(1 * S, modulation=replace(DOWN, frequency_hz=862_900_000)) == Answer("TX_FREQ")
    assert gateway.submit(1 * S, power_dbm=28) == Answer(power_instead_dbm=27)
    assert gateway.submit(2 * S, power_dbm=5) == Answer(power_instead_dbm=12)
    assert gateway.submit(3 * S, power_dbm=14) == Answer()


def test_a_full_queue_answers_collision_packet(gateway):
    assert [gateway.submit((n + 1) * S).error for n in range(33)] == [""] * 32 + ["COLLISION_PACKET"]


def test_beacons_have_a_guard_that_class_a_may_ignore():
    queue = JitQueue()
    beacon = TxPacket(20 * S, DOWN, b"beacon", 14)
    assert queue.enqueue(beacon, Kind.BEACON, 0) == beacon
    inside = TxPacket(18 * S, DOWN, b"x", 14)
    assert queue.enqueue(inside, Kind.CLASS_B, 0) == "COLLISION_BEACON"
    assert queue.enqueue(TxPacket(21 * S, DOWN, b"x", 14), Kind.CLASS_A, 0) == "COLLISION_BEACON"
    assert queue.enqueue(inside, Kind.CLASS_A, 0) == inside


def test_an_immediate_downlink_takes_the_first_gap(gateway):
    ears = [gateway.bench.ear(modulation=DOWN)]
    gateway.clock.run_until(1)
    gateway.submit(1 * S + 100_000, payload=b"timed")
    assert gateway.submit(0, Kind.CLASS_C, payload=b"first") == Answer()
    assert gateway.submit(0, Kind.CLASS_C, payload=b"second") == Answer()
    gateway.clock.run_until(3)
    assert [payload for payload, ok in ears[0].packets if ok] == [b"timed", b"first", b"second"]
    assert not any(r.kind == "fault" for r in gateway.bench.records)


def test_an_immediate_downlink_leaves_after_twice_the_jit_delay(gateway):
    gateway.submit(0, Kind.CLASS_C)
    gateway.clock.run_until(1)
    assert [r.t_us for r in gateway.bench.records if r.fields.get("what") == "tx"] == [80_000]


def test_a_packet_accepted_while_another_is_already_programmed_is_not_protected(gateway):
    # The queue no longer knows the first one: the forwarder overwrites it, or finds the concentrator emitting.
    gateway.submit(1 * S, payload=b"first")
    gateway.clock.run_until(0.965)
    assert gateway.submit(1 * S + 10_000, payload=b"second") == Answer()
    gateway.clock.run_until(2)
    faults = [r.fields["reason"] for r in gateway.bench.records if r.kind == "fault"]
    sent = [r.fields["payload"] for r in gateway.bench.records if r.fields.get("what") == "tx"]
    assert (faults, sent) == (["overwritten"], [b"second"])


def test_a_packet_that_comes_up_while_another_is_sent_is_dropped(gateway):
    slow = replace(DOWN, spreading_factor=12, low_data_rate=True)
    gateway.submit(1 * S, modulation=slow, payload=b"slow")
    gateway.clock.run_until(1.1)
    assert gateway.submit(1 * S + 300_000, payload=b"second") == Answer()
    gateway.clock.run_until(5)
    faults = [r.fields["reason"] for r in gateway.bench.records if r.kind == "fault"]
    assert (faults, gateway.radio.sent) == (["emitting"], 1)


def test_stopped_it_neither_hears_nor_sends(gateway):
    gateway.submit(1 * S)
    gateway.radio.stop(0.5)
    gateway.send_at(0.6, "a", b"x")
    gateway.clock.run_until(2)
    assert gateway.uplinks == []
    assert gateway.radio.sent == 0
