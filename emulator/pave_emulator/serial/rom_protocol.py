"""Packets of the serial protocol of Espressif's ROM loader and of its flasher stub: requests, responses, refusals.

Source: esptool documentation, "Serial Protocol" (Command Packet, Response Packet, Status Bytes, Commands, Checksum);
the stub's codes from the header of esp-flasher-stub.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import reduce
from operator import xor

FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
MEM_BEGIN, MEM_END, MEM_DATA = 0x05, 0x06, 0x07
SYNC, WRITE_REG, READ_REG = 0x08, 0x09, 0x0A
SPI_SET_PARAMS, SPI_ATTACH, READ_FLASH_SLOW, CHANGE_BAUDRATE = 0x0B, 0x0D, 0x0E, 0x0F
FLASH_DEFL_BEGIN, FLASH_DEFL_DATA, FLASH_DEFL_END = 0x10, 0x11, 0x12
SPI_FLASH_MD5, GET_SECURITY_INFO = 0x13, 0x14
ERASE_FLASH, ERASE_REGION, READ_FLASH, RUN_USER_CODE = 0xD0, 0xD1, 0xD2, 0xD3

REQUEST, RESPONSE = 0, 1
HEADER_BYTES = 8
DATA_HEADER_BYTES = 16
CHECKSUM_SEED = 0xEF
SYNC_DATA = b"\x07\x07\x12\x20" + b"\x55" * 32
SYNC_ANSWERS = 8


@dataclass(frozen=True)
class Reason:
    """Why a command is refused: the ROM's error code, and the first of the stub's two status bytes."""

    text: str
    rom: int
    stub: int


BAD_FORMAT = Reason("the format of the message is invalid", 0x05, 0xC0)
BAD_PARAMETER = Reason("a parameter is invalid", 0x01, 0xC0)
BAD_CHECKSUM = Reason("checksum error", 0x07, 0xC1)
BAD_BLOCK_SIZE = Reason("blocks too large", 0x01, 0xC2)
UNKNOWN_COMMAND = Reason("no such command", 0x05, 0xC3)
WRITE_FAILED = Reason("flash write error", 0x08, 0xC4)
READ_FAILED = Reason("flash read error", 0x09, 0xC4)
READ_LENGTH = Reason("flash read length error", 0x0A, 0xC0)
NOT_BEGUN = Reason("no download is under way", 0x06, 0xC6)
INFLATE_FAILED = Reason("deflate failed", 0x0B, 0xC7)
ADLER_FAILED = Reason("deflate Adler-32 error", 0x0C, 0xC7)
TOO_MUCH_DATA = Reason("more data than announced", 0x06, 0xC9)
RAM_SIZE = Reason("invalid RAM binary size", 0x0E, 0xC0)
RAM_ADDRESS = Reason("invalid RAM binary address", 0x0F, 0xC0)
NOT_MODELLED = Reason("the emulator does not model this", 0x06, 0xFF)


class Refusal(Exception):  # noqa: N818  an answer, not a failure of the loader
    """A command that is answered with an error. `detail` is for the emulator's log."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.text}: {detail}")
        self.reason = reason


@dataclass(frozen=True)
class Request:
    """A command packet."""

    command: int
    checksum: int
    data: bytes

    def words(self) -> tuple[int, ...]:
        """The data as 32-bit words. Raise Refusal when it is not whole words."""
        if len(self.data) % 4:
            raise Refusal(BAD_FORMAT, f"{len(self.data)} bytes of data are not 32-bit words")
        return struct.unpack(f"<{len(self.data) // 4}I", self.data)

    def block(self) -> bytes:
        """The payload of a _DATA command. Raise Refusal when length or checksum are wrong."""
        if len(self.data) < DATA_HEADER_BYTES:
            raise Refusal(BAD_FORMAT, f"{len(self.data)} bytes hold no data header")
        length = int.from_bytes(self.data[:4], "little")
        block = self.data[DATA_HEADER_BYTES:]
        if length != len(block):
            raise Refusal(BAD_FORMAT, f"{len(block)} bytes of data, {length} announced")
        if checksum(block) != self.checksum:
            raise Refusal(BAD_CHECKSUM, f"{checksum(block):#04x} computed, {self.checksum:#04x} sent")
        return block


def checksum(block: bytes) -> int:
    """XOR of the bytes and 0xEF."""
    return reduce(xor, block, CHECKSUM_SEED)


def parse(packet: bytes) -> Request | None:
    """The request in a packet; None when it is none: too short, another direction, a wrong size."""
    if len(packet) < HEADER_BYTES:
        return None
    direction, command, size, check = struct.unpack_from("<BBHI", packet)
    if direction != REQUEST or size != len(packet) - HEADER_BYTES:
        return None
    return Request(command, check, packet[HEADER_BYTES:])


def response(command: int, status: bytes, value: int = 0, data: bytes = b"") -> bytes:
    """A response packet, unframed."""
    return struct.pack("<BBHI", RESPONSE, command, len(data) + len(status), value) + data + status
