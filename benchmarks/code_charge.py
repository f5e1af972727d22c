"""How many bytecodes our firmware runs for each byte it allocates: what virtual time charges for code rests on it.

    python -m benchmarks.code_charge

A stock VM counts no bytecodes, but it can tell how many bytes it has allocated. Here the VM's speed is measured on a
loop whose bytecodes are known, then the time and the allocation of real work (detector, outbox, encoding).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNS = 5
_RUN_MAIN = "import sys, micropython_run; sys.exit(micropython_run.run_main(['micropython', *sys.argv[1:]]))"
SCRIPT = """
import sys, utime, micropython
sys.path[:0] = ["{firmware}", "{firmware}/lib"]
from app import presence
from app.outbox import Outbox
from pave_wire import cbor, model

def loop(turns):
    total = 0
    for i in range(turns):  # 8 bytecodes a turn
        total += i & 7

def work():
    detector = presence.Detector((0, 0, 0), False)
    for i in range(60):
        detector.sample((i % 3, i % 5, -i % 4))
    outbox = Outbox("24a160fffe000101", 5)
    for i in range(3):
        outbox.add({{model.OCCUPIED: bool(i & 1), model.REASON: "field", model.LASTED: 12, model.FIELD: 1e-6 * i}}, i)
    return cbor.dumps(outbox.state())

def timed(function, *arguments):
    start = utime.ticks_us()
    function(*arguments)
    return utime.ticks_diff(utime.ticks_us(), start)

def works():
    for _ in range(50):
        work()

work()
per_us = 500000 * 8 / timed(loop, 500000)
before = micropython.mem_total()
us = timed(works)
print("ratio", us * per_us / (micropython.mem_total() - before))
"""


def ratio() -> float:
    """Bytecodes per byte allocated, once."""
    script = SCRIPT.format(firmware=ROOT / "firmware")
    command = [sys.executable, "-c", _RUN_MAIN, "-X", "heapsize=1M", "-c", script]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"ratio ([\d.]+)", output)
    assert found, output
    return float(found[1])


def main() -> None:
    """Print the ratios of some runs."""
    ratios = sorted(ratio() for _ in range(RUNS))
    print(f"bytecodes per byte allocated: {', '.join(f'{one:.2f}' for one in ratios)}")
    print(json.dumps({"bytecodes_per_byte": ratios}))


if __name__ == "__main__":
    main()
