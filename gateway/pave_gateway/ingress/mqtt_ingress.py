"""What the ingresses of other network servers are made of; each adds how its server's messages are read and written."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from pave_gateway.core.committer import Committer
from pave_gateway.core.lorawan.ports import Clock
from pave_gateway.ingress.mqtt_client import Incoming, MqttSubscriber
from pave_gateway.ingress.mqtt_connection import BrokerSettings
from pave_gateway.ingress.mqtt_downlinks import Downlinks, Order
from pave_gateway.ingress.mqtt_links import ExternalLinks
from pave_gateway.ingress.mqtt_uplinks import Application, ExternalUplinks
from pave_gateway.log import LimitedLog

_CANCEL_S = 0.5


@dataclass(frozen=True, slots=True)
class Behind:
    """The gateway behind an ingress.

    Attributes:
        application: Takes the payloads.
        committer: Of the journal.
        knows: Whether a device is of this site.
        clock: The site's.
        source: Draws names and back-offs.
        log: For what others can cause.
    """

    application: Application
    committer: Committer
    knows: Callable[[str], bool]
    clock: Clock
    source: random.Random
    log: LimitedLog


class ExternalIngress(ABC):
    """Made on the running loop. `uplinks.restore` and `links.restore` come before `start`.

    Attributes:
        settings: The broker.
        subscriber: Has the state of the connection.
        uplinks: Frames, and their counters.
        downlinks: What waits at the server, and its counters.
        links: What links are like.
    """

    def __init__(self, settings: BrokerSettings, topics: Sequence[str], behind: Behind, can_replace: bool) -> None:
        """`can_replace` as of `Downlinks`."""
        self._loop = asyncio.get_running_loop()
        self._behind = behind
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self.settings = settings
        self.links = ExternalLinks(behind.committer, self.later)
        self.downlinks = Downlinks(self.order, self.name, can_replace)
        self.uplinks = ExternalUplinks(
            behind.application,
            self.downlinks,
            self.links,
            behind.knows,
            behind.clock,
            self.monotonic_ms,
            self.later,
            self.missed,
        )
        self.subscriber = MqttSubscriber(settings, topics, self.receive, behind.source, behind.log, self.connected)

    def start(self) -> None:
        """Connect, and stay connected."""
        self.run(self.subscriber.run())

    async def close(self) -> None:
        """Take nothing new. To be called before the committer is closed, which still settles what it has."""
        self._closed = True
        running = set(self._tasks)
        while running:  # before CPython 3.12 asyncio.wait_for, which aiomqtt is full of, could swallow a cancellation
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=_CANCEL_S)
        self.links.write()

    @abstractmethod
    def receive(self, message: Incoming, settle: Callable[[], None]) -> None:
        """Take a message; `settle` once it need not come again."""

    @abstractmethod
    def order(self, order: Order) -> bool:
        """Hand a message for a device to the server; return False where that cannot be."""

    @abstractmethod
    def name(self) -> str:
        """Return a new name for a message."""

    @abstractmethod
    def connected(self) -> None:
        """Hear of a connection."""

    @abstractmethod
    def missed(self, device: str, since_ms: int) -> None:
        """Hear of a gap in the frames of a device; the one before it was received at `since_ms`."""

    def monotonic_ms(self) -> int:
        """Return the time by the loop's clock."""
        return int(self._loop.time() * 1000)

    def later(self, delay_ms: int, act: Callable[[], None]) -> None:
        """Call `act` after a while, unless all is over by then."""
        self._loop.call_later(delay_ms / 1000, lambda: None if self._closed else act())

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task until `close`."""
        self._tasks.append(asyncio.create_task(work))
