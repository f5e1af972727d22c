"""What the tests of registry, keys and provisioning need: a disk with their tables, records, a registrar at work."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pave_gateway.core.committer import CommitFailed, Committed, CommitterBusy, Done, Outcome, Outdated, Row
from pave_gateway.core.keys_record import Provisioned, open_keys, parse
from pave_gateway.core.keys_sealed import AesKeyring
from pave_gateway.core.places import Place
from pave_gateway.core.registry import Registry
from pave_gateway.core.registry_acts import Registrar
from pave_gateway.core.registry_change import By, Changed, NotRecorded, Recorded
from pave_gateway.core.registry_import import Import, Judged
from pave_gateway.core.registry_rows import ForgetReplayRow
from pave_gateway.core.rows import ReadingRow
from pave_gateway.store import registry_tables

ONE = "24a160fffe000101"
TWO = "24a160fffe000102"
THREE = "24a160fffe000103"
KIOSK = "24a160fffe000201"
PLACES = (
    Place("bay-1", "delivery", "Rue de Bercy", 48.8, 2.3),
    Place("bay-2", "taxi", "Rue de Bercy", 48.8, 2.3),
    Place("kiosk-1", "kiosk", "Gare", 48.8, 2.3),
)
ANNE = By("anne", 1_795_000_000_000)
JEANNE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
JEANNES_KEY = JEANNE.public_key().public_bytes_raw().hex()
TECHNICIANS = {JEANNES_KEY: "Jeanne"}
GATEWAY_ID = bytes(range(0x80, 0x87))
_READING = "CREATE TABLE reading (position INTEGER PRIMARY KEY, device TEXT NOT NULL) STRICT;"


class Disk:
    """A committer on a database of its own, with the contract of the journal's: a group as a whole, in order."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.db: Any = apsw.Connection(str(path))
        if self.db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'registry_act'").get is None:
            self.db.execute(_READING + registry_tables.SCHEMA)
        self.forgotten: list[str] = []  # devices whose replay window was forgotten
        self.fault = ""  # why commits fail
        self.busy = False
        self.held: list[tuple[Sequence[Row], Done]] | None = None  # not None: groups wait for `release`

    def submit(self, rows: Sequence[Row], done: Done, urgent: bool = False) -> None:
        if self.busy:
            raise CommitterBusy("4096 groups are waiting for the disk; send again later")
        if self.held is not None:
            self.held.append((rows, done))
        else:
            done(self.write(rows))

    def release(self) -> None:
        """Commit what was held."""
        held, self.held = self.held or [], None
        for rows, done in held:
            done(self.write(rows))

    def write(self, rows: Sequence[Row]) -> Outcome:
        if self.fault:
            return CommitFailed(self.fault)
        self.db.execute("SAVEPOINT one_group")
        forgotten = [row.device for row in rows if isinstance(row, ForgetReplayRow)]
        for row in rows:
            refused = self._write_row(row)
            if refused is not None:
                self.db.execute("ROLLBACK TO one_group; RELEASE one_group")
                return Outdated(refused)
        self.db.execute("RELEASE one_group")
        self.forgotten += forgotten
        return Committed(())

    async def close(self, timeout_s: float) -> None:
        self.db.close()

    def log_readings(self, count: int) -> None:
        """Append readings of anyone."""
        for _ in range(count):
            self.write([ReadingRow(ONE, 1, 1, "presence", 0, 0, {})])

    def log_position(self) -> int:
        return self.db.execute("SELECT coalesce(max(position), 0) FROM reading").get

    def _write_row(self, row: Row) -> str | None:
        if isinstance(row, ForgetReplayRow):
            return None
        if isinstance(row, ReadingRow):
            self.db.execute("INSERT INTO reading (device) VALUES (?)", (row.device,))
            return None
        return registry_tables.WRITERS[type(row)](self.db, row)


@dataclass
class Site:
    """A registry at work on a disk."""

    disk: Disk
    keyring: AesKeyring = field(default_factory=lambda: AesKeyring([bytes(32)], random_bytes_from(7)))
    places: Sequence[Place] = PLACES
    changed: list[str] = field(default_factory=list)  # devices that listeners heard of
    changed_places: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        stored = registry_tables.load(self.disk.db)
        self.registry = Registry(self.places)
        self.registry.restore(stored.devices, stored.assignments, stored.last_act)
        self.keys, self.faults = open_keys(stored.sealed, self.keyring, stored.gateway_id)
        self.registrar = Registrar(self.registry, self.keys, self.keyring, self.disk, self.disk.log_position)
        self.registrar.subscribe(self._hear)

    def _hear(self, changed: Changed) -> None:
        self.changed += changed.devices
        self.changed_places += changed.places

    def restarted(self) -> "Site":
        """Return the same site after a start from its tables."""
        return Site(self.disk, self.keyring, self.places)

    def do(self, act: str, *arguments: Any, by: By = ANNE) -> Recorded | NotRecorded:
        """Carry out an act of the registrar that completes at once, and return its outcome."""
        outcomes: list[Recorded | NotRecorded] = []
        getattr(self.registrar, act)(*arguments, by, outcomes.append)
        (outcome,) = outcomes
        return outcome

    def bring(self, *records: Provisioned, by: By = ANNE) -> dict[str, str]:
        """Import records and return the verdicts, by device and epoch."""
        return {f"{one.record.device}:{one.record.epoch}": one.verdict.value for one in self.judged(*records, by=by)}

    def judged(self, *records: Provisioned, by: By = ANNE) -> list[Judged]:
        """Import records and return all verdicts."""
        finished: list[list[Judged]] = []
        Import(self.registrar, records, TECHNICIANS, by).start(finished.append)
        (judged,) = finished
        return judged


def site(path: Path | str = ":memory:") -> Site:
    """Return a site with an empty registry."""
    return Site(Disk(path))


def random_bytes_from(seed: int) -> Any:
    """Return a source of bytes that are the same in every run."""
    import random

    return random.Random(seed).randbytes


def content(device: str = ONE, epoch: int = 1000, **other: Any) -> dict[str, Any]:
    """Return the content of a record, as JSON has it; keys differ by device and epoch."""
    mac = bytes.fromhex(device[:6] + device[10:])
    secret = f"{device}{epoch:016x}"
    return {
        "version": 1,
        "site": "lab",
        "device": device,
        "kind": "kiosk" if device == KIOSK else "presence",
        "board": "pave-presence-v1",
        "firmware": "0.1.0",
        "epoch": epoch,
        "signer": JEANNES_KEY,
        "note": "from the van",
        "oscore": {"secret": secret, "salt": "00" * 8, "device_id": mac.hex()},
        "lora": {"join_eui": "0200000000000001", "app_key": secret},
    } | other


def signed(fields: dict[str, Any], by: Ed25519PrivateKey = JEANNE) -> bytes:
    """Return signed content."""
    raw = json.dumps(fields).encode()
    return by.sign(b"pave provisioning record\0" + raw) + raw


def record(device: str = ONE, epoch: int = 1000, **other: Any) -> Provisioned:
    """Return what opening a record gives."""
    return parse(signed(content(device, epoch, **other)))
