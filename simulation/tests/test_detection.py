"""The evaluation of detectors: chips, truth and judgement without a VM; controls get the figures they deserve."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest

from benchmarks import _detection_sets, detection
from benchmarks import _detection_show as show
from benchmarks._detection_detectors import AlwaysVacant, FixedThreshold, Report, firmware, inverted
from benchmarks._detection_device import (
    BLIND,
    OCCUPIED,
    PERIOD_S,
    RADAR,
    SAMPLE,
    SLEEP,
    UT_PER_LSB,
    VACANT,
    Device,
    Log,
)
from benchmarks._detection_score import DAY_S, STUCK_S, Score, score
from benchmarks._detection_sets import EXAMPLES, SETS, Task, bays_of, play, scenarios_of, tasks, world_of
from benchmarks._detection_truth import BOUND_S, BRIEF_S, EITHER, TAMPERED_S, Truth, truth_of
from pave_emulator.chips.lis2mdl import Lis2mdl
from pave_emulator.scenario.load import load
from pave_emulator.scenario.model import Drift, Passers, People, Scenario, ScenarioError, Visit, Weather
from pave_emulator.scenario.steps import Step
from pave_emulator.scenario.world import Bay, World

EARTH = (20.9, 0.8, 43.7)
BAY = Bay("bay", "taxi", "rue", (0.0, 0.0))
HOUR_S = 3600.0
VISITS = (Visit("bay", 1000, 2000, manoeuvre="forward"), Visit("bay", 3000, 9000, "van", "reverse"))


def scenario(**sections) -> Scenario:
    return Scenario("test", 7, EARTH, 0.3, **{"visits": VISITS, **sections})


def lived(made: Scenario, make, until_s: float = 4 * HOUR_S) -> tuple[Log, Truth, World]:
    world = world_of(made, [BAY])
    return Device(world, "bay", make).run(until_s), truth_of(made, "bay", "taxi", until_s), world


def judged(
    truth: Truth, states: list[tuple[float, int]], until_s: float = 4 * HOUR_S, is_covered=lambda _s: False
) -> Score:
    return score(truth, Log(states=states), until_s, is_covered)


def outcomes(found: Score) -> list[str]:
    return [heard.outcome for heard in found.heard]


# Chips


@pytest.mark.parametrize("seed", range(4))
def test_an_interrupt_comes_at_the_sample_at_which_the_chip_raises_it(seed: int) -> None:
    made = Scenario("test", seed, EARTH, 0.3, passers=Passers(9000, (1.6, 4)), drift=Drift(0.05, 0.5, 3, 5))
    device = Device(World(made, [BAY]), "bay", AlwaysVacant)
    chip = Lis2mdl(World(made, [BAY]).environment("bay"))
    chip.power_on(0.0)
    chip.write(b"\xe0\x90\x09\x50", 0.0)  # as the sensor: 10 Hz, low power, offsets before the comparison, INT
    grid_s = chip._times.at_s(0) % PERIOD_S
    device._phase_s = grid_s
    world = device._world
    threshold, now_s, found = 20, 8 * HOUR_S, list[float]()
    for _ in range(25):
        x, y, z = (round(axis / UT_PER_LSB) for axis in world.field_ut("bay", now_s))
        watch = (x, y, z)
        _arm(chip, watch, threshold, now_s)
        expected_s = device.interrupt_s(now_s, watch, threshold, now_s + HOUR_S)
        while chip.pin_level("int") == 0 and (due_s := chip.next_event_s()) is not None and due_s < now_s + HOUR_S:
            chip.advance(due_s)
        assert expected_s is not None and chip.pin_level("int") == 1
        assert chip._sampled_at_s == pytest.approx(expected_s, abs=1e-6)
        found.append(expected_s - now_s)
        now_s = expected_s + 2.03
    assert max(found) > 10, "some of them were looked for over a while"


def _arm(chip: Lis2mdl, watch: tuple[int, int, int], threshold: int, now_s: float) -> None:
    chip.write(b"\x63\xe6", now_s)
    chip.write(b"\xc5" + b"".join(axis.to_bytes(2, "little", signed=True) for axis in watch), now_s)
    chip.write(b"\xe5" + threshold.to_bytes(2, "little"), now_s)
    chip.write(b"\x63\xe7", now_s)
    chip.write(b"\x64", now_s)
    chip.read(1, now_s)


class Asking:
    """Asks its radar once in each wake-up, then sleeps for 20 s."""

    answers: ClassVar[list[tuple[int, tuple[tuple[int, int], ...], bool]]] = []

    def __init__(self, state) -> None:
        self.next, self.watch, self.threshold, self.until_ms, self.reports = SAMPLE, None, 0, 0, []
        self.count = state or 0

    def woken(self, cause, now_ms) -> None:
        self.next = SAMPLE

    def sampled(self, field, celsius, now_ms) -> None:
        assert all(isinstance(axis, int) for axis in field) and -40 < celsius < 60
        self.next = RADAR

    def ranged(self, peaks, near_edge, now_ms) -> None:
        self.answers.append((now_ms, peaks, near_edge))
        self.next, self.until_ms, self.count = SLEEP, now_ms + 20_000, self.count + 1
        self.reports.append(Report(OCCUPIED if peaks else VACANT))

    def state(self):
        return self.count


def test_the_radar_answers_with_what_is_above_it_and_a_sleep_lasts_what_the_slow_clock_says() -> None:
    Asking.answers.clear()
    log, truth, world = lived(scenario(), Asking, 3 * HOUR_S)
    assert outcomes(score(truth, log, 3 * HOUR_S, lambda _s: False)).count("right") == 4
    with_peaks = [peaks for _, peaks, _ in Asking.answers if peaks]
    assert len(with_peaks) == pytest.approx(7000 / 20.5, rel=0.03)
    assert all(130 < peaks[0][0] < 310 and 5_000 < peaks[0][1] < 30_000 for peaks in with_peaks)
    assert len(log.asked_s) == len(Asking.answers) >= len(log.wakes) - 1
    device = Device(world, "bay", Asking)
    assert log.wakes[1][0] - log.asked_s[0] == pytest.approx(20 / device._clock, abs=0.01)
    assert 0.98 <= device._clock <= 1.02 and device._clock != 1


class Oracle:
    """Knows the truth, and says it two seconds later."""

    truth: Truth

    def __init__(self, state) -> None:
        self.next, self.watch, self.threshold, self.until_ms, self.reports = SLEEP, None, 0, 0, []
        self.said = state

    def woken(self, cause, now_ms) -> None:
        found = self.truth.at(now_ms / 1000 - 1)
        if found not in (EITHER, self.said):
            self.said = found
            self.reports.append(Report(found))
        self.until_ms = now_ms + 2000

    def sampled(self, field, celsius, now_ms) -> None:
        raise AssertionError("an oracle does not look")

    ranged = sampled

    def state(self):
        return self.said


def test_who_knows_the_truth_gets_all_of_it_right_and_its_delay_for_latency() -> None:
    made = scenario(people=People(on_bay_per_day=20), weather=Weather())
    world = world_of(made, [BAY])
    Oracle.truth, device = truth_of(made, "bay", "taxi", 4 * HOUR_S), Device(world, "bay", Oracle)
    device._clock = 1.0
    total = show.summed([score(Oracle.truth, device.run(4 * HOUR_S), 4 * HOUR_S, lambda _s: False)])
    assert total.right_pct() == 100 and len(total.heard) == 4
    assert 0.5 < total.latency_s()[0] < 4
    assert total.false == Counter() and total.stuck == 0 and total.wrong_time_pct() < 0.2


# Truth


def test_an_event_may_be_said_while_it_is_under_way_and_must_be_when_it_is_due() -> None:
    arrival, departure, *_ = truth_of(scenario(), "bay", "taxi", HOUR_S).events
    assert (arrival.begin_s, arrival.t_s, arrival.due_s) == (994, 1000, 1000 + BOUND_S)
    assert departure.begin_s == 1995 and 1995 < departure.t_s < 2000  # off the sensor before it is out of sight
    assert departure.due_s == departure.t_s + BOUND_S and not departure.occupied
    truth = truth_of(scenario(), "bay", "taxi", HOUR_S)
    assert [truth.at(at_s) for at_s in (500, 997, 1500, 1996, 2500)] == [VACANT, EITHER, OCCUPIED, EITHER, VACANT]


def test_what_is_brief_need_not_be_said_nor_what_ends_it() -> None:
    second_s = 2000 + BRIEF_S - 6
    visits = (Visit("bay", 1000, 2000, manoeuvre="rank"), Visit("bay", second_s, 9000, manoeuvre="rank"))
    events = truth_of(scenario(visits=visits), "bay", "taxi", 4 * HOUR_S).events
    assert [event.scored for event in events] == [True, False, False, True]


def test_a_two_wheeler_need_not_be_seen_and_has_gone_afterwards() -> None:
    truth = truth_of(scenario(visits=(Visit("bay", 1000, 2000, "two-wheeler"),)), "bay", "taxi", HOUR_S)
    assert not any(event.scored for event in truth.events)
    assert (truth.at(1500), truth.at(2500)) == (EITHER, VACANT)


def test_a_sensor_with_a_magnet_or_out_of_its_place_is_judged_by_its_alarm_alone() -> None:
    steps = (
        Step("on", "shift_field", {"bay": "bay", "x_ut": 300.0, "y_ut": 0.0, "z_ut": 0.0}, 1500),
        Step("off", "shift_field", {"bay": "bay", "x_ut": -300.0, "y_ut": 0.0, "z_ut": 0.0}, 1600),
        Step("plate", "shift_field", {"bay": "bay", "x_ut": 9.0, "y_ut": 0.0, "z_ut": 0.0}, 2300),
        Step("tilt", "turn", {"bay": "bay", "yaw_deg": 0.0, "tilt_deg": 40.0}, 5000),
    )
    truth = truth_of(scenario(steps=steps), "bay", "taxi", 4 * HOUR_S)
    assert truth.tampered_s == (1500, 5000)
    assert [truth.at(s) for s in (1400, 1550, 1600 + TAMPERED_S - 1, 1600 + TAMPERED_S + 1, 5001, 5700)] == [
        OCCUPIED, EITHER, EITHER, VACANT, EITHER, OCCUPIED,
    ]  # fmt: skip
    assert [event.occupied for event in truth.events] == [True, True, False]  # the departure at 2000 is left out
    log = Log(states=[(1.0, VACANT)], alarms=[(1510.0, "magnet"), (7000.0, "tilt")])
    assert score(truth, log, 4 * HOUR_S, lambda _s: False).alarms == (2, 1, 1)


# Judgement

TRUTH = truth_of(scenario(), "bay", "taxi", 4 * HOUR_S)  # 1000 to 2000, 3000 to 9000
LEFT_S = TRUTH.events[1].t_s


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([(0, VACANT), (1004, OCCUPIED), (LEFT_S + 3, VACANT)], ["right", "right"]),
        ([(0, VACANT), (1040, OCCUPIED), (LEFT_S + 31, VACANT)], ["late", "late"]),
        ([(0, VACANT)], ["missed", "stale"]),
        ([(0, OCCUPIED)], ["stale", "missed"]),
        ([(0, VACANT), (990, OCCUPIED)], ["stale", "missed"]),  # said before there was anything to say
        ([(0, VACANT), (1004, OCCUPIED), (1010, VACANT)], ["missed", "stale"]),
        ([(0, VACANT), (1004, BLIND), (LEFT_S + 1, VACANT)], ["blind", "right"]),
        ([(0, VACANT), (1001, OCCUPIED), (1002, VACANT), (1009, OCCUPIED), (LEFT_S, VACANT)], ["right", "right"]),
    ],
)
def test_each_way_to_say_or_not_to_say_an_event_has_its_outcome(said, expected) -> None:
    found = judged(TRUTH, [(float(at_s), state) for at_s, state in said])
    assert outcomes(found)[:2] == expected


def test_the_latency_is_that_of_the_word_that_stood() -> None:
    said = [(0.0, VACANT), (1001.0, OCCUPIED), (1002.0, VACANT), (1009.0, OCCUPIED), (LEFT_S - 1, VACANT)]
    first, second, *_ = judged(TRUTH, said).heard
    assert first.latency_s == 9 and second.latency_s == 0


def test_blind_is_excused_while_the_radar_is_covered_and_counts_for_neither_side() -> None:
    said = [(0.0, VACANT), (1004.0, BLIND), (LEFT_S + 1, VACANT), (3001.0, OCCUPIED), (9001.0, VACANT)]
    found = judged(TRUTH, said, is_covered=lambda now_s: now_s < 1500)
    assert outcomes(found) == ["excused", "right", "right", "right"]
    assert show.summed([found]).right_pct() == 100 and show.summed([found]).blind_time_pct() > 5


def test_a_change_to_what_is_not_so_is_false_and_a_wrong_state_that_lasts_is_stuck() -> None:
    passing = judged(TRUTH, [(0.0, VACANT), (500.0, OCCUPIED), (510.0, VACANT), (1001.0, OCCUPIED), (2001.0, VACANT)])
    assert passing.false == {OCCUPIED: 1} and passing.longest_wrong_s > STUCK_S and passing.stuck == 1
    found = judged(TRUTH, [(0.0, VACANT), (1001.0, OCCUPIED), (2001.0, VACANT), (3001.0, OCCUPIED), (9001.0, VACANT)])
    assert found.stuck == 0 and found.longest_wrong_s < 10 and not found.false


def test_a_bay_that_hears_nothing_of_four_events_in_a_row_is_stuck_though_no_wrong_state_lasts() -> None:
    visits = tuple(Visit("bay", 1000.0 * n, 1000.0 * n + 500) for n in range(1, 9))
    truth = truth_of(scenario(visits=visits), "bay", "taxi", 4 * HOUR_S)
    found = judged(truth, [(0.0, VACANT)])
    assert found.longest_wrong_s < STUCK_S and found.stuck == 1


# Controls


def test_one_that_always_says_vacant_gets_nothing_right() -> None:
    log, truth, _ = lived(scenario(), AlwaysVacant)
    total = show.summed([score(truth, log, 4 * HOUR_S, lambda _s: False)])
    assert total.right_pct() == 0 and total.false == Counter()
    assert Counter(heard.outcome for heard in total.heard) == {"missed": 2, "stale": 2}
    assert total.wrong_time_pct() == pytest.approx(100 * 7000 / (4 * HOUR_S), rel=0.01)
    assert total.stuck > 0 and total.wakes.total() == 1


def test_one_with_its_output_turned_round_is_wrong_where_the_other_is_right() -> None:
    log, truth, _ = lived(scenario(), FixedThreshold)
    straight = show.summed([score(truth, log, 4 * HOUR_S, lambda _s: False)])
    other = show.summed([score(truth, inverted(log), 4 * HOUR_S, lambda _s: False)])
    assert straight.right_pct() == 100 and straight.latency_s()[0] < 3
    assert other.right_pct() == 0 and other.wrong_time_pct() > 99 and sum(other.false.values()) >= 2


def test_the_firmwares_detector_runs_in_it_and_sees_cars_that_stand() -> None:
    log, truth, _ = lived(scenario(passers=Passers(2000)), firmware)
    found = score(truth, log, 4 * HOUR_S, lambda _s: False)
    assert outcomes(found).count("right") >= 3
    assert found.wakes["of an event"] >= 3 and found.wakes["timer"] >= 2


# Sets


@pytest.mark.parametrize("name", SETS)
def test_each_set_can_be_played_and_names_bays_that_it_has(name: str) -> None:
    folder = EXAMPLES / name
    bays, seeds = bays_of(folder), set()
    assert {bay.kind for bay in bays} == {"delivery", "taxi", "disabled"}
    for path in scenarios_of(folder):
        made = load(path)
        world_of(made, bays)
        seeds.add(made.seed)
        for bay in bays:
            truth = truth_of(made, bay.id, bay.kind, DAY_S)
            assert sum(event.scored for event in truth.events) >= 3, f"{path.stem}: {bay.id}"
            assert list(truth.spans) == sorted(truth.spans, key=lambda span: span[0])
    assert len(seeds) == len(scenarios_of(folder)) >= 5


def test_the_sets_share_no_seed_no_field_and_no_order_of_bays() -> None:
    evaluation, tuning = ([load(path) for path in scenarios_of(EXAMPLES / name)] for name in SETS)
    assert not {one.seed for one in evaluation} & {one.seed for one in tuning}
    assert not {one.earth_field_ut for one in evaluation} & {one.earth_field_ut for one in tuning}
    assert not {bay.id for bay in bays_of(EXAMPLES / "evaluation")} & {bay.id for bay in bays_of(EXAMPLES / "tuning")}


def test_the_evaluation_has_what_the_readme_says(tmp_path: Path) -> None:
    folder = EXAMPLES / "evaluation"
    assert (
        f"{len(scenarios_of(folder))} disturbances, {len(bays_of(folder))} bays" in (folder / "README.md").read_text()
    )


def test_a_step_that_waits_for_an_event_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bays.toml").write_text((EXAMPLES / "tuning" / "bays.toml").read_text())
    path = tmp_path / "late.yaml"
    text = (EXAMPLES / "tuning" / "calm.yaml").read_text()
    path.write_text(f"{text}\nsteps:\n  - {{after: {{arrives: any}}, do: {{leaves: {{on: true}}}}}}\n")
    with pytest.raises(ScenarioError, match=r"late.yaml:\d+: an evaluation has steps of the world at given times"):
        play(Task(path, "t-1", "always vacant", 0.1))


def test_a_run_prints_its_tables_and_gives_the_figures_and_the_goals(capsys, tmp_path: Path) -> None:
    wanted = tasks(EXAMPLES / "tuning", ["firmware", "fixed threshold", "always vacant"], 0.4, "calm")
    results = detection.run(random.Random(1).sample(wanted, len(wanted)), jobs=1)
    figures = detection.report(results)
    said = capsys.readouterr().out
    assert "by disturbance" in said and "disabled" in said
    assert set(figures) == {"firmware", "fixed threshold", "always vacant", "inverted"}
    assert figures["always vacant"]["right_pct"] == 0 and figures["firmware"]["right_pct"] > 50
    assert figures["firmware"]["bay_days"] == pytest.approx(4 * 0.4)
    assert figures["inverted"]["right_pct"] < figures["fixed threshold"]["right_pct"]
    goals = detection.verdicts(figures, 0.4)
    assert len(goals) == 4 and not goals["no stuck bay over 30 days"], "four tenths of a day do not prove it"


def test_a_result_that_was_kept_is_not_played_again_and_one_of_another_set_is_played(
    monkeypatch, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(EXAMPLES / "tuning", folder)
    wanted = tasks(folder, ["always vacant"], 0.05, "calm")[:2]
    played = detection.run(wanted, 1, tmp_path / "kept")
    with monkeypatch.context() as patched:
        patched.setattr(_detection_sets, "play", lambda task: pytest.fail(f"{task} was played again"))
        assert detection.run(wanted, 1, tmp_path / "kept") == played
    (folder / "bays.toml").write_text((folder / "bays.toml").read_text() + "\n")
    _detection_sets._digest.cache_clear()
    detection.run(wanted, 1, tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 4
