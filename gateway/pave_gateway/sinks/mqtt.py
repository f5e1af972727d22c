"""MQTT 5 (or 3.1.1) with QoS 1: one message per reading, each accepted only by its PUBACK; many topics in flight.

aiomqtt connects and runs paho on the event loop. Two things it does not do matter here, so `_Client` adds them: it
looks at the reason code of a PUBACK (an MQTT 5 broker refuses with one), and it fails what is in flight as soon as
the connection is gone.

Order: PUBLISH packets leave in the order of the log, one in flight per topic, because a broker may refuse a message
and accept the next. At the first that is to be retried the batch ends: what is in flight or not yet sent is sent again
from the cursor, later. PUBACKs come in the order of the PUBLISH packets (MQTT 5, 4.6), so nothing before it waits for
one. The newest state of a bay is retained on its topic: not an older one that came late, nor one of a device that was
replaced, which are history.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import aiomqtt
from aiomqtt.client import ProtocolVersion
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pave_gateway.core import limits
from pave_gateway.core.outgoing import Outgoing
from pave_gateway.sinks import document
from pave_gateway.sinks.sink import Delivered, Rejected, Retry, Verdict

# PUBACK reason codes (MQTT 5, table 3-4) that say this message will never do: topic name invalid, payload format
# invalid.
_REJECTED_FOR_GOOD = (0x90, 0x99)
_UNSUPPORTED_VERSION = (0x01, 0x84)  # CONNACK: return code of 3.1.1 (table 3.1), reason code of 5 (table 3-1)

_Publication = tuple[str, Callable[[], Coroutine[Any, Any, Verdict]]]  # topic, what publishes to it


class MqttSink:
    """See `sink.Sink`."""

    def __init__(self, site: str, host: str, port: int, version: str, topic: str) -> None:
        """`version` is "5" or "3.1.1"; `topic` a template with {site}, {kind}, {place}, {device}, {class}."""
        self._site = site
        self._host = host
        self._port = port
        self._version = version
        self._topic = topic
        self._client: _Client | None = None

    async def deliver(self, batch: Sequence[Outgoing]) -> list[Verdict]:
        """Publish `batch` and wait for every PUBACK or the first failure; connects when there is no connection."""
        try:
            client = self._client = self._client or await self._connect()
        except aiomqtt.MqttError as error:
            return [Retry(self._explain(error))] * len(batch)
        delivery = _Delivery(client.max_in_flight)
        try:
            await delivery.run(self._publications(client, batch))
        finally:
            await delivery.end()
        verdicts = delivery.verdicts(len(batch))
        if any(isinstance(verdict, Retry) for verdict in verdicts):
            await self.close()
        return verdicts

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            try:
                await client.__aexit__(None, None, None)
            except aiomqtt.MqttError:  # it was gone already
                pass

    async def _connect(self) -> "_Client":
        client = _Client(self._host, self._port, self._version)
        try:
            await client.__aenter__()
        except BaseException:
            client.abandon()
            raise
        return client

    def _publications(self, client: "_Client", batch: Sequence[Outgoing]) -> Iterator[_Publication]:
        for outgoing in batch:
            topic, payload = self.message(outgoing)
            yield topic, functools.partial(self._publish, client, topic, payload, outgoing)

    async def _publish(self, client: "_Client", topic: str, payload: bytes, outgoing: Outgoing) -> Verdict:
        retain, identity = outgoing.is_newest_state, outgoing.row.identity
        try:
            code = await client.publish_confirmed(topic, payload, retain, identity)
        except aiomqtt.MqttError as error:
            return Retry(self._explain(error))
        if code is None or not code.is_failure:
            return Delivered()
        reason = f"the broker answered {code} (0x{code.value:02x}) to {topic}"
        return Rejected(reason) if code.value in _REJECTED_FOR_GOOD else Retry(reason)

    def message(self, outgoing: Outgoing) -> tuple[str, bytes]:
        """Return the topic and the JSON of a reading."""
        row = outgoing.row
        topic = self._topic.format_map(
            {
                "site": self._site,
                "kind": outgoing.kind,
                "place": outgoing.place_id,
                "device": row.device,
                "class": row.reading_class,
            }
        )
        return topic, document.to_json(document.of(outgoing, self._site))

    def _explain(self, error: Exception) -> str:
        where = f"MQTT {self._version} broker {self._host}:{self._port}"
        code = getattr(error, "rc", None)
        if getattr(code, "value", code) in _UNSUPPORTED_VERSION:
            other = "3.1.1" if self._version == "5" else "5"
            return f'{where} does not speak MQTT {self._version}; set version = "{other}" in this sink'
        return f"{where}: {error}"


class _Delivery:
    """One batch: starts publications in order, one at a time per topic, until one is to be retried."""

    def __init__(self, max_in_flight: int) -> None:
        self._slots = asyncio.Semaphore(max_in_flight)
        self._failed: asyncio.Future[Retry] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[Verdict]] = []
        self._newest: dict[str, asyncio.Task[Verdict]] = {}  # topic: its last publication

    async def run(self, publications: Iterator[_Publication]) -> None:
        """Return when all are confirmed, or as soon as one has failed."""
        starting = asyncio.ensure_future(self._start(publications))
        try:
            await asyncio.wait([starting, self._failed], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)

    async def end(self) -> None:
        """Wait for nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def verdicts(self, count: int) -> list[Verdict]:
        """Return a verdict for each of `count` publications; what was not confirmed is to be retried."""
        settled = [None if task.cancelled() else task.result() for task in self._tasks]
        settled += [None] * (count - len(settled))
        return [self._failed.result() if verdict is None else verdict for verdict in settled]

    async def _start(self, publications: Iterator[_Publication]) -> None:
        for topic, publish in publications:
            if topic in self._newest:
                await asyncio.wait([self._newest[topic]])
            await self._slots.acquire()
            if self._failed.done():
                return
            task = self._newest[topic] = asyncio.ensure_future(self._settle(publish))
            self._tasks.append(task)
        await asyncio.gather(*self._tasks)

    async def _settle(self, publish: Callable[[], Coroutine[Any, Any, Verdict]]) -> Verdict:
        try:
            verdict = await publish()
        finally:
            self._slots.release()
        if isinstance(verdict, Retry) and not self._failed.done():
            self._failed.set_result(verdict)
        return verdict


class _Client(aiomqtt.Client):
    """One connection: `async with` of aiomqtt, and `publish_confirmed`."""

    def __init__(self, host: str, port: int, version: str) -> None:
        self.is_v5 = version == "5"
        super().__init__(
            host,
            port,
            protocol=ProtocolVersion.V5 if self.is_v5 else ProtocolVersion.V311,
            timeout=limits.MQTT_TIMEOUT_S,
            keepalive=limits.MQTT_KEEPALIVE_S,
            max_inflight_messages=limits.MQTT_IN_FLIGHT,
        )
        self.max_in_flight = limits.MQTT_IN_FLIGHT
        self._confirmations: dict[int, asyncio.Future[ReasonCode | None]] = {}
        self._disconnected.add_done_callback(lambda _: self._fail_all())

    async def publish_confirmed(self, topic: str, payload: bytes, retain: bool, identity: str) -> ReasonCode | None:
        """Publish with QoS 1 and return the reason code of the PUBACK (None from a 3.1.1 broker).

        Raises:
            aiomqtt.MqttError: no PUBACK in time, or no connection.
        """
        if self._disconnected.done():
            raise aiomqtt.MqttError("disconnected")
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=self._properties_of(identity))
        if info.rc != MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "could not publish")
        confirmation: asyncio.Future[ReasonCode | None] = asyncio.get_running_loop().create_future()
        self._confirmations[info.mid] = confirmation
        try:
            return await self._wait_for(confirmation, timeout=None)
        finally:
            self._confirmations.pop(info.mid, None)

    def abandon(self) -> None:
        """Close the socket of a connection that the broker has not confirmed; aiomqtt leaves it open."""
        self._client.disconnect()

    def _properties_of(self, identity: str) -> Properties | None:
        if not self.is_v5:
            return None
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = [("id", identity)]
        properties.ContentType = "application/json"
        properties.PayloadFormatIndicator = 1
        return properties

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        receive_maximum = getattr(properties, "ReceiveMaximum", limits.MQTT_IN_FLIGHT)
        self.max_in_flight = min(limits.MQTT_IN_FLIGHT, receive_maximum)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        confirmation = self._confirmations.pop(mid, None)
        if confirmation is not None and not confirmation.done():
            confirmation.set_result(reason_code if self.is_v5 else None)

    def _fail_all(self) -> None:
        if not self._disconnected.cancelled():
            self._disconnected.exception()  # taken note of: every publication hears of it below
        for confirmation in self._confirmations.values():
            if not confirmation.done():
                confirmation.set_exception(aiomqtt.MqttError("the connection was lost"))
