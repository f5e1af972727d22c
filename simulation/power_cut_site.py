"""One presence sensor on LoRaWAN that loses its power, and the books of what it has used up.

Theory of operation. `arm` says at which flash operations from then on the power goes: the first number counts from now
on, each further one from the cut before. The operation is torn: a share of it, drawn by the seed, is done. Two seconds
later the power is back. `settled` waits until the gateway has heard, since the last cut, what is true of the bay, and
the device sleeps: a device that does not come back from a cut never settles.

    Counters  reads every frame off the air: no DevNonce, and no FCnt of a session, is there twice
    Books     takes every reading the gateway acknowledges: none is gone later, none comes under a second identity
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.world import Bay, World
from pave_gateway.core.change import submit
from pave_gateway.core.rows import ReadingRow, StoredReading
from pave_gateway.store.journal import JournalReader
from pave_tools import firmware, manifest
from pave_tools.tree import FIRMWARE_DIR
from pave_wire import lorawan, shadow
from pave_wire.event import REBUILT
from pave_wire.model import OCCUPIED, REASON
from pave_wire.reading import CRASH
from simulation.tests.lora_site import EUI, BrokenError, Ledger
from simulation.tests.sensor_site import BAY, EARTH_UT, SensorSite, compiled

BACK_S = 8 * 3600
"""What a device has at most to be heard again: an hour's silence that the law may ask for, twice, and its pauses."""
_LOOK_S = 5.0
_OFF_S = 2.0
_NEVER = 1 << 30
CRASH_S = 99  # of blinking: then the firmware of `crashing` raises

Edit = tuple[str, str, str]
"""(module below firmware/, text, what takes its place)."""
DENSE: tuple[Edit, ...] = (
    (
        "roles/presence_service.py",
        "    def _blink(self):\n",
        "    def _blink(self):\n"
        f"        if self._blinks_s == {CRASH_S}:\n"
        "            raise ValueError('asked to crash')\n",
    ),
    ("app/limits.py", "LORA_FCNT_RESERVE = 64 ", "LORA_FCNT_RESERVE = 4 "),
    ("app/limits.py", "LORA_REJOIN_UNANSWERED = 20 ", "LORA_REJOIN_UNANSWERED = 4 "),
)
"""A day in minutes: a defect to crash by, a stock of frame counters that every part uses up, a short way to rejoin."""


@cache
def edited(*edits: Edit) -> dict[str, bytes]:
    """Return the sensor's firmware with `edits`; raises ValueError for one whose text is not there once."""
    texts: dict[str, str] = {}
    for name, old, new in edits:
        text = texts.get(name) or (FIRMWARE_DIR / name).read_text()
        if text.count(old) != 1:
            raise ValueError(f"{name} has {text.count(old)} times, not once, {old!r}")
        texts[name] = text.replace(old, new)
    files = dict(compiled())
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in texts.items():
            source = Path(scratch) / "edited.py"
            source.write_text(text)
            entry = manifest.Entry(source, manifest.module_path(name))
            files[entry.device_path] = firmware.compile_module(entry, Path(scratch))
    return files


class Counters(Ledger):
    """As `Ledger`; and in a new life, after a cut, not even the same frame may come again."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[int, tuple[int, int]] = {}  # by DevAddr: FCnt, life
        self.life = 0

    def tell(self, phy: bytes) -> None:
        super().tell(phy)
        if phy[0] >> 5 == lorawan.JOIN_REQUEST:
            return
        address, fcnt = lorawan.dev_addr(phy), int.from_bytes(phy[6:8], "little")
        last, life = self._last.get(address, (-1, 0))
        if fcnt < last or (fcnt == last and life != self.life):
            raise BrokenError(f"FCnt {fcnt} of {address:08x} after {last}, {self.life - life} power cuts later")
        self._last[address] = fcnt, self.life


@dataclass
class Books:
    """Readings in the order the gateway stored them."""

    rows: list[ReadingRow] = field(default_factory=list[ReadingRow])
    foreign: set[str] = field(default_factory=set[str])  # identities that somebody else has taken
    broken: list[str] = field(default_factory=list[str])
    told: ReadingRow | None = None
    told_at_s: float = 0.0

    def take(self, stored: Sequence[StoredReading], now_s: float) -> None:
        """Enter readings that are in the journal, and are acknowledged next."""
        for one in stored:
            row = one.row
            if row.identity in self.foreign or row.values.get(REASON) == REBUILT:
                continue  # not the device's
            if self.rows and row.epoch < max(kept.epoch for kept in self.rows[-8:]):
                self.broken.append(f"{row.identity} came after epoch {self.rows[-1].epoch} had begun")
            self.rows.append(row)
            if OCCUPIED in row.values and (
                self.told is None or (row.epoch, row.seq) > (self.told.epoch, self.told.seq)
            ):
                self.told, self.told_at_s = row, now_s

    def crashes(self) -> int:
        """How many crashes were told."""
        return sum(CRASH in row.values for row in self.rows)

    def settle(self, journal: Path) -> list[str]:
        """Return what is wrong, once everything is over: lost, altered, or told twice."""
        with closing(JournalReader(journal)) as reader:
            there = {stored.row.identity: stored.row for batch in reader.all() for stored in batch}
        wrong = list(self.broken)
        for row in self.rows:
            if row.identity not in there:
                wrong.append(f"{row.identity} was acknowledged, and is gone")
            elif there[row.identity].values != row.values:
                wrong.append(f"{row.identity} was acknowledged as {row.values}")
        states = [row for row in sorted(self.rows, key=lambda row: (row.epoch, row.seq)) if OCCUPIED in row.values]
        for before, row in itertools.pairwise(states):
            if row.values[REASON] == "field" and row.values[OCCUPIED] == before.values[OCCUPIED]:
                wrong.append(f"{row.identity} tells anew what {before.identity} has told: {row.values}")
        return wrong


class CutSite(SensorSite):
    """A sensor whose power can be cut by `arm`; `cuts` counts what really was, `kinds` by what it hit."""

    FILES: ClassVar[dict[str, bytes]] = {}
    AT_FIRST: ClassVar[tuple[int, ...]] = ()

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.ledger = self.counters = Counters()
        self.books = Books()
        self.cuts = 0
        self.kinds: dict[str, int] = {}
        self.is_occupied = False
        self._numbers: list[int] = []
        self._seed = 0
        self._cut_at_s = -1.0
        self.device.on_power_lost = self._lost

    def files(self) -> dict[str, bytes]:
        return self.FILES

    def _world(self) -> World:
        self.world = World(Scenario("cuts", 1, EARTH_UT, 0.3, (), ()), [Bay(BAY, "taxi")])
        return self.world

    async def start_gateway(self) -> None:
        await super().start_gateway()
        assert self.gateway is not None
        self.gateway.core.ingest.subscribe(lambda stored: self.books.take(stored, self.clock.now_s()))

    async def start(self) -> None:
        self.arm(self.AT_FIRST)
        await super().start()

    # Power

    def arm(self, numbers: Sequence[int], seed: int = 0) -> None:
        """Cut the power at these flash operations; without one, no more."""
        self._numbers, self._seed = list(numbers), seed
        self._next()

    def cut(self, off_s: float = _OFF_S) -> None:
        """Cut the power now, and give it back."""
        if self.device.state == "off":
            return
        self.device.power_cut()
        self._gone("power", off_s)

    def brown_out(self) -> None:
        """Sag the rail now."""
        if self.device.state == "off":
            return
        self._count("brown-out")
        self.device.brown_out()

    def _next(self) -> None:
        number = self._numbers.pop(0) if self._numbers else _NEVER
        self.device.flash.cut_power_at(number, seed=self._seed + self.cuts)

    def _lost(self) -> None:
        self._next()
        self._gone("flash", _OFF_S)

    def _gone(self, kind: str, off_s: float) -> None:
        self._count(kind)
        self.clock.call_after(off_s, self.device.power_on)

    def _count(self, kind: str) -> None:
        self.cuts += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.counters.life += 1
        self._cut_at_s = self.clock.now_s()

    # What has come to its end

    def is_settled(self) -> bool:
        """Whether the gateway knows of the bay what is true, heard since the last cut, and the device sleeps."""
        told = self.books.told
        if self.device.state != "sleeping" or told is None or self.books.told_at_s <= self._cut_at_s:
            return False
        return told.values[OCCUPIED] is self.is_occupied

    async def settled(self, also: Callable[[], bool] = lambda: True) -> None:
        """Wait for that, and for `also`; raises AssertionError with the console's end where it never comes."""
        end_s = self.clock.now_s() + BACK_S
        while not (self.is_settled() and also()):
            if self.broken or self.books.broken:
                raise AssertionError(f"{self.broken + self.books.broken}")
            if self.clock.now_s() > end_s:
                raise AssertionError(f"not back within {BACK_S} s, {self.cuts} cuts:\n" + "\n".join(self.lines[-30:]))
            await asyncio.sleep(_LOOK_S)
        del self.lines[:-200]
        self.uplinks.clear()

    def wrong(self) -> list[str]:
        """Return what is wrong at the end."""
        forbidden = [line for line in self.lines if "corrupted" in line or "No bootable" in line]
        return [*map(str, self.broken), *self.books.settle(self.folder / "journal.db"), *forbidden] + [
            f"duty cycle: {one}" for one in self.police.violations
        ]

    # What is done

    def change(self) -> None:
        """A vehicle comes, or goes."""
        if self.is_occupied:
            self.world.act("leave", {"bay": BAY}, self.fleet.now_s())
        else:
            arguments = {"bay": BAY, "vehicle": "car", "manoeuvre": "quick"}
            self.world.act("arrive", arguments, self.fleet.now_s())
        self.is_occupied = not self.is_occupied

    def command(self, name: str, argument: int) -> None:
        assert self.gateway is not None
        core = self.gateway.core
        _, change = core.commands.create(EUI, shadow.PRESENCE, name, argument, core.now())
        submit(core.committer, change, lambda outcome: None)

    def is_done(self) -> bool:
        """Whether no command waits."""
        return self.gateway is not None and not self.gateway.core.commands.waiting(EUI)
