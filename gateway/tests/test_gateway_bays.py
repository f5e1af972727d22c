"""The state of bays: what readings say of it, in any order, through replaced devices, from log and snapshots."""

import random
from dataclasses import dataclass

import pytest
from gateway_support import BAY, KIOSK, TAXI
from hypothesis import given, settings
from hypothesis import strategies as st

from pave_gateway.core import limits
from pave_gateway.core.bay_history import Stay
from pave_gateway.core.bay_state import Bay
from pave_gateway.core.bays import BayRow, Bays, BaysMarkRow, SnapshotError
from pave_gateway.core.instant import ClockLog, ClockRow
from pave_gateway.core.places import Place
from pave_gateway.core.registry import Registry
from pave_gateway.core.registry_rows import AssignmentEndRow, AssignmentRow
from pave_gateway.core.rows import ReadingRow, StoredReading

NEW = "24a160fffe000103"
PLACES = [
    Place("b1", "delivery", "Rue de Bercy", 48.8, 2.3, BAY),
    Place("t1", "taxi", "Rue de Bercy", 48.8, 2.3, TAXI),
    Place("k1", "kiosk", "Gare", 48.8, 2.3, KIOSK),
]


@dataclass(frozen=True)
class Stands:
    """An assignment."""

    place: str
    device: str
    from_position: int


class Fixed:
    """A registry whose devices never moved."""

    def __init__(self, stands: list[Stands]) -> None:
        self.stands = stands

    def occupied_places(self):
        return self.stands

    def attribute(self, stored):
        return next((each for each in self.stands if each.device == stored.row.device), None)


class Log:
    """Gives readings their positions."""

    def __init__(self) -> None:
        self.readings: list[StoredReading] = []

    def add(self, device=BAY, seq=1, epoch=1, at_s=0, age_s=0, synchronized=True, **values) -> StoredReading:
        values = {name.replace("_", "-"): value for name, value in values.items()}
        read_ms = at_s * 1000
        row = ReadingRow(
            device, epoch, seq, "presence", read_ms + age_s * 1000, read_ms, values, synchronized=synchronized
        )
        self.readings.append(StoredReading(len(self.readings) + 1, row))
        return self.readings[-1]


def bay_after(*readings: dict) -> Bay:
    log, bays = Log(), Bays(PLACES)
    for reading in readings:
        log.add(**reading)
    bays.apply(log.readings)
    found = bays.get("b1")
    assert found is not None
    return found


def dumped(bays: Bays) -> list:
    return [bay.dump() for bay in bays]


def arrives(seq: int, at_s: int, lasted: int | None = None, **more) -> dict:
    return {"seq": seq, "at_s": at_s, "occupied": True} | ({} if lasted is None else {"lasted": lasted}) | more


def leaves(seq: int, at_s: int, lasted: int | None = None, **more) -> dict:
    return {**arrives(seq, at_s, lasted, **more), "occupied": False}


def test_a_reading_that_opened_a_state_says_since_when_and_how_surely():
    bay = bay_after(arrives(1, at_s=100, lasted=40, age_s=200, confidence=0.9, reason="field"))
    assert (bay.state, bay.occupied, bay.confidence, bay.reason) == ("occupied", True, 0.9, "field")
    assert (bay.since_ms, bay.since_error_ms) == (100_000, 200_000 * limits.SLOW_CLOCK_PERCENT // 100 + 1000)
    assert (bay.read_ms, bay.heard_ms) == (100_000, 300_000)


def test_a_first_reading_that_opened_nothing_leaves_open_since_when():
    bay = bay_after(arrives(1, at_s=100, reason="boot"))
    assert (bay.since_ms, bay.since_error_ms) == (100_000, None)


def test_a_state_found_changed_began_between_two_readings():
    bay = bay_after(leaves(1, at_s=100, lasted=9), leaves(2, at_s=400), arrives(4, at_s=1000, reason="heartbeat"))
    assert (bay.since_ms, bay.since_error_ms) == (1_000_000, 600_000)


def test_a_late_reading_narrows_the_gap_in_which_a_state_began_or_closes_it():
    gap = [leaves(1, at_s=100), arrives(5, at_s=1000)]
    assert bay_after(*gap, leaves(2, at_s=700)).since_error_ms == 300_000
    extended = bay_after(*gap, arrives(4, at_s=800))
    assert (extended.since_ms, extended.since_error_ms) == (800_000, 700_000)
    exact = bay_after(*gap, arrives(3, at_s=600, lasted=500))
    assert (exact.since_ms, exact.since_error_ms) == (600_000, 1000)
    assert (exact.state, exact.seq, exact.read_ms) == ("occupied", 5, 1_000_000)


def test_a_late_reading_older_than_the_gap_says_nothing_of_it():
    gap = [arrives(4, at_s=400), leaves(6, at_s=1000)]
    for late in (leaves(2, at_s=200), leaves(2, at_s=200, lasted=9), arrives(2, at_s=200)):
        bay = bay_after(*gap, late)
        assert (bay.since_ms, bay.since_error_ms, bay.seq) == (1_000_000, 600_000, 6)


def test_a_late_reading_of_another_state_within_a_run_means_that_the_state_began_anew():
    bay = bay_after(arrives(3, at_s=100, lasted=9), arrives(9, at_s=900), leaves(5, at_s=500))
    assert (bay.occupied, bay.since_ms, bay.since_error_ms) == (True, 900_000, 400_000)


def test_a_vehicle_that_left_and_another_that_came_unheard_begin_a_stay_of_their_own():
    told = []
    log, bays = Log(), Bays(PLACES)
    bays.subscribe(lambda bay: told.append((bay.occupied, bay.since_ms)))
    log.add(**arrives(1, at_s=100, lasted=50))
    log.add(**arrives(3, at_s=900, lasted=60))
    bays.apply(log.readings)
    assert told == [(True, 100_000), (True, 900_000)]
    bay = bays.get("b1")
    assert bay and bay.previous == Stay("vacant", 900_000, 60_000, "device")


def test_how_long_a_state_lasted_is_the_gateways_difference_and_the_devices_word_only_where_a_reading_is_missing():
    heard = bay_after(arrives(1, at_s=100, lasted=9), leaves(2, at_s=1100, lasted=1050))
    assert heard.previous == Stay("occupied", 1_100_000, 1_000_000, "gateway")
    agreeing = bay_after(arrives(1, at_s=100, lasted=9), leaves(4, at_s=1100, lasted=1050))
    assert agreeing.previous == Stay("occupied", 1_100_000, 1_000_000, "gateway")
    missing = bay_after(arrives(1, at_s=100, lasted=9), leaves(4, at_s=1100, lasted=300))
    assert missing.previous == Stay("occupied", 1_100_000, 300_000, "device")
    found = bay_after(arrives(1, at_s=100), leaves(2, at_s=1100))
    assert found.previous is None


def test_lengths_are_never_negative_even_where_ages_cross():
    crossed = bay_after(arrives(1, at_s=500, lasted=9), leaves(2, at_s=400, lasted=30))
    assert crossed.previous == Stay("occupied", 400_000, 0, "gateway")


def test_the_real_reading_takes_the_place_of_one_that_was_rebuilt():
    before = [leaves(1, at_s=0, lasted=5), arrives(2, at_s=100, age_s=900, reason="rebuilt"), arrives(3, at_s=1000)]
    assert bay_after(*before).since_ms == 100_000
    assert bay_after(*before, arrives(2, at_s=130, lasted=130)).since_ms == 130_000


def test_blind_and_faulty_bays_are_neither_occupied_nor_free():
    log, bays = Log(), Bays(PLACES)
    log.add(**leaves(1, at_s=0))
    bays.apply(log.readings)
    assert bays.availability() == {"delivery": (1, 1), "taxi": (0, 1)}
    bays.apply([log.add(seq=2, at_s=60, blind=True, reason="field", lasted=60, ended="vacant")])
    bay = bays.get("b1")
    assert bay and (bay.state, bay.occupied, bay.since_ms) == ("blind", None, 60_000)
    assert bay.previous == Stay("vacant", 60_000, 60_000, "device")  # seq 1 opened nothing, so the gateway cannot know
    assert bays.availability()["delivery"] == (0, 1)
    bays.apply([log.add(seq=3, at_s=90, fault="magnetometer")])
    assert (bay.state, bay.fault, bay.occupied, bay.since_ms) == ("fault", "magnetometer", None, 90_000)
    bays.apply([log.add(**leaves(4, at_s=200, reason="heartbeat"))])
    assert (bay.state, bay.fault) == ("vacant", "")
    assert bays.availability()["delivery"] == (1, 1)


def test_a_part_that_fails_beside_a_state_is_told_and_takes_nothing_away():
    bay = bay_after(arrives(1, at_s=0, fault="radar"))
    assert (bay.state, bay.occupied, bay.fault) == ("occupied", True, "radar")


def test_a_reading_that_tells_no_state_only_shows_that_the_device_lives():
    bay = bay_after(arrives(1, at_s=0), {"seq": 2, "at_s": 500, "battery": 3.6})
    assert (bay.seq, bay.read_ms, bay.heard_ms) == (1, 0, 500_000)


def test_a_replaced_devices_late_readings_never_overwrite_the_new_ones():
    log = Log()
    bays = Bays(PLACES)
    bays.apply([log.add(seq=900, epoch=50, occupied=False), log.add(TAXI, occupied=False)])
    told = []
    bays.subscribe(lambda bay: told.append((bay.place.id, bay.state)))
    bays.assign("b1", NEW, bays.position)
    assert told == [("b1", None)] and bays.availability()["delivery"] == (0, 1)
    bays.apply([log.add(NEW, seq=0, epoch=1, occupied=True, at_s=5)])
    bays.apply([log.add(BAY, seq=901, epoch=50, occupied=False, at_s=9)])
    bay = bays.get("b1")
    assert bay and (bay.device, bay.occupied, bay.read_ms) == (NEW, True, 5000)
    assert bays.availability() == {"delivery": (0, 1), "taxi": (1, 1)}


def test_a_device_that_moves_to_another_bay_brings_nothing_along():
    log = Log()
    bays = Bays(PLACES)
    bays.apply([log.add(seq=7, occupied=False)])
    bays.assign("b1", None, 1)
    bays.assign("t1", BAY, 1)
    assert [(bay.device, bay.state) for bay in bays] == [(None, None), (BAY, None)]
    assert bays.of_device(TAXI) is None
    bays.apply([log.add(seq=8, occupied=True)])
    assert [bay.occupied for bay in bays] == [None, True]


def test_what_a_device_measured_before_it_was_moved_here_says_nothing_of_this_bay():
    registry = Registry(PLACES)
    registry.begin(AssignmentRow("b1", BAY, 0, True), 0)
    log, bays = Log(), Bays(PLACES, registry)
    bays.apply([log.add(seq=1, at_s=100, occupied=False)])
    registry.end(AssignmentEndRow("b1", BAY, 200_000, "anne"), 1)
    bays.assign("b1", None, 1)
    registry.begin(AssignmentRow("t1", BAY, 200_000, True), 1)
    bays.assign("t1", BAY, 1)
    bays.apply([log.add(seq=2, at_s=150, age_s=60, occupied=False)])
    assert [(bay.device, bay.state) for bay in bays] == [(None, None), (BAY, None)]
    bays.apply([log.add(seq=3, at_s=230, occupied=True)])
    rebuilt = Bays(PLACES, registry)
    rebuilt.apply(log.readings)
    assert known(rebuilt) == known(bays) and bays.availability() == rebuilt.availability()
    assert [bay.state for bay in bays] == [None, "occupied"]


def test_a_kiosks_place_is_no_bay():
    bays = Bays(PLACES)
    bays.assign("k1", NEW, 0)
    assert bays.get("k1") is None and bays.of_device(NEW) is None


def test_a_time_from_before_the_clock_was_set_is_right_in_every_later_output():
    clock = ClockLog([ClockRow(0, "boot", 0, False)])
    log, bays = Log(), Bays(PLACES, clock=clock)
    bays.apply([log.add(**leaves(1, at_s=60, lasted=9, synchronized=False))])
    bays.apply([log.add(**arrives(2, at_s=90, lasted=30, synchronized=False))])
    bay = bays.get("b1")
    assert bay and bay.since_ms == 90_000
    clock.add(ClockRow(2, "boot", 1_800_000_000_000, True))
    assert (bay.since_ms, bay.read_ms) == (1_800_000_090_000, 1_800_000_090_000)
    assert bay.previous == Stay("vacant", 1_800_000_090_000, 30_000, "gateway")


def test_a_length_between_boots_that_no_clock_saw_is_the_devices():
    clock = ClockLog([ClockRow(0, "one", 0, False), ClockRow(1, "two", 5_000, False)])
    log, bays = Log(), Bays(PLACES, clock=clock)
    bays.apply([log.add(**leaves(1, at_s=60, lasted=9, synchronized=False))])
    bays.apply([log.add(**arrives(2, at_s=61, lasted=3600, synchronized=False))])
    bay = bays.get("b1")
    assert bay and bay.previous == Stay("vacant", 61_000, 3_600_000, "device")
    assert bay.since_error_ms == 1000


def test_work_for_one_reading_does_not_grow_with_the_site(monkeypatch):
    places = [Place(f"b{n}", "delivery", "", 0, 0, f"{n:016x}") for n in range(2000)]
    bays = Bays(places)

    def forbidden(_self):
        raise AssertionError("somebody went through all bays")

    monkeypatch.setattr(Bays, "__iter__", forbidden)
    log = Log()
    for n in range(100):
        bays.apply([log.add(f"{n:016x}", occupied=False)])
    assert bays.availability() == {"delivery": (100, 2000)}


# What random sites do

READING = st.fixed_dictionaries(
    {"device": st.sampled_from([BAY, TAXI, NEW]), "seq": st.integers(0, 8), "epoch": st.integers(0, 2)},
    optional={
        "occupied": st.booleans(), "blind": st.just(True), "fault": st.just("radar"), "confidence": st.floats(0, 1),
        "lasted": st.integers(0, 900), "ended": st.sampled_from(["vacant", "occupied", "blind"]),
        "reason": st.sampled_from(["field", "heartbeat", "rebuilt"]), "synchronized": st.booleans(),
        "at_s": st.integers(0, 900), "age_s": st.integers(0, 90),
    },
)  # fmt: skip
ASSIGN = st.tuples(st.sampled_from(["b1", "t1"]), st.sampled_from([BAY, TAXI, NEW, None]))
HISTORY = st.lists(st.one_of(READING, READING, READING, ASSIGN), max_size=40)


class Disk:
    """What was written down of bays, a step at a time; some steps fail."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.rows: dict[str, BayRow] = {}
        self.position = 0
        self.marks = 0

    def step(self, bays: Bays) -> None:
        change = bays.snapshot_step(most=1)
        if change is None or self.dice.random() < 0.2:
            return
        for row in change.rows:
            if isinstance(row, BayRow):
                self.rows[row.place] = row
            else:
                assert isinstance(row, BaysMarkRow) and row.position >= self.position
                self.position = row.position
                self.marks += 1
        change.apply()

    def restored(self, registry, log) -> Bays:
        """Return the bays as a gateway would have them that starts with this."""
        bays = Bays(PLACES, registry)
        bays.restore(self.rows.values(), self.position)
        assert bays.position == self.position
        bays.apply(log[self.position :])
        return bays


def play(history, dice=None):
    """Live a history; return (bays, log, registry, what was written down on the way)."""
    registry = Fixed([Stands(place.id, place.device, 0) for place in PLACES[:2]])
    log, bays = Log(), Bays(PLACES, registry)
    disk = Disk(dice or random.Random(1))
    for step in history:
        if isinstance(step, dict):
            bays.apply([log.add(**step)])
        elif bays.of_device(step[1]) is None:
            place, device = step
            others = [each for each in registry.stands if each.place != place]
            registry.stands = others + ([Stands(place, device, bays.position)] if device else [])
            bays.assign(place, device, bays.position)
        disk.step(bays)
    return bays, log.readings, registry, disk


def known(bays: Bays) -> list:
    """Everything but where an empty bay's device went."""
    return [dump if dump[1] else dump[:1] for dump in dumped(bays)]


@settings(max_examples=150, deadline=None)
@given(HISTORY, st.randoms(use_true_random=False))
def test_a_rebuild_from_the_log_and_a_restart_from_what_was_written_down_give_the_state_that_was_live(history, dice):
    live, log, registry, disk = play(history, dice)
    rebuilt = Bays(PLACES, registry)
    rebuilt.apply(log)
    restored = disk.restored(registry, log)
    assert known(rebuilt) == known(live) == known(restored)
    assert rebuilt.availability() == live.availability() == restored.availability()


def test_a_position_that_a_bay_has_already_is_not_taken_again():
    log, bays, again = Log(), Bays(PLACES), Bays(PLACES)
    log.add(**arrives(1, at_s=5))
    bays.apply(log.readings)
    change = bays.snapshot_step()
    assert change is not None
    again.restore([row for row in change.rows if isinstance(row, BayRow)], 0)
    again.apply([StoredReading(1, Log().add(**leaves(9, at_s=9)).row)])
    assert dumped(again) == dumped(bays)


def test_rounds_come_to_their_end_and_write_only_what_was_touched():
    log, bays, disk = Log(), Bays(PLACES), Disk(random.Random(7))
    disk.step(bays)
    assert disk.marks == 0
    for seq in range(40):
        bays.apply([log.add(**arrives(seq, at_s=seq))])
        disk.step(bays)
    assert disk.marks > 5 and list(disk.rows) == ["b1"] and disk.position > 30


@settings(max_examples=100, deadline=None)
@given(HISTORY)
def test_counts_kept_up_are_the_counts_summed(history):
    bays, *_ = play(history)
    summed = {place.kind: (0, 0) for place in PLACES[:2]}
    for bay in bays:
        free, total = summed[bay.place.kind]
        summed[bay.place.kind] = (free + (bay.occupied is False), total + 1)
    assert bays.availability() == summed


def stays(dice: random.Random) -> list[dict]:
    """What a sensor says of arrivals and departures, each reading telling what it ended, heartbeats between."""
    told, at_s, since_s, occupied = [], 0, 0, False
    for seq in range(1, 16):
        at_s += dice.randint(1, 4000)
        if dice.random() < 0.5:
            occupied = not occupied
            told.append({"seq": seq, "at_s": at_s, "occupied": occupied, "lasted": at_s - since_s})
            since_s = at_s
        else:
            told.append({"seq": seq, "at_s": at_s, "occupied": occupied, "reason": "heartbeat"})
    return told


def summary(bay: Bay) -> tuple:
    return bay.state, bay.order, bay.read_ms, bay.since_ms, bay.since_error_ms


@pytest.mark.parametrize("seed", range(40))
def test_whatever_order_a_days_readings_arrive_in_the_state_and_its_beginning_are_the_same(seed):
    dice = random.Random(seed)
    told = stays(dice)
    told[0] = {"seq": 1, "at_s": 0, "occupied": False, "lasted": 5}  # so that every state's beginning is told
    assert summary(bay_after(*told)) == summary(bay_after(*dice.sample(told, len(told))))


def test_the_comparison_of_orders_sees_a_bay_that_trusts_the_order_of_arrival(monkeypatch):
    monkeypatch.setattr(
        Bay, "_late", lambda self, began, order, state, moment, row: self._advance(order, state, moment, row)
    )
    differing = 0
    for seed in range(20):
        dice = random.Random(seed)
        told = stays(dice)
        differing += summary(bay_after(*told)) != summary(bay_after(*dice.sample(told, len(told))))
    assert differing >= 15


def test_the_comparison_with_a_restart_sees_one_that_applies_readings_twice_or_leaves_something_out(monkeypatch):
    history = [arrives(1, at_s=5, lasted=3, device=BAY), leaves(2, at_s=900, lasted=895, device=BAY)] * 5
    history = [{**step, "seq": number} for number, step in enumerate(history)]
    live, log, registry, disk = play(history)
    assert known(disk.restored(registry, log)) == known(live)
    disk.position = len(log) - 1
    disk.rows["b1"] = BayRow("b1", 0, disk.rows["b1"].state)
    assert known(disk.restored(registry, log)) != known(live)


@pytest.mark.parametrize("state", [b"", b"{}", b"[9,[]]", b'[1,["b1"]]', b'[1,["b1","24a160fffe000101",0,3]]'])
def test_a_snapshot_that_is_none_leaves_every_bay_unknown_and_is_refused(state):
    bays = Bays(PLACES)
    with pytest.raises(SnapshotError, match="rebuild"):
        bays.restore([BayRow("b1", 7, state)], 7)
    assert [bay.state for bay in bays] == [None, None] and bays.position == 0
    assert bays.availability() == {"delivery": (0, 1), "taxi": (0, 1)}
