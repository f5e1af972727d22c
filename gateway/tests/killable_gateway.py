"""A gateway to be killed: `killable_gateway.py SITE_FILE threaded|eager`.

"eager" acknowledges before it commits, which is the fault that the kill test must be able to see.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from pave_gateway.cli import serve
from pave_gateway.config import load
from pave_gateway.core.committer import Committed, Done, Row
from pave_gateway.runtime import Runtime
from pave_gateway.store.journal import Journal
from pave_gateway.store.threaded import ThreadedCommitter

COMMIT_DELAY_S = 0.05


class EagerCommitter:
    """Wrong on purpose: says "committed" at once and commits a little later."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._late: list[Sequence[Row]] = []

    def submit(self, rows: Sequence[Row], done: Done) -> None:
        if not self._late:
            asyncio.get_running_loop().call_later(COMMIT_DELAY_S, self._commit)
        self._late.append(rows)
        done(Committed(()))

    async def close(self, timeout_s: float) -> None:
        self._commit()
        self._journal.close()

    def _commit(self) -> None:
        late, self._late = self._late, []
        self._journal.write(late)


if __name__ == "__main__":
    factory = {"threaded": ThreadedCommitter, "eager": EagerCommitter}[sys.argv[2]]
    asyncio.run(serve(Runtime(load(Path(sys.argv[1])), committer_factory=factory)))
