"""The commands of Espressif's flasher stub, answered here because its machine code cannot run.

Theory of operation. The stub acknowledges a block before it writes it, so that the next one can travel meanwhile; an
error of the writing answers the command after. READ_FLASH sends raw packets, each acknowledged with the count of bytes
received so far; the stub sends the next after the acknowledgement of the last (esp-flasher-stub does so whatever number
in flight the host allows).

Sources: esptool documentation, "Serial Protocol", Reading Flash and Supported by Stub Loader Only; esp-flasher-stub.
"""

from __future__ import annotations

from pave_emulator.flash.image import SECTOR_BYTES, Flash, FlashError
from pave_emulator.serial import rom_protocol as p
from pave_emulator.serial.download import Download
from pave_emulator.serial.rom_chips import RomChip
from pave_emulator.serial.rom_commands import EXTENDED_BEGIN_SIZES, Answer, Boot, Restart, RomCommands
from pave_emulator.serial.rom_memory import RomMemory

MAX_READ_PACKET_BYTES = 4096


class ReadFlash:
    """A READ_FLASH under way: packets out, acknowledgements in, the MD5 of everything at the end."""

    def __init__(self, data: bytes, packet_bytes: int, md5: bytes) -> None:
        self._data = data
        self._packet_bytes = packet_bytes
        self._md5 = md5
        self._sent = 0
        self.done = False

    def next(self) -> bytes:
        """The next packet; once all data are acknowledged it is the MD5."""
        if self._sent >= len(self._data):
            self.done = True
            return self._md5
        packet = self._data[self._sent : self._sent + self._packet_bytes]
        self._sent += len(packet)
        return packet

    def acknowledged(self, packet: bytes) -> bool:
        """Whether this acknowledges everything sent so far."""
        return len(packet) == 4 and int.from_bytes(packet, "little") == self._sent


class StubCommands(RomCommands):
    """What differs from the ROM."""

    def __init__(self, chip: RomChip, memory: RomMemory, flash: Flash) -> None:
        super().__init__(chip, memory, flash)
        memory.spi.attached = True  # the stub does it as it starts
        self._late: p.Refusal | None = None
        self.reading: ReadFlash | None = None
        """Set while READ_FLASH owns the line."""
        del self._table[p.READ_FLASH_SLOW]
        for begin in (p.FLASH_BEGIN, p.FLASH_DEFL_BEGIN):
            self._table[begin] = (self._table[begin][0], EXTENDED_BEGIN_SIZES)
        self._table |= {
            p.SPI_ATTACH: (self._spi_attach, (4,)),
            p.ERASE_FLASH: (lambda _request: self._erase(0, flash.size_bytes), (0,)),
            p.ERASE_REGION: (lambda request: self._erase(*request.words()), (8,)),
            p.READ_FLASH: (self._read_flash, (16,)),
            p.RUN_USER_CODE: (lambda _request: Answer(event=Boot()), (0,)),
        }

    def run(self, request: p.Request) -> Answer:
        """Do what the request asks, or answer for the block before it."""
        late, self._late = self._late, None
        if late is not None:
            raise late
        return super().run(request)

    def _sync(self, request: p.Request) -> Answer:
        super()._sync(request)
        return Answer()  # value 0: how esptool tells a stub from the ROM

    def _new_download(self, offset: int, size: int, deflated: bool) -> Download:
        return Download(self._flash, offset, size, deflated, erase_ahead=False)

    def _take(self, download: Download, block: bytes) -> None:
        try:
            download.write(block)
        except p.Refusal as refusal:
            self._late = refusal

    def _end(self, request: p.Request) -> Answer:
        """0 reboots; 1 stays in the stub."""
        left = self._current_download().remaining
        if left:
            raise p.Refusal(p.BAD_FORMAT, f"{left} bytes have not come")
        self._download = None
        return Answer(event=None if request.words()[0] else Restart())

    def _erase(self, address: int, size: int) -> Answer:
        if address % SECTOR_BYTES or size % SECTOR_BYTES:
            raise p.Refusal(p.BAD_PARAMETER, f"erase of {size} bytes at {address:#x}: not whole sectors")
        try:
            self._flash.erase(address, size)
        except FlashError as error:
            raise p.Refusal(p.WRITE_FAILED, str(error)) from error
        return Answer()

    def _read_flash(self, request: p.Request) -> Answer:
        address, size, packet_bytes, _in_flight = request.words()
        if not 0 < packet_bytes <= MAX_READ_PACKET_BYTES:
            raise p.Refusal(p.BAD_PARAMETER, f"packets of {packet_bytes} bytes, at most {MAX_READ_PACKET_BYTES}")
        data = self._read(address, size)
        self.reading = ReadFlash(data, packet_bytes, self._digest(data).digest())
        return Answer()

    def _md5(self, request: p.Request) -> Answer:
        address, size, _, _ = request.words()
        return Answer(data=self._digest(self._read(address, size)).digest())
