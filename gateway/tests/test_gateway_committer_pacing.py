"""When groups are committed, and how many bytes that costs."""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from gateway_support import row

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed
from pave_gateway.core.rows import ReplayRow
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal, JournalReader
from pave_gateway.store.pacing import FULL, GATHER_S, HASTY_COMMITS, NOTHING_DUE, REST_MAX_S, RESTS, Pacing
from pave_gateway.store.threaded import ThreadedCommitter

INTERVAL_S = 0.2
ENOUGH = 8


def paced(arrivals_s: Iterable[float], pacing: Pacing, commit_s: float = 0.0) -> list[tuple[float, int]]:
    """Return (instant, groups) of each commit, of groups that arrive at these instants; a commit takes `commit_s`."""
    commits: list[tuple[float, int]] = []
    waiting, free_s, last_s = 0, 0.0, 0.0
    for now_s in [*arrivals_s, float("inf")]:
        begin_s = max(pacing.due_s, free_s, last_s)
        if waiting and begin_s < now_s:
            commits.append((begin_s, waiting))
            pacing.committing()
            waiting, free_s = 0, begin_s + commit_s
        if now_s < float("inf"):
            pacing.arrived(now_s)
            waiting, last_s = waiting + 1, now_s
    return commits


def poisson(per_s: float, count: int, seed: int = 1) -> list[float]:
    source, now_s, arrivals = random.Random(seed), 100.0, []
    for _ in range(count):
        now_s += source.expovariate(per_s)
        arrivals.append(now_s)
    return arrivals


def test_nothing_is_due_while_nothing_waits():
    pacing = Pacing(INTERVAL_S, ENOUGH)
    assert pacing.due_s == NOTHING_DUE
    pacing.arrived(1.0)
    pacing.committing()
    assert pacing.due_s == NOTHING_DUE


def test_a_group_that_comes_after_a_quiet_while_is_committed_at_once():
    assert paced([10.0, 20.0, 30.0], Pacing(INTERVAL_S, ENOUGH)) == [(10.0, 1), (20.0, 1), (30.0, 1)]


def test_a_group_soon_after_another_waits_for_the_interval_and_takes_along_what_comes():
    assert paced([10.0, 10.05, 10.1, 10.2, 10.3], Pacing(INTERVAL_S, ENOUGH)) == [
        (10.0, 1),
        (10.25, 3),
        (pytest.approx(10.5), 1),
    ]


def test_no_group_waits_longer_than_the_interval():
    pacing = Pacing(INTERVAL_S, ENOUGH)
    for now_s in poisson(20, 500):
        pacing.arrived(now_s)
        assert pacing.due_s - now_s <= INTERVAL_S + 1e-9
        if pacing.due_s <= now_s:
            pacing.committing()


def test_enough_groups_are_committed_at_once():
    arrivals = [10.0] + [10.01 + 0.001 * n for n in range(ENOUGH)]
    assert paced(arrivals, Pacing(INTERVAL_S, ENOUGH))[1] == (pytest.approx(10.01 + 0.001 * (ENOUGH - 1)), ENOUGH)


def test_an_urgent_group_is_committed_at_once_with_all_that_waits():
    pacing = Pacing(INTERVAL_S, ENOUGH)
    pacing.arrived(1.0)
    pacing.committing()
    pacing.arrived(1.05)
    assert pacing.due_s > 1.06
    pacing.arrived(1.06, urgent=True)
    assert pacing.due_s <= 1.06
    pacing.committing()
    pacing.arrived(1.07)
    assert pacing.due_s > 1.07


def test_a_patient_group_goes_with_the_next_of_a_device_and_holds_it_up_by_nothing():
    pacing = Pacing(INTERVAL_S, ENOUGH)
    pacing.arrived(1.0)
    pacing.committing()
    pacing.arrived(1.01, patient=True)
    assert pacing.due_s == pytest.approx(2.01)
    pacing.arrived(1.1)
    assert pacing.due_s == pytest.approx(1.3)
    pacing.committing()
    pacing.arrived(1.31, patient=True)
    pacing.arrived(3.0)  # comes alone, for a cursor is nobody's arrival
    assert pacing.due_s <= 3.0


def rested(commit_s: float) -> Pacing:
    """Return a pacing whose writer has ended a commit of that length at 1.0, with enough that waits already."""
    pacing = Pacing(INTERVAL_S, ENOUGH)
    pacing.committing()
    pacing.committed(1.0 - commit_s, 1.0)
    for _ in range(ENOUGH):
        pacing.arrived(1.0)
    return pacing


def gathered(pacing: Pacing, per_s: float, most: int = 100_000) -> tuple[float, int]:
    """Return when the writer begins, and with how many groups, if at most `most` come at an even pace from 1.0 on."""
    now_s, waiting = 1.0, ENOUGH
    while wait_s := pacing.gathers_s(now_s, waiting):
        now_s += wait_s
        waiting = min(ENOUGH + round((now_s - 1.0) * per_s), most)
    return now_s, waiting


def test_while_many_keep_coming_the_writer_rests_in_proportion_to_its_last_commit():
    began_s, waiting = gathered(rested(0.001), 10_000)
    assert began_s == pytest.approx(1.0 + RESTS * 0.001)
    assert waiting == ENOUGH + 10 * RESTS


def test_a_slow_disk_does_not_make_anyone_wait_longer_than_the_longest_rest():
    assert gathered(rested(0.5), 10_000)[0] == pytest.approx(1.0 + REST_MAX_S)


def test_when_nobody_else_comes_the_writer_begins_after_one_look():
    assert gathered(rested(0.1), 0) == (pytest.approx(1.0 + GATHER_S), ENOUGH)


def test_when_all_who_wait_have_come_the_writer_begins_long_before_its_rest_is_over():
    began_s, waiting = gathered(rested(0.1), 20_000, most=16)
    assert waiting == 16
    assert began_s < 1.0 + 0.25 * REST_MAX_S


def test_a_full_group_is_not_kept_waiting():
    assert gathered(rested(0.1), 1_000_000)[1] < 3 * FULL


def test_an_urgent_group_lets_nobody_rest_and_only_once():
    pacing = rested(0.1)
    pacing.arrived(1.0, urgent=True)
    assert pacing.gathers_s(1.0, ENOUGH + 1) == 0.0
    pacing.committing()
    pacing.committed(1.0, 1.1)
    assert pacing.gathers_s(1.1, ENOUGH) > 0.0


def test_at_17_readings_a_second_more_than_4_share_a_commit():
    commits = paced(poisson(17, 5000), Pacing(INTERVAL_S, ENOUGH))
    assert 5000 / len(commits) > 4


def test_under_load_nothing_waits_beyond_the_commit_before():
    """A thousand a second on a disk of 20 ms: 20 at a time, back to back."""
    commits = paced([10 + 0.001 * n for n in range(1000)], Pacing(INTERVAL_S, ENOUGH), commit_s=0.02)
    assert len(commits) >= 49
    assert all(groups <= 21 for _, groups in commits)


def test_a_device_that_sends_message_by_message_does_not_wait_each_time():
    """Its next message leaves 10 ms after the answer, so waiting never brings anybody else."""
    pacing, now_s, waited_s = Pacing(INTERVAL_S, ENOUGH), 10.0, 0.0
    for _ in range(100):
        pacing.arrived(now_s)
        due_s = max(now_s, pacing.due_s)
        waited_s += due_s - now_s
        pacing.committing()
        now_s = due_s + 0.01
    assert waited_s / INTERVAL_S <= 2 * (100 / HASTY_COMMITS + 1)


def test_haste_ends_when_others_come_too():
    alone = Pacing(INTERVAL_S, ENOUGH)
    for now_s in (10.0, 10.3, 10.6):  # two of them wait in vain
        alone.arrived(now_s)
        alone.committing()
    alone.arrived(10.9)
    assert alone.due_s <= 10.9
    commits = paced([11 + n * 0.05 for n in range(400)], alone)
    assert [groups for _, groups in commits[-21:-1]] == [pytest.approx(5, abs=1)] * 20


def test_an_interval_of_0_commits_everything_at_once():
    assert [groups for _, groups in paced(poisson(50, 200), Pacing(0, ENOUGH))] == [1] * 200


# The committers


async def test_the_writer_follows_the_pacing(tmp_path):
    committer = ThreadedCommitter(Journal(tmp_path / "j.sqlite"), interval_s=0.3)
    done_s: dict[int, float] = {}
    started_s = time.monotonic()
    for seq in range(3):
        committer.submit([row(seq=seq)], lambda _, seq=seq: done_s.update({seq: time.monotonic() - started_s}))
        await asyncio.sleep(0.1)
    while len(done_s) < 3:
        await asyncio.sleep(0.01)
    assert committer.transactions == 2
    assert done_s[0] < 0.3 < done_s[1]
    assert done_s[2] - done_s[1] < 0.1
    await committer.close(5)


async def test_an_urgent_group_wakes_a_writer_that_is_waiting(tmp_path):
    committer = ThreadedCommitter(Journal(tmp_path / "j.sqlite"), interval_s=30)
    outcomes: list[object] = []
    committer.submit([row(seq=1)], outcomes.append)
    await asyncio.sleep(0.1)
    committer.submit([row(seq=2)], outcomes.append)
    await asyncio.sleep(0.1)
    assert len(outcomes) == 1
    committer.submit([row(seq=3)], outcomes.append, urgent=True)
    async with asyncio.timeout(5):
        while len(outcomes) < 3:
            await asyncio.sleep(0.01)
    await committer.close(5)


async def test_closing_commits_what_waits_without_its_wait(tmp_path):
    committer = ThreadedCommitter(Journal(tmp_path / "j.sqlite"), interval_s=30)
    outcomes: list[object] = []
    for seq in range(3):
        committer.submit([row(seq=seq)], outcomes.append)
    started_s = time.monotonic()
    await committer.close(20)
    assert time.monotonic() - started_s < 10
    assert [type(outcome) for outcome in outcomes] == [Committed] * 3


async def test_the_inline_committer_completes_when_the_model_of_the_disk_says_so(tmp_path):
    journal, calls, outcomes = Journal(tmp_path / "j.sqlite"), [], []
    committer = InlineCommitter(journal, later=calls.append)
    committer.submit([row(seq=1)], outcomes.append)
    committer.submit([row(seq=2)], outcomes.append)
    assert (JournalReader(tmp_path / "j.sqlite").last_position(), outcomes) == (2, [])
    for call in calls:
        call()
    assert [outcome.stored[0].position for outcome in outcomes] == [1, 2]


def written_bytes() -> int:
    """Return what this process has sent towards the disk (proc(5), /proc/[pid]/io)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def test_a_reading_costs_less_than_2000_bytes_of_writes_at_17_a_second(tmp_path, monkeypatch):
    """The commits that pacing makes of 17 readings/s from 10,000 devices, snapshots and checkpoints included."""
    monkeypatch.setattr(
        limits, "SNAPSHOT_READINGS", limits.SNAPSHOT_READINGS // 20
    )  # 2 rounds here, not one in an hour
    journal = Journal(tmp_path / "j.sqlite")
    names = [f"24a160fffe{number:06x}" for number in range(500)]
    journal.write([[replace(row(name, 0), counter=0), ReplayRow(name, 0, 1)] for name in names])
    source, groups = random.Random(3), []
    for seq in range(1, 13):
        for name in source.sample(names, len(names)):
            item = replace(row(name, seq), counter=seq, read_ms=1_800_000_000_000, received_ms=1_800_000_000_000)
            groups.append([item, ReplayRow(name, seq, (2 << seq) - 1)])
    before = written_bytes()
    at = 0
    for _, size in paced(poisson(17, len(groups)), Pacing(INTERVAL_S, ENOUGH)):
        journal.write(groups[at : at + size])
        at += size
    each = (written_bytes() - before) / len(groups)
    if before == written_bytes():
        pytest.skip("this file system counts no writes (a RAM disk)")
    assert each < 2000
    assert len(JournalReader(tmp_path / "j.sqlite").after(0, 99999)) == len(groups) + len(names)
