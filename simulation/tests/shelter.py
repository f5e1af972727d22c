"""One real kiosk on the emulator in virtual time, the production gateway, and eyes for the kiosk's screen.

Everything between the two goes under OSCORE; a gateway that was closed comes back on its journal.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.chips.ssd1306 import Ssd1306
from pave_emulator.clock import VirtualClock
from pave_emulator.fleet import Device, DeviceSpec, Fleet
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway.config import Config
from pave_tools import firmware
from pave_tools.board import board_path, load_board
from pave_tools.device_keys import OSCORE_NAMESPACE
from pave_tools.image import DeviceSettings, build_flash_image, mac_of
from pave_tools.provisioning import Flashed
from pave_tools.tree import FIRMWARE_DIR
from pave_wire.model import Reading
from simulation import site_keys
from simulation.devices import MICROPYTHON, VERSION
from simulation.tap import Tap
from simulation.virtual_gateway import EPOCH_MS, VirtualGateway

DEVICE = "24a160fffe000201"
BAYS = 3
COAP = ("127.0.0.1", 5683)
SSID, KEY = "net", "eight chars"
JOURNAL_FILE = "journal.db"
EPOCH = 1000
LOOK_S = 0.05
DRAWN_WITHIN_S = 5.0  # a power cut in the middle of drawing leaves half a picture until the kiosk has started again
WAITING, DARK, NO_NEWS = "waiting", "dark", "no news"
AGES = ("30 s", "40 s", "50 s", *(f"{minutes} min" for minutes in range(1, 10)))
APART_M = 100
Shown = tuple[int, str] | str
"""(free bays, age or ""), or WAITING, DARK or NO_NEWS."""

BAY_DEVICES = [f"24a160fffe0001{at:02x}" for at in range(BAYS)]
_WHERE = {"lat": 48.8, "lon": 2.4}


def _north(metres: float) -> dict[str, float]:
    return {"lat": _WHERE["lat"] + metres / 111_195, "lon": _WHERE["lon"]}  # a sixtieth of a nautical mile, mean


SITE = {
    "site": {"id": "shelter", "name": "A shelter"},
    "journal": {"path": JOURNAL_FILE},
    "bay": [
        # Each nearer to the kiosk than the one before, so which free bay is the nearest tells how many there are.
        {"id": f"bay-{at}", "kind": "delivery", "street": "Rue", "device": device, **_north((BAYS - at) * APART_M)}
        for at, device in enumerate(BAY_DEVICES)
    ],
    "kiosk": [{"id": "kiosk", "name": "Kiosk", "device": DEVICE, **_WHERE}],
}

# Every picture of the compact panel that a kiosk of this site can show, drawn by its own code: prints (number, frame).
_DRAW = """
import sys
sys.path[1:1] = [%r, %r]
from app import screen, screen_oled, screen_show
from drivers.ssd1306 import SSD1306
class Bus:
    def writeto(self, address, data): pass
    def writevto(self, address, parts): pass
panel = SSD1306(Bus())
layout = screen_oled.Layout(64)
shown = screen_show.Shown(layout, panel)
for at, (language, free, metres, age_s) in enumerate(%r):
    state = screen.Screen(layout, (language,))
    if free is not None:
        state.heard({'delivery': (free, 3)}, {} if metres is None else {'delivery': (metres, 0)}, 0)
    for turn in range(1 if free is not None and age_s < 600 else 6):
        list(shown.update(state.view(age_s * 1000 + turn * 8000)))
        print(at, bytes(panel._frame).hex())
"""


@cache
def pictures() -> dict[bytes, Shown]:
    """What each picture shows, as the kiosk's own code draws it in the VM, in both languages.

    The compact panel shows where the nearest free bay is: which one tells how many there are (`SITE`). A gateway that
    does not say where shows how many.
    """
    wanted: list[tuple[Shown, tuple[int | None, int | None, int]]] = [(WAITING, (None, None, 0))]
    for free in range(BAYS + 1):
        for metres in {None, (BAYS + 1 - free) * APART_M if free else None}:
            wanted.append(((free, ""), (free, metres, 0)))
            wanted += [((free, age), (free, metres, _seconds(age))) for age in AGES]
    wanted += [(NO_NEWS, (1, None, minutes * 60)) for minutes in range(10, 30)]
    scenes = [(name, (language, *scene)) for name, scene in wanted for language in (0, 1)]
    run = "import sys, micropython_run; sys.exit(micropython_run.run_main(['micropython', *sys.argv[1:]]))"
    folders = str(FIRMWARE_DIR), str(FIRMWARE_DIR / "lib")
    command = [sys.executable, "-c", run, "-c", _DRAW % (*folders, [scene for _, scene in scenes])]
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    found: dict[bytes, Shown] = {}
    for line in drawn:
        at, _, frame = line.partition(" ")
        name = scenes[int(at)][0]
        assert found.setdefault(bytes.fromhex(frame), name) == name, "two of them look the same"
    return found | {bytes(1024): DARK}


def _seconds(age: str) -> int:
    number, _, unit = age.partition(" ")
    return int(number) * (60 if unit == "min" else 1)


_seen: dict[bytes, Shown] = {}  # by the display's memory
_last: dict[Device, tuple[Shown, float]] = {}  # by device: what it showed last, and when that was


def shown_by(device: Device) -> Shown:
    """What is on the compact panel of a kiosk now. While it is drawn, line by line, what it showed before."""
    chip = device.chip("display")
    assert isinstance(chip, Ssd1306)
    if not chip.on:
        return DARK
    now_s = asyncio.get_running_loop().time()
    memory = b"".join(chip.gddram)
    if memory not in _seen:
        frame = chip.frame()
        pages = (frame[top : top + 8] for top in range(0, 64, 8))
        columns = (column for page in pages for column in zip(*page, strict=True))
        picture = bytes(sum(dot << row for row, dot in enumerate(dots)) for dots in columns)
        if picture not in pictures():
            last, at_s = _last.get(device, (DARK, now_s))
            assert 0 <= now_s - at_s < DRAWN_WITHIN_S, "a picture that nobody knows"
            return last
        _seen[memory] = pictures()[picture]
    _last[device] = _seen[memory], now_s
    return _seen[memory]


class Shelter:
    """The kiosk, its air and its gateway. Times are of the virtual clock, s."""

    def __init__(self, work_dir: Path, image: Path, config: Config) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        clock = VirtualClock(loop)
        self.tap = Tap()
        self.air = WifiAir(clock, AccessPoint(SSID, KEY), seed=1, tap=self._heard)
        spec = DeviceSpec("kiosk", mac_of(DEVICE), board_path("pave-kiosk-v1"), image)
        self.fleet = Fleet([spec], None, self.air, clock, work_dir / "consoles")
        self._work_dir = work_dir
        self._config = config
        self._free: set[int] = set()
        self._readings = 0
        self.gateway: VirtualGateway | None = None

    @property
    def device(self) -> Device:
        return self.fleet.device("kiosk")

    def _heard(self, device: str, way: str, _now_s: float, data: bytes) -> None:
        (self.tap.from_device if way == "up" else self.tap.to_device)(device, data)

    # The gateway

    async def open_gateway(self) -> None:
        """Start a gateway, on the journal of the one before if there was one, and tell it the state of the bays."""
        self.gateway = VirtualGateway(self._config, self._work_dir / JOURNAL_FILE, seed=1)
        await self.gateway.start(*COAP)
        for at in range(BAYS):
            self._tell(at)

    async def close_gateway(self) -> None:
        if self.gateway:
            await self.gateway.stop()
        self.gateway = None

    def free(self, count: int) -> None:
        """Let so many bays be free; a gateway that is not there will know when it is."""
        was, self._free = self._free, set(range(count))
        if self.gateway:
            for at in sorted(was ^ self._free):
                self._tell(at)

    def _tell(self, at: int) -> None:
        assert self.gateway
        self._readings += 1
        values: dict[str, bool | int | float | str] = {"occupied": at not in self._free, "reason": "field"}
        reading = Reading(BAY_DEVICES[at], 1, self._readings, 0, values)
        self.gateway.ingest.offer([reading], self.gateway.core.now(), lambda verdict: None)

    # The screen

    def shown(self) -> Shown:
        """What is on the screen now."""
        return shown_by(self.device)

    async def until(self, shown: Shown, within_s: float) -> float:
        """Return after how long the screen shows this."""
        began_s = self.loop.time()
        while (now := self.shown()) != shown:
            assert self.loop.time() < began_s + within_s, f"{now} is shown, not {shown}, after {within_s} s"
            await asyncio.sleep(LOOK_S)
        return self.loop.time() - began_s

    async def watch(self, for_s: float) -> list[Shown]:
        """Return what is shown from now on, in its order."""
        seen = [self.shown()]
        for _ in range(int(for_s / 0.5)):
            await asyncio.sleep(0.5)
            if self.shown() != seen[-1]:
                seen.append(self.shown())
        return seen


@cache
def compiled() -> dict[str, bytes]:
    return firmware.build("kiosk")


def play(
    work_dir: Path,
    script: Callable[[Shelter], Awaitable[None]],
    *,
    known: bool = True,
    replaced: dict[str, str] | None = None,
) -> None:
    """Let `script` act on a shelter whose gateway runs. `known`: a place of its site has this kiosk.

    `replaced` are modules of the firmware, by path below the slot, with other source.
    """
    board = load_board(board_path("pave-kiosk-v1"))
    files = dict(compiled())
    for path, source in (replaced or {}).items():
        del files[f"/a/{path}.mpy"]
        files[f"/a/{path}.py"] = source.encode()
    keys = site_keys.provisioner(
        "shelter", work_dir / f"{JOURNAL_FILE}.keys", b"gateway", work_dir, EPOCH_MS, random.Random(1).randbytes
    )
    nvs = {
        "pave": {"epoch": EPOCH},
        OSCORE_NAMESPACE: keys.provision(Flashed(DEVICE, "kiosk", board.name, VERSION, EPOCH)),
    }
    settings = DeviceSettings(DEVICE, "kiosk", *COAP, SSID, KEY).config(board)
    build_flash_image(board, files, settings, nvs, work_dir / "kiosk.bin", MICROPYTHON)
    site = SITE if known else {**SITE, "kiosk": []}
    config = site_keys.believing(Config.model_validate(site), keys)

    async def run() -> None:
        shelter = Shelter(work_dir, work_dir / "kiosk.bin", config)
        shelter.tap.know("kiosk", keys.made[DEVICE])
        await shelter.open_gateway()
        await shelter.fleet.start()
        try:
            await script(shelter)
        finally:
            await shelter.fleet.stop()
            await shelter.close_gateway()
        assert shelter.tap.unreadable["up"] == 0, "all that the kiosk says is sealed"

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
