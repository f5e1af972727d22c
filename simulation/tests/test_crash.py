"""The crash campaign in its short form, its negative controls, and its disk that loses power."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.crash import campaign, kills, power
from simulation.crash.power_vfs import SECTOR_BYTES, Delete, Disk, Sync, Write

SEED = random.SystemRandom().randrange(1 << 32)


@pytest.fixture
def folder() -> Iterator[Path]:
    with campaign.folder_in_memory() as name:
        yield Path(name)


def test_no_promise_is_broken_by_kills_or_power_cuts(folder: Path) -> None:
    found = campaign.run(folder, campaign.SHORT, SEED, print)
    assert (found["broken"], found["blind"]) == ([], []), found
    assert found["crashes"] > 60 and found["acknowledged"] > 150, found


@pytest.mark.long
def test_no_promise_is_broken_in_the_long_campaign(folder: Path) -> None:
    found = campaign.run(folder, campaign.LONG, SEED, print)
    assert (found["broken"], found["blind"]) == ([], []), found
    assert found["acknowledged"] >= 1_000_000, found


def test_an_answer_before_the_commit_is_seen_at_the_writes_of_a_killed_writer(folder: Path) -> None:
    assert kills.every_sync(folder, SEED, 1, power.early, writes=True, first=380).broken  # before, it opens the file


# The disk


def test_what_was_synced_survives_every_power_cut() -> None:
    disk = Disk()
    disk.run([Write("", 0, b"a" * 2000), Sync(""), Write("", 0, b"b" * 100), Write("-wal", 0, b"c")])
    for seed in range(50):
        assert disk.image(random.Random(seed), 0.5)[""][100:] == b"a" * 1900


def test_what_was_not_synced_is_there_or_not_or_torn_within_sectors() -> None:
    disk = Disk()
    disk.run([Write("", 0, b"a" * 4096), Sync(""), Write("", 100, b"b" * 2000)])
    images = {disk.image(random.Random(seed), 0.5)[""] for seed in range(200)}
    assert b"a" * 4096 in images
    assert b"a" * 100 + b"b" * 2000 + b"a" * 1996 in images
    assert len(images) > 20
    assert all(image[:100] + image[2100:] == b"a" * 2096 for image in images)  # outside the write nothing changes
    whole = [[set(image[at : at + SECTOR_BYTES]) for at in range(512, 2048, SECTOR_BYTES)] for image in images]
    assert any(len(sector) == 2 for sectors in whole for sector in sectors)  # cut within a sector
    assert {frozenset(sector) for sectors in whole for sector in sectors} >= {frozenset(b"a"), frozenset(b"b")}


def test_nothing_and_everything_are_what_they_say() -> None:
    disk = Disk()
    disk.run([Write("", 0, b"a" * 10), Sync(""), Write("", 5, b"b" * 10), Write("", 8, b"", truncates=True)])
    assert disk.image(random.Random(1), 0.0) == {"": b"a" * 10}
    assert disk.image(random.Random(1), 1.0) == {"": b"aaaaabbb"}


def test_a_deleted_file_may_come_back_unless_its_folder_was_synced() -> None:
    for folder_synced, images in ((False, {b"a", b""}), (True, {None})):
        disk = Disk()
        disk.run([Write("-journal", 0, b"a"), Sync("-journal"), Delete("-journal", folder_synced)])
        assert {disk.image(random.Random(seed), 0.5).get("-journal") for seed in range(20)} == images
