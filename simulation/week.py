"""A week of the example site in virtual time: sensors over LoRaWAN, kiosks over Wi-Fi, the production gateway.

    python -m simulation.week                               # hours
    python -m simulation.week --days 0.05 --sensors 4 --kiosks 1

Things are taken away on the way, as examples/bercy/scenarios/week.yaml says. At the end traffic stops, what is under
way arrives, and the properties of `simulation.week_properties` are judged. Prints a table; the last line is one JSON
object; exits 0 if all hold, 1 if not.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pave_emulator import board
from pave_emulator.chips.ssd1306 import Ssd1306
from pave_emulator.device import Device
from pave_emulator.power.projection import Projection, project
from pave_emulator.power.spec import read_power
from pave_emulator.scenario.model import ScenarioError
from pave_emulator.scenario.steps import Step
from pave_emulator.trace import CONSOLE, Record
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway.core.bay_state import OCCUPIED_STATE
from pave_gateway.store.journal import JournalReader
from pave_tools.board import board_path
from pave_wire.event import REBUILT
from pave_wire.model import REASON
from pave_wire.reading import CRASH
from simulation import devices
from simulation.chain import ROOT
from simulation.virtual import JOURNAL_FILE, Plan, Site
from simulation.week_properties import Evidence, Identity, Looks, Outage, Panels, Verdict, judge

SCENARIO = ROOT / "examples" / "bercy" / "scenarios" / "week.yaml"
DAY_S = 86_400.0
LOOK_S = 30.0
DRAIN_S = 4500.0  # a heartbeat and its repeats
TELL_S = 3600.0
_SITE_WIDE = ("gateway_outage", "radio_outage", "wifi_outage")
_UNHEARD = ("gateway_outage", "wifi_outage")
_OF_DEVICE = {"power_cut": 60.0, "brown_out": 1.0, "reset": 1.0}


class Week:
    """Looks at a site while it runs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        steps = site.world.scenario.steps
        self.seen = Evidence(Looks(outages(steps)), Panels(unheard(steps), [_picture(bytes(1024))]))
        self.energy: dict[str, Projection] = {}
        self._true: dict[str, tuple[bool, float]] = {}
        self._heard_of = 0
        site.trace.subscribers.append(self._record)

    def look(self) -> None:
        """Compare every bay that has a device, and take note of every panel."""
        now_s = self._site.clock.now_s()
        for change in self._site.truths[self._heard_of :]:
            self._true[change.bay] = change.occupied, change.t_s
        self._heard_of = len(self._site.truths)
        for name, device in self._site.fleet.devices.items():
            if name in self._site.world.kiosks:
                self._look_at_panel(now_s, name, device)
            elif self._site.serving:
                bay = self._site.gateway.bays.get(name)
                held = None if bay is None or bay.state is None else bay.state == OCCUPIED_STATE
                self.seen.looks.look(now_s, name, *self._true.get(name, (False, 0.0)), held)

    def so_far(self) -> str:
        """For who watches a run of hours."""
        looks, panels = self.seen.looks, self.seen.panels
        police = sum(self._site.masts.police.violations.values()) if self._site.masts else 0
        counts = f"{len(self.seen.crashes)} exceptions, {police} violations, {len(panels.stale)} stale pictures"
        return f"{looks.wrong} of {looks.judged} looks wrong, {counts}"

    def end(self, journal: Path) -> None:
        """Take the rest of the evidence: the site still runs, nothing is under way."""
        self.seen.looks.end()
        supply = read_power(board.load(board_path(devices.BOARDS["presence"])).power).supply
        for name in sorted(self._site.over_lora):
            meter = self._site.fleet.device(name).meter
            assert meter is not None
            self.energy[name] = project(meter.snapshot(), supply)
        self.seen.years = {name: projection.years for name, projection in self.energy.items()}
        self.seen.violations = dict(self._site.masts.police.violations) if self._site.masts else {}
        for name, stats in self._site.fleet.stats().items():
            if stats["crashes"] or stats["watchdog_resets"]:
                self.seen.crashes.append(f"{name}: {stats['crashes']} crashes, {stats['watchdog_resets']} bites")
        self.seen.identities, reported = received(journal)
        self.seen.crashes += reported

    def _look_at_panel(self, now_s: float, name: str, device: Device) -> None:
        chip = device.chip("display")
        assert isinstance(chip, Ssd1306)
        if chip.on:
            self.seen.panels.look(now_s, name, _picture(b"".join(chip.gddram)))

    def _record(self, record: Record) -> None:
        if record.kind == CONSOLE and "Traceback" in record.fields["line"]:
            self.seen.crashes.append(f"{record.device}: an exception at {record.t_us / 1e6:.0f} s")


def received(path: Path) -> tuple[list[Identity], list[str]]:
    """Return what a journal has got from devices, and the crashes among it in words.

    A reading rebuilt from a later one is the gateway's guess under its identity, until it comes: it is not received.
    """
    identities: list[Identity] = []
    crashes: list[str] = []
    with closing(JournalReader(path)) as journal:
        for row in (stored.row for batch in journal.all() for stored in batch):
            if row.values.get(REASON) != REBUILT:
                identities.append((row.device, row.epoch, row.seq))
            if CRASH in row.values:
                crashes.append(f"{row.device} reported: {row.values[CRASH]}")
    return identities, crashes


def outages(steps: tuple[Step, ...]) -> list[Outage]:
    """When something is taken away that a bay's state hangs on."""
    found: list[Outage] = []
    for step in steps:
        if step.at_s is None:
            continue
        if step.action in _SITE_WIDE:
            found.append(Outage(step.at_s, step.at_s + step.arguments["s"]))
        elif step.action in _OF_DEVICE:
            lasts_s = step.arguments.get("s", _OF_DEVICE[step.action])
            found.append(Outage(step.at_s, step.at_s + lasts_s, step.arguments["device"]))
    return found


def unheard(steps: tuple[Step, ...]) -> list[Outage]:
    """When no news can reach a kiosk."""
    return [
        Outage(step.at_s, step.at_s + step.arguments["s"])
        for step in steps
        if step.at_s is not None and step.action in _UNHEARD
    ]


async def live(plan: Plan, work_dir: Path, tell: Callable[[str], None]) -> tuple[list[Verdict], dict[str, Any]]:
    """Let `plan.for_s` pass and what is under way arrive; return the properties and the figures."""
    site = Site(plan, work_dir)
    week = Week(site)
    began_s = time.perf_counter()
    await site.start()
    stops_s = site.clock.now_s() + plan.for_s
    told_s, stopped = 0.0, False
    while (now_s := site.clock.now_s()) < stops_s + DRAIN_S:
        if not stopped and now_s >= stops_s:
            site.world.stop_traffic(site.fleet.now_s())
            stopped = True
        if now_s >= told_s:
            told_s = now_s + TELL_S
            tell(f"{now_s / 3600:.0f} h simulated in {time.perf_counter() - began_s:.0f} s: {week.so_far()}")
        await asyncio.sleep(LOOK_S)
        week.look()
    week.end(work_dir / JOURNAL_FILE)
    figures = _figures(site, week, time.perf_counter() - began_s)
    await site.stop()
    return judge(week.seen), figures


def run(plan: Plan, work_dir: Path, tell: Callable[[str], None]) -> tuple[list[Verdict], dict[str, Any]]:
    """Run in virtual time from 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(live(plan, work_dir, tell))


def _figures(site: Site, week: Week, wall_s: float) -> dict[str, Any]:
    spent = [projection.mah_per_day for projection in week.energy.values()]
    looks = week.seen.looks
    return {
        "devices": len(site.fleet.devices),
        "over_lorawan": len(site.over_lora),
        "simulated_s": round(site.clock.now_s()),
        "wall_s": round(wall_s, 1),
        "changes": len(site.truths),
        "stored": len(week.seen.identities),
        "looks": looks.judged,
        "looks_wrong": looks.wrong,
        "longest_wrong_s": max(looks.longest_s.values(), default=0.0),
        "mah_per_day_mean": round(sum(spent) / len(spent), 3) if spent else None,
        "mah_per_day_most": round(max(spent), 3) if spent else None,
        "years_least": round(min(week.seen.years.values()), 1) if spent else None,
        "boots": sum(stats["boots"] for stats in site.fleet.stats().values()),
        "trace": site.trace.digest(),
    }


def _picture(memory: bytes) -> bytes:
    return hashlib.blake2b(memory, digest_size=16).digest()


def show(verdicts: list[Verdict], figures: dict[str, Any], console: Console) -> None:
    """Print both."""
    table = Table(title=f"{figures['devices']} devices, {figures['simulated_s'] / DAY_S:.2f} days")
    for column in ("property", "holds", "judged", "what broke it"):
        table.add_column(column)
    for one in verdicts:
        table.add_row(one.name, "yes" if one.holds else "NO", f"{one.checked:,}", "\n".join(one.found[:10]))
    console.print(table)
    console.print(f"run time {figures['wall_s']:.0f} s")


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation.week", description="A week of the example site.")
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--scenario", type=Path, default=SCENARIO)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--sensors", type=int, help="at most so many")
    parser.add_argument("--kiosks", type=int, help="at most so many")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave images, consoles and journal here")
    given = parser.parse_args()
    work_dir = given.keep or Path(tempfile.mkdtemp(prefix="pave-"))
    work_dir.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        given.scenario, given.days * DAY_S, given.seed, given.sensors, given.kiosks, metered=True, link="lorawan"
    )
    try:
        verdicts, figures = run(plan, work_dir, lambda line: print(line, flush=True))
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if not given.keep:
            shutil.rmtree(work_dir)
    show(verdicts, figures, Console(width=120))
    held = {one.name: one.holds for one in verdicts}
    print(json.dumps({"holds": all(held.values()), "properties": held, **figures}))
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
