"""The commands of the ROM loader. The stub's are in `stub_commands`, on top of these.

Source: esptool documentation, "Serial Protocol", Commands and Functional Description.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from pave_emulator.flash.image import Flash, FlashError
from pave_emulator.serial import rom_protocol as p
from pave_emulator.serial.download import Download
from pave_emulator.serial.rom_chips import RomChip
from pave_emulator.serial.rom_memory import RomMemory

MAX_BLOCK_BYTES = 0x4000
READ_SLOW_BYTES = 64
WRITE_REG_BYTES = 16
STUB_GREETING = b"OHAI"
BEGIN_SIZES, EXTENDED_BEGIN_SIZES = (16,), (16, 20)


class Boot:
    """Event: leave the loader and run what is in flash."""


class Restart:
    """Event: a software reset. The chip does not look at GPIO0 again, so it comes back in download mode."""


class StartStub:
    """Event: run the flasher stub that lies in RAM."""


class Halt:
    """Event: run a program in RAM that cannot run here; nothing more is answered."""


@dataclass(frozen=True)
class SetBaud:
    """Event: the UART's rate from the next byte on."""

    baud: int


Event = Boot | Restart | StartStub | Halt | SetBaud


@dataclass(frozen=True)
class Answer:
    """A successful response, and what happens once it is sent."""

    value: int = 0
    data: bytes = b""
    event: Event | None = None


Handler = Callable[[p.Request], Answer]


class RomCommands:
    """State of one stay in the loader. `run` answers a request or raises Refusal, ChipFault, FlashError."""

    def __init__(self, chip: RomChip, memory: RomMemory, flash: Flash) -> None:
        self._chip = chip
        self._memory = memory
        self._flash = flash
        self._download: Download | None = None
        self._ram_next: int | None = None
        self._ram_end = 0
        begin = BEGIN_SIZES if chip.security_info is None else EXTENDED_BEGIN_SIZES
        self._table: dict[int, tuple[Handler, tuple[int, ...] | None]] = {
            p.SYNC: (self._sync, (len(p.SYNC_DATA),)),
            p.READ_REG: (lambda request: Answer(memory.read(request.words()[0])), (4,)),
            p.WRITE_REG: (self._write_reg, None),
            p.MEM_BEGIN: (self._mem_begin, (16,)),
            p.MEM_DATA: (self._mem_data, None),
            p.MEM_END: (self._mem_end, (8,)),
            p.SPI_ATTACH: (self._spi_attach, (8,)),
            p.SPI_SET_PARAMS: (self._spi_set_params, (24,)),
            p.CHANGE_BAUDRATE: (self._change_baudrate, (8,)),
            p.FLASH_BEGIN: (lambda request: self._begin(request, False), begin),
            p.FLASH_DATA: (self._data, None),
            p.FLASH_END: (self._end, (4,)),
            p.FLASH_DEFL_BEGIN: (lambda request: self._begin(request, True), begin),
            p.FLASH_DEFL_DATA: (self._data, None),
            p.FLASH_DEFL_END: (self._end, (4,)),
            p.SPI_FLASH_MD5: (self._md5, (16,)),
            p.READ_FLASH_SLOW: (self._read_slow, (8,)),
        }
        if chip.security_info is not None:
            self._table[p.GET_SECURITY_INFO] = (lambda _request: Answer(data=chip.security_info or b""), (0,))

    def run(self, request: p.Request) -> Answer:
        """Do what the request asks."""
        if request.command not in self._table:
            raise p.Refusal(p.UNKNOWN_COMMAND, f"{request.command:#04x}")
        handler, sizes = self._table[request.command]
        if sizes is not None and len(request.data) not in sizes:
            raise p.Refusal(p.BAD_FORMAT, f"command {request.command:#04x} with {len(request.data)} bytes, not {sizes}")
        return handler(request)

    # Registers, memory, the link

    def _sync(self, request: p.Request) -> Answer:
        if request.data != p.SYNC_DATA:
            raise p.Refusal(p.BAD_FORMAT, "not the data of a SYNC")
        return Answer(int.from_bytes(request.data[:4], "little"))

    def _write_reg(self, request: p.Request) -> Answer:
        if not request.data or len(request.data) % WRITE_REG_BYTES:
            raise p.Refusal(p.BAD_FORMAT, f"WRITE_REG with {len(request.data)} bytes")
        words = request.words()
        for address, value, mask in zip(words[0::4], words[1::4], words[2::4], strict=True):
            if mask:  # esptool writes with an empty mask for the sake of the delay in the fourth word
                self._memory.write(address, value, mask)
        return Answer()

    def _change_baudrate(self, request: p.Request) -> Answer:
        baud = request.words()[0]
        if not baud:
            raise p.Refusal(p.BAD_PARAMETER, "baud rate 0")
        return Answer(event=SetBaud(baud))

    # RAM download

    def _mem_begin(self, request: p.Request) -> Answer:
        size, blocks, block_size, address = request.words()
        if size > blocks * block_size:
            raise p.Refusal(p.RAM_SIZE, f"{size} bytes in {blocks} blocks of {block_size}")
        if not self._memory.in_ram(address, size) or address % 4:
            raise p.Refusal(p.RAM_ADDRESS, f"{size} bytes at {address:#010x}")
        self._ram_next, self._ram_end = address, address + size
        return Answer()

    def _mem_data(self, request: p.Request) -> Answer:
        block = request.block()
        if self._ram_next is None:
            raise p.Refusal(p.NOT_BEGUN, "MEM_DATA without MEM_BEGIN")
        if self._ram_next + len(block) > self._ram_end:
            raise p.Refusal(p.TOO_MUCH_DATA, f"{len(block)} bytes at {self._ram_next:#010x}")
        self._memory.load(self._ram_next, block)
        self._ram_next += len(block)
        return Answer()

    def _mem_end(self, request: p.Request) -> Answer:
        stay, entry = request.words()
        self._ram_next = None
        if stay:
            return Answer()
        if not self._memory.in_ram(entry, 1):
            raise p.Refusal(p.RAM_ADDRESS, f"entry point {entry:#010x}")
        return Answer(event=StartStub() if self._memory.ram_holds(STUB_GREETING) else Halt())

    # Flash

    def _spi_attach(self, request: p.Request) -> Answer:
        pins = request.words()[0]
        if pins:
            raise p.Refusal(p.NOT_MODELLED, f"SPI pins {pins:#x} other than the default")
        self._memory.spi.attached = True
        return Answer()

    def _spi_set_params(self, request: p.Request) -> Answer:
        _id, total, block, sector, page, _mask = request.words()
        if (block, sector, page) != (65536, 4096, 256):
            raise p.Refusal(p.NOT_MODELLED, f"flash of {total} bytes with geometry {block, sector, page}")
        return Answer()

    def _begin(self, request: p.Request, deflated: bool) -> Answer:
        size, _blocks, block_size, offset, *encrypted = request.words()
        if block_size > MAX_BLOCK_BYTES:
            raise p.Refusal(p.BAD_BLOCK_SIZE, f"{block_size} bytes, at most {MAX_BLOCK_BYTES}")
        if any(encrypted):
            raise p.Refusal(p.NOT_MODELLED, "encrypted write")
        self._check_attached()
        self._download = self._new_download(offset, size, deflated)
        return Answer()

    def _new_download(self, offset: int, size: int, deflated: bool) -> Download:
        return Download(self._flash, offset, size, deflated, erase_ahead=True)

    def _data(self, request: p.Request) -> Answer:
        block = request.block()
        self._take(self._current_download(), block)
        return Answer()

    def _take(self, download: Download, block: bytes) -> None:
        download.write(block)

    def _end(self, request: p.Request) -> Answer:
        """0 reboots, 1 runs what is in flash."""
        self._current_download()
        self._download = None
        return Answer(event=Boot() if request.words()[0] else Restart())

    def _md5(self, request: p.Request) -> Answer:
        address, size, _, _ = request.words()
        return Answer(data=self._digest(self._read(address, size)).hexdigest().encode())

    def _digest(self, data: bytes) -> hashlib._Hash:
        return hashlib.md5(data, usedforsecurity=False)

    def _read_slow(self, request: p.Request) -> Answer:
        address, size = request.words()
        if size > READ_SLOW_BYTES:
            raise p.Refusal(p.READ_LENGTH, f"{size} bytes, at most {READ_SLOW_BYTES}")
        return Answer(data=self._read(address, size).ljust(READ_SLOW_BYTES, b"\0"))

    def _read(self, address: int, size: int) -> bytes:
        self._check_attached()
        try:
            return self._flash.read(address, size)
        except FlashError as error:
            raise p.Refusal(p.READ_FAILED, str(error)) from error

    def _current_download(self) -> Download:
        if self._download is None:
            raise p.Refusal(p.NOT_BEGUN, "no _BEGIN before")
        return self._download

    def _check_attached(self) -> None:
        if not self._memory.spi.attached:
            raise p.Refusal(p.READ_FAILED, "SPI_ATTACH comes first")
