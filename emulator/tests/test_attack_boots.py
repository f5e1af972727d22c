"""Attacks by booting: thousands in a row, all at once, and a person who has had enough in the middle of it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cli_bench
import flash_images
import psutil
import pytest
import virtual_bench

from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.device import DeviceSpec
from pave_emulator.fleet import Fleet
from pave_emulator.trace import Trace
from pave_emulator.virtual_loop import VirtualLoop

SLEEPS = "import machine\nprint('up', machine.reset_cause())\nmachine.deepsleep(1000)"
STORM = 54  # the devices of the benchmark's site
GROWTH_KIB = 4096  # of memory; twenty thousand boots were seen to take 64
GROWTH_OBJECTS = 1  # a boot; reports keep a voltage now and then


@pytest.fixture(autouse=True)
def own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others put theirs into the machine's folder."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)


@dataclass(frozen=True)
class Usage:
    """What a fleet holds at one moment."""

    rss_kib: int
    zygote_rss_kib: int
    objects: int
    fds: int
    zygote_fds: int
    threads: int
    processes: int
    temporary_files: int

    @staticmethod
    def now(fleet: Fleet) -> Usage:
        gc.collect()
        host, zygote = psutil.Process(), psutil.Process(fleet.zygote_pid)
        return Usage(
            host.memory_info().rss // 1024,
            zygote.memory_info().rss // 1024,
            sys.getallocatedblocks(),
            host.num_fds(),
            zygote.num_fds(),
            host.num_threads(),
            len(zygote.children()),
            len([*Path(tempfile.gettempdir()).iterdir()]),
        )

    def grown(self, before: Usage, boots: int) -> list[str]:
        """What there is more of than one boot that goes on explains."""
        allowed = Usage(GROWTH_KIB, GROWTH_KIB, GROWTH_OBJECTS * boots, 4, 2, 0, 1, 0)
        return [
            f"{name}: {getattr(before, name)} to {value}"
            for name, value in vars(self).items()
            if value > getattr(before, name) + getattr(allowed, name)
        ]


def run_fleet(folder: Path, count: int, play: Callable[[Fleet, VirtualClock], object], main: str = SLEEPS) -> None:
    """Devices d0, d1, ... with this main.py in virtual time; nothing is recorded but the trace's hash."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock, trace = VirtualClock(loop), Trace(hashed=True)
        image = flash_images.build(folder / "image.bin", {"main.py": main})  # one for all: they write no file
        specs = [
            DeviceSpec(f"d{number}", bytes([2, 0, 0, 0, 0, number]), flash_images.PRESENCE_BOARD, image)
            for number in range(count)
        ]
        air = WifiAir(clock, trace=trace)
        fleet = Fleet(specs, None, air, clock, folder / "logs", traced=trace, metered=True)
        await fleet.start()
        try:
            await play(fleet, clock)  # type: ignore[misc]
        finally:
            await virtual_bench.stop(fleet)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


async def boot(fleet: Fleet, boots: int) -> Usage:
    device = fleet.device("d0")
    while device.stats.boots < boots:
        await asyncio.sleep(5)
    return Usage.now(fleet)


def grown_after(folder: Path, first: int, last: int, at_boot: Callable[[int], None] | None = None) -> list[str]:
    """What has grown between these boots of one device that sleeps a second at a time."""
    found: list[str] = []

    async def play(fleet: Fleet, clock: VirtualClock) -> None:
        device = fleet.device("d0")
        if at_boot:
            device.on_boot = at_boot
        before = await boot(fleet, first)
        found.extend((await boot(fleet, last)).grown(before, last - first))
        assert (device.stats.crashes, device.stats.watchdog_resets) == (0, 0)

    run_fleet(folder, 1, play)
    return found


def test_three_hundred_boots_leave_nothing_behind(tmp_path):
    assert grown_after(tmp_path, 50, 350) == []


@pytest.mark.long
def test_twenty_thousand_boots_leave_nothing_behind(tmp_path):
    assert grown_after(tmp_path, 1000, 20000) == []


def test_a_boot_that_leaves_a_descriptor_and_some_memory_behind_is_seen(tmp_path):
    left: list[object] = []

    def leak(_cause: int) -> None:
        left.extend((tempfile.mkstemp(), [object() for _ in range(100)], b"x" * 2_000_000))

    grown = grown_after(tmp_path, 20, 80, at_boot=leak)
    assert [line.split(":")[0] for line in grown] == ["rss_kib", "objects", "fds", "temporary_files"]


def test_fifty_four_devices_boot_at_one_instant_and_again_after_a_cut(tmp_path):
    async def play(fleet: Fleet, clock: VirtualClock) -> None:
        devices = list(fleet.devices.values())
        await asyncio.sleep(5)
        boots = {device.stats.boots for device in devices}
        assert len(boots) == 1 and boots.pop() > 2
        fds = psutil.Process().num_fds()
        for _ in range(3):
            for device in devices:
                device.power_cut()
            for device in devices:
                device.power_on()
        await asyncio.sleep(0.1)
        assert [device.state for device in devices] == ["running"] * STORM
        await asyncio.sleep(4)
        assert len({device.stats.boots for device in devices}) == 1
        assert sum(device.stats.crashes + device.stats.watchdog_resets for device in devices) == 0
        assert psutil.Process().num_fds() <= fds + 4 * STORM  # running or not, no more than a VM each

    run_fleet(tmp_path, STORM, play)


def family_of(host_pid: int) -> list[psutil.Process]:
    """The zygote of a host and all its clones, which have its arguments, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "pave_emulator.vm.zygote" in words and words[-1] == str(host_pid):
            found.append(process)
    return found


@pytest.mark.parametrize("clock", ["wall", pytest.param("virtual", marks=pytest.mark.long)])
def test_ctrl_c_in_a_storm_of_boots_leaves_no_process(tmp_path, clock):
    scenario = cli_bench.write_site(tmp_path, main="import machine\nprint('up')\nmachine.deepsleep(50)")
    scenario.write_text(scenario.read_text().replace("count: 2", f"count: {STORM}").replace("bay: b1", "bay: b01"))
    command = [*cli_bench.COMMAND, "run", str(scenario), "--clock", clock, "--work-dir", str(tmp_path / "w")]
    host = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=cli_bench.environment(),
        start_new_session=True,
    )  # fmt: skip
    assert host.stdout is not None
    assert any("| up" in line for line in iter(host.stdout.readline, ""))  # the first: the others boot
    end_s = time.monotonic() + 5.0
    while len(family := family_of(host.pid)) <= 2 and time.monotonic() < end_s:
        time.sleep(0.01)  # between two boots there may be none but the host and the zygote
    assert len(family) > 2, family  # the negative control: there are processes to be left
    os.killpg(host.pid, signal.SIGINT)
    assert "Traceback" not in host.communicate(timeout=20)[0]
    assert host.returncode == 0
    end_s = time.monotonic() + 2.0
    while family_of(host.pid) and time.monotonic() < end_s:
        time.sleep(0.02)
    assert family_of(host.pid) == []
