"""How fast the emulator is in virtual time: a day of the whole site twice with one seed, and one sensor for 30 days.

Each run is a process of its own; figures are of what ran. `--quick` runs shorter and says how long.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
SCENARIO = "examples/bercy/scenarios/day.yaml"
DAY_S = 86400
QUICK_PART = 144  # of the full length
DAY_GOAL_S = 86.4


def play(for_s: float, *limits: str) -> dict[str, Any]:
    """Run the site in virtual time, in a process of its own; return its summary."""
    command = [sys.executable, "-m", "simulation.virtual", SCENARIO, "--for", str(for_s), "--seed", "7", *limits]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if finished.returncode != 0:
        raise SystemExit(finished.stdout + finished.stderr)
    return json.loads(finished.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print. A missed goal is printed, and is no failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"1/{QUICK_PART} of the time")
    part = QUICK_PART if parser.parse_args().quick else 1
    load = os.getloadavg()[0]
    runs = {
        "site": play(DAY_S / part),
        "site again": play(DAY_S / part),
        "one sensor": play(30 * DAY_S / part, "--sensors", "1", "--kiosks", "0"),
    }
    table = Table(title=f"Virtual time, load {load:.1f} before")
    for column in ("run", "devices", "simulated s", "wall s", "speed", "calls", "stored"):
        table.add_column(column)
    for name, run in runs.items():
        figures = (run["devices"], run["simulated_s"], run["wall_s"], run["speed"], run["rpc_calls"], run["stored"])
        table.add_row(name, *map(str, figures))
    same = runs["site"]["trace"] == runs["site again"]["trace"]
    Console(width=120).print(table)
    if part == 1:
        print(f"a day of the site: {runs['site']['wall_s']} s, goal {DAY_GOAL_S} s")
    print("the two runs of one seed: " + ("one hash" if same else "TWO HASHES"))
    print(json.dumps({"part": part, "load": load, "same_hash": same, "runs": runs}))


if __name__ == "__main__":
    main()
