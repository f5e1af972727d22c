"""A gateway's disk is lost, and another one takes up with what was elsewhere; and the proof that the drill can fail."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from simulation.chain import Plan
from simulation.demo import EXAMPLE
from simulation.replacement import BACKUP, NOTHING, RECORDS, Outcome, drill

pytestmark = pytest.mark.alone  # a whole site at wall clock

FEW = ("bercy-l-01", "bercy-t-01", "bercy-d-01")
FOR_S, HEARTBEAT_S = 2, 3
TIMEOUTS_S = {BACKUP: 60, RECORDS: 60, NOTHING: 8}


def few_bays(folder: Path) -> Path:
    """Return the site file of the example with no more than these bays."""
    tables = re.split(r"(?m)^(?=\[\[)", (EXAMPLE / "site.toml").read_text())
    kept = [
        table
        for table in tables
        if not table.startswith(("[[bay]]", "[[kiosk]]")) or any(f'"{name}"' in table for name in FEW)
    ]
    path = folder / "few.toml"
    path.write_text("".join(kept))
    return path


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What came of each drill; they run side by side, as most of the time each waits."""
    folder = tmp_path_factory.mktemp("drills")
    plan = Plan(few_bays(folder), EXAMPLE / "scenarios" / "rush.yaml", folder, heartbeat_s=HEARTBEAT_S)

    async def run() -> list[Outcome]:
        places = {back: replace(plan, work_dir=folder / back) for back in TIMEOUTS_S}
        return await asyncio.gather(*(drill(places[back], back, FOR_S, TIMEOUTS_S[back]) for back in TIMEOUTS_S))

    return {outcome.back: outcome for outcome in asyncio.run(run())}


@pytest.mark.parametrize("back", [BACKUP, RECORDS])
def test_a_new_gateway_takes_up_devices_that_nobody_touched(outcomes: dict[str, Outcome], back: str) -> None:
    outcome = outcomes[back]
    assert outcome.passed, outcome
    assert outcome.devices == outcome.challenged == len(FEW) and outcome.new >= 2 * len(FEW)
    assert (outcome.restored > 0) is (back == BACKUP)


def test_a_gateway_without_records_takes_up_nobody_and_the_drill_says_so(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[NOTHING]
    assert outcome.all_s is None and outcome.new == 0 and not outcome.passed
