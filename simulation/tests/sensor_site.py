"""The presence role on LoRaWAN in virtual time: a bay with scripted visits, its sensor, the production gateway.

What the gateway holds of the bay is read from its journal; what a wake-up costs, from the emulator's ledger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from pave_emulator.fleet import DeviceSpec
from pave_emulator.scenario.load import Scenario, Visit, load
from pave_emulator.scenario.world import Bay, World
from pave_gateway.store.journal import JournalReader
from pave_tools import firmware
from pave_tools.board import board_path, load_board
from pave_tools.image import build_flash_image, mac_of
from simulation.devices import MICROPYTHON

from .lora_site import EUI, LoraSite, play

BAY = "bay"
EARTH_UT = (20.9, 0.8, 43.7)
PASSERS = """\
name: Passers
seed: 5
start: 2026-11-23T09:00
earth_field_ut: [20.9, 0.8, 43.7]
noise_ut: 0.3
passers: {per_day: 4000, lane_m: [2.0, 2.6], speed_mps: [3, 10]}
"""
Said = tuple[object, object]
"""(occupied, or "blind", or None; reason)."""


class SensorSite(LoraSite):
    """See above; `VISITS` are (arrival, departure) in s of virtual time, None: nobody comes, and PASSERS pass."""

    VISITS: tuple[tuple[float, float], ...] | None = ()

    def _spec(self, part: str, every_s: int, nvs: dict[str, Any], settings: dict[str, Any]) -> DeviceSpec:
        board = load_board(board_path("pave-presence-v1"))
        content = {"device": EUI, "role": "presence", "board": board.module, "link": "lorawan", "heartbeat_s": every_s}
        image = self.folder / "flash.bin"
        values = {"pave": {"epoch": 1000}, "lora": nvs}
        build_flash_image(board, self.files(), content | settings, values, image, MICROPYTHON)
        return DeviceSpec("sensor", mac_of(EUI), board_path(board.name), image, BAY)

    def files(self) -> dict[str, bytes]:
        """The firmware to flash."""
        return compiled()

    def _world(self) -> World:
        if self.VISITS is None:
            path = self.folder / "passers.yaml"
            path.write_text(PASSERS)
            return World(load(path), [Bay(BAY, "taxi")])
        visits = tuple(Visit(BAY, arrive_s, leave_s) for arrive_s, leave_s in self.VISITS)
        return World(Scenario("test", 1, EARTH_UT, 0.3, (), visits), [Bay(BAY, "taxi")])

    def readings(self) -> list[dict[str, Any]]:
        """Values of each reading in the journal, in order of its identity."""
        with closing(JournalReader(self.folder / "journal.db")) as reader:
            rows = [stored.row for batch in reader.all() for stored in batch]
        return [dict(row.values) for row in sorted(rows, key=lambda row: (row.epoch, row.seq))]

    def states(self) -> list[Said]:
        """What the journal holds of the bay, in order."""
        return [("blind" if one.get("blind") else one.get("occupied"), one.get("reason")) for one in self.readings()]

    def charge_mc(self) -> dict[str, float]:
        """What the sensor has drawn so far, in mC, by cause."""
        meter = self.device.meter
        assert meter is not None
        return {cause: 1000 * charge for (cause,), charge in meter.snapshot().charge_by("cause").items()}

    def wakes(self, cause: str) -> int:
        """How often the sensor was awake for `cause`."""
        meter = self.device.meter
        assert meter is not None
        return meter.snapshot().wakes.get(cause, 0)


@cache
def compiled() -> dict[str, bytes]:
    return firmware.build("presence")


def live(
    folder: Path,
    script: Callable[[Any], Awaitable[None]],
    visits: tuple[tuple[float, float], ...] | None = (),
    heartbeat_s: int = 3600,
    **more: Any,
) -> SensorSite:
    """Run a sensor on LoRaWAN with these visits while `script(site)` does."""
    kind = type("SensorSite", (SensorSite,), {"VISITS": visits})
    site = play(folder, script, every_s=heartbeat_s, kind=kind, **more)
    assert isinstance(site, SensorSite)
    return site
