"""What is wrong between ChirpStack and the gateway, for `doctor` and the console."""

from pave_gateway.findings import Finding, error, warning
from pave_gateway.ingress import chirpstack, mqtt_doctor
from pave_gateway.ingress.chirpstack_ingress import ADVICE, ChirpStackIngress
from pave_gateway.ingress.mqtt_connection import BrokerSettings

_QOS = "set qos = 1 in [integration.mqtt] of ChirpStack's configuration"
_QUEUE = "look at ChirpStack's log: its downlinks do not leave, or messages are larger than the data rate allows"


async def probe(settings: BrokerSettings, application_id: str) -> list[Finding]:
    """Try whether the broker gives QoS 1 and a session that lasts; the gateway need not run."""
    return await mqtt_doctor.probe(settings, chirpstack.topics(application_id))


def findings(ingress: ChirpStackIngress) -> list[Finding]:
    """Return what a running gateway has seen."""
    found = mqtt_doctor.running(ingress.settings, ingress.subscriber.status, _QOS)
    dropped = ingress.counters.dropped
    for reason in (chirpstack.PROTOBUF, chirpstack.ENCRYPTED, chirpstack.MALFORMED):
        if dropped[reason]:
            found.append(error(f"ChirpStack: {dropped[reason]} events came to nothing", ADVICE[reason]))
    for reason in (chirpstack.FOREIGN_DEVICE, chirpstack.FOREIGN_TOPIC):
        if dropped[reason]:
            found.append(warning(f"ChirpStack: {dropped[reason]} events came to nothing", ADVICE[reason]))
    if ingress.uplinks.counters.foreign:
        found.append(
            warning(
                f"ChirpStack: {ingress.uplinks.counters.foreign} events were of devices that this site does not have",
                "add them to the site, or set application in [chirpstack] to the one of this site",
            )
        )
    told = ingress.downlinks.counters
    if told.lost > told.sent:
        found.append(warning(f"ChirpStack sent {told.sent} of our messages and lost {told.lost}", _QUEUE))
    return found
