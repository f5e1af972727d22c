"""The registry's acts: what each does, what it refuses, and that nothing is in effect before it is on disk."""

from dataclasses import replace

import pytest
from registry_support import ANNE, KIOSK, ONE, PLACES, THREE, TWO, Site, record, site

from pave_gateway.core.registry import Assignment
from pave_gateway.core.registry_acts import RegistryBusyError, RegistryError
from pave_gateway.core.registry_change import By, Changed, NotRecorded, Recorded
from pave_gateway.core.rows import ReadingRow, StoredReading
from pave_gateway.store import registry_tables

MONDAY, TUESDAY = 1_795_000_000_000, 1_795_086_400_000
LATER = TUESDAY + 86_400_000


@pytest.fixture
def lab() -> Site:
    """Three sensors and a kiosk controller, provisioned; nobody stands anywhere."""
    made = site()
    made.bring(record(ONE), record(TWO), record(THREE), record(KIOSK))
    return made


def trail(lab: Site) -> list[tuple[str, str, str]]:
    return [(act.act, act.device, act.place) for act in registry_tables.acts(lab.disk.db, 0, 100)]


def test_a_provisioned_device_is_refused_until_it_is_assigned_and_then_speaks_for_its_place(lab):
    assert lab.registry.state(ONE) == "provisioned"
    assert lab.registry.place_of(ONE) is None
    assert ONE not in lab.registry.admitted
    assert isinstance(lab.do("assign", "bay-1", ONE), Recorded)
    assert lab.registry.state(ONE) == "active"
    assert lab.registry.place_of(ONE) == lab.registry.admitted[ONE] == PLACES[0]
    assert lab.registry.device_at("bay-1") == ONE


def stored(position, read_ms, synchronized=True, received_ms=None):
    """Return a reading of ONE in the log."""
    received_ms = LATER if received_ms is None else received_ms
    return StoredReading(position, ReadingRow(ONE, 1, 1, "presence", received_ms, read_ms, {}, None, synchronized))


def test_a_replaced_device_speaks_no_more_and_its_late_readings_belong_to_its_old_period(lab):
    lab.do("assign", "bay-1", ONE)
    lab.disk.log_readings(10)
    lab.do("replace", "bay-1", TWO)
    assert (lab.registry.device_at("bay-1"), lab.registry.state(ONE)) == (TWO, "provisioned")
    assert lab.registry.place_of(ONE) == PLACES[0], "what it still has in its outbox is not lost"
    late = lab.registry.attribute(stored(11, MONDAY, True))
    assert late is not None
    assert (late.place, late.covers(11), late.covers(10)) == ("bay-1", False, True)
    assert [lab.registry.assignment_at("bay-1", position).device for position in (1, 10, 11, 10_000)] == [
        ONE, ONE, TWO, TWO,
    ]  # fmt: skip
    assert [(period.device, period.from_position, period.to_position) for period in lab.registry.history("bay-1")] == [
        (ONE, 0, 10),
        (TWO, 10, None),
    ]


def test_a_place_between_two_devices_has_no_assignment(lab):
    lab.do("assign", "bay-1", ONE)
    lab.disk.log_readings(5)
    lab.do("release", ONE)
    lab.disk.log_readings(5)
    lab.do("assign", "bay-1", TWO)
    assert lab.registry.assignment_at("bay-1", 7) is None
    assert lab.registry.assignment_at("bay-1", 11).device == TWO
    assert lab.registry.assignment_at("bay-2", 1) is None


def test_readings_of_a_moved_device_from_before_the_move_belong_to_where_it_was(lab):
    lab.do("assign", "bay-1", ONE, by=By("anne", MONDAY))
    lab.disk.log_readings(5)
    lab.do("move", ONE, "bay-2", by=By("anne", TUESDAY))
    assert (lab.registry.device_at("bay-1"), lab.registry.device_at("bay-2")) == (None, ONE)
    assert lab.changed_places[-2:] == ["bay-1", "bay-2"]
    assert (lab.registry.current("bay-1"), lab.registry.current("bay-2").from_position) == (None, 5)
    old = lab.registry.attribute(stored(6, TUESDAY - 1, True))
    new = lab.registry.attribute(stored(6, TUESDAY, True))
    assert (old.place, old.covers(6)) == ("bay-1", False)
    assert (new.place, new.covers(6)) == ("bay-2", True)
    assert lab.registry.attribute(stored(5, TUESDAY, True)).place == "bay-1", (
        "positions before the move are the old place's"
    )


@pytest.mark.parametrize(("of_the_move", "of_the_reading"), [(False, True), (True, False)])
def test_a_clock_that_cannot_be_trusted_has_no_say_in_where_a_reading_belongs(lab, of_the_move, of_the_reading):
    lab.do("assign", "bay-1", ONE)
    lab.do("move", ONE, "bay-2", by=By("anne", TUESDAY, synchronized=of_the_move))
    assert lab.registry.attribute(stored(1, 0, of_the_reading)).place == "bay-2"


def test_a_move_that_a_clock_ten_years_ahead_has_dated_takes_the_readings_of_after_it_all_the_same(lab):
    ahead = TUESDAY + 10 * 365 * 86_400_000
    lab.do("assign", "bay-1", ONE, by=By("anne", MONDAY))
    lab.do("move", ONE, "bay-2", by=By("anne", ahead))
    assert lab.registry.attribute(stored(1, TUESDAY, received_ms=TUESDAY)).place == "bay-2"


def test_the_first_device_of_a_place_has_always_spoken_for_it(lab):
    lab.disk.log_readings(100)
    lab.do("assign", "bay-1", ONE)
    assert lab.registry.assignment_at("bay-1", 1).device == ONE
    assert lab.registry.attribute(stored(1, 0, True)).covers(1)


def test_a_retired_device_is_refused_its_keys_are_gone_and_its_history_stays(lab):
    lab.do("assign", "bay-1", ONE)
    lab.disk.log_readings(3)
    lab.disk.forgotten.clear()
    lab.do("retire", ONE)
    assert (lab.registry.state(ONE), lab.registry.place_of(ONE)) == ("retired", None)
    assert lab.keys.oscore(ONE) is lab.keys.lora(ONE) is None
    assert lab.keys.device_of_kid(bytes.fromhex("24a160000101")) is None
    assert lab.disk.db.execute("SELECT count(*) FROM registry_key WHERE device = ?", (ONE,)).get == 0
    assert lab.disk.forgotten == [ONE]
    assert lab.registry.assignment_at("bay-1", 3).device == ONE
    assert [kept.device for kept in lab.registry.devices()] == [ONE, TWO, THREE, KIOSK]


def test_a_device_without_keys_here_can_be_added_and_assigned(lab):
    stranger = "70b3d57ed0000001"
    lab.do("add", stranger, "presence", "", "joins through the city's network")
    assert isinstance(lab.do("assign", "bay-2", stranger), Recorded)
    assert lab.keys.oscore(stranger) is None


@pytest.mark.parametrize(
    ("act", "arguments", "said"),
    [
        ("assign", ("bay-9", TWO), "there is no place 'bay-9'; add it to the site file"),
        ("assign", ("bay-2", "24a160fffe0001ff"), "is not in the registry; import its provisioning record"),
        ("assign", ("bay-1", TWO), f"bay-1 has device {ONE}; replace that one"),
        ("assign", ("bay-2", ONE), f"device {ONE} stands at bay-1; move it"),
        ("assign", ("bay-2", KIOSK), "is of kind kiosk, and bay-2 is a taxi place"),
        ("assign", ("kiosk-1", TWO), "is of kind presence, and kiosk-1 is a kiosk place"),
        ("replace", ("bay-2", TWO), "bay-2 has no device; assign"),
        ("replace", ("bay-1", ONE), f"device {ONE} stands at bay-1"),
        ("replace", ("bay-1", THREE), f"device {THREE} is retired; flash it anew"),
        ("move", (TWO, "bay-2"), "stands nowhere; assign it to bay-2"),
        ("move", (ONE, "bay-1"), f"bay-1 has device {ONE}"),
        ("move", (ONE, "kiosk-1"), "is of kind presence"),
        ("release", (TWO,), "stands nowhere"),
        ("retire", (THREE,), "is retired"),
        ("retire", ("24a160fffe0001ff",), "is not in the registry"),
        ("add", (ONE, "presence", "", ""), "is in the registry already"),
        ("begin_life", (bytes(7),), "the journal has gateway ID 80"),
    ],
)
def test_what_may_not_be_done_is_said_with_the_next_step_and_leaves_no_trace(lab, act, arguments, said):
    lab.do("assign", "bay-1", ONE)
    lab.do("retire", THREE)
    lab.keys.gateway_id = bytes((0x80,))
    before = (trail(lab), registry_tables.load(lab.disk.db), lab.registry.last_act)
    with pytest.raises(RegistryError, match=said.replace("(", r"\(")):
        lab.do(act, *arguments)
    assert (trail(lab), registry_tables.load(lab.disk.db), lab.registry.last_act) == before


def test_nothing_is_in_effect_before_it_is_on_disk(lab):
    lab.disk.held = []
    outcomes = []
    lab.registrar.assign("bay-1", ONE, ANNE, outcomes.append)
    assert (outcomes, lab.registry.device_at("bay-1"), lab.changed[4:]) == ([], None, [])
    with pytest.raises(RegistryBusyError, match="try again"):
        lab.registrar.assign("bay-2", TWO, ANNE, outcomes.append)
    lab.disk.release()
    assert (outcomes, lab.registry.device_at("bay-1"), lab.changed[4:]) == ([Recorded(5)], ONE, [ONE])


def test_a_commit_that_fails_changes_nothing_and_the_next_one_is_tried(lab):
    lab.disk.fault = "journal: the disk is full"
    assert lab.do("assign", "bay-1", ONE) == NotRecorded("journal: the disk is full")
    assert lab.registry.device_at("bay-1") is None
    lab.disk.fault, lab.disk.busy = "", True
    assert "are waiting" in lab.do("assign", "bay-1", ONE).reason
    lab.disk.busy = False
    assert lab.do("assign", "bay-1", ONE) == Recorded(5)


def test_an_act_decided_on_an_outdated_registry_is_refused_by_the_tables(lab):
    other = lab.restarted()
    other.do("assign", "bay-1", ONE)
    refused = lab.do("assign", "bay-1", TWO)
    assert isinstance(refused, NotRecorded)
    assert "the registry has 5 acts, and this was decided after 4" in refused.reason
    assert lab.registry.device_at("bay-1") is None
    assert lab.restarted().registry.device_at("bay-1") == ONE


def test_every_act_leaves_who_what_and_when(lab):
    lab.do("assign", "bay-1", ONE)
    lab.do("replace", "bay-1", TWO, by=By("bernard", TUESDAY))
    acts = registry_tables.acts(lab.disk.db, 4, 10)
    assert [(act.actor, act.at_ms, act.act, act.device, act.place) for act in acts] == [
        ("anne", MONDAY, "assign", ONE, "bay-1"),
        ("bernard", TUESDAY, "release", ONE, "bay-1"),
        ("bernard", TUESDAY, "assign", TWO, "bay-1"),
    ]
    assert [act.number for act in registry_tables.acts(lab.disk.db, 0, 3)] == [1, 2, 3]


def test_a_listener_that_fails_keeps_nobody_from_hearing(lab, caplog):
    def fails(changed: Changed) -> None:
        raise ValueError("a defect")

    heard: list[Changed] = []
    lab.registrar.subscribe(fails)
    lab.registrar.subscribe(heard.append)
    assert lab.do("assign", "bay-1", ONE) == Recorded(5)
    assert heard == [Changed((ONE,), ("bay-1",))]
    assert "a listener failed" in caplog.text


def test_after_a_restart_the_registry_answers_as_before(lab):
    lab.do("assign", "bay-1", ONE)
    lab.disk.log_readings(7)
    lab.do("replace", "bay-1", TWO)
    lab.disk.log_readings(2)
    lab.do("move", TWO, "bay-2")
    lab.do("assign", "kiosk-1", KIOSK)
    lab.do("retire", ONE)
    lab.do("begin_life", bytes(range(7)))
    again = lab.restarted()
    for device in (ONE, TWO, THREE, KIOSK):
        assert again.registry.history_of_device(device) == lab.registry.history_of_device(device)
        assert again.registry.device(device) == lab.registry.device(device)
        assert again.registry.state(device) == lab.registry.state(device)
        assert again.keys.oscore(device) == lab.keys.oscore(device)
    assert again.registry.admitted == lab.registry.admitted
    assert [again.registry.history(place.id) for place in PLACES] == [
        lab.registry.history(place.id) for place in PLACES
    ]
    assert (again.registry.last_act, again.registry.position) == (lab.registry.last_act, lab.registry.position)
    assert again.keys.gateway_id == bytes(range(7))


def test_a_log_that_has_lost_all_its_readings_moves_no_assignment_back(lab):
    lab.do("assign", "bay-1", ONE)
    lab.disk.log_readings(7)
    lab.do("replace", "bay-1", TWO)
    lab.disk.db.execute("DELETE FROM reading")
    lab.do("replace", "bay-1", THREE)
    assert [period.from_position for period in lab.registry.history("bay-1")] == [0, 7, 7]
    assert lab.restarted().registry.history("bay-1") == lab.registry.history("bay-1")
    assert lab.registry.assignment_at("bay-1", 8).device == THREE


def test_periods_of_no_length_belong_to_the_last_of_them(lab):
    for device in (ONE, TWO, THREE):
        lab.do("replace" if lab.registry.device_at("bay-1") else "assign", "bay-1", device)
    assert lab.registry.assignment_at("bay-1", 1).device == THREE


def test_the_tables_refuse_two_devices_at_a_place_two_places_of_a_device_and_a_retired_one(lab):
    lab.do("assign", "bay-1", ONE)
    lab.do("retire", THREE)

    def forced(place: str, device: str) -> str:
        change = lab.registrar.change(ANNE)
        change.act("assign", device, place)
        change.begin(place, device)
        return lab.disk.write(change.rows).detail

    assert forced("bay-1", TWO) == f"bay-1 has device {ONE}"
    assert forced("bay-2", ONE) == f"device {ONE} stands at bay-1"
    assert forced("bay-2", THREE) == f"device {THREE} is retired"
    assert forced("bay-2", "24a160fffe0001ff") == "device 24a160fffe0001ff is not in the registry"
    change = lab.registrar.change(ANNE)
    change.act("release", TWO, "bay-1")
    change.end("bay-1", TWO)
    assert lab.disk.write(change.rows).detail == f"device {TWO} does not stand at bay-1"
    assert lab.registry.last_act == lab.restarted().registry.last_act


def test_no_key_is_in_the_words_of_an_object():
    lab = site()
    lab.bring(record(ONE))
    keys, lora = lab.keys.oscore(ONE), lab.keys.lora(ONE)
    shown = repr([keys, lora, record(ONE), lab.keys.secrets(ONE)]) + str(replace(keys, device=TWO))
    assert keys.master_secret.hex() not in shown
    assert repr(keys.master_secret) not in shown
    assert "24a160000101" in shown


def test_an_assignment_covers_what_is_behind_its_beginning_up_to_its_end():
    period = Assignment("bay-1", ONE, 10, 0, True, 20, 0, "anne")
    assert [position for position in range(9, 23) if period.covers(position)] == list(range(11, 21))
