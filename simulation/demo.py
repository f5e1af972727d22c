"""`make demo`: the site of Bercy, emulated, reporting to a city. Ends by Ctrl-C, or after `--for` seconds and a count.

Last line of a run with `--for`: one JSON object. Exit status 0 only if every device reported and nothing was lost,
invented, changed or left half-way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
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
from simulation.devices import equipped
from simulation.work_dir import WorkDirError

EXAMPLE = ROOT / "examples" / "bercy"
DRAIN_TIMEOUT_S = 40
FOR_MIN_S, FOR_MAX_S = 10, 7 * 86400  # under 10 s hardly a vehicle has come
_SAMPLE_EVERY_S = 2
_SHOWN_FAULTS = 10
_FOR_EVER_S = 1e9


class Demo:
    """One run, and what is measured beside the books. Made on the event loop it runs on."""

    def __init__(self, chain: Chain, for_s: float | None) -> None:
        self._chain = chain
        self._for_s = for_s
        self._stopped_by: asyncio.Future[int] = asyncio.get_running_loop().create_future()  # signal number
        self._peak_bytes = 0

    async def run(self) -> int:
        """Start, run for the time given or until Ctrl-C, stop, report; return the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop, number)
        phases = asyncio.create_task(self._phases())
        sampling = asyncio.create_task(self._sample_memory())
        try:
            await asyncio.wait([phases, self._stopped_by, self._chain.fault], return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = phases.done()
            phases.cancel()
            sampling.cancel()
            await self._chain.stop()
        if finished:
            await phases  # raises what ended it, if it was not its end
        return self._concluded()

    def _stop(self, number: int) -> None:
        if not self._stopped_by.done():
            self._stopped_by.set_result(number)

    async def _phases(self) -> None:
        print(f"starting {len(equipped(self._chain.config))} devices, gateway, broker and city ...", flush=True)
        await self._chain.start()
        print(f"bays on a map   http://127.0.0.1:{self._chain.http_port}/", flush=True)
        print(f"open data       http://127.0.0.1:{self._chain.http_port}/open-data/bays.geojson", flush=True)
        print(f"logs, journal   {self._chain.plan.work_dir}/   (every device has keys of its own)", flush=True)
        await asyncio.sleep(_FOR_EVER_S if self._for_s is None else self._for_s)
        await self._chain.drain(DRAIN_TIMEOUT_S)

    async def _sample_memory(self) -> None:
        while True:
            self._peak_bytes = max(self._peak_bytes, await asyncio.to_thread(processes.memory_bytes))
            await asyncio.sleep(_SAMPLE_EVERY_S)

    def _concluded(self) -> int:
        """Print what happened; return the exit status."""
        if self._chain.fault.done():
            print(f"pave: {self._chain.fault.result()}", file=sys.stderr)
            return 2
        settled = settle(self._chain.books())
        number = self._stopped_by.result() if self._stopped_by.done() else 0
        if number and self._for_s is None:
            print(f"stopped: {settled.truth} changes of bays, {settled.received} received by the city so far")
            return 0
        _explain(settled, self._chain.crashes)
        report = self._report(settled)
        print(json.dumps(report))
        if number:
            return 128 + number
        complete = report["devices"] == len(equipped(self._chain.config)) and not self._chain.crashes
        return 0 if complete and settled.balanced and not settled.duplicates else 1

    def _report(self, settled: Settlement) -> dict[str, Any]:
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
            "pending": len(settled.pending),
            "altered": len(settled.altered),
            "unreadable": settled.unreadable,
            "readings": {
                "sent": len(books.sent),
                "acknowledged": len(books.acknowledged),
                "stored": len(books.stored),
                "forwarded": len(books.forwarded),
                "received": len({receipt.identity for receipt in books.received}),
            },
            "devices": len(self._chain.reporting()),
            "crashes": len(self._chain.crashes),
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
    """When this checkout was cloned, by git's own log of HEAD; None when this is not the first run in it."""
    with suppress(OSError, IndexError, ValueError):
        if Path(sys.prefix).stat().st_ctime < (_make_started_s() or math.inf) - 1:
            return None
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
    parser.add_argument("--for", dest="for_s", type=_seconds, help="seconds of traffic, then the count")
    parser.add_argument("--site", type=Path, default=EXAMPLE / "site.toml")
    parser.add_argument("--scenario", type=Path, default=EXAMPLE / "scenarios" / "rush.yaml")
    parser.add_argument("--work-dir", type=Path, default=ROOT / "var" / "demo")
    parser.add_argument("--coap-port", type=_port, default=5683)
    parser.add_argument("--http-port", type=_port, default=8080)
    parser.add_argument("--mqtt-port", type=_port, default=1883)
    arguments = parser.parse_args()
    if arguments.http_port == arguments.mqtt_port:
        parser.error(f"--http-port and --mqtt-port are both {arguments.http_port}; they must differ")
    return arguments


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not FOR_MIN_S <= seconds <= FOR_MAX_S:  # also false for NaN
        raise argparse.ArgumentTypeError(f"FOR={text}: write seconds, {FOR_MIN_S} to {FOR_MAX_S}, such as FOR=30")
    return seconds


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port; 1 to 65535")
    return int(text)


def _explain(settled: Settlement, crashes: list[str]) -> None:
    """Say what is wrong, by name."""
    for truth in settled.unreported[:_SHOWN_FAULTS]:
        print(f"lost: {truth.bay} became {'occupied' if truth.occupied else 'free'} at {time.ctime(truth.at_s)}")
    for what, identities in (
        ("was acknowledged and is not stored", settled.missing_stored),
        ("is safe at the gateway and was not received", settled.missing_received),
        ("was sent and never acknowledged", settled.pending),
        ("has other values at another station", settled.altered),
    ):
        for identity in sorted(identities)[:_SHOWN_FAULTS]:
            print(f"{identity} {what}")
    if settled.unreadable:
        print(f"{settled.unreadable} datagrams of devices did not open under their keys")
    for receipt in settled.phantom[:_SHOWN_FAULTS]:
        print(f"phantom: {receipt.identity} at {receipt.place}: {dict(receipt.values)}")
    for name in crashes[:_SHOWN_FAULTS]:
        print(f"crashed: {name}; its console has the traceback")


async def _run(plan: Plan, for_s: float | None) -> int:
    return await Demo(Chain(plan), for_s).run()


def main() -> int:
    """Run the demo; return its exit status."""
    processes.end_with_parent()  # make, killed hard, would leave us with the ports
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
        return asyncio.run(_run(plan, arguments.for_s))
    except (ConfigError, ScenarioError, ToolError, WorkDirError, processes.StartError) as error:
        print(f"pave: {error}", file=sys.stderr)
    except OSError as error:
        print(f"pave: {error.strerror}: {error.filename}. Next: check the folder and the free disk", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
