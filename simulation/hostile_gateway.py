"""The gateway of `simulation.hostile`: the production CoAP front, core and journal, for devices with made-up keys.

    python -m simulation.hostile_gateway FOLDER DEVICES

Says `ready PORT` when it listens; on SIGTERM its counters as one JSON object. Its log goes to stderr.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import random
import secrets
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from pave_gateway import log
from pave_gateway.core.ingest import Ingest
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_gateway.core.places import Place
from pave_gateway.ingress import coap_site
from pave_gateway.ingress.coap_resources import Site
from pave_gateway.store.journal import Journal
from pave_gateway.store.reader import JournalReader
from pave_gateway.store.threaded import ThreadedCommitter
from pave_wire.oscore_context import FRESH_WINDOW, Context

GATEWAY_ID = b"hostile"


@dataclass(frozen=True)
class Keys:
    """See `core.oscore_contexts.DeviceKeys`; the secret follows from the device's number."""

    device: str
    master_secret: bytes
    master_salt: bytes
    sender_id: bytes
    recipient_id: bytes
    id_context: bytes | None = None


def keys_of(number: int) -> Keys:
    """Return the keys of device `number`."""
    secret = hashlib.sha256(b"device %d" % number).digest()[:16]
    return Keys(f"24a160fffe{number:06x}", secret, b"", GATEWAY_ID, number.to_bytes(3, "big"))


def context_of(number: int, sequence: int) -> Context:
    """Return the context of device `number`, at the device, which has used the numbers below `sequence`."""
    keys = keys_of(number)
    context = Context(keys.master_secret, b"", keys.recipient_id, GATEWAY_ID, sequence, FRESH_WINDOW)
    context.reserve(1 << 40)
    return context


async def serve(folder: Path, devices: int) -> None:
    """Run until SIGTERM."""
    path = folder / "journal.sqlite"
    committer = ThreadedCommitter(Journal(path))
    reader = JournalReader(path)
    windows, default_window = reader.replay_windows()
    reserved, first = reader.reservations()
    contexts = OscoreContexts(secrets.token_bytes)
    places: dict[str, Place] = {}
    for number in range(devices):
        keys = keys_of(number)
        contexts.add(keys, windows.get(keys.device, default_window), reserved.get(keys.device, first))
        places[keys.device] = Place(f"bay-{number}", "delivery", "Rue de Bercy", 48.8, 2.3, keys.device)
    parts = coap_site.CoapParts(
        contexts=contexts,
        ingest=Ingest(places, committer, []),
        committer=committer,
        site=Site(),
        clock_ms=lambda: time.time_ns() // 1_000_000,
        monotonic=time.monotonic,
        random_below=random.SystemRandom().randrange,
        insecure=False,
    )
    server = await coap_site.start("127.0.0.1", 0, parts)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", server.address[1], flush=True)
    await stop.wait()
    await server.close()
    await committer.close(5.0)
    print(json.dumps(dataclasses.asdict(server.counters)), flush=True)


if __name__ == "__main__":
    log.configure()
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
