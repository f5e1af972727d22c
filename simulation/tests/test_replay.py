"""What was recorded of the devices' traffic, sent again to the production gateway in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation import replay

CLEAN = {"sent": 80, "refused": 80, "challenged": 0, "admitted": 0, "answers": 0, "fresh": 4, "echoes": 0}


async def test_a_killed_gateway_admits_nothing_again_and_one_whose_windows_begin_fresh_does(tmp_path: Path) -> None:
    report = await replay.campaign(tmp_path, 60, 4, 1, ("killed", "forgetful"))
    killed, forgetful = report["cases"]["killed"], report["cases"]["forgetful"]
    assert killed["passed"] and killed["sent"] >= 200, report
    assert forgetful["admitted"] > 60 and not forgetful["passed"] and not report["passed"], report


@pytest.mark.parametrize(
    "fault",
    [
        {"admitted": 1}, {"answers": 1}, {"refused": 79}, {"sent": 0, "refused": 0}, {"fresh": 3}, {"echoes": 1},
        {"refused": 79, "challenged": 1, "answers": 1}, {"followed": 1},
    ],
)  # fmt: skip
def test_every_way_to_fail_is_seen(fault: dict[str, int]) -> None:
    assert replay.Case(**CLEAN).passed(4, 0, 0)
    assert not replay.Case(**(CLEAN | fault)).passed(4, 0, 0)


@pytest.mark.long
async def test_none_of_a_hundred_thousand_frames_is_admitted_by_any_gateway(tmp_path: Path) -> None:
    report = await replay.campaign(tmp_path, 100_000, 50, 8613, replay.HONEST)
    assert report["passed"] and report["frames"] >= 100_000 and report["admitted"] == 0, report
