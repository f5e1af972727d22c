"""What happens at a kiosk: people, mains, lid, PC."""

import itertools
from collections import Counter

from pave_emulator.scenario.calendar import DEFAULT_START, Calendar
from pave_emulator.scenario.model import People, Scenario
from pave_emulator.scenario.persons import Kiosk
from pave_emulator.scenario.world import Bay, Happening, World

HOUR_S, DAY_S = 3600.0, 86400.0


def world(people: People) -> World:
    return World(Scenario("test", 7, (20.9, 0.8, 43.7), 0.3, people=people), [Bay("bay-0", "taxi")], ["k-0", "k-1"])


def test_people_come_press_the_button_and_go():
    here = world(People(at_kiosk_per_day=300))
    seen = here.happenings(DAY_S)
    assert [one.t_s for one in seen] == sorted(one.t_s for one in seen)
    counts = Counter((one.place, one.what, one.on) for one in seen)
    for place in ("k-0", "k-1"):
        assert 240 < counts[place, "person", True] < 360
        assert abs(counts[place, "person", True] - counts[place, "person", False]) < 4  # some stand there at midnight
        assert 200 < counts[place, "press", True] < 600
    for one in seen[:200]:
        if one.what == "press" or one.on:
            assert here.kiosks[one.place].persons.present(one.t_s + 1e-3)
    assert counts["k-0", "person", True] != counts["k-1", "person", True]


def test_happenings_are_the_same_in_small_steps_and_in_one():
    at_once = world(People(at_kiosk_per_day=200)).happenings(DAY_S)
    here = world(People(at_kiosk_per_day=200))
    stepped: list[Happening] = []
    while (next_s := here.next_happening_s()) is not None and next_s <= DAY_S:
        stepped += here.happenings(next_s)
    assert stepped == at_once


def test_mains_lid_and_pc_change_by_steps_only():
    here = world(People())
    assert here.happenings(DAY_S) == []
    here.act("mains", {"place": "k-0", "on": False}, DAY_S + 10)
    here.act("lid", {"place": "k-1", "open": True}, DAY_S + 20)
    here.act("press", {"place": "k-1"}, DAY_S + 30)
    assert here.next_happening_s() == DAY_S + 10
    assert here.happenings(DAY_S + 60) == [
        Happening(DAY_S + 10, "k-0", "level", False, "mains"),
        Happening(DAY_S + 20, "k-1", "level", True, "lid"),
        Happening(DAY_S + 30, "k-1", "press"),
    ]


def test_the_pc_says_every_five_seconds_that_it_lives_until_it_does_not():
    here = world(People())
    kiosk, beats = here.kiosks["k-0"], []
    now_s = 0.0
    while now_s < 60:
        now_s = kiosk.next_heartbeat_s(now_s)
        beats.append(now_s)
    assert 12 <= len(beats) <= 13
    assert all(abs(b - a - 5) < 1e-9 for a, b in itertools.pairwise(beats))
    here.act("pc", {"place": "k-0", "alive": False}, 100)
    assert kiosk.next_heartbeat_s(101) is None
    here.act("pc", {"place": "k-0", "alive": True}, 200)
    here.act("mains", {"place": "k-0", "on": False}, 300)
    assert kiosk.next_heartbeat_s(201) is not None and kiosk.next_heartbeat_s(301) is None


def test_somebody_stands_on_a_bay_by_chance_or_by_a_step():
    here = world(People(on_bay_per_day=24))
    minutes = sum(bool(here.echoes("bay-0", minute * 60)) for minute in range(24 * 60))
    assert 3 < minutes < 60
    quiet = world(People())
    quiet.act("person", {"place": "bay-0", "s": 30.0}, 100)
    assert [bool(quiet.echoes("bay-0", t)) for t in (99, 100, 129, 130)] == [False, True, True, False]
    quiet.act("person", {"place": "k-0", "s": 30.0}, 100)
    assert [(one.t_s, one.on) for one in quiet.happenings(200)] == [(100, True), (130, False)]


def test_a_pc_beats_every_five_seconds_from_whatever_phase_and_never_stands_still():
    for number in range(200):
        kiosk = Kiosk(0.0, number, "k", Calendar(DEFAULT_START))
        now_s = 0.0
        for _ in range(500):
            due_s = kiosk.next_heartbeat_s(now_s)
            assert due_s is not None
            assert now_s == 0.0 or 4.99 < due_s - now_s < 5.01
            now_s = due_s
