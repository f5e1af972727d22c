"""Espressif's esptool, unmodified, as a process of its own, on an emulated chip.

Over RFC 2217 pyserial's client waits 50 ms or more for each setting it changes, and esptool changes one around each
command; the whole round of commands is therefore driven through a plain TCP socket, which cannot reset the chip.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from serial_bench import FLASH_BYTES, MAC, FakeTarget, Loader, make_line, run_tool

from pave_emulator.clock import WallClock
from pave_emulator.serial.line import SerialLine
from pave_emulator.serial.port import Rfc2217Port

OFFSET = 0x10000
CHIPS = ["esp32", "esp32s3"]


@asynccontextmanager
async def raw_socket(line: SerialLine) -> AsyncIterator[str]:
    """The line on a plain TCP socket, as `nc` or a terminal server offers it."""
    clients: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(writer)
        line.to_host = writer.write
        while data := await reader.read(65536):
            line.host_sends(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for client in clients:
        client.close()


@asynccontextmanager
async def rfc2217(line: SerialLine) -> AsyncIterator[str]:
    port = Rfc2217Port(line)
    await port.start()
    yield port.url
    await port.stop()


@pytest.fixture(params=CHIPS)
def chip(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SerialLine, FakeTarget, Loader]:
    return make_line(tmp_path / "flash.bin", WallClock(), request.param)


def firmware(path: Path, size: int) -> Path:
    """Bytes that do not compress, and many that do."""
    path.write_bytes(random.Random("esptool").randbytes(size // 2) + bytes(size // 2))
    return path


def enter_download_mode(line: SerialLine) -> None:
    line.set_lines(False, True)
    line.set_lines(True, False)
    line.set_lines(False, False)


async def flash_verify_and_read(chip: str, directory: Path) -> None:
    line, _target, loader = make_line(directory / f"{chip}.flash", WallClock(), chip)
    image = firmware(directory / f"{chip}.firmware", 96 * 1024)
    loader.flash.program(OFFSET + 0x5000, bytes(64))  # something to erase
    async with raw_socket(line) as url:
        enter_download_mode(line)
        common = ("--port", url, "--after", "no-reset-stub")
        out = await run_tool("esptool", *common, "write-flash", f"{OFFSET:#x}", str(image))
        assert "Hash of data verified" in out
        assert ":".join(f"{byte:02x}" for byte in MAC) in out
        assert loader.flash.read(OFFSET, 96 * 1024) == image.read_bytes()
        back = directory / f"{chip}.back"
        out = await run_tool("esptool", *common, "read-flash", f"{OFFSET:#x}", "0x8000", str(back))
        assert "already running" in out
        assert back.read_bytes() == image.read_bytes()[:0x8000]


async def reset_and_read_mac(directory: Path) -> None:
    line, target, _loader = make_line(directory / "reset.flash", WallClock())
    async with rfc2217(line) as url:
        out = await run_tool("esptool", "--chip", "esp32s3", "--port", url, "--no-stub", "read-mac")
    assert ":".join(f"{byte:02x}" for byte in MAC) in out
    assert target.events == ["hold", "download", "hold", "boot"]


async def test_esptool_flashes_both_chips_and_resets_one_over_rfc2217(tmp_path: Path) -> None:
    """At the same time: esptool mostly waits."""
    flashing = [flash_verify_and_read(chip, tmp_path) for chip in CHIPS]
    await asyncio.gather(*flashing, reset_and_read_mac(tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("stub", [True, False], ids=["stub", "no stub"])
async def test_the_whole_round_of_commands_over_rfc2217(chip, tmp_path: Path, stub: bool) -> None:
    line, target, loader = chip
    image = firmware(tmp_path / "firmware.bin", 64 * 1024)
    back = tmp_path / "back.bin"
    async with rfc2217(line) as url:
        common = ("--port", url, "--baud", "460800") if stub else ("--port", url, "--no-stub")
        assert "Detected flash size: 8MB" in await run_tool("esptool", *common, "flash-id")
        await run_tool("esptool", *common, "chip-id")
        write = ("write-flash", f"{OFFSET:#x}", str(image))
        assert "Hash of data verified" in await run_tool("esptool", *common, *write, timeout_s=300)
        assert loader.flash.read(OFFSET, 64 * 1024) == image.read_bytes()
        await run_tool("esptool", *common, *write, "--no-compress", timeout_s=300)
        await run_tool("esptool", *common, "verify-flash", f"{OFFSET:#x}", str(image), timeout_s=300)
        await run_tool("esptool", *common, "read-flash", f"{OFFSET:#x}", "0x2000", str(back), timeout_s=300)
        assert back.read_bytes() == image.read_bytes()[:0x2000]
        if stub:
            await run_tool("esptool", *common, "erase-region", f"{OFFSET:#x}", "0x1000")
            assert loader.flash.read(OFFSET, 0x2000) == b"\xff" * 0x1000 + image.read_bytes()[0x1000:0x2000]
            await run_tool("esptool", *common, "erase-flash")
            digest = hashlib.md5(loader.flash.read(0, FLASH_BYTES)).digest()
            assert digest == hashlib.md5(b"\xff" * FLASH_BYTES).digest()
    assert target.events[-2:] == ["hold", "boot"]
