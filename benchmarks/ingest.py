"""Ingest, measured against its peers: one run, one machine, the same request bytes.

    python -m benchmarks.ingest [--quick] [--readings 5000000] [--only rate ...] [--two-cores]

Every server and the load client are processes of their own; what each server does is in `_ingest_servers`. Servers take
turns round by round, so what else the machine does meets all of them, and only ratios are goals. `--quick` runs all of
it much shorter, to see that it works: its figures are not to be quoted. A missed goal is printed and is no failure; an
answer that is wrong, a request that is lost and a reading that is answered and not stored are.

    rate       requests a second with 16, 64 and 256 outstanding, then latency at half of the most
    endurance  `--readings` through one gateway: its memory on the way; it is killed, and started again
    written    bytes written to the disk per reading, at 17 readings a second
    lookup     of a device's context
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks import _ingest_endurance, _ingest_rate, _ingest_requests
from benchmarks._ingest_servers import CLIENT_CORE, ROOT, SERVER_CORE
from benchmarks._measures import Figures, Goal, Measure, machine, show_goals


@dataclass(frozen=True)
class Settings:
    """How long a run is."""

    quick: bool
    readings: int
    folder: Path
    two_cores: bool


MEASURES = {
    "rate": Measure(_ingest_rate.measure, _ingest_rate.show),
    "endurance": Measure(_ingest_endurance.endurance, _ingest_endurance.show_endurance),
    "written": Measure(_ingest_endurance.written, _ingest_endurance.show_written),
    "lookup": Measure(_ingest_endurance.lookup, _ingest_endurance.show_lookup),
}


GOALS = (
    Goal("durable : aiocoap's OSCORE, 256 outstanding", "rate", _ingest_rate.times_aiocoap, at_least=12),
    Goal("durable : lean ceiling, 256 outstanding, %", "rate", _ingest_rate.percent_of_lean, at_least=75),
    Goal("p99 at half load, ms", "rate", _ingest_rate.p99_at_half_ms, at_most=20),
    Goal("memory with 10,000 devices, at most, MB", "endurance", lambda found: found["pss_mb_most"], at_most=120),
    Goal("its growth from the middle to the end, %", "endurance", lambda found: found["growth_percent"], at_most=2),
    Goal("start after a kill, s", "endurance", lambda found: found["start_s"], at_most=5),
    Goal("written per reading at 17/s, bytes", "written", lambda found: found["bytes_per_reading"], at_most=2000),
    Goal("context look-up, us", "lookup", lambda found: found["median_us"], at_most=5),
)


def failures(found: dict[str, Figures]) -> list[str]:
    """What must not be, in one line each."""
    return [f"{name}: {text}" for name, figures in found.items() for text in figures.get("failures", ())]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="all of it in some two minutes")
    parser.add_argument("--readings", type=int, help="of `endurance`; 500,000, or 40,000 when quick")
    parser.add_argument(
        "--two-cores", action="store_true", help="let a server's other threads use the client's core too"
    )
    parser.add_argument("--only", action="append", choices=sorted(MEASURES), metavar="NAME",
                        help=f"of {', '.join(MEASURES)}; repeatable")  # fmt: skip
    return parser.parse_args()


def main() -> int:
    """Measure and print; return the exit status."""
    given = arguments()
    console = Console(width=150)
    about = machine()
    plain, sealed = _ingest_requests.check()
    console.print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items()))
    where = "their other threads on either core" if given.two_cores else "with all their threads"
    console.print(f"servers serve on core {SERVER_CORE}, {where}; client on core {CLIENT_CORE}")
    console.print(f"a presence report: a datagram of {plain} bytes, {sealed} under OSCORE")
    (ROOT / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ingest-", dir=ROOT / "var"))  # on a disk: what is in memory costs no fsync
    readings = given.readings or (40_000 if given.quick else 500_000)
    settings = Settings(given.quick, readings, folder, given.two_cores)
    found: dict[str, Figures] = {}
    try:
        for name, measure in MEASURES.items():
            if given.only is None or name in given.only:
                found[name] = measure.run(settings)
                measure.show(console, found[name])
    finally:
        shutil.rmtree(folder)
    goals = show_goals(console, GOALS, found)
    failed = failures(found)
    for failure in failed:
        console.print(f"FAILURE: {failure}")
    told = {"quick": given.quick, "two_cores": given.two_cores, "machine": about, "goals": goals, "failures": failed}
    print(json.dumps({**told, "request": {"plain_bytes": plain, "sealed_bytes": sealed}, **found}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
