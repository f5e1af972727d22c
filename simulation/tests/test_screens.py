"""What the kiosk's two panels show, on the emulated board: drivers, fonts and layout as they ship, in virtual time.

The pictures are compared with goldens that somebody has looked at. The time of drawing is printed (`pytest -s`).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.fleet import DeviceSpec, Fleet
from pave_emulator.virtual_loop import VirtualLoop
from pave_tools import firmware, manifest
from pave_tools.board import board_path, load_board
from pave_tools.image import build_flash_image, mac_of
from pave_tools.tree import FIRMWARE_DIR
from simulation.devices import MICROPYTHON

GOLDENS = Path(__file__).parent / "goldens"
DEVICE = "24a160fffe000201"
MODULES = (
    "app/screen.py", "app/screen_arrow.py", "app/screen_oled.py", "app/screen_show.py", "app/screen_text.py",
    "app/screen_tft.py", "app/screen_words.py", "boards/pave_kiosk_v1.py", "drivers/ili9341.py", "drivers/ssd1306.py",
    "fonts/large.py", "fonts/medium.py", "fonts/small.py",
)  # fmt: skip
PICTURES = (
    "tft_fresh_fr", "tft_old_en", "tft_message_fr", "tft_none_fr", "tft_night_en", "tft_counts_fr",
    "oled_fresh_fr", "oled_old_en", "oled_message_fr", "oled_none_fr",
)  # fmt: skip
WHOLE_MS_MAX = 600
DRAWING = Path(__file__).with_name("drawing_heap.py")
HEAP = "160k"
LOADED_BYTES_MAX = 64 * 1024  # code, fonts, buffers, state of both panels; objects are twice the size of a board's
AREA_BYTES_MAX = 12 * 1024  # garbage of one area; between areas it may be collected

MAIN = """
import sys, time
sys.path.insert(0, "/a")
from machine import I2C, Pin, SPI
from app import screen_oled, screen_tft
from app.screen import Screen
from app.screen_show import Shown
from app.screen_words import ENGLISH, FRENCH
from boards import pave_kiosk_v1 as board
from drivers.ili9341 import ILI9341, rgb565
from drivers.ssd1306 import SSD1306

spi = SPI(board.SPI1_ID, 10_000_000, sck=Pin(board.SPI_SCK), mosi=Pin(board.SPI_MOSI), miso=Pin(board.SPI_MISO))
lcd = ILI9341(spi, Pin(board.LCD_CS), Pin(board.LCD_DC), Pin(board.LCD_RESET))
oled = SSD1306(I2C(0, sda=Pin(board.I2C_SDA), scl=Pin(board.I2C_SCL), freq=board.I2C0_HZ))
oled.start()
for wait_ms in lcd.start():
    time.sleep_ms(wait_ms)
panels = {"tft": (screen_tft.Layout(rgb565), lcd), "oled": (screen_oled.Layout(64), oled)}
shown = {name: Shown(*panel) for name, panel in panels.items()}

COUNTS = {"delivery": (12, 24), "taxi": (3, 12), "disabled": (0, 14)}
NEAREST = {"delivery": (123, 50), "taxi": (1240, 200)}
MESSAGE = "Arrêt déplacé : à cause d'un événement, prenez le bus rue de Dijon. Ça ira dès août, où œuvre Noël."

def scene(name, now_ms, language, nearest=NEAREST, message=None, night=False, heard=True):
    for panel in panels:
        screen = Screen(panels[panel][0], (language,), 0)
        screen.night = night
        if heard:
            screen.heard(COUNTS, nearest, 0)
        if message:
            screen.tell({language: message}, now_ms)
        if message and panel == "oled":
            now_ms += 8000  # figures have the first turn
        view = screen.view(now_ms)
        begin = time.ticks_us()
        areas = len(list(shown[panel].update(view)))
        took = time.ticks_diff(time.ticks_us(), begin)
        lcd.on()
        print("shown", panel + "_" + name, areas, took)

scene("fresh_fr", 1000, FRENCH)
scene("old_en", 140_000, ENGLISH)
scene("message_fr", 1000, FRENCH, message=MESSAGE)
scene("none_fr", 13 * 60_000, FRENCH)
scene("night_en", 1000, ENGLISH, night=True)
scene("counts_fr", 1000, FRENCH, nearest={})
spi.init(baudrate=6_600_000)
lcd.check()
print("end")
"""


@dataclass(frozen=True)
class Scene:
    """What a panel showed, and what it took to draw what was different from the scene before."""

    picture: Path
    areas: int
    took_ms: float
    calls: int


def compiled(scratch_dir: Path) -> dict[str, bytes]:
    """What the screens need of the firmware, by device path."""
    entries = [manifest.Entry(FIRMWARE_DIR / module, manifest.module_path(module)) for module in MODULES]
    return {entry.device_path: firmware.compile_module(entry, scratch_dir) for entry in entries}


class Stage:
    """One kiosk board with MAIN on it; `scenes` by name."""

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = work_dir
        self.scenes: dict[str, Scene] = {}
        self.lines: list[str] = []
        self._calls = 0
        self._ended = asyncio.Event()

    def _image(self) -> Path:
        board = load_board(board_path("pave-kiosk-v1"))
        files = {"/boot.py": b"", "/main.py": MAIN.encode(), **compiled(self.work_dir)}
        image = self.work_dir / "kiosk.bin"
        build_flash_image(board, files, {}, {}, image, MICROPYTHON)
        return image

    def _heard(self, _device: str, line: str) -> None:
        self.lines.append(line)
        word, _, rest = line.partition(" ")
        if word == "shown":
            self._take(*rest.split())
        elif word == "end" or "Error" in line:
            self._ended.set()

    def _take(self, name: str, areas: str, took_us: str) -> None:
        picture = self.work_dir / f"{name}.png"
        chip = self._fleet.device("kiosk").chip("lcd" if name.startswith("tft") else "display")
        chip.to_png(picture)
        calls = self._fleet.stats()["kiosk"]["rpc_calls"]
        self.scenes[name] = Scene(picture, int(areas), int(took_us) / 1000, calls - self._calls)
        self._calls = calls

    async def play(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock = VirtualClock(loop)
        spec = DeviceSpec("kiosk", mac_of(DEVICE), board_path("pave-kiosk-v1"), self._image())
        air = WifiAir(clock, AccessPoint("net", "eight chars"), seed=1)
        self._fleet = Fleet([spec], None, air, clock, self.work_dir / "consoles")
        self._fleet.subscribe(self._heard)
        await self._fleet.start()
        try:
            await asyncio.wait_for(self._ended.wait(), 120)
        finally:
            await self._fleet.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def run() -> Stage:
            stage = Stage(tmp_path_factory.mktemp("screens"))
            await stage.play()
            return stage

        played = runner.run(run())
    assert "end" in played.lines, "\n".join(played.lines)
    return played


def same(found: Image.Image, golden: Image.Image) -> bool:
    return found.size == golden.size and found.convert("RGB").tobytes() == golden.convert("RGB").tobytes()


@pytest.mark.parametrize("name", PICTURES)
def test_a_scene_looks_as_it_did_when_somebody_looked_at_it(stage: Stage, name: str) -> None:
    picture = stage.scenes[name].picture
    golden = GOLDENS / picture.name
    assert golden.exists(), f"no golden {golden.name}: look at {picture}, then copy it to {GOLDENS}"
    assert same(Image.open(picture), Image.open(golden)), f"{picture} is not {golden}: look at both"


def test_a_golden_that_differs_in_one_dot_is_noticed(stage: Stage) -> None:
    golden = Image.open(GOLDENS / "tft_fresh_fr.png").convert("RGB")
    assert same(Image.open(stage.scenes["tft_fresh_fr"].picture), golden)
    golden.putpixel((120, 160), (1, 2, 3))
    assert not same(Image.open(stage.scenes["tft_fresh_fr"].picture), golden)


def test_the_emulator_has_nothing_to_say_against_the_drivers(stage: Stage) -> None:
    assert not [line for line in stage.lines if line.startswith("[emu]")]


def test_drawing_takes_little_time(stage: Stage) -> None:
    print()
    for name, scene in stage.scenes.items():
        print(f"{name:16} {scene.areas:3} areas {scene.took_ms:7.1f} ms {scene.calls:4} calls")
    whole = stage.scenes["tft_fresh_fr"]
    assert whole.areas == 13 and 122 < whole.took_ms < WHOLE_MS_MAX, "76,800 pixels of 16 bits at 10 MHz are 123 ms"


def test_drawing_fits_into_little_heap(tmp_path: Path) -> None:
    for path, data in compiled(tmp_path).items():
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_bytes(data)
    run = "import sys, micropython_run; sys.exit(micropython_run.run_main(['micropython', *sys.argv[1:]]))"
    command = [sys.executable, "-c", run, "-X", f"heapsize={HEAP}", str(DRAWING), str(tmp_path / "a")]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    took = {what: int(size) for _, what, size in map(str.split, finished.stdout.splitlines())}
    print(f"\nheap of the VM, B: {took}")
    assert took["loaded"] < LOADED_BYTES_MAX
    assert max(took["tft-area"], took["oled-area"]) < AREA_BYTES_MAX
