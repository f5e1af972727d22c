"""One connection to a broker, with the acknowledgement of messages in our own hands.

aiomqtt connects and runs paho on the event loop. paho can leave the PUBACK to its owner (`manual_ack_set`), which
aiomqtt does not offer, so `Connection` reaches for it. PUBACKs leave in the order in which the messages came, as MQTT
asks (5, 4.6): a message that is settled waits for those before it. When too much waits for the disk the socket is not
read, and the broker waits.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiomqtt
from aiomqtt.client import ProtocolVersion
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pave_gateway.core import limits

_REFUSED = 0x80  # SUBACK return codes from here on (3.1.1, 3.9.3; 5, table 3-8)


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """A broker, and who we are to it.

    Attributes:
        host: Name or address.
        port: TCP.
        version: "5" or "3.1.1".
        client_id: Names the session.
        qos: Of the subscriptions: 1, or 0 for a server that has nothing else.
        session_s: For how long the broker is to keep the session (MQTT 5); 0 for none at all.
        tls: Whether the connection is encrypted and the broker's certificate checked.
        ca_file: Certificates to trust in place of the system's.
        username: None for none.
        password: Never logged.
    """

    host: str
    port: int
    version: str
    client_id: str
    qos: int = 1
    session_s: int = 0
    tls: bool = False
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"MQTT {self.version} broker {self.host}:{self.port} as {self.client_id}"


class Connection(aiomqtt.Client):
    """`async with` of aiomqtt, and what it lacks.

    Attributes:
        session_present: The broker had the session.
        session_s: For how long it keeps it, as it says itself (MQTT 5); None where it does not.
    """

    def __init__(self, settings: BrokerSettings, taken: Callable[[Any, Callable[[], None]], None]) -> None:
        """`taken(message, settle)` is given paho's messages; raises OSError where `ca_file` is of no use."""
        is_v5 = settings.version == "5"
        super().__init__(
            settings.host,
            settings.port,
            username=settings.username,
            password=settings.password,
            identifier=settings.client_id,
            protocol=ProtocolVersion.V5 if is_v5 else ProtocolVersion.V311,
            clean_session=None if is_v5 else settings.session_s == 0,
            clean_start=settings.session_s == 0 if is_v5 else MQTT_CLEAN_START_FIRST_ONLY,  # 3.1.1 has no other
            properties=_connect_properties(settings) if is_v5 else None,
            timeout=limits.MQTT_TIMEOUT_S,
            keepalive=limits.MQTT_KEEPALIVE_S,
            tls_context=_tls(settings) if settings.tls else None,
        )
        self._qos = settings.qos
        self._taken = taken
        self._unsettled: deque[tuple[int, int, list[bool]]] = deque()  # (message id, QoS, [is settled])
        self._paused = False
        self.session_present = False
        self.session_s: int | None = None
        self._client.manual_ack_set(True)

    async def subscribe_all(self, topics: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """Subscribe; return what was granted. Raises aiomqtt.MqttError where a topic is refused."""
        if not topics:
            return ()
        codes = await self.subscribe([(topic, self._qos) for topic in topics])
        granted = tuple(zip(topics, (_number(code) for code in codes), strict=True))
        for topic, code in granted:
            if code >= _REFUSED:
                raise aiomqtt.MqttError(f"the broker refuses a subscription to {topic} (0x{code:02x}); allow it there")
        return granted

    async def until_lost(self) -> None:
        """Return when the connection is gone; raises aiomqtt.MqttError when it did not end by itself."""
        await asyncio.wait([self._disconnected])
        error = self._disconnected.exception()
        if error is not None:
            raise error

    async def leave(self) -> None:
        """Disconnect; the session stays."""
        try:
            await self.__aexit__(None, None, None)
        except aiomqtt.MqttError:  # it was gone already
            pass

    def abandon(self) -> None:
        """Close the socket of a connection that the broker has not confirmed; aiomqtt leaves it open."""
        self._client.disconnect()

    def send(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 0; return False where there is no connection, or the broker does not read."""
        waiting = len(cast("Any", self._client)._out_packet)
        if self._disconnected.done() or waiting >= limits.MQTT_UNSETTLED:
            return False
        return self._client.publish(topic, payload, 0).rc == MQTT_ERR_SUCCESS

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        self.session_present = bool(flags.session_present)
        self.session_s = getattr(properties, "SessionExpiryInterval", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        settled = [False]
        self._unsettled.append((message.mid, message.qos, settled))

        def settle() -> None:
            settled[0] = True
            self._acknowledge()

        self._taken(message, settle)
        if len(self._unsettled) >= limits.MQTT_UNSETTLED:
            self._pause()

    def _acknowledge(self) -> None:
        while self._unsettled and self._unsettled[0][2][0]:
            mid, qos, _ = self._unsettled.popleft()
            if qos and not self._disconnected.done():
                self._client.ack(mid, qos)
        if self._paused and len(self._unsettled) <= limits.MQTT_UNSETTLED // 2:
            self._resume()

    def _pause(self) -> None:
        sock = cast("Any", self._client.socket())
        if not self._paused and sock is not None:
            self._paused = True
            self._loop.remove_reader(sock.fileno())

    def _resume(self) -> None:
        self._paused = False
        sock = cast("Any", self._client.socket())
        if sock is not None:
            self._loop.add_reader(sock.fileno(), self._read)
            self._loop.call_soon(self._read)  # TLS may have read more than was asked for

    def _read(self) -> None:
        """Read as aiomqtt does."""
        try:
            while not self._paused:
                self._client.loop_read()
                sock = cast("Any", self._client.socket())
                if not getattr(sock, "pending", int)():
                    break
        except Exception as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)


def _connect_properties(settings: BrokerSettings) -> Properties:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = settings.session_s
    properties.ReceiveMaximum = limits.MQTT_UNSETTLED // 2
    properties.MaximumPacketSize = 2 * limits.MQTT_INGRESS_BYTES
    return properties


def _tls(settings: BrokerSettings) -> ssl.SSLContext:
    """Raise OSError where the file with certificates is of no use."""
    return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)


def _number(code: int | ReasonCode) -> int:
    return code.value if isinstance(code, ReasonCode) else code
