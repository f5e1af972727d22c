"""The gateway is killed at random moments of a run, again and again. What a device saw acknowledged must be safe.

    python -m simulation.kill --kills 8 --for 30 [--eager]

`--eager` runs the gateway that acknowledges before it commits: the same run must then fail, or it proves nothing. Last
line: one JSON object; exit status 0 only if nothing was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from simulation.accounts import RETRANSMITTED_LATE_S, Settlement, settle
from simulation.chain import ROOT, Chain, Plan
from simulation.demo import EXAMPLE
from simulation.processes import StartError
from simulation.work_dir import WorkDirError

EAGER_GATEWAY = ("-m", "simulation.eager_gateway")
FIRST_KILL_S = 1.0
DRAIN_TIMEOUT_S = 180  # a device that found no gateway for a minute waits as long before it tries again
EAGER_DRAIN_S = 10  # what nobody was told of never reaches the city, however long one waits
_DOWN_MAX_S = 1.0


@dataclass(frozen=True)
class Outcome:
    """A run that was killed `kills` times, with `acknowledged` readings in all."""

    kills: int
    acknowledged: int
    settled: Settlement


async def campaign(plan: Plan, kills: int, for_s: float, seed: int, drain_s: float = DRAIN_TIMEOUT_S) -> Outcome:
    """Run `plan` for `for_s` seconds of traffic with `kills` SIGKILLs at moments drawn from `seed`.

    After that, what is under way has `drain_s` at most.
    """
    source = random.Random(seed)
    moments = sorted(source.uniform(FIRST_KILL_S, for_s) for _ in range(kills))
    chain = Chain(plan)
    try:
        await chain.start()
        started_s = asyncio.get_running_loop().time()
        for moment_s in moments:
            await asyncio.sleep(max(0.0, started_s + moment_s - asyncio.get_running_loop().time()))
            await chain.kill_gateway()
            await asyncio.sleep(source.uniform(0, _DOWN_MAX_S))
            await chain.start_gateway()
        await asyncio.sleep(max(0.0, started_s + for_s - asyncio.get_running_loop().time()))
        await chain.drain(drain_s)
    finally:
        await chain.stop()
    if chain.fault.done():
        raise StartError(chain.fault.result())
    books = chain.books()
    return Outcome(len(moments), len(books.acknowledged), settle(books, RETRANSMITTED_LATE_S))


def main() -> int:
    """Run one campaign; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--for", dest="for_s", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--eager", action="store_true", help="the negative control: acknowledge before the commit")
    parser.add_argument("--work-dir", type=Path, default=ROOT / "var" / "kill")
    arguments = parser.parse_args()
    plan = Plan(EXAMPLE / "site.toml", EXAMPLE / "scenarios" / "rush.yaml", arguments.work_dir)
    drain_s = DRAIN_TIMEOUT_S
    if arguments.eager:
        plan, drain_s = replace(plan, gateway=EAGER_GATEWAY), EAGER_DRAIN_S
    try:
        outcome = asyncio.run(campaign(plan, arguments.kills, arguments.for_s, arguments.seed, drain_s))
    except (WorkDirError, StartError) as error:
        print(f"pave: {error}", file=sys.stderr)
        return 2
    settled = outcome.settled
    report = {
        "seed": arguments.seed,
        "kills": outcome.kills,
        "truth": settled.truth,
        "acknowledged": outcome.acknowledged,
        "lost": settled.lost,
        "acknowledged_not_stored": len(settled.missing_stored),
        "acknowledged_not_received": len(settled.missing_received),
        "unreported": len(settled.unreported),
        "phantom": len(settled.phantom),
        "pending": len(settled.pending),
        "altered": len(settled.altered),
        "unreadable": settled.unreadable,
        "duplicates": settled.duplicates,
    }
    print(json.dumps(report))
    return 0 if settled.balanced else 1


if __name__ == "__main__":
    sys.exit(main())
