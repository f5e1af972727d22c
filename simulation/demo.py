"""`make demo`: the site of Bercy, emulated, reporting to a city. Ends by Ctrl-C, or after `--for` seconds and a count.

Last line of a run with `--for`: one JSON object. Exit status 0 only if nothing was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pave_emulator.scenario.load import ScenarioError
from pave_gateway.config import ConfigError
from pave_gateway.ports import PortError, tcp_listener, udp_port
from pave_tools.errors import ToolError
from simulation import processes
from simulation.accounts import Settlement, settle
from simulation.chain import ROOT, Chain, Plan

EXAMPLE = ROOT / "examples" / "bercy"
DRAIN_TIMEOUT_S = 40
_SAMPLE_EVERY_S = 2
_SHOWN_FAULTS = 10


class Demo:
    """One run, and what is measured beside the books."""

    def __init__(self, chain: Chain, for_s: float | None) -> None:
        self._chain = chain
        self._for_s = for_s
        self._stopping = asyncio.Event()
        self._peak_bytes = 0

    async def run(self) -> Settlement:
        """Start, run for the time given or until Ctrl-C, stop; return the settled books."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)
        try:
            await self._chain.start()
            print(f"bays on a map   http://127.0.0.1:{self._chain.http_port}/", flush=True)
            print(f"open data       http://127.0.0.1:{self._chain.http_port}/open-data/bays.geojson", flush=True)
            print(f"logs, journal   {self._chain.plan.work_dir}/   (plain CoAP, on loopback only)", flush=True)
            await self._until_over()
        finally:
            await self._chain.stop()
        return settle(self._chain.books())

    @property
    def interrupted(self) -> bool:
        """Whether it ended by a signal, in the middle of the traffic."""
        return self._stopping.is_set()

    async def _until_over(self) -> None:
        sampling = asyncio.create_task(self._sample_memory())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self._for_s)
        if not self.interrupted:
            draining = asyncio.create_task(self._chain.drain(DRAIN_TIMEOUT_S))
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait([draining, stopping], return_when=asyncio.FIRST_COMPLETED)
            draining.cancel()
            stopping.cancel()
        sampling.cancel()

    async def _sample_memory(self) -> None:
        while True:
            self._peak_bytes = max(self._peak_bytes, await asyncio.to_thread(processes.memory_bytes))
            await asyncio.sleep(_SAMPLE_EVERY_S)

    def report(self, settled: Settlement) -> dict[str, Any]:
        """Return the JSON object of the run: changes at every station, then all readings, then the figures."""
        books = self._chain.books()
        first_s = min((message["seen_s"] for message in self._chain.received()), default=None)
        return {
            "truth": settled.truth,
            "sent": settled.sent,
            "stored": settled.stored,
            "forwarded": settled.forwarded,
            "received": settled.received,
            "lost": settled.lost,
            "duplicates": settled.duplicates,
            "phantom": len(settled.phantom),
            "readings": {
                "sent": len(books.sent),
                "acknowledged": len(books.acknowledged),
                "stored": len(books.stored),
                "forwarded": len(books.forwarded),
                "received": len({receipt.identity for receipt in books.received}),
            },
            "devices": len(self._chain.config.places()),
            "datagrams": self._chain.tap.datagrams,
            "memory_peak_mb": round(self._peak_bytes / 1e6),
            "make_to_first_reading_s": _since(_make_started_s(), first_s),
            "clone_to_first_reading_s": _since(_cloned_s(), first_s),
        }


def _since(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else round(end_s - start_s, 1)


def _make_started_s() -> float | None:
    started = os.environ.get("PAVE_MAKE_STARTED_S")
    return float(started) if started else None


def _cloned_s() -> float | None:
    """When this checkout was cloned: the first entry of git's own log of HEAD, if it says so."""
    with suppress(OSError, IndexError, ValueError):
        first = (ROOT / ".git" / "logs" / "HEAD").read_text().splitlines()[0]
        who, _, what = first.partition("\t")
        if what.startswith("clone:"):
            return float(who.split()[-2])
    return None


def _check_machine() -> None:
    """Say in one line what is missing, before anything is started."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") and not os.environ.get("PAVE_MICROPYTHON"):
        sys.exit(
            f"pave: the MicroPython VM on PyPI is built for Linux on x86_64, not for {platform.system()} on "
            f"{platform.machine()}. Next: set PAVE_MICROPYTHON to a MicroPython (unix) binary of 1.27 or newer"
        )


def _check_ports(arguments: argparse.Namespace) -> None:
    for name, port, take in (
        ("coap", arguments.coap_port, udp_port),
        ("http", arguments.http_port, tcp_listener),
        ("mqtt", arguments.mqtt_port, tcp_listener),
    ):
        try:
            taken = take("127.0.0.1", port)
        except PortError as error:
            holder = str(error).partition(": ")[2].partition(";")[0]
            sys.exit(
                f"pave: port {port} ({name}): {holder}. Next: stop that, or make demo DEMO='--{name}-port {port + 10}'"
            )
        if not isinstance(taken, int):
            taken.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--for", dest="for_s", type=float, help="seconds of traffic, then the count")
    parser.add_argument("--site", type=Path, default=EXAMPLE / "site.toml")
    parser.add_argument("--scenario", type=Path, default=EXAMPLE / "scenarios" / "street.yaml")
    parser.add_argument("--work-dir", type=Path, default=ROOT / "var" / "demo")
    parser.add_argument("--coap-port", type=int, default=5683)
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--mqtt-port", type=int, default=1883)
    return parser.parse_args()


def _explain(settled: Settlement) -> None:
    """Say what is missing, by name."""
    for truth in settled.unreported[:_SHOWN_FAULTS]:
        print(f"lost: {truth.bay} became {'occupied' if truth.occupied else 'free'} at {time.ctime(truth.at_s)}")
    for identity in sorted(settled.missing_stored | settled.missing_received)[:_SHOWN_FAULTS]:
        station = "stored" if identity in settled.missing_stored else "received"
        print(f"lost: {identity} was acknowledged and is not {station}")
    for receipt in settled.phantom[:_SHOWN_FAULTS]:
        print(f"phantom: {receipt.identity} at {receipt.place}: {receipt.values}")


def main() -> int:
    """Run the demo; return its exit status."""
    arguments = _arguments()
    _check_machine()
    _check_ports(arguments)
    plan = Plan(
        site=arguments.site,
        scenario=arguments.scenario,
        work_dir=arguments.work_dir,
        coap_port=arguments.coap_port,
        http_port=arguments.http_port,
        mqtt_port=arguments.mqtt_port,
        show=sys.stdout.isatty(),
    )
    try:
        demo = Demo(Chain(plan), arguments.for_s)
        settled = asyncio.run(demo.run())
    except (ConfigError, ScenarioError, ToolError, processes.StartError) as error:
        print(f"pave: {error}", file=sys.stderr)
        return 2
    if demo.interrupted:
        print(f"stopped: {settled.truth} changes of bays, {settled.received} received by the city so far")
        return 0
    _explain(settled)
    print(json.dumps(demo.report(settled)))
    return 1 if settled.lost or settled.phantom or not settled.truth else 0


if __name__ == "__main__":
    sys.exit(main())
