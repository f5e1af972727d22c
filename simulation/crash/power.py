"""Power cuts under the production journal, on a disk that remembers what was synced.

`every_sync` cuts the power before and after every sync of one life of a gateway. `lives` is a gateway that starts from
what the last power cut left, works for a while and loses power again, thousands of times: so openings, recovery and
checkpoints are cut as well as commits. The write-ahead log is brought into the file after a few pages, or checkpoints
would hardly ever be cut. Now and then the disk is full for one transaction.

A life goes on in the machine after its power cut, on a disk that notes nothing any more; nobody hears its answers.
"""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from pave_gateway.core import limits
from pave_gateway.core.committer import Committed, Outcome
from pave_gateway.core.rows import ReadingRow, ReplayRow
from pave_gateway.store import spare
from pave_gateway.store.journal import Journal, JournalError
from simulation.crash.model import Message, Site, broken_promises
from simulation.crash.power_vfs import Disk, Operation, RecordingVfs, Sync

WAL_PAGES = 24
SNAPSHOT_READINGS = 40
_LONGEST_LIFE = 200  # operations of the disk: an opening, and a dozen commits
_LIVES_PER_DISK = 30  # then a new one: the check of the log takes longer each time
_KEEP = (0.0, 0.2, 0.5, 0.8, 1.0)
_NO_END = 1 << 60

Answer = Callable[[Sequence[Outcome]], None]
Commit = Callable[[Journal, Sequence[Message], Answer], None]
Files = dict[str, bytes]


def honest(journal: Journal, messages: Sequence[Message], answer: Answer) -> None:
    """Commit, then answer."""
    answer(journal.write([message.rows for message in messages]))


def normal(journal: Journal, messages: Sequence[Message], answer: Answer) -> None:
    """Wrong on purpose: a commit does not wait for the disk."""
    journal._db.execute("PRAGMA synchronous=NORMAL")  # pyright: ignore[reportPrivateUsage]
    honest(journal, messages, answer)


def early(journal: Journal, messages: Sequence[Message], answer: Answer) -> None:
    """Wrong on purpose: answers, then commits. (No message of the model is ever refused.)"""
    answer([Committed(())] * len(messages))
    journal.write([message.rows for message in messages])


def window_apart(journal: Journal, messages: Sequence[Message], answer: Answer) -> None:
    """Wrong on purpose: the window has a transaction of its own, after the readings' and the answer."""
    without = [[_uncounted(row) for row in message.rows if not isinstance(row, ReplayRow)] for message in messages]
    answer(journal.write(without))
    journal.write([[row for row in message.rows if isinstance(row, ReplayRow)] for message in messages])


def _uncounted(row: object) -> object:
    return replace(row, counter=None) if isinstance(row, ReadingRow) else row


CONTROLS: dict[str, Commit] = {
    "synchronous=NORMAL": normal,
    "acknowledgement before the commit": early,
    "window outside the transaction": window_apart,
}


@dataclass
class Result:
    """What a campaign did, and every promise that was broken."""

    crashes: int = 0
    acknowledged: int = 0
    broken: list[str] = field(default_factory=list)


def every_sync(folder: Path, seed: int, messages: int, commit: Commit = honest) -> Result:
    """Cut one life before and after each of its syncs; of what was not synced, nothing is left or everything."""
    result = Result()
    with _small_limits():
        whole = _live(folder, {}, Site(random.Random(seed)), messages, _NO_END, commit)
        syncs = [number for number, operation in enumerate(whole.operations) if isinstance(operation, Sync)]
        for point, keep in itertools.product(sorted({n + after for n in syncs for after in (0, 1)}), (0.0, 1.0)):
            site = Site(random.Random(seed))
            life = _live(folder, {}, site, messages, point, commit)
            _check(folder, life.image(random.Random(seed), keep), site, result)
    return result


def lives(folder: Path, seed: int, count: int, commit: Commit = honest, stop_at_first: bool = False) -> Result:
    """Let a gateway live and lose power `count` times; `stop_at_first` when a promise is found broken."""
    result = Result()
    source = random.Random(seed)
    site, image = Site(source), Files()
    with _small_limits():
        for number in range(count):
            if number % _LIVES_PER_DISK == 0 or result.broken:
                site, image = Site(random.Random(source.random())), Files()
            life = _live(folder, image, site, _LONGEST_LIFE, source.randrange(_LONGEST_LIFE), commit)
            image = life.image(source, source.choice(_KEEP))
            _check(folder, image, site, result)
            if result.broken and stop_at_first:
                break
    return result


@dataclass
class _Life:
    before: Files
    operations: list[Operation]  # up to the power cut
    spare_before: bytes | None
    spare_after: bytes | None

    def image(self, source: random.Random, keep: float) -> Files:
        """Return what the disk holds after the power cut."""
        disk = Disk({name: content for name, content in self.before.items() if name != _SPARE})
        disk.run(self.operations)
        image = disk.image(source, keep)
        kept = self.spare_after if self.spare_after is not None else self.spare_before
        return image if kept is None else {**image, _SPARE: kept}


_SPARE = ".spare"


def _live(folder: Path, files: Files, site: Site, messages: int, cut_at: int, commit: Commit) -> _Life:
    """Run a gateway from `files` until it has had `messages`, or its disk has done `cut_at` operations."""
    path = _put(folder / "life", files)
    vfs = RecordingVfs(path)
    life = _Life(files, [], files.get(_SPARE), None)
    journal = Journal(path, vfs=vfs.name)
    try:
        if len(vfs.operations) <= cut_at:
            life.spare_after = spare.path_of(path).read_bytes()
            site.restart(path)
        _work(journal, vfs, site, messages, cut_at, commit)
    finally:
        journal.close()
        vfs.unregister()
    life.operations = vfs.operations[:cut_at]
    return life


def _work(journal: Journal, vfs: RecordingVfs, site: Site, count: int, cut_at: int, commit: Commit) -> None:
    messages = site.messages()
    while count > 0 and len(vfs.operations) <= cut_at:
        batch = [next(messages) for _ in range(min(count, site.batch()))]
        count -= len(batch)

        def answer(outcomes: Sequence[Outcome], batch: Sequence[Message] = tuple(batch)) -> None:
            if len(vfs.operations) <= cut_at:  # or the answer never left
                for message, outcome in zip(batch, outcomes, strict=True):
                    site.answered(message, outcome)

        vfs.room = site.room()
        try:
            commit(journal, batch, answer)
        except JournalError:
            if vfs.room != 0:
                raise
        vfs.room = None
        journal.tend(None)


def _check(folder: Path, image: Files, site: Site, result: Result) -> None:
    result.crashes += 1
    try:
        result.broken += broken_promises(_put(folder / "cut", image), site.promises, random.Random(1))
    except JournalError as error:
        result.broken.append(str(error))
    result.acknowledged += site.promises.take_new()


def _put(folder: Path, files: Files) -> Path:
    """Make a folder that holds a journal of these files, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for suffix, content in files.items():
        (folder / f"j.sqlite{suffix}").write_bytes(content)
    return folder / "j.sqlite"


@contextmanager
def _small_limits() -> Iterator[None]:
    """Have checkpoints and snapshots all the time."""
    with mock.patch.multiple(limits, WAL_PAGES=WAL_PAGES, SNAPSHOT_READINGS=SNAPSHOT_READINGS, SNAPSHOT_DEVICES=3):
        yield
