"""From nothing to the first reading at the city: a fresh clone of HEAD, then `make demo FOR=30`.

The clone has no virtual environment, so the time includes every download that pip's cache does not spare (`--cold`
leaves the cache out). Memory is the peak proportional set size of all processes of the demo, sampled every 2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
GOALS = {"clone_to_first_reading_s": 120, "memory_peak_mb": 1500, "lost": 0, "duplicates": 0}


def measure(seconds: int, cold: bool) -> dict[str, Any]:
    """Clone, run, and return the demo's own report."""
    with tempfile.TemporaryDirectory(prefix="pave-clone-") as folder:
        clone = Path(folder) / "pave"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        environment = {**os.environ, **({"PIP_NO_CACHE_DIR": "1"} if cold else {})}
        finished = subprocess.run(
            ["make", "demo", f"FOR={seconds}"], cwd=clone, env=environment, capture_output=True, text=True
        )
    if finished.returncode != 0:
        raise SystemExit(finished.stdout + finished.stderr)
    return json.loads(finished.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="seconds", type=int, default=30)
    parser.add_argument("--cold", action="store_true", help="without pip's cache")
    arguments = parser.parse_args()
    report = measure(arguments.seconds, arguments.cold)
    table = Table(title=f"Fresh clone, make demo FOR={arguments.seconds}{', no pip cache' if arguments.cold else ''}")
    for column in ("figure", "measured", "goal"):
        table.add_column(column)
    for name in ("clone_to_first_reading_s", "memory_peak_mb", "devices", "truth", "received", "lost", "duplicates"):
        table.add_row(name, str(report[name]), str(GOALS.get(name, "")))
    Console().print(table)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
