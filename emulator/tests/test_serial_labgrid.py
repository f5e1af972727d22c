"""labgrid's serial driver on a device's RFC 2217 port, from the environment that has labgrid and its pyserial."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import flash_images
import pytest

from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import WallClock
from pave_emulator.device import DeviceSpec
from pave_emulator.fleet import Fleet
from pave_emulator.serial.device_port import DevicePort

DEFAULT_PYTHON = Path(__file__).parents[2] / "build/hil/bin/python"
LABGRID_PYTHON = Path(os.environ.get("PAVE_LABGRID_PYTHON", DEFAULT_PYTHON))

SESSION = r"""
import sys
from labgrid import Target
from labgrid.driver import SerialDriver
from labgrid.resource import NetworkSerialPort

target = Target("dut")
NetworkSerialPort(target, name=None, host="127.0.0.1", port=int(sys.argv[1]), speed=115200, protocol="rfc2217")
console = SerialDriver(target, name=None)
target.activate(console)
console.write(b"\r\x03")
console.expect(">>> ", timeout=10)
console.sendline("print(6 * 7)")
console.expect("42\r\n>>> ", timeout=10)
target.deactivate(console)
print("labgrid is content")
"""


@pytest.mark.skipif(not LABGRID_PYTHON.exists(), reason=f"no labgrid environment at {LABGRID_PYTHON}")
async def test_labgrid_interrupts_the_firmware_and_uses_its_repl(tmp_path: Path) -> None:
    image = flash_images.build(tmp_path / "dut.bin", {"main.py": "import time\nwhile True: time.sleep(1)\n"})
    clock = WallClock()
    spec = DeviceSpec("dut", bytes.fromhex("24a160000001"), flash_images.PRESENCE_BOARD, image)
    fleet = Fleet([spec], None, WifiAir(clock), clock, tmp_path / "logs")
    port = DevicePort(fleet.device("dut"), clock)
    await fleet.start()
    await port.start()
    try:
        session = await asyncio.create_subprocess_exec(
            str(LABGRID_PYTHON), "-c", SESSION, str(port.server.number), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(session.communicate(), 30)
        assert b"labgrid is content" in output
    finally:
        await port.stop()
        await fleet.stop()
