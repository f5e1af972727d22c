"""A site in virtual time: devices, world, gateway and journal on one simulated clock; one seed gives one trace.

    python -m simulation.virtual examples/bercy/scenarios/day.yaml --for 86400 --seed 7

Last line: one JSON object, with the trace's hash and what was read, stored and true.
"""

from __future__ import annotations

import argparse
import asyncio
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
from pave_gateway.store.journal import JournalReader
from pave_tools.board import load_board
from pave_tools.image import first_epoch
from pave_tools.nvs_image import build_nvs
from simulation import devices
from simulation.chain import ROOT
from simulation.virtual_gateway import EPOCH_MS, VirtualGateway

SITE = ROOT / "examples" / "bercy" / "site.toml"
COAP = ("127.0.0.1", 5683)  # of the simulated network
HEARTBEAT_S = 3600
TRACE_FILE, JOURNAL_FILE = "trace.ndjson", "journal.db"  # in the work directory


@dataclass(frozen=True)
class Plan:
    """What to run. `sensors` and `kiosks` limit how many there are (None: all); `written` keeps a trace."""

    scenario: Path
    for_s: float
    seed: int | None = None
    sensors: int | None = None
    kiosks: int | None = None
    metered: bool = False
    written: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a run. Times in s: `wall_s` without building the images."""

    digest: str
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


async def play(plan: Plan, work_dir: Path) -> Outcome:
    """Run on the running VirtualLoop. Raise ScenarioError, and what building images raises."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    site = config.load(SITE)
    played = scenario.load(plan.scenario, plan.seed)
    random.seed(played.seed)  # aiocoap's message IDs, tokens and spreads
    specs = devices.build(_chosen(plan, site), COAP, work_dir / "flash", HEARTBEAT_S)
    _flash_at_start(specs)
    clock, trace, truths = VirtualClock(loop), Trace(hashed=True), list[Change]()
    world = World(played, _bays(site), [kiosk.id for kiosk in site.kiosk])
    air = WifiAir(clock, AccessPoint(devices.WIFI_SSID, devices.WIFI_KEY), trace=trace, seed=played.seed)
    written = (work_dir / TRACE_FILE).open("w") if plan.written else None
    if written:
        trace.subscribers.append(trace_file.writer(written))
    gateway = VirtualGateway(site.places(), work_dir / JOURNAL_FILE)
    await gateway.start(*COAP)
    fleet = Fleet(
        specs, world, air, clock, work_dir / "consoles",
        on_truth=truths.append, traced=trace, seed=played.seed, metered=plan.metered,
    )  # fmt: skip
    started_s = time.perf_counter()
    await fleet.start()
    await asyncio.sleep(plan.for_s)
    wall_s = time.perf_counter() - started_s
    stats, digest = fleet.stats(), trace.digest()
    await fleet.stop()
    await gateway.stop()
    if written:
        written.close()
    with closing(JournalReader(work_dir / JOURNAL_FILE)) as journal:
        stored = sum(len(batch) for batch in journal.all())
    return Outcome(digest, trace.records, plan.for_s, wall_s, stats, len(truths), gateway.answers, stored)


def run(plan: Plan, work_dir: Path) -> Outcome:
    """Run in virtual time from 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(play(plan, work_dir))


def _chosen(plan: Plan, site: Config) -> Config:
    return site.model_copy(update={"bay": site.bay[: plan.sensors], "kiosk": site.kiosk[: plan.kiosks]})


def _flash_at_start(specs: list[DeviceSpec]) -> None:
    """Date each image at the start of simulated time: `devices.build` dates them by the wall clock."""
    for spec in specs:
        board = load_board(spec.board_file)
        nvs = board.partition("nvs")
        with spec.flash_image.open("r+b") as image:
            image.seek(nvs.offset)
            image.write(build_nvs({"pave": {"epoch": first_epoch(EPOCH_MS / 1000)}}, nvs.size))


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
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave images, consoles, journal and trace here")
    arguments = parser.parse_args()
    work_dir = arguments.keep or Path(tempfile.mkdtemp(prefix="pave-"))
    work_dir.mkdir(parents=True, exist_ok=True)
    try:
        plan = Plan(
            arguments.scenario, arguments.for_s, arguments.seed, arguments.sensors, arguments.kiosks,
            written=arguments.keep is not None,
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
