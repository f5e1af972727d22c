"""Writing to flash through the serial protocol: from a _BEGIN to its _END.

Theory of operation. The ROM erases everything on _BEGIN, which takes the size to erase; the stub takes the exact size
of the data and erases each sector when the data reaches it. The stub leaves sectors alone that are blank already until
it has met the first that is not (esp-flasher-stub). Sources: "Serial Protocol", Writing Data; FLASH_DEFL_BEGIN.
"""

from __future__ import annotations

import zlib

from pave_emulator.flash.image import SECTOR_BYTES, Flash, FlashError
from pave_emulator.serial.rom_protocol import (
    ADLER_FAILED,
    INFLATE_FAILED,
    TOO_MUCH_DATA,
    WRITE_FAILED,
    Refusal,
)

BLANK_SECTOR = b"\xff" * SECTOR_BYTES


class Download:
    """One download of `size` bytes to `offset`. `deflated` says whether write() takes a zlib stream."""

    def __init__(self, flash: Flash, offset: int, size: int, deflated: bool, erase_ahead: bool) -> None:
        self._flash = flash
        self._next = offset
        self._inflate = zlib.decompressobj() if deflated else None
        self._erase_next = offset - offset % SECTOR_BYTES
        self._erase_end = offset + size + -(offset + size) % SECTOR_BYTES
        self._trims = not erase_ahead
        self._only_blank = not erase_ahead
        self.remaining = size
        """Bytes still to come. To the stub it is exact; the ROM does not look at it."""
        if erase_ahead:
            self._erase_to(self._erase_end)

    def write(self, block: bytes) -> None:
        """Take the next block. Raise Refusal when it cannot be written."""
        if self._inflate is None:
            self._program(block)
            return
        if self._inflate.eof and block:
            raise Refusal(TOO_MUCH_DATA, f"{len(block)} bytes after the end of the stream")
        try:
            self._program(self._inflate.decompress(block))
        except zlib.error as error:
            reason = ADLER_FAILED if "incorrect data check" in str(error) else INFLATE_FAILED
            raise Refusal(reason, str(error)) from error

    def _program(self, data: bytes) -> None:
        if self._trims:
            data = data[: self.remaining]  # the last block may be padded
        self._erase_to(min(self._next + len(data), self._erase_end))
        try:
            if data:
                self._flash.program(self._next, data)
        except FlashError as error:
            raise Refusal(WRITE_FAILED, str(error)) from error
        self._next += len(data)
        self.remaining -= len(data)

    def _erase_to(self, end: int) -> None:
        try:
            while self._erase_next < end:
                blank = self._only_blank and self._flash.read(self._erase_next, SECTOR_BYTES) == BLANK_SECTOR
                if not blank:
                    self._only_blank = False
                    self._flash.erase(self._erase_next)
                self._erase_next += SECTOR_BYTES
        except FlashError as error:
            raise Refusal(WRITE_FAILED, str(error)) from error
