"""The gateway as it takes reports, put together from its own parts: CoAP front, OSCORE, admission, journal, bays.

What else the runtime has (console, LoRaWAN) is left out; nothing that a report passes through is. `--mqtt` adds a sink.
Keys are those of `_ingest_requests`. Windows, reservations and bays come from the journal, so a second start goes on
where the first ended. The bays are written down every BAYS_EVERY readings. What the command imports is imported here
too (`simulation.eager_gateway` does), so memory is that of a whole gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import uvloop

from benchmarks import _ingest_requests as requests
from benchmarks._ingest_ready import say_ready
from pave_gateway import log
from pave_gateway.core.bays import Bays
from pave_gateway.core.committer import Committed, CommitterBusy, Outcome
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.core.places import Place
from pave_gateway.ingress import coap_site
from pave_gateway.ingress.coap_resources import Site
from pave_gateway.ingress.coap_site import CoapParts, CoapServer
from pave_gateway.sinks.engine import SinkEngine
from pave_gateway.sinks.mqtt import MqttSink
from pave_gateway.store import clock_tables
from pave_gateway.store.journal import Journal, JournalReader
from pave_gateway.store.threaded import ThreadedCommitter
from simulation.eager_gateway import EagerCommitter

BAYS_EVERY = 50_000
_LOOK_S = 1.0
_KINDS = ("delivery", "taxi", "disabled")


class Gateway:
    """All parts of one gateway."""

    def __init__(self, devices: int, journal: Path, mqtt: int | None, eager: bool) -> None:
        """Open the journal and bring everything to where it was; on a running event loop.

        `mqtt` is the port of a broker to forward to. `eager` acknowledges before the commit: a negative control.
        """
        places = {}
        for number in range(devices):
            name = requests.keys_of(number).device
            places[name] = Place(f"b{number}", _KINDS[number % 3], "Rue de Bercy", 48.84, 2.38, name)
        self.honest = ThreadedCommitter(Journal(journal))
        self.committer = EagerCommitter(self.honest) if eager else self.honest
        self.reader = JournalReader(journal)
        self.contexts = self._contexts(devices)
        self.bays = Bays(places.values())
        self._restore_bays()
        self.sink = None if mqtt is None else self._sink(places, mqtt)
        listeners = [] if self.sink is None else [self.sink.wake]
        self.ingest = Ingest(places, self.committer, [*listeners, self.bays.apply])
        self._written = self.bays.position

    def _sink(self, places: Mapping[str, Place], port: int) -> SinkEngine:
        sink = MqttSink("bench", places, "127.0.0.1", port, "5", "pave/{site}/{kind}/{place}")
        return SinkEngine("city", sink, self.reader, self.honest, self.reader.cursor("city"), random.Random())

    def _contexts(self, devices: int) -> OscoreContexts:
        contexts = OscoreContexts(random.SystemRandom().randbytes)
        windows, default_window = self.reader.replay_windows()
        reservations, default_start = self.reader.reservations()
        for number in range(devices):
            keys = requests.keys_of(number)
            window = windows.get(keys.device, default_window)
            contexts.add(keys, window, reservations.get(keys.device, default_start))
        return contexts

    def _restore_bays(self) -> None:
        db = self.reader.connection
        position = clock_tables.bays_position(db) or 0
        self.bays.restore(clock_tables.bays(db), position)
        while batch := self.reader.after(position, 2000):
            self.bays.apply(batch)
            position = batch[-1].position

    async def serve(self, port: int) -> CoapServer:
        """Let devices speak."""
        parts = CoapParts(
            contexts=self.contexts,
            ingest=self.ingest,
            committer=self.committer,
            site=Site(),
            clock_ms=lambda: time.time_ns() // 1_000_000,
            monotonic=time.monotonic,
            random_below=random.SystemRandom().randrange,
            insecure=False,
        )
        return await coap_site.start("127.0.0.1", port, parts)

    async def write_bays(self) -> None:
        """Write the bays down every BAYS_EVERY readings."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.bays.position - self._written >= BAYS_EVERY:
                self._written = self.bays.position
                self._write_some_bays()

    def _write_some_bays(self) -> None:
        change = self.bays.snapshot_step()
        if change is None:
            return

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Committed):
                change.apply()
                self._write_some_bays()

        with contextlib.suppress(CommitterBusy):  # the gateway is stopping, or too busy: the next round has them
            self.committer.submit(change.rows, done)


async def run(given: argparse.Namespace) -> None:
    """Serve until SIGTERM; then say what was counted."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    gateway = Gateway(given.devices, given.journal, given.mqtt, given.eager)
    server = await gateway.serve(given.port)
    tasks = [asyncio.create_task(gateway.write_bays())]
    if gateway.sink is not None:
        tasks.append(asyncio.create_task(gateway.sink.run()))
    say_ready()
    await stopping.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    counted = {
        "accepted": server.counters.accepted,
        "stored": gateway.ingest.counters.stored,
        "dropped": {name: count for name, count in server.counters.dropped.items() if count},
        "refused": dict(server.counters.refused),
        "transactions": gateway.honest.transactions,
        "trouble": gateway.honest.trouble(),
    }
    await server.close()
    await gateway.honest.close(60)
    print(json.dumps(counted), flush=True)


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
