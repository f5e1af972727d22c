"""A gateway's disk dies, and another gateway takes its place. A timed drill on the emulated site, no device touched.

    python -m simulation.replacement [--for 20]

The gateway is killed and all that was on its disk is gone: journal, key file, records. What an operator has elsewhere
comes back, in two drills one after the other:

    backup    a copy of the journal made some time before, and the copy of the key file
    records   the copy of the key file, and the provisioning records from the technician's laptop

Readings that were acknowledged since the backup and had not reached the city are lost with the disk: they are counted,
no more can be done with one disk. What the new gateway acknowledges it may not lose, and no device may be asked for
Echo more than once. The clock runs from the start of the new gateway. Last line: one JSON object; exit status 0 only
if every device was acknowledged again and nothing was lost that had to be kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pave_gateway.store.backup import backup, restore
from simulation.chain import ROOT, Chain, Plan
from simulation.demo import EXAMPLE
from simulation.devices import equipped
from simulation.processes import StartError
from simulation.work_dir import WorkDirError

BACKUP, RECORDS, NOTHING = "backup", "records", "nothing"  # the last is the negative control
TAKE_UP_TIMEOUT_S = 120
DRAIN_TIMEOUT_S = 60
_LOOK_S = 0.05


@dataclass(frozen=True)
class Outcome:
    """What came of a drill. Readings are counted by identity; `new` is what was acknowledged after the disk was lost.

    Attributes:
        back: What was put back, as `Drill` has it.
        devices: There are.
        ready_s: Until the new gateway listened.
        first_s, all_s: Until it had acknowledged one device, and each of them; None if it never did.
        acknowledged: Readings the old gateway had acknowledged.
        at_city: Of those, the ones the city has.
        lost_with_disk: Of those, the ones nobody has: the price of one disk.
        restored: Of those, the ones that the new journal has.
        new: Readings that the new gateway acknowledged.
        new_not_stored, new_not_received: Of those, the ones missing at its journal, at the city.
        challenged: Devices that it asked for Echo.
        most_challenges: How often one of them was asked.
        pending: Readings sent and never acknowledged.
        unreadable: Datagrams of devices that did not open under their keys.
        touched: Devices that did anything else than sleep and wake, or whose firmware failed.
    """

    back: str
    devices: int
    ready_s: float
    first_s: float | None
    all_s: float | None
    acknowledged: int
    at_city: int
    lost_with_disk: int
    restored: int
    new: int
    new_not_stored: int
    new_not_received: int
    challenged: int
    most_challenges: int
    pending: int
    unreadable: int
    touched: list[str]

    @property
    def passed(self) -> bool:
        """Whether the new gateway took up all that the old one left, and kept what it promised."""
        missing = self.new_not_stored or self.new_not_received or self.pending or self.unreadable
        kept = self.restored > 0 or self.back != BACKUP
        return self.all_s is not None and kept and not missing and self.most_challenges <= 1 and not self.touched


class Drill:
    """One replacement. Made on the event loop it runs on."""

    def __init__(self, plan: Plan, back: str, take_up_timeout_s: float) -> None:
        """`back` is BACKUP, RECORDS, or NOTHING but the key file."""
        self._chain = Chain(plan)
        self._back = back
        self._take_up_timeout_s = take_up_timeout_s
        self._old: set[str] = set()  # readings acknowledged before the disk was lost
        self._challenges: dict[str, int] = {}
        self._ready_s = 0.0
        self._first_s: float | None = None
        self._all_s: float | None = None
        self._touched: list[str] = []

    async def run(self, for_s: float) -> Outcome:
        """Let the old gateway serve for `for_s` seconds, and the new one once it has taken up; return what came of it.

        Raises:
            StartError: a process did not come up, or ended by itself.
        """
        chain = self._chain
        try:
            await chain.start()
            await asyncio.sleep(for_s / 2)
            if self._back == BACKUP:
                await asyncio.to_thread(backup, chain.journal, self._copy)
            await asyncio.sleep(for_s / 2)
            await chain.kill_gateway()
            await asyncio.to_thread(self._lose_disk)
            await self._take_up()
            if self._all_s is not None:
                await asyncio.sleep(for_s)
                await chain.drain(DRAIN_TIMEOUT_S, self._old)
            self._touched = self._devices_touched()
        finally:
            await chain.stop()
        if chain.fault.done():
            raise StartError(chain.fault.result())
        return self._outcome()

    @property
    def _copy(self) -> Path:
        return self._chain.plan.work_dir / "elsewhere.sqlite"

    def _lose_disk(self) -> None:
        """Delete what the gateway had on its disk, and put back what was elsewhere."""
        chain = self._chain
        key_file = chain.key_file.read_bytes()
        for path in chain.journal.parent.glob(chain.journal.name + "*"):
            path.unlink()
        if self._back != RECORDS:
            shutil.rmtree(chain.records)
        if self._back == BACKUP:
            restore(self._copy, chain.journal)
        chain.key_file.touch(mode=0o600)
        chain.key_file.write_bytes(key_file)

    async def _take_up(self) -> None:
        """Start the new gateway; wait until every device has heard from it that a reading is safe."""
        chain = self._chain
        self._old = set(chain.tap.acknowledged)
        self._challenges = {device: len(asked) for device, asked in chain.tap.challenges.items()}
        began_s = time.monotonic()
        await chain.start_gateway()
        self._ready_s = time.monotonic() - began_s
        expected = len(equipped(chain.config))
        while self._all_s is None and time.monotonic() < began_s + self._take_up_timeout_s and not chain.fault.done():
            served = {identity.partition(":")[0] for identity in chain.tap.acknowledged - self._old}
            now_s = time.monotonic() - began_s
            if served and self._first_s is None:
                self._first_s = now_s
            if len(served) == expected:
                self._all_s = now_s
            await asyncio.sleep(_LOOK_S)

    def _devices_touched(self) -> list[str]:
        assert self._chain.fleet is not None
        stats = self._chain.fleet.stats()
        return sorted(name for name, one in stats.items() if one["boots"] - one["wakes"] != 1)

    def _outcome(self) -> Outcome:
        chain, books = self._chain, self._chain.books()
        new, received = books.acknowledged - self._old, {receipt.identity for receipt in books.received}
        asked = {
            device: len(challenges) - self._challenges.get(device, 0)
            for device, challenges in chain.tap.challenges.items()
        }
        return Outcome(
            back=self._back,
            devices=len(equipped(chain.config)),
            ready_s=round(self._ready_s, 2),
            first_s=_rounded(self._first_s),
            all_s=_rounded(self._all_s),
            acknowledged=len(self._old),
            at_city=len(self._old & received),
            lost_with_disk=len(self._old - received - books.stored.keys()),
            restored=len(self._old & books.stored.keys()),
            new=len(new),
            new_not_stored=len(new - books.stored.keys()),
            new_not_received=len((new | books.stored.keys()) - received),
            challenged=sum(count > 0 for count in asked.values()),
            most_challenges=max(asked.values(), default=0),
            pending=len(books.sent.keys() - books.acknowledged),
            unreadable=books.unreadable,
            touched=sorted({*self._touched, *chain.crashes}),
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


async def drill(plan: Plan, back: str, for_s: float, take_up_timeout_s: float = TAKE_UP_TIMEOUT_S) -> Outcome:
    """Run one `Drill` of `plan`."""
    return await Drill(plan, back, take_up_timeout_s).run(for_s)


def main() -> int:
    """Run both drills; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="for_s", type=float, default=20, help="seconds of traffic before and after")
    parser.add_argument("--site", type=Path, default=EXAMPLE / "site.toml")
    parser.add_argument("--work-dir", type=Path, default=ROOT / "var" / "replacement")
    arguments = parser.parse_args()
    plan = Plan(arguments.site, EXAMPLE / "scenarios" / "rush.yaml", arguments.work_dir)
    outcomes: list[Outcome] = []
    try:
        for back in (BACKUP, RECORDS):
            place = replace(plan, work_dir=plan.work_dir / back)
            outcomes.append(asyncio.run(drill(place, back, arguments.for_s)))
    except (WorkDirError, StartError) as error:
        print(f"pave: {error}", file=sys.stderr)
        return 2
    print(json.dumps({outcome.back: asdict(outcome) for outcome in outcomes}))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
