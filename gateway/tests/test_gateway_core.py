"""The core alone: admission and occupancy, with a committer that the test completes by hand."""

import random
from typing import Any

import pytest
from gateway_support import BAY, KIOSK, STRANGER, TAXI, reading, row
from hypothesis import given
from hypothesis import strategies as st

from pave_gateway.core.bays import Bay, Bays
from pave_gateway.core.committer import CommitFailed, Committed, CommitterBusy, Conflicted
from pave_gateway.core.ingest import Accepted, Ingest, Refusal, Refused
from pave_gateway.core.instant import Now
from pave_gateway.core.places import Place
from pave_gateway.core.rows import StoredReading

PLACES = [
    Place("b1", "delivery", "Rue de Bercy", 48.8, 2.3, BAY),
    Place("t1", "taxi", "Rue de Bercy", 48.8, 2.3, TAXI),
    Place("k1", "kiosk", "Gare", 48.8, 2.3, KIOSK),
]


class HandCommitter:
    """Keeps submissions until the test completes them."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.busy = False
        self._position = 0

    def submit(self, rows, done, urgent=False) -> None:
        if self.busy:
            raise CommitterBusy("full")
        self.waiting.append((rows, done))

    async def close(self, timeout_s: float) -> None:
        pass

    def commit(self) -> None:
        rows, done = self.waiting.pop(0)
        stored = []
        for item in rows:
            self._position += 1
            stored.append(StoredReading(self._position, item))
        done(Committed(tuple(stored)))

    def conflict(self) -> None:
        rows, done = self.waiting.pop(0)
        done(Conflicted(rows[0].identity))

    def fail(self) -> None:
        self.waiting.pop(0)[1](CommitFailed("disk full"))


@pytest.fixture
def committer() -> HandCommitter:
    return HandCommitter()


def ingest_with(committer: HandCommitter, listeners=(), max_in_flight: int = 100) -> Ingest:
    return Ingest({place.device: place for place in PLACES}, committer, listeners, max_in_flight)


def test_a_reading_is_acknowledged_only_after_it_is_committed(committer):
    verdicts = []
    ingest_with(committer).offer([reading()], Now(0, 5000, True), verdicts.append)
    assert verdicts == []
    committer.commit()
    assert verdicts == [Accepted(repeated=0)]


def test_the_time_of_a_reading_is_its_arrival_less_its_age(committer):
    ingest_with(committer).offer([reading(age_s=1.5)], Now(0, 10_000, True), lambda _: None)
    stored = committer.waiting[0][0][0]
    assert (stored.received_ms, stored.read_ms) == (10_000, 8_500)


def test_listeners_hear_of_a_reading_before_its_device_does(committer):
    heard = []
    ingest = ingest_with(committer, [lambda stored: heard.append(stored[0].row.identity)])
    ingest.offer([reading()], Now(0, 0, True), lambda _: heard.append("acknowledged"))
    committer.commit()
    assert heard == [f"{BAY}:1:1", "acknowledged"]


def test_a_failed_commit_is_never_acknowledged_and_the_next_one_may_succeed(committer):
    verdicts = []
    ingest = ingest_with(committer)
    ingest.offer([reading()], Now(0, 0, True), verdicts.append)
    committer.fail()
    assert verdicts == [Refused(Refusal.NOT_STORED, "disk full")]
    assert ingest.storage_error == "disk full"
    ingest.offer([reading()], Now(0, 0, True), verdicts.append)
    committer.commit()
    assert verdicts[1] == Accepted(repeated=0)
    assert ingest.storage_error == ""


def test_a_conflict_is_refused_with_the_identity_and_counted_and_tells_nothing_of_the_disk(committer):
    verdicts, heard = [], []
    ingest = ingest_with(committer, [heard.append])
    ingest.storage_error = "disk full"
    ingest.offer([reading(), reading(seq=2)], Now(0, 0, True), verdicts.append)
    committer.conflict()
    assert verdicts[0].why is Refusal.CONFLICT
    assert f"{BAY}:1:1" in verdicts[0].detail
    assert (ingest.counters.refused["conflict"], ingest.counters.acknowledged, ingest.in_flight) == (2, 0, 0)
    assert heard == []
    assert ingest.storage_error == "disk full"


def test_a_listener_that_fails_hides_a_commit_neither_from_the_others_nor_from_the_device(committer, caplog):
    def broken(stored):
        raise RuntimeError("a defect")

    heard = []
    ingest = ingest_with(committer, [broken, heard.append])
    verdicts = []
    ingest.offer([reading()], Now(0, 0, True), verdicts.append)
    committer.commit()
    assert len(heard) == 1
    assert verdicts == [Accepted(repeated=0)]
    assert "a defect" in caplog.text


def test_an_unknown_device_is_refused_and_nothing_is_submitted(committer):
    verdicts = []
    ingest = ingest_with(committer)
    ingest.offer([reading(STRANGER), reading(STRANGER, 2)], Now(0, 0, True), verdicts.append)
    assert verdicts[0].why is Refusal.UNKNOWN_DEVICE
    assert STRANGER in verdicts[0].detail
    assert committer.waiting == []
    assert ingest.counters.refused["unknown_device"] == 2


def test_readings_in_flight_are_bounded_and_admitted_again_after_the_commit(committer):
    verdicts = []
    ingest = ingest_with(committer, max_in_flight=2)
    ingest.offer([reading(seq=1), reading(seq=2)], Now(0, 0, True), verdicts.append)
    ingest.offer([reading(seq=3)], Now(0, 0, True), verdicts.append)
    assert [verdict.why for verdict in verdicts] == [Refusal.BUSY]
    committer.commit()
    assert ingest.in_flight == 0
    ingest.offer([reading(seq=3)], Now(0, 0, True), verdicts.append)
    committer.commit()
    assert verdicts[-1] == Accepted(repeated=0)


def test_a_busy_committer_refuses_and_leaves_nothing_in_flight(committer):
    verdicts = []
    committer.busy = True
    ingest = ingest_with(committer)
    ingest.offer([reading()], Now(0, 0, True), verdicts.append)
    assert verdicts[0].why is Refusal.BUSY
    assert ingest.in_flight == 0


def log_of(*rows) -> list[StoredReading]:
    return [StoredReading(position, item) for position, item in enumerate(rows, 1)]


def state_of(bays: Bays) -> list[tuple]:
    return [(bay.occupied, bay.since_ms, bay.read_ms, bay.epoch, bay.seq) for bay in bays]


def test_a_bay_is_unknown_until_its_device_speaks_and_unknown_is_not_free():
    bays = Bays(PLACES)
    assert [bay.occupied for bay in bays] == [None, None]
    assert bays.availability() == {"delivery": (0, 1), "taxi": (0, 1)}


def test_availability_counts_free_bays_of_each_kind():
    bays = Bays(PLACES)
    bays.apply(log_of(row(BAY, occupied=False), row(TAXI, occupied=True)))
    assert bays.availability() == {"delivery": (1, 1), "taxi": (0, 1)}


def test_an_older_reading_never_overwrites_a_newer_one():
    bays = Bays(PLACES)
    bays.apply(log_of(row(seq=5, occupied=False, read_ms=5000), row(seq=4, occupied=True, read_ms=4000)))
    assert state_of(bays)[0] == (False, 5000, 5000, 1, 5)


def test_a_new_epoch_is_newer_even_with_a_lower_seq():
    bays = Bays(PLACES)
    bays.apply(log_of(row(seq=900, occupied=False), row(epoch=2, seq=0, occupied=True)))
    assert state_of(bays)[0][0] is True


def test_a_repeated_state_confirms_it_without_moving_since_or_telling_subscribers():
    bays = Bays(PLACES)
    changes: list[Bay] = []
    bays.subscribe(changes.append)
    bays.apply(log_of(row(seq=1, read_ms=1000), row(seq=2, read_ms=60_000)))
    assert state_of(bays)[0] == (True, 1000, 60_000, 1, 2)
    assert len(changes) == 1


def test_subscribers_are_called_in_the_order_they_came():
    bays = Bays(PLACES)
    order: list[str] = []
    for name in ("first", "second", "third"):
        bays.subscribe(lambda bay, name=name: order.append(name))
    bays.apply(log_of(row()))
    assert order == ["first", "second", "third"]


def test_a_reading_of_a_kiosk_changes_no_bay():
    bays = Bays(PLACES)
    bays.apply(log_of(row(KIOSK)))
    assert state_of(bays) == state_of(Bays(PLACES))
    assert bays.position == 1


@given(st.lists(st.tuples(st.sampled_from([BAY, TAXI]), st.integers(0, 3), st.integers(0, 9), st.booleans())))
def test_a_rebuild_from_the_log_gives_the_state_that_was_live(readings):
    log = log_of(*(row(device, seq, epoch, on, read_ms=seq) for device, epoch, seq, on in readings))
    live, rebuilt = Bays(PLACES), Bays(PLACES)
    for item in log:
        live.apply([item])
    rebuilt.apply(log)
    assert state_of(live) == state_of(rebuilt)


def test_any_order_of_arrival_ends_in_the_same_occupancy():
    rows = [row(seq=seq, occupied=bool(seq % 2)) for seq in range(20)]
    for seed in range(20):
        bays = Bays(PLACES)
        bays.apply(log_of(*random.Random(seed).sample(rows, len(rows))))
        assert (state_of(bays)[0][0], state_of(bays)[0][4]) == (True, 19)


def test_a_kiosk_cannot_say_that_a_bay_is_occupied(committer):
    verdicts = []
    ingest_with(committer).offer([reading(KIOSK)], Now(0, 1000, True), verdicts.append)
    assert isinstance(verdicts[0], Refused) and verdicts[0].why is Refusal.FOREIGN_VALUE
    assert committer.waiting == []
