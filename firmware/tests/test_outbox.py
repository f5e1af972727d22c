from app import limits
from app.outbox import Outbox
from pave_wire import cbor

DEVICE = "24a160fffe000101"
CHANGE = {"occupied": True, "reason": "field", "confidence": 0.99, "field": 2.5e-05, "lasted": 86400}
HEARTBEAT = {"occupied": True, "reason": "heartbeat"}


def test_a_reading_keeps_its_identity_and_ages_until_it_is_acknowledged():
    outbox = Outbox(DEVICE, 7)
    outbox.add(CHANGE, 1000)
    first = outbox.batch(3500)
    again = outbox.batch(61000)
    assert first[0].identity == again[0].identity == DEVICE + ":7:0"
    assert (first[0].age_s, again[0].age_s) == (2.5, 60)
    outbox.acknowledged(first)
    assert len(outbox) == 0


def test_what_arrives_after_the_batch_is_not_acknowledged_with_it():
    outbox = Outbox(DEVICE, 7)
    outbox.add(CHANGE, 0)
    batch = outbox.batch(0)
    outbox.add(HEARTBEAT, 1)
    outbox.acknowledged(batch)
    assert [reading.seq for reading in outbox.batch(2)] == [1]


def test_a_full_outbox_gives_up_heartbeats_first_and_changes_last():
    outbox = Outbox(DEVICE, 7)
    for n in range(limits.OUTBOX_READINGS):
        outbox.add(HEARTBEAT if n % 4 == 0 else CHANGE, n)
    heartbeats = limits.OUTBOX_READINGS // 4
    for n in range(heartbeats):
        outbox.add(CHANGE, 100 + n)
    assert len(outbox) == limits.OUTBOX_READINGS and outbox.dropped == heartbeats
    kept = [entry[0] for entry in outbox.state()[2]]
    assert all(seq % 4 != 0 or seq >= limits.OUTBOX_READINGS for seq in kept)
    outbox.add(CHANGE, 200)
    assert outbox.state()[2][0][0] == 2  # seq 1 was the oldest change
    assert outbox.dropped == heartbeats + 1


def test_the_state_survives_sleep_as_cbor_and_fits_rtc_memory():
    outbox = Outbox(DEVICE, 65535, next_seq=4000000000)
    for n in range(limits.OUTBOX_READINGS + 1):
        outbox.add(CHANGE, 800000000000 + n)
    state = {"outbox": outbox.state(), "baseline": (-400, 400, 400), "kept_baseline": (-400, 400, 400)}
    state.update({"occupied": True, "first_report": False, "since_ms": 800000000000, "heartbeat_ms": 800000000000})
    state.update({"failed_attempts": 9, "fault": "magnetometer"})
    stored = cbor.dumps(state)
    assert len(stored) < 2048 - 13  # what roles.rtc_state has room for
    restored = Outbox(DEVICE, *cbor.loads(stored)["outbox"])
    assert [r.identity for r in restored.batch(0)] == [r.identity for r in outbox.batch(0)]
    assert restored.dropped == 1
    restored.add(CHANGE, 0)
    assert restored.state()[2][-1][0] == 4000000000 + limits.OUTBOX_READINGS + 1


def test_a_refused_reading_is_given_up_and_counted():
    outbox = Outbox(DEVICE, 7)
    outbox.add(CHANGE, 0)
    outbox.add(HEARTBEAT, 1)
    outbox.given_up(outbox.batch(2, most=1))
    assert [reading.seq for reading in outbox.batch(2)] == [1] and outbox.dropped == 1


def test_under_a_fresh_epoch_everything_has_a_new_identity():
    outbox = Outbox(DEVICE, 7, next_seq=40)
    outbox.add(CHANGE, 0)
    outbox.add(HEARTBEAT, 1)
    outbox.renumber(8)
    assert [reading.identity for reading in outbox.batch(2)] == [DEVICE + ":8:0", DEVICE + ":8:1"]
    assert outbox.add(CHANGE, 2) == 2
