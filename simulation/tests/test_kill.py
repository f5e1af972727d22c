"""SIGKILL at random moments, on the whole chain; and the proof that this test can fail."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from simulation.chain import Plan
from simulation.demo import EXAMPLE
from simulation.kill import EAGER_DRAIN_S, EAGER_GATEWAY, campaign

pytestmark = pytest.mark.alone  # a whole site at wall clock

KILLS = 4
FOR_S = 14


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(EXAMPLE / "site.toml", EXAMPLE / "scenarios" / "rush.yaml", tmp_path / "run")


async def test_no_acknowledged_reading_is_lost_when_the_gateway_is_killed_at_random_moments(plan: Plan) -> None:
    seed = random.randrange(1 << 32)
    outcome = await campaign(plan, KILLS, FOR_S, seed)
    settled = outcome.settled
    assert outcome.kills == KILLS and outcome.acknowledged > 60, f"seed {seed}: {outcome}"
    assert settled.balanced, f"seed {seed}: {outcome}"


async def test_a_gateway_that_acknowledges_before_it_commits_is_seen_to_lose(plan: Plan) -> None:
    outcome = await campaign(replace(plan, gateway=EAGER_GATEWAY), KILLS, FOR_S, seed=1, drain_s=EAGER_DRAIN_S)
    assert outcome.settled.missing_stored, "the negative control lost nothing: the kill test proves nothing"
