"""NVS images, read entry by entry as ESP-IDF's "NVS Internals" describes them."""

import struct
import zlib

import pytest

from pave_tools.errors import ImageError
from pave_tools.nvs_image import build_nvs

PAGE_BYTES = 4096
ENTRY_BYTES = 32
SIZE_BYTES = 0x6000
TYPE_U8, TYPE_I32, TYPE_BLOB_DATA = 0x01, 0x14, 0x42


def entries(image: bytes) -> list[tuple[int, int, str, bytes]]:
    """Return (namespace index, type, key, 8 data bytes) of each entry of the first page whose CRC is right."""
    found: list[tuple[int, int, str, bytes]] = []
    for start in range(64, PAGE_BYTES, ENTRY_BYTES):
        entry = image[start : start + ENTRY_BYTES]
        (crc,) = struct.unpack_from("<I", entry, 4)
        if crc == zlib.crc32(entry[:4] + entry[8:], 0xFFFFFFFF):
            found.append((entry[0], entry[1], entry[8:24].rstrip(b"\0").decode(), entry[24:]))
    return found


def test_a_number_is_an_i32_in_its_namespace() -> None:
    image = build_nvs({"pave": {"epoch": -7}}, SIZE_BYTES)
    assert len(image) == SIZE_BYTES
    assert entries(image)[0][:3] == (0, TYPE_U8, "pave")
    namespace, kind, key, data = entries(image)[1]
    assert (namespace, kind, key, struct.unpack("<i", data[:4])[0]) == (1, TYPE_I32, "epoch", -7)


def test_bytes_are_a_blob_with_their_length_and_crc() -> None:
    blob = bytes(range(6))
    _, kind, key, data = entries(build_nvs({"pave": {"baseline": blob}}, SIZE_BYTES))[1]
    length, crc = struct.unpack("<HxxI", data)
    assert (kind, key, length, crc) == (TYPE_BLOB_DATA, "baseline", 6, zlib.crc32(blob, 0xFFFFFFFF))


def test_no_values_give_erased_flash() -> None:
    assert set(build_nvs({}, SIZE_BYTES)) == {0xFF}


def test_the_same_values_give_the_same_image() -> None:
    values = {"pave": {"epoch": 1, "key": b"secret"}}
    assert build_nvs(values, SIZE_BYTES) == build_nvs(values, SIZE_BYTES)


@pytest.mark.parametrize(
    ("values", "size_bytes", "message"),
    [
        ({"pave": {"a_key_too_long_x": 1}}, SIZE_BYTES, "1 to 15 characters"),
        ({"a_name_too_long_": {}}, SIZE_BYTES, "1 to 15 characters"),
        ({"pave": {"epoch": 2**31}}, SIZE_BYTES, "beyond 32 bits"),
        ({"pave": {f"k{n}": bytes(1500) for n in range(20)}}, SIZE_BYTES, "Size parameter is less"),
        ({}, 0x2000, "at least 3 whole pages"),
        ({}, 0x6001, "at least 3 whole pages"),
    ],
)
def test_values_that_nvs_cannot_hold_are_refused(
    values: dict[str, dict[str, int | bytes]], size_bytes: int, message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        build_nvs(values, size_bytes)
