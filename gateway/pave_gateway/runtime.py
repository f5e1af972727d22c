"""Composition root: builds the gateway from its configuration, starts and stops it in an order that loses nothing.

    start: ports -> core -> sinks -> HTTP, control socket -> links to devices last, when all behind them is ready
    stop:  links first, so nothing new is admitted -> sinks catch up for a moment -> HTTP, control socket
           -> what waits is committed

Every part is made from constructor arguments, so that a test or the simulation can pass its own machine or committer
(also a deliberately wrong one, to prove that the harness sees the fault).
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from pave_gateway.api.app import Served, create_app
from pave_gateway.api.control import open_control
from pave_gateway.api.control_socket import ControlServer
from pave_gateway.api.events import EventHub
from pave_gateway.api.http_server import HttpServer
from pave_gateway.assembly.core import CommitterFactory
from pave_gateway.assembly.gateway import Gateway, Links, listen, open_gateway
from pave_gateway.assembly.machine import Machine, this_machine
from pave_gateway.assembly.state import State
from pave_gateway.config import Config, MqttConfig, parse_endpoint
from pave_gateway.config_lora_ingress import endpoint
from pave_gateway.core import limits, outgoing
from pave_gateway.log import LimitedLog
from pave_gateway.ports import FORWARDERS, tcp_listener, udp_port
from pave_gateway.sinks.engine import SinkEngine
from pave_gateway.sinks.mqtt import MqttSink
from pave_gateway.store.journal import Journal
from pave_gateway.store.threaded import ThreadedCommitter
from pave_gateway.waiting import with_room

_log = logging.getLogger(__name__)


def threaded(journal: Journal, config: Config, trusted_ms: Callable[[], int | None]) -> ThreadedCommitter:
    """Return the committer of production: a thread of its own."""
    return ThreadedCommitter(journal, interval_s=config.journal.commit_interval_ms / 1000, trusted_ms=trusted_ms)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a started gateway listens; ports are never 0."""

    coap: str
    http: str
    semtech_udp: str | None = None


class Runtime:
    """One gateway. `start` once, `stop` once; `gateway`, `sinks` and `links` are its parts, once it has started.

    `waits_for` says what a start that is not done is at.
    """

    gateway: Gateway
    sinks: list[SinkEngine]
    links: Links

    def __init__(
        self, config: Config, committer_factory: CommitterFactory = threaded, machine: Machine | None = None
    ) -> None:
        """`machine` None is this one."""
        self._config = config
        self._committer_factory = committer_factory
        self._machine = machine
        self._running: AsyncExitStack | None = None
        self.waits_for = "its ports"

    async def start(self) -> Addresses:
        """Start everything; return when devices can report.

        Raises:
            PortError, and what `open_gateway` and `listen` raise, OSError too: nothing is left running.
        """
        machine = self._machine or this_machine(self._config.clock.trusted)
        unexpected = LimitedLog(_log, lambda: machine.monotonic_ms() / 1000)
        asyncio.get_running_loop().set_exception_handler(partial(_unexpected, unexpected))
        coap_host, coap_port = parse_endpoint(self._config.listen.coap)
        http_host, http_port = parse_endpoint(self._config.listen.http)
        async with AsyncExitStack() as stack:
            coap_port = udp_port(coap_host, coap_port)
            if self._config.semtech_udp is not None:
                udp_port(*endpoint(self._config.semtech_udp.listen), key=FORWARDERS)
            listener = stack.enter_context(tcp_listener(http_host, http_port))
            self.waits_for = f"the disk with journal {self._config.journal.path}"
            open_ = partial(open_gateway, self._config, machine, self._committer_factory)
            gateway = self.gateway = await with_room(open_, stack, listener)
            self._config = gateway.core.config  # without the places, which are many
            engines = self.sinks = [_engine(gateway, sink) for sink in self._config.sink]
            for engine in engines:
                gateway.core.ingest.subscribe(engine.wake)
                gateway.core.clock.subscribe(engine.clock_changed)
            hub = EventHub(gateway.core.bays, lambda: gateway.core.now().ms)
            links: list[Links] = []  # they come up last
            state = State(gateway, engines, lambda: links[0] if links else None)
            control = open_control(gateway, state, self._config.journal.path)
            http = HttpServer(create_app(_served(gateway, state, hub)), listener)
            stack.push_async_callback(_close, http, control)
            stack.callback(hub.close)
            _start_sinks(engines, stack)
            self.waits_for = "its links to devices"
            self.links = await listen(gateway, coap_host, coap_port, stack)
            links.append(self.links)
            self._running = stack.pop_all()
        _say(self._config, gateway)
        lora = self.links.lora
        semtech_udp = None if lora is None or lora.address is None else _join(*lora.address)
        return Addresses(_join(coap_host, coap_port), _join(*listener.getsockname()[:2]), semtech_udp)

    async def stop(self) -> None:
        """Stop everything within some seconds; what was acknowledged is on disk."""
        if self._running is not None:
            await self._running.aclose()


async def _close(*servers: HttpServer | ControlServer) -> None:
    await asyncio.gather(*(server.close() for server in servers))


def _unexpected(log: LimitedLog, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what a callback raised, limited by its kind: bytes from the network can make a library do that."""
    error = context.get("exception")
    log.warning(f"callback {type(error).__name__}", f"{context['message']}: {error!r}")


def _engine(gateway: Gateway, config: MqttConfig) -> SinkEngine:
    core = gateway.core
    sink = MqttSink(core.config.site.id, config.host, config.port, config.version, config.topic)
    teller = outgoing.Teller(core.registry, core.bays, core.clock_log, core.now)
    cursor = core.reader.cursor(config.name)
    return SinkEngine(config.name, sink, core.reader, core.committer, cursor, core.machine.source, teller.tell)


def _served(gateway: Gateway, state: State, hub: EventHub) -> Served:
    config = gateway.core.config
    return Served(
        site_name=config.site.name,
        insecure=config.coap.insecure,
        places=list(gateway.core.registry.places.values()),
        bays=gateway.core.bays,
        state=state,
        hub=hub,
        clock_ms=lambda: gateway.core.now().ms,
    )


def _start_sinks(engines: list[SinkEngine], stack: AsyncExitStack) -> None:
    tasks = {engine: asyncio.create_task(engine.run(), name=f"sink {engine.name}") for engine in engines}
    stack.push_async_callback(_finish_sinks, tasks)


async def _finish_sinks(tasks: "dict[SinkEngine, asyncio.Task[None]]") -> None:
    await asyncio.gather(*(_finish(engine, task) for engine, task in tasks.items()))


async def _finish(engine: SinkEngine, task: "asyncio.Task[None]") -> None:
    """Give a healthy sink a moment to catch up; for one whose back-end is down the journal waits."""
    engine.finish()
    if not engine.failing:
        await asyncio.wait([task], timeout=limits.DRAIN_AT_STOP_S)
    while not task.done():  # before CPython 3.12 asyncio.wait_for, which aiomqtt is full of, could swallow it
        task.cancel()
        await asyncio.wait([task], timeout=limits.CANCEL_AGAIN_S)
    await asyncio.gather(task, return_exceptions=True)


def _say(config: Config, gateway: Gateway) -> None:
    core = gateway.core
    _log.info(
        "journal %s: log up to %d, %d places, %d devices with OSCORE keys; gateway ID %s",
        config.journal.path, core.bays.position, len(core.registry.places), len(core.contexts),
        core.registrar.keys.gateway_id.hex(),
    )  # fmt: skip


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
