"""The boot chain: otadata, its states, app images, and the OTA calls of esp32.Partition."""

import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import flash_images
import pytest

from pave_emulator.flash import app_image
from pave_emulator.flash.esp_error import EspError
from pave_emulator.flash.image import Flash, PowerLost
from pave_emulator.flash.ota import BootChain, OtaEntry, State
from pave_emulator.storage import StorageOps
from pave_emulator.vm.channel import OpError

OTA_DATA = 0xF000
NEW, PENDING, VALID, INVALID, ABORTED = (State(n) for n in range(5))


class Board:
    """A flash with the boards' partition table and apps where asked for."""

    def __init__(self, path: Path, apps: str = "01") -> None:
        self.said: list[str] = []
        self.flash = Flash(path, 8 << 20, self.said.append)
        for slot in apps:
            self.install(int(slot))
        self.chain = BootChain(self.flash, self.said.append)

    def install(self, slot: int, image: bytes | None = None) -> None:
        at = self.flash.partition(f"ota_{slot}").offset
        self.flash.erase(at)
        self.flash.program(at, image or app_image.stand_in(f"1.{slot}"))

    def states(self) -> list[int]:
        return [entry.state for entry in self.chain.entries()]

    def restart(self) -> str | None:
        self.flash.power_on()
        self.chain = BootChain(self.flash, self.said.append)
        return self.chain.boot()


@pytest.fixture(scope="module")
def blank(tmp_path_factory) -> Path:
    path = flash_images.build(tmp_path_factory.mktemp("ota") / "blank.bin", {}, vfs=b"")
    with path.open("r+b") as image:
        image.truncate(0x20000)  # what follows is erased flash
    return path


@pytest.fixture
def board(blank: Path, tmp_path: Path):
    def make(apps: str = "01") -> Board:
        return Board(Path(shutil.copy(blank, tmp_path / "flash.bin")), apps)

    return make


def entry(sequence: int, state: int) -> bytes:
    """ESP-IDF's esp_ota_select_entry_t."""
    return struct.pack("<I20sII", sequence, b"\xff" * 20, state, zlib.crc32(struct.pack("<I", sequence), 0xFFFFFFFF))


# The bootloader


def test_the_entries_have_the_crc_that_boards_have():
    """As ESP-IDF boards show them: 01000000...9a984347 and 02000000...7437f655."""
    assert OtaEntry.new(1, VALID).pack()[28:].hex() == "9a984347"
    assert OtaEntry.new(2, NEW).pack()[28:].hex() == "7437f655"
    assert OtaEntry.parse(entry(7, VALID)).is_valid


def test_a_blank_otadata_starts_the_first_slot_and_is_given_an_entry(board):
    b = board()
    assert b.chain.boot() == "ota_0"
    assert b.flash.read(OTA_DATA, 32) == entry(1, VALID)
    assert b.flash.read(OTA_DATA + 4096, 32) == b"\xff" * 32
    before = b.flash.operations
    assert b.restart() == "ota_0"
    assert b.flash.operations == before


@pytest.mark.parametrize(
    ("first", "second", "app"),
    [
        ((1, VALID), (2, VALID), "ota_1"),
        ((3, VALID), (2, VALID), "ota_0"),
        ((3, INVALID), (2, VALID), "ota_1"),
        ((3, VALID), (4, ABORTED), "ota_0"),
        ((2, State.UNDEFINED), None, "ota_1"),
        (None, (5, VALID), "ota_0"),
        ((2, VALID), (2, VALID), "ota_1"),
        ((3, INVALID), (4, INVALID), "ota_0"),
    ],
)
def test_the_valid_entry_with_the_larger_number_names_the_slot(board, first, second, app):
    b = board()
    for at, fields in ((OTA_DATA, first), (OTA_DATA + 4096, second)):
        if fields:
            b.flash.program(at, entry(*fields))
    assert b.chain.boot() == app


def test_an_entry_with_a_wrong_crc_does_not_count(board):
    b = board()
    b.flash.program(OTA_DATA, entry(1, VALID))
    b.flash.program(OTA_DATA + 4096, entry(2, VALID)[:28] + b"\0\0\0\0")
    assert b.chain.boot() == "ota_0"


def test_a_new_app_is_pending_at_its_first_start_and_aborted_at_its_second(board):
    b = board()
    b.chain.boot()
    b.chain.set_boot("ota_1")
    assert b.states() == [VALID, NEW]
    assert b.chain.boot_partition() == "ota_1"
    assert b.restart() == "ota_1"
    assert b.states() == [VALID, PENDING]
    assert b.restart() == "ota_0"
    assert b.states() == [VALID, ABORTED]
    assert "boot: otadata[1] was not confirmed: ABORTED" in b.said
    assert b.restart() == "ota_0"


def test_a_new_app_that_confirms_stays(board):
    b = board()
    b.chain.boot()
    b.chain.set_boot("ota_1")
    b.restart()
    b.chain.mark_valid()
    before = b.flash.operations
    b.chain.mark_valid()
    assert b.flash.operations == before
    assert [b.restart(), b.restart()] == ["ota_1", "ota_1"]


def test_a_wake_from_deep_sleep_starts_the_same_app_and_looks_at_nothing(board):
    b = board()
    b.chain.boot()
    b.chain.set_boot("ota_1")
    b.restart()
    before = b.flash.operations
    assert b.chain.boot(deep_sleep_wake=True) == "ota_1"
    assert b.states() == [VALID, PENDING]
    assert b.flash.operations == before


def test_updates_alternate_between_slots_and_sectors(board):
    b = board()
    b.chain.boot()
    for sequence, slot in ((2, "ota_1"), (3, "ota_0"), (4, "ota_1"), (5, "ota_0")):
        b.chain.set_boot(slot)
        assert b.restart() == slot
        b.chain.mark_valid()
        assert max(e.sequence for e in b.chain.entries()) == sequence


def test_choosing_the_running_app_again_keeps_the_number(board):
    b = board()
    b.chain.boot()
    b.chain.set_boot("ota_0")
    assert [(e.sequence, e.state) for e in b.chain.entries()] == [(1, VALID), (1, NEW)]


def test_a_slot_without_an_app_is_passed_over(board):
    b = board("0")
    b.flash.program(OTA_DATA, entry(2, VALID))
    assert b.chain.boot() == "ota_0"
    assert b.said == ["boot: ota_1 is not bootable: magic byte 0xff, not 0xe9: nothing flashed here?"]


def test_with_no_app_that_can_start_the_chip_resets_for_ever(board):
    b = board("0")
    b.flash.flip_bit(b.flash.partition("ota_0").offset + 100, 3)
    assert b.chain.boot() is None
    assert b.flash.running_app() is None
    assert b.said[-1] == "boot: No bootable app partitions in the partition table"


def test_an_image_made_for_the_emulator_alone_starts_its_first_slot(board):
    b = board("")
    assert b.chain.boot() == "ota_0"
    with pytest.raises(EspError, match="ota_1: magic byte 0xff"):
        b.chain.set_boot("ota_1")


# App images


@pytest.mark.parametrize("offset", [0, 13, 40, 290, 300])
def test_a_flipped_bit_anywhere_in_an_app_keeps_it_from_starting(board, offset):
    b = board("1")
    b.install(0, app_image.stand_in("x" * 20))
    b.flash.flip_bit(b.flash.partition("ota_0").offset + offset, 2)
    assert b.chain.boot() == "ota_1"


def test_the_stand_in_app_passes_esptools_checks(tmp_path):
    path = tmp_path / "app.bin"
    path.write_bytes(app_image.stand_in("1.29.0"))
    command = [sys.executable, "-m", "esptool", "--chip", "esp32s3", "image-info", str(path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "(valid)" in told.split("Checksum:")[1].splitlines()[0]
    assert "(valid)" in told.split("Validation hash:")[1].splitlines()[0]
    assert "App version: 1.29.0" in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i: i[:1] + b"\x11" + i[2:], "17 segments, at most 16"),
        (lambda i: i[:12] + b"\0\0" + i[14:], "image for chip 0, not 9"),
        (lambda i: i[:28] + b"\xfe\xff\0\0" + i[32:], "not whole words"),
        (lambda i: i[:28] + b"\0\0\x20\0" + i[32:], "does not fit"),
        (lambda i: i[:50] + b"\x99" + i[51:], "checksum is"),
        (lambda i: i[:-1] + bytes([i[-1] ^ 1]), "SHA-256"),
    ],
)
def test_what_is_wrong_with_an_image_is_said(change, message):
    image = change(app_image.stand_in("1.0")).ljust(0x200000, b"\xff")
    with pytest.raises(app_image.AppImageError, match=message):
        app_image.verify(lambda offset, size: image[offset : offset + size], len(image))


# The calls


@pytest.mark.parametrize(("label", "status"), [("vfs", -0x1503), ("ota_1", -0x1503)])
def test_what_holds_no_app_cannot_be_chosen(board, label, status):
    b = board("0")
    b.chain.boot()
    with pytest.raises(EspError) as caught:
        b.chain.set_boot(label)
    assert caught.value.status == status
    assert b.states() == [VALID, State.UNDEFINED]


def test_the_next_update_goes_to_the_other_slot(board):
    chain = board().chain
    assert [chain.next_update(label) for label in ("ota_0", "ota_1", "vfs")] == ["ota_1", "ota_0", "ota_0"]


def test_confirming_without_an_entry_in_otadata_fails(board):
    b = board()
    with pytest.raises(EspError) as caught:
        b.chain.mark_valid()
    assert caught.value.status == -1


def test_the_handlers_of_the_vm_speak_labels_and_esp_errors(board):
    b = board("0")
    storage = StorageOps(b.flash, b.said.append)
    assert storage.boot() == "ota_0"
    assert storage.ota_next_update(tail=b"ota_0") == b"ota_1"
    with pytest.raises(OpError) as caught:
        storage.ota_set_boot(tail=b"ota_1")
    assert caught.value.status == -0x1503
    b.install(1)
    assert storage.ota_set_boot(tail=b"ota_1") == b""
    assert storage.ota_boot_partition(tail=b"") == b"ota_1"
    assert storage.boot() == "ota_1"
    assert storage.ota_mark_valid(tail=b"") == b""
    assert b.states() == [VALID, VALID]


@pytest.mark.parametrize("worst_case", [False, True])
def test_a_cut_anywhere_in_an_update_starts_the_old_app_or_the_new(board, worst_case):
    points = 0
    for seed in range(12):
        for number in range(1, 100):
            b = board()
            b.chain.boot()
            b.flash.cut_power_at(number, seed=seed, worst_case=worst_case)
            try:
                b.chain.set_boot("ota_1")
                b.restart()
                b.chain.mark_valid()
                break
            except PowerLost:
                points += 1
            app = b.restart()
            assert app in ("ota_0", "ota_1"), (seed, number)
            assert b.restart() is not None
            b.flash.close()
    assert points == 12 * 6  # NEW, PENDING_VERIFY, VALID: an erase and a program each
