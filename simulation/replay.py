"""Everything that devices ever sent is sent again: to a gateway that lives, was restarted, killed, restored, replaced.

    python -m simulation.replay --frames 100000 [--forgetful]

The gateway is the production command, with a site file and the provisioning records of its devices. They report, repeat
themselves, ask and greet; each datagram is recorded. Then all come again from other addresses, in order and shuffled:

    gateway     how it came about                                   a device's next report
    ----------  --------------------------------------------------  ----------------------
    live        it goes on                                          accepted, no Echo
    restarted   SIGTERM, started on its journal                     accepted, no Echo
    killed      SIGKILL amid traffic, started on its journal        accepted, no Echo
    restored    a backup from half of the traffic is put back       accepted after one Echo
    replaced    the records alone, and started twice before it      accepted after one Echo, under
                hears the first word                                the new gateway's name

It passes if none is admitted anywhere: nothing stored, no request acted on, no word but silence, or a challenge where
the window is unknown. `--forgetful` adds a gateway whose windows begin fresh at its start: the run must then fail.
Last line: one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pave_gateway.core.keys import draw_gateway_id
from pave_gateway.store import backup
from pave_tools.provisioning import Flashed
from pave_wire import coap
from simulation import processes, site_keys
from simulation.replay_street import Device, Way, free_port, open_device, replay, stats

START_TIMEOUT_S = 30
PRODUCTION = ("-m", "pave_gateway", "run")
FORGETFUL = ("-m", "simulation.forgetful_gateway", "run")
SITE_ID = "replay"
_SITE = '[site]\nid = "replay"\nname = "Replay"\n[listen]\ncoap = "127.0.0.1:0"\nhttp = "127.0.0.1:0"\n'
_BAY = '[[bay]]\nid = "bay-{n}"\nkind = "taxi"\nstreet = "Quai de Bercy"\nlat = 48.84\nlon = 2.38{n:03}\n'
_STANDS = 'device = "{device}"\n'


@dataclass
class Case:
    """What came of one gateway.

    Attributes:
        sent: Frames sent again.
        refused: Of them, those its counters name a replay.
        challenged: Of them, those answered by a request for Echo.
        admitted: Of them, those that were stored, acted on or refused by content; must be 0.
        answers: Datagrams that came back to who replayed; one for each challenge, no other.
        fresh: New reports of the devices afterwards that were acknowledged.
        echoes: Echo round trips that took.
        followed: Devices that took another name of their gateway.
        seconds: How long the replay took.
    """

    sent: int = 0
    refused: int = 0
    challenged: int = 0
    admitted: int = 0
    answers: int = 0
    fresh: int = 0
    echoes: int = 0
    followed: int = 0
    seconds: float = 0.0

    def passed(self, devices: int, echoes: int, followed: int) -> bool:
        """Say whether nothing was admitted, and the devices went on with so many Echo round trips."""
        silent = self.sent > 0 and self.refused + self.challenged == self.sent and self.answers == self.challenged
        challenged = self.challenged == 0 or echoes > 0
        went_on = (self.fresh, self.echoes, self.followed) == (devices, echoes, followed)
        return silent and challenged and self.admitted == 0 and went_on


class Site:
    """A site file, keys and records in a folder, and the gateway that runs on them."""

    def __init__(self, folder: Path, devices: int, seed: int) -> None:
        self.folder = folder
        self.journal = folder / "journal.sqlite"
        self.copy = folder / "half.backup"
        self.coap = ("127.0.0.1", free_port(socket.SOCK_DGRAM))
        self.captured: list[bytes] = []
        self.way = Way()
        self._http_port = free_port(socket.SOCK_STREAM)
        self.gateway: tuple[str, ...] = PRODUCTION
        self._key_file = folder / "site.keys"
        names = [f"24a160fffe{number:06x}" for number in range(0x101, 0x101 + devices)]
        provisioner = site_keys.provisioner(
            SITE_ID, self._key_file, draw_gateway_id(os.urandom), folder, time.time_ns() // 1_000_000, os.urandom
        )
        for name in names:
            provisioner.provision(Flashed(name, "presence", "pave-presence-v1", "1.0", 1))
        bays = "".join(_BAY.format(n=n) + _STANDS.format(device=name) for n, name in enumerate(names))
        (folder / "site.toml").write_text(_SITE + bays + site_keys.technician_table(provisioner))
        self.devices = [
            Device(name, provisioner.made[name], self.way, self.captured, seed + n) for n, name in enumerate(names)
        ]

    async def start(self) -> None:
        """Start the gateway on the journal there is."""
        overrides = {
            "listen.coap": f"127.0.0.1:{self.coap[1]}",
            "listen.http": f"127.0.0.1:{self._http_port}",
            "journal.path": self.journal,
            "registry.key_file": self._key_file,
            "registry.records": self.folder / site_keys.RECORDS,
            "clock.trusted": "true",
        }
        command = [sys.executable, *self.gateway, "--site", str(self.folder / "site.toml")]
        for key, value in overrides.items():
            command += ["--set", f"{key}={value}"]
        log = self.folder / "gateway.log"
        said_bytes = log.stat().st_size if log.exists() else 0
        self.process = await processes.start("gateway", command, log)
        await self.process.wait_for_line("gateway ready", START_TIMEOUT_S, said_bytes)
        self.way.opened()

    async def stop(self) -> None:
        """Stop it as an operator does."""
        await self.process.stop(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL it."""
        self.way.up.clear()
        await self.process.kill()

    async def counters(self) -> dict[str, Any]:
        """Return what the CoAP front has counted since its start."""
        return await asyncio.to_thread(stats, f"http://127.0.0.1:{self._http_port}/stats")

    async def received(self) -> int:
        """Return how many datagrams it has read."""
        return (await self.counters())["coap"]["received"]

    async def talk(self, frames: int) -> None:
        """Let the devices talk, each with one request at a time, until so many frames are recorded."""

        async def speak(device: Device) -> None:
            while len(self.captured) < frames:
                await device.say_anything()

        await asyncio.gather(*(speak(device) for device in self.devices))


async def attack(site: Site, source: random.Random) -> Case:
    """Replay all that was recorded, in order and shuffled; then let each device report something new."""
    captured = list(site.captured)
    case = Case()
    before = await site.counters()
    began_s = time.monotonic()
    for frames in (captured, source.sample(captured, len(captured))):
        case.sent += len(frames)
        case.answers += len(await replay(frames, site.coap, site.received, source.randrange(1 << 30)))
    case.seconds = round(time.monotonic() - began_s, 1)
    after = await site.counters()
    case.refused = after["coap"]["dropped"]["replay"] - before["coap"]["dropped"]["replay"]
    case.challenged = after["coap"]["echo"] - before["coap"]["echo"]
    case.admitted = _acted(after) - _acted(before)
    echoes, followed = (sum(values) for values in zip(*map(_state, site.devices), strict=True))
    codes = await asyncio.gather(*(device.report() for device in site.devices))
    case.fresh = codes.count(coap.CHANGED)
    case.echoes = sum(device.echoes for device in site.devices) - echoes
    case.followed = sum(device.memory.followed for device in site.devices) - followed
    return case


def _state(device: Device) -> tuple[int, int]:
    return device.echoes, device.memory.followed


def _acted(stats: dict[str, Any]) -> int:
    counters = stats["coap"]
    return counters["accepted"] + counters["requests"] + counters["not_stored"] + sum(counters["refused"].values())


async def campaign(folder: Path, frames: int, devices: int, seed: int, cases: Sequence[str]) -> dict[str, Any]:
    """Record and replay in `folder`, against some of `GATEWAYS`; return the report."""
    source = random.Random(seed)
    site = Site(folder, devices, seed)
    done: dict[str, Case] = {}
    await site.start()
    try:
        for device in site.devices:
            await open_device(device, site.coap)
        await site.talk(frames // 2)
        await asyncio.to_thread(backup.backup, site.journal, site.copy)
        await site.talk(frames)
        recorded = len(site.captured)
        for name in cases:
            await GATEWAYS[name](site, source)
            done[name] = await attack(site, source)
    finally:
        for device in site.devices:
            device.close()
        await site.stop()
    asked = {"restored": (devices, 0), "replaced": (devices, devices)}
    verdicts = {name: case.passed(devices, *asked.get(name, (0, 0))) for name, case in done.items()}
    return {
        "seed": seed,
        "devices": devices,
        "frames": recorded,
        "replayed": sum(case.sent for case in done.values()),
        "admitted": sum(case.admitted for case in done.values()),
        "cases": {name: asdict(case) | {"passed": verdicts[name]} for name, case in done.items()},
        "passed": all(verdicts.values()),
    }


async def _live(_site: Site, _source: random.Random) -> None:
    """The one there is."""


async def _restarted(site: Site, _source: random.Random) -> None:
    await site.stop()
    await site.start()


async def _killed(site: Site, source: random.Random) -> None:
    """SIGKILL while every device is talking, and go on until all of them have been heard again."""
    talking = asyncio.create_task(site.talk(len(site.captured) + 10 * len(site.devices)))
    await asyncio.sleep(source.uniform(0.02, 0.1))
    await site.kill()
    await site.start()
    await talking


async def _restored(site: Site, _source: random.Random) -> None:
    await site.stop()
    await asyncio.to_thread(backup.restore, site.copy, site.journal, True)
    await site.start()


async def _forgetful(site: Site, source: random.Random) -> None:
    """The negative control."""
    site.gateway = FORGETFUL
    await _restarted(site, source)


async def _replaced(site: Site, source: random.Random) -> None:
    """Another journal; the second start finds no window in it, and must not take that for a fresh one."""
    await site.stop()
    site.journal = site.folder / "new" / "journal.sqlite"
    site.journal.parent.mkdir()
    await site.start()
    await _restarted(site, source)


GATEWAYS: dict[str, Callable[[Site, random.Random], Awaitable[None]]] = {
    "live": _live,
    "restarted": _restarted,
    "killed": _killed,
    "restored": _restored,
    "replaced": _replaced,
    "forgetful": _forgetful,
}
HONEST = tuple(GATEWAYS)[:-1]


def main() -> int:
    """Run one campaign; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000)
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument(
        "--forgetful", action="store_true", help="the negative control: one gateway more, whose windows begin fresh"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pave-replay-") as folder:
        cases = (*HONEST, "forgetful") if arguments.forgetful else HONEST
        report = asyncio.run(campaign(Path(folder), arguments.frames, arguments.devices, arguments.seed, cases))
    print(json.dumps(report))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
