"""A gateway that is wrong on purpose: it acknowledges before it commits. The kill test must see the difference.

Everything else is the production gateway; only its committer lies, saying "on disk" at once and writing a second later.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pave_gateway import cli_app, config
from pave_gateway.config import Config
from pave_gateway.core.committer import Committed, Committer, Done, Row
from pave_gateway.core.rows import ReadingRow
from pave_gateway.runtime import Runtime, threaded
from pave_gateway.store.journal import Journal

COMMIT_LATE_S = 1.0


class EagerCommitter:
    """Says that readings are committed when they are only going to be."""

    def __init__(self, honest: Committer) -> None:
        self._honest = honest

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        """Call `done` now for readings; commit them later."""
        if not any(isinstance(row, ReadingRow) for row in rows):
            self._honest.submit(rows, done, urgent)
            return
        loop = asyncio.get_running_loop()
        loop.call_soon(done, Committed(()))
        loop.call_later(COMMIT_LATE_S, self._honest.submit, rows, lambda outcome: None)

    def trouble(self) -> list[str]:
        """What the honest committer says."""
        return self._honest.trouble()

    async def close(self, timeout_s: float) -> None:
        """Close the honest committer."""
        await self._honest.close(timeout_s)


def _committer(journal: Journal, site: Config, trusted_ms: Callable[[], int | None]) -> Committer:
    return EagerCommitter(threaded(journal, site, trusted_ms))


def main() -> None:
    """Run with the arguments of `pave-gateway run`: --site FILE [--set KEY=VALUE ...]."""
    arguments = sys.argv[1:]
    site = Path(arguments[arguments.index("--site") + 1])
    overrides = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--set"]
    asyncio.run(cli_app.serve(Runtime(config.load(site, overrides), committer_factory=_committer)))


if __name__ == "__main__":
    main()
