"""What is wrong between The Things Stack and the gateway, for `doctor` and the console."""

import contextlib

from pave_gateway.config_lora_ingress import ThingsStackConfig
from pave_gateway.findings import Finding, error, fine, warning
from pave_gateway.ingress import mqtt_doctor, things_stack
from pave_gateway.ingress.mqtt_connection import BrokerSettings
from pave_gateway.ingress.things_stack_ingress import ADVICE, ThingsStackIngress
from pave_gateway.ingress.things_stack_storage import Storage, StorageError, instant

_PACKAGE = "storage-integration"
_SANDBOX = ".cloud.thethings.network"
_ACTIVATE = "activate it in the console: Integrations, Storage Integration"


async def probe(settings: BrokerSettings, uid: str, storage: Storage, now_ms: int) -> list[Finding]:
    """Try MQTT server and storage; the gateway need not run. `now_ms` since 1970."""
    return [*await mqtt_doctor.probe(settings, things_stack.topics(uid)), *await _storage(storage, now_ms)]


def promises(config: ThingsStackConfig) -> list[Finding]:
    """Return what The Things Stack does not promise, whatever its state."""
    found = [
        warning(
            "The Things Stack has QoS 0 over MQTT: what is missed comes from its storage, or from the device again",
            "for a promise from the broker's side, use ChirpStack",
        )
    ]
    if config.host.endswith(_SANDBOX):
        found.append(
            error(
                "The Things Network's fair use policy: 10 downlinks a day for a device; acknowledgements are more",
                "use a plan of The Things Stack Cloud, or a network server of the site's own",
            )
        )
    return found


def findings(ingress: ThingsStackIngress) -> list[Finding]:
    """Return what a running gateway has seen."""
    found = mqtt_doctor.running(ingress.settings, ingress.subscriber.status, "")
    counters = ingress.counters
    if counters.error:
        found.append(error(f"storage of The Things Stack: {counters.error}", _ACTIVATE))
    elif counters.questions:
        found.append(fine(f"storage of The Things Stack: {counters.refilled} uplinks in {counters.questions} answers"))
    for reason in (things_stack.ENCRYPTED, things_stack.MALFORMED):
        if counters.dropped[reason]:
            found.append(error(f"The Things Stack: {counters.dropped[reason]} came to nothing", ADVICE[reason]))
    if ingress.uplinks.counters.foreign:
        found.append(
            warning(
                f"The Things Stack: {ingress.uplinks.counters.foreign} uplinks of devices that are not of this site",
                "add them to the site, or give it an application of its own",
            )
        )
    return found


async def _storage(storage: Storage, now_ms: int) -> list[Finding]:
    try:
        async with contextlib.aclosing(storage.page(None, instant(now_ms))) as lines:
            async for _ in lines:
                break
    except StorageError as failure:
        return [error(f"storage of The Things Stack: {failure}", _ACTIVATE)]
    try:
        packages = await storage.packages()
    except StorageError:  # the gateway's key need not have that right
        return [
            warning(
                "storage of The Things Stack: it answers; this key does not show whether it is active for all devices",
                _ACTIVATE,
            )
        ]
    if _PACKAGE in packages:
        return [fine("storage of The Things Stack: it answers, and is active for the application")]
    return [warning("storage of The Things Stack: it is not active for the application as a whole", _ACTIVATE)]
