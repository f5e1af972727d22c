"""One bay on the emulator in virtual time: vehicles, a metered board on its battery, the LoRa air, the real gateway.

    play(Setting(PRESENCE, scenario), folder, script)

The gateway is the production assembly; only its ADR is told which data rate it wants, so that a run is at one spreading
factor. The clock begins at the scenario's start.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from benchmarks import _firmware_images as images
from benchmarks._firmware_wakes import Wakes
from pave_emulator import calls
from pave_emulator.air.concentrator import Concentrator
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.police import Police
from pave_emulator.air.propagation import PathLoss
from pave_emulator.air.semtech_udp import Backhaul, GatewayLink, PacketForwarder
from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.fleet import Device, Fleet
from pave_emulator.power.costs import Costs
from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.world import Bay, World
from pave_emulator.trace import CONSOLE, FAULT, Record, Trace
from pave_emulator.virtual_loop import VirtualLoop
from pave_emulator.vm import hello
from pave_gateway import config
from pave_gateway.core.lorawan import adr
from pave_gateway.core.lorawan.mac import AdrTarget
from pave_gateway.store.journal import JournalReader
from pave_tools.provisioning import Flashed, LoraKeys, make_record, write_record
from simulation import site_keys
from simulation.virtual_gateway import EPOCH_MS, VirtualGateway

T = TypeVar("T")
SEED = 1
HOUR_S = 3600.0
LOSS_DB = 105.0  # every spreading factor is heard through it, and through the car on top of it
_MAST = "00000000000000a1"
_SERVER = ("127.0.0.1", 1700)
_LINES_KEPT = 200
_SITE = """
[site]
id = "bench"
name = "Benchmark"
[clock]
trusted = true
[semtech_udp]
listen = "127.0.0.1:1700"
gateways = ["%(mast)s"]
[journal]
path = "%(journal)s"
[[bay]]
id = "bay"
kind = "delivery"
street = "Rue de Bercy"
lat = 48.8358
lon = 2.3858
device = "%(device)s"
"""


class LateError(AssertionError):
    """What was waited for has not happened."""


@dataclass(frozen=True)
class Setting:
    """What is run.

    Attributes:
        design: of `_firmware_images`.
        settings: over those of /config.json. files: over those of the firmware.
        free: a constant of `vm_costs` that is not charged; empty for none.
        heap_bytes: the VM's heap; None for the board's.
    """

    design: str
    scenario: Scenario
    spreading_factor: int = 9
    settings: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    free: str = ""
    heap_bytes: int | None = None


class Site:
    """See above. `lines` are the last of the device's console, `wakes` what it woke up for."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())  # pyright: ignore[reportArgumentType]
        self.lines: list[str] = []
        self.faults: list[str] = []
        self.out_of_memory = False
        self.wakes = Wakes(self.clock, self._told)
        self._folder = folder
        self.setting = setting
        self._stack = AsyncExitStack()
        self._trace = Trace()
        self._trace.subscribers += [self._record, self.wakes]
        self.police = Police(self._trace)

    @property
    def device(self) -> Device:
        """The sensor."""
        return self._fleet.device(images.SENSOR)

    def stored(self) -> list[tuple[float, bool | None, str]]:
        """Readings in the journal: (when they came, occupied, reason)."""
        with closing(JournalReader(self._folder / "journal.db")) as reader:
            rows = [stored.row for batch in reader.all() for stored in batch]
        return [
            ((row.received_ms - EPOCH_MS) / 1000, row.values.get("occupied"), str(row.values.get("reason", "")))  # pyright: ignore[reportReturnType]
            for row in rows
        ]

    async def start(self) -> None:
        """Everything has power; simulated time runs."""
        for patch in self._patches():
            self._stack.enter_context(patch)
        gateway = VirtualGateway(self._provisioned(), self._folder / "journal.db", SEED)
        await gateway.start("127.0.0.1", 5683)
        self._stack.push_async_callback(gateway.stop)
        air = LoraAir(self.clock, SEED, self._trace, PathLoss(LOSS_DB, 1.0, 0.0, 0.0, 0.0), self.police)
        concentrator = Concentrator(air, "gw", (0, 0, 10))
        forwarder = PacketForwarder(bytes.fromhex(_MAST), concentrator, self._trace, SEED, EPOCH_MS / 1000)
        link = GatewayLink(forwarder, "gw", self.clock, Backhaul(_SERVER, 0.02), self._trace, SEED)
        concentrator.on_uplink = link.uplink
        self._fleet = self._made(air)
        concentrator.start(self.clock.now_s())
        await link.open()
        self._stack.callback(link.close)
        await asyncio.sleep(0.2)
        self.wakes.watch(self.device)
        await self._fleet.start()
        self._stack.push_async_callback(self._fleet.stop)

    async def stop(self) -> None:
        """Power off."""
        await self._stack.aclose()

    async def until(self, done: Callable[[], bool], within_s: float) -> None:
        """Let time pass until `done()`. Raise LateError with the console's end when it takes longer."""
        end_s = self.clock.now_s() + within_s
        while not done():
            if self.clock.now_s() > end_s:
                raise LateError(f"not within {within_s} s:\n" + "\n".join(self.lines[-30:]))
            await asyncio.sleep(1.0)

    def _patches(self) -> list[Any]:
        rate = 12 - self.setting.spreading_factor
        told = mock.patch.object(adr, "target", lambda link, parameters, margin_db: AdrTarget(rate, 0, 1))
        vm_costs = hello.vm_costs

        def charged(costs: Costs, mhz: int, virtual: bool) -> dict[str, int]:
            found = vm_costs(costs, mhz, virtual)
            return found | ({self.setting.free: 0} if self.setting.free else {})

        counted = mock.patch.object(calls, "table", self.wakes.table)
        return [told, counted, mock.patch.object(hello, "vm_costs", charged)]

    def _made(self, air: LoraAir) -> Fleet:
        setting = self.setting
        spec = images.image(setting.design, self._folder / "flash.bin", setting.settings, setting.files)
        if setting.heap_bytes is not None:
            spec = images.with_heap(spec, setting.heap_bytes)
        wifi = WifiAir(self.clock, AccessPoint(), trace=self._trace, seed=SEED)
        return Fleet(
            [spec], World(setting.scenario, [Bay(images.PLACE, "delivery")]), wifi, self.clock, self._folder / "logs",
            traced=self._trace, seed=SEED, metered=True, drifting=True, lora=air,
            positions_m={images.SENSOR: (0.0, 0.0)},
        )  # fmt: skip

    def _record(self, record: Record) -> None:
        if record.kind == FAULT:
            self.faults.append(str(record.fields))
        elif record.kind == CONSOLE:
            self.lines.append(record.fields["line"])
            self.out_of_memory |= "MemoryError" in record.fields["line"]
            del self.lines[:-_LINES_KEPT]

    def _told(self, from_s: float, until_s: float) -> list[tuple[bool | None, str]]:
        return [(occupied, reason) for at_s, occupied, reason in self.stored() if from_s <= at_s <= until_s]

    def _provisioned(self) -> config.Config:
        """The site file, and the device's record as a technician's laptop would write it."""
        source = random.Random(SEED)
        keys = site_keys.provisioner(
            "bench", self._folder / "journal.db.keys", source.randbytes(7), self._folder, EPOCH_MS, source.randbytes
        )
        path = self._folder / "site.toml"
        names = {"mast": _MAST, "device": images.EUI, "journal": self._folder / "journal.db"}
        path.write_text(_SITE % names + site_keys.technician_table(keys))
        flashed = Flashed(images.EUI, "presence", images.BOARD, "bench", images.FIRST_EPOCH)
        record = make_record(flashed, None, LoraKeys(images.JOIN_EUI, images.APP_KEY), keys.technician, keys.readers)
        write_record(keys.records, flashed, record)
        return config.load(path)


def play(setting: Setting, folder: Path, script: Callable[[Site], Awaitable[T]]) -> T:
    """Run until `script(site)` ends; return what it returned."""

    async def run() -> T:
        random.seed(SEED)  # aiocoap's message IDs
        site = Site(setting, folder)
        try:
            await site.start()
            return await script(site)
        finally:
            await site.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())
