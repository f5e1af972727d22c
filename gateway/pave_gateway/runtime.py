"""Composition root: builds the gateway from its configuration, starts and stops it in an order that loses nothing.

    start: ports -> journal -> bays rebuilt from the log -> sinks -> HTTP -> CoAP last, when all behind it is ready
    stop:  CoAP first, so nothing new is admitted -> sinks catch up for a moment -> HTTP
           -> what waits is committed

Every part is made from constructor arguments, so that a test or the simulation can pass its own clock, random source
or committer (also a deliberately wrong one, to prove that the harness sees the fault).
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import Any

from pave_gateway.api.app import Served, create_app
from pave_gateway.api.events import EventHub
from pave_gateway.api.http_server import HttpServer
from pave_gateway.config import Config, MqttConfig, parse_endpoint
from pave_gateway.core import limits
from pave_gateway.core.bays import Bays
from pave_gateway.core.committer import Committer
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.places import Place
from pave_gateway.ingress import coap_server
from pave_gateway.log import LimitedLog
from pave_gateway.ports import tcp_listener, udp_port
from pave_gateway.sinks.engine import SinkEngine
from pave_gateway.sinks.mqtt import MqttSink
from pave_gateway.store.journal import Journal, JournalReader
from pave_gateway.store.threaded import ThreadedCommitter

_log = logging.getLogger(__name__)


def wall_clock_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a started gateway listens; ports are never 0."""

    coap: str
    http: str


class Runtime:
    """One gateway. `start` once, `stop` once."""

    def __init__(
        self,
        config: Config,
        committer_factory: Callable[[Journal], Committer] = ThreadedCommitter,
        clock_ms: Callable[[], int] = wall_clock_ms,
        monotonic: Callable[[], float] = time.monotonic,
        source: random.Random | None = None,
    ) -> None:
        """`source` is the random source of the back-offs."""
        self._config = config
        self._committer_factory = committer_factory
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        self._random = source or random.Random()
        self._limited = LimitedLog(_log, monotonic)
        self._coap: coap_server.CoapServer | None = None  # the last to come up

    async def start(self) -> Addresses:
        """Start everything; return when devices can report.

        Raises:
            PortError, JournalError, coap_server.InsecureError: nothing is left running.
        """
        coap_host, coap_port = parse_endpoint(self._config.listen.coap)
        http_host, http_port = parse_endpoint(self._config.listen.http)
        asyncio.get_running_loop().set_exception_handler(self._unexpected)
        coap_server.check_security(coap_host, self._config.coap.insecure)
        async with AsyncExitStack() as stack:
            coap_port = udp_port(coap_host, coap_port)
            listener = stack.enter_context(tcp_listener(http_host, http_port))
            http_port = listener.getsockname()[1]
            self._build(stack)
            http = HttpServer(create_app(self._served()), listener)
            stack.push_async_callback(http.close)
            stack.callback(self._hub.close)
            self._start_sinks(stack)
            self._coap = await coap_server.start(
                coap_host, coap_port, self._ingest, self._bays, self._clock_ms, self._monotonic
            )
            stack.push_async_callback(self._coap.close)
            self._running = stack.pop_all()
        return Addresses(_join(coap_host, coap_port), _join(http_host, http_port))

    def _unexpected(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what a callback raised, limited by its kind: bytes from the network can make a library do that."""
        error = context.get("exception")
        self._limited.warning(f"callback {type(error).__name__}", f"{context['message']}: {error!r}")

    async def stop(self) -> None:
        """Stop everything within some seconds; what was acknowledged is on disk."""
        await self._running.aclose()

    def _build(self, stack: AsyncExitStack) -> None:
        """Make the parts; `stack` closes them in reverse."""
        places = self._config.places()
        by_device = {place.device: place for place in places}
        committer = self._committer_factory(Journal(self._config.journal.path))
        stack.push_async_callback(committer.close, limits.COMMIT_WAIT_AT_STOP_S)
        self._reader = stack.enter_context(closing(JournalReader(self._config.journal.path)))
        self._bays = Bays(places)
        self._engines = [self._engine(sink, by_device, committer) for sink in self._config.sink]
        self._replay()
        listeners = [*(engine.wake for engine in self._engines), self._bays.apply]
        self._ingest = Ingest(by_device, committer, listeners)
        self._hub = EventHub(self._bays, self._clock_ms)
        _log.info("journal %s: %d readings, %d devices", self._config.journal.path, self._bays.position, len(places))

    def _replay(self) -> None:
        """Give the bays and the sinks the state they had when the log ended."""
        for batch in self._reader.all():
            self._bays.apply(batch)
            for engine in self._engines:
                engine.replay(batch)

    def _engine(self, sink: MqttConfig, by_device: dict[str, Place], committer: Committer) -> SinkEngine:
        mqtt = MqttSink(self._config.site.id, by_device, sink.host, sink.port, sink.version, sink.topic)
        cursor = self._reader.cursor(sink.name)
        return SinkEngine(sink.name, mqtt, self._reader, committer, cursor, self._random)

    def _served(self) -> Served:
        return Served(
            site_id=self._config.site.id,
            site_name=self._config.site.name,
            insecure=self._config.coap.insecure,
            places=self._config.places(),
            bays=self._bays,
            ingest=self._ingest,
            journal=self._reader,
            sinks=self._engines,
            hub=self._hub,
            clock_ms=self._clock_ms,
            coap_answers=lambda: self._coap.answers if self._coap else {},
        )

    def _start_sinks(self, stack: AsyncExitStack) -> None:
        tasks = {engine: asyncio.create_task(engine.run(), name=f"sink {engine.name}") for engine in self._engines}
        stack.push_async_callback(_finish_sinks, tasks)


async def _finish_sinks(tasks: "dict[SinkEngine, asyncio.Task[None]]") -> None:
    await asyncio.gather(*(_finish(engine, task) for engine, task in tasks.items()))


async def _finish(engine: SinkEngine, task: "asyncio.Task[None]") -> None:
    """Give a healthy sink a moment to catch up; for one whose back-end is down the journal waits."""
    engine.finish()
    if not engine.failing:
        await asyncio.wait([task], timeout=limits.DRAIN_AT_STOP_S)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
