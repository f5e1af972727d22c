"""The whole chain of a site, started link by link: keys, images, broker, gateway, city, devices. What each link saw.

Devices and gateway speak OSCORE under keys made for this run alone. What an operator would have is in the work
directory: the site file with the technician in it, the key file, the provisioning records.

Broker, gateway and city are processes of their own; the devices' host runs here, because the books need its truth. The
gateway can be killed and started again while the others run.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.clock import WallClock
from pave_emulator.fleet import Fleet
from pave_emulator.scenario import load as scenario
from pave_emulator.scenario.world import Bay, Change, World
from pave_gateway import config
from pave_gateway.core.keys import draw_gateway_id
from simulation import devices, processes, site_keys, stations
from simulation.accounts import LATE_S, Books, Truth
from simulation.tap import Tap
from simulation.work_dir import take_work_dir

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 20
REPORT_TIMEOUT_S = 40
_SETTLE_S = 2 * LATE_S  # after the last vehicle: time to be seen, and for one report more
_BROKER_CONFIG = """\
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""


@dataclass(frozen=True)
class Plan:
    """What to run, and where.

    Attributes:
        site: site file. Its ports, its journal and what belongs to that are overridden by the ones here (port 0 takes a
            free one).
        scenario: scenario file.
        work_dir: where images, logs and the journal go; an earlier demo's is emptied first.
        gateway: how the gateway is run, the words between the interpreter and `--site`.
        show: whether the city's table is drawn on this terminal.
    """

    site: Path
    scenario: Path
    work_dir: Path
    coap_port: int = 0
    http_port: int = 0
    mqtt_port: int = 0
    heartbeat_s: int = 20
    gateway: Sequence[str] = ("-m", "pave_gateway", "run")
    show: bool = False


class Chain:
    """A site that runs: `start`, `drain`, `stop`, then read its `books`. Made on the event loop it runs on."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.coap_port = plan.coap_port or _free_port(socket.SOCK_DGRAM)
        self.http_port = plan.http_port or _free_port(socket.SOCK_STREAM)
        self.mqtt_port = plan.mqtt_port or _free_port(socket.SOCK_STREAM)
        self.config = config.load(plan.site, self._overrides())
        self.tap = Tap()
        self.crashes: list[str] = []  # devices whose firmware ended by an exception, or was bitten by the watchdog
        self.truths: list[Truth] = []
        self.fault: asyncio.Future[str] = asyncio.get_running_loop().create_future()  # set when a link breaks by itself
        self.world: World | None = None
        self.fleet: Fleet | None = None
        self._children: list[processes.Child] = []  # in the order of starting

    @property
    def journal(self) -> Path:
        """The gateway's journal."""
        return self.plan.work_dir / "journal.sqlite"

    @property
    def key_file(self) -> Path:
        """What opens the devices' keys in the journal and in the records; an operator has a copy of it elsewhere."""
        return self.journal.with_name(self.journal.name + ".keys")

    @property
    def records(self) -> Path:
        """The folder of provisioning records; the technician's laptop has them too."""
        return self.plan.work_dir / site_keys.RECORDS

    @property
    def site(self) -> Path:
        """The site file the gateway is given."""
        return self.plan.work_dir / "site.toml"

    @property
    def record(self) -> Path:
        """What the city received, a JSON object a line."""
        return self.plan.work_dir / "received.ndjson"

    async def start(self) -> None:
        """Start every link; return when every device has reported once and the vehicles begin to come.

        Raises:
            StartError: a process did not come up, or a device did not report.
        """
        self._lock = take_work_dir(self.plan.work_dir)
        specs = await asyncio.to_thread(self._provision)
        await self._start_broker()
        await self.start_gateway()
        await self._start_city()
        fleet = await self._start_devices(specs)
        await self._until_all_have_reported()
        fleet.begin_world()

    async def start_gateway(self) -> None:
        """Start the gateway, on the journal of an earlier one if there was one."""
        command = [sys.executable, *self.plan.gateway, "--site", str(self.site)]
        for override in self._overrides():
            command += ["--set", override]
        log = self._log("gateway")
        said_bytes = log.stat().st_size if log.exists() else 0
        self.gateway = await self._start("gateway", command, log)
        await self.gateway.wait_for_line("gateway ready", START_TIMEOUT_S, said_bytes)

    async def kill_gateway(self) -> None:
        """SIGKILL the gateway.

        Raises:
            StartError: it had ended before.
        """
        if not self.gateway.running:
            raise processes.StartError(f"the gateway ended by itself; it said:\n{self.gateway.last_words()}")
        self._children.remove(self.gateway)
        await self.gateway.kill()

    async def drain(self, timeout_s: float, gone: Set[str] = frozenset()) -> None:
        """End the traffic and wait until all that is under way has arrived, or `timeout_s` is over: the books tell.

        `gone` are readings that the city need not get: they were acknowledged, and their disk was lost after that.
        """
        assert self.fleet is not None and self.world is not None
        self.world.stop_traffic(self.fleet.now_s())
        await asyncio.sleep(_SETTLE_S)
        until_s = time.monotonic() + timeout_s - _SETTLE_S
        # The other side is a file that another process writes: there is nothing to be woken by.
        while not (self._all_acknowledged() and await self._all_received(gone)) and time.monotonic() < until_s:
            await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """Stop every link, devices first; safe after a start that failed half-way."""
        if self.fleet is not None:
            self.crashes = self._crashes(self.fleet)
            await self.fleet.stop()
        order = {"gateway": 0, "city": 1, "broker": 2}
        children, self._children = sorted(self._children, key=lambda child: order[child.name]), []
        for child in children:
            status = await child.stop(signal.SIGTERM)
            if status != 0 and child.name == "gateway":
                self._broke(f"the gateway ended with status {status}; it said:\n{child.last_words()}")

    def books(self) -> Books:
        """Return what every station saw; complete once the chain has stopped."""
        stored, forwarded = stations.journal_rows(self.journal)
        return Books(
            truths=list(self.truths),
            sent=dict(self.tap.sent),
            acknowledged=set(self.tap.acknowledged),
            stored=stored,
            forwarded=forwarded,
            received=[stations.receipt(message) for message in self.received()],
            altered=set(self.tap.altered),
            unreadable=self.tap.unreadable["up"],
        )

    def reporting(self) -> set[str]:
        """Return the devices (EUI-64) that were told that a reading of theirs is safe."""
        return {identity.partition(":")[0] for identity in self.tap.acknowledged}

    def received(self) -> list[dict[str, Any]]:
        """Return the messages the city has recorded so far; `seen_s` is its unix time."""
        if not self.record.exists():
            return []
        lines = self.record.read_text().split("\n")[:-1]  # what follows the last newline is not written yet
        return [json.loads(line) for line in lines]

    def _overrides(self) -> list[str]:
        return [
            f"listen.coap=127.0.0.1:{self.coap_port}",
            f"listen.http=127.0.0.1:{self.http_port}",
            f"sink.city.port={self.mqtt_port}",
            f"journal.path={self.journal}",
            f"registry.key_file={self.key_file}",
            f"registry.records={self.records}",
            "clock.trusted=true",  # devices and gateway share this machine's
        ]

    def _provision(self) -> list[devices.DeviceSpec]:
        """Make every device's keys, record and image, and the site file that names who made them."""
        plan = self.plan
        provisioner = site_keys.provisioner(
            self.config.site.id, self.key_file, draw_gateway_id(os.urandom), plan.work_dir,
            time.time_ns() // 1_000_000, os.urandom,
        )  # fmt: skip
        self.site.write_text(plan.site.read_text() + site_keys.technician_table(provisioner))
        address = ("127.0.0.1", self.coap_port)
        specs = devices.build(self.config, address, plan.work_dir / "flash", plan.heartbeat_s, provisioner)
        for place in devices.equipped(self.config):
            self.tap.know(place.id, provisioner.made[place.device])
        return specs

    async def _start(self, name: str, command: Sequence[str], log: Path | None) -> processes.Child:
        child = await processes.start(name, command, log)
        self._children.append(child)
        child.on_exit(self._ended)
        return child

    def _ended(self, child: processes.Child, status: int) -> None:
        if child in self._children:
            self._broke(f"the {child.name} ended with status {status}; it said:\n{child.last_words()}")

    def _broke(self, what: str) -> None:
        if not self.fault.done():
            self.fault.set_result(what)

    async def _start_broker(self) -> None:
        settings = self.plan.work_dir / "broker.yaml"
        settings.write_text(_BROKER_CONFIG.format(port=self.mqtt_port))
        amqtt = Path(sys.executable).with_name("amqtt")
        broker = await self._start("broker", [str(amqtt), "-c", str(settings)], self._log("broker"))
        await broker.wait_for_port(self.mqtt_port, START_TIMEOUT_S)

    async def _start_city(self) -> None:
        subscriber = ROOT / "examples" / "city" / "subscriber.py"
        options = ["--port", str(self.mqtt_port), "--topic", "pave/#", "--record", str(self.record)]
        log = None if self.plan.show else self._log("city")
        city = await self._start("city", [sys.executable, str(subscriber), *options], log)
        await city.wait_for_file(self.record, START_TIMEOUT_S)  # it is there once the broker has said yes

    async def _start_devices(self, specs: list[devices.DeviceSpec]) -> Fleet:
        clock = WallClock()
        bays = [Bay(bay.id, bay.kind) for bay in self.config.bay]
        self.world = World(scenario.load(self.plan.scenario), bays, [kiosk.id for kiosk in self.config.kiosk])
        air = WifiAir(clock, AccessPoint(devices.WIFI_SSID, devices.WIFI_KEY), tap=self._heard)
        self.fleet = Fleet(
            specs, self.world, air, clock, self.plan.work_dir / "consoles", on_truth=self._happened, on_lost=self._broke
        )
        await self.fleet.start(hold_world=True)
        return self.fleet

    async def _until_all_have_reported(self) -> None:
        expected = {place.device: place.id for place in devices.equipped(self.config)}
        for _ in range(int(REPORT_TIMEOUT_S / 0.1)):
            if self.reporting() == expected.keys() or self.fault.done():
                return
            await asyncio.sleep(0.1)
        silent = sorted(expected[device] for device in expected.keys() - self.reporting())
        consoles = self.plan.work_dir / "consoles"
        raise processes.StartError(f"{len(silent)} devices did not report: {', '.join(silent[:5])}; see {consoles}")

    def _happened(self, change: Change) -> None:
        assert self.fleet is not None
        late_s = self.fleet.now_s() - change.t_s  # on a busy machine the word of it comes later than it was
        self.truths.append(Truth(change.bay, change.occupied, time.time() - late_s))

    def _heard(self, device: str, direction: str, _now_s: float, data: bytes) -> None:
        (self.tap.from_device if direction == "up" else self.tap.to_device)(device, data)

    def _crashes(self, fleet: Fleet) -> list[str]:
        consoles = self.plan.work_dir / "consoles"
        raised = {log.stem for log in consoles.glob("*.log") if "Traceback" in log.read_text(errors="replace")}
        return sorted(raised | {name for name, s in fleet.stats().items() if s["crashes"] or s["watchdog_resets"]})

    def _log(self, name: str) -> Path:
        return self.plan.work_dir / f"{name}.log"

    def _all_acknowledged(self) -> bool:
        return self.tap.sent.keys() <= self.tap.acknowledged

    async def _all_received(self, gone: Set[str]) -> bool:
        received = {message["id"] for message in await asyncio.to_thread(self.received)}
        return self.tap.acknowledged - gone <= received


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
