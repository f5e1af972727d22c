"""The properties of a week, each with something that breaks it; and an hour and a half of a few devices as a whole."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pave_emulator.scenario import load
from pave_gateway.core.rows import ReadingRow
from pave_gateway.store.journal import Journal
from pave_wire.event import REBUILT
from simulation import week
from simulation.virtual import ROOT
from simulation.week_properties import (
    RECOVERY_S,
    STILL_S,
    STUCK_S,
    UNHEARD_S,
    Evidence,
    Looks,
    Outage,
    Panels,
    holes,
    judge,
)

OUTAGE = Outage(10_000.0, 11_000.0)
EUI = "24a160fffe000101"
FRESH, AGED, DARK = b"fresh", b"aged", b"dark"
SHORT = """\
name: A gateway away
seed: 3
start: 2026-11-23T09:00
earth_field_ut: [20.9, 0.8, 43.7]
noise_ut: 0.3
visits:
  - {bay: bercy-l-01, arrive_s: 400, leave_s: 1500}
  - {bay: bercy-l-02, arrive_s: 500}
steps:
  - {name: gateway off, at_s: 900, do: {gateway_outage: {s: 300}}}
"""


def sound() -> Evidence:
    """A week in which all is well."""
    looks, panels = Looks([OUTAGE]), Panels([OUTAGE], [DARK])
    for n in range(1000):
        looks.look(n * 30.0, "b1", True, 0.0, True)
        aged = OUTAGE.from_s + 30 < n * 30.0 < OUTAGE.to_s
        panels.look(n * 30.0, "k1", AGED if aged else FRESH)
    looks.end()
    return Evidence(looks, panels, [("d1", 5, 0), ("d1", 5, 1), ("d1", 6, 0)], years={"b1": 11.0})


def _row(seq: int, reason: str) -> ReadingRow:
    return ReadingRow(EUI, 5, seq, "presence", 1000, 1000, {"occupied": True, "reason": reason})


def broken(seen: Evidence) -> list[str]:
    return [verdict.name for verdict in judge(seen) if not verdict.holds]


def test_a_sound_week_holds() -> None:
    assert broken(sound()) == []


def _lose(seen: Evidence) -> None:
    seen.identities.append(("d1", 6, 2))


def _repeat(seen: Evidence) -> None:
    seen.identities.append(("d1", 5, 1))


def _offend(seen: Evidence) -> None:
    seen.violations["b1", "duty_cycle"] = 1


def _waste(seen: Evidence) -> None:
    seen.years["b2"] = 9.9


def _crash(seen: Evidence) -> None:
    seen.crashes.append("k1: an exception")


def _freeze(seen: Evidence) -> None:
    seen.panels.look(OUTAGE.from_s - 1, "k1", FRESH)
    seen.panels.look(OUTAGE.from_s + UNHEARD_S, "k1", FRESH)


def _stick(seen: Evidence) -> None:
    for n in range(int(STUCK_S / 30) + 2):
        seen.looks.look(50_000.0 + n * 30, "b2", True, 0.0, False)
    seen.looks.look(60_000.0, "b2", True, 0.0, True)
    seen.looks.judged += 100_000  # the share alone would pass
    seen.looks.end()


def _leave_wrong(seen: Evidence) -> None:
    seen.looks.look(50_000.0, "b2", False, 0.0, None)
    seen.looks.judged += 100_000
    seen.looks.end()


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (_lose, "lost"), (_repeat, "twice"), (_offend, "duty"), (_waste, "energy"), (_crash, "crashes"),
        (_freeze, "fresh"), (_stick, "right"), (_leave_wrong, "right"),
    ],
)  # fmt: skip
def test_what_is_wrong_breaks_its_property_and_no_other(spoil: Callable[[Evidence], None], name: str) -> None:
    seen = sound()
    spoil(seen)
    assert broken(seen) == [name]


def test_more_wrong_looks_than_the_goal_allows_break_it_however_short_each_was() -> None:
    looks = Looks([])
    for n in range(1000):
        looks.look(n * 30.0, "b1", True, -STILL_S, n % 100 != 0)
    assert looks.wrong == 10 and max(looks.longest_s.values()) == 0
    assert "right" in broken(Evidence(looks, Panels([])))


def test_a_bay_is_not_asked_while_it_settles_nor_until_an_outage_is_recovered_from() -> None:
    looks = Looks([OUTAGE, Outage(90_000.0, 90_060.0, "b2")])
    looks.look(1000.0, "b1", True, 1000.0 - STILL_S + 1, False)
    looks.look(OUTAGE.to_s + RECOVERY_S - 1, "b1", True, 0.0, False)
    looks.look(90_100.0, "b2", True, 0.0, False)
    assert looks.judged == 0
    looks.look(90_100.0, "b1", True, 0.0, True)
    looks.look(OUTAGE.to_s + RECOVERY_S, "b1", True, 0.0, True)
    assert looks.judged == 2


def test_an_epoch_of_which_nothing_came_and_a_first_reading_that_is_missing_are_holes() -> None:
    assert holes([("d", 5, 0), ("d", 7, 0)]) == ["d epoch 6: nothing of it"]
    assert holes([("d", 5, 1), ("d", 5, 4)]) == ["d epoch 5: 3 of 5, first seq 0"]
    assert holes([("d", 5, 0), ("e", 9, 0)]) == []


def test_what_was_not_put_to_the_test_does_not_hold() -> None:
    assert broken(Evidence(Looks([]), Panels([]))) == ["right", "lost", "twice", "duty", "energy", "crashes", "fresh"]


def test_the_week_takes_away_each_thing_once() -> None:
    steps = load.load(week.SCENARIO).steps
    assert [outage.device for outage in week.outages(steps)] == ["", "bercy-l-05", "", "bercy-d-06", "", "bercy-t-07"]
    assert len(week.unheard(steps)) == 2


def test_a_reading_that_the_gateway_rebuilt_is_not_received_until_it_comes(tmp_path: Path) -> None:
    rows = [_row(0, "boot"), _row(1, REBUILT), _row(2, "field"), _row(3, REBUILT), _row(3, "field")]
    path = tmp_path / "journal.db"
    with closing(Journal(path)) as journal:
        journal.write([rows])
    assert week.received(path) == ([(EUI, 5, 0), (EUI, 5, 2), (EUI, 5, 3)], [])


@pytest.mark.long
def test_an_hour_and_a_half_of_two_sensors_and_a_kiosk_holds_but_for_what_their_power_on_costs(tmp_path: Path) -> None:
    scenario = tmp_path / "short.yaml"
    scenario.write_text(SHORT)
    limits = ["--days", "0.02", "--sensors", "2", "--kiosks", "1", "--scenario", str(scenario)]
    command = [sys.executable, "-m", "simulation.week", *limits]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    said = json.loads(ran.stdout.splitlines()[-1])
    held = {name for name, holds in said["properties"].items() if holds}
    assert held >= {"right", "lost", "twice", "duty", "crashes", "fresh"}, ran.stdout
    assert said["changes"] == 3 and said["over_lorawan"] == 2
    assert ran.returncode == (0 if said["holds"] else 1)
