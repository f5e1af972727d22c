"""A bench in virtual time: devices with firmware written in the test, their consoles and their trace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import flash_images

from pave_emulator.air.access_point import AccessPoint
from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.device import DeviceSpec
from pave_emulator.fleet import Fleet
from pave_emulator.trace import CONSOLE, DATAGRAM, Record, Trace
from pave_emulator.virtual_loop import VirtualLoop

JOIN = """
import network, time, socket, select
w = network.WLAN(network.STA_IF)
w.active(True)
def join(ssid="pave", key="pave-demo-key", wait=(network.STAT_GOT_IP,)):
    w.connect(ssid, key)
    while w.status() not in wait: time.sleep_ms(10)
    return w.status()
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    return s
"""


class Site:
    """Devices by name, each with its main.py, on a virtual clock."""

    def __init__(self, tmp_path: Path, mains: dict[str, str], board: Path, seed: int, air: dict) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.trace = Trace(hashed=True)
        self.records: list[Record] = []
        self.trace.subscribers.append(self.records.append)
        self.air = WifiAir(self.clock, AccessPoint(), trace=self.trace, seed=seed, **air)
        self._news = asyncio.Event()
        self.trace.subscribers.append(lambda _record: self._news.set())
        specs = [
            DeviceSpec(name, bytes([2, 0, 0, 0, 0, number * 16]), board, self._image(tmp_path, name, main, board))
            for number, (name, main) in enumerate(mains.items())
        ]
        self.fleet = Fleet(specs, None, self.air, self.clock, tmp_path / "logs", traced=self.trace, seed=seed)

    def _image(self, tmp_path: Path, name: str, main: str, board: Path) -> Path:
        return flash_images.build(tmp_path / f"{name}.bin", {"main.py": main}, board=board)

    def lines(self, name: str = "dut") -> list[str]:
        """What its console has said."""
        return [r.fields["line"] for r in self.records if r.kind == CONSOLE and r.device == name]

    def datagrams(self, name: str = "dut") -> list[Record]:
        """What it has sent and got."""
        return [record for record in self.records if record.kind == DATAGRAM and record.device == name]

    async def line(self, start: str, name: str = "dut", within_s: float = 1000.0) -> str:
        """The rest of the first line that begins with `start`, said within that much virtual time."""
        end_s = self.clock.now_s() + within_s
        while True:
            for line in self.lines(name):
                if line.startswith(start):
                    return line[len(start) :].strip()
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), max(0.0, end_s - self.clock.now_s()))
            except TimeoutError:
                heard = "\n  ".join(self.lines(name))
                raise AssertionError(f"no line {start!r} within {within_s} s; {name} said\n  {heard}") from None


async def stop(fleet: Fleet) -> None:
    """Stop a fleet; processes end in wall time, so the clock is held until they have."""
    for name in fleet.stats():
        fleet.device(name).power_cut()
    while fleet._zygote._running:
        await asyncio.to_thread(time.sleep, 0.005)
    await fleet.stop()


def play(
    tmp_path: Path,
    mains: dict[str, str] | str,
    script: Callable[[Site], Awaitable[None]],
    *,
    board: Path = flash_images.PRESENCE_BOARD,
    seed: int = 1,
    **air: object,
) -> Site:
    """Run the devices in virtual time while `script(site)` does; return the site with what was recorded."""

    async def run() -> Site:
        site = Site(tmp_path, {"dut": mains} if isinstance(mains, str) else mains, board, seed, air)
        await site.fleet.start()
        try:
            await script(site)
        finally:
            await stop(site.fleet)
        return site

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())
