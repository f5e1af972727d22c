"""The ROM loader and the flasher stub, packet by packet."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import pytest
from serial_bench import FLASH_BYTES, MAC, Loader

from pave_emulator.serial import rom_protocol as p
from pave_emulator.serial import slip
from pave_emulator.serial.rom_chips import CHIPS, mac_crc8

ROM_OK, STUB_OK = bytes(4), bytes(2)
VFS = 0x200000


@pytest.fixture(params=["esp32", "esp32s3"])
def loader(request: pytest.FixtureRequest, tmp_path: Path) -> Loader:
    return Loader(tmp_path / "flash.bin", request.param)


@pytest.fixture
def s3(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "flash.bin", "esp32s3")


def begin(size: int, offset: int, block: int = 0x400) -> tuple[int, int, int, int]:
    return (size, -(-size // block), block, offset)


# Framing


def test_a_packet_survives_slip_whatever_it_holds() -> None:
    packet = bytes(range(256)) + b"\xc0\xdb\xdc\xdd\xc0"
    assert slip.Decoder().feed(slip.encode(packet)) == [packet]


def test_slip_packets_arrive_in_any_pieces_and_noise_between_them_is_dropped() -> None:
    stream = b"noise" + slip.encode(b"one") + b"noise" + slip.encode(b"\xc0two") + b"\xc0" + slip.encode(b"three")
    decoder = slip.Decoder()
    assert [packet for at in range(len(stream)) for packet in decoder.feed(stream[at : at + 1])] == [
        b"one",
        b"\xc0two",
        b"three",
    ]


def test_a_packet_with_a_wrong_escape_is_dropped() -> None:
    assert slip.Decoder().feed(b"\xc0a\xdbb\xc0" + slip.encode(b"next")) == [b"next"]


def test_a_packet_that_never_ends_is_given_up() -> None:
    decoder = slip.Decoder()
    decoder.feed(b"\xc0" + bytes(200_000))
    assert decoder.feed(slip.encode(b"next")) == [b"next"]


# What a real chip said: traces in esptool's documentation ("Tracing") and issues 548 and 921


def test_sync_is_answered_eight_times_as_a_real_esp32_does(tmp_path: Path) -> None:
    loader = Loader(tmp_path / "flash.bin", "esp32")
    sync = bytes.fromhex("c0000824000000000007071220" + "55" * 32 + "c0")
    assert loader.raw(sync) == ([bytes.fromhex("010804000707122000000000")] * 8, False)


@pytest.mark.parametrize(
    ("request_hex", "answer_hex"),
    [
        ("000a04000000000000100040", "010a0400831df00000000000"),  # magic
        ("000a0400000000000ca0f53f", "010a040000a2000000000000"),  # eFuse word 3
        ("000a0400000000007c60f63f", "010a04000020049600000000"),  # APB_CTRL_DATE
        ("000a0400000000001c20f43f", "010a04000000008000000000"),  # SPI_USER
        ("000d0800000000000000000000000000", "010d04000000000000000000"),  # SPI_ATTACH
    ],
)
def test_registers_read_as_on_a_real_esp32(tmp_path: Path, request_hex: str, answer_hex: str) -> None:
    loader = Loader(tmp_path / "flash.bin", "esp32")
    assert loader.raw(slip.encode(bytes.fromhex(request_hex))) == ([bytes.fromhex(answer_hex)], False)


# Identity


def test_the_esp32s3_names_itself_in_its_security_info(s3: Loader) -> None:
    _value, data = s3.ask(p.GET_SECURITY_INFO)
    assert data == bytes(12) + b"\x09\0\0\0" + bytes(4) + ROM_OK


def test_the_esp32_does_not_know_security_info(tmp_path: Path) -> None:
    answers = Loader(tmp_path / "flash.bin", "esp32").packets(p.GET_SECURITY_INFO)
    assert len(answers) == 8
    assert {answer[8:] for answer in answers} == {b"\x01\x05\0\0"}


def test_the_mac_lies_in_the_efuse_with_its_checksum_on_the_esp32(tmp_path: Path) -> None:
    loader = Loader(tmp_path / "flash.bin", "esp32")
    low, high = loader.ask(p.READ_REG, 0x3FF5A004)[0], loader.ask(p.READ_REG, 0x3FF5A008)[0]
    assert (high << 32 | low).to_bytes(8, "big") == bytes([0, mac_crc8(MAC)]) + MAC


def test_the_crc_of_the_mac_is_the_one_of_the_1_wire_bus() -> None:
    # Maxim application note 27: the CRC of 02 1C B8 01 00 00 00 is A2.
    assert mac_crc8(bytes.fromhex("021cb801000000")) == 0xA2


def test_the_banner_says_why_the_chip_was_reset_and_what_it_does() -> None:
    assert CHIPS["esp32s3"].banner("power on", download=True).splitlines() == [
        b"ESP-ROM:esp32s3-20210327",
        b"Build:Mar 27 2021",
        b"rst:0x1 (POWERON),boot:0x0 (DOWNLOAD(USB/UART0))",
        b"waiting for download",
    ]
    assert CHIPS["esp32"].banner("deep sleep", download=False).splitlines() == [
        b"ets Jul 29 2019 12:21:46",
        b"",
        b"rst:0x5 (DEEPSLEEP_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
    ]


def test_the_clock_divider_follows_the_baud_rate(loader: Loader) -> None:
    register = CHIPS["esp32" if loader.rom._chip.name == "ESP32" else "esp32s3"].clock_divider
    loader.ask(p.CHANGE_BAUDRATE, 921600, 0)
    divider = loader.ask(p.READ_REG, register)[0]
    assert 40e6 / ((divider & 0xFFFFF) + (divider >> 20) / 16) == pytest.approx(921600, rel=0.002)


# Registers that do something


def flash_command(loader: Loader, command: int, *, mosi: bytes = b"", miso_bits: int = 0) -> int:
    """Run a command on the flash chip through the SPI peripheral, as its registers are documented."""
    spi = loader.rom._chip.spi
    user = 1 << 31 | (1 << 28 if miso_bits else 0) | (1 << 27 if mosi else 0)
    writes = {spi.user: user, spi.user2: 7 << 28 | command, spi.w0: int.from_bytes(mosi, "little")}
    writes |= {spi.mosi_bits: len(mosi) * 8 - 1} if mosi else {}
    writes |= {spi.miso_bits: miso_bits - 1} if miso_bits else {}
    for offset, value in writes.items():
        assert loader.ask(p.WRITE_REG, spi.base + offset, value, 0xFFFFFFFF, 0)[1] == ROM_OK
    loader.ask(p.WRITE_REG, spi.base, 1 << 18, 0xFFFFFFFF, 0)
    assert loader.ask(p.READ_REG, spi.base)[0] & 1 << 18 == 0
    return loader.ask(p.READ_REG, spi.base + spi.w0)[0]


def test_the_flash_chip_gives_its_jedec_id_once_it_is_attached(loader: Loader) -> None:
    assert flash_command(loader, 0x9F, miso_bits=24) == 0xFFFFFF
    loader.ask(p.SPI_ATTACH, 0, 0)
    assert flash_command(loader, 0x9F, miso_bits=24).to_bytes(3, "little") == b"\xef\x40\x17"  # W25Q64JV 6.1


def test_write_enable_shows_in_the_status_register_and_goes_after_a_write(loader: Loader) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    flash_command(loader, 0x06)
    assert flash_command(loader, 0x05, miso_bits=8) == 0x02
    flash_command(loader, 0x31, mosi=b"\x02")
    assert flash_command(loader, 0x05, miso_bits=8) == 0
    assert flash_command(loader, 0x35, miso_bits=8) == 0x02


def test_the_status_register_is_not_written_without_write_enable(loader: Loader) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    flash_command(loader, 0x31, mosi=b"\x02")
    assert flash_command(loader, 0x35, miso_bits=8) == 0


def test_a_flash_instruction_that_is_not_modelled_is_refused_with_its_datasheet_section(loader: Loader) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    spi = loader.rom._chip.spi
    loader.ask(p.WRITE_REG, spi.base + spi.user2, 7 << 28 | 0x36, 0xFFFFFFFF, 0)
    loader.ask(p.WRITE_REG, spi.base + spi.user, 1 << 31, 0xFFFFFFFF, 0)
    assert loader.ask(p.WRITE_REG, spi.base, 1 << 18, 0xFFFFFFFF, 0)[1] == b"\x01\x06\0\0"
    assert "instruction 0x36 is not modelled (W25Q64JV 8.1.2)" in loader.reports[-1]


def test_a_register_that_is_not_modelled_is_refused_and_said(loader: Loader) -> None:
    assert loader.ask(p.READ_REG, 0x6001A00C)[1] == b"\x01\x06\0\0"
    assert "0x6001a00c" in loader.reports[-1]


def test_what_is_loaded_to_ram_can_be_read_back(loader: Loader) -> None:
    loader.ask(p.MEM_BEGIN, 8, 1, 0x1800, 0x50000000)
    assert loader.ask(p.MEM_DATA, data=b"abcdefgh")[1] == ROM_OK
    assert loader.ask(p.READ_REG, 0x50000004)[0] == int.from_bytes(b"efgh", "little")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((8, 1, 0x1800, 0x40000000), 0x0F),
        ((0x3000, 1, 0x1800, 0x50000000), 0x0E),
        ((0x2004, 2, 0x1800, 0x50000000), 0x0F),
    ],
)
def test_a_ram_download_outside_of_ram_is_refused(loader: Loader, words: tuple[int, ...], status: int) -> None:
    assert loader.ask(p.MEM_BEGIN, *words)[1] == bytes([1, status, 0, 0])


def test_a_program_that_is_not_the_stub_silences_the_chip_and_says_so(s3: Loader) -> None:
    s3.ask(p.MEM_BEGIN, 8, 1, 0x1800, 0x40378000)
    s3.ask(p.MEM_DATA, data=b"anything")
    s3.packets(p.MEM_END, bytes(4) + (0x40378000).to_bytes(4, "little"))
    assert s3.packets(p.SYNC, p.SYNC_DATA) == []
    assert "cannot run here" in s3.reports[-1]
    s3.rom.enter()
    assert len(s3.packets(p.SYNC, p.SYNC_DATA)) == 8


# Writing flash through the ROM


def test_the_rom_erases_on_begin_and_programs_block_after_block(loader: Loader) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    loader.flash.program(VFS, bytes(0x4000))
    assert loader.ask(p.FLASH_BEGIN, *begin(0x2800, VFS))[1] == ROM_OK
    assert loader.flash.read(VFS, 0x3000) == b"\xff" * 0x3000
    assert loader.flash.read(VFS + 0x3000, 0x1000) == bytes(0x1000)
    for block in (b"\x11" * 0x400, b"\x22" * 0x400):
        assert loader.ask(p.FLASH_DATA, data=block)[1] == ROM_OK
    assert loader.flash.read(VFS, 0x800) == b"\x11" * 0x400 + b"\x22" * 0x400


def test_flash_needs_spi_attach_first_on_the_rom(loader: Loader) -> None:
    assert loader.ask(p.FLASH_BEGIN, *begin(0x400, VFS))[1][0] == 1
    assert "SPI_ATTACH" in loader.reports[-1]


def test_a_wrong_checksum_is_error_7_and_nothing_is_written(loader: Loader) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    loader.ask(p.FLASH_BEGIN, *begin(0x400, VFS))
    block = b"\x11" * 0x400
    data = len(block).to_bytes(4, "little") + bytes(12) + block
    (answer,) = loader.packets(p.FLASH_DATA, data, p.checksum(block) ^ 1)
    assert answer[8:] == b"\x01\x07\0\0"
    assert loader.flash.read(VFS, 0x400) == b"\xff" * 0x400
    assert loader.ask(p.FLASH_DATA, data=block)[1] == ROM_OK


def test_a_compressed_download_is_inflated(loader: Loader) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    data = b"paves of Bercy " * 1000
    stream = zlib.compress(data)
    loader.ask(p.FLASH_DEFL_BEGIN, *begin(len(data), VFS))
    for at in range(0, len(stream), 64):
        assert loader.ask(p.FLASH_DEFL_DATA, data=stream[at : at + 64])[1] == ROM_OK
    assert loader.flash.read(VFS, len(data)) == data


@pytest.mark.parametrize(("damage", "status"), [(-1, 0x0C), (2, 0x0B)])
def test_a_damaged_stream_is_error_b_and_a_wrong_adler_error_c(loader: Loader, damage: int, status: int) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    stream = bytearray(zlib.compress(b"paves of Bercy"))
    stream[damage] ^= 0xFF
    loader.ask(p.FLASH_DEFL_BEGIN, *begin(14, VFS))
    assert loader.ask(p.FLASH_DEFL_DATA, data=bytes(stream))[1] == bytes([1, status, 0, 0])


def test_the_rom_gives_an_md5_in_hexadecimal_and_reads_64_bytes_at_most(loader: Loader) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    table = loader.flash.read(0x8000, 0xC00)
    assert loader.ask(p.SPI_FLASH_MD5, 0x8000, 0xC00, 0, 0)[1] == hashlib.md5(table).hexdigest().encode() + ROM_OK
    assert loader.ask(p.READ_FLASH_SLOW, 0x8000, 16)[1] == table[:16] + bytes(48) + ROM_OK
    assert loader.ask(p.READ_FLASH_SLOW, 0x8000, 65)[1] == b"\x01\x0a\0\0"


def end(flag: int) -> bytes:
    return slip.encode(bytes([0, p.FLASH_END, 4, 0, 0, 0, 0, 0, flag, 0, 0, 0]))


def test_flash_end_with_1_leaves_the_rom_for_the_flash(loader: Loader) -> None:
    loader.ask(p.SPI_ATTACH, 0, 0)
    loader.ask(p.FLASH_BEGIN, *begin(0, 0))
    assert loader.raw(end(1))[1]


def test_flash_end_with_0_resets_into_the_rom_loader_as_gpio0_is_not_sampled_again(loader: Loader) -> None:
    loader.start_stub()
    loader.ask(p.FLASH_BEGIN, *begin(0, 0))
    sent, boots = loader.rom.receive(end(0), 115200)
    assert b"waiting for download" in sent
    assert not boots
    assert loader.packets(p.SYNC, p.SYNC_DATA)[0][4:8] == p.SYNC_DATA[:4]  # the ROM, not the stub


def test_flash_data_without_begin_is_refused(loader: Loader) -> None:
    assert loader.ask(p.FLASH_DATA, data=b"x")[1] == b"\x01\x06\0\0"


def test_a_request_of_another_length_than_documented_is_error_5(loader: Loader) -> None:
    assert loader.ask(p.READ_REG, 0x40001000, 0)[1] == b"\x01\x05\0\0"


# The stub


def test_the_stub_greets_and_answers_sync_with_value_0(loader: Loader) -> None:
    loader.start_stub()
    answers = loader.packets(p.SYNC, p.SYNC_DATA)
    assert answers == [bytes.fromhex("0108020000000000") + STUB_OK] * 8


def test_the_stub_erases_only_what_the_data_reach_and_trims_the_padding(loader: Loader) -> None:
    loader.start_stub()
    loader.flash.program(VFS, bytes(0x4000))
    loader.ask(p.FLASH_BEGIN, *begin(0x1800, VFS, 0x1000))
    loader.ask(p.FLASH_DATA, data=b"\x11" * 0x1000)
    assert loader.flash.read(VFS + 0x1000, 0x1000) == bytes(0x1000)
    loader.ask(p.FLASH_DATA, data=b"\x22" * 0x1000)
    assert loader.ask(p.FLASH_END, 1)[1] == STUB_OK
    assert loader.flash.read(VFS, 0x1800) == b"\x11" * 0x1000 + b"\x22" * 0x800
    assert loader.flash.read(VFS + 0x1800, 0x800) == b"\xff" * 0x800
    assert loader.flash.read(VFS + 0x2000, 0x2000) == bytes(0x2000)


def test_the_stub_does_not_erase_blank_sectors_before_the_first_that_is_not(loader: Loader) -> None:
    loader.start_stub()
    loader.flash.program(VFS + 0x2000, b"\0")
    erases = loader.flash.erases
    loader.ask(p.FLASH_BEGIN, *begin(0x4000, VFS, 0x4000))
    loader.ask(p.FLASH_DATA, data=b"\x55" * 0x4000)
    assert loader.flash.erases - erases == 2
    assert loader.flash.read(VFS, 0x4000) == b"\x55" * 0x4000


def test_the_stub_tells_of_a_failed_block_at_the_next_command(loader: Loader) -> None:
    loader.start_stub()
    loader.ask(p.FLASH_DEFL_BEGIN, *begin(100, VFS))
    assert loader.ask(p.FLASH_DEFL_DATA, data=b"no zlib stream")[1] == STUB_OK
    assert loader.ask(p.FLASH_DEFL_DATA, data=b"more of it")[1] == b"\xc7\0"


def test_flash_end_with_data_missing_is_refused_by_the_stub(loader: Loader) -> None:
    loader.start_stub()
    loader.ask(p.FLASH_BEGIN, *begin(0x400, VFS))
    assert loader.ask(p.FLASH_END, 1)[1] == b"\xc0\0"


def test_the_stub_erases_regions_of_whole_sectors_and_the_chip(loader: Loader) -> None:
    loader.start_stub()
    assert loader.ask(p.ERASE_REGION, 0x8000, 0x1000)[1] == STUB_OK
    assert loader.flash.read(0x8000, 0x1000) == b"\xff" * 0x1000
    assert loader.ask(p.ERASE_REGION, 0x8000, 0x800)[1] == b"\xc0\0"
    assert loader.ask(p.ERASE_FLASH)[1] == STUB_OK
    assert loader.flash.read(0, FLASH_BYTES) == b"\xff" * FLASH_BYTES


def test_read_flash_sends_the_next_packet_after_the_acknowledgement_and_the_md5_last(loader: Loader) -> None:
    loader.start_stub()
    data = loader.flash.read(0x8000, 0xC00)
    answers = loader.packets(p.READ_FLASH, b"".join(n.to_bytes(4, "little") for n in (0x8000, 0xC00, 0x800, 64)))
    assert answers[0][8:] == STUB_OK
    assert answers[1:] == [data[:0x800]]
    assert loader.raw(slip.encode((0x800).to_bytes(4, "little")))[0] == [data[0x800:]]
    assert loader.raw(slip.encode((0xC00).to_bytes(4, "little")))[0] == [hashlib.md5(data).digest()]
    assert loader.ask(p.SPI_FLASH_MD5, 0x8000, 0xC00, 0, 0)[1] == hashlib.md5(data).digest() + STUB_OK


def test_a_wrong_acknowledgement_stops_the_reading(loader: Loader) -> None:
    loader.start_stub()
    loader.packets(p.READ_FLASH, b"".join(n.to_bytes(4, "little") for n in (0x8000, 0xC00, 0x800, 64)))
    assert loader.raw(slip.encode((0x7FF).to_bytes(4, "little")))[0] == []
    assert "does not acknowledge" in loader.reports[-1]


def test_run_user_code_is_not_answered(loader: Loader) -> None:
    loader.start_stub()
    assert loader.raw(slip.encode(bytes([0, p.RUN_USER_CODE]) + bytes(6))) == ([], True)


def test_the_stub_is_gone_after_a_reset(loader: Loader) -> None:
    loader.start_stub()
    loader.rom.enter()
    assert loader.packets(p.ERASE_FLASH)[0][8:] == b"\x01\x05\0\0"
