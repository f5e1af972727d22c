"""Where a scenario's content comes from besides its own text: recorded fields, an exported journal."""

import json
import math
from datetime import datetime

import pytest
from quiet import quiet_until_s

from pave_emulator.scenario.load import load
from pave_emulator.scenario.model import Scenario, ScenarioError, Visit
from pave_emulator.scenario.recording import RecordingError, read
from pave_emulator.scenario.replay import ReplayError, replay, scenario, to_yaml
from pave_emulator.scenario.world import Bay, World

EARTH = (20.9, 0.8, 43.7)
BAYS = {"24a160fffe000101": "bay-0", "24a160fffe000102": "bay-1"}
T0_MS = 1_795_424_400_000  # 2026-11-23T09:00:00Z


def line(seq: int, at_s: float, occupied: bool | None, device: str = "24a160fffe000101", epoch: int = 1000) -> str:
    values = {} if occupied is None else {"occupied": occupied, "confidence": 0.9}
    row = {"device": device, "epoch": epoch, "seq": seq, "read_ms": T0_MS + round(at_s * 1000), "values": values}
    return json.dumps(row)


def test_a_recorded_field_drives_the_sensor_of_its_bay(tmp_path):
    (tmp_path / "drive.csv").write_text("t_s,x_ut,y_ut,z_ut\n0,20,1,40\n2,22,1,44\n3,30,1,44\n")
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: t\nseed: 1\nearth_field_ut: [20.9, 0.8, 43.7]\nnoise_ut: 0.3\n"
        "recordings:\n  - {bay: bay-0, file: drive.csv, from_s: 100}\n"
    )
    world = World(load(path), [Bay("bay-0", "taxi"), Bay("bay-1", "taxi")])
    sensor = world.sensor("bay-0")
    assert [sensor(t) for t in (0, 100, 101, 102.5, 500)] == [
        (20, 1, 40), (20, 1, 40), (21, 1, 42), (26, 1, 44), (30, 1, 44),
    ]  # fmt: skip
    quiet = [quiet_until_s(world, "bay-0", t) for t in (0, 101, 103)]
    assert quiet == [100, 101, math.inf]
    assert world.sensor("bay-1")(100) != world.sensor("bay-1")(101)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,x,y,z\n0,1,2,3\n", r"f.csv:1: the columns are t_s, x_ut, y_ut, z_ut"),
        ("t_s,x_ut,y_ut,z_ut\n0,1,2,3\n0,1,2,3\n", r"f.csv:3: t_s 0.0 does not follow 0.0"),
        ("t_s,x_ut,y_ut,z_ut\n0,1,2\n", r"f.csv:2: 4 finite numbers expected, found '0, 1, 2'"),
        ("t_s,x_ut,y_ut,z_ut\n0,1,2,nan\n", r"f.csv:2: 4 finite numbers"),
        ("t_s,x_ut,y_ut,z_ut\n0,1,two,3\n", r"f.csv:2: could not convert string to float: 'two'"),
        ("t_s,x_ut,y_ut,z_ut\n", r"f.csv:1: no row follows"),
    ],
)
def test_a_bad_recording_gets_file_and_line(tmp_path, text, message):
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=message):
        read(path, "bay-0")


def test_a_scenario_names_the_recording_that_is_bad(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("name: t\nseed: 1\nearth_field_ut: [1, 2, 3]\nrecordings:\n  - {bay: b, file: none.csv}\n")
    with pytest.raises(ScenarioError, match=r"s.yaml:5: .*none.csv"):
        load(path)


def test_an_exported_journal_becomes_visits_at_the_times_it_tells():
    told = replay(
        [
            line(0, 0, False),
            line(1, 60, True),
            line(1, 60, True),  # exported twice
            line(2, 70, True),  # a heartbeat
            line(4, 660, False),
            line(3, 300, None),
            line(0, 30, True, "24a160fffe000102"),
            line(0, 30, True, "24a160fffe000999"),
        ],
        BAYS,
    )
    assert told.start == datetime(2026, 11, 23, 8, 59, 50)
    assert told.visits == (Visit("bay-0", 70.0, 670.0), Visit("bay-1", 40.0, math.inf))
    assert (told.readings, told.repeated, told.other, told.too_short) == (5, 1, 2, 0)


def test_what_came_late_is_put_in_its_place_and_what_no_vehicle_can_do_is_left_out():
    lines = [line(3, 100, True), line(1, 10, True), line(2, 50, False), line(4, 101, False), line(5, 200, True)]
    told = replay([*lines, line(6, 300, False), line(7, 300.5, True), line(8, 400, False)], BAYS)
    assert told.visits == (Visit("bay-0", 10.0, 50.0), Visit("bay-0", 200.0, 400.0))
    assert told.too_short == 2


def test_times_may_be_rfc_3339_and_occupied_bare():
    bare = {"device": "24a160fffe000101", "epoch": 1, "seq": 1, "time": "2026-11-23T10:00:00+01:00", "occupied": True}
    told = replay([json.dumps(bare)], BAYS)
    assert told.start == datetime(2026, 11, 23, 8, 59, 50)
    assert told.visits == (Visit("bay-0", 10.0),)


def test_the_scenario_of_an_export_makes_the_same_changes_again_and_goes_through_a_file(tmp_path):
    lines = [line(seq, 60 * seq, seq % 2 == 1) for seq in range(1, 41)]
    made = scenario(replay(lines, BAYS), "replayed", 7, EARTH, 0.3)
    path = tmp_path / "replayed.yaml"
    path.write_text(to_yaml(made))
    again = load(path)
    assert again == made
    changes = World(again, [Bay("bay-0", "taxi")]).advance(1e6)
    start_s = made.start.timestamp() - datetime.fromtimestamp(0).timestamp()
    assert len(changes) == 40 and isinstance(again, Scenario) and start_s > 0
    assert [(c.t_s, c.occupied) for c in changes] == [(60.0 * seq - 50, seq % 2 == 1) for seq in range(1, 41)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"j:1: not JSON"),
        ("[1]", r"j:1: an object expected"),
        ('{"devise": "x", "epoch": 1, "seq": 1}', r"j:1: 'device' is missing: did you mean 'devise'"),
        ('{"device": "x", "epoch": "1", "seq": 1}', r"j:1: epoch is '1', int expected"),
        ('{"device": "x", "epoch": 1, "seq": 1, "occupied": 1}', r"j:1: occupied is 1, true or false expected"),
        (
            '{"device": "x", "epoch": 1, "seq": 1, "occupied": true, "time": "noon"}',
            r"j:1: time 'noon' is not RFC 3339",
        ),
        ('{"device": "x", "epoch": 1, "seq": 1, "occupied": true, "time": "2026-01-01"}', r"j:1: .* has no zone"),
        ('{"device": "x", "epoch": 1, "seq": 1, "occupied": true, "read_ms": 5}', r"j: no reading tells whether a bay"),
    ],
)
def test_a_bad_export_gets_file_and_line(text, message):
    with pytest.raises(ReplayError, match=message):
        replay([text], BAYS, "j")
