"""Pavé beside ThingsBoard's IoT gateway: the same readings through each into a real mosquitto, in one run.

    python -m benchmarks.rival [--quick]

    rate     readings as fast as 64 devices get them acknowledged, gateways in turns: acknowledged and arrived a second
    kills    five SIGKILLs at random moments under a steady load: what was acknowledged and never arrived, and what
             arrived twice, by identity (device, epoch, seq)

A third gateway, ours but made to acknowledge before it commits, proves that a loss would be seen. It is a failure if it
loses nothing, and if ours loses or ours is not delivered whole; what the rival does is only told. mosquitto_sub, by
other hands, writes down what arrives. `--quick` is short: its figures are not to be quoted.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import _ingest_requests as requests
from benchmarks._measures import machine
from benchmarks._rival_city import City, Identity, tally
from benchmarks._rival_gateways import CONTROL, KINDS, PAVE, RIVAL, ROOT, Gateway
from simulation.processes import end_with_parent

DEVICES = 64
KILLS = 5
SEED = 20261123
FIRST_KILL_S, DOWN_MAX_S = 3.0, 1.0
_LOOK_S = 0.25
Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How long a run is."""

    rounds: int
    readings_each: int  # of one device, in a round of `rate`
    kills_for_s: float
    rate: float  # readings a second, while there are kills
    quiet_s: float  # without a message, and everything has arrived that ever will


FULL = Plan(rounds=3, readings_each=150, kills_for_s=60.0, rate=100.0, quiet_s=10.0)
QUICK = Plan(rounds=1, readings_each=20, kills_for_s=20.0, rate=50.0, quiet_s=6.0)


class Bench:
    """A gateway with its city and its devices."""

    def __init__(self, name: str, folder: Path, plan: Plan, stack: ExitStack) -> None:
        self.plan = plan
        self.city = City(folder / "city")
        stack.callback(self.city.close)
        self.gateway = Gateway(KINDS[name], folder / "gateway", self.city.port, DEVICES)
        stack.callback(self.gateway.kill)
        self.starts_s = [self.gateway.start()]
        self._first = 0

    def devices(self, count: int, rate: float = 0.0) -> subprocess.Popen[str]:
        """Have every device report its next `count` readings."""
        options = {"kind": self.gateway.kind.link, "port": self.gateway.port, "devices": DEVICES, "first": self._first,
                   "count": count, "rate": rate}  # fmt: skip
        self._first += count
        words = [f"--{key}={value}" for key, value in options.items()]
        command = [sys.executable, "-m", "benchmarks._rival_devices", *words]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent)

    def said(self, process: subprocess.Popen[str]) -> Figures:
        """Wait for the devices, noting the gateway's memory; return what they say."""
        while True:
            try:
                output, _ = process.communicate(timeout=_LOOK_S)
                return json.loads(output)
            except subprocess.TimeoutExpired:
                self.gateway.look()

    def rate(self) -> Figures:
        """Report as fast as it goes; return readings a second."""
        before = self.city.size()
        said = self.said(self.devices(self.plan.readings_each))
        self.city.wait_until_quiet(self.plan.quiet_s, 300)
        arrived = self.city.deliveries(before)
        count = len({identity for _, identity in arrived})
        took_s = max((at for at, _ in arrived), default=said["began_s"]) - said["began_s"]
        wanted = DEVICES * self.plan.readings_each
        return {
            "acknowledged_per_s": round(wanted / said["took_s"]),
            "arrived_per_s": round(count / took_s) if took_s > 0 else 0,
            **tally(arrived, _identities(said["acknowledged"], self._first - self.plan.readings_each)),
        }

    def kills(self) -> Figures:
        """Kill the gateway at random moments of a steady load; return what became of the readings."""
        plan, source = self.plan, random.Random(SEED)
        moments_s = sorted(source.uniform(FIRST_KILL_S, plan.kills_for_s) for _ in range(KILLS))
        count = int(plan.kills_for_s * plan.rate / DEVICES)
        before, first = self.city.size(), self._first
        process = self.devices(count, plan.rate)
        began_s = time.monotonic()
        for moment_s in moments_s:
            time.sleep(max(0.0, began_s + moment_s - time.monotonic()))
            self.gateway.kill()
            time.sleep(source.uniform(0, DOWN_MAX_S))
            self.starts_s.append(self.gateway.start())
        said = self.said(process)
        self.city.wait_until_quiet(plan.quiet_s, 300)
        told = tally(self.city.deliveries(before), _identities(said["acknowledged"], first))
        return {"kills": KILLS, "tries": said["tries"], **told}


def run(plan: Plan, folder: Path) -> Figures:
    """Run all of it."""
    with ExitStack() as stack:
        benches = {name: Bench(name, folder / name, plan, stack) for name in (PAVE, RIVAL)}
        rates: dict[str, list[Figures]] = {name: [] for name in benches}
        for _ in range(plan.rounds):
            for name, bench in benches.items():
                rates[name].append(bench.rate())
        benches[CONTROL] = Bench(CONTROL, folder / CONTROL, plan, stack)
        return {name: _told(bench, rates.get(name, []), bench.kills()) for name, bench in benches.items()}


def _told(bench: Bench, rates: list[Figures], kills: Figures) -> Figures:
    told: Figures = {
        "label": bench.gateway.kind.label,
        "rounds": rates,
        "kills": kills,
        "pss_mb_most": round(bench.gateway.most_mb, 1),
        "start_s": round(median(bench.starts_s), 2),
    }
    for key in ("acknowledged_per_s", "arrived_per_s"):
        told[key] = round(median(figures[key] for figures in rates)) if rates else None
    return told


def _identities(acknowledged: dict[str, int], first: int) -> set[Identity]:
    return {
        (device, requests.EPOCH, requests.FIRST_SEQ + turn)
        for device, count in acknowledged.items()
        for turn in range(first, first + count)
    }


def failures(found: dict[str, Figures]) -> list[str]:
    """What must not be, in one line each."""
    told = [f"{name}: {figures['lost']} acknowledged readings never arrived"
            for name, figures in ((PAVE, each) for each in [found[PAVE]["kills"], *found[PAVE]["rounds"]])
            if figures["lost"]]  # fmt: skip
    if not found[CONTROL]["kills"]["lost"]:
        told.append("the control lost nothing: a loss would not have been seen; run it again, or longer")
    return told


def show(console: Console, found: dict[str, Figures]) -> None:
    """Print the table."""
    table = Table(title=f"{DEVICES} devices, one mosquitto; {KILLS} SIGKILLs", box=box.SIMPLE)
    columns = ("acknowledged/s", "arrived/s", "PSS, MB", "start, s", "acknowledged", "lost", "duplicates")
    table.add_column("gateway", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    for told in found.values():
        kills = told["kills"]
        rates = [f"{told[key]:,}" if told[key] is not None else "" for key in ("acknowledged_per_s", "arrived_per_s")]
        table.add_row(told["label"], *rates, f"{told['pss_mb_most']:.0f}", f"{told['start_s']:.1f}",
                      f"{kills['acknowledged']:,}", str(kills["lost"]), str(kills["duplicates"]))  # fmt: skip
    console.print(table)
    console.print("acknowledged, lost, duplicates: under the kills. lost: told to be safe, and never arrived")


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rival", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="all of it in some two minutes")
    given = parser.parse_args()
    console = Console(width=150)
    about = machine()
    console.print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items()))
    (ROOT / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rival-", dir=ROOT / "var"))
    try:
        found = run(QUICK if given.quick else FULL, folder)
    finally:
        shutil.rmtree(folder)
    show(console, found)
    failed = failures(found)
    for failure in failed:
        console.print(f"FAILURE: {failure}")
    print(json.dumps({"quick": given.quick, "machine": about, "failures": failed, **found}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
