"""What is told of a reading: which place, when, and whether it is the state, all as known when it is told."""

from collections.abc import Callable

import pytest
from gateway_support import BAY, KIOSK, TAXI
from hypothesis import given, settings
from hypothesis import strategies as st
from outgoing_support import MINUTE_MS, NEW, PLACES, TRUE_MS, YEARS_10_MS, Town, registry_of, stand

from pave_gateway.core import limits
from pave_gateway.core.bays import Bays
from pave_gateway.core.instant import ClockLog, Dated, Held, Now, Quality
from pave_gateway.core.outgoing import Outgoing, Teller
from pave_gateway.core.places import Place
from pave_gateway.core.registry import Registry
from pave_gateway.core.registry_rows import AssignmentRow
from pave_gateway.core.rows import ReadingRow, StoredReading


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def test_a_reading_is_told_with_its_place_and_its_times(path):
    town = Town(path)
    stored = town.receive(TAXI, seq=7, age_s=3)
    dated = Dated(TRUE_MS, TRUE_MS - 3000, Quality.SYNCHRONIZED)
    assert town.tell(stored) == Outgoing(1, stored.row, dated, "t1", "taxi", True)


# When it was


def test_what_arrived_before_the_clock_was_set_is_held_and_then_told_with_its_right_time(path):
    town = Town(path, wall_ms=5_000, synchronized=False)
    early = town.receive(seq=1, age_s=30)
    town.run(MINUTE_MS)
    assert town.tell(early) == Held(limits.UNDATED_HOLD_MS - MINUTE_MS)
    town.set_clock()
    late = town.receive(seq=2)
    assert early.row.received_ms == 5_000
    assert [(town.error_ms(town.told(each)), town.told(each).dated.quality) for each in (early, late)] == [
        (0, Quality.CORRECTED), (0, Quality.SYNCHRONIZED),
    ]  # fmt: skip


def test_a_hold_is_over_after_ten_minutes_and_the_reading_is_told_with_a_mark(path):
    town = Town(path, wall_ms=5_000, synchronized=False)
    stored = town.receive()
    town.run(10 * MINUTE_MS - 1)
    assert town.tell(stored) == Held(1)
    town.run(1)
    assert town.told(stored).dated == Dated(5_000, 5_000, Quality.UNSYNCHRONIZED)


def test_what_an_earlier_boot_could_not_date_is_told_at_once_with_a_mark(path):
    town = Town(path, wall_ms=5_000, synchronized=False)
    stored = town.receive()
    town.boot("boot-2", wall_ms=6_000, synchronized=False)
    assert town.told(stored).dated.quality is Quality.UNSYNCHRONIZED


def test_what_another_process_of_the_same_boot_could_not_date_is_told_right(path):
    town = Town(path, wall_ms=5_000, synchronized=False)
    stored = town.receive()
    town.run(MINUTE_MS)
    town.boot("boot-1", town.wall_ms, False, town.monotonic_ms)
    assert town.tell(stored) == Held(limits.UNDATED_HOLD_MS - MINUTE_MS)
    town.set_clock()
    assert town.error_ms(town.told(stored)) == 0


def test_a_jump_of_ten_years_and_back_leaves_no_wrong_time_in_what_is_told_later(path):
    town = Town(path)
    for off_ms in (0, YEARS_10_MS, 0):
        town.set_clock(off_ms)
        for _ in range(12):
            town.run(MINUTE_MS)
            town.receive(seq=len(town.readings) + 1)
    told = [town.told(stored) for stored in town.readings]
    assert max(stored.row.read_ms for stored in town.readings) > TRUE_MS + YEARS_10_MS
    assert [town.error_ms(each) for each in told] == [0] * 36
    assert {each.dated.quality for each in told} == {Quality.SYNCHRONIZED, Quality.CORRECTED}


# Whose state it is


def test_the_newest_state_is_the_state_and_an_older_one_is_history(path):
    town = Town(path)
    first, second, late = town.receive(seq=1), town.receive(seq=5, occupied=False), town.receive(seq=3)
    assert [town.told(each).is_newest_state for each in (first, second, late)] == [False, True, False]
    assert town.told(second).is_newest_state  # told again, after a failure
    next_epoch = town.receive(seq=1, epoch=2)
    assert [town.told(each).is_newest_state for each in (second, next_epoch)] == [False, True]


@pytest.mark.parametrize(
    ("values", "is_state"),
    [
        ({"occupied": False}, True),
        ({"blind": True}, True),
        ({"fault": "magnetometer"}, True),
        ({"battery": 3.6}, False),
    ],
)
def test_blind_and_faulty_are_states_too_and_health_is_none(path, values, is_state):
    town = Town(path)
    assert town.told(town.receive(**values)).is_newest_state is is_state


def test_a_reading_without_a_state_takes_nothing_from_the_one_before(path):
    town = Town(path)
    state = town.receive(seq=1)
    town.receive(seq=2, battery=3.6)
    assert town.told(state).is_newest_state


def test_a_kiosk_has_no_state_of_a_bay(path):
    town = Town(path)
    told = town.told(town.receive(KIOSK, fault="display"))
    assert (told.place_id, told.kind, told.is_newest_state) == ("k1", "kiosk", False)


def test_a_replaced_devices_readings_are_the_history_of_its_place_early_or_late(path):
    town = Town(path)
    early = town.receive(seq=900, epoch=50)
    town.stand("b1", NEW)
    late = town.receive(seq=901, epoch=50)
    new = town.receive(NEW, occupied=False)
    told = [town.told(each) for each in (early, late, new)]
    assert [(each.place_id, each.kind, each.is_newest_state) for each in told] == [
        ("b1", "delivery", False), ("b1", "delivery", False), ("b1", "delivery", True),
    ]  # fmt: skip


def test_nobody_speaks_for_a_bay_between_a_replacement_and_the_new_devices_first_word(path):
    town = Town(path)
    last = town.receive()
    assert town.told(last).is_newest_state
    town.stand("b1", NEW)
    assert not town.told(last).is_newest_state


def test_a_device_that_comes_back_does_not_bring_the_state_of_its_first_stay_along(path):
    town = Town(path)
    before = town.receive(seq=5)
    town.run(MINUTE_MS)
    town.stand("b1", NEW)
    town.receive(NEW)
    town.run(MINUTE_MS)
    town.stand("b1", BAY)
    late = town.receive(seq=6, age_s=110)
    assert [town.told(each).is_newest_state for each in (before, late)] == [False, False]
    assert town.told(town.receive(seq=7)).is_newest_state


def test_a_moved_devices_readings_are_told_for_the_place_where_they_were_made(path):
    town = Town(path)
    before = town.receive(seq=1)
    town.run(MINUTE_MS)
    town.stand("b1", NEW)
    town.stand("t1", BAY)
    town.run(MINUTE_MS)
    late, after = town.receive(seq=2, age_s=100), town.receive(seq=3, age_s=10)
    told = [town.told(each) for each in (before, late, after)]
    assert [(each.place_id, each.kind, each.is_newest_state) for each in told] == [
        ("b1", "delivery", False), ("b1", "delivery", False), ("t1", "taxi", True),
    ]  # fmt: skip


def test_a_place_that_the_site_file_has_no_longer_is_told_by_its_bare_id(path):
    town = Town(path)
    stored = town.receive()
    registry = Registry(PLACES[1:])
    registry.begin(AssignmentRow("b1", BAY, 0, True), 0)
    bays = Bays(PLACES[1:], registry, town.clock_log)
    bays.apply([stored])
    told = Teller(registry, bays, town.clock_log, town.now).tell(stored)
    assert isinstance(told, Outgoing)
    assert (told.place_id, told.kind, told.is_newest_state) == ("b1", "removed", False)


def test_a_device_that_never_stood_anywhere_is_told_under_its_own_name(path):
    town = Town(path)
    stored = town.receive()
    told = Teller(Registry(PLACES), town.bays, town.clock_log, town.now).tell(stored)
    assert isinstance(told, Outgoing)
    assert (told.place_id, told.kind, told.is_newest_state) == (BAY, "removed", False)


def reading_at(position: int, device: str = BAY, seq: int = 1, epoch: int = 1, **values) -> StoredReading:
    row = ReadingRow(device, epoch, seq, "presence", 1000 * position, 1000 * position, values or {"occupied": True})
    return StoredReading(position, row)


def test_a_reading_that_the_bays_have_not_taken_yet_is_not_told_so_that_none_newer_before_it_is_missed():
    registry = registry_of()
    bays = Bays(PLACES, registry)
    tell = Teller(registry, bays, ClockLog(), lambda: Now(0, 0, True)).tell
    readings = [reading_at(1, seq=5), reading_at(2, seq=4)]
    assert [tell(stored) for stored in readings] == [None, None]
    bays.apply(readings)
    assert newest_of(tell, readings) == [True, False]


def test_what_a_device_said_before_it_stood_anywhere_is_no_state():
    registry = registry_of()
    bays = Bays(PLACES, registry)
    bays.apply([reading_at(1), reading_at(2, NEW)])
    stand(registry, bays, "b1", NEW, 3000)
    assert newest_of(Teller(registry, bays, ClockLog(), lambda: Now(0, 0, True)).tell, [reading_at(2, NEW)]) == [False]


def newest_of(tell: Callable, readings: list[StoredReading]) -> list[bool]:
    return [told.is_newest_state for told in map(tell, readings) if isinstance(told, Outgoing)]


def test_work_for_one_reading_does_not_grow_with_the_site_or_the_log(monkeypatch):
    places = [Place(f"b{n}", "delivery", "", 0, 0, f"{n:016x}") for n in range(2000)]
    registry = registry_of(places)
    bays = Bays(places, registry)
    bays.apply([reading_at(n + 1, f"{n:016x}") for n in range(2000)])

    def forbidden(*_):
        raise AssertionError("somebody went through all of the site")

    for name in ("__iter__", "availability"):
        monkeypatch.setattr(Bays, name, forbidden)
    for name in ("occupied_places", "devices", "history"):
        monkeypatch.setattr(Registry, name, forbidden)
    tell = Teller(registry, bays, ClockLog(), lambda: Now(0, 0, True)).tell
    assert newest_of(tell, [reading_at(n + 1, f"{n:016x}") for n in range(100)]) == [True] * 100


# What a broker is left with

ARRIVAL = st.tuples(st.just("arrives"), st.sampled_from([BAY, TAXI, NEW]), st.integers(0, 2), st.integers(0, 9))
REPLACE = st.tuples(st.just("stands"), st.sampled_from(["b1", "t1"]), st.sampled_from([BAY, TAXI, NEW]))
DELIVER = st.tuples(st.just("delivers"), st.integers(1, 4))
HISTORY = st.lists(st.one_of(ARRIVAL, ARRIVAL, REPLACE, DELIVER), max_size=40)


class Broker:
    """Keeps the newest state of each place, from a log delivered in parts while readings come and devices go."""

    def __init__(self, newest: Callable[[Outgoing], bool]) -> None:
        self.newest = newest
        self.registry = registry_of()
        self.bays = Bays(PLACES, self.registry)
        self.tell = Teller(self.registry, self.bays, ClockLog(), lambda: Now(0, 0, True)).tell
        self.log: list[StoredReading] = []
        self.delivered = 0
        self.retained: dict[str, ReadingRow] = {}

    def live(self, history) -> "Broker":
        for what, *rest in history:
            getattr(self, what)(*rest)
        self.delivers(len(self.log))
        return self

    def arrives(self, device: str, epoch: int, seq: int) -> None:
        stored = reading_at(len(self.log) + 1, device, seq, epoch)
        known = {each.row.identity for each in self.log}
        if stored.row.identity not in known and self.registry.place_of(device) is not None:
            self.log.append(stored)
            self.bays.apply([stored])

    def stands(self, place: str, device: str) -> None:
        if self.registry.standing(device) is None:
            stand(self.registry, self.bays, place, device, 1000 * len(self.log))

    def delivers(self, count: int) -> None:
        for stored in self.log[self.delivered : self.delivered + count]:
            told = self.tell(stored)
            assert isinstance(told, Outgoing)
            if self.newest(told):
                self.retained[told.place_id] = told.row
        self.delivered = min(len(self.log), self.delivered + count)

    def is_right(self) -> bool:
        """Whether every bay whose device has spoken is retained as it is."""
        known = [bay for bay in self.bays if bay.state is not None]
        rows = [self.retained.get(bay.place.id) for bay in known]
        return [(row.device, (row.epoch, row.seq)) if row else None for row in rows] == [
            (bay.device, bay.order) for bay in known
        ]


@settings(max_examples=100, deadline=None)
@given(HISTORY)
def test_whatever_comes_late_and_whoever_is_replaced_a_broker_is_left_with_the_state_of_every_bay(history):
    assert Broker(lambda told: told.is_newest_state).live(history).is_right()


def test_the_search_for_wrong_states_sees_a_broker_that_keeps_the_last_word():
    late = [("arrives", BAY, 1, 5), ("arrives", BAY, 1, 4)]
    replaced = [("arrives", BAY, 1, 5), ("stands", "b1", NEW), ("arrives", NEW, 1, 1), ("arrives", BAY, 1, 6)]
    for history in (late, replaced):
        assert Broker(lambda told: told.is_newest_state).live(history).is_right()
        assert not Broker(lambda told: True).live(history).is_right()
