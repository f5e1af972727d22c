"""The binary partition table against Espressif's own generator, and what it refuses."""

import hashlib
from dataclasses import replace

import pytest

from pave_tools.board import Board
from pave_tools.errors import PartitionError
from pave_tools.partition import Partition, check_table, decode_table, encode_table

# Made from the partitions of pave-presence-v1.toml, as CSV, by gen_esp32part.py of ESP-IDF (esp-idf-defs 0.1.7).
ESPRESSIF_TABLE = """
aa50010200900000006000006e76730000000000000000000000000000000000
aa50010000f00000002000006f74616461746100000000000000000000000000
aa50010100100100001000007068795f696e6974000000000000000000000000
aa50001000000200000020006f74615f30000000000000000000000000000000
aa50001100002200000020006f74615f31000000000000000000000000000000
aa50018100004200000020007666730000000000000000000000000000000000
aa5001810000620000001e006461746100000000000000000000000000000000
ebebffffffffffffffffffffffffffffc2d514e1950f47b030bb46bf5d2ea672
"""
FLASH_BYTES = 0x800000
NVS = Partition("nvs", "data", "nvs", 0x9000, 0x6000)
APP = Partition("ota_0", "app", "ota_0", 0x20000, 0x100000)


def test_the_table_is_byte_for_byte_what_espressifs_generator_makes(board: Board) -> None:
    expected = bytes.fromhex(ESPRESSIF_TABLE).ljust(0xC00, b"\xff")
    assert encode_table(board.partitions, board.flash_bytes) == expected


def test_a_table_reads_back_as_it_was_written(board: Board) -> None:
    table = encode_table(board.partitions, board.flash_bytes)
    assert decode_table(table) == list(board.partitions)


def test_one_flipped_bit_in_a_table_is_found_by_its_md5(board: Board) -> None:
    table = bytearray(encode_table(board.partitions, board.flash_bytes))
    table[5] ^= 0x10
    with pytest.raises(PartitionError, match="MD5"):
        decode_table(bytes(table))


def test_a_table_without_its_md5_entry_is_refused(board: Board) -> None:
    table = encode_table(board.partitions, board.flash_bytes)
    with pytest.raises(PartitionError, match="EB EB"):
        decode_table(table[: 32 * len(board.partitions)].ljust(0xC00, b"\xff"))


def test_an_entry_that_is_no_partition_is_refused_with_its_place() -> None:
    with pytest.raises(PartitionError, match=r"\+0x0 begins with 0000"):
        decode_table(bytes(0xC00))


def test_a_subtype_with_no_name_here_is_refused() -> None:
    entry = bytearray(encode_table([NVS], FLASH_BYTES)[:32])
    entry[3] = 0x7F
    md5 = b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(bytes(entry)).digest()
    with pytest.raises(PartitionError, match="subtype 0x7f"):
        decode_table((bytes(entry) + md5).ljust(0xC00, b"\xff"))


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        (replace(APP, offset=0x21000), "offset 0x21000 is not a multiple of 0x10000"),
        (replace(APP, size=0x100800), "size 0x100800 is not a positive multiple of 0x1000"),
        (replace(APP, size=0), "size 0x0 is not a positive"),
        (replace(APP, offset=0x780000), "ends at 0x880000, beyond the flash of 0x800000"),
        (replace(NVS, offset=0x8000), "below 0x9000"),
        (replace(APP, subtype="ota0"), "subtype 'ota0' is unknown; did you mean 'ota_0'"),
        (replace(APP, type="code"), "type 'code' is unknown; known: app, data"),
        (replace(APP, name="a-name-of-seventeen"), "1 to 16 bytes"),
    ],
)
def test_a_partition_the_chip_would_not_accept_is_refused(partition: Partition, message: str) -> None:
    with pytest.raises(PartitionError, match=message):
        check_table([partition], FLASH_BYTES)


def test_partitions_that_overlap_are_refused_by_name_in_any_order() -> None:
    inside = Partition("settings", "data", "nvs", 0x21000, 0x1000)
    with pytest.raises(PartitionError, match="'settings' at 0x21000 overlaps 'ota_0', which ends at 0x120000"):
        check_table([inside, APP], FLASH_BYTES)


def test_two_partitions_of_one_name_are_refused() -> None:
    with pytest.raises(PartitionError, match="'nvs' is declared 2 times"):
        check_table([NVS, replace(NVS, offset=0x10000)], FLASH_BYTES)


def test_a_table_without_partitions_is_refused() -> None:
    with pytest.raises(PartitionError, match="0 partitions"):
        check_table([], FLASH_BYTES)
