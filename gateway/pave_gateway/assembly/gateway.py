"""A site's gateway without its faces to the city: the core, its links to devices, and its upkeep.

open_gateway     the core, what follows the registry, the records folder read
listen           CoAP, and LoRaWAN where the site file has it: last, when all behind it is ready
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pave_gateway.assembly.core import CommitterFactory, Core, open_core
from pave_gateway.assembly.follow import Follower, restore_silence
from pave_gateway.assembly.lora import Lora, open_lora
from pave_gateway.assembly.machine import Machine
from pave_gateway.assembly.records import RecordsFolder, write_public_file
from pave_gateway.assembly.rotation import KeyRotation
from pave_gateway.assembly.upkeep import Upkeep
from pave_gateway.config import Config
from pave_gateway.core import limits
from pave_gateway.core.rows import StoredReading
from pave_gateway.core.silence import Silence
from pave_gateway.ingress import coap_site
from pave_gateway.ingress.coap_asking import Asking
from pave_gateway.ingress.coap_device_resources import add_availability, add_shadow
from pave_gateway.ingress.coap_resources import Site
from pave_gateway.ingress.coap_site import CoapParts, CoapServer
from pave_gateway.log import LimitedLog
from pave_wire.hello import Hello

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gateway:
    """See above; `open_gateway` makes it."""

    core: Core
    silence: Silence
    upkeep: Upkeep
    follower: Follower
    records: RecordsFolder
    rotation: KeyRotation


@dataclass(frozen=True, slots=True)
class Links:
    """The ways in. `lora` is None where the site file has none."""

    coap: CoapServer
    lora: Lora | None


async def open_gateway(
    config: Config, machine: Machine, committer_factory: CommitterFactory, stack: AsyncExitStack
) -> Gateway:
    """Build it; `stack` closes it.

    Raises:
        JournalError, KeyFileError, KeyringError, SiteConflictError: the message says why and what to do.
    """
    core = await open_core(config, machine, committer_factory, stack)
    silence = Silence(machine.monotonic_ms())
    upkeep = Upkeep(core, silence)
    follower = Follower(core, silence)
    restore_silence(core, silence)
    write_public_file(core, config.registry.public_path(config.journal.path))
    records = RecordsFolder(core, config.registry.records_path(config.journal.path))
    await records.read()
    stack.push_async_callback(records.close)

    def stored(readings: Sequence[StoredReading]) -> None:
        upkeep.heard(readings[0].row.device)

    core.ingest.subscribe(stored)
    core.shadows.subscribe_reports(upkeep.heard)
    core.ingest.subscribe_unknown(upkeep.refused)
    rotation = KeyRotation(core)
    stack.push_async_callback(rotation.close)
    return Gateway(core, silence, upkeep, follower, records, rotation)


async def listen(gateway: Gateway, host: str, port: int, stack: AsyncExitStack) -> Links:
    """Open every link to devices, CoAP on `host`:`port`, and begin the upkeep.

    Raises:
        OSError: a port cannot be had.
        SecretError: a password for another network server's broker cannot be read.
    """
    lora = await open_lora(gateway.core, stack)
    if lora is not None:
        gateway.follower.on_left(lora.forget)
        if lora.server is not None:
            gateway.rotation.subscribe_sessions(lora.server.sessions.resealed)
    coap = await _serve_coap(gateway, host, port, stack)
    upkeep = asyncio.create_task(_upkeep(gateway), name="upkeep")
    stack.push_async_callback(_cancel, upkeep)
    gateway.rotation.go_on()
    return Links(coap, lora)


async def _serve_coap(gateway: Gateway, host: str, port: int, stack: AsyncExitStack) -> CoapServer:
    core = gateway.core
    loop = asyncio.get_running_loop()
    site = Site()
    asking = Asking(core.resources, core.committer, core.now)
    add_availability(site, core.bays, core.committer.submit, core.registry.place_of)

    def said(device: str, _hello: Hello) -> None:
        gateway.upkeep.heard(device)
        asking.reachable(device)

    observed = add_shadow(site, core.resources, core.now, core.committer.submit, said)
    core.shadows.subscribe(observed.changed_for)
    parts = CoapParts(
        contexts=core.contexts,
        ingest=core.ingest,
        committer=core.committer,
        site=site,
        now=core.now,
        monotonic=loop.time,
        random_below=core.machine.source.randrange,
        insecure=core.config.coap.insecure,
        reservation=core.reader.reservation,
    )
    server = await coap_site.start(host, port, parts)
    stack.push_async_callback(server.close)
    asking.begin(server)
    stack.push_async_callback(asking.close)
    core.commands.subscribe(asking.reachable)
    core.ingest.subscribe(lambda readings: asking.reachable(readings[0].row.device))
    return server


async def _upkeep(gateway: Gateway) -> None:
    limited = LimitedLog(_log, asyncio.get_running_loop().time)
    while True:
        try:
            gateway.upkeep.look()
            gateway.records.look()
        except Exception:  # a defect, or a journal that cannot be read: the clock has to be looked at all the same
            limited.warning("upkeep", "the upkeep failed", exc_info=True)
        await asyncio.sleep(limits.UPKEEP_S)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
