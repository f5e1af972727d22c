"""Replay windows and nonces over kills and restores, and the two quick readers against `pave_wire`."""

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oscore_support import ELSEWHERE, HERE, Bench, MemoryDisk, Sealer, device_name, get, keys_of, post, watch_seals

from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.ingress import coap_pack, coap_parse
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal
from pave_gateway.store.reader import JournalReader
from pave_wire import coap, limits, model
from pave_wire.errors import WireError
from pave_wire.oscore_context import FRESH_WINDOW
from pave_wire.oscore_options import check_outer, decode_value

CAPTURED = 2_000
DEVICES = 20


def traffic(bench: Bench, frames: int, first_seq: int = 0) -> list[bytes]:
    """Send that many reports of DEVICES devices, all acknowledged, and return them as an attacker has them."""
    sealers = [Sealer(0x101 + number, sequence=first_seq) for number in range(DEVICES)]
    captured: list[bytes] = []
    for seq in range(first_seq, first_seq + frames // DEVICES):
        for sealer in sealers:
            captured.append(sealer.report(seq))
            assert sealer.code(bench.put(captured[-1])[0]) == "2.04"
    return captured


def admitted(bench: Bench, captured: list[bytes], address: Any = ELSEWHERE) -> int:
    """Replay what was captured, in order and at random; return how many datagrams were accepted or answered."""
    count = 0
    shuffled = random.Random(7).sample(captured, len(captured))
    for frame in (*captured, *shuffled):
        count += len(bench.put(frame, address)) + len(bench.tokens.requests)
    return count + bench.counters.accepted + bench.counters.not_stored


def test_no_captured_request_is_admitted_by_a_living_a_restarted_or_a_killed_gateway():
    bench = Bench(devices=DEVICES)
    captured = traffic(bench, CAPTURED)
    assert len(captured) == CAPTURED
    accepted = bench.counters.accepted
    assert admitted(bench, captured) == accepted
    killed = bench.killed(devices=DEVICES)
    assert admitted(killed, captured) == 0
    assert killed.counters.dropped["replay"] == 2 * CAPTURED


def test_a_gateway_whose_windows_are_no_part_of_the_transaction_admits_some_after_a_kill():
    bench = Bench(devices=DEVICES, disk=MemoryDisk(keeps_windows=False))
    captured = traffic(bench, 200)
    assert admitted(bench.killed(devices=DEVICES), captured) > 0


def test_no_captured_request_is_admitted_by_a_restored_gateway_and_each_device_is_asked_for_echo():
    bench = Bench(devices=DEVICES)
    captured = traffic(bench, 400)
    restored = Bench(devices=DEVICES, disk=MemoryDisk(readings={}, reserved=dict(bench.disk.reserved)), lost=True)
    for frame in captured:
        restored.front.receive(frame, ELSEWHERE, restored.now_ms)
        for data, _ in restored.front.datagrams_to_send(restored.now_ms):
            assert coap.decode(data).option(coap.OSCORE)[0] & 0x08  # only challenges
    assert restored.counters.accepted == 0
    assert restored.disk.readings == {}


def test_a_request_committed_but_not_answered_before_the_kill_is_a_replay_after_it():
    bench = Bench(at_once=False)
    device = Sealer()
    report = device.report(1)
    bench.put(report)
    bench.committer.disk.write(bench.committer.queue[0][0])  # on disk; killed before `done`
    assert bench.killed().put(report) == []


def test_a_request_not_yet_committed_when_the_gateway_was_killed_is_taken_after_it():
    bench = Bench(at_once=False)
    device = Sealer()
    report = device.report(1)
    bench.put(report)
    assert device.code(bench.killed().put(report)[0]) == "2.04"


class OnDisk:
    """The journal as a `MemoryDisk`: what a gateway that is started on it knows."""

    def __init__(self, path: Path) -> None:
        self.committer = InlineCommitter(Journal(path))
        with closing(JournalReader(path)) as reader:
            self.windows, self.default_window = reader.replay_windows()
            self.reserved, self.first = reader.reservations()


def test_no_captured_request_is_admitted_by_a_gateway_that_was_restarted_on_its_journal(tmp_path):
    disk: Any = OnDisk(tmp_path / "journal.sqlite")
    assert (disk.windows, disk.default_window, disk.first) == ({}, None, 0), "no window is known, none is fresh"
    bench = Bench(devices=DEVICES, disk=disk, committer=disk.committer)
    captured = traffic(bench, 80)
    sealer = Sealer(0x101, sequence=100)
    for request in (post(b"\xff"), get("a"), post(b"\xff")):  # windows that no reading carries
        captured.append(sealer.seal(request))
        bench.put(captured[-1])
    captured.append(sealer.report(0))  # a repetition: nothing new in the log
    assert sealer.code(bench.put(captured[-1])[0]) == "2.04"
    disk.committer._journal.close()
    again: Any = OnDisk(tmp_path / "journal.sqlite")
    assert again.windows[sealer.device] == bench.contexts.of_device(sealer.device).window
    restarted = Bench(devices=DEVICES, disk=again, committer=again.committer)
    assert admitted(restarted, captured) == 0
    assert restarted.contexts.of_device(sealer.device).sequence == 256
    assert sealer.code(restarted.put(sealer.report(9))[0]) == "2.04"
    again.committer._journal.close()


@pytest.mark.parametrize("follows", [True, False])
def test_after_a_salvage_while_it_runs_a_gateway_goes_on_where_a_restart_would_have_begun(tmp_path, follows):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    reader = JournalReader(path)
    follow: Any = {"reservation": reader.reservation} if follows else {}
    bench = Bench(committer=InlineCommitter(journal), **follow)
    seen: dict[Any, bytes] = {}
    watch_seals(bench, seen)
    heard, other = Sealer(0x101), Sealer(0x102)
    assert len(bench.put(heard.seal(post(b"\xff")))) == 1
    journal.report_damage("a page that is none")
    answered = sum(len(bench.put(heard.seal(post(b"\xff")))) for _ in range(300))
    report, error = other.report(1), other.seal(post(b"\xff"))
    for data in (report, report, error, error):  # each once more, as a device that hears nothing does
        answered += len(bench.put(data))
    reader.close()
    journal.close()
    if follows:
        assert answered == 299 + 2 + 1, "one was not answered at first, of each device"
        assert bench.contexts.of_device(heard.device).reserved > 1 << 30
    else:
        assert answered < 200, "the control: its numbers are refused for ever"


def run_life(seed: int, steps: int, keeps_reservations: bool = True) -> tuple[int, int]:
    """Kill and restore gateways at random moments under traffic of all kinds; return (messages sealed, kills)."""
    source = random.Random(seed)
    seen: dict[Any, bytes] = {}
    bench = Bench(at_once=False)
    watch_seals(bench, seen)
    sealers = [Sealer(0x101 + number) for number in range(3)]
    captured: list[bytes] = []
    kills = 0
    for step in range(steps):
        sealer = source.choice(sealers)
        what = source.random()
        if what < 0.4:
            captured.append(sealer.report(step))
        elif what < 0.6:
            captured.append(sealer.seal(post(b"\xff")))
        elif what < 0.65:
            captured.append(sealer.seal(get("a")))
        if captured and what < 0.9:
            bench.front.receive(source.choice(captured[-6:]), source.choice((HERE, ELSEWHERE)), bench.now_ms)
        if source.random() < 0.5:
            bench.committer.fault = "full" if source.random() < 0.1 else ""
            bench.committer.flush(source.randint(1, 4))
        bench.front.datagrams_to_send(bench.now_ms)
        if source.random() < 0.02:
            kills += 1
            if not keeps_reservations:
                bench.disk.reserved.clear()
            bench = Bench(disk=bench.disk, at_once=False, seed=source.randrange(1 << 30))
            watch_seals(bench, seen)
    return len(seen), kills


def test_no_key_and_nonce_ever_seal_twice_over_kills_failed_commits_and_replays():
    sealed = kills = 0
    for seed in range(6):
        more = run_life(seed, 400)
        sealed, kills = sealed + more[0], kills + more[1]
    assert sealed > 1_000 and kills > 20


def test_the_harness_sees_a_nonce_used_twice_where_reservations_are_lost():
    with pytest.raises(AssertionError, match="sealed twice"):
        for seed in range(6):
            run_life(seed, 400, keeps_reservations=False)


# Contexts


def test_ten_thousand_devices_are_found_by_kid_and_none_is_derived_before_it_speaks():
    contexts = OscoreContexts(random.Random(1).randbytes)
    for number in range(10_000):
        contexts.add(keys_of(number), FRESH_WINDOW, 0)
    assert len(contexts) == 10_000 and not contexts._contexts
    found = contexts.find((4_711).to_bytes(3, "big"), None)
    assert found is not None and found.device == device_name(4_711)
    assert contexts.find(b"nobody", None) is None
    assert len(contexts._contexts) == 1


def test_a_kid_in_use_is_refused_and_other_keys_take_the_place_of_a_devices_own():
    contexts = OscoreContexts(random.Random(1).randbytes)
    contexts.add(keys_of(1), FRESH_WINDOW, 0)
    twin = keys_of(1)
    twin = type(twin)(device_name(2), bytes(16), b"", twin.sender_id, twin.recipient_id)
    with pytest.raises(ValueError, match=r"000001 .* in use by 24a160fffe000001"):
        contexts.add(twin, FRESH_WINDOW, 0)
    again = type(twin)(device_name(1), bytes(16), b"", twin.sender_id, b"new")
    contexts.add(again, FRESH_WINDOW, 0)
    assert contexts.find(twin.recipient_id, None) is None
    assert contexts.find(b"new", None) is contexts.of_device(device_name(1))
    contexts.remove(device_name(1))
    assert contexts.find(b"new", None) is None and len(contexts) == 0


# The quick readers

DEVICE = "24a160fffe000101"
HEAD = {-2: f"urn:dev:mac:{DEVICE}_", 0: "epoch", 2: 1}
NUMBERS = st.one_of(st.integers(-5, 300), st.floats(allow_nan=True), st.sampled_from([0.5, 0.93, 3.1e-5, 2**53, 1e300]))
VALUES = st.dictionaries(
    st.sampled_from(["occupied", "blind", "reason", "ended", "confidence", "field", "lasted", "screen-free", "x"]),
    st.one_of(st.booleans(), NUMBERS, st.sampled_from(["field", "radar", "vacant", "boot", "other text"])),
    min_size=1,
    max_size=6,
)


def seen_by(reader: Any, payload: bytes) -> list[Any] | str:
    try:
        readings = reader(payload)
    except WireError:
        return "refused"
    if readings is None:
        return "refused"
    return [
        (r.device, r.epoch, r.seq, repr(r.age_s), [(n, type(v), repr(v)) for n, v in r.values.items()])
        for r in readings
    ]


def check(payload: bytes) -> bool:
    """Say whether the quick reader took the pack; if so `pave_wire` must have read the same."""
    quick = seen_by(lambda data: coap_pack.usual(data, DEVICE), payload)
    if quick == "refused":
        return False
    assert quick == seen_by(model.unpack_readings, payload), payload.hex()
    return True


def pack(seq: int = 42, age_s: float = 3, readings: int = 1, **values: Any) -> bytes:
    values = values or {"occupied": True, "reason": "field", "confidence": 0.93, "field": 3.1e-5, "lasted": 124}
    return model.pack_readings(
        DEVICE, [model.Reading(DEVICE, 28_000_000, seq + n, age_s, values) for n in range(readings)]
    )


@pytest.mark.parametrize("readings", [1, 2, 4, 16])
@pytest.mark.parametrize("age_s", [0, 3, 23, 24, 255, 300, 70_000, 1.5, 0.1])
def test_what_a_device_writes_is_read_quickly_and_as_pave_wire_reads_it(age_s, readings):
    assert check(pack(age_s=age_s, readings=readings))
    assert check(pack(0, age_s, readings, occupied=False, reason="heartbeat"))
    assert check(pack(70_000, age_s, readings, blind=True))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.one_of(st.integers(0, 2**28 - 1), st.floats(0, 2**28 - 1)), VALUES)
def test_any_pack_is_read_as_pave_wire_reads_it_or_left_to_it(seq, age_s, values):
    try:
        payload = pack(seq, age_s, **values)
    except WireError:
        return
    check(payload)


def test_altered_packs_are_read_as_pave_wire_reads_them_or_left_to_it():
    source = random.Random(112)
    taken = 0
    for _ in range(4_000):
        payload = bytearray(pack(source.randrange(300), source.choice([0, 3, 1.5]), source.choice([1, 2])))
        for _ in range(source.randint(0, 2)):
            at = source.randrange(len(payload))
            choice = source.random()
            if choice < 0.6:
                payload[at] = source.choice([payload[at] ^ 1 << source.randrange(8), source.randrange(256)])
            elif choice < 0.8:
                del payload[at : at + source.randint(1, 4)]
            else:
                payload[at:at] = payload[at : at + source.randint(1, 12)]
        taken += check(bytes(payload))
    assert 500 < taken < 3_000


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x80",
        b"\x81",
        b"\x98\x01",
        pack()[:-1],
        pack() + b"\x00",
        cbor2.dumps([{-2: f"urn:dev:mac:{DEVICE}_", 0: "epoch", 2: 1}, {-3: 0, 0: "seq", 2: 1}]),
        cbor2.dumps(
            [{-2: f"urn:dev:mac:{DEVICE}_", 0: "epoch", 2: 1}, {-3: 0, 0: "seq", 2: -1}, {0: "blind", 4: True}]
        ),
        pack(readings=2).replace(b"\x18\x2b", b"\x18\x2a"),  # a seq twice
    ],
)
def test_what_is_not_a_whole_pack_is_left_to_pave_wire_which_refuses_it(payload):
    assert coap_pack.usual(payload, DEVICE) is None
    with pytest.raises(WireError):
        model.unpack_readings(payload)


def test_a_pack_of_another_device_is_left_to_pave_wire():
    assert coap_pack.usual(pack(), "24a160fffe000102") is None


def slowly(data: bytes) -> Any:
    """What `coap_parse` must find, by `pave_wire` alone."""
    try:
        message = coap.decode(data)
        values = [value for number, value in message.options if number == coap.OSCORE]
        if message.type > 1 or message.code not in (2, 5) or len(values) != 1 or len(message.payload) < 9:
            return None
        check_outer(message.options)
        piv, kid, kid_context = decode_value(values[0])
    except WireError:
        return None
    return (piv, kid, kid_context, message.payload) if piv and kid is not None else None


def quickly(data: bytes) -> Any:
    try:
        kind, _, _ = coap_parse.header(data)
        return coap_parse.outside(data) if kind < 2 else None
    except coap_parse.Unacceptable:
        return None


def test_the_quick_look_at_a_datagram_finds_what_pave_wire_finds():
    source = random.Random(7252)
    sealers = [Sealer(0x101), Sealer(0x102, sequence=70_000), Sealer(0x103, sequence=2**33, id_context=b"site")]
    found = 0
    for _ in range(6_000):
        sealer = source.choice(sealers)
        request = source.choice([get("a"), get("a", (coap.OBSERVE, b"")), post(source.randbytes(source.randrange(40)))])
        request.token = source.randbytes(source.randint(0, 8))
        data = bytearray(sealer.seal(request))
        for _ in range(source.choice([0, 1, 1, 2])):
            at = source.randrange(min(len(data), 24))
            if source.random() < 0.7:
                data[at] ^= 1 << source.randrange(8)
            else:
                del data[at]
        data = bytes(data[: source.choice([len(data), len(data), source.randrange(len(data) + 1)])])
        assert quickly(data) == slowly(data), data.hex()
        found += quickly(data) is not None
    assert 1_000 < found < 5_000


def test_a_datagram_longer_than_any_may_be_is_dropped_by_its_length():
    bench = Bench()
    assert bench.put(b"\x40\x02" + bytes(limits.DATAGRAM_BYTES)) == []
    assert bench.counters.dropped["too_long"] == 1


@pytest.mark.long
def test_none_of_a_hundred_thousand_captured_requests_is_admitted():
    bench = Bench(devices=DEVICES)
    captured = traffic(bench, 100_000)
    accepted = bench.counters.accepted
    assert admitted(bench, captured) == accepted == 100_000
    killed = bench.killed(devices=DEVICES)
    assert admitted(killed, captured) == 0
    assert killed.counters.dropped["replay"] == 200_000
    assert killed.counters.echo == 0
