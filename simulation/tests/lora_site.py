"""One real device on LoRaWAN in virtual time: its radio on the emulated air, a concentrator, the production gateway.

`Ledger` reads every frame off the air and knows what must never be there twice.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from pave_emulator.air.concentrator import Answer, Concentrator
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.police import Police
from pave_emulator.air.propagation import PathLoss
from pave_emulator.air.semtech_udp import Backhaul, GatewayLink, PacketForwarder
from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import VirtualClock
from pave_emulator.fleet import Device, DeviceSpec, Fleet
from pave_emulator.scenario.world import World
from pave_emulator.trace import CONSOLE, FAULT, LORA, Record, Trace
from pave_emulator.virtual_loop import VirtualLoop
from pave_gateway import config
from pave_gateway.store.journal import JournalReader
from pave_tools import firmware, manifest
from pave_tools.board import load_board
from pave_tools.image import build_flash_image, mac_of
from pave_tools.provisioning import Flashed, LoraKeys, make_record, write_record
from pave_tools.tree import BOARDS_DIR, FIRMWARE_DIR
from pave_wire import lorawan
from simulation import site_keys
from simulation.devices import MICROPYTHON
from simulation.virtual_gateway import EPOCH_MS, VirtualGateway

EUI = "24a160fffe000101"
MAST = "00000000000000a1"
JOIN_EUI, APP_KEY = bytes.fromhex("0200000000000001"), bytes(range(16))
SERVER = ("127.0.0.1", 1700)
PROBE = Path(__file__).with_name("lora_probe.py")
LOSS_DB = 105.0
SITE = """
[site]
id = "lab"
name = "Laboratory"
[clock]
trusted = true
[semtech_udp]
listen = "127.0.0.1:1700"
gateways = ["%(mast)s"]
[journal]
path = "%(journal)s"
[[bay]]
id = "bay"
kind = "delivery"
street = "Rue de Bercy"
lat = 48.8358
lon = 2.3858
device = "%(device)s"
"""
# The same board with the other transceiver: it has no BUSY line, no TCXO at DIO3 and no antenna switch at DIO2.
SX1276_BOARD = (
    ('part = "SX1262"', 'part = "SX1276"'),
    ('busy = "radio_busy"\n', ""),
    ('dio1 = "radio_dio1"\n', ""),
    ("tcxo = true ", "# "),
    ("tcxo_mv = 1800\n", ""),
    ("rf_switch_dio2 = true\n", ""),
    ("max_hz = 16000000 ", "max_hz = 10000000 "),
)
NVS = {
    "app_key": APP_KEY,
    "join_eui": JOIN_EUI,
    "dev_eui": bytes.fromhex(EUI),
    "dev_nonce": 0,
    "join_nonce": 0,
    "airtime_ms": 0,
}


class BrokenError(AssertionError):
    """Something was on the air that must not be."""


class Ledger:
    """Every uplink of the device, and what it used up."""

    def __init__(self) -> None:
        self.dev_nonces: list[int] = []
        self.frames: dict[tuple[int, int], bytes] = {}  # DevAddr, FCnt

    def tell(self, phy: bytes) -> None:
        """Take a frame; raises BrokenError for a nonce or counter that was there before, under other bytes."""
        if phy[0] >> 5 == lorawan.JOIN_REQUEST:
            dev_nonce = int.from_bytes(phy[17:19], "little")
            if self.dev_nonces and dev_nonce <= self.dev_nonces[-1]:
                raise BrokenError(f"DevNonce {dev_nonce} after {self.dev_nonces[-1]}")
            self.dev_nonces.append(dev_nonce)
            return
        key = lorawan.dev_addr(phy), int.from_bytes(phy[6:8], "little")
        if self.frames.setdefault(key, phy) != phy:
            raise BrokenError(f"FCnt {key[1]} of {key[0]:08x} has sealed two frames")

    def sessions(self) -> list[int]:
        """DevAddr in the order of their first frame."""
        return list(dict.fromkeys(address for address, _ in self.frames))


class LoraSite:
    """See above. `drops(payload)` says which downlinks never leave the concentrator."""

    def __init__(self, folder: Path, part: str, every_s: int, nvs: dict[str, Any], seed: int, **settings: Any) -> None:
        loop = asyncio.get_running_loop()
        self.folder = folder
        self.clock = VirtualClock(loop)
        self.trace = Trace(hashed=True)
        self.ledger = Ledger()
        self.lines: list[str] = []
        self.uplinks: list[Record] = []
        self.faults: list[Record] = []
        self.broken: list[BrokenError] = []
        self.on_uplink: Callable[[Record], None] = lambda record: None
        self.drops: Callable[[bytes], bool] = lambda payload: False
        self.downlinks = 0
        self.trace.subscribers.append(self._record)
        self.config = self._provisioned()
        self.police = Police(self.trace)
        air = LoraAir(self.clock, seed, self.trace, PathLoss(LOSS_DB, 1.0, 0.0, 0.0, 0.0), self.police)
        self._concentrator = Concentrator(air, "gw", (0, 0, 10))
        self._submit, self._concentrator.submit = self._concentrator.submit, self._sent
        forwarder = PacketForwarder(bytes.fromhex(MAST), self._concentrator, self.trace, seed, EPOCH_MS / 1000)
        self._link = GatewayLink(forwarder, "gw", self.clock, Backhaul(SERVER, 0.02), self.trace, seed)
        self._concentrator.on_uplink = self._link.uplink
        spec = self._spec(part, every_s, nvs, settings)
        wifi = WifiAir(self.clock, AccessPoint(), trace=self.trace, seed=seed)
        self.fleet = Fleet(
            [spec], self._world(), wifi, self.clock, folder / "logs", traced=self.trace, seed=seed, drifting=True,
            lora=air, positions_m={"sensor": (0.0, 0.0)}, metered=True,
        )  # fmt: skip
        self._lives = 0
        self.gateway: VirtualGateway | None = None

    def _spec(self, part: str, every_s: int, nvs: dict[str, Any], settings: dict[str, Any]) -> DeviceSpec:
        return device_spec(self.folder, part, every_s, nvs, settings)

    def _world(self) -> World | None:
        return None

    @property
    def device(self) -> Device:
        return self.fleet.device("sensor")

    async def start_gateway(self) -> None:
        """Start the gateway over its journal."""
        self._lives += 1
        self.gateway = VirtualGateway(self.config, self.folder / "journal.db", self._lives)
        await self.gateway.start("127.0.0.1", 5683)

    async def stop_gateway(self) -> None:
        if self.gateway:
            await self.gateway.stop()
        self.gateway = None

    async def start(self) -> None:
        await self.start_gateway()
        self._concentrator.start(self.clock.now_s())
        await self._link.open()
        await asyncio.sleep(0.2)
        await self.fleet.start()

    async def stop(self) -> None:
        self._link.close()
        self.device.power_cut()
        while self.fleet._zygote._running:  # processes end in wall time
            await asyncio.to_thread(lambda: None)
        await self.fleet.stop()
        await self.stop_gateway()

    async def until(self, done: Callable[[], bool], within_s: float) -> None:
        """Let time pass until `done()`, at most so much."""
        end_s = self.clock.now_s() + within_s
        while not done():
            if self.clock.now_s() > end_s:
                raise AssertionError(f"not within {within_s} s:\n" + "\n".join(self.lines[-40:]))
            await asyncio.sleep(1.0)

    def said(self, start: str) -> list[str]:
        """Console lines that begin so."""
        return [line for line in self.lines if line.startswith(start)]

    def stored(self) -> list[str]:
        """Identities in the journal, in order."""
        with closing(JournalReader(self.folder / "journal.db")) as reader:
            return [stored.row.identity for batch in reader.all() for stored in batch]

    def _sent(self, packet: Any, kind: Any, now_s: float) -> Answer:
        self.downlinks += 1
        return Answer() if self.drops(packet.payload) else self._submit(packet, kind, now_s)

    def _record(self, record: Record) -> None:
        if record.kind == FAULT:
            self.faults.append(record)
        elif record.kind == CONSOLE:
            self.lines.append(record.fields["line"])
        elif record.kind == LORA and record.fields["what"] == "tx" and record.device == "sensor":
            try:
                self.ledger.tell(record.fields["payload"])
            except BrokenError as error:  # who transmits would only log it
                self.broken.append(error)
            self.uplinks.append(record)
            self.on_uplink(record)

    def _provisioned(self) -> config.Config:
        """Write the site file, and the record of the device as a technician's laptop would."""
        source = random.Random(5)
        keys = site_keys.provisioner(
            "lab", self.folder / "journal.db.keys", source.randbytes(7), self.folder, EPOCH_MS, source.randbytes
        )
        path = self.folder / "site.toml"
        names = {"mast": MAST, "device": EUI, "journal": self.folder / "journal.db"}
        path.write_text(SITE % names + site_keys.technician_table(keys))
        flashed = Flashed(EUI, "presence", "pave-presence-v1", "probe", 1000)
        record = make_record(flashed, None, LoraKeys(JOIN_EUI, APP_KEY), keys.technician, keys.readers)
        write_record(keys.records, flashed, record)
        return config.load(path)


def device_spec(folder: Path, part: str, every_s: int, nvs: dict[str, Any], settings: dict[str, Any]) -> DeviceSpec:
    """Flash a device with `part` for its radio."""
    text = (BOARDS_DIR / "pave-presence-v1.toml").read_text()
    if part == "SX1276":
        for old, new in SX1276_BOARD:
            assert old in text, old
            text = text.replace(old, new)
        text = text.replace("radio_busy = 15\n", "")
    board_file = folder / "board.toml"
    board_file.write_text(text)
    board = load_board(board_file)
    files = dict(_files())
    if part == "SX1276":
        source = (FIRMWARE_DIR / "boards/pave_presence_v1.py").read_text().replace("RADIO_BUSY = const(15)\n", "")
        files["/a/boards/pave_presence_v1.py"] = source.encode()
        del files["/a/boards/pave_presence_v1.mpy"]
    content = {"device": EUI, "board_module": "pave_presence_v1", "every_s": every_s, **settings}
    image = folder / "flash.bin"
    build_flash_image(board, files, content, {"pave": {"epoch": 1000}, "lora": nvs}, image, MICROPYTHON)
    return DeviceSpec("sensor", mac_of(EUI), board_file, image)


@cache
def _files() -> dict[str, bytes]:
    """The firmware's modules that the probe loads, compiled as those of a role are, and the probe."""
    with tempfile.TemporaryDirectory() as scratch:
        files = {"/main.py": PROBE.read_bytes()}
        for source in sorted(FIRMWARE_DIR.rglob("*.py")):
            name = source.relative_to(FIRMWARE_DIR).as_posix()
            if "tests" not in source.parts and "/" in name:
                entry = manifest.Entry(source, manifest.module_path(name))
                files[entry.device_path] = firmware.compile_module(entry, Path(scratch))
    return files


def play(
    folder: Path,
    script: Callable[[LoraSite], Awaitable[None]],
    part: str = "SX1262",
    every_s: int = 600,
    nvs: dict[str, Any] | None = None,
    seed: int = 1,
    kind: type[LoraSite] = LoraSite,
    **settings: Any,
) -> LoraSite:
    """Run a device with a radio of `part` while `script(site)` does; return the site."""

    async def run() -> LoraSite:
        site = kind(folder, part, every_s, NVS if nvs is None else nvs, seed, **settings)
        await site.start()
        try:
            await script(site)
        finally:
            await site.stop()
        assert not site.broken, site.broken
        return site

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())
