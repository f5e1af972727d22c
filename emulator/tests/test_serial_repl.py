"""The VM's own REPL behind a device's serial port, byte by byte, and Ctrl-C in what it runs."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import flash_images
import pytest

from pave_emulator.air.wifi import WifiAir
from pave_emulator.clock import WallClock
from pave_emulator.console import Console
from pave_emulator.device import Device, DeviceSpec
from pave_emulator.fleet import Fleet
from pave_emulator.serial.cooked import CookedOutput
from pave_emulator.serial.device_port import DevicePort
from pave_emulator.vm.channel import PENDING, Channel
from pave_emulator.vm.shims import _emu_ops as ops

TIMEOUT_S = 5.0
LOOP = 'import time\nprint("main runs")\nwhile True:\n    time.sleep_ms(20)\n'
SENSOR = flash_images.PRESENCE_BOARD


class Typist:
    """Someone at the other end of the wire, without RFC 2217 between."""

    def __init__(self, device: Device, port: DevicePort) -> None:
        self.device, self.port = device, port
        self.heard = b""
        self._news = asyncio.Event()
        port.line.to_host = self._hear

    def _hear(self, data: bytes) -> None:
        self.heard += data
        self._news.set()

    def types(self, data: bytes) -> None:
        self.port.line.host_sends(data)

    async def reads(self, until: bytes) -> bytes:
        """What came up to and including `until`; it is taken away."""

        async def wait() -> None:
            while until not in self.heard:
                self._news.clear()
                await self._news.wait()

        try:
            await asyncio.wait_for(wait(), TIMEOUT_S)
        except TimeoutError:
            raise AssertionError(f"no {until!r} in {self.heard!r}") from None
        end = self.heard.index(until) + len(until)
        out, self.heard = self.heard[:end], self.heard[end:]
        return out


TypistMaker = Callable[..., Awaitable[Typist]]


@pytest.fixture
async def typist(tmp_path: Path) -> AsyncIterator[TypistMaker]:
    made: list[Fleet] = []

    async def make(main: str = LOOP, **files: str) -> Typist:
        image = flash_images.build(
            tmp_path / "dut.bin", {"main.py": main, **{f"{name}.py": text for name, text in files.items()}}
        )
        clock = WallClock()
        spec = DeviceSpec("dut", bytes.fromhex("24a160000001"), SENSOR, image)
        fleet = Fleet([spec], None, WifiAir(clock), clock, tmp_path / "logs")
        made.append(fleet)
        device = fleet.device("dut")
        result = Typist(device, DevicePort(device, clock))
        await fleet.start()
        return result

    yield make
    for fleet in made:
        await fleet.stop()


# The REPL


async def test_the_banner_names_the_board_as_sys_does(typist: TypistMaker) -> None:
    someone = await typist(main="import sys\nprint(sys.implementation._machine)\n")
    machine = (await someone.reads(b"ESP32S3\r\n")).splitlines()[-1]
    assert machine == b"Generic ESP32S3 module with ESP32S3"
    for _ in range(2):  # as it starts, and back from the raw REPL
        banner = (await someone.reads(b'Type "help()"')).splitlines()[-2]
        assert re.fullmatch(rb"MicroPython \S+ on \d{4}-\d\d-\d\d; " + machine, banner)
        someone.types(b"\x01\x02")
    assert someone.device.console.heard_bytes > 0


def test_a_banner_that_is_printed_in_pieces_is_told_whole(tmp_path: Path) -> None:
    dated, rest = b"MicroPython v1.29 on 2026-07-05", b"; linux [GCC 14.2.1] version\r\n"
    for cut in range(len(rest)):
        told = bytearray()
        console = Console("dut", tmp_path / "log", "Generic ESP32S3 module with ESP32S3")
        console.tap = told.extend
        console.printed(dated + rest[:cut])
        console.printed(rest[cut:] + b">>> ")
        console.close()
        assert told == dated + b"; Generic ESP32S3 module with ESP32S3\r\n>>> ", cut


async def test_firmware_that_ends_leaves_the_repl_with_its_names(typist: TypistMaker) -> None:
    someone = await typist("answer = 6 * 7")
    await someone.reads(b">>> ")
    someone.types(b"answer\r")
    assert await someone.reads(b">>> ") == b"answer\r\n42\r\n>>> "


async def test_ctrl_c_interrupts_running_firmware(typist: TypistMaker) -> None:
    someone = await typist()
    await someone.reads(b"main runs\r\n")
    someone.types(b"\r\x03")
    assert b"KeyboardInterrupt: \r\n" in await someone.reads(b">>> ")


async def test_ctrl_c_at_the_prompt_begins_a_new_line_and_the_vm_lives(typist: TypistMaker) -> None:
    someone = await typist("")
    await someone.reads(b">>> ")
    someone.types(b"half a li\x03")
    await someone.reads(b"half a li\r\n>>> ")
    someone.types(b"1+1\r")
    await someone.reads(b"2\r\n>>> ")
    assert someone.device.collect_stats().boots == 1


async def test_firmware_can_switch_ctrl_c_off_and_read_it_as_a_byte(typist: TypistMaker) -> None:
    code = "import sys, micropython\nmicropython.kbd_intr(-1)\nprint('ready')\nprint(sys.stdin.buffer.read(3))"
    someone = await typist(code)
    await someone.reads(b"ready\r\n")
    someone.types(b"a\x03b")
    await someone.reads(b"b'a\\x03b'\r\n")


async def test_ctrl_d_soft_resets_keeping_rtc_memory_and_runs_boot_and_main_again(typist: TypistMaker) -> None:
    main = (
        "import machine\nrtc = machine.RTC()\nprint('cause', machine.reset_cause(), rtc.memory())\nrtc.memory(b'kept')"
    )
    someone = await typist(main, boot="print('boot')")
    await someone.reads(b"cause 1 b''\r\n")
    await someone.reads(b">>> ")
    someone.types(b"\x04")
    assert b"MPY: soft reboot\r\nboot\r\ncause 5 b'kept'\r\n" in await someone.reads(b">>> ")


async def test_the_raw_repl_survives_a_soft_reset_which_then_runs_boot_but_not_main(typist: TypistMaker) -> None:
    someone = await typist(boot="print('boot')")
    await someone.reads(b"main runs\r\n")
    someone.types(b"\r\x03\r\x01")
    await someone.reads(b"raw REPL; CTRL-B to exit\r\n>")
    someone.types(b"\x04")
    again = await someone.reads(b"raw REPL; CTRL-B to exit\r\n>")
    assert again.index(b"MPY: soft reboot\r\n") < again.index(b"boot\r\n")
    assert b"main runs" not in again
    someone.types(b"print(7)\x04")
    assert await someone.reads(b"\x04\x04>") == b"OK7\r\n\x04\x04>"


async def test_raw_paste_mode_hands_out_its_window(typist: TypistMaker) -> None:
    someone = await typist("")
    await someone.reads(b">>> ")
    someone.types(b"\x01")
    await someone.reads(b"exit\r\n>")
    someone.types(b"\x05A\x01")
    assert (await someone.reads(b"\x01"))[:2] == b"R\x01"
    someone.types(b"print('pasted')\x04")
    await someone.reads(b"\x04pasted\r\n\x04\x04>")


async def test_ctrl_c_interrupts_code_of_the_raw_repl(typist: TypistMaker) -> None:
    someone = await typist("")
    await someone.reads(b">>> ")
    someone.types(b"\x01")
    await someone.reads(b"exit\r\n>")
    someone.types(b"import time\nwhile True: time.sleep(1)\n\x04")
    await someone.reads(b"OK")
    await asyncio.sleep(0.1)
    someone.types(b"\x03")
    assert b"KeyboardInterrupt" in await someone.reads(b"\x04>")


STRUCK_BETWEEN_HEAD_AND_BODY = """
import sys, machine
class Channel:
    def __init__(self, real): self.real, self.armed = real, False
    def write(self, data): return self.real.write(data)
    def read(self, size):
        data = self.real.read(size)
        if not self.armed: return data
        self.armed = False
        print('now')
        sum(range(100000000))  # seconds, until Ctrl-C
        return data
machine.RTC().memory(b'abc')
rpc = sys.modules['_emu_rpc']
rpc._channel = Channel(rpc._channel)
rpc._channel.armed = True
try:
    machine.RTC().memory()
    print('missed')
except KeyboardInterrupt:
    print('struck')
print(machine.RTC().memory())
"""


async def test_ctrl_c_between_head_and_body_of_an_answer_leaves_no_half_behind(typist: TypistMaker) -> None:
    someone = await typist(STRUCK_BETWEEN_HEAD_AND_BODY)
    await someone.reads(b"now\r\n")
    someone.types(b"\x03")
    assert b"struck\r\nb'abc'\r\n" in await someone.reads(b">>> ")


async def test_a_call_that_ctrl_c_broke_off_does_not_hide_the_next() -> None:
    """Both can be in the socket when the host comes to read it."""
    done: list[int] = []
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    class Owner:
        def called(self, idle_us: int) -> None: ...
        def defect(self, reason: str) -> None: ...
        def ended(self) -> None: ...
        def stuck(self) -> None: ...
        def times(self) -> tuple[float, int, int]:
            return 0.0, 0, 0

        def flags(self) -> int:
            return 0

    def sync(tail: bytes) -> bytes:
        done.append(1)
        return b""

    channel = Channel(ours, {ops.IDLE: lambda tail: PENDING, ops.SYNC: sync}, Owner())
    theirs.send(b"".join(struct.pack(ops.REQUEST_HEADER, op, n, 0, 0, 0) for n, op in enumerate((ops.IDLE, ops.SYNC))))
    await asyncio.sleep(0.05)
    channel.close()
    assert done == [1]
    ours.close()
    theirs.close()


async def test_standard_input_can_be_polled_with_a_timeout(typist: TypistMaker) -> None:
    code = (
        "import select, sys\np = select.poll()\np.register(sys.stdin.buffer, select.POLLIN)\n"
        "print('none', len(p.poll(50)))\nprint('some', len(p.poll(3000)), sys.stdin.buffer.read(1))"
    )
    someone = await typist(code)
    await someone.reads(b"none 0\r\n")
    someone.types(b"x")
    await someone.reads(b"some 1 b'x'\r\n")


# Resets


async def test_en_resets_the_chip_and_loses_rtc_memory(typist: TypistMaker) -> None:
    main = "import machine\nprint('cause', machine.reset_cause(), machine.RTC().memory())\nmachine.RTC().memory(b'x')"
    someone = await typist(main)
    await someone.reads(b"cause 1 b''\r\n")
    await someone.reads(b">>> ")
    someone.port.line.set_lines(False, True)
    assert someone.device.state == "held"
    someone.port.line.set_lines(False, False)
    assert b"boot:0x8 (SPI_FAST_FLASH_BOOT)" in await someone.reads(b"cause 1 b''\r\n")


async def test_a_reset_by_the_firmware_prints_the_roms_banner_with_its_cause(typist: TypistMaker) -> None:
    someone = await typist("")
    await someone.reads(b">>> ")
    someone.types(b"import machine; machine.deepsleep(1)\r")
    await someone.reads(b"rst:0x5 (DSLEEP),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n")
    await someone.reads(b">>> ")


async def test_what_is_flashed_in_download_mode_is_what_boots(typist: TypistMaker, tmp_path: Path) -> None:
    someone = await typist()
    await someone.reads(b"main runs\r\n")
    someone.port.line.set_lines(False, True)
    someone.port.line.set_lines(True, False)
    other = flash_images.build(tmp_path / "other.bin", {"main.py": "print('other firmware')"}).read_bytes()
    flash = someone.device.flash
    flash.erase(0, flash.size_bytes)
    someone.port.line.set_lines(False, True)
    someone.port.line.set_lines(False, False)
    assert someone.device.state == "held"  # an erased chip
    flash.program(0, other)
    someone.port.line.set_lines(False, True)
    someone.port.line.set_lines(False, False)
    await someone.reads(b"other firmware\r\n")


# What the port does to line ends


def test_lone_line_feeds_become_cr_lf_whatever_the_pieces() -> None:
    stream = b"a\nb\r\nc\r\r\n\n"
    for size in range(1, len(stream)):
        cooked = CookedOutput()
        pieces = [cooked.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
        assert b"".join(pieces) == b"a\r\nb\r\nc\r\r\n\r\n"


def test_requests_of_mpremote_mount_pass_as_they_are() -> None:
    read = b"\x18\x06" + b"\x0a" + (10).to_bytes(4, "little")
    write = b"\x18\x08\x0a" + (3).to_bytes(4, "little") + b"\n\n\n"
    empty = b"\x18\x01" + bytes(4)
    stream = b"text\n" + read + write + empty + b"text\n"
    for size in range(1, len(stream)):
        cooked = CookedOutput()
        pieces = [cooked.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
        assert b"".join(pieces) == b"text\r\n" + read + write + empty + b"text\r\n"
