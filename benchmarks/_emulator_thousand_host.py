"""The emulator's process of `_emulator_thousand`: builds the images, runs the sensors, keeps the books.

It says `mark power` when power is about to come, `mark street` when every first reading was acknowledged and the world
has begun, `mark end` when the time is over; then one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

from benchmarks import _emulator_usage as usage
from benchmarks._emulator_virtual import SCENARIO
from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import WallClock
from pave_emulator.fleet import DeviceSpec, Fleet
from pave_emulator.scenario import load as scenario
from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.site import local_m
from pave_emulator.scenario.world import Bay, Change, World
from pave_gateway import config
from pave_gateway.config import Config
from pave_gateway.store.journal import JournalReader
from simulation import accounts, devices
from simulation.accounts import Books, Receipt, Truth
from simulation.tap import Tap

COPY = 50  # sensors
START_HOUR = 10
HEARTBEAT_S = 3600
BOOT_TIMEOUT_S = 540.0
EARLY_S = 20.0  # of the longest manoeuvre: a vehicle may be noticed from when it moves, it counts from when it stands
LATE_S = 60.0  # as the scenario's own properties have it
PENDING_S = 20.0  # longer than a report with its retransmissions
MARK_S = 0.2  # for who waits for a mark to see it
DESCRIPTORS_EACH = 8  # channel, console, log, image, socket, and room
SHOWN = 5
# what a console line holds, and what it is counted as
ERRORS = {
    "Traceback": "tracebacks",
    "report failed": "reports failed, sent again later",
    "[emu] FAULT": "faults of chips",
    "a defect of the emulator": "defects of the emulator",
}


class Street:
    """The sensors, and all that is seen of them. Made on the running loop."""

    def __init__(self, site: Config, specs: list[DeviceSpec], folder: Path) -> None:
        self._site = site
        self._tap = Tap()
        self._truths: list[Truth] = []
        self._errors: Counter[str] = Counter()
        self._troubled: set[str] = set()
        self._lost: list[str] = []  # why the process that runs the VMs has ended
        self.first_s: dict[str, float] = {}
        """When a reading of a device was acknowledged for the first time, by name, on the clock."""
        self.clock = WallClock()
        bays = [Bay(bay.id, bay.kind, bay.street, local_m(bay.lat, bay.lon)) for bay in site.bay]
        self.world = World(_scenario(site), bays)
        air = WifiAir(self.clock, AccessPoint(devices.WIFI_SSID, devices.WIFI_KEY), tap=self._heard)
        self.fleet = Fleet(
            specs, self.world, air, self.clock, folder / "consoles", self._happened, on_lost=self._lost.append
        )
        self.fleet.subscribe(self._said)

    async def all_acknowledged(self) -> None:
        """Wait for every sensor's first reading."""
        end_s = self.clock.now_s() + BOOT_TIMEOUT_S
        while len(self.first_s) < len(self._site.bay) and self.clock.now_s() < end_s:
            await asyncio.sleep(0.05)

    async def settle(self, at_most_s: float) -> None:
        """No vehicle begins to move any more; wait for the reports that are under way."""
        self.world.stop_traffic(self.fleet.now_s())
        end_s = self.clock.now_s() + at_most_s
        while True:
            await asyncio.sleep(1.0)
            settled, left_s = self.settlement(), end_s - self.clock.now_s()
            if left_s < -PENDING_S or (not settled.pending and (left_s < 0 or not settled.unreported)):
                return

    def settlement(self) -> accounts.Settlement:
        """What the scenario did against what the gateway has stored."""
        place = {bay.device: bay.id for bay in self._site.bay}
        with closing(JournalReader(self._site.journal.path)) as journal:
            rows = [stored.row for batch in journal.all() for stored in batch]
        books = Books(
            truths=[replace(truth, at_s=truth.at_s - EARLY_S) for truth in self._truths],
            sent=dict(self._tap.sent),
            acknowledged=set(self._tap.acknowledged),
            stored={row.identity: row.values for row in rows},
            received=[Receipt(row.identity, place[row.device], row.read_ms / 1000, row.values) for row in rows],
        )
        return accounts.settle(books, EARLY_S + LATE_S)

    def counts(self) -> dict[str, int]:
        """What happened."""
        settled = self.settlement()
        stats = self.fleet.stats().values()
        return {
            "boots": sum(one["boots"] for one in stats),
            "of them wakes from deep sleep": sum(one["wakes"] for one in stats),
            "calls of the VMs": sum(one["rpc_calls"] for one in stats),
            "datagrams": self._tap.datagrams,
            "readings sent": len(self._tap.sent),
            "readings acknowledged": len(self._tap.acknowledged),
            "changes of bays, true": settled.truth,
            "changes stored at the gateway": settled.received,
            "true and not stored": len(settled.unreported),
            "stored and not true": len(settled.phantom),
            "crashes": sum(one["crashes"] for one in stats),
            "bites of the watchdog": sum(one["watchdog_resets"] for one in stats),
            **{name: self._errors[name] for name in ERRORS.values()},
        }

    def not_stored(self) -> list[str]:
        """The true changes that nobody reported: the firmware's to explain, or a device's that stands still."""
        begun_s = time.time() - self.fleet.now_s() - EARLY_S
        return [
            f"{truth.bay} {'taken' if truth.occupied else 'free'} at {truth.at_s - begun_s:.0f} s"
            for truth in self.settlement().unreported
        ]

    def failures(self) -> list[str]:
        """What must not be: a device that crashed, or stands still, or lost a reading."""
        settled = self.settlement()
        stats = self.fleet.stats()
        silent = [bay.id for bay in self._site.bay if bay.id not in self.first_s]
        crashed = {name for name, one in stats.items() if one["crashes"] or one["watchdog_resets"]} | self._troubled
        still = [name for name, device in self.fleet.devices.items() if device.state not in ("running", "sleeping")]
        told = (
            ("processes were lost", self._lost),
            ("never had a reading acknowledged", silent),
            ("crashed or were bitten by the watchdog", crashed),
            ("neither run nor sleep", still),
            ("were sent and not acknowledged at the end", settled.pending),
            ("were acknowledged and are not stored", settled.missing_stored),
        )
        return [f"{len(which)} {what}: {', '.join(sorted(which)[:SHOWN])}" for what, which in told if which]

    def _happened(self, change: Change) -> None:
        self._truths.append(Truth(change.bay, change.occupied, time.time()))

    def _heard(self, device: str, direction: str, now_s: float, data: bytes) -> None:
        if direction == "up":
            self._tap.from_device(device, data)
            return
        before = len(self._tap.acknowledged)
        self._tap.to_device(device, data)
        if device not in self.first_s and len(self._tap.acknowledged) > before:
            self.first_s[device] = now_s

    def _said(self, device: str, line: str) -> None:
        for what, name in ERRORS.items():
            if what in line:
                self._errors[name] += 1
                if what == "Traceback":
                    self._troubled.add(device)


def _scenario(site: Config) -> Scenario:
    """The day's, from START_HOUR; each metro line runs under every copy of its bays."""
    day = scenario.load(SCENARIO)
    metro = [
        replace(line, bays=tuple(bay.id for bay in site.bay if bay.id.rpartition("-")[0] in line.bays))
        for line in day.metro
    ]
    return replace(day, start=day.start.replace(hour=START_HOUR), metro=tuple(metro), properties=())


def build(site: Config, coap_port: int, folder: Path) -> list[DeviceSpec]:
    """The images. The copies' first heartbeats are spread over the hour, as if they had not all been booted at once."""
    copies = [site.bay[at : at + COPY] for at in range(0, len(site.bay), COPY)]
    sites = [site.model_copy(update={"bay": bays}) for bays in copies]
    heartbeats_s = [HEARTBEAT_S * (number + 1) // len(copies) for number in range(len(copies))]
    gateway = ("127.0.0.1", coap_port)
    with ProcessPoolExecutor() as pool:
        built = pool.map(devices.build, sites, repeat(gateway), repeat(folder / "flash"), heartbeats_s)
        return [spec for specs in built for spec in specs]


async def run(street: Street, for_s: float, settle_s: float) -> dict[str, Any]:
    """Power on, the street, the end."""
    print("mark power", flush=True)
    await asyncio.sleep(MARK_S)
    began_s = street.clock.now_s()
    await street.fleet.start(hold_world=True)
    powered_s = street.clock.now_s() - began_s
    await street.all_acknowledged()
    acknowledged_s = street.clock.now_s()
    street.fleet.begin_world()
    world_s = street.clock.now_s() - acknowledged_s
    print("mark street", flush=True)
    await asyncio.sleep(for_s)
    print("mark end", flush=True)
    await street.settle(settle_s)
    counts, not_stored, failures = street.counts(), street.not_stored(), street.failures()
    await street.fleet.stop()
    took_s = [first_s - began_s for first_s in street.first_s.values()] or [0.0]
    median_s, _ = usage.median_and_p95(took_s)
    boot = {"powered_s": powered_s, "median_s": median_s, "last_s": max(took_s), "world_s": world_s}
    return {
        "sensors": len(street.fleet.devices),
        "boot": {name: round(value_s, 2) for name, value_s in boot.items()},
        "counts": counts,
        "not_stored": not_stored,
        "failures": failures,
    }


def allow_descriptors(sensors: int) -> None:
    """Raise the limit of open files as far as it is needed. Raise SystemExit when we may not."""
    needed = sensors * DESCRIPTORS_EACH + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(f"{sensors} sensors need {needed} open files, the limit is {hard}: raise it (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def main() -> None:
    """Run in this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("site", type=Path)
    parser.add_argument("coap_port", type=int)
    parser.add_argument("for_s", type=float)
    parser.add_argument("settle_s", type=float)
    given = parser.parse_args()
    site = config.load(given.site)
    allow_descriptors(len(site.bay))
    specs = build(site, given.coap_port, given.site.parent)

    async def whole() -> dict[str, Any]:
        return await run(Street(site, specs, given.site.parent), given.for_s, given.settle_s)

    print(json.dumps(asyncio.run(whole())), flush=True)


if __name__ == "__main__":
    main()
