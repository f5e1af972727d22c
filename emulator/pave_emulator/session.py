"""One run: a scenario with its devices, its world and its airs on one clock, and everything recorded in one trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from pave_emulator import board as boards
from pave_emulator.air.access_point import AccessPoint
from pave_emulator.air.concentrator import Concentrator
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.police import Police
from pave_emulator.air.radio import Radio
from pave_emulator.air.semtech_udp import Backhaul, GatewayLink, PacketForwarder
from pave_emulator.air.wifi import WifiAir
from pave_emulator.board import Board
from pave_emulator.chips.environment import Environment
from pave_emulator.clock import FleetClock
from pave_emulator.field_recorder import FieldRecorder
from pave_emulator.fleet import Fleet
from pave_emulator.roster import Roster
from pave_emulator.scenario.check import check_devices
from pave_emulator.scenario.model import Scenario
from pave_emulator.scenario.properties import Checker, Verdict
from pave_emulator.scenario.world import World
from pave_emulator.serial.device_port import DevicePort
from pave_emulator.trace import Trace

CONCENTRATOR = "concentrator"
CONCENTRATOR_POSITION_M = (0.0, 0.0, 20.0)  # on a roof
GATEWAY_EUI = bytes.fromhex("24a160fffe00ffff")


@dataclass(frozen=True)
class Setting:
    """What a run may be given besides scenario and devices.

    Attributes:
        log_dir: one console log per device.
        access_point: of the site's Wi-Fi.
        serial_base: TCP port of the first device's serial port, the others follow; 0: any.
        recorder: is told what each magnetometer in the street is given.
        forward: host and port of a server that speaks Semtech UDP, for what the concentrator hears; None: nobody.
    """

    log_dir: Path
    access_point: AccessPoint = field(default_factory=AccessPoint)
    serial_base: int = 0
    recorder: FieldRecorder | None = None
    forward: tuple[str, int] | None = None


class SiteWorld(World):
    """A world whose fields may be recorded as they are felt."""

    recorder: FieldRecorder | None = None

    def environment(self, place: str, radio: Radio | None = None) -> Environment:
        """What the chips of a board at a bay or kiosk feel."""
        found = super().environment(place, radio)
        return self.recorder.sees(place, found) if self.recorder and place not in self.kiosks else found


class Session:
    """One run on a clock. `on_lost` is called if the process that runs the VMs ends by itself."""

    def __init__(
        self,
        scenario: Scenario,
        roster: Roster,
        clock: FleetClock,
        setting: Setting,
        trace: Trace,
        on_lost: Callable[[str], None],
    ) -> None:
        """Raise ScenarioError, BoardError, FlashError for what cannot be run."""
        self.scenario, self.roster, self.clock, self.trace = scenario, roster, clock, trace
        self.boards: dict[str, Board] = {spec.name: boards.load(spec.board_file) for spec in roster.specs}
        check_devices(scenario, self.boards)
        world = SiteWorld(scenario, roster.bays, roster.kiosks)
        world.recorder = setting.recorder
        wifi = WifiAir(clock, setting.access_point, trace=trace, seed=scenario.seed)
        wifi.positions_m.update(roster.positions_m)
        lora = LoraAir(clock, scenario.seed, trace, police=Police(trace))
        self.fleet = Fleet(
            list(roster.specs), world, wifi, clock, setting.log_dir, on_lost=on_lost, traced=trace,
            seed=scenario.seed, metered=True, drifting=True, lora=lora, positions_m=roster.positions_m,
        )  # fmt: skip
        self.attenuation_db: dict[str, float] = {}
        self.fleet.attenuation_db = self.attenuation_db
        self._link: GatewayLink | None = None
        if roster.positions_m:
            concentrator = Concentrator(lora, CONCENTRATOR, CONCENTRATOR_POSITION_M)
            self.fleet.concentrators.append(concentrator)
            if setting.forward:
                self._link = self._make_link(concentrator, setting.forward)
        self.ports = {} if clock.lockstep else self._make_ports(setting.serial_base)
        """Serial ports, by device; none in virtual time, which does not wait for who types. Each is to be opened."""
        self.urls: dict[str, str] = {}
        """Of the serial ports that are open."""
        self.faults = self.fleet.faults
        self._checker = Checker(scenario.properties)
        trace.subscribers.append(self._checker.feed)

    @property
    def epoch_unix_s(self) -> float:
        """Unix time at the clock's zero, taking the scenario's local time for UTC."""
        return self.scenario.start.replace(tzinfo=UTC).timestamp()

    async def start(self) -> None:
        """Power everything on and let the world run."""
        for concentrator in self.fleet.concentrators:
            concentrator.start(self.clock.now_s())
        if self._link:
            await self._link.open()
        await self.fleet.start()

    def verdicts(self) -> list[Verdict]:
        """What came of the properties, if the run ends now."""
        return self._checker.finish(self.clock.now_s())

    async def serial_url(self, device: str) -> str:
        """The URL of a device's serial port, which is opened if it is not. Raise OSError when its number is taken."""
        if device not in self.urls:
            self.urls[device] = await self.ports[device].start()
        return self.urls[device]

    async def stop(self) -> None:
        """End it: every process is gone on return."""
        for port in self.ports.values():
            await port.stop()
        if self._link:
            self._link.close()
        await self.fleet.stop()

    def _make_link(self, concentrator: Concentrator, server: tuple[str, int]) -> GatewayLink:
        seed = self.scenario.seed
        forwarder = PacketForwarder(GATEWAY_EUI, concentrator, self.trace, seed, self.epoch_unix_s)
        link = GatewayLink(forwarder, CONCENTRATOR, self.clock, Backhaul(server), self.trace, seed)
        concentrator.on_uplink = link.uplink
        return link

    def _make_ports(self, base: int) -> dict[str, DevicePort]:
        return {
            name: DevicePort(device, self.clock, port=base and base + number)
            for number, (name, device) in enumerate(self.fleet.devices.items())
        }
