"""A subscription whose messages are acknowledged only when they are on disk: MQTT 5 or 3.1.1 with a session that lasts.

    CONNECT: our client id, session kept -> SUBSCRIBE, QoS 1 -> PUBLISH ... -> `receive(message, settle)`
    `settle()`, once what the message brought is durable -> PUBACK

The broker keeps what it has no PUBACK for, and what arrives while the gateway is away, in the session of that client
id. One connection's messages mean nothing to the next, which gets again what was not acknowledged; `settle` then does
nothing. `mqtt_connection` has the connection itself.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiomqtt

from pave_gateway.core import limits
from pave_gateway.ingress.mqtt_connection import BrokerSettings, Connection
from pave_gateway.log import LimitedLog
from pave_gateway.sinks.engine import Backoff

_log = logging.getLogger(__name__)

_TAKEN_OVER = 0x8E  # DISCONNECT reason code (MQTT 5, table 3-10): another client has our id
_UNSPECIFIED = 0x80  # what paho makes of a connection that is cut
_TOO_OFTEN = 3


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message: `redelivered` where the broker has sent it before."""

    topic: str
    payload: bytes
    qos: int
    redelivered: bool


@dataclass(slots=True)
class BrokerStatus:
    """How the subscription is doing.

    Attributes:
        connected: Subscribed.
        connections: Since the start.
        session_present: Whether the broker had our session at the last connection; None before it.
        session_s: For how long it keeps it, as it says itself; None where it does not.
        granted: QoS that it granted at the last connection, by topic.
        error: Why the last connection ended or failed, "" while there is one.
        received: Messages.
        unprotected: Of these, those that were published with QoS 0.
        redelivered: Of these, those sent before.
        too_long: Messages left out.
        failed: Messages that our own code failed on.
        short: Connections in a row that were lost within `limits.MQTT_STABLE_S`.
    """

    connected: bool = False
    connections: int = 0
    session_present: bool | None = None
    session_s: int | None = None
    granted: tuple[tuple[str, int], ...] = ()
    error: str = ""
    received: int = 0
    unprotected: int = 0
    redelivered: int = 0
    too_long: int = 0
    failed: int = 0
    short: int = 0


Receive = Callable[[Incoming, Callable[[], None]], None]


class MqttSubscriber:
    """See above. `run` it as a task, cancel it to stop."""

    def __init__(
        self,
        settings: BrokerSettings,
        topics: Sequence[str],
        receive: Receive,
        source: random.Random,
        log: LimitedLog,
        connected: Callable[[], None] = lambda: None,
    ) -> None:
        """`receive` takes the messages, `connected` is called at each connection, `source` draws the back-offs."""
        self._settings = settings
        self._topics = topics
        self._receive = receive
        self._backoff = Backoff(source)
        self._log = log
        self._connected = connected
        self._connection: Connection | None = None
        self.status = BrokerStatus()

    async def run(self) -> None:
        """Be subscribed, until cancelled."""
        while True:
            try:
                await self._stay_connected()
            except (aiomqtt.MqttError, OSError) as error:
                self._failed(error)
            finally:
                self.status.connected = False
                self._connection = None
            await asyncio.sleep(self._backoff.next_s())

    def publish(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 0; return False where it cannot go out now. What is lost on the way is made anew anyway."""
        return self._connection is not None and self._connection.send(topic, payload)

    async def _stay_connected(self) -> None:
        connection = self._connection = Connection(
            self._settings, self._taken
        )  # a kept session brings messages at once
        try:
            await connection.__aenter__()
        except BaseException:
            connection.abandon()
            raise
        try:
            self.status.session_present = connection.session_present
            self.status.session_s = connection.session_s
            self.status.granted = await connection.subscribe_all(self._topics)
            self.status.connected, self.status.error = True, ""
            self.status.connections += 1
            _log.debug("%r: subscribed%s", self._settings, ", session resumed" if connection.session_present else "")
            self._connected()
            await self._while_connected(connection)
        finally:
            await connection.leave()

    async def _while_connected(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        try:
            await connection.until_lost()
        finally:
            if loop.time() - begun_s < limits.MQTT_STABLE_S:
                self.status.short += 1
            else:
                self.status.short = self._backoff.failures = 0

    def _failed(self, error: Exception) -> None:
        self.status.error = self._explain(error)
        self._log.warning(f"mqtt {self._settings!r}", f"{self._settings!r}: {self.status.error}; trying again")

    def _explain(self, error: Exception) -> str:
        code = getattr(error, "rc", None)
        code = getattr(code, "value", code)
        if code == _TAKEN_OVER or self.status.short >= _TOO_OFTEN:
            name = self._settings.client_id
            return f"another client seems to have the id {name}; give each gateway a client_id of its own"
        return "the connection was lost" if code == _UNSPECIFIED else str(error) or repr(error)

    def _taken(self, message: Any, settle: Callable[[], None]) -> None:
        """Hand a message on. What our own code fails on is settled: it would fail for ever, and keep all else back."""
        status = self.status
        status.received += 1
        status.unprotected += message.qos == 0
        status.redelivered += bool(message.dup)
        try:
            if len(message.payload) > limits.MQTT_INGRESS_BYTES:
                status.too_long += 1
                settle()
                return
            self._receive(Incoming(message.topic, message.payload, message.qos, bool(message.dup)), settle)
        except Exception:
            status.failed += 1
            _log.exception("%r: unexpected failure on a message", self._settings)
            settle()
