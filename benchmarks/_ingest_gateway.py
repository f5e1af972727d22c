"""The gateway under measurement: the production one, whole (`runtime`), with keys of `_ingest_requests`, made once.

`--mqtt` adds a sink, `--eager` acknowledges before the commit: a negative control.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop

from benchmarks import _ingest_requests as requests
from benchmarks._ingest_ready import say_ready
from pave_gateway import garbage, log
from pave_gateway.config import Config, ListenConfig, MqttConfig
from pave_gateway.core.committer import Committer
from pave_gateway.runtime import Runtime, threaded
from pave_gateway.store.journal import Journal
from simulation import made_site
from simulation.eager_gateway import EagerCommitter


async def run(given: argparse.Namespace) -> None:
    """Serve until SIGTERM; then say what was counted."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    config = made_site.config_of(given.journal, requests.keys_of, given.devices)
    await made_site.prepare(config, requests.keys_of, given.devices)
    transactions: list[Callable[[], int]] = []

    def committer(journal: Journal, site: Config, trusted_ms: Callable[[], int | None]) -> Committer:
        honest = threaded(journal, site, trusted_ms)
        transactions.append(lambda: honest.transactions)
        return EagerCommitter(honest) if given.eager else honest

    runtime = Runtime(_listening(config, given.port, given.mqtt), committer_factory=committer)
    del config  # the places of 10,000 devices, which the command does not keep either
    await runtime.start()
    garbage.settle()
    say_ready()
    await stopping.wait()
    counters = runtime.links.coap.counters
    counted = {
        "accepted": counters.accepted,
        "stored": runtime.gateway.core.ingest.counters.stored,
        "dropped": {name: count for name, count in counters.dropped.items() if count},
        "refused": dict(counters.refused),
        "transactions": transactions[0](),
        "trouble": runtime.gateway.core.committer.trouble(),
    }
    await runtime.stop()
    print(json.dumps(counted), flush=True)


def _listening(config: Config, port: int, mqtt: int | None) -> Config:
    sinks = () if mqtt is None else (MqttConfig(name="city", kind="mqtt", host="127.0.0.1", port=mqtt),)
    listen = ListenConfig(coap=f"127.0.0.1:{port}", http="127.0.0.1:0")
    return config.model_copy(update={"listen": listen, "sink": sinks})


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--mqtt", type=int, help="port of a broker on this host: forward to it")
    parser.add_argument("--eager", action="store_true", help="acknowledge before the commit, to prove that it is seen")
    given = parser.parse_args()
    log.configure()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(given))


if __name__ == "__main__":
    main()
