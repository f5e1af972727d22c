"""DTR and RTS, baud rates, and RFC 2217 spoken by pyserial's client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import serial
from serial_bench import FakeTarget, Loader, make_line

from pave_emulator.clock import Timer, WallClock
from pave_emulator.serial import rom_protocol as p
from pave_emulator.serial import slip, uart
from pave_emulator.serial.line import SerialLine
from pave_emulator.serial.port import Rfc2217Port
from pave_emulator.serial.reset_circuit import DOWNLOAD_BOOT, EN_HOLD_S, FLASH_BOOT, HOLD, ResetCircuit

OFF_OFF, ON_ON, RTS_ONLY, DTR_ONLY = (False, False), (True, True), (False, True), (True, False)
SYNC = slip.encode(bytes([0, p.SYNC, 36, 0, 0, 0, 0, 0]) + p.SYNC_DATA)


class HandClock:
    """A clock whose time the test moves."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def now_s(self) -> float:
        return self.time_s

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Timer:
        entry = (when_s, callback)
        self._due.append(entry)
        due = self._due

        class Cancel:
            def cancel(self) -> None:
                if entry in due:
                    due.remove(entry)

        return Cancel()

    def call_after(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return self.call_at(self.time_s + delay_s, callback)

    def go(self, seconds: float) -> None:
        self.time_s += seconds
        for entry in [entry for entry in self._due if entry[0] <= self.time_s]:
            self._due.remove(entry)
            entry[1]()


# The reset circuit


@pytest.mark.parametrize(("lines", "what"), [(OFF_OFF, None), (ON_ON, None), (DTR_ONLY, None), (RTS_ONLY, HOLD)])
def test_only_rts_without_dtr_resets_a_running_chip(lines: tuple[bool, bool], what: str | None) -> None:
    assert ResetCircuit().set(*lines, 0.0) == what


SEQUENCES = {
    # esptool's reset.py and esp_pylib's serial_reset.py: (DTR, RTS) at each step, and what must come of it
    "classic": ([OFF_OFF, RTS_ONLY, RTS_ONLY, ON_ON, DTR_ONLY, OFF_OFF], [HOLD, DOWNLOAD_BOOT]),
    "classic after a terminal": ([ON_ON, RTS_ONLY, RTS_ONLY, ON_ON, DTR_ONLY, OFF_OFF], [HOLD, DOWNLOAD_BOOT]),
    "unix tight": ([OFF_OFF, ON_ON, RTS_ONLY, DTR_ONLY, OFF_OFF], [HOLD, DOWNLOAD_BOOT]),
    "hard reset": ([OFF_OFF, RTS_ONLY, RTS_ONLY, OFF_OFF], [HOLD, FLASH_BOOT]),
    "terminal opens and closes": ([DTR_ONLY, ON_ON, DTR_ONLY, OFF_OFF], []),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_sequences_of_esptool_do_what_they_are_for(name: str) -> None:
    circuit, (steps, expected) = ResetCircuit(), SEQUENCES[name]
    happened = [circuit.set(*lines, 0.05 * n) for n, lines in enumerate(steps)]
    assert [what for what in happened if what] == expected


def test_en_rises_by_itself_when_both_lines_stay_asserted_after_a_reset() -> None:
    circuit = ResetCircuit()
    circuit.set(*RTS_ONLY, 1.0)
    assert circuit.set(*ON_ON, 2.0) is None
    assert circuit.next_event_s() == 2.0 + EN_HOLD_S
    assert circuit.advance(2.5) is None
    assert circuit.advance(3.0) == FLASH_BOOT
    assert circuit.next_event_s() is None


# The UART


def test_bytes_pass_at_the_same_rate_and_at_one_two_percent_off() -> None:
    data = bytes(range(256))
    assert uart.received(data, 115200, 115200) == data
    assert uart.received(data, 115200, 117500) == data


def test_a_byte_at_half_the_receivers_rate_is_sampled_twice_a_bit() -> None:
    # 0xFF is one low bit and then high: at twice the rate two samples fall into the start bit.
    assert uart.received(b"\xff", 57600, 115200) == b"\xfe"
    # 0x00 is nine low bits, 18 samples: a byte of zeros, then one whose last sample is the stop bit.
    assert uart.received(b"\x00", 57600, 115200) == b"\x00\x80"


@pytest.mark.parametrize(("sender", "receiver"), [(9600, 115200), (115200, 9600), (115200, 460800), (74880, 115200)])
def test_another_rate_garbles(sender: int, receiver: int) -> None:
    text = b"MicroPython v1.27 on the edge of the city"
    assert text not in uart.received(text, sender, receiver)


# The line


@pytest.fixture
def wire(tmp_path: Path) -> tuple[SerialLine, FakeTarget, Loader, HandClock, list[bytes]]:
    clock = HandClock()
    line, target, loader = make_line(tmp_path / "flash.bin", clock)
    heard: list[bytes] = []
    line.to_host = heard.append
    return line, target, loader, clock, heard


def test_the_firmware_has_the_line_until_a_reset_into_download_mode(wire) -> None:
    line, target, _loader, _clock, heard = wire
    line.host_sends(b"hello")
    assert heard == [b"HELLO"]
    line.set_lines(*RTS_ONLY)
    line.chip_sends(b"not while EN is low")
    line.host_sends(b"nor this")
    line.set_lines(*DTR_ONLY)
    assert target.events == ["fed b'hello'", "hold", "download"]
    assert b"waiting for download" in heard[1]
    line.host_sends(SYNC)
    assert len(slip.Decoder().feed(heard[2])) == 8
    line.set_lines(*RTS_ONLY)
    line.set_lines(*OFF_OFF)
    line.host_sends(b"back")
    assert target.events[3:] == ["hold", "boot", "fed b'back'"]
    assert b"SPI_FAST_FLASH_BOOT" in heard[3]


def test_the_chip_boots_when_both_lines_stay_asserted(wire) -> None:
    line, target, _loader, clock, _heard = wire
    line.set_lines(*RTS_ONLY)
    line.set_lines(*ON_ON)
    clock.go(EN_HOLD_S / 2)
    assert target.events == ["hold"]
    clock.go(EN_HOLD_S / 2)
    assert target.events == ["hold", "boot"]


def test_run_user_code_boots_the_firmware(wire) -> None:
    line, target, _loader, _clock, _heard = wire
    line.set_lines(*RTS_ONLY)
    line.set_lines(*DTR_ONLY)
    line.host_sends(slip.encode(bytes([0, p.SPI_ATTACH, 8, 0]) + bytes(12)))
    line.host_sends(slip.encode(bytes([0, p.FLASH_BEGIN, 16, 0]) + bytes(20)))
    line.host_sends(slip.encode(bytes([0, p.FLASH_END, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0])))
    assert target.events == ["hold", "download", "hold", "boot"]


def test_the_console_is_garbled_at_another_rate(wire) -> None:
    line, target, _loader, _clock, heard = wire
    line.set_baud(9600)
    line.chip_sends(b"print")
    line.host_sends(b"x")
    assert b"print" not in heard[0]
    assert target.events != ["fed b'x'"]


def test_the_loader_takes_the_rate_of_the_first_sync_and_keeps_it(wire) -> None:
    line, _target, loader, _clock, heard = wire
    line.set_lines(*RTS_ONLY)
    line.set_lines(*DTR_ONLY)
    line.set_baud(460800)
    line.host_sends(SYNC)
    assert len(slip.Decoder().feed(heard[-1])) == 8
    assert loader.rom.baud == 460800
    line.set_baud(115200)
    count = len(heard)
    line.host_sends(SYNC)
    assert len(heard) == count
    line.set_baud(460800)
    line.host_sends(slip.encode(bytes([0, p.CHANGE_BAUDRATE, 8, 0]) + bytes(4) + (921600).to_bytes(8, "little")))
    line.set_baud(921600)
    line.host_sends(SYNC)
    assert len(slip.Decoder().feed(heard[-1])) == 8


# RFC 2217


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[tuple[Rfc2217Port, FakeTarget]]:
    line, target, _loader = make_line(tmp_path / "flash.bin", WallClock())
    port = Rfc2217Port(line)
    await port.start()
    yield port, target
    await port.stop()


async def test_pyserial_talks_and_resets_through_rfc2217(port) -> None:
    server, target = port

    def client() -> bytes:
        with serial.serial_for_url(server.url, baudrate=115200, timeout=5) as link:
            link.write(b"\xff\xc0bytes")
            echo = link.read(7)
            link.dtr = False  # RTS alone
            link.rts = False
            banner = link.read_until(b"BOOT)\r\n")
        return echo + banner

    heard = await asyncio.to_thread(client)
    assert heard.startswith(b"\xff\xc0BYTES")
    assert heard.endswith(b"rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n")
    assert target.events == ["fed b'\\xff\\xc0bytes'", "hold", "boot"]


async def test_a_second_client_gets_the_port_when_the_first_has_gone(port) -> None:
    server, target = port
    first = socket.create_connection(("127.0.0.1", server.number))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.number)
    writer.write(b"second")
    await asyncio.sleep(0.05)
    assert target.events == []
    first.close()
    heard = b""
    while b"SECOND" not in heard:
        heard += await asyncio.wait_for(reader.read(1000), 5)
    writer.close()


async def test_a_client_that_does_not_speak_telnet_is_dropped_and_the_port_lives_on(port) -> None:
    server, target = port
    reader, writer = await asyncio.open_connection("127.0.0.1", server.number)
    writer.write(b"\xff\xf0")  # the end of a subnegotiation that never began
    while await asyncio.wait_for(reader.read(1000), 5):
        pass
    writer.close()
    _reader, writer = await asyncio.open_connection("127.0.0.1", server.number)
    writer.write(b"hello")
    for _ in range(100):
        if target.events:
            break
        await asyncio.sleep(0.02)
    assert target.events == ["fed b'hello'"]
    writer.close()


async def test_what_is_sent_before_a_change_of_rate_goes_out_at_the_old_one(port) -> None:
    server, target = port
    _reader, writer = await asyncio.open_connection("127.0.0.1", server.number)
    change = b"\xff\xfa\x2c\x01" + (9600).to_bytes(4, "big") + b"\xff\xf0"
    writer.write(b"before" + change + b"after")
    for _ in range(100):
        if len(target.events) == 2:
            break
        await asyncio.sleep(0.02)
    assert target.events[0] == "fed b'before'"
    assert "after" not in target.events[1]
    writer.close()
