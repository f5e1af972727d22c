"""One emulated board, in virtual time, with our drivers compiled as they ship and a main.py written in the test."""

from __future__ import annotations

import asyncio
import functools
import tempfile
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.fleet import Device, DeviceSpec, Fleet
from pave_emulator.scenario.load import Scenario
from pave_emulator.scenario.world import Bay, World
from pave_emulator.virtual_loop import VirtualLoop
from pave_tools import firmware, manifest
from pave_tools.board import board_path, load_board
from pave_tools.image import build_flash_image
from pave_tools.tree import FIRMWARE_DIR
from simulation.devices import MICROPYTHON

PLACE = "bay"
EARTH_UT = (20.9, 0.8, 43.7)
NAME = "dut"
LINE_WITHIN_S = 60.0
_HEAD = """
import sys
sys.path.insert(0, "/a")
import time
from machine import ADC, I2C, PWM, Pin, UART
from boards import {board} as board
i2c = I2C(0, sda=Pin(board.I2C_SDA), scl=Pin(board.I2C_SCL), freq=board.I2C0_HZ)
def until(call, max_ms):
    end = time.ticks_add(time.ticks_ms(), max_ms)
    while True:
        told = call()
        if told is not None and told is not False: return told
        if time.ticks_diff(end, time.ticks_ms()) < 0: raise OSError(116, "nothing after %d ms" % max_ms)
        time.sleep_ms(2)
def error(call, *arguments):
    try: call(*arguments)
    except OSError as told: return "%d %s" % (told.errno, told.args[1] if len(told.args) > 1 else "")
    return "none"
"""


class Bench:
    """The board and what its console says."""

    def __init__(self, fleet: Fleet, clock: VirtualClock) -> None:
        self.fleet = fleet
        self.clock = clock
        self.lines: list[str] = []
        self._news = asyncio.Event()
        fleet.subscribe(self._hear)

    @property
    def device(self) -> Device:
        return self.fleet.device(NAME)

    def _hear(self, _device: str, line: str) -> None:
        self.lines.append(line)
        self._news.set()

    async def line(self, start: str) -> str:
        """The rest of the first line that begins with `start`."""
        end_s = self.clock.now_s() + LINE_WITHIN_S
        while True:
            for line in self.lines:
                if line.startswith(start):
                    return line[len(start) :].strip()
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), max(0.0, end_s - self.clock.now_s()))
            except TimeoutError:
                heard = "\n  ".join(self.lines)
                raise AssertionError(f"no line {start!r} within {LINE_WITHIN_S} s; heard\n  {heard}") from None


def play(folder: Path, board: str, main: str, script: Callable[[Bench], Awaitable[None]]) -> None:
    """Run `main` on the board of that name in virtual time while `script(bench)` does."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock = VirtualClock(loop)
        world = World(Scenario("test", 1, EARTH_UT, 0.0, (), ()), [Bay(PLACE, "taxi")])
        place = PLACE if "presence" in board else None
        spec = DeviceSpec(NAME, bytes.fromhex("24a160000001"), board_path(board), _image(folder, board, main), place)
        fleet = Fleet([spec], world, WifiAir(clock), clock, folder)
        await fleet.start()
        try:
            await script(Bench(fleet, clock))
        finally:
            await _stop(fleet)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


async def _stop(fleet: Fleet) -> None:
    """Processes end in wall time, so the clock is held until they have."""
    fleet.device(NAME).power_cut()
    while fleet._zygote._running:
        await asyncio.to_thread(time.sleep, 0.005)
    await fleet.stop()


def _image(folder: Path, name: str, main: str) -> Path:
    board = load_board(board_path(name))
    files = {**_compiled(board.module), "/main.py": (_HEAD.format(board=board.module) + textwrap.dedent(main)).encode()}
    path = folder / "flash.bin"
    build_flash_image(board, files, {}, {}, path, MICROPYTHON)
    return path


@functools.cache
def _compiled(board_module: str) -> firmware.FirmwareFiles:
    """Every driver, and the board's pins, by device path."""
    sources = [*sorted((FIRMWARE_DIR / "drivers").glob("*.py")), FIRMWARE_DIR / "boards" / f"{board_module}.py"]
    entries = [
        manifest.Entry(source, manifest.module_path(source.relative_to(FIRMWARE_DIR).as_posix())) for source in sources
    ]
    with tempfile.TemporaryDirectory() as scratch:
        return {entry.device_path: firmware.compile_module(entry, Path(scratch)) for entry in entries}
