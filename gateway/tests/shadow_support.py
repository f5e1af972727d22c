"""What the tests of shadow and commands share: a journal of their tables alone, and a gateway over it."""

import itertools
from typing import Any

import apsw
from gateway_support import BAY, KIOSK

from pave_gateway.core.commands import Commands
from pave_gateway.core.committer import CommitFailed, Committed, Outdated
from pave_gateway.core.instant import Now
from pave_gateway.core.keys_sealed import AesKeyring
from pave_gateway.core.shadow import Shadows
from pave_gateway.core.shadow_resources import Reply, Resources
from pave_gateway.store import shadow_tables
from pave_wire import shadow

KINDS = {BAY: shadow.PRESENCE, KIOSK: shadow.KIOSK}
START_MS = 1_795_000_000_000


def at(monotonic_ms: int, synchronized: bool = True) -> Now:
    """Return a present; the gateway's machine was started at START_MS."""
    return Now(monotonic_ms, (START_MS if synchronized else 0) + monotonic_ms, synchronized)


class Store:
    """A committer on an SQLite database in memory."""

    def __init__(self) -> None:
        self.db: Any = apsw.Connection(":memory:")
        self.db.execute(shadow_tables.SCHEMA)
        self.failing = False
        self.groups = 0

    def submit(self, rows, done, urgent=False) -> None:
        self.groups += 1
        done(self._write(rows))

    def _write(self, rows):
        if self.failing:
            return CommitFailed("disk full")
        self.db.execute("BEGIN")
        for row in rows:
            outdated = shadow_tables.WRITERS[type(row)](self.db, row)
            if outdated is not None:
                self.db.execute("ROLLBACK")
                return Outdated(outdated)
        self.db.execute("COMMIT")
        return Committed(())

    async def close(self, timeout_s: float) -> None:
        pass


def keyring() -> AesKeyring:
    """Return a keyring whose nonces are counted."""
    numbers = itertools.count()
    return AesKeyring([bytes(range(32))], lambda size: next(numbers).to_bytes(size, "big"))


class Gateway:
    """Shadow and commands over a store; `restart` forgets all that is not in it."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self.keyring = keyring()
        self.restart(at(0))

    def restart(self, now: Now) -> None:
        db = self.store.db
        self.shadows = Shadows(shadow_tables.desired(db), shadow_tables.reported(db), self.keyring)
        self.commands = Commands(shadow_tables.open_commands(db), now)
        self.resources = Resources(self.shadows, self.commands, KINDS.get)

    def commit(self, change) -> Any:
        """Commit a change or a reply, apply it, and return the outcome."""
        outcomes: list[Any] = []
        if change is not None and change.rows:
            self.store.submit(change.rows, outcomes.append)
        if change is not None and (not outcomes or isinstance(outcomes[0], Committed)):
            change.apply()
        return outcomes[0] if outcomes else None

    def answer(self, reply: Reply) -> Reply | None:
        """Return what the device is answered; None where its rows could not be committed."""
        outcome = self.commit(reply)
        return reply if outcome is None or isinstance(outcome, Committed) else None

    def edit(self, device: str, **changes: Any) -> Any:
        return self.commit(self.shadows.edit(device, KINDS[device], changes))

    def report(self, device: str, version: int, values: dict, **more: Any) -> Reply | None:
        payload = shadow.pack(shadow.Document(version, values, **more))
        return self.answer(self.resources.reported(device, payload, at(0)))
