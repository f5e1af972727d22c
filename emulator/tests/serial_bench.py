"""For tests of the serial port: a flash chip, a wire with a ROM loader, and someone to be reset behind it."""

from __future__ import annotations

import asyncio
import sys
import tomllib
from pathlib import Path

import flash_images

from pave_emulator.clock import Clock
from pave_emulator.flash.image import Flash
from pave_emulator.serial import rom_protocol as p
from pave_emulator.serial import slip
from pave_emulator.serial.line import SerialLine
from pave_emulator.serial.rom_chips import CHIPS
from pave_emulator.serial.rom_loader import RomLoader

MAC = bytes.fromhex("24a160000107")
FLASH_BYTES = 8 * 1024 * 1024


class FakeTarget:
    """Remembers what became of it; says back in capitals what it is fed."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.line: SerialLine | None = None

    def hold(self) -> None:
        self.events.append("hold")

    def reset(self, download: bool) -> None:
        self.events.append("download" if download else "boot")

    def feed(self, data: bytes) -> None:
        self.events.append(f"fed {data!r}")
        assert self.line
        self.line.chip_sends(data.upper())


class Loader:
    """A ROM loader with its flash, spoken to in requests."""

    def __init__(self, path: Path, chip: str = "esp32s3") -> None:
        self.reports: list[str] = []
        entries = tomllib.loads(flash_images.PRESENCE_BOARD.read_text())["partition"]
        path.write_bytes(b"\xff" * 0x8000 + flash_images.partition_table(entries))
        self.flash = Flash(path, FLASH_BYTES, self.reports.append)
        self.rom = RomLoader(CHIPS[chip], self.flash, MAC, self.reports.append)

    def raw(self, data: bytes, baud: int = 115200) -> tuple[list[bytes], bool]:
        """Bytes to the loader; the packets it answers, and whether the chip boots."""
        sent, boots = self.rom.receive(data, baud)
        return slip.Decoder().feed(sent), boots

    def packets(self, command: int, data: bytes = b"", check: int = 0) -> list[bytes]:
        """The packets that answer a request."""
        request = bytes([0, command]) + len(data).to_bytes(2, "little") + check.to_bytes(4, "little") + data
        return self.raw(slip.encode(request))[0]

    def ask(self, command: int, *words: int, data: bytes | None = None) -> tuple[int, bytes]:
        """Value and data (with status) of the only answer to a request of words, or of a _DATA with a block."""
        body = b"".join(word.to_bytes(4, "little") for word in words)
        check = 0
        if data is not None:
            body = len(data).to_bytes(4, "little") + bytes(12) + data
            check = p.checksum(data)
        (answer,) = self.packets(command, body, check)
        assert answer[:2] == bytes([p.RESPONSE, command])
        return int.from_bytes(answer[4:8], "little"), answer[8:]

    def start_stub(self) -> None:
        """Load a program that holds the stub's greeting, and run it."""
        address = 0x40378000 if self.rom._chip.name == "ESP32-S3" else 0x400A8000
        self.ask(p.MEM_BEGIN, 8, 1, 0x1800, address)
        self.ask(p.MEM_DATA, data=b"....OHAI")
        answers = self.packets(p.MEM_END, bytes(4) + address.to_bytes(4, "little"))
        assert answers[1:] == [b"OHAI"]


def make_line(path: Path, clock: Clock, chip: str = "esp32s3") -> tuple[SerialLine, FakeTarget, Loader]:
    """A wire to a chip that runs; what the chip sends goes nowhere until `to_host` is set."""
    target, loader = FakeTarget(), Loader(path, chip)
    line = SerialLine(target, loader.rom, clock)
    target.line = line
    return line, target, loader


async def run_tool(module: str, *arguments: str, timeout_s: float = 60.0) -> str:
    """Run a Python tool as a process of its own; its output. AssertionError with it when the tool fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
        raise AssertionError(f"{module} {arguments} took over {timeout_s} s:\n{output.decode()}") from None
    assert process.returncode == 0, f"{module} {arguments} ended with {process.returncode}:\n{output.decode()}"
    return output.decode()
