"""LoRaWAN of a site in virtual time: the air, its police, and concentrators that forward to the gateway's server."""

from __future__ import annotations

from collections.abc import Mapping

from pave_emulator.air.concentrator import Concentrator
from pave_emulator.air.lora import LoraAir
from pave_emulator.air.police import Police
from pave_emulator.air.semtech_udp import Backhaul, GatewayLink, PacketForwarder
from pave_emulator.clock import Clock
from pave_emulator.scenario.site import local_m
from pave_emulator.trace import Trace
from pave_gateway.config import Config
from pave_gateway.config_lora_ingress import SemtechUdpConfig
from simulation.virtual_gateway import EPOCH_MS

SERVER = ("127.0.0.1", 1700)  # of the simulated network
MASTS = ("00000000000000a1", "00000000000000a2")
MAST_M = 12.0  # the roof of a house of three floors, at the first and the last kiosk
BACKHAUL_S = 0.02


def positions_m(config: Config) -> dict[str, tuple[float, float]]:
    """East and north of the middle of the bays, by bay."""
    places = {bay.id: local_m(bay.lat, bay.lon) for bay in config.bay}
    east, north = _middle(config)
    return {name: (x - east, y - north) for name, (x, y) in places.items()}


def listening(config: Config) -> Config:
    """Return `config` with a network server for these concentrators."""
    server = SemtechUdpConfig(listen=f"{SERVER[0]}:{SERVER[1]}", gateways=MASTS)
    return config.model_copy(update={"semtech_udp": server})


class Masts:
    """The air and two concentrators on it; `concentrators` is what a scenario's outage is done to."""

    def __init__(self, config: Config, clock: Clock, trace: Trace, seed: int) -> None:
        self._clock = clock
        self.police = Police(trace)
        self.air = LoraAir(clock, seed, trace, police=self.police)
        self.concentrators: list[Concentrator] = []
        self._links: list[GatewayLink] = []
        for eui, (name, (east, north)) in zip(MASTS, _mast_places(config).items(), strict=True):
            concentrator = Concentrator(self.air, name, (east, north, MAST_M))
            forwarder = PacketForwarder(bytes.fromhex(eui), concentrator, trace, seed, EPOCH_MS / 1000)
            link = GatewayLink(forwarder, name, clock, Backhaul(SERVER, BACKHAUL_S), trace, seed)
            concentrator.on_uplink = link.uplink
            self.concentrators.append(concentrator)
            self._links.append(link)

    async def start(self) -> None:
        """Hear, and forward; the gateway need not be there yet."""
        for concentrator, link in zip(self.concentrators, self._links, strict=True):
            concentrator.start(self._clock.now_s())
            await link.open()

    def stop(self) -> None:
        """Close the forwarders' sockets."""
        for link in self._links:
            link.close()


def _mast_places(config: Config) -> Mapping[str, tuple[float, float]]:
    """Where the first and the last kiosk are; a site without any has its masts in the middle."""
    east, north = _middle(config)
    kiosks = [local_m(kiosk.lat, kiosk.lon) for kiosk in config.kiosk] or [(east, north)]
    return {f"mast-{n}": (x - east, y - north) for n, (x, y) in enumerate((kiosks[0], kiosks[-1]), 1)}


def _middle(config: Config) -> tuple[float, float]:
    places = [local_m(bay.lat, bay.lon) for bay in config.bay]
    return sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places)
