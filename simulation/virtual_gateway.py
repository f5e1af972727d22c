"""The gateway of a simulation in virtual time: the production assembly, on the loop and the network of the devices."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from pave_gateway.assembly.core import Core
from pave_gateway.assembly.gateway import Gateway, Links, listen, open_gateway
from pave_gateway.assembly.machine import Machine
from pave_gateway.config import Config
from pave_gateway.core.bays import Bays
from pave_gateway.core.committer import Committer, Done, Row
from pave_gateway.core.ingest import Ingest
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal

EPOCH_MS = 1_800_000_000_000  # 2027-01-15, when simulated time starts
_BOOT = "simulated"


class VirtualGateway:
    """No page, no sinks: those wait for real sockets. Its committer has no thread, so one seed gives one journal."""

    def __init__(self, config: Config, journal: Path, seed: int) -> None:
        """`config` is a site's; its journal is to be at `journal`, with what belongs to it beside."""
        settings = config.journal.model_copy(update={"path": journal})
        self._config = config.model_copy(update={"journal": settings})
        self._seed = seed
        self._commits = hashlib.sha256()
        self._gateway: Gateway | None = None
        self._links: Links | None = None
        self._answered: dict[str, int] = {}  # in the lives before this one
        self._stack = AsyncExitStack()

    async def start(self, host: str, port: int) -> None:
        """Serve devices at this address of the simulated network."""
        loop = asyncio.get_running_loop()
        source = random.Random(f"{self._seed} {loop.time()}")  # another life draws other numbers
        machine = Machine(
            monotonic_ms=lambda: int(loop.time() * 1000),
            wall_ms=lambda: EPOCH_MS + int(loop.time() * 1000),
            is_synchronized=lambda: True,
            boot=_BOOT,
            random_bytes=source.randbytes,
            source=source,
        )
        async with AsyncExitStack() as stack:
            self._gateway = await open_gateway(self._config, machine, self._committer, stack)
            self._links = await listen(self._gateway, host, port, stack)
            self._stack = stack.pop_all()

    @property
    def core(self) -> Core:
        """The core of the running gateway."""
        assert self._gateway
        return self._gateway.core

    @property
    def bays(self) -> Bays:
        """As the gateway knows them."""
        return self.core.bays

    @property
    def ingest(self) -> Ingest:
        """Where readings go."""
        return self.core.ingest

    @property
    def answers(self) -> dict[str, int]:
        """Answers to `POST /r`, by response code."""
        counted = dict(self._answered)
        for code, count in (self._links.coap.answers if self._links else {}).items():
            counted[code] = counted.get(code, 0) + count
        return counted

    @property
    def commits_digest(self) -> str:
        """Of every group of rows that was handed to the journal, with its time and what came of it."""
        return self._commits.hexdigest()

    async def stop(self) -> None:
        """Stop serving; everything acknowledged is in the journal. It can be started again."""
        await self._stack.aclose()
        self._answered, self._links = self.answers, None

    def _committer(self, journal: Journal, _config: Config, trusted_ms: Callable[[], int | None]) -> Committer:
        return _Digested(InlineCommitter(journal, trusted_ms=trusted_ms), self._commits.update)


class _Digested:
    """A committer that takes note of all it is given."""

    def __init__(self, committer: InlineCommitter, note: Callable[[bytes], None]) -> None:
        self._committer = committer
        self._note = note
        self._time = asyncio.get_running_loop().time

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        at_s = self._time()
        rows = list(rows)

        def noted(outcome: object) -> None:
            self._note(repr((at_s, rows, type(outcome).__name__)).encode())
            done(outcome)  # pyright: ignore[reportArgumentType]

        self._committer.submit(rows, noted, urgent)

    def trouble(self) -> list[str]:
        return self._committer.trouble()

    async def close(self, timeout_s: float) -> None:
        await self._committer.close(timeout_s)
