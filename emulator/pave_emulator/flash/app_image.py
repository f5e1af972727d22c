"""The app image of ESP-IDF: what the bootloader checks before it starts an app.

Layout (ESP-IDF Programming Guide, "App Image Format"; esp_app_format.h and esp_image_format.c of v5.5.2): a header of
24 bytes, segments (load address, length, data), zeros up to the last byte of a block of 16, which is the XOR of all
segment data and 0xEF, and, where the header says so, the SHA-256 of everything before it.

The emulator runs MicroPython's VM and no machine code, so `stand_in` makes the smallest image that passes the checks,
to put where a board has MicroPython.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

MAGIC = 0xE9
CHIP_ESP32S3 = 9
MAX_SEGMENTS = 16
HEADER_BYTES = 24
SEGMENT_HEADER_BYTES = 8
CHECKSUM_SEED = 0xEF
BLOCK_BYTES = 16
DIGEST_BYTES = 32
APP_DESCRIPTION_MAGIC = 0xABCD5432
ESP32S3_ENTRY = 0x40374000  # internal SRAM, where an app starts
ESP32S3_DROM = 0x3C000000  # flash mapped as data; the low 16 bits must be those of the offset in the image
FLASH_MODE_DIO, FLASH_80M_8MB = 2, 0x3F

Read = Callable[[int, int], bytes]
"""(offset in the partition, bytes) -> data."""


class AppImageError(ValueError):
    """Not an app the bootloader would start; says what is wrong."""


def verify(read: Read, room_bytes: int) -> int:
    """Check the image in a partition of `room_bytes`; return its length. Raise AppImageError."""
    header = read(0, HEADER_BYTES)
    segments, hash_appended = _check_header(header)
    at, checksum = HEADER_BYTES, CHECKSUM_SEED
    for number in range(segments):
        _address, size = struct.unpack("<II", read(at, SEGMENT_HEADER_BYTES))
        at += SEGMENT_HEADER_BYTES
        if size % 4:
            raise AppImageError(f"segment {number} has {size} bytes: not whole words")
        if at + size + BLOCK_BYTES + DIGEST_BYTES > room_bytes:
            raise AppImageError(f"segment {number} of {size} bytes does not fit a partition of {room_bytes}")
        checksum ^= _xor(read(at, size))
        at += size
    end = at - at % BLOCK_BYTES + BLOCK_BYTES
    stored = read(end - 1, 1)[0]
    if stored != checksum:
        raise AppImageError(f"checksum is {checksum:#04x}, the image says {stored:#04x}")
    if hash_appended and hashlib.sha256(read(0, end)).digest() != read(end, DIGEST_BYTES):
        raise AppImageError("SHA-256 of the image is not the one appended to it")
    return end + DIGEST_BYTES if hash_appended else end


def _check_header(header: bytes) -> tuple[int, bool]:
    """Number of segments, and whether a SHA-256 is appended."""
    magic, segments = header[0], header[1]
    chip = struct.unpack_from("<H", header, 12)[0]
    if magic != MAGIC:
        raise AppImageError(f"magic byte {magic:#04x}, not {MAGIC:#04x}: nothing flashed here?")
    if chip != CHIP_ESP32S3:
        raise AppImageError(f"image for chip {chip}, not {CHIP_ESP32S3} (ESP32-S3)")
    if segments > MAX_SEGMENTS:
        raise AppImageError(f"{segments} segments, at most {MAX_SEGMENTS}")
    return segments, header[23] == 1


def _xor(data: bytes) -> int:
    """XOR of all bytes, by folding."""
    value, size = int.from_bytes(data, "little"), len(data)
    while size > 1:
        half = (size + 1) // 2
        value = value >> 8 * half ^ value & (1 << 8 * half) - 1
        size = half
    return value


def stand_in(version: str, project: str = "micropython") -> bytes:
    """An image without code, for an ESP32-S3, whose description carries version and project (31 characters each)."""
    description = struct.pack("<II8x", APP_DESCRIPTION_MAGIC, 0) + _text(version) + _text(project)
    description = description.ljust(256, b"\0")
    body = struct.pack("<II", ESP32S3_DROM + HEADER_BYTES + SEGMENT_HEADER_BYTES, len(description)) + description
    header = struct.pack("<BBBBI", MAGIC, 1, FLASH_MODE_DIO, FLASH_80M_8MB, ESP32S3_ENTRY)
    header += struct.pack("<B3xHBHH4xB", 0xEE, CHIP_ESP32S3, 0, 0, 0xFFFF, 1)
    image = header + body
    image += b"\0" * (BLOCK_BYTES - 1 - len(image) % BLOCK_BYTES) + bytes([CHECKSUM_SEED ^ _xor(description)])
    return image + hashlib.sha256(image).digest()


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) > 31:
        raise ValueError(f"{text!r} has {len(data)} bytes, at most 31 fit an app description")
    return data.ljust(32, b"\0")
