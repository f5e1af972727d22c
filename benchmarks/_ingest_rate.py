"""Requests a second and latency of each server, in turns."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks._ingest_client import Result
from benchmarks._ingest_servers import AIOCOAP_OSCORE, GATEWAY, LEAN, SERVERS, Client, Server

OUTSTANDING = (16, 64, 256)
MOST = OUTSTANDING[-1]
ROUNDS, STEP_S = 3, 4.0
QUICK_ROUNDS, QUICK_STEP_S = 1, 0.4
LEGEND = """\
devices: contexts, or senders without OSCORE. hosts: addresses they have. CPU: of the server, us per request.
client: the most that the load took of its core, %. half: the load, /s; p50, p99: latency there, ms.
again: retransmissions. opened: answers that were looked into."""
WARM_UP = 300  # requests at least: every device once, and enough to know the rate


@dataclass
class Measured:
    """Of one server.

    Attributes:
        rates: Requests a second, by requests outstanding, of each round.
        cpu_us: Of the server, per request, likewise.
        client_busy: Percent of a core that the client took; near 100 it is the client that is measured.
        half: At half of the rate with MOST outstanding.
        half_rate: That.
        sums: Of requests and what became of them, over all steps.
    """

    label: str
    devices: int
    addresses: int
    rates: dict[int, list[float]] = field(default_factory=lambda: {count: [] for count in OUTSTANDING})
    cpu_us: dict[int, list[float]] = field(default_factory=lambda: {count: [] for count in OUTSTANDING})
    client_busy: float = 0.0
    half_rate: float = 0.0
    half: list[Result] = field(default_factory=list)
    sums: Result = field(default_factory=Result)

    def take(self, outstanding: int, result: Result, cpu_s: float) -> None:
        """Note a step of a closed loop."""
        self.rates[outstanding].append(result.answered / result.took_s)
        self.cpu_us[outstanding].append(cpu_s / max(1, result.answered) * 1e6)
        self.client_busy = max(self.client_busy, result.client_cpu_s / result.took_s * 100)

    def add(self, result: Result) -> None:
        """Add to the sums."""
        for name in ("sent", "answered", "retransmissions", "lost", "empty_acks", "separate", "unexpected", "opened"):
            setattr(self.sums, name, getattr(self.sums, name) + getattr(result, name))
        for name, count in result.refused.items():
            self.sums.refused[name] = self.sums.refused.get(name, 0) + count


def measure(settings: Any) -> dict[str, Any]:
    """Start all servers, ask them in turns."""
    rounds, step_s = (QUICK_ROUNDS, QUICK_STEP_S) if settings.quick else (ROUNDS, STEP_S)
    with ExitStack() as stack:
        client = Client()
        stack.callback(client.close)
        servers: dict[str, Server] = {}
        for name, kind in SERVERS.items():
            servers[name] = Server(kind, settings.folder / name, settings.two_cores)
            stack.callback(servers[name].kill)
        found = {name: Measured(kind.label, kind.devices, kind.addresses) for name, kind in SERVERS.items()}
        for name, server in servers.items():
            _warm_up(client, server, found[name])
        for _ in range(rounds):
            for outstanding in OUTSTANDING:
                for name, server in servers.items():
                    _closed(client, server, found[name], outstanding, step_s)
        for _ in range(rounds):
            for name, server in servers.items():
                _half(client, server, found[name], step_s)
        said = servers[GATEWAY].stop()
    return _told(found, said)


def _warm_up(client: Client, server: Server, measured: Measured) -> None:
    count = max(WARM_UP, server.kind.devices, server.kind.addresses)
    result = client.run(server, count, outstanding=OUTSTANDING[1])
    measured.half_rate = result.answered / result.took_s
    measured.add(result)


def _closed(client: Client, server: Server, measured: Measured, outstanding: int, step_s: float) -> None:
    rates = measured.rates[outstanding]
    expected = rates[-1] if rates else measured.half_rate
    before_s = server.cpu_s()
    result = client.run(server, max(4 * outstanding, int(expected * step_s)), outstanding=outstanding)
    measured.take(outstanding, result, server.cpu_s() - before_s)
    measured.add(result)


def _half(client: Client, server: Server, measured: Measured, step_s: float) -> None:
    measured.half_rate = median(measured.rates[MOST]) / 2
    result = client.run(server, max(50, int(measured.half_rate * step_s)), rate=measured.half_rate)
    measured.half.append(result)
    measured.add(result)


def _told(found: dict[str, Measured], said: dict[str, Any]) -> dict[str, Any]:
    servers: dict[str, Any] = {}
    failures: list[str] = []
    for name, measured in found.items():
        servers[name] = {
            "label": measured.label,
            "devices": measured.devices,
            "addresses": measured.addresses,
            "per_s": {count: round(median(rates)) for count, rates in measured.rates.items()},
            "rounds": {count: [round(rate) for rate in rates] for count, rates in measured.rates.items()},
            "server_cpu_us": {count: round(median(values), 1) for count, values in measured.cpu_us.items()},
            "client_busy_percent": round(measured.client_busy),
            "half_per_s": round(measured.half_rate),
            "half_p50_ms": median(result.p50_ms for result in measured.half),
            "half_p99_ms": median(result.p99_ms for result in measured.half),
            "sums": asdict(measured.sums),
        }
        sums = measured.sums
        wrong = {code: count for code, count in sums.refused.items() if code != "2.01"}  # libcoap's first POST
        if wrong:
            failures.append(f"{measured.label}: answers that were not 2.04: {wrong}")
        if sums.lost:
            failures.append(f"{measured.label}: {sums.lost} requests of {sums.sent} had no answer")
    if said["stored"] < found[GATEWAY].sums.answered:
        failures.append(f"the gateway answered {found[GATEWAY].sums.answered} reports and stored {said['stored']}")
    return {"servers": servers, "gateway_said": said, "failures": failures}


def show(console: Console, found: dict[str, Any]) -> None:
    """Print the table."""
    table = Table(title="Requests a second with 16, 64, 256 outstanding; latency at half of the most", box=box.SIMPLE)
    columns = ("devices", "hosts", *map(str, OUTSTANDING), "CPU", "client", "half", "p50", "p99", "again", "lost",
               "opened")  # fmt: skip
    table.add_column("server", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for told in found["servers"].values():
        sums = told["sums"]
        table.add_row(
            told["label"], f"{told['devices']:,}", f"{told['addresses']:,}",
            *(f"{told['per_s'][count]:,}" for count in OUTSTANDING), f"{told['server_cpu_us'][MOST]:.0f}",
            str(told["client_busy_percent"]), f"{told['half_per_s']:,}", f"{told['half_p50_ms']:.2f}",
            f"{told['half_p99_ms']:.2f}", str(sums["retransmissions"]), str(sums["lost"]), str(sums["opened"]),
        )  # fmt: skip
    console.print(table)
    console.print(LEGEND)


def times_aiocoap(found: dict[str, Any]) -> float:
    """How many times faster the gateway is than aiocoap's OSCORE where that is at its best."""
    best = max(found["servers"][name]["per_s"][MOST] for name in AIOCOAP_OSCORE)
    return found["servers"][GATEWAY]["per_s"][MOST] / best


def percent_of_lean(found: dict[str, Any]) -> float:
    """What durability leaves of what Python can do."""
    return found["servers"][GATEWAY]["per_s"][MOST] / found["servers"][LEAN]["per_s"][MOST] * 100


def p99_at_half_ms(found: dict[str, Any]) -> float:
    """Of the gateway."""
    return found["servers"][GATEWAY]["half_p99_ms"]
