"""Whether a broker gives what is asked of it: connections made for the purpose, and what a running one has seen."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

import aiomqtt

from pave_gateway.findings import Finding, error, fine, warning
from pave_gateway.ingress.mqtt_client import BrokerStatus
from pave_gateway.ingress.mqtt_connection import BrokerSettings, Connection

_PROBE_SESSION_S = 60


async def probe(settings: BrokerSettings, topics: Sequence[str]) -> list[Finding]:
    """Connect as the gateway would, under an id of its own so that a running gateway keeps its session.

    Subscribes to `topics`, and comes back to see whether the session was kept; leaves none behind.
    """
    name = f"{settings.host}:{settings.port}"
    own = replace(settings, client_id=f"{settings.client_id}-doctor")
    kept = replace(own, session_s=_PROBE_SESSION_S if settings.session_s else 0)
    try:
        granted, _ = await _visit(kept, topics)
        _, session_present = await _visit(kept, ())
        if settings.session_s:
            await _visit(replace(own, session_s=0), ())
    except (aiomqtt.MqttError, OSError) as failure:
        return [
            error(f"broker {name}: {failure}", "see that it runs, and check host, port, tls, username and password")
        ]
    found = [fine(f"broker {name} lets us in")]
    found += [
        error(f"broker {name} grants QoS {qos} for {topic}, not {settings.qos}", "allow QoS 1 there (max_qos)")
        for topic, qos in granted
        if qos < settings.qos
    ]
    if settings.session_s and not session_present:
        found.append(
            error(f"broker {name} does not keep sessions: what comes while the gateway is away is lost", _SESSIONS)
        )
    return [*found, *transport(settings)]


def transport(settings: BrokerSettings) -> list[Finding]:
    """Return what is to be said of the way to the broker."""
    if settings.tls or _is_loopback(settings.host):
        return []
    return [
        warning(
            f"broker {settings.host}:{settings.port} is reached without TLS: whoever is on the way reads and writes",
            "set tls = true and the broker's TLS port, or use a VPN",
        )
    ]


def running(settings: BrokerSettings, status: BrokerStatus, publisher: str) -> list[Finding]:
    """Return what a running gateway's connection says; `publisher` names the setting of whoever publishes there."""
    name = f"broker {settings.host}:{settings.port}"
    if not status.connected:
        step = "see that it runs, and check host, port, tls, username and password"
        return [error(f"{name}: {status.error or 'not connected yet'}", step)]
    found = [fine(f"{name}: {status.received} messages")]
    if settings.session_s and status.connections > 1 and not status.session_present:
        found.append(error(f"{name} had not kept the session at the last connection", _SESSIONS))
    if settings.session_s and status.session_s is not None and status.session_s < settings.session_s:
        found.append(
            warning(
                f"{name} keeps the session for {status.session_s} s, not {settings.session_s}",
                "raise its limit (persistent_client_expiration of mosquitto), or lower session_days",
            )
        )
    if settings.qos and status.unprotected:
        found.append(
            error(
                f"{name}: {status.unprotected} of {status.received} messages were published with QoS 0, which nobody "
                "sends again",
                publisher,
            )
        )
    if status.failed:
        found.append(error(f"{name}: {status.failed} messages made this gateway fail", "see its log, and report it"))
    return found


_SESSIONS = "give the broker persistence (persistence true of mosquitto), and this gateway a client_id of its own"


async def _visit(settings: BrokerSettings, topics: Sequence[str]) -> tuple[tuple[tuple[str, int], ...], bool]:
    """Connect, subscribe, leave; return what was granted, and whether the session was there."""
    connection = Connection(settings, lambda message, settle: None)
    try:
        await connection.__aenter__()
    except BaseException:
        connection.abandon()
        raise
    try:
        return await connection.subscribe_all(topics), connection.session_present
    finally:
        await connection.leave()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
