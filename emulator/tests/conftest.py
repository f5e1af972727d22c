"""A bench for tests: devices with firmware written in the test, and their consoles to read."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for flash_images: pytest's importlib mode adds nothing

import flash_images
import virtual_bench

from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import FleetClock, VirtualClock, WallClock
from pave_emulator.device import Device, DeviceSpec
from pave_emulator.fleet import Fleet
from pave_emulator.virtual_loop import VirtualLoop

LINE_TIMEOUT_S = 5.0


class Bench:
    """One fleet with one device "dut" unless told otherwise; `lines` is what the consoles said."""

    def __init__(self, fleet: Fleet, air: WifiAir) -> None:
        self.fleet = fleet
        self.air = air
        self.lines: list[str] = []
        self._seen = 0
        self._news = asyncio.Event()
        fleet.subscribe(self._hear)

    @property
    def device(self) -> Device:
        return self.fleet.device("dut")

    def _hear(self, _device: str, line: str) -> None:
        self.lines.append(line)
        self._news.set()

    async def line(self, start: str, timeout_s: float = LINE_TIMEOUT_S) -> str:
        """The rest of the next console line that begins with `start`."""
        try:
            return await asyncio.wait_for(self._line(start), timeout_s)
        except TimeoutError:
            heard = "\n  ".join(self.lines)
            raise AssertionError(f"no console line {start!r} within {timeout_s} s; heard\n  {heard}") from None

    async def _line(self, start: str) -> str:
        while True:
            while self._seen < len(self.lines):
                self._seen += 1
                if self.lines[self._seen - 1].startswith(start):
                    return self.lines[self._seen - 1][len(start) :].strip()
            self._news.clear()
            await self._news.wait()


def build(
    folder: Path,
    clock: FleetClock,
    main: str,
    *,
    files: dict[str, str] | None = None,
    world=None,
    place=None,
    heap_bytes=None,
    spec: dict | None = None,
    seed: int = 0,
    **image,
) -> Bench:
    """A bench, not yet started; keywords as in flash_images.build, `spec` more of DeviceSpec's."""
    board = image.setdefault("board", flash_images.PRESENCE_BOARD)
    path = flash_images.build(folder / "dut.bin", {"main.py": main, **(files or {})}, **image)
    air = WifiAir(clock, connect_s=0.05)
    device = DeviceSpec("dut", bytes.fromhex("24a160000001"), board, path, place, heap_bytes, **(spec or {}))
    return Bench(Fleet([device], world, air, clock, folder / "logs", seed=seed), air)


BenchMaker = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[BenchMaker]:
    """A maker of benches.

    `await bench("print(1)")` boots a device with that main.py; keywords as in flash_images.build and DeviceSpec.
    """
    made: list[Fleet] = []

    async def make(main: str, **keywords) -> Bench:
        result = build(tmp_path, WallClock(), main, **keywords)
        made.append(result.fleet)
        await result.fleet.start()
        return result

    yield make
    for fleet in made:
        await fleet.stop()


def run_virtual(folder: Path, main: str, scenario: Callable[[Bench], Awaitable[None]], **keywords) -> None:
    """Boot a device in virtual time, play the scenario, end."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        made = build(folder, VirtualClock(loop), main, **keywords)
        try:
            await made.fleet.start()
            await scenario(made)
        finally:
            await virtual_bench.stop(made.fleet)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(play())


@pytest.fixture(params=["wall", "virtual"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """A runner on both clocks: `either(main, scenario)` boots a device and plays `await scenario(bench)`."""

    def run(main: str, scenario: Callable[[Bench], Awaitable[None]], **keywords) -> None:
        if request.param == "virtual":
            run_virtual(tmp_path, main, scenario, **keywords)
            return

        async def play() -> None:
            made = build(tmp_path, WallClock(), main, **keywords)
            try:
                await made.fleet.start()
                await scenario(made)
            finally:
                await made.fleet.stop()

        asyncio.run(play())

    return run


@pytest.fixture
def virtual(tmp_path: Path) -> Callable[..., None]:
    """A runner in virtual time: `virtual(main, scenario)`."""

    def run(main: str, scenario: Callable[[Bench], Awaitable[None]], **keywords) -> None:
        run_virtual(tmp_path, main, scenario, **keywords)

    return run
