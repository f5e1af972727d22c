"""mpremote, unmodified, as a process of its own, over RFC 2217 on a device that runs firmware."""

from __future__ import annotations

import asyncio
from pathlib import Path

import flash_images
from serial_bench import run_tool

from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import WallClock
from pave_emulator.device import DeviceSpec
from pave_emulator.fleet import Fleet
from pave_emulator.serial.device_port import DevicePort

MAIN = 'import time\nprint("main runs")\nwhile True:\n    time.sleep_ms(20)\n'


async def test_mpremote_works_on_running_firmware(tmp_path: Path) -> None:
    """One device, one command after the other: exec, run, cp, ls, cat, df, mount, soft-reset, sleep, reset."""
    image = flash_images.build(tmp_path / "dut.bin", {"main.py": MAIN})
    clock = WallClock()
    spec = DeviceSpec("dut", bytes.fromhex("24a160000001"), flash_images.PRESENCE_BOARD, image)
    fleet = Fleet([spec], None, WifiAir(clock), clock, tmp_path / "logs")
    device = fleet.device("dut")
    port = DevicePort(device, clock)
    await fleet.start()
    url = await port.start()

    async def mpremote(*arguments: str) -> str:
        return (await run_tool("mpremote", "connect", url, *arguments)).replace("\r\n", "\n")

    try:
        binary = bytes(range(256)) * 20
        _write(tmp_path / "local.bin", binary)
        _write(tmp_path / "script.py", b"print('a script', __name__)\n")
        _write(
            tmp_path / "mounted.py", b"print('imported', open('local.bin', 'rb').read() == bytes(range(256)) * 20)\n"
        )
        out = await mpremote("exec", "print(6 * 7)", "+", "run", str(tmp_path / "script.py"), "+", "sleep", "0.1", "df")
        assert out.startswith("42\na script __main__\n")
        assert "/" in out.splitlines()[-1]
        await mpremote(
            "cp", str(tmp_path / "local.bin"), ":copy.bin", "+", "cp", ":copy.bin", str(tmp_path / "back.bin")
        )
        assert _read(tmp_path / "back.bin") == binary
        out = await mpremote("ls", "+", "cat", ":main.py", "+", "rm", ":copy.bin", "+", "ls")
        assert f"{len(binary)} copy.bin" in out
        assert out.count("copy.bin") == 1 + out.count("rm :copy.bin")
        assert MAIN in out
        assert "imported True" in await mpremote("mount", str(tmp_path), "exec", "import mounted")
        boots = device.collect_stats().boots
        await mpremote("soft-reset", "exec", "import machine; print(machine.reset_cause())")
        await mpremote("reset")
        for _ in range(100):
            if device.collect_stats().boots >= boots + 2:
                break
            await asyncio.sleep(0.05)
        assert device.collect_stats().boots >= boots + 2
    finally:
        await port.stop()
        await fleet.stop()


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _read(path: Path) -> bytes:
    return path.read_bytes()
