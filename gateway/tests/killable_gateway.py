"""A gateway to be killed: `killable_gateway.py SITE_FILE honest|early`.

In both the disk takes 20 ms for each COMMIT, so how often a kill falls before one does not depend on the machine.
"early" acknowledges before it commits, which is the fault that the kill test must be able to see; nothing else differs.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pave_gateway.cli_app import serve
from pave_gateway.config import Config, load
from pave_gateway.core.committer import Committed, Done, Row
from pave_gateway.runtime import Runtime
from pave_gateway.store.journal import Journal
from pave_gateway.store.threaded import ThreadedCommitter

COMMIT_S = 0.02


class HonestCommitter(ThreadedCommitter):
    """The production committer on a disk that takes its time."""

    def __init__(self, journal: Journal, config: Config, trusted_ms: Callable[[], int | None]) -> None:
        journal._db.set_commit_hook(_take_time)
        super().__init__(journal, interval_s=config.journal.commit_interval_ms / 1000, trusted_ms=trusted_ms)


class EarlyCommitter(HonestCommitter):
    """Wrong on purpose: says "committed" at once."""

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        super().submit(rows, lambda _: None)
        done(Committed(()))


def _take_time() -> bool:
    """SQLite calls this just before each COMMIT; True would make it a ROLLBACK."""
    time.sleep(COMMIT_S)
    return False


if __name__ == "__main__":
    factory = {"honest": HonestCommitter, "early": EarlyCommitter}[sys.argv[2]]
    asyncio.run(serve(Runtime(load(Path(sys.argv[1])), committer_factory=factory)))
