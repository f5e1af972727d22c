"""Cut the power of a presence sensor at every flash operation of its day, and at random, again and again.

    python -m simulation.power_cuts [--every] [--cuts 10000] [--seed N]

The sensor is the production firmware in the emulator, on LoRaWAN with the production gateway, in virtual time; its day
is made of the parts of `power_cut_day.DAY`. After each cut it has to come back: its bay right at the gateway, no
DevNonce and no frame counter on the air twice, nothing acknowledged lost or told anew, the duty cycle kept.

    --every  each part is done again and again, cut at its first, second, third... flash operation, until it ends uncut
    --cuts   lives of `ROUNDS` parts drawn by the seed, each cut up to five times: most in a flash operation, torn; some
             at any moment; some by a brown-out in a transmission. As many lives as make so many cuts.

Without either, both. Last line: one JSON object; exit status 0 only if nothing was broken.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulation.power_cut_day import DAY, Part, drawn
from simulation.power_cut_site import DENSE, CutSite, Edit, edited
from simulation.tests.lora_site import play

ROUNDS = 40
_HEARTBEAT_S = 900
_FAILURES_MAX = 10
_MOMENT_S = 60.0
_IN_FRAME_S = 0.4
_BAR = 40
Say = Callable[[str], None]


@dataclass
class Found:
    """What was done, and what is wrong."""

    points: dict[str, int] = field(default_factory=dict[str, int])  # flash operations cut, by part
    kinds: Counter[str] = field(default_factory=Counter[str])  # cuts by what they hit
    rounds: int = 0
    lives: int = 0
    boots: int = 0
    frames: int = 0
    readings: int = 0
    broken: list[str] = field(default_factory=list[str])

    @property
    def cuts(self) -> int:
        """All of them."""
        return sum(self.kinds.values())

    def add(self, site: CutSite, where: str) -> None:
        """Take up what became of a site."""
        self.lives += 1
        self.kinds.update(site.kinds)
        self.boots += site.device.stats.boots
        self.frames += len(site.ledger.frames) + len(site.ledger.dev_nonces)
        self.readings += len(site.books.rows)
        self.broken += [f"{where}: {wrong}" for wrong in site.wrong()]


def lived(
    found: Found,
    where: str,
    script: Callable[[Any], Awaitable[None]],
    edits: tuple[Edit, ...] = DENSE,
    at_first: tuple[int, ...] = (),
    seed: int = 1,
) -> bool:
    """Let a sensor live through `script(site)`; return whether it came through. What is wrong goes to `found`."""
    sites: list[CutSite] = []

    async def kept(site: Any) -> None:
        sites.append(site)
        await script(site)

    kind = type("Life", (CutSite,), {"FILES": edited(*edits), "AT_FIRST": at_first})
    with tempfile.TemporaryDirectory(prefix="pave-power-") as folder:
        wrong = len(found.broken)
        try:
            play(Path(folder), kept, every_s=_HEARTBEAT_S, kind=kind, seed=seed)
        except AssertionError as error:
            found.broken.append(f"{where}: {error}")
        if sites:
            found.add(sites[0], where)
    return len(found.broken) == wrong


def every_first_start(found: Found, say: Say, edits: tuple[Edit, ...] = DENSE, numbers: range | None = None) -> None:
    """Cut the first start of a new device, its join and its first reading, at each flash operation (or `numbers`)."""
    points = 0
    for number in numbers or itertools.count(1):
        before = found.cuts
        if not lived(found, f"first start, operation {number}", CutSite.settled, edits, (number,), number):
            break
        if found.cuts == before:
            break
        points += 1
    found.points["first start"] = points
    say(f"first start: {points} operations cut")


def every_of(part: Part, found: Found, say: Say, edits: tuple[Edit, ...] = DENSE, numbers: range | None = None) -> None:
    """Do `part` again and again, cut at its first, second, third... flash operation (or `numbers`)."""
    name, number, points = part.__name__, 1, 0
    queue = iter(numbers or itertools.count(1))

    async def script(site: CutSite) -> None:
        nonlocal number, points
        await site.settled()
        for number in queue:
            before = site.kinds.get("flash", 0)
            site.arm((number,), seed=number)
            await part(site)
            site.arm(())
            if site.kinds.get("flash", 0) == before:
                return
            points += 1

    for _ in range(_FAILURES_MAX):
        if lived(found, f"{name}, life to operation {number}", script, edits):
            break
    found.points[name] = found.points.get(name, 0) + points
    say(f"{name}: {points} operations cut; the last life ended at {number}")


def at_random(
    found: Found, cuts: int, seed: int, say: Say, edits: tuple[Edit, ...] = DENSE, rounds: int = ROUNDS
) -> None:
    """Lead lives of `rounds` parts each, until there were `cuts` in them."""
    start = found.cuts
    began_s = time.monotonic()
    for life in itertools.count():
        source = random.Random(f"{seed} {life}")

        async def script(site: CutSite, source: random.Random = source) -> None:
            await site.settled()
            for _ in range(rounds):
                found.rounds += 1
                await _round(site, source)

        lived(found, f"life {life} of seed {seed}", script, edits, seed=source.getrandbits(30))
        done = found.cuts - start
        say(_bar(done, cuts, time.monotonic() - began_s, len(found.broken)))
        if done >= cuts or len(found.broken) > _FAILURES_MAX:
            return


async def _round(site: CutSite, source: random.Random) -> None:
    part, numbers = drawn(source)
    site.arm(numbers, seed=source.getrandbits(30))
    how = source.random()
    if how < 0.25:
        for _ in range(source.randint(1, 3)):
            site.clock.call_after(source.uniform(0, _MOMENT_S), site.cut)
    elif how < 0.5:
        left = source.randint(1, 3)

        def brown_out(record: object) -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                site.clock.call_after(source.uniform(0, _IN_FRAME_S), site.brown_out)

        site.on_uplink = brown_out
    await part(site)
    site.on_uplink = lambda record: None
    site.arm(())


def _bar(done: int, of: int, took_s: float, broken: int) -> str:
    full = min(_BAR, _BAR * done // of)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {done} of {of} cuts, {done / took_s:.1f} a second, {broken} broken"


def main() -> int:
    """Run it; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", action="store_true", help="at every flash operation of the day")
    parser.add_argument("--cuts", type=int, help="at random, so often at least")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    began_s = time.monotonic()
    found = Found()
    print(f"seed {arguments.seed}", flush=True)

    def say(line: str) -> None:
        print(line, flush=True)

    is_both = not arguments.every and arguments.cuts is None
    if arguments.every or is_both:
        every_first_start(found, say)
        for part in DAY:
            every_of(part, found, say)
    if arguments.cuts or is_both:
        at_random(found, arguments.cuts or 10_000, arguments.seed, say)
    for line in found.broken:
        print(line)
    print(
        json.dumps(
            {
                "seed": arguments.seed,
                "operations_cut": found.points,
                "cuts": dict(found.kinds),
                "cuts_total": found.cuts,
                "rounds": found.rounds,
                "lives": found.lives,
                "boots": found.boots,
                "frames": found.frames,
                "readings": found.readings,
                "seconds": round(time.monotonic() - began_s),
                "broken": len(found.broken),
            }
        )
    )
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
