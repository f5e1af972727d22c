"""Where the time of a virtual day goes: by part of the host and in the VMs, and what the devices ask for.

One hour of the whole site from ten in the morning, in a run of its own. A timer of the kernel interrupts the host every
few milliseconds of wall time; what has passed since is put down to the innermost frame that is of a part below. (A
thread that looks would be let in when the host gives up the interpreter's lock, which is mostly where it waits.)
While a VM computes nothing else can happen, so the host waits: that part is the VMs' time, and the switches to them.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

from benchmarks import _emulator_usage as usage
from benchmarks import _emulator_virtual as virtual_time
from pave_emulator import calls
from pave_emulator.core import Core
from pave_emulator.flash.image import Flash
from pave_emulator.vm.channel import Handler
from pave_emulator.vm.shims import _emu_ops as ops
from pave_gateway import config
from simulation import virtual

START = "2026-11-23T10:00"
FOR_S, QUICK_FOR_S = 3600, 30
EVERY_S = 0.002
SHOWN_CALLS = 12
WAITING = "waiting for VMs"
# what a path holds, and the function if it matters: the first that fits
PARTS = (
    ("pave_emulator/lockstep.py", "settle", WAITING),
    ("pave_emulator/lockstep.py", "", "channel and lockstep"),
    ("pave_emulator/vm/", "", "channel and lockstep"),
    ("pave_emulator/virtual_loop.py", "", "event loop"),
    ("/asyncio/", "", "event loop"),
    ("/selectors.py", "", "event loop"),
    ("pave_emulator/scenario/", "", "world"),
    ("pave_emulator/air/", "", "air and network"),
    ("pave_emulator/network", "", "air and network"),
    ("pave_emulator/chips/", "", "chips"),
    ("pave_emulator/mcu/", "", "mcu"),
    ("pave_emulator/flash/", "", "flash"),
    ("pave_emulator/power/", "", "power"),
    ("pave_emulator/trace", "", "trace"),
    ("pave_emulator/", "", "device and its calls"),
    ("pave_gateway/store/", "", "journal"),
    ("pave_gateway/", "", "gateway"),
    ("pave_wire/", "", "gateway"),
    ("/aiocoap/", "", "gateway"),
    ("/simulation/", "", "gateway"),
)


class Sampler:
    """Seconds of wall time by part, of the main thread."""

    def __init__(self) -> None:
        self.spent_s: defaultdict[str, float] = defaultdict(float)
        self._known: dict[tuple[str, str], str | None] = {}
        self._last_s = 0.0

    def start(self) -> None:
        """From now on."""
        signal.signal(signal.SIGALRM, self._tick)
        signal.siginterrupt(signal.SIGALRM, False)
        self._last_s = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)

    def stop(self) -> None:
        """No more."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _tick(self, _number: int, frame: FrameType | None) -> None:
        now_s = time.perf_counter()
        self.spent_s[self._part(frame)] += now_s - self._last_s
        self._last_s = now_s

    def _part(self, frame: FrameType | None) -> str:
        while frame is not None:
            key = frame.f_code.co_filename, frame.f_code.co_name
            if key not in self._known:
                self._known[key] = _part_of(*key)
            part = self._known[key]
            if part:
                return part
            frame = frame.f_back
        return "other"


def _part_of(path: str, function: str) -> str | None:
    for inside, only, part in PARTS:
        if inside in path and only in ("", function):
            return part
    return None


class CallCounter:
    """Calls of the VMs by role and operation: it stands between a device's table of calls and its channel."""

    def __init__(self, kiosks: set[str]) -> None:
        """`kiosks` are devices by name; all others are sensors."""
        self.counts: dict[str, Counter[str]] = {"sensor": Counter(), "kiosk": Counter()}
        self._kiosks = kiosks
        self._table = calls.table

    def table(self, core: Core, flash: Flash, *rest: Any) -> dict[int, Handler]:
        """In place of `calls.table`. The flash image is named like its device."""
        count = self.counts["kiosk" if flash.path.stem in self._kiosks else "sensor"]
        return {number: _counted(number, handler, count) for number, handler in self._table(core, flash, *rest).items()}


def _counted(number: int, handler: Handler, count: Counter[str]) -> Handler:
    name = ops.TABLE[number][0]

    def counted(*fields: int, tail: bytes) -> bytes | None:
        count[name] += 1
        return handler(*fields, tail=tail)

    return counted


def measure(quick: bool) -> dict[str, Any]:
    """Profile one run."""
    return usage.run("benchmarks._emulator_profile", str(QUICK_FOR_S if quick else FOR_S))


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print where the time went, then the calls."""
    wall_s = sum(figures["spent_s"].values())
    parts = Table(title="Where the time goes")
    for column in ("part", "wall s", "%"):
        parts.add_column(column, justify="left" if column == "part" else "right")
    for part, spent_s in sorted(figures["spent_s"].items(), key=lambda item: -item[1]):
        parts.add_row(part, f"{spent_s:.2f}", f"{100 * spent_s / wall_s:.1f}")
    console.print(parts)
    console.print(
        f"{figures['devices']} devices for {figures['simulated_s']:,.0f} s from 10:00; wall {wall_s:.1f} s, "
        f"CPU of the host {figures['host_cpu_s']} s, of VMs and zygote {figures['vm_cpu_s']} s"
    )
    _show_calls(console, figures["calls_per_device_hour"])
    if figures["counted_calls"] != figures["rpc_calls"]:
        console.print(f"COUNTED {figures['counted_calls']:,} calls, the devices say {figures['rpc_calls']:,}")


def _show_calls(console: Console, per_hour: dict[str, dict[str, float]]) -> None:
    table = Table(title="Calls of one device in a simulated hour")
    for column in ("of a sensor", "calls", "of a kiosk", "calls"):
        table.add_column(column, justify="right" if column == "calls" else "left")
    columns = [sorted(per_hour[role].items(), key=lambda item: -item[1]) for role in ("sensor", "kiosk")]
    for at in range(SHOWN_CALLS):
        cells: list[str] = []
        for column in columns:
            cells += [column[at][0], f"{column[at][1]:,.1f}"] if at < len(column) else ["", ""]
        table.add_row(*cells)
    cells = []
    for column in columns:
        cells += ["all", f"{sum(count for _, count in column):,.1f}"]
    table.add_row(*cells)
    console.print(table)


def _scenario(folder: Path) -> Path:
    """The day, begun later: its first hours are quiet."""
    text, found = re.subn(r"(?m)^start: .*$", f"start: {START}", virtual_time.SCENARIO.read_text())
    if found != 1:
        raise SystemExit(f"{virtual_time.SCENARIO.name} should have one line 'start: ...', not {found}")
    path = folder / "from-ten.yaml"
    path.write_text(text)
    return path


def main() -> None:
    """One run, in this process; the last line has what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("for_s", type=float)
    for_s = parser.parse_args().for_s
    site = config.load(virtual.SITE)
    sampler, counter = Sampler(), CallCounter({kiosk.id for kiosk in site.kiosk})
    began: list[tuple[float, float]] = []

    def built() -> None:
        began.append(usage.own_cpu_s())
        sampler.start()

    with tempfile.TemporaryDirectory(prefix="pave-bench-") as folder, mock.patch.object(calls, "table", counter.table):
        plan = virtual.Plan(_scenario(Path(folder)), for_s, virtual_time.SEED)
        outcome = virtual_time.play(plan, Path(folder), built)
        sampler.stop()
        host_s, vms_s = usage.own_cpu_s()
    hours = {"sensor": len(site.bay) * for_s / 3600, "kiosk": len(site.kiosk) * for_s / 3600}
    found = {
        "spent_s": {part: round(spent_s, 3) for part, spent_s in sampler.spent_s.items()},
        "host_cpu_s": round(host_s - began[0][0], 2),
        "vm_cpu_s": round(vms_s - began[0][1], 2),
        "counted_calls": sum(count.total() for count in counter.counts.values()),
        "calls_per_device_hour": {
            role: {name: round(times / hours[role], 2) for name, times in count.most_common()}
            for role, count in counter.counts.items()
        },
    }
    print(json.dumps({**outcome.summary(), **found}))


if __name__ == "__main__":
    main()
