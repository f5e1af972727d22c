"""How a running gateway stands: its counters for machines, and what is wrong, with the next step, for people."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from pave_gateway.assembly.gateway import Gateway, Links
from pave_gateway.assembly.lora import Lora
from pave_gateway.assembly.upkeep import nowhere
from pave_gateway.config_lorawan import LorawanConfig
from pave_gateway.core import limits
from pave_gateway.core.lorawan.capacity import Traffic, capacities, join_capacities
from pave_gateway.core.silence import Hearing
from pave_gateway.findings import Finding, error, warning
from pave_gateway.sinks.engine import SinkEngine


class State:
    """Of one gateway; `links` are None until they are up."""

    def __init__(self, gateway: Gateway, sinks: Sequence[SinkEngine], links: Callable[[], Links | None]) -> None:
        self._gateway = gateway
        self._sinks = sinks
        self._links = links

    def statistics(self) -> dict[str, Any]:
        """Return the counters: of the journal since it was begun (a restored one goes on from its backup), of the rest
        since the start.
        """
        core = self._gateway.core
        counted = core.ingest.counters
        links = self._links()
        found: dict[str, Any] = {
            "site": core.config.site.id,
            "stored": core.reader.stored(),
            "since_start": {
                "acknowledged": counted.acknowledged,
                "stored": counted.stored,
                "repeated": counted.repeated,
                "refused": dict(counted.refused),
                "coap_answers": {} if links is None else links.coap.answers,
            },
            "in_flight": core.ingest.in_flight,
            "sinks": {sink.name: self._sink(sink) for sink in self._sinks},
            "availability": {kind: {"free": f, "total": t} for kind, (f, t) in core.bays.availability().items()},
            "devices": {hearing.value: count for hearing, count in self._gateway.silence.counts().items()},
            "standing_nowhere": len(self._nowhere()),
            "clock": {"synchronized": core.now().synchronized, "boot": core.machine.boot},
            "coap": {} if links is None else asdict(links.coap.counters),
        }
        if links is not None and links.lora is not None:
            found["lorawan"] = self._lorawan(links.lora)
        return found

    def findings(self) -> list[Finding]:
        """Return what is wrong now."""
        core = self._gateway.core
        found = [error(line, "see the operator's guide, journal") for line in core.committer.trouble()]
        if core.ingest.storage_error and not found:
            found.append(error(core.ingest.storage_error, "devices keep what they have and send it again"))
        if core.config.coap.insecure:
            found.append(warning("plain CoAP is on: anyone who reaches its port can report and read", _SECURE))
        if not core.now().synchronized:
            found.append(warning("the clock is not synchronized: readings are marked so", "let NTP reach this machine"))
        silent = self._gateway.silence.counts()[Hearing.SILENT]
        if silent:
            found.append(warning(f"{silent} devices are silent", "look at them, or at what is between"))
        found += self._gateway.rotation.findings()
        found += self._of_devices()
        found += [warning(f"sink {sink.name}: {sink.last_error}", _SINK) for sink in self._sinks if sink.failing]
        found += [warning(self._held(sink), _CLOCK) for sink in self._sinks if sink.held]
        links = self._links()
        return found if links is None or links.lora is None else found + links.lora.findings()

    @property
    def storage_error(self) -> str:
        """Why readings cannot be stored, as far as the last attempt told; empty while they can."""
        return self._gateway.core.ingest.storage_error

    def _of_devices(self) -> list[Finding]:
        """Return what is wrong with devices that stand nowhere, and with those that a restore has brought back."""
        registry, devices = self._gateway.core.registry, self._nowhere()
        found = [warning(*nowhere(registry, device)) for device in devices[: limits.NOWHERE_TOLD]]
        more = len(devices) - len(found)
        if more:
            step = "pave-gateway devices list --state nowhere"
            found.append(warning(f"{more} more devices stand nowhere and are used", step))
        revived = self._gateway.records.revived()[: limits.DIFFERENCES_TOLD]
        return found + [warning(one.what, one.next_step) for one in revived]

    def _nowhere(self) -> list[str]:
        """Return the devices that stand nowhere though somebody counts on them: their place is gone, or they report."""
        displaced, heard = self._gateway.core.registry.displaced, self._gateway.silence.nowhere
        return list({**displaced, **heard})

    def _sink(self, sink: SinkEngine) -> dict[str, Any]:
        return {
            "cursor": sink.cursor,
            "backlog": self._gateway.core.reader.behind(sink.cursor),
            "dead_letters": self._gateway.core.reader.dead_letters(sink.name),
            "failing": sink.failing,
            "held": sink.held,
            "last_error": sink.last_error,
        }

    def _held(self, sink: SinkEngine) -> str:
        behind, minutes = self._gateway.core.reader.behind(sink.cursor), limits.UNDATED_HOLD_MS // 60_000
        return (
            f"sink {sink.name}: {behind} readings are held back: the time of the next is doubtful while the clock"
            f" is not synchronized; each waits {minutes} min at most"
        )

    def _lorawan(self, lora: Lora) -> dict[str, Any]:
        found: dict[str, Any] = {name: _plain(counters) for name, counters in lora.counters().items()}
        if lora.server is not None:
            config = self._gateway.core.config.lorawan or LorawanConfig()
            settings = config.settings(len(self._gateway.core.registry.places))
            concentrators = max(1, lora.server.concentrators.alive(self._gateway.core.machine.monotonic_ms()))
            found["capacity"] = [asdict(row) for row in capacities(settings, Traffic(), concentrators)]
            found["joins_per_hour"] = [asdict(row) for row in join_capacities(settings)]
        return found


_SECURE = "take insecure out of [coap], unless this is a laboratory"
_SINK = f"it is tried again, at the latest every {limits.BACKOFF_MAX_S:.0f} s; look at the back-end"
_CLOCK = "let NTP reach this machine, or say [clock] trusted = true where something else sets its clock"


def _plain(counters: object) -> Any:
    return asdict(counters) if is_dataclass(counters) and not isinstance(counters, type) else counters
