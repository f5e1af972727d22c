"""A site in virtual time: devices, world, gateway and journal on one simulated clock; one seed gives one trace.

    python -m simulation.virtual examples/bercy/scenarios/day.yaml --for 86400 --seed 7

Keys and nonces come from the seed too: what is kept secret elsewhere is the same in each run here. Last line: one JSON
object, with the hashes of trace, journal and commits, and what was read, stored and true.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2

from pave_emulator import trace_file
from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.fleet import DeviceSpec, Fleet
from pave_emulator.scenario import load as scenario
from pave_emulator.scenario.model import ScenarioError
from pave_emulator.scenario.site import local_m
from pave_emulator.scenario.world import Bay, Change, World
from pave_emulator.trace import Trace
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway import config
from pave_gateway.config import Config
from pave_gateway.core.keys import draw_gateway_id
from pave_gateway.store.journal import JournalReader
from simulation import devices, site_keys, virtual_lora
from simulation.chain import ROOT
from simulation.virtual_gateway import EPOCH_MS, VirtualGateway
from simulation.virtual_lora import Masts

SITE = ROOT / "examples" / "bercy" / "site.toml"
COAP = ("127.0.0.1", 5683)  # of the simulated network
HEARTBEAT_S = 3600
LINKS = ("wifi", "lorawan")
ON_MAINS = ("bercy-t-01", "bercy-t-02")  # beside a kiosk's cable: they keep Wi-Fi where the others have LoRaWAN
TRACE_FILE, JOURNAL_FILE = "trace.ndjson", "journal.db"  # in the work directory


@dataclass(frozen=True)
class Plan:
    """What to run. `sensors` and `kiosks` limit how many there are (None: all); `written` keeps a trace.

    `link` is how sensors speak: "wifi", or "lorawan" for all but those ON_MAINS.
    """

    scenario: Path
    for_s: float
    seed: int | None = None
    sensors: int | None = None
    kiosks: int | None = None
    metered: bool = False
    written: bool = False
    link: str = "wifi"


@dataclass(frozen=True)
class Outcome:
    """What came of a run. Times in s: `wall_s` without building the images.

    Attributes:
        digest: Of the trace.
        journal: Of the log: every reading with its place in it, its times and its values.
        commits: Of every group of rows handed to the journal, in order.
    """

    digest: str
    journal: str
    commits: str
    records: int
    simulated_s: float
    wall_s: float
    stats: dict[str, dict[str, int]]
    truths: int
    answers: dict[str, int]
    stored: int

    def summary(self) -> dict[str, Any]:
        """For people and scripts."""
        total = {key: sum(one[key] for one in self.stats.values()) for key in next(iter(self.stats.values()))}
        return {
            "trace": self.digest,
            "journal": self.journal,
            "commits": self.commits,
            "records": self.records,
            "devices": len(self.stats),
            "simulated_s": round(self.simulated_s, 3),
            "wall_s": round(self.wall_s, 2),
            "speed": round(self.simulated_s / self.wall_s, 1),
            "changes": self.truths,
            "answers": self.answers,
            "stored": self.stored,
            **total,
        }


class Site:
    """A site on the running VirtualLoop: `start`, let time pass, `stop`; then `outcome`.

    Attributes:
        config: Of the gateway; its bays and kiosks are all of the site, with a device running or not.
        truths: Every change of a bay so far.
        masts: What hears the sensors over LoRaWAN; None where they speak Wi-Fi.
        serving: Whether the gateway runs.
    """

    def __init__(self, plan: Plan, work_dir: Path) -> None:
        """Build the images. Raise ScenarioError, and what building images raises."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._plan, self._work_dir = plan, work_dir
        played = scenario.load(plan.scenario, plan.seed)
        random.seed(played.seed)  # aiocoap's message IDs, tokens and spreads
        keys = _provisioner(work_dir, random.Random(played.seed))
        self.config = site_keys.believing(config.load(SITE), keys)
        self.over_lora = _over_lora(self.config, plan)
        chosen = _chosen(plan, self.config)
        specs = devices.build(
            chosen, COAP, work_dir / "flash", HEARTBEAT_S, keys, EPOCH_MS / 1000, self.over_lora
        )  # fmt: skip
        self.clock, self.trace, self.truths = VirtualClock(loop), Trace(hashed=True), list[Change]()
        self.masts = Masts(self.config, self.clock, self.trace, played.seed) if self.over_lora else None
        if self.masts:
            self.config = virtual_lora.listening(self.config)
        self._written = (work_dir / TRACE_FILE).open("w") if plan.written else None
        if self._written:
            self.trace.subscribers.append(trace_file.writer(self._written))
        self.gateway = VirtualGateway(self.config, work_dir / JOURNAL_FILE, played.seed)
        self.serving = False
        self.world = World(played, _bays(self.config), [kiosk.id for kiosk in self.config.kiosk])
        self.fleet = self._fleet(specs, played.seed)
        self._outage: asyncio.Task[None] | None = None

    def _fleet(self, specs: list[DeviceSpec], seed: int) -> Fleet:
        places = virtual_lora.positions_m(self.config)
        air = WifiAir(self.clock, AccessPoint(devices.WIFI_SSID, devices.WIFI_KEY), trace=self.trace, seed=seed)
        fleet = Fleet(
            specs, self.world, air, self.clock, self._work_dir / "consoles",
            on_truth=self.truths.append, traced=self.trace, seed=seed, metered=self._plan.metered,
            drifting=bool(self.masts), lora=self.masts.air if self.masts else None,
            positions_m={name: places[name] for name in sorted(self.over_lora)},
        )  # fmt: skip
        fleet.concentrators = self.masts.concentrators if self.masts else []
        fleet.gateway_outage = self._gateway_outage
        return fleet

    async def start(self) -> None:
        """Start the gateway, then every device at once."""
        await self._serve()
        if self.masts:
            await self.masts.start()
        await self.fleet.start()

    async def stop(self) -> None:
        """End the devices, then the gateway."""
        await self.fleet.stop()
        if self.masts:
            self.masts.stop()
        if self._outage:
            await self._outage
        await self.gateway.stop()
        self.serving = False
        if self._written:
            self._written.close()

    async def _serve(self) -> None:
        await self.gateway.start(*COAP)
        self.serving = True

    def _gateway_outage(self, s: float) -> None:
        if self.serving:
            self.serving = False
            self._outage = asyncio.get_running_loop().create_task(self._away(s))

    async def _away(self, s: float) -> None:
        await self.gateway.stop()
        await asyncio.sleep(s)
        await self._serve()


async def play(plan: Plan, work_dir: Path) -> Outcome:
    """Run on the running VirtualLoop. Raise ScenarioError, and what building images raises."""
    site = Site(plan, work_dir)
    started_s = time.perf_counter()
    await site.start()
    await asyncio.sleep(plan.for_s)
    wall_s = time.perf_counter() - started_s
    stats, digest = site.fleet.stats(), site.trace.digest()
    await site.stop()
    stored, journal = _log(work_dir / JOURNAL_FILE)
    return Outcome(
        digest, journal, site.gateway.commits_digest, site.trace.records, plan.for_s, wall_s, stats,
        len(site.truths), site.gateway.answers, stored,
    )  # fmt: skip


def run(plan: Plan, work_dir: Path) -> Outcome:
    """Run in virtual time from 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(play(plan, work_dir))


def _over_lora(site: Config, plan: Plan) -> frozenset[str]:
    """The sensors that speak LoRaWAN: all but those on the mains, of those there are."""
    if plan.link == "wifi":
        return frozenset()
    return frozenset(bay.id for bay in site.bay[: plan.sensors] if bay.id not in ON_MAINS)


def _chosen(plan: Plan, site: Config) -> Config:
    return site.model_copy(update={"bay": site.bay[: plan.sensors], "kiosk": site.kiosk[: plan.kiosks]})


def _provisioner(work_dir: Path, source: random.Random) -> site_keys.SiteProvisioner:
    key_file = work_dir / f"{JOURNAL_FILE}.keys"
    gateway_id = draw_gateway_id(source.randbytes)
    return site_keys.provisioner(config.load(SITE).site.id, key_file, gateway_id, work_dir, EPOCH_MS, source.randbytes)


def _log(path: Path) -> tuple[int, str]:
    """Return how many readings the log has, and their digest."""
    count, digest = 0, hashlib.sha256()
    with closing(JournalReader(path)) as journal:
        for stored in (stored for batch in journal.all() for stored in batch):
            row = stored.row
            times = [row.received_ms, row.read_ms, row.synchronized]
            told = [stored.position, row.device, row.epoch, row.seq, row.counter, times, row.reading_class, row.values]
            digest.update(cbor2.dumps(told))
            count += 1
    return count, digest.hexdigest()


def _bays(site: Config) -> list[Bay]:
    return [Bay(bay.id, bay.kind, bay.street, local_m(bay.lat, bay.lon)) for bay in site.bay]


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation.virtual", description="The site in virtual time.")
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--for", dest="for_s", type=float, default=3600.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--sensors", type=int, help="at most so many")
    parser.add_argument("--kiosks", type=int, help="at most so many")
    parser.add_argument("--link", choices=LINKS, default="wifi", help="how sensors speak")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave images, consoles, journal and trace here")
    arguments = parser.parse_args()
    work_dir = arguments.keep or Path(tempfile.mkdtemp(prefix="pave-"))
    work_dir.mkdir(parents=True, exist_ok=True)
    try:
        plan = Plan(
            arguments.scenario, arguments.for_s, arguments.seed, arguments.sensors, arguments.kiosks,
            written=arguments.keep is not None, link=arguments.link,
        )  # fmt: skip
        print(json.dumps(run(plan, work_dir).summary()))
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if not arguments.keep:
            shutil.rmtree(work_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
