"""What the tests of the LoRaWAN ingresses share: the core behind them, a broker, another server's side of it."""

import asyncio
import itertools
import logging
import random
import subprocess
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from gateway_support import binary, free_port, stop_process, wait_for_port
from lorawan_support import JOIN_EUI, START_MS, Device, Store

from pave_gateway.core.commands import Commands
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.instant import Now
from pave_gateway.core.keys import KeyTable, LoraKeys, Secrets
from pave_gateway.core.keys_sealed import AesKeyring
from pave_gateway.core.lorawan.application import LorawanApplication
from pave_gateway.core.lorawan.radio import Downlink
from pave_gateway.core.lorawan.server import NetworkServer
from pave_gateway.core.lorawan.settings import LorawanSettings
from pave_gateway.core.places import Place
from pave_gateway.core.shadow import Shadows
from pave_gateway.core.shadow_resources import Resources
from pave_gateway.ingress.mqtt_ingress import Behind
from pave_gateway.ingress.semtech_udp_server import SemtechUdpServer
from pave_gateway.log import LimitedLog
from pave_gateway.store.external_tables import read_external
from pave_gateway.store.journal import Journal, JournalReader
from pave_gateway.store.lorawan_tables import read_lorawan
from pave_gateway.store.threaded import ThreadedCommitter
from pave_wire import shadow


class Core:
    """Ingest and application of a site, on the running loop's time, over any committer."""

    def __init__(self, devices: list[str], committer: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.committer = committer
        self.settings = LorawanSettings()
        kinds = dict.fromkeys(devices, shadow.PRESENCE)
        places = {device: Place(device, "delivery", "", 0, 0, device) for device in devices}
        numbers = itertools.count()
        self.keyring = AesKeyring([bytes(range(32))], lambda size: next(numbers).to_bytes(size, "big"))
        self.shadows = Shadows([], [], self.keyring)
        self.commands = Commands([], self.now())
        self.ingest = Ingest(places, committer, [])
        resources = Resources(self.shadows, self.commands, kinds.get)
        self.application = LorawanApplication(self.ingest, committer, resources, self.settings.heartbeats_per_ack)

    def now(self, monotonic_ms: int | None = None) -> Now:
        monotonic_ms = int(self.loop.time() * 1000) if monotonic_ms is None else monotonic_ms
        return Now(monotonic_ms, START_MS + monotonic_ms, True)


class UdpSite:
    """A network server behind its UDP socket, on the running loop."""

    def __init__(self, devices: int = 1, allowed: frozenset[str] | None = None) -> None:
        self.devices = [Device(0x100 + number) for number in range(devices)]
        self.store = Store()
        self.core = Core([device.eui for device in self.devices], self.store)
        table = KeyTable(b"")
        for device in self.devices:
            table.put(device.eui, Secrets(None, LoraKeys(device.eui, JOIN_EUI, device.app_key)))
        log = LimitedLog(logging.getLogger(__name__), self.core.loop.time)
        self.udp = SemtechUdpServer(allowed, random.Random(1), log)
        self.sent: list[Downlink] = []
        self.server = NetworkServer(
            self.core.settings,
            self.udp.monotonic_ms,
            self.core,
            lambda: 0,
            random.Random(1),
            self.core.keyring,
            table,
            self.store,
            self.core.application,
            self._transmit,
            lambda notice: None,
        )

    async def open(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        return await self.udp.open(self.server, host, port)

    def _transmit(self, downlink: Downlink) -> None:
        self.sent.append(downlink)
        self.udp.transmit(downlink)


class Disk:
    """A journal on disk with the production committer, and the core over it."""

    def __init__(self, path: Path, devices: list[str]) -> None:
        self.committer = ThreadedCommitter(Journal(path))
        self.reader = JournalReader(path)
        self.core = Core(devices, self.committer)
        self.core.application.restore(read_lorawan(self.reader.connection).devices)

    def restore(self, ingress: Any) -> None:
        """Give an ingress what is on disk of its devices."""
        ingress.uplinks.restore(read_external(self.reader.connection))

    def behind(self, devices: list[str]) -> Behind:
        """Return what an ingress is to know of the gateway."""
        log = LimitedLog(logging.getLogger(__name__), self.core.loop.time)
        known = frozenset(devices)
        return Behind(self.core.application, self.committer, known.__contains__, self.core, random.Random(1), log)

    @property
    def stored(self) -> list[tuple[str, int, int]]:
        """What the log has, in its order."""
        return [(item.row.device, item.row.epoch, item.row.seq) for batch in self.reader.all() for item in batch]

    async def close(self) -> None:
        await self.committer.close(5)
        self.reader.close()


class Mosquitto:
    """A real broker that keeps its state over a restart."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self._binary = binary("mosquitto")
        self.port = free_port()
        self.conf = folder / "mosquitto.conf"
        self.conf.write_text(
            f"listener {self.port} 127.0.0.1\n{extra}allow_anonymous true\nuser root\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {folder}/\n"
        )
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([self._binary, "-c", str(self.conf)], stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self) -> None:
        stop_process(self.process)


class Publisher:
    """Another network server's side of the broker: publishes, and notes what is published to `commands`."""

    def __init__(self, port: int, commands: str) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"network-server-{id(self)}")
        self.client.max_inflight_messages_set(1_000)
        self.client.max_queued_messages_set(0)
        self.client.on_message = lambda client, data, message: self.received.append((message.topic, message.payload))
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *args: subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe(commands, qos=1)
        assert subscribed.wait(10)

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        self.last = self.client.publish(topic, payload, qos)

    def flush(self) -> None:
        """Return when the broker has what was published."""
        self.last.wait_for_publish(30)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
