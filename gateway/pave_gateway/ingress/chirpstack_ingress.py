"""ChirpStack v4 as the network server of the site: its events to the application, the application's answers to it.

What the broker may forget is on disk: see `mqtt_client` (PUBACK after the commit) and `mqtt_uplinks` (once, whatever
comes twice). ChirpStack does MAC, ADR and receive windows; it waits some 100 ms after `up` for a downlink, so an
acknowledgement that leaves by then goes out in the windows of the very frame it answers.
"""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pave_gateway.config_lora_ingress import CHIRPSTACK_PASSWORD, ChirpStackConfig, secret
from pave_gateway.ingress import chirpstack
from pave_gateway.ingress.chirpstack import ChirpStackError, DownlinkTold, Logged, Status
from pave_gateway.ingress.mqtt_client import Incoming
from pave_gateway.ingress.mqtt_connection import BrokerSettings
from pave_gateway.ingress.mqtt_downlinks import Order
from pave_gateway.ingress.mqtt_ingress import Behind, ExternalIngress

_DAY_S = 86_400
ADVICE = {
    chirpstack.PROTOBUF: "events are not JSON; set json = true in [integration.mqtt] of ChirpStack's configuration",
    chirpstack.ENCRYPTED: "payloads are encrypted end to end; let ChirpStack have the AppSKey, or its own join server",
    chirpstack.MALFORMED: "an event cannot be read; this gateway knows those of ChirpStack v4",
    chirpstack.FOREIGN_DEVICE: "an event names another device than its topic; see who else publishes to this broker",
    chirpstack.FOREIGN_TOPIC: "a topic is none of ChirpStack's; use its own event_topic in [integration.mqtt]",
}


def settings_of(config: ChirpStackConfig) -> BrokerSettings:
    """Return the broker that the site file names; raises `config_lora_ingress.SecretError`."""
    return BrokerSettings(
        config.host,
        config.port,
        config.version,
        config.client_id,
        qos=1,
        session_s=config.session_days * _DAY_S,
        tls=config.tls,
        ca_file=config.ca_file,
        username=config.username,
        password=secret(config.password_file, CHIRPSTACK_PASSWORD),
    )


@dataclass(slots=True)
class ChirpStackCounters:
    """Since the start: events by kind, events that came to nothing by reason, what ChirpStack logged by code."""

    events: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(chirpstack.EVENTS, 0)))
    dropped: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(chirpstack.REASONS, 0)))
    logged: Counter[str] = field(default_factory=Counter[str])


class ChirpStackIngress(ExternalIngress):
    """See above. `counters` are of events."""

    def __init__(self, settings: BrokerSettings, application_id: str, behind: Behind) -> None:
        """`settings` as of `settings_of`; `application_id` is ChirpStack's, "+" for all."""
        super().__init__(settings, chirpstack.topics(application_id), behind, can_replace=False)
        self._applications: dict[str, str] = {}  # device of this site: ChirpStack's application
        self.counters = ChirpStackCounters()

    def receive(self, message: Incoming, settle: Callable[[], None]) -> None:
        """See `ExternalIngress`."""
        try:
            event = chirpstack.event_of(message.topic, message.payload)
        except ChirpStackError as error:
            reason = str(error)
            self.counters.dropped[reason] += 1
            self._behind.log.warning(f"chirpstack {reason}", f"ChirpStack, {message.topic[:120]!r}: {ADVICE[reason]}")
            settle()
            return
        application, device, kind = chirpstack.of_topic(message.topic)
        self.counters.events[kind] += 1
        if self._behind.knows(device):
            self._applications[device] = application
        if isinstance(event, Status):
            self.uplinks.told(event.device, event.status)
        elif isinstance(event, DownlinkTold):
            self._told(event)
        elif isinstance(event, Logged):
            self._logged(event)
        else:
            self.uplinks.take(event, settle)
            return
        settle()

    def order(self, order: Order) -> bool:
        """See `ExternalIngress`."""
        application = self._applications.get(order.device)
        if application is None:
            return False
        topic = chirpstack.command_topic(application, order.device)
        return self.subscriber.publish(topic, chirpstack.command(order))

    def name(self) -> str:
        """See `ExternalIngress`; ChirpStack wants a UUID."""
        return str(uuid.UUID(int=self._behind.source.getrandbits(128), version=4))

    def connected(self) -> None:
        """See `ExternalIngress`. The broker brings what it has kept by itself."""

    def missed(self, device: str, since_ms: int) -> None:
        """See `ExternalIngress`. What ChirpStack heard it has published, and what was published is kept."""

    def _told(self, event: DownlinkTold) -> None:
        now = self._behind.clock.now(self.monotonic_ms())
        self.downlinks.sent(event.device, event.name, now, event.lost)

    def _logged(self, event: Logged) -> None:
        self.counters.logged[event.code] += 1
        if event.told is not None:
            self._told(event.told)
        if event.level != "INFO" and self._behind.knows(event.device):
            self._behind.log.warning(
                f"chirpstack log {event.code}", f"ChirpStack on {event.device}: {event.code}: {event.description}"
            )
