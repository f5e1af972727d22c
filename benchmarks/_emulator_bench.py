"""One emulated device with a boot.py of the measure's own, and the wall time of everything it does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks import _emulator_usage as usage
from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import FleetClock
from pave_emulator.fleet import DeviceSpec, Fleet
from pave_emulator.trace import CONSOLE, PIN, Record, Trace
from pave_tools.board import board_path, load_board
from pave_tools.image import build_flash_image
from simulation.devices import MICROPYTHON

BOARD = board_path("pave-presence-v1")
LED_PIN = load_board(BOARD).pins["led"]
LED = "led"
TIMEOUT_S = 300.0


class Bench:
    """The device "dut". `at_s` has the wall time of all that was seen of it since `clear`.

    Seen are console lines, by their text; LED, when that pin moves; other records of the trace, by kind.
    """

    def __init__(self, clock: FleetClock, folder: Path, boot_py: str) -> None:
        """Make it, in an empty folder; nothing is started."""
        image = folder / "dut.bin"
        build_flash_image(load_board(BOARD), {"/boot.py": boot_py.encode()}, {}, {}, image, MICROPYTHON)
        trace = Trace()
        trace.subscribers.append(self._seen)
        spec = DeviceSpec("dut", bytes.fromhex("24a160000001"), BOARD, image)
        self.fleet = Fleet([spec], None, WifiAir(clock), clock, folder / "consoles", traced=trace)
        self.device = self.fleet.device("dut")
        self.at_s: dict[str, list[float]] = {}
        self._news = asyncio.Event()

    def clear(self) -> None:
        """Forget what was seen."""
        self.at_s = {}

    async def until(self, what: str, count: int) -> list[float]:
        """Wait until something was seen so many times; return when each was."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while len(self.at_s.get(what, ())) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise SystemExit(f"no {count} x {what!r} within {TIMEOUT_S:g} s; seen: {sorted(self.at_s)}") from None
        return self.at_s[what][:count]

    def _seen(self, record: Record) -> None:
        now_s = time.perf_counter()
        self.at_s.setdefault(_name(record), []).append(now_s)
        self._news.set()


def _name(record: Record) -> str:
    if record.kind == CONSOLE:
        return record.fields["line"]
    return LED if record.kind == PIN and record.fields["pin"] == LED_PIN else record.kind


def summary(values_s: list[float], unit_s: float) -> dict[str, float]:
    """Median and 95th percentile, in multiples of `unit_s`."""
    median, p95 = usage.median_and_p95(values_s)
    return {"n": len(values_s), "median": round(median / unit_s, 3), "p95": round(p95 / unit_s, 3)}


def table(title: str, rows: dict[str, dict[str, Any]]) -> Table:
    """Rows of `summary`."""
    shown = Table(title=title)
    shown.add_column("what")
    for column in ("n", "median", "p95"):
        shown.add_column(column, justify="right")
    for name, row in rows.items():
        shown.add_row(name, str(row["n"]), f"{row['median']:.2f}", f"{row['p95']:.2f}")
    return shown
