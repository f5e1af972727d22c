"""Scenario files: every section's own errors, and whether a scenario fits its site."""

from pathlib import Path

import pytest

from pave_emulator.scenario.check import check_devices, check_places
from pave_emulator.scenario.load import load
from pave_emulator.scenario.model import ScenarioError
from pave_emulator.scenario.site import Bay, local_m, rows

FULL = """\
name: test
seed: 7
start: 2026-11-23T06:00
earth_field_ut: [20.9, 0.8, 43.7]
noise_ut: 0.3
traffic:
  - {kind: taxi, gap_s: 600, stay_s: 300, min_s: 60, profile: street,
    manoeuvres: {forward: 1, reverse: 2}, vehicles: van}
visits:
  - {bay: bay-1, arrive_s: 50, vehicle: truck, manoeuvre: reverse}
passers: {per_day: 2000, lane_m: [2.4, 5.5], speed_mps: [4, 13], vehicles: {car: 0.9, truck: 0.1}, profile: street}
metro:
  - {line: M14, bays: [bay-0], field_ut: [0.5, 0.2, 0.8], headway_s: 105, swell_s: 40, hours: [5.5, 25]}
drift: {temperature_ut_per_k: 0.03, wander_ut: 0.4, days: 5, hard_iron_ut: 5}
weather: {mean_c: 11, seasonal_c: 8, daily_c: 4, asphalt_c: 18, rain_days_per_month: 9, latitude_deg: 48.84}
people: {at_kiosk_per_day: 300, on_bay_per_day: 12}
steps:
  - {at_s: 10, do: {reset: {device: dev-0}}}
  - {at_s: 20, do: {person: {place: k-0, s: 5}}}
properties:
  - never: {kind: fault}
"""
BAYS = [Bay("bay-0", "taxi"), Bay("bay-1", "taxi")]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return path


def test_every_section_is_read(tmp_path):
    got = load(written(tmp_path, FULL))
    assert got.start.hour == 6 and got.seed == 7
    assert got.traffic[0].manoeuvres == (("forward", 1.0), ("reverse", 2.0))
    assert got.traffic[0].vehicles == (("van", 1.0),)
    assert got.visits[0].leave_s == float("inf")
    assert got.passers is not None and got.passers.vehicles == (("car", 0.9), ("truck", 0.1))
    assert got.metro[0].hours == (5.5, 25)
    assert (got.drift.days, got.weather.asphalt_c, got.people.on_bay_per_day) == (5, 18, 12)
    assert (len(got.steps), len(got.properties)) == (2, 1)
    check_places(got, BAYS, ["k-0"])
    check_devices(got, ["dev-0"])
    assert load(written(tmp_path, FULL), seed=9).seed == 9


@pytest.mark.parametrize(
    ("text", "broken", "message"),
    [
        ("start: 2026-11-23T06:00", "start: monday", r"s.yaml:3: 'monday' is not a date and time"),
        ("noise_ut: 0.3", "noise_ut: -1", r"s.yaml:5: -1 where 0 or more"),
        ("noise_ut: 0.3", "noise_ut: .nan", r"s.yaml:5: '.nan' is not a number"),
        ("noise_ut: 0.3", "seed: 8", r"s.yaml:5: 'seed' appears twice"),
        ("profile: street,\n", "profile: stret,\n", r"s.yaml:7: no profile 'stret': did you mean 'street'"),
        ("forward: 1, reverse: 2", "foreward: 1", r"s.yaml:8: no manoeuvre 'foreward': did you mean 'forward'"),
        ("forward: 1, reverse: 2", "forward: 0", r"s.yaml:8: 0 where more than 0"),
        ("min_s: 60", "min_s: 10", r"s.yaml:7: min_s is 10.0: a vehicle needs 23 s"),
        ("vehicle: truck", "vehicle: tank", r"s.yaml:10: no vehicle 'tank': valid are bus, car"),
        ("lane_m: [2.4, 5.5]", "lane_m: [0.4, 5.5]", r"s.yaml:11: lane_m begins at 0.4"),
        ("lane_m: [2.4, 5.5]", "lane_m: [5.5, 2.4]", r"s.yaml:11: 5.5 is more than 2.4: least first"),
        ("swell_s: 40", "swell_s: 90", r"s.yaml:13: swell_s 90 is more than half of headway_s 105"),
        ("field_ut: [0.5, 0.2, 0.8]", "field_ut: [0, 0, 0]", r"s.yaml:13: field_ut is 0"),
        ("days: 5", "days: 0", r"s.yaml:14: 0 where more than 0"),
        ("asphalt_c", "asphalt", r"s.yaml:15: unknown key 'asphalt': did you mean 'asphalt_c'"),
        ("people: {", "people: [", r"s.yaml:16: not YAML"),
        ("  - never: {kind: fault}", "  - {}", r"s.yaml:21: one of within, never, always, every, at_most expected"),
    ],
)
def test_what_is_wrong_gets_file_line_and_nearest_name(tmp_path, text, broken, message):
    assert text in FULL
    with pytest.raises(ScenarioError, match=message):
        load(written(tmp_path, FULL.replace(text, broken)))


@pytest.mark.parametrize(
    ("text", "broken", "message"),
    [
        ("kind: taxi", "kind: tax", r"s.yaml:7: no bay of kind 'tax': did you mean 'taxi'"),
        ("bay: bay-1", "bay: bay1", r"s.yaml:10: no bay 'bay1': did you mean 'bay-\d'"),
        ("bays: [bay-0]", "bays: [bay-0, bay_1]", r"s.yaml:13: no bay 'bay_1': did you mean 'bay-1'"),
        ("place: k-0", "place: k0", r"s.yaml:19: no place 'k0': did you mean 'k-0'"),
    ],
)
def test_what_the_site_has_not_gets_file_line_and_nearest_name(tmp_path, text, broken, message):
    with pytest.raises(ScenarioError, match=message):
        check_places(load(written(tmp_path, FULL.replace(text, broken))), BAYS, ["k-0"])


def test_a_device_that_there_is_not_is_named(tmp_path):
    with pytest.raises(ScenarioError, match=r"s.yaml:18: no device 'dev-0': did you mean 'dev-1'"):
        check_devices(load(written(tmp_path, FULL)), ["dev-1"])


def test_visits_that_collide_are_refused(tmp_path):
    text = FULL.replace("visits:\n", "visits:\n  - {bay: bay-1, arrive_s: 20, leave_s: 45}\n")
    with pytest.raises(ScenarioError, match=r"s.yaml:11: bay-1 arrives at 50.0 s, within 15 s of the last leave"):
        check_places(load(written(tmp_path, text)), BAYS, ["k-0"])


def test_bays_of_one_street_that_lie_close_are_a_row():
    # Two points of the site of Bercy, 5.6 m apart by their latitudes and longitudes.
    near = [("a", 48.836054, 2.392222), ("b", 48.836010, 2.392256)]
    bays = [Bay(name, "taxi", "rue", local_m(lat, lon)) for name, lat, lon in near]
    (row,) = rows([*bays])
    assert abs(row.along_m["b"]) == pytest.approx(5.5, abs=0.2)
    assert [len(row.along_m) for row in rows([bays[0], Bay("b", "taxi", "other street", bays[1].position_m)])] == [1, 1]
    assert [len(row.along_m) for row in rows([Bay("a", "taxi"), Bay("b", "taxi")])] == [1, 1]
    long = [Bay(f"{i:02}", "taxi", "rue", (0.0, 6.0 * i)) for i in range(25)]
    assert all(max(row.along_m.values()) <= 60 for row in rows(long)) and sum(len(r.along_m) for r in rows(long)) == 25


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("never: {kind: console, text: oops}", "a console record has no 'text': "),
        ("never: {kind: boot, cause: poweron}", "no cause 'poweron': did you mean 'power-on'"),
    ],
)
def test_a_property_that_could_not_fail_is_refused(tmp_path, rule, message):
    path = written(tmp_path, f"name: x\nseed: 1\nearth_field_ut: [1, 2, 3]\nnoise_ut: 0\nproperties:\n  - {rule}\n")
    with pytest.raises(ScenarioError, match=message):
        load(path)
