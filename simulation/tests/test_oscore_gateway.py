"""Devices and records as the tools make them, with the production CoAP front; then one that has the records alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.fleet import Fleet
from pave_emulator.scenario.load import Scenario
from pave_emulator.scenario.world import Bay, World
from pave_emulator.trace import Trace
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway import config, provisioning
from pave_gateway.core.bays import Bays
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import Now
from pave_gateway.core.keys import KeyTable
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.ingress import coap_site
from pave_gateway.ingress.coap_device_resources import add_availability
from pave_gateway.ingress.coap_resources import Site
from pave_gateway.store.inline import InlineCommitter
from pave_gateway.store.journal import Journal
from pave_gateway.store.key_file import load_key_file
from pave_gateway.store.reader import JournalReader
from pave_tools.device_keys import Provisioner
from pave_tools.provisioning import public_hex
from simulation import devices, site_keys
from simulation.virtual import COAP, SITE
from simulation.virtual_gateway import EPOCH_MS

from .oscore_site import EARTH_UT, Ledger

CONFIG = config.load(SITE)
CONFIG = CONFIG.model_copy(update={"bay": CONFIG.bay[:2], "kiosk": CONFIG.kiosk[:1]})
FIRST, SECOND = b"gateway", b"another"
KEY_FILE, HEARTBEAT_S = "site.keys", 60


class Front:
    """A gateway: its ID, the records, and a journal that begins now."""

    def __init__(self, gateway_id: bytes, provisioner: Provisioner, folder: Path) -> None:
        self._journal = folder / f"{gateway_id.decode()}.db"
        self._committer = InlineCommitter(Journal(self._journal))
        technicians = {public_hex(provisioner.technician): "the laptop"}
        records = provisioning.read_files([provisioner.records])
        opened = provisioning.open_records(records, load_key_file(folder / KEY_FILE), technicians)
        assert opened.refused == []
        keys = KeyTable(gateway_id)
        for _, record in opened.records:
            keys.put(record.device, record.secrets)
        source = random.Random(gateway_id)
        contexts = OscoreContexts(source.randbytes)
        for own in keys.all_oscore():
            contexts.add(own, None, 0)
        places = {place.device: place for place in CONFIG.places()}
        bays = Bays(CONFIG.places())
        site = Site()
        add_availability(site, bays, self._committer.submit)
        loop = asyncio.get_running_loop()
        self._parts = coap_site.CoapParts(
            contexts=contexts,
            ingest=Ingest(places, self._committer, [bays.apply]),
            committer=self._committer,
            site=site,
            now=lambda: Now(int(loop.time() * 1000), EPOCH_MS + int(loop.time() * 1000), True),
            monotonic=loop.time,
            random_below=source.randrange,
            insecure=False,
        )

    async def start(self) -> None:
        self.server = await coap_site.start(*COAP, self._parts)

    async def stop(self) -> None:
        await self.server.close()
        await self._committer.close(0.0)

    def stored(self) -> list[str]:
        """The identities of the readings on disk."""
        with closing(JournalReader(self._journal)) as journal:
            return [f"{s.row.device}:{s.row.epoch}:{s.row.seq}" for batch in journal.all() for s in batch]


@dataclass
class Run:
    """What came of a run."""

    ledger: Ledger
    trace: str
    boots: dict[str, int]


def play(folder: Path, script: Callable[[Fleet, Provisioner], Awaitable[None]]) -> Run:
    """Let `script` act on a site whose devices have just been powered on."""
    source = random.Random(7)
    provisioner = site_keys.provisioner(
        CONFIG.site.id, folder / KEY_FILE, FIRST, folder / "laptop", EPOCH_MS, source.randbytes
    )
    specs = devices.build(CONFIG, COAP, folder / "flash", HEARTBEAT_S, provisioner, EPOCH_MS / 1000)

    async def run() -> Run:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        random.seed(7)  # aiocoap's
        clock, trace, ledger = VirtualClock(loop), Trace(hashed=True), Ledger()
        air = WifiAir(clock, AccessPoint(devices.WIFI_SSID, devices.WIFI_KEY), trace=trace, seed=1, tap=ledger.heard)
        world = World(
            Scenario("test", 1, EARTH_UT, 0.3, (), ()), [Bay(bay.id, bay.kind) for bay in CONFIG.bay],
            [kiosk.id for kiosk in CONFIG.kiosk],
        )  # fmt: skip
        fleet = Fleet(specs, world, air, clock, folder / "consoles", traced=trace)
        await fleet.start()
        try:
            await script(fleet, provisioner)
            stats = fleet.stats()
            assert not any(one["crashes"] or one["watchdog_resets"] for one in stats.values())
            return Run(ledger, trace.digest(), {name: one["boots"] - one["wakes"] for name, one in stats.items()})
        finally:
            await fleet.stop()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


def test_a_site_speaks_oscore_to_the_real_front_and_to_its_replacement_that_has_the_records_alone(
    tmp_path: Path,
) -> None:
    everybody = {place.device for place in CONFIG.places()}

    async def script(fleet: Fleet, provisioner: Provisioner) -> None:
        lives: list[set[str]] = []
        for gateway_id in (FIRST, SECOND):
            front = Front(gateway_id, provisioner, tmp_path)
            await front.start()
            await asyncio.sleep(150)
            counters = front.server.counters
            assert counters.echo == len(everybody) and counters.answers.keys() == {"2.04"}
            await front.stop()
            stored = front.stored()
            assert {identity.partition(":")[0] for identity in stored} == everybody
            assert len(stored) == len(set(stored)) >= 3 * 2
            lives.append(set(stored))
        assert not lives[0] & lives[1], "what the first had acknowledged did not come again"

    run = play(tmp_path, script)
    assert run.ledger.unsealed == [] and run.ledger.reused() == 0
    assert set(run.boots.values()) == {1}, "nobody touched a device"


def test_one_seed_gives_one_trace_keys_included(tmp_path: Path) -> None:
    async def script(fleet: Fleet, provisioner: Provisioner) -> None:
        front = Front(FIRST, provisioner, provisioner.records.parent.parent)
        await front.start()
        await asyncio.sleep(20)
        await front.stop()

    one, other = (play(tmp_path / name, script) for name in ("one", "other"))
    assert one.trace == other.trace and len(one.ledger.sealed) >= 3
