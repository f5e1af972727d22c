"""How long the gateway takes to find a device's OSCORE context among 10,000, by kid, in no order."""

from __future__ import annotations

import json
import random
import sys
import time

from benchmarks import _ingest_requests as requests
from pave_gateway.core.oscore_contexts import OscoreContexts
from pave_wire.oscore_context import FRESH_WINDOW

BATCHES = 20


def main(devices: int) -> None:
    """Print one JSON object."""
    source = random.Random(1)
    contexts = OscoreContexts(source.randbytes)
    kids = [requests.keys_of(number).recipient_id for number in range(devices)]
    for number in range(devices):
        contexts.add(requests.keys_of(number), FRESH_WINDOW, 0)
    for kid in kids:
        contexts.find(kid, None)  # derives the keys, once
    batches_us: list[float] = []
    for _ in range(BATCHES):
        source.shuffle(kids)
        began_s = time.perf_counter()
        for kid in kids:
            contexts.find(kid, None)
        batches_us.append((time.perf_counter() - began_s) / devices * 1e6)
    print(json.dumps({"devices": devices, "median_us": sorted(batches_us)[BATCHES // 2]}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
