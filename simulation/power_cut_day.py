"""What the day of a presence sensor on LoRaWAN is made of, for the campaign of power cuts.

A part does something to the bay, the gateway or the device of a `CutSite`, and returns when all of that has come to its
end: the gateway knows what it has to know, and the device sleeps. So, wherever its power goes meanwhile, a part ends
only if the device has come back from it, and does in the end what was wanted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from pave_gateway.core.change import submit
from pave_wire import shadow
from pave_wire.model import Reading
from simulation.power_cut_site import CRASH_S, CutSite
from simulation.tests.lora_site import EUI


async def power_on(site: CutSite) -> None:
    """Power goes by itself, and is given back: an epoch, a count of resets, a stock of frame counters."""
    site.cut()
    await site.settled()


async def change(site: CutSite) -> None:
    """A vehicle comes, or goes."""
    site.change()
    await site.settled()


async def changes(site: CutSite) -> None:
    """Vehicles come and go: more frames than there are counters in stock."""
    for _ in range(6):
        await change(site)


async def refused(site: CutSite) -> None:
    """The identities that are next are taken by somebody else: 4.09, and a new epoch."""
    assert site.gateway is not None and site.books.rows
    epoch, seq = max((row.epoch, row.seq) for row in site.books.rows)
    taken = [Reading(EUI, epoch, seq + at, 0.0, {"fault": "another"}) for at in (1, 2)]
    site.books.foreign |= {f"{EUI}:{one.epoch}:{one.seq}" for one in taken}
    site.gateway.core.ingest.offer(taken, site.gateway.core.now(), lambda verdict: None)
    await change(site)


async def outage(site: CutSite) -> None:
    """The gateway is away while a vehicle comes and goes."""
    await site.stop_gateway()
    site.change()
    await asyncio.sleep(400)
    site.change()
    await asyncio.sleep(400)
    await site.start_gateway()
    now_s = site.clock.now_s()
    await site.settled(lambda: site.books.told_at_s > now_s)


async def lost_session(site: CutSite) -> None:
    """Nothing is heard of the gateway until the device has left its session; it joins again."""
    site.drops = lambda payload: True
    site.change()
    await asyncio.sleep(900)
    site.drops = lambda payload: False
    joins = len(site.ledger.dev_nonces)
    await site.settled(lambda: site.cuts > 0 or len(site.ledger.dev_nonces) > joins)


async def settings(site: CutSite) -> None:
    """The gateway wants another heartbeat."""
    assert site.gateway is not None
    core = site.gateway.core
    wanted = 900 + core.shadows.view(EUI).reported.get("heartbeat_s", 0) % 7  # type: ignore[operator]
    submit(core.committer, core.shadows.edit(EUI, shadow.PRESENCE, {"heartbeat_s": wanted}), lambda outcome: None)
    site.change()
    await site.settled(lambda: core.shadows.view(EUI).reported.get("heartbeat_s") == wanted)


async def command(site: CutSite) -> None:
    """The gateway wants the lamp to blink."""
    site.command("identify", 3)
    site.change()
    await site.settled(site.is_done)


async def crash(site: CutSite) -> None:
    """A defect: the traceback is kept, told, and forgotten once it is acknowledged."""
    cuts = site.cuts
    told = site.books.crashes()
    site.command("identify", CRASH_S)
    site.change()
    await site.settled(site.is_done)
    await asyncio.sleep(900)
    await site.settled(lambda: site.cuts > cuts or site.books.crashes() > told)


async def heartbeats(site: CutSite) -> None:
    """Nothing happens for two hours."""
    now_s = site.clock.now_s()
    await asyncio.sleep(7200)
    await site.settled(lambda: site.books.told_at_s > now_s)


Part = Callable[[CutSite], Awaitable[None]]
DAY: tuple[Part, ...] = (
    power_on, changes, refused, outage, settings, command, crash, heartbeats, lost_session,
)  # fmt: skip


def drawn(source: random.Random) -> tuple[Part, tuple[int, ...]]:
    """Return a part of the day, and at which flash operations its power goes: up to five, mostly soon after a start."""
    cuts = (min(60, 1 + int(source.expovariate(1 / 10))) for _ in range(source.randint(1, 5)))
    return source.choice(DAY), tuple(cuts)
