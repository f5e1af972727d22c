"""LoRaWAN of a site: the built-in network server behind packet forwarders, or another's behind its MQTT broker."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pave_gateway.assembly.core import Core
from pave_gateway.config_lora_ingress import ChirpStackConfig, SemtechUdpConfig, ThingsStackConfig, endpoint
from pave_gateway.config_lorawan import LorawanConfig
from pave_gateway.core.lorawan.application import LorawanApplication
from pave_gateway.core.lorawan.rows import StoredLorawan
from pave_gateway.core.lorawan.server import Joined, NetworkServer, Notice
from pave_gateway.findings import Finding
from pave_gateway.ingress import (
    chirpstack_doctor,
    chirpstack_ingress,
    semtech_udp_health,
    things_stack_doctor,
    things_stack_ingress,
)
from pave_gateway.ingress.chirpstack_ingress import ChirpStackIngress
from pave_gateway.ingress.mqtt_ingress import Behind
from pave_gateway.ingress.semtech_udp_server import SemtechUdpServer
from pave_gateway.ingress.things_stack_ingress import ThingsStackIngress
from pave_gateway.log import LimitedLog
from pave_gateway.store.external_tables import read_external
from pave_gateway.store.lorawan_tables import read_lorawan

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lora:
    """What runs.

    Attributes:
        application: Has counters of payloads.
        forget: To be told of a device whose LoRaWAN keys are about to be others, have changed or are gone.
        findings: Returns what is wrong at the moment.
        counters: Returns all counters, by part.
        server: The built-in network server, None behind another's.
        address: Where packet forwarders reach it.
    """

    application: LorawanApplication
    forget: Callable[[str], None]
    findings: Callable[[], list[Finding]]
    counters: Callable[[], dict[str, object]]
    server: NetworkServer | None = None
    address: tuple[str, int] | None = None


async def open_lora(core: Core, stack: AsyncExitStack) -> Lora | None:
    """Serve what the site file names; None if it names nothing.

    Raises:
        OSError: the port of the packet forwarders cannot be had.
        SecretError: a password or key cannot be read.
    """
    config = core.config
    lorawan = config.lorawan or LorawanConfig()
    application = LorawanApplication(core.ingest, core.committer, core.resources, lorawan.heartbeats_per_ack)
    if config.semtech_udp is not None:
        return await _own(core, config.semtech_udp, lorawan, application, stack)
    if config.chirpstack is not None:
        return await _chirpstack(core, config.chirpstack, application, stack)
    if config.things_stack is not None:
        return await _things_stack(core, config.things_stack, application, stack)
    return None


async def _own(
    core: Core,
    config: SemtechUdpConfig,
    lorawan: LorawanConfig,
    application: LorawanApplication,
    stack: AsyncExitStack,
) -> Lora:
    machine = core.machine
    udp = SemtechUdpServer(config.allowed, machine.source, LimitedLog(_log, _seconds(core)))
    server = NetworkServer(
        lorawan.settings(len(core.registry.places)),
        udp.monotonic_ms,
        core.clock,
        core.reader.era,
        machine.source,
        core.registrar.keyring,
        core.registrar.keys,
        core.committer,
        application,
        udp.transmit,
        _tell,
    )
    server.restore(core.reader.read(read_lorawan), udp.monotonic_ms())
    stack.callback(server.close)
    address = await udp.open(server, *endpoint(config.listen))
    stack.callback(udp.close)
    return Lora(
        application,
        server.forget,
        lambda: semtech_udp_health.findings(udp.front.peers, udp.monotonic_ms()),
        lambda: {"application": application.counters, "network": server.counters, "semtech_udp": udp.front.counters},
        server,
        address,
    )


async def _chirpstack(
    core: Core, config: ChirpStackConfig, application: LorawanApplication, stack: AsyncExitStack
) -> Lora:
    settings = chirpstack_ingress.settings_of(config)
    ingress = ChirpStackIngress(settings, config.application, _behind(core, application))
    return _external(core, ingress, application, lambda: chirpstack_doctor.findings(ingress), stack)


async def _things_stack(
    core: Core, config: ThingsStackConfig, application: LorawanApplication, stack: AsyncExitStack
) -> Lora:
    settings = things_stack_ingress.settings_of(config, core.config.site.id)
    storage = things_stack_ingress.storage_of(config)
    ingress = ThingsStackIngress(settings, config.uid, storage, _behind(core, application))
    return _external(core, ingress, application, lambda: things_stack_doctor.findings(ingress), stack)


def _external(
    core: Core,
    ingress: ChirpStackIngress | ThingsStackIngress,
    application: LorawanApplication,
    findings: Callable[[], list[Finding]],
    stack: AsyncExitStack,
) -> Lora:
    """Let an ingress take up where it stood, and run."""
    stored: StoredLorawan = core.reader.read(read_lorawan)
    application.restore(stored.devices)
    ingress.uplinks.restore(core.reader.read(read_external))
    ingress.links.restore({device.device: device.link for device in stored.devices})
    ingress.start()
    stack.push_async_callback(ingress.close)
    counters: dict[str, object] = {
        "application": application.counters,
        "uplinks": ingress.uplinks.counters,
        "downlinks": ingress.downlinks.counters,
        "messages": ingress.counters,
    }
    return Lora(application, _nothing, findings, lambda: counters)


def _behind(core: Core, application: LorawanApplication) -> Behind:
    log = LimitedLog(_log, _seconds(core))
    return Behind(application, core.committer, core.ingest.knows, core.clock, core.machine.source, log)


def _seconds(core: Core) -> Callable[[], float]:
    return lambda: core.machine.monotonic_ms() / 1000


def _tell(notice: Notice) -> None:
    if isinstance(notice, Joined):
        _log.info("device %s has joined as %08x", notice.device, notice.dev_addr)


def _nothing(device: str) -> None:
    del device
