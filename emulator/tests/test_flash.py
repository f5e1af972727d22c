"""The NOR flash: what it refuses, what it counts, and what faults do to it."""

from pathlib import Path

import flash_images
import pytest

from pave_emulator.flash.image import Flash, FlashError, PowerLost

DATA = 0x620000  # the `data` partition of the boards
SIZE = 8 << 20
SECTOR = bytes(range(256)) * 16


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def flash(tmp_path: Path, said: list[str]):
    made = Flash(flash_images.build(tmp_path / "flash.bin", {}), SIZE, said.append)
    yield made
    made.close()


def test_programming_clears_bits_and_setting_one_is_refused(flash, said):
    flash.program(DATA, b"\x0f\xf0")
    flash.program(DATA, b"\x07\xf0")
    with pytest.raises(FlashError, match="0x620001: 0xf1 over 0xf0 would set a bit"):
        flash.program(DATA, b"\x07\xf1")
    assert flash.read(DATA, 2) == b"\x07\xf0"
    assert len(said) == 1


def test_only_whole_sectors_are_erased(flash):
    flash.program(DATA, SECTOR)
    for address, size in ((DATA + 1, 4096), (DATA, 4095), (DATA + 256, 256)):
        with pytest.raises(FlashError, match="not whole sectors of 4096"):
            flash.erase(address, size)
    assert flash.read(DATA, 4096) == SECTOR
    flash.erase(DATA)
    assert flash.read(DATA, 4096) == b"\xff" * 4096


@pytest.mark.parametrize("operation", [lambda f: f.program(SIZE - 1, b"ab"), lambda f: f.erase(SIZE, 4096)])
def test_nothing_is_written_past_the_chip(flash, operation):
    before = flash.path.stat().st_size
    with pytest.raises(FlashError, match="outside the chip of 8388608 bytes"):
        operation(flash)
    with pytest.raises(FlashError, match="outside the chip"):
        flash.read(SIZE - 1, 2)
    assert flash.path.stat().st_size == before
    assert flash.operations == 0


def test_operations_take_the_time_of_the_data_sheet(flash):
    """W25Q64JV 9.6: tPP 0.4 ms, tBP1 30 us, tBP2 2.5 us, tSE 45 ms, tBE2 150 ms."""

    def took_s(operation):
        flash.last_operation_s = 0.0
        operation()
        return pytest.approx(flash.last_operation_s)

    assert took_s(lambda: flash.program(DATA, b"\0")) == 30e-6
    assert took_s(lambda: flash.program(DATA + 1, b"\0" * 32)) == 30e-6 + 31 * 2.5e-6
    assert took_s(lambda: flash.program(DATA + 0x100, b"\0" * 256)) == 0.4e-3
    across_pages = took_s(lambda: flash.program(DATA + 0x3FF, b"\0" * 2))
    assert across_pages == 60e-6
    assert took_s(lambda: flash.erase(DATA, 3 * 4096)) == 3 * 45e-3
    sector_block_sector = took_s(lambda: flash.erase(DATA - 0x1000, 0x12000))
    assert sector_block_sector == 45e-3 + 150e-3 + 45e-3


def test_a_call_that_does_several_operations_takes_the_time_of_all(flash):
    flash.last_operation_s = 0.0
    flash.erase(DATA)
    flash.program(DATA, b"\0" * 256)
    assert flash.last_operation_s == pytest.approx(45e-3 + 0.4e-3)


def test_wear_is_counted_by_sector_and_reported_by_partition(flash):
    for _ in range(3):
        flash.erase(DATA + 0x1000)
    flash.erase(DATA, 0x4000)
    whole, by_label = flash.wear()
    assert (whole.max_erases, whole.total_erases) == (4, 7)
    assert (by_label["data"].max_erases, by_label["data"].total_erases) == (4, 7)
    assert by_label["nvs"].total_erases == 0
    assert whole.share_of_life == pytest.approx(4 / 100_000)


def test_the_hook_hears_every_operation_before_it_happens(flash):
    heard = []
    flash.on_operation = lambda kind, address, size: heard.append((kind, address, size, flash.read(address, 1)))
    flash.program(DATA, b"\x12\x34")
    flash.erase(DATA, 0x2000)
    assert heard == [
        ("program", DATA, 2, b"\xff"),
        ("erase", DATA, 4096, b"\x12"),
        ("erase", DATA + 0x1000, 4096, b"\xff"),
    ]
    assert flash.operations == 3


# Cuts


def test_a_cut_program_leaves_a_prefix_a_mixed_chunk_and_the_rest_blank(flash):
    flash.cut_power_at(1, fraction=0.5, seed=3)
    with pytest.raises(PowerLost, match="operation 1: program of 4096 bytes at 0x620000"):
        flash.program(DATA, SECTOR)
    now = flash.read(DATA, 4096)
    assert now[:2048] == SECTOR[:2048]
    assert now[2064:] == b"\xff" * 2032
    mixed = now[2048:2064]
    assert mixed not in (SECTOR[2048:2064], b"\xff" * 16)
    assert all(got & new == new for got, new in zip(mixed, SECTOR[2048:2064], strict=True))  # no bit cleared in error


def test_a_cut_erase_first_zeroes_the_sector_then_sets_bits_at_random(flash):
    flash.program(DATA, SECTOR)
    flash.cut_power_at(1, fraction=0.125)
    with pytest.raises(PowerLost):
        flash.erase(DATA)
    early = flash.read(DATA, 4096)
    assert early[:2048] == bytes(2048)
    assert early[2064:] == SECTOR[2064:]
    flash.power_on()
    flash.cut_power_at(1, fraction=0.625)
    with pytest.raises(PowerLost):
        flash.erase(DATA)
    share = int.from_bytes(flash.read(DATA, 4096), "little").bit_count() / 32768
    assert 0.48 < share < 0.52


def test_the_worst_case_of_a_cut_erase_mixes_old_and_blank(flash):
    flash.program(DATA, SECTOR)
    flash.cut_power_at(1, fraction=0.25, worst_case=True)
    with pytest.raises(PowerLost):
        flash.erase(DATA)
    old, now = (int.from_bytes(data, "little") for data in (SECTOR, flash.read(DATA, 4096)))
    assert now & old == old
    assert 0.22 < (now & ~old).bit_count() / (32768 - old.bit_count()) < 0.28


@pytest.mark.parametrize("kind", ["erase", "program"])
@pytest.mark.parametrize(("fraction", "done"), [(0.0, False), (1.0, True)])
def test_the_ends_of_a_cut_are_nothing_and_everything(flash, kind, fraction, done):
    flash.program(DATA, b"\0" * 4096)
    flash.cut_power_at(1, fraction, worst_case=True)
    with pytest.raises(PowerLost):
        flash.erase(DATA) if kind == "erase" else flash.program(DATA + 4096, SECTOR)
    if kind == "erase":
        assert flash.read(DATA, 4096) == (b"\xff" if done else b"\0") * 4096
    elif done:
        assert flash.read(DATA + 4096, 4096) == SECTOR
    else:
        assert flash.read(DATA + 4112, 4080) == b"\xff" * 4080


def test_the_nth_operation_is_cut_and_nothing_is_written_until_power_is_back(flash):
    flash.cut_power_at(3, fraction=1.0)
    flash.program(DATA, b"\0")
    flash.erase(DATA)
    with pytest.raises(PowerLost, match="operation 3"):
        flash.program(DATA, b"\1")
    for operation in (lambda: flash.program(DATA + 1, b"\0"), lambda: flash.erase(DATA)):
        with pytest.raises(PowerLost):
            operation()
    assert flash.read(DATA, 2) == b"\1\xff"
    flash.power_on()
    flash.program(DATA + 1, b"\0")
    assert flash.read(DATA, 2) == b"\1\0"


def test_a_sector_in_the_middle_of_a_long_erase_can_be_the_one_that_is_cut(flash):
    flash.program(DATA, SECTOR * 3)
    flash.cut_power_at(2, fraction=0.5)
    with pytest.raises(PowerLost):
        flash.erase(DATA, 3 * 4096)
    first, second, third = (flash.read(DATA + at, 4096) for at in (0, 4096, 8192))
    assert first == b"\xff" * 4096
    assert second not in (first, SECTOR)
    assert third == SECTOR


def test_the_same_seed_cuts_the_same_way_and_another_seed_another(tmp_path):
    def outcome(seed: int) -> bytes:
        flash = Flash(flash_images.build(tmp_path / "a.bin", {}), SIZE, lambda _message: None)
        flash.cut_power_at(1, seed=seed)
        with pytest.raises(PowerLost):
            flash.program(DATA, SECTOR)
        flash.close()
        return flash.path.read_bytes()

    assert outcome(1) == outcome(1)
    assert outcome(1) != outcome(2)


@pytest.mark.parametrize(("number", "fraction"), [(0, None), (-1, 0.5), (1, 1.1), (1, -0.1)])
def test_a_cut_that_cannot_be_is_refused(flash, number, fraction):
    with pytest.raises(ValueError, match="from 1, and 0"):
        flash.cut_power_at(number, fraction)


# Bits and wear


def test_a_flipped_bit_is_read_and_counts_as_no_operation(flash):
    flash.program(DATA, b"\x0f")
    flash.flip_bit(DATA, 7)
    flash.flip_bit(DATA, 0)
    assert flash.read(DATA, 1) == b"\x8e"
    assert flash.operations == 1
    with pytest.raises(ValueError, match="bit 8"):
        flash.flip_bit(DATA, 8)


def test_a_worn_sector_keeps_some_bits_at_zero_for_ever_and_its_neighbour_does_not(flash, said):
    flash.wear_out(after_erases=2, seed=5)
    flash.erase(DATA)
    flash.erase(DATA)
    assert flash.read(DATA, 4096) == b"\xff" * 4096
    flash.erase(DATA)
    worn = flash.read(DATA, 4096)
    assert 32768 - int.from_bytes(worn, "little").bit_count() == 8
    flash.program(DATA, b"\xff" * 4096)  # no error: the chip cannot know, a file system that reads back can
    flash.program(DATA + 4096, b"\xff" * 4096)
    assert flash.read(DATA, 4096) == worn
    assert [line for line in said if "worn out" in line] == ["flash: the sector at 0x620000 is worn out after 2 erases"]
    flash.program(DATA, b"\0" * 4096)
    with pytest.raises(FlashError, match="would set a bit"):
        flash.program(DATA, b"\xff" * 4096)
