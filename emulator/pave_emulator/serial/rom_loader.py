"""The ROM loader of an ESP32 or ESP32-S3 in download mode: bytes of the UART in, bytes and events out.

Theory of operation. Requests come in SLIP packets, each is answered by one packet. esptool first loads its flasher stub
to RAM and starts it. Its machine code cannot run here: once a program that holds the stub's greeting has been started,
the greeting is sent and `StubCommands` answers from then on, until the next reset. Before the first SYNC the UART
follows the rate of whoever speaks to it, as the ROM measures it; then it keeps its rate until CHANGE_BAUDRATE.

Source: esptool documentation, "Serial Protocol".
"""

from __future__ import annotations

from collections.abc import Callable

from pave_emulator.chips.chip import ChipFault
from pave_emulator.flash.image import Flash, FlashError
from pave_emulator.serial import rom_protocol as p
from pave_emulator.serial import slip
from pave_emulator.serial.rom_chips import LOADER_RESET, RomChip
from pave_emulator.serial.rom_commands import (
    STUB_GREETING,
    Answer,
    Boot,
    Event,
    Halt,
    Restart,
    RomCommands,
    SetBaud,
    StartStub,
)
from pave_emulator.serial.rom_memory import RomMemory
from pave_emulator.serial.stub_commands import StubCommands

UNKNOWN_COMMAND_ANSWERS = 8  # esptool drains as many; they do not echo the command, which is how it knows


class RomLoader:
    """One chip's loader. Make `enter` the first call after each reset into download mode."""

    def __init__(self, chip: RomChip, flash: Flash, mac: bytes, report: Callable[[str], None]) -> None:
        """`mac` has 6 bytes; `report` gets a line for the log when a command is refused."""
        self._chip = chip
        self._flash = flash
        self._mac = mac
        self._report = report
        self.enter()

    def enter(self) -> None:
        """Reset into download mode: RAM, registers and the stub are gone."""
        self._decoder = slip.Decoder()
        self._memory = RomMemory(self._chip, self._flash, self._mac)
        self._commands: RomCommands | None = RomCommands(self._chip, self._memory, self._flash)
        self.baud: int | None = None
        """Rate of the UART; None while it still follows the host's."""

    def banner(self, reset: str, download: bool) -> bytes:
        """What the ROM prints after a reset, a name of `rom_chips`."""
        return self._chip.banner(reset, download)

    def receive(self, data: bytes, host_baud: int) -> tuple[bytes, bool]:
        """Bytes from the host, at its rate. Return the bytes to send, and whether the chip then boots from flash."""
        sent = bytearray()
        for packet in self._decoder.feed(data):
            packets, event = self._packet(packet, host_baud)
            for answer in packets:
                sent += slip.encode(answer)
            if isinstance(event, Restart):
                self.enter()
                return bytes(sent) + self.banner(LOADER_RESET, download=True), False
            if isinstance(event, Boot):
                return bytes(sent), True
        return bytes(sent), False

    def _packet(self, packet: bytes, host_baud: int) -> tuple[list[bytes], Event | None]:
        commands = self._commands
        if commands is None:
            return [], None
        if isinstance(commands, StubCommands) and commands.reading:
            return self._read_on(commands, packet), None
        request = p.parse(packet)
        if request is None:
            self._report(f"ROM loader: a packet of {len(packet)} bytes that is no request: {packet[:16].hex()}")
            return [], None
        try:
            answer = commands.run(request)
        except p.Refusal as refusal:
            return self._refuse(request, refusal), None
        except (ChipFault, FlashError) as fault:
            return self._refuse(request, p.Refusal(p.NOT_MODELLED, str(fault))), None
        return self._answer(commands, request, answer, host_baud), answer.event

    def _answer(self, commands: RomCommands, request: p.Request, answer: Answer, host_baud: int) -> list[bytes]:
        stub = isinstance(commands, StubCommands)
        packets = [p.response(request.command, bytes(2 if stub else 4), answer.value, answer.data)]
        if request.command == p.SYNC:
            packets *= p.SYNC_ANSWERS
            if self.baud is None:
                self._set_baud(host_baud)
        if isinstance(answer.event, SetBaud):
            self._set_baud(answer.event.baud)
        elif isinstance(answer.event, StartStub):
            self._commands = StubCommands(self._chip, self._memory, self._flash)
            packets.append(STUB_GREETING)
        elif isinstance(answer.event, Halt):
            self._commands = None
            self._report("ROM loader: a program was started in RAM, which cannot run here: silent until the next reset")
        elif isinstance(commands, StubCommands) and commands.reading:
            packets.append(commands.reading.next())
            self._finish_read(commands)
        return [] if request.command == p.RUN_USER_CODE else packets

    def _read_on(self, commands: StubCommands, packet: bytes) -> list[bytes]:
        assert commands.reading
        if not commands.reading.acknowledged(packet):
            self._report(f"flasher stub: {packet[:16].hex()} does not acknowledge what was read: reading stopped")
            commands.reading = None
            return []
        answer = commands.reading.next()
        self._finish_read(commands)
        return [answer]

    def _finish_read(self, commands: StubCommands) -> None:
        if commands.reading and commands.reading.done:
            commands.reading = None

    def _refuse(self, request: p.Request, refusal: p.Refusal) -> list[bytes]:
        stub = isinstance(self._commands, StubCommands)
        if refusal.reason is not p.UNKNOWN_COMMAND or stub:
            self._report(f"{'flasher stub' if stub else 'ROM loader'}: command {request.command:#04x}: {refusal}")
        if stub:
            return [p.response(request.command, bytes([refusal.reason.stub, 0]))]
        status = bytes([1, refusal.reason.rom, 0, 0])
        if refusal.reason is p.UNKNOWN_COMMAND:
            return [p.response(0, status)] * UNKNOWN_COMMAND_ANSWERS
        return [p.response(request.command, status)]

    def _set_baud(self, baud: int) -> None:
        self.baud = self._memory.baud = baud
