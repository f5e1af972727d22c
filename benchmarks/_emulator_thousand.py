"""A thousand sensors at wall clock: the CPU and the memory that the emulator's processes take, and what came of it.

The street is Bercy twenty times side by side: the same bays under other names, with devices and positions of their own.
The sensors run the firmware that ships, under the scenario of the day from ten in the morning, a full hour. They report
to the gateway, a process of its own, whose CPU is counted apart. Heartbeats are hourly: a twentieth of the sensors
beats every three minutes. First all get power at one instant, and the world stands still until each has had its first
reading acknowledged; that is the boot. Then it runs for some minutes; that is the street.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import _emulator_usage as usage
from pave_gateway import config
from pave_gateway.config import BayConfig
from simulation import processes
from simulation.virtual import SITE

COPIES, QUICK_COPIES = 20, 1  # of 50 sensors
FOR_S, QUICK_FOR_S = 180, 6
SETTLE_S, QUICK_SETTLE_S = 60, 5  # at most, for reports that are under way when the traffic ends
READY_TIMEOUT_S, BOOT_TIMEOUT_S = 120, 600
COLUMNS, APART_DEG = 5, 0.02  # of the grid of copies; the site is narrower
CORES = 2
CPU_GOAL_PERCENT, MEMORY_GOAL_GB = 60, 12
SAMPLE_S = 3.0  # memory of a thousand processes is not had for nothing
FLASH_BYTES = 4_300_000  # of an image, holes not counted


def measure(quick: bool) -> dict[str, Any]:
    """Run it. Raise SystemExit when it could not be run."""
    copies = QUICK_COPIES if quick else COPIES
    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder:
        _check_room(Path(folder), copies)
        try:
            return asyncio.run(
                _run(Path(folder), copies, *((QUICK_FOR_S, QUICK_SETTLE_S) if quick else (FOR_S, SETTLE_S)))
            )
        except processes.StartError as error:
            raise SystemExit(f"{error}") from None


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print what it took and what came of it."""
    boot, ran = figures["boot"], figures["ran"]
    took = Table(title=f"{figures['sensors']} sensors at wall clock, {ran['wall_s']:.0f} s of street from 10:00")
    for column in ("", "wall s", "CPU s", f"% of {CORES} cores", "peak GB", "CPU s, gateway"):
        took.add_column(column, justify="right" if column else "left")
    for name, part in (("all power on at once, until the street begins", boot), ("street", ran)):
        row = (part["wall_s"], part["cpu_s"], part["cpu_percent"], part["peak_gb"], part["gateway_cpu_s"])
        took.add_row(name, *(f"{value:,.1f}" for value in row[:3]), f"{row[3]:.2f}", f"{row[4]:.1f}")
    console.print(took)
    console.print(
        f"all had power after {boot['powered_s']:.1f} s; first reading acknowledged: median {boot['median_s']:.1f} s, "
        f"last {boot['last_s']:.1f} s; then the world took {boot['world_s']:.1f} s to begin"
    )
    came = Table(title="What came of it")
    came.add_column("")
    came.add_column("", justify="right")
    for name, value in figures["counts"].items():
        came.add_row(name, f"{value:,}")
    console.print(came)
    if figures["not_stored"]:
        console.print(f"true and not stored: {', '.join(figures['not_stored'])}")


@dataclass
class Part:
    """What one part of the run took so far."""

    host_pid: int
    gateway_pid: int
    peak_bytes: int = 0
    began: tuple[float, float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.began = self._now()

    def _now(self) -> tuple[float, float, float]:
        return time.monotonic(), usage.cpu_s(self.host_pid), usage.cpu_s(self.gateway_pid)

    async def sample(self) -> None:
        """Follow the memory, until cancelled."""
        while True:
            self.peak_bytes = max(self.peak_bytes, await asyncio.to_thread(usage.memory_bytes, self.host_pid))
            await asyncio.sleep(SAMPLE_S)

    def taken(self) -> dict[str, float]:
        """The figures."""
        wall_s, cpu_s, gateway_s = (now - then for now, then in zip(self._now(), self.began, strict=True))
        return {
            "wall_s": round(wall_s, 2),
            "cpu_s": round(cpu_s, 2),
            "cpu_percent": round(100 * cpu_s / wall_s / CORES, 1),
            "peak_gb": round(self.peak_bytes / 1e9, 3),
            "gateway_cpu_s": round(gateway_s, 2),
        }


async def _run(folder: Path, copies: int, for_s: float, settle_s: float) -> dict[str, Any]:
    site = folder / "site.toml"
    site.write_text(_site(copies, folder / "journal.sqlite"))
    command = [sys.executable, "-m", "pave_gateway", "run", "--site", str(site)]
    children = [gateway := await processes.start("gateway", command, folder / "gateway.log")]
    try:
        ready = await gateway.wait_for_line("gateway ready", READY_TIMEOUT_S)
        found = re.search(r"coap=\S+:(\d+)", ready)
        assert found, ready
        command = [
            sys.executable,
            "-m",
            "benchmarks._emulator_thousand_host",
            str(site),
            found[1],
            str(for_s),
            str(settle_s),
        ]
        children.append(host := await processes.start("emulator", command, folder / "host.log"))
        await host.wait_for_line("mark power", BOOT_TIMEOUT_S)
        boot = await _part(Part(host.pid, gateway.pid), host, "mark street", BOOT_TIMEOUT_S)
        ran = await _part(Part(host.pid, gateway.pid), host, "mark end", for_s + 60)
        result = json.loads(await host.wait_for_line("{", settle_s + 60))
    finally:
        for child in reversed(children):
            await child.stop()
    return {**result, "boot": {**boot, **result["boot"]}, "ran": ran}


async def _part(part: Part, host: processes.Child, mark: str, timeout_s: float) -> dict[str, float]:
    sampling = asyncio.create_task(part.sample())
    await host.wait_for_line(mark, timeout_s)
    taken = part.taken()
    sampling.cancel()
    with suppress(asyncio.CancelledError):
        await sampling
    return taken


def _site(copies: int, journal: Path) -> str:
    """The site file: no sinks, no kiosks, whatever ports are free."""
    lines = ["[site]", 'id = "bercy-often"', 'name = "Bercy, side by side"', "[listen]"]
    lines += ['coap = "127.0.0.1:0"', 'http = "127.0.0.1:0"', "[coap]", "insecure = true"]
    lines += ["[journal]", f"path = {json.dumps(str(journal))}"]
    bays = config.load(SITE).bay
    for copy in range(copies):
        for number, bay in enumerate(bays, start=copy * len(bays) + 1):
            lines += _bay(bay, copy, number)
    return "\n".join(lines) + "\n"


def _bay(bay: BayConfig, copy: int, number: int) -> list[str]:
    place = {
        "id": f"{bay.id}-{copy:02}",
        "kind": bay.kind,
        "street": bay.street,
        "lat": round(bay.lat + copy // COLUMNS * APART_DEG, 6),
        "lon": round(bay.lon + copy % COLUMNS * APART_DEG, 6),
        "device": f"24a160fffe{number:06x}",
    }
    return ["[[bay]]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in place.items())]


def _check_room(folder: Path, copies: int) -> None:
    needed, free = copies * 50 * FLASH_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{folder.parent} has {free / 1e9:.1f} GB free, the flash images take {needed / 1e9:.1f}; "
            "set TMPDIR to a folder with more room"
        )
    if len(os.sched_getaffinity(0)) < CORES:
        raise SystemExit(f"this machine lets us have fewer than {CORES} cores; run it on one with {CORES}")
