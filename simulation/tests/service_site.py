"""One real device on Wi-Fi and OSCORE in virtual time, and the production gateway that commands it."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.fleet import Device, DeviceSpec, Fleet
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway.config import Config
from pave_gateway.core.change import Change, submit
from pave_gateway.core.committer import Committed
from pave_gateway.store.journal import JournalReader
from pave_gateway.store.shadow_tables import commands_of
from pave_tools import firmware, manifest
from pave_tools.board import board_path, load_board
from pave_tools.device_keys import OSCORE_NAMESPACE
from pave_tools.image import DeviceSettings, build_flash_image, mac_of
from pave_tools.provisioning import Flashed
from pave_tools.tree import FIRMWARE_DIR
from pave_wire import shadow
from pave_wire.model import Reading
from simulation import site_keys
from simulation.devices import MICROPYTHON, VERSION
from simulation.virtual_gateway import EPOCH_MS, VirtualGateway

DEVICE = "24a160fffe000201"
COAP = ("127.0.0.1", 5683)
SSID, KEY = "net", "eight chars"
EPOCH = 1000
IMAGE = "kiosk.bin"
ROLE = Path(__file__).with_name("service_role.py")
_WHERE = {"lat": 48.8, "lon": 2.4}
SITE = {
    "site": {"id": "lab", "name": "A laboratory"},
    "clock": {"trusted": True},
    "journal": {"path": "journal.db"},
    "bay": [{"id": "bay", "kind": "delivery", "street": "Rue", "device": "24a160fffe000101", **_WHERE}],
    "kiosk": [{"id": "kiosk", "name": "Kiosk", "device": DEVICE, **_WHERE}],
}


class ServiceSite:
    """See above. Times are of the virtual clock, s."""

    def __init__(self, folder: Path, image: Path, config: Config, secret: bytes) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.folder = folder
        self.secret = secret
        self.lines: list[str] = []
        clock = VirtualClock(loop)
        self.air = WifiAir(clock, AccessPoint(SSID, KEY), seed=1)
        spec = DeviceSpec("kiosk", mac_of(DEVICE), board_path("pave-kiosk-v1"), image)
        self.fleet = Fleet([spec], None, self.air, clock, folder / "logs")
        self.fleet.subscribe(lambda _device, line: self.lines.append(line))
        self.gateway = VirtualGateway(config, folder / "journal.db", seed=1)

    @property
    def device(self) -> Device:
        return self.fleet.device("kiosk")

    async def until(self, done: Callable[[], object], within_s: float) -> None:
        """Return when `done()` holds."""
        end_s = self.loop.time() + within_s
        while not done():
            assert self.loop.time() < end_s, f"not within {within_s} s:\n" + "\n".join(self.lines[-30:])
            await asyncio.sleep(0.1)

    async def serves(self, within_s: float = 30) -> None:
        """Return when the device has begun to serve, once more than before."""
        before = self.said("serving")
        await self.until(lambda: self.said("serving") > before, within_s)
        await asyncio.sleep(2)

    def said(self, start: str) -> int:
        """How many lines of the console begin so."""
        return sum(line.startswith(start) for line in self.lines)

    def readings(self) -> list[Reading]:
        """What of the device is in the journal."""
        with closing(JournalReader(self.folder / "journal.db")) as reader:
            rows = [stored.row for batch in reader.all() for stored in batch]
        return [row for row in rows if row.device == DEVICE]  # pyright: ignore[reportReturnType]

    def reported(self, name: str) -> list[Any]:
        """Values of this name in the readings, in their order."""
        return [row.values[name] for row in self.readings() if name in row.values]

    def leaked(self) -> list[str]:
        """Lines of the console, and values of readings, that hold a key or a passphrase."""
        said = self.lines + [str(value) for reading in self.readings() for value in reading.values.values()]
        secrets = (KEY, self.secret.hex(), str(self.secret)[2:-1])
        return [line for line in said if any(secret in line for secret in secrets)]

    # What an operator does

    async def command(self, name: str, argument: int | None = None, within_s: float = 60) -> tuple[str, str]:
        """Give a command as `pave command` does; return its state and detail when it is over."""
        core = self.gateway.core
        command_id, change = core.commands.create(DEVICE, shadow.KIOSK, name, argument, core.now())
        await self._commit(change)
        end_s = self.loop.time() + within_s
        while any(row.id == command_id for row in core.commands.waiting(DEVICE)):
            assert self.loop.time() < end_s, f"{name} not over in {within_s} s:\n" + "\n".join(self.lines[-30:])
            await asyncio.sleep(0.1)
        row = next(row for row in core.reader.read(commands_of, DEVICE) if row.id == command_id)
        return row.state, row.detail

    async def edit(self, **changes: Any) -> None:
        """Give settings as `pave settings` does."""
        await self._commit(self.gateway.core.shadows.edit(DEVICE, shadow.KIOSK, changes))

    async def _commit(self, change: Change) -> None:
        outcomes: list[Any] = []
        submit(self.gateway.core.committer, change, outcomes.append)
        assert isinstance(outcomes[0], Committed)

    # The device's flash

    def flash(self) -> bytes:
        """All its bytes."""
        return (self.folder / IMAGE).read_bytes()


@cache
def _files() -> dict[str, bytes]:
    """The firmware of a kiosk, and every module of ours that the role of these tests may load."""
    files = dict(firmware.build("kiosk"))
    with tempfile.TemporaryDirectory() as scratch:
        for source in sorted(FIRMWARE_DIR.rglob("*.py")):
            name = source.relative_to(FIRMWARE_DIR).as_posix()
            if name.startswith(("app/", "net/", "roles/", "lib/")):
                entry = manifest.Entry(source, manifest.module_path(name))
                files[entry.device_path] = firmware.compile_module(entry, Path(scratch))
    del files["/a/roles/kiosk_controller.mpy"]
    return files


def play(
    folder: Path,
    script: Callable[[ServiceSite], Awaitable[None]],
    role: str | None = None,
    without: str = "",
    **config: Any,
) -> ServiceSite:
    """Run a device while `script(site)` does.

    `config` is added to its /config.json; `role` is another source of its role, `without` a module that it has lost.
    """
    board = load_board(board_path("pave-kiosk-v1"))
    files = {**_files(), "/a/roles/kiosk_controller.py": (role or ROLE.read_text()).encode()}
    source = random.Random(1).randbytes
    files.pop(f"/a/{without}.mpy", None)
    keys = site_keys.provisioner("lab", folder / "journal.db.keys", b"gateway", folder, EPOCH_MS, source)
    nvs = {
        "pave": {"epoch": EPOCH},
        OSCORE_NAMESPACE: keys.provision(Flashed(DEVICE, "kiosk", board.name, VERSION, EPOCH)),
    }
    settings = DeviceSettings(DEVICE, "kiosk", *COAP, SSID, KEY).config(board)
    build_flash_image(board, files, {**settings, **config}, nvs, folder / IMAGE, MICROPYTHON)
    site_config = site_keys.believing(Config.model_validate(SITE), keys)

    async def run() -> ServiceSite:
        secret = nvs[OSCORE_NAMESPACE]["secret"]
        assert isinstance(secret, bytes)
        site = ServiceSite(folder, folder / IMAGE, site_config, secret)
        await site.gateway.start(*COAP)
        await site.fleet.start()
        try:
            await script(site)
        finally:
            await site.fleet.stop()
            await site.gateway.stop()
        leaked = site.leaked()
        assert not leaked, f"secrets in what the device says: {leaked}"
        return site

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())
