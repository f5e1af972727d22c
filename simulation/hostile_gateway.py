"""The gateway of `simulation.hostile`: the production assembly, for devices with made-up keys.

    python -m simulation.hostile_gateway FOLDER DEVICES

Says `ready PORT` when it listens; on SIGTERM its counters as one JSON object. Its log goes to stderr.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import signal
import sys
from pathlib import Path

import uvloop

from pave_gateway import log
from pave_gateway.core.keys import DeviceKeys
from pave_wire.oscore_context import FRESH_WINDOW, Context
from simulation import made_site

GATEWAY_ID = b"hostile"


def keys_of(number: int) -> DeviceKeys:
    """Return the keys of device `number`, from which its secret follows."""
    secret = hashlib.sha256(b"device %d" % number).digest()[:16]
    return DeviceKeys(f"24a160fffe{number:06x}", secret, b"", GATEWAY_ID, number.to_bytes(3, "big"))


def context_of(number: int, sequence: int) -> Context:
    """Return the context of device `number`, at the device, which has used the numbers below `sequence`."""
    keys = keys_of(number)
    context = Context(keys.master_secret, b"", keys.recipient_id, GATEWAY_ID, sequence, FRESH_WINDOW)
    context.reserve(1 << 40)
    return context


async def serve(folder: Path, devices: int) -> None:
    """Run until SIGTERM."""
    config = made_site.config_of(folder / "journal.sqlite", keys_of, devices)
    await made_site.prepare(config, keys_of, devices)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with made_site.serving(config, 0) as (_, links):
        print("ready", links.coap.address[1], flush=True)
        await stop.wait()
    print(json.dumps(dataclasses.asdict(links.coap.counters)), flush=True)


if __name__ == "__main__":
    log.configure()
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
