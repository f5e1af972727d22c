"""Power cut at every flash operation: of a first boot, of a config write, of an NVS update. The device comes back.

The host's model runs the bootloader, NVS and LittleFS (littlefs-python, of the version the release has, with the
parameters of MicroPython's VfsLfs2) on the emulated flash, so that many points can be tried; test_power_cut_vm.py does
it with the firmware. Negative controls: writers that are known to be wrong are seen to fail.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import flash_images
import pytest
from littlefs import LittleFS, LittleFSError, UserContext, lfs

from pave_emulator.flash import app_image
from pave_emulator.flash.image import SECTOR_BYTES, Flash, PowerLost
from pave_emulator.flash.nvs_format import NvsError
from pave_emulator.storage import StorageOps

OLD, NEW = "old " * 100, "new! " * 120
OLD_KEY, NEW_KEY = b"0ld" * 20, b"n3w" * 25
IMAGE_BYTES = 0x430000  # ends 64 KiB into `vfs`: what follows is erased
LFS = {"read_size": 32, "prog_size": 32, "cache_size": 128, "lookahead_size": 32, "block_cycles": 100}
LFS_ERR_IO = -5


class Bricked(Exception):  # noqa: N818
    """The board prints that its file system is corrupted, for ever."""


class Blocks(UserContext):
    """The `vfs` partition as LittleFS sees it; after a cut every write fails."""

    def __init__(self, flash: Flash) -> None:
        self.flash = flash
        self.start = flash.partition("vfs").offset
        self.lost: PowerLost | None = None

    def read(self, cfg, block, off, size):
        return bytearray(self.flash.read(self.start + block * SECTOR_BYTES + off, size))

    def prog(self, cfg, block, off, data):
        return self._try(self.flash.program, block * SECTOR_BYTES + off, bytes(data))

    def erase(self, cfg, block):
        return self._try(self.flash.erase, block * SECTOR_BYTES)

    def _try(self, operation: Callable[..., None], offset: int, *arguments: bytes) -> int:
        try:
            operation(self.start + offset, *arguments)
        except PowerLost as lost:
            self.lost = lost
            return LFS_ERR_IO
        return 0


class Board:
    """A board in the host's model. `power_on` does what bootloader, main.c, _boot.py and inisetup.py do."""

    def __init__(self, image: Path) -> None:
        self.flash = Flash(image, 8 << 20, lambda _message: None)
        self.storage = StorageOps(self.flash, lambda _message: None)

    def power_on(self) -> None:
        assert self.storage.boot() is not None
        self.nvs = self.storage._nvs
        self.blocks = Blocks(self.flash)
        count = self.flash.partition("vfs").size // SECTOR_BYTES
        self.fs = LittleFS(context=self.blocks, block_size=SECTOR_BYTES, block_count=count, mount=False, **LFS)
        try:
            self.fs.mount()
        except LittleFSError:
            self._set_up()

    def _set_up(self) -> None:
        if self.flash.read(self.blocks.start, SECTOR_BYTES) != b"\xff" * SECTOR_BYTES:
            raise Bricked
        self.do(self.fs.format)
        self.do(self.fs.mount)
        self.write("boot.py", "# boot\n")

    def do(self, operation: Callable[..., object], *arguments: object) -> None:
        """A file system call that a cut ends."""
        try:
            operation(*arguments)
        except LittleFSError:
            if self.blocks.lost:
                raise self.blocks.lost from None
            raise

    def write(self, name: str, text: str) -> None:
        """As MicroPython's open(name, "w"), write, close. Not through littlefs-python's file: that closes twice."""

        def whole() -> None:
            file = lfs.file_open(self.fs.fs, name, "w")
            lfs.file_write(self.fs.fs, file, text.encode())
            lfs.file_close(self.fs.fs, file)

        self.do(whole)

    def text(self, name: str) -> str | None:
        try:
            with self.fs.open(name) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def number(self) -> int:
        """The epoch in NVS, 0 when there is none."""
        try:
            return self.nvs.get_i32(self.nvs.namespace("app"), "epoch")
        except NvsError:
            return 0

    def key(self) -> bytes | None:
        try:
            return self.nvs.get_blob(self.nvs.namespace("app"), "key", 1000)
        except NvsError:
            return None

    def close(self) -> None:
        self.flash.close()


# What is cut


def replace_config(board: Board) -> None:
    """The way to do it: another file, then a rename."""
    board.write("config.new", NEW)
    board.do(board.fs.rename, "config.new", "config")


def update_nvs(board: Board) -> None:
    app = board.nvs.namespace("app")
    board.nvs.set_i32(app, "epoch", 2)
    board.nvs.set_blob(app, "key", NEW_KEY)


def write_raw(board: Board) -> None:
    """A naive writer: one sector of a partition, erased and programmed in place."""
    at = board.flash.partition("data").offset
    board.flash.erase(at)
    board.flash.program(at, NEW.encode())


def write_new_file(board: Board) -> None:
    """A naive writer: a file that was not there, created and filled in place."""
    board.write("fresh", NEW)


def erase_then_write(board: Board) -> None:
    """A naive writer: makes room first."""
    app = board.nvs.namespace("app")
    board.nvs.erase_key(app, "key")
    board.nvs.set_blob(app, "key", NEW_KEY)


# Campaigns


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> dict[str, Path]:
    """`blank`: nothing in vfs. `factory`: what the technician flashes. `used`: the same after years of use."""
    folder = tmp_path_factory.mktemp("images")
    made = {}
    for name, vfs in (("blank", b""), ("factory", None)):
        made[name] = flash_images.build(folder / f"{name}.bin", {"main.py": "x = 1"}, vfs=vfs)
        with made[name].open("r+b") as image:
            image.truncate(IMAGE_BYTES)
            for slot in (0x20000, 0x220000):
                image.seek(slot)
                image.write(app_image.stand_in("1.29.0"))
    made["used"] = Path(shutil.copy(made["factory"], folder / "used.bin"))
    board = Board(made["used"])
    board.power_on()
    board.write("config", OLD)
    board.flash.program(board.flash.partition("data").offset, OLD.encode())
    app = board.nvs.namespace("app")
    board.nvs.set_blob(app, "key", OLD_KEY)
    board.nvs.set_i32(app, "epoch", 1)
    for count in range(600):
        board.nvs.set_i32(app, "counter" if count % 20 else f"kept{count}", count)
    board.write("log", "x" * 3000)
    board.close()
    return made


def cuts(
    image: Path, work: Path, action: Callable[[Board], None], seeds: int, before: Callable[[Board], None] | None = None
) -> Iterator[tuple[Board, tuple[int, int, str]]]:
    """Run `action` with a cut at each of its operations; give the board, without power, and where it was cut.

    `before` runs first, uncut; by default the board is started.
    """
    for number in itertools.count(1):
        for seed in range(seeds):
            shutil.copyfile(image, work)
            board = Board(work)
            (before or Board.power_on)(board)
            board.flash.cut_power_at(number, seed=seed)
            try:
                action(board)
                board.close()
                return
            except PowerLost as lost:
                yield board, (number, seed, lost.kind)
            board.close()


def check_alive(board: Board, where: tuple[int, int, str]) -> None:
    """What every board must do after any cut: start, keep its other files, and take new values."""
    board.power_on()
    assert board.text("main.py") == "x = 1", where
    replace_config(board)
    update_nvs(board)
    board.power_on()
    assert (board.text("config"), board.number(), board.key()) == (NEW, 2, NEW_KEY), where


def config_campaign(images: dict[str, Path], work: Path, seeds: int) -> int:
    points = 0
    for board, where in cuts(images["used"], work, replace_config, seeds):
        board.power_on()
        assert board.text("config") in (OLD, NEW), where
        assert (board.text("log"), board.number(), board.key()) == ("x" * 3000, 1, OLD_KEY), where
        check_alive(board, where)
        points += 1
    return points


def nvs_campaign(images: dict[str, Path], work: Path, seeds: int) -> int:
    """Over a whole turn of a page, so that the cuts meet the collection of garbage too."""
    points, kinds = 0, set()
    for writes in range(0, 40, 6):

        def before(board: Board, writes: int = writes) -> None:
            board.power_on()
            for value in range(writes):
                board.nvs.set_i32(board.nvs.namespace("app"), "counter", -value - 1)

        for board, where in cuts(images["used"], work, update_nvs, seeds, before):
            board.power_on()
            assert board.number() in (1, 2), (writes, where)
            assert board.key() in (OLD_KEY, NEW_KEY), (writes, where)
            app = board.nvs.namespace("app")
            assert [board.nvs.get_i32(app, f"kept{n}") for n in range(0, 600, 20)] == list(range(0, 600, 20)), where
            assert board.text("config") == OLD
            check_alive(board, where)
            points += 1
            kinds.add(where[2])
    assert kinds == {"program", "erase"}
    return points


def first_boot(board: Board) -> None:
    """Bootloader, NVS, and what firmware stores when it starts for the first time."""
    board.power_on()
    app = board.nvs.namespace("app")
    board.nvs.set_i32(app, "epoch", 1)
    board.write("config.new", OLD)
    board.do(board.fs.rename, "config.new", "config")


def first_boot_campaign(images: dict[str, Path], work: Path, seeds: int) -> int:
    points = 0
    for board, where in cuts(images["factory"], work, first_boot, seeds, before=lambda _board: None):
        board.power_on()
        assert board.number() in (0, 1), where
        assert board.text("config") in (None, OLD), where
        check_alive(board, where)
        points += 1
    return points


def test_a_first_boot_cut_anywhere_is_done_again(images, tmp_path):
    assert first_boot_campaign(images, tmp_path / "work.bin", seeds=3) >= 3 * 12


def test_a_config_write_cut_anywhere_leaves_the_old_or_the_new(images, tmp_path):
    assert config_campaign(images, tmp_path / "work.bin", seeds=3) >= 3 * 8


def test_an_nvs_update_cut_anywhere_leaves_the_old_or_the_new(images, tmp_path):
    assert nvs_campaign(images, tmp_path / "work.bin", seeds=1) >= 7 * 9


@pytest.mark.long
@pytest.mark.parametrize(("campaign", "seeds"), [(first_boot_campaign, 40), (config_campaign, 40), (nvs_campaign, 12)])
def test_no_cut_of_many_loses_anything(images, tmp_path, campaign, seeds):
    assert campaign(images, tmp_path / "work.bin", seeds) >= seeds * 8


def test_a_blank_vfs_bricks_stock_micropython_when_its_first_block_is_cut(images, tmp_path):
    """inisetup.py formats only when that block is blank: cut in its erase or its first program, it never is again.

    So a board leaves the factory with a file system, and the campaign above starts from one.
    """
    bricked = set()
    for board, (number, _seed, _kind) in cuts(
        images["blank"], tmp_path / "work.bin", first_boot, 3, lambda _board: None
    ):
        try:
            board.power_on()
        except Bricked:
            bricked.add(number)
    assert bricked == {3, 4}  # 1 and 2 are otadata's


# Negative controls


def test_a_raw_writer_is_seen_to_lose_both_old_and_new(images, tmp_path):
    lost = []
    for board, _where in cuts(images["used"], tmp_path / "work.bin", write_raw, seeds=4):
        now = board.flash.read(board.flash.partition("data").offset, len(NEW))
        lost.append(now != NEW.encode() and now[: len(OLD)] != OLD.encode())
    assert len(lost) == 8
    assert sum(lost) >= 5


def test_a_file_created_in_place_is_seen_to_be_empty(images, tmp_path):
    found = set()
    for board, _where in cuts(images["used"], tmp_path / "work.bin", write_new_file, seeds=3):
        board.power_on()
        found.add(board.text("fresh"))
    assert "" in found


def test_erasing_a_key_before_writing_it_is_seen_to_lose_it(images, tmp_path):
    found = set()
    for board, _where in cuts(images["used"], tmp_path / "work.bin", erase_then_write, seeds=2):
        board.power_on()
        found.add(board.key())
    assert None in found
