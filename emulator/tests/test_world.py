"""The street: vehicles, truth, and scenario files."""

import itertools
import math
import statistics
from dataclasses import replace

import pytest
from dipole import dipole_ut

from pave_emulator.scenario.load import ScenarioError, load
from pave_emulator.scenario.world import Bay, World

SCENARIO = """\
name: test
seed: 7
earth_field_ut: [20.9, 0.6, 42.9]
noise_ut: 0.3
traffic:
  - kind: delivery
    gap_s: 20
    stay_s: 15
    min_s: 4
visits:
  - {bay: bay-0, arrive_s: 5, leave_s: 12}
"""
BAYS = [Bay("bay-0", "delivery"), Bay("bay-1", "delivery"), Bay("bay-2", "delivery"), Bay("bay-3", "taxi")]
EARTH = (20.9, 0.6, 42.9)


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "street.yaml"
    path.write_text(SCENARIO)
    return load(path)


def deviation_ut(world: World, place: str, now_s: float) -> float:
    return math.dist(world.field_ut(place, now_s), EARTH)


def test_the_field_of_a_dipole_is_that_of_the_textbook():
    # On the axis mu0/4pi 2m/r3, on the equator half of it and opposed.
    assert dipole_ut((0, 0, 100), (0, 0, 2)) == pytest.approx((0, 0, 2.5))
    assert dipole_ut((0, 0, 100), (2, 0, 0)) == pytest.approx((0, 0, -1.25))


def test_a_vehicle_changes_the_field_while_it_stands_and_not_before_or_after(scenario):
    world = World(scenario, BAYS)
    times_s = [0.0, 3.4, 5.0, 8.0, 10.5, 12.0, 30.0]
    seen = [deviation_ut(world, "bay-0", t) for t in times_s]
    assert seen[0] == seen[1] == seen[6] == 0
    assert 10 < seen[2] < 60
    assert seen[2] == pytest.approx(seen[3]) == pytest.approx(seen[4])
    assert seen[5] < 0.2


def test_the_approach_is_smooth(scenario):
    world = World(scenario, BAYS)
    steps = [deviation_ut(world, "bay-0", 3 + i / 100) for i in range(250)]
    assert max(abs(b - a) for a, b in itertools.pairwise(steps)) < 3


def test_every_vehicle_of_many_changes_the_field_by_ten_to_sixty_microtesla(scenario):
    world = World(scenario, BAYS)
    arrivals = [change for change in world.advance(4000.0) if change.occupied and change.bay == "bay-1"]
    assert len(arrivals) > 20
    for change in arrivals:
        assert 10 < deviation_ut(world, "bay-1", change.t_s + 0.1) < 60


def test_truth_is_in_order_and_alternates_on_each_bay(scenario):
    world = World(scenario, BAYS)
    changes = world.advance(50.0) + world.advance(500.0)
    assert [c.t_s for c in changes] == sorted(c.t_s for c in changes)
    for bay in ("bay-0", "bay-1", "bay-2"):
        own = [c for c in changes if c.bay == bay]
        assert [c.n for c in own] == list(range(1, len(own) + 1))
        assert [c.occupied for c in own] == [i % 2 == 0 for i in range(len(own))]
        gaps = [b.t_s - a.t_s for a, b in itertools.pairwise(own)]
        assert min(gaps) >= 4
    assert len([c for c in changes if c.bay == "bay-1"]) > 10


def test_scripted_visits_are_exact_and_other_kinds_have_no_traffic(scenario):
    changes = World(scenario, BAYS).advance(1000.0)
    assert [(c.t_s, c.occupied) for c in changes if c.bay == "bay-0"] == [(5.0, True), (12.0, False)]
    assert not [c for c in changes if c.bay == "bay-3"]


def test_the_same_seed_gives_the_same_truth_whatever_the_order_of_bays_and_another_seed_another(scenario, tmp_path):
    one = World(scenario, BAYS).advance(300.0)
    assert World(scenario, BAYS[::-1]).advance(300.0) == one
    other = load(tmp_path / "street.yaml", seed=8)
    assert World(other, BAYS).advance(300.0) != one


def test_a_sensors_noise_is_its_own_and_repeats_with_the_seed(scenario):
    first, again = (World(scenario, BAYS).sensor("bay-3") for _ in range(2))
    times_s = [i / 10 for i in range(3000)]
    values = [first(t) for t in times_s]
    assert values == [again(t) for t in times_s]
    other = World(scenario, [*BAYS, Bay("bay-4", "taxi")]).sensor("bay-4")
    assert values != [other(t) for t in times_s]
    for axis in range(3):
        noise = [value[axis] - EARTH[axis] for value in values]
        assert statistics.fmean(noise) == pytest.approx(0, abs=0.02)
        assert statistics.pstdev(noise) == pytest.approx(0.3, rel=0.05)
        assert statistics.correlation(noise[1:], noise[:-1]) == pytest.approx(0, abs=0.06)


def test_a_sample_that_nobody_took_changes_no_other(scenario):
    every = World(scenario, BAYS).sensor("bay-1")
    some = World(scenario, BAYS).sensor("bay-1")
    taken = {i: every(i / 10) for i in range(2000)}
    assert all(some(i / 10) == taken[i] for i in range(1999, 0, -37))


@pytest.mark.parametrize("stop_s", [3.0, 4.0, 11.0, 8.0])
def test_when_traffic_stops_movements_under_way_finish_and_none_begins(scenario, stop_s):
    world = World(scenario, BAYS[:1])
    given = world.advance(stop_s)
    world.stop_traffic(stop_s)
    given += world.advance(100.0)
    assert world.next_change_s() is None
    expected = [t for t in (5.0, 12.0) if t - 1.5 <= stop_s]
    assert [c.t_s for c in given] == expected
    occupied = len(expected) == 1
    assert (deviation_ut(world, "bay-0", 100.0) > 10) == occupied


@pytest.mark.parametrize(
    ("line", "broken", "message"),
    [
        ("seed: 7", "sede: 7", r"street.yaml:2: unknown key 'sede': did you mean 'seed'\?"),
        ("gap_s: 20", "gap_s: soon", r"street.yaml:7: 'soon' is not a number"),
        ("stay_s: 15", "stay: 15", r"street.yaml:8: unknown key 'stay': did you mean 'stay_s'\?"),
        ("leave_s: 12", "leave_s: 6", r"street.yaml:11: leave_s 6.0 is not 3.0 s or more after arrive_s 5.0"),
        ("name: test\n", "", r"street.yaml:1: 'name' is missing"),
        ("[20.9, 0.6, 42.9]", "[20.9, 0.6]", r"street.yaml:3: 2 numbers where 3 are expected"),
    ],
)
def test_a_bad_scenario_gets_file_line_and_nearest_key(tmp_path, line, broken, message):
    path = tmp_path / "street.yaml"
    path.write_text(SCENARIO.replace(line, broken))
    with pytest.raises(ScenarioError, match=message):
        load(path)


def test_a_visit_to_an_unknown_bay_names_the_nearest(scenario):
    with pytest.raises(ScenarioError, match="no bay 'bay-0': did you mean 'bay-9'"):
        World(scenario, [Bay("bay-9", "taxi")])


def test_traffic_of_a_kind_that_no_bay_has_is_refused(scenario):
    with pytest.raises(ScenarioError, match=r"no bay of kind 'delivery': did you mean 'deliveries'"):
        World(replace(scenario, visits=()), [Bay("bay-1", "deliveries")])
