"""What becomes of provisioning records: in any order, days late, twice, without harm.

A record's epoch, the date of flashing, is its age: the newest one that ever came is what the device runs on.

    the registry has                             the record           verdict
    -------------------------------------------  -------------------  ---------------------------------------------
    no such device, or no keys of it             -                    added
    keys of an older epoch, or a retired device  is newer             replaced: new keys, unknown replay window
    keys of the same epoch                       has the same keys    known
    keys of the same epoch                       has other keys       conflict: nobody can tell which the device has
    that epoch, and keys that no longer open     -                    replaced
    keys of a newer epoch, or a retired device   is not newer         older
    another device with that OSCORE ID           -                    conflict

Sender sequence numbers go on under new keys, which is safe. The replay window is unknown and not fresh: these keys may
have been used with another gateway, whose messages must not be replayed to this one; the device is asked for Echo once.

Records are written some hundred at a time. Killed in between, the rest is imported by doing it again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pave_gateway.core import limits
from pave_gateway.core.keys_record import PURPOSE, Provisioned, flashed_at
from pave_gateway.core.registry_acts import Registrar, RegistryBusyError
from pave_gateway.core.registry_change import By, Change, NotRecorded, Recorded
from pave_gateway.core.registry_rows import DeviceRow


class Verdict(Enum):
    """What became of a record."""

    ADDED = "added"
    REPLACED = "replaced"
    KNOWN = "known"
    OLDER = "older"
    CONFLICT = "conflict"
    NOT_STORED = "not_stored"


@dataclass(frozen=True, slots=True)
class Judged:
    """A record and what became of it; `detail` says why, and what to do if something is to be done."""

    record: Provisioned
    verdict: Verdict
    detail: str = ""


Finished = Callable[[list[Judged]], None]


class Import:
    """One import. `start` it once."""

    def __init__(
        self, registrar: Registrar, records: Sequence[Provisioned], technicians: Mapping[str, str], by: By
    ) -> None:
        """`technicians` has the name of each signer."""
        self._registrar = registrar
        self._technicians = technicians
        self._by = by
        self._judged: list[Judged] = []
        self._waiting = self._newest_of_each(records)
        self._finished: Finished = lambda judged: None
        self._running = False

    def start(self, finished: Finished) -> None:
        """Begin; `finished` is called once, with a verdict on every record, in no particular order."""
        self._finished = finished
        self._go_on()

    def _newest_of_each(self, records: Sequence[Provisioned]) -> list[Provisioned]:
        """Return the newest record of each device; what is to be said of the others is said here."""
        newest: dict[str, Provisioned] = {}
        rivals: dict[str, list[Provisioned]] = {}
        for record in sorted(records, key=lambda record: record.epoch):
            older = newest.get(record.device)
            if older is not None and older.epoch < record.epoch:
                self._judged += [Judged(old, Verdict.OLDER, _older(record)) for old in rivals[record.device]]
                rivals[record.device] = []
            newest[record.device] = record
            rivals.setdefault(record.device, []).append(record)
        return [record for device, record in newest.items() if self._agree(rivals[device])]

    def _agree(self, rivals: list[Provisioned]) -> bool:
        """Say whether the records of one device and epoch have the same keys; the last of them goes on if so."""
        if all(rival.secrets == rivals[-1].secrets for rival in rivals):
            self._judged += [Judged(rival, Verdict.KNOWN, "twice in this import") for rival in rivals[:-1]]
            return True
        self._judged += [Judged(rival, Verdict.CONFLICT, _SAME_EPOCH) for rival in rivals]
        return False

    def _go_on(self) -> None:
        """Write what waits, part by part. A committer that completes at once does not deepen the stack."""
        if self._running:
            return
        self._running = True
        while self._running and self._waiting:
            part = self._waiting[: limits.RECORDS_PER_CHANGE]
            self._waiting = self._waiting[limits.RECORDS_PER_CHANGE :]
            self._running = self._write(part)
        if self._running:
            self._running = False
            self._finished(self._judged)

    def _write(self, part: list[Provisioned]) -> bool:
        """Submit one part; return False if it is still on its way."""
        try:
            change = self._registrar.change(self._by)
        except RegistryBusyError as error:
            self._give_up(part, str(error))
            return True
        taken = self._take(change, part)
        if not taken:
            return True
        completed: list[bool] = []

        def done(outcome: Recorded | NotRecorded) -> None:
            if isinstance(outcome, Recorded):
                self._judged += taken
            else:
                self._give_up([judged.record for judged in taken], outcome.reason)
            if waited:
                self._go_on()
            else:
                completed.append(True)

        waited = False
        self._registrar.submit(change, done)
        waited = not completed
        return not waited

    def _give_up(self, part: list[Provisioned], reason: str) -> None:
        left = [*part, *self._waiting]
        self._waiting = []
        self._judged += [Judged(record, Verdict.NOT_STORED, f"{reason}; import it again") for record in left]

    def _take(self, change: Change, part: list[Provisioned]) -> list[Judged]:
        """Put into `change` what is new, judge the rest at once, and return the verdicts that await the commit."""
        taken: list[Judged] = []
        claimed: dict[bytes, str] = {}
        for record in part:
            judged = self._judge(record, claimed)
            if judged.verdict in (Verdict.ADDED, Verdict.REPLACED):
                self._put(change, judged)
                taken.append(judged)
            else:
                self._judged.append(judged)
        return taken

    def _judge(self, record: Provisioned, claimed: dict[bytes, str]) -> Judged:
        known = self._registrar.registry.device(record.device)
        if known is not None and record.epoch <= known.epoch and not self._is_lost(record, known):
            return self._judge_old(record, known)
        rival = self._rival(record, claimed)
        if rival is not None:
            return Judged(record, Verdict.CONFLICT, rival)
        return Judged(record, Verdict.ADDED if known is None or known.epoch < 0 else Verdict.REPLACED)

    def _is_lost(self, record: Provisioned, known: DeviceRow) -> bool:
        """Say whether `record` brings back keys that this gateway should have and cannot open."""
        missing = known.retired_ms is None and self._registrar.keys.secrets(record.device) is None
        return missing and record.epoch == known.epoch

    def _judge_old(self, record: Provisioned, known: DeviceRow) -> Judged:
        if record.epoch < known.epoch or known.retired_ms is not None:
            what = "retired" if known.retired_ms is not None else f"provisioned anew on {flashed_at(known.epoch)}"
            return Judged(record, Verdict.OLDER, f"{record.device} was {what}; if it shall be used, flash it again")
        if self._registrar.keys.secrets(record.device) == record.secrets:
            return Judged(record, Verdict.KNOWN)
        return Judged(record, Verdict.CONFLICT, _SAME_EPOCH)

    def _rival(self, record: Provisioned, claimed: dict[bytes, str]) -> str | None:
        """Return what is wrong with the OSCORE ID of `record`."""
        if record.secrets.oscore is None:
            return None
        kid = record.secrets.oscore.device_id
        owner = claimed.setdefault(kid, record.device)
        owner = self._registrar.keys.device_of_kid(kid) or owner
        if kid == self._registrar.keys.gateway_id:
            return f"OSCORE ID {kid.hex()} is this gateway's own; flash {record.device} with another"
        if owner != record.device:
            return f"OSCORE ID {kid.hex()} is that of device {owner}; flash one of them with another"
        return None

    def _put(self, change: Change, judged: Judged) -> None:
        record = judged.record
        known = self._registrar.registry.device(record.device)
        change.act(
            "provision", record.device, detail=f"{judged.verdict.value}, flashed {flashed_at(record.epoch)}"
        )  # fmt: skip
        change.put_device(
            DeviceRow(
                device=record.device,
                kind=record.kind,
                board=record.board,
                firmware=record.firmware,
                epoch=record.epoch,
                technician=self._technicians.get(record.signer, record.signer),
                note=record.note,
                added_ms=self._by.now_ms if known is None else known.added_ms,
            )
        )
        sealed = self._registrar.keyring.seal(record.device, PURPOSE, record.signed)
        change.put_keys(record.device, record.secrets, sealed)


_SAME_EPOCH = (
    "two records of one epoch with other keys: nobody can tell which of them the device has; flash it again"
)  # fmt: skip


def _older(newer: Provisioned) -> str:
    return f"{newer.device} was provisioned anew on {flashed_at(newer.epoch)}, in the same import"
