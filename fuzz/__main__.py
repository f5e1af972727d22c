"""Coverage-guided fuzzing of every decoder: `python -m fuzz --for 60`.

First the controls, whose planted bugs must be found; then each target of `targets.py` in a process of its own, two at a
time, for an equal share of the time. Ends with a table and one JSON line: the inputs that really ran, by target. What
breaks a target is kept as a file; `python -m fuzz --replay FILE` runs it once, without instrumentation.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import secrets
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fuzz.targets import CONTROLS, TARGETS, Target, find

ROOT = Path(__file__).parent.parent
LIBRARIES = (ROOT / "firmware" / "lib", ROOT / "gateway")
CONTROL_SECONDS = 30  # at most: a planted bug that is found ends its run
GRACE_SECONDS = 60
CRASH_MARKS = ("-crash-", "-timeout-", "-oom-", "-slow-unit-")


def run_one(target: Target, seconds: int, seed: int, out_dir: Path, scratch: Path) -> dict[str, Any]:
    """Run one target; return its row of the report."""
    counter = scratch / f"{target.name}.count"
    counter.write_bytes(bytes(8))
    corpus, crashes = out_dir / "corpus" / target.name, out_dir / "crashes"
    for folder in (corpus, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "fuzz.one", target.name, *map(str, (seconds, seed, counter, corpus, crashes))]
    path = os.pathsep.join(map(str, [ROOT, *LIBRARIES]))
    started_s = time.monotonic()
    try:
        finished = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
            timeout=seconds + GRACE_SECONDS, errors="replace",
        )  # fmt: skip
        code, said = finished.returncode, finished.stdout + finished.stderr
    except subprocess.TimeoutExpired as error:
        code, said = -1, f"did not end: {error}"
    return {
        "target": target.name,
        "inputs": struct.unpack("<Q", counter.read_bytes())[0],
        "seconds": round(time.monotonic() - started_s, 1),
        "corpus": len(list(corpus.iterdir())),
        "exit": code,
        "crashes": re.findall(r"Test unit written to (.+)", said),
        "said": "" if code == 0 else reason(said),
    }


def reason(said: str) -> str:
    """Return the line of libFuzzer's output that names the exception."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for at, line in enumerate(lines):
        if "Uncaught Python exception" in line and at + 1 < len(lines):
            return lines[at + 1]
    errors = [line for line in lines if "Error" in line or "ERROR" in line]
    return (errors or lines or ["no word"])[-1]


def campaign(targets: list[Target], seconds: int, jobs: int, seed: int, out_dir: Path) -> list[dict[str, Any]]:
    """Run all targets; return the rows in their order."""
    share = max(2, seconds * min(jobs, len(targets)) // max(1, len(targets)))
    with tempfile.TemporaryDirectory(prefix="pave-fuzz-") as scratch, ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda target: run_one(target, share, seed, out_dir, Path(scratch)), targets))


def controls(seed: int, jobs: int) -> list[dict[str, Any]]:
    """Run the controls from nothing; return their rows."""
    with tempfile.TemporaryDirectory(prefix="pave-fuzz-controls-") as folder:
        return campaign(list(CONTROLS), CONTROL_SECONDS * len(CONTROLS) // jobs, jobs, seed, Path(folder))


def show(rows: list[dict[str, Any]], absent: list[str]) -> None:
    """Print the table."""
    table = Table(title="Inputs that ran")
    for column in ("target", "inputs", "s", "inputs/s", "corpus", "result"):
        table.add_column(column, justify="left" if column in ("target", "result") else "right")
    for row in rows:
        planted = row["target"].startswith("control-")
        result = row["said"] or "nothing but named errors"
        table.add_row(
            row["target"], f"{row['inputs']:,}", str(row["seconds"]), f"{row['inputs'] / row['seconds']:,.0f}",
            str(row["corpus"]), f"planted bug {'found' if row['crashes'] else 'NOT FOUND'}" if planted else result,
        )  # fmt: skip
    for name in absent:
        table.add_row(name, "", "", "", "", "absent: its module does not exist")
    Console(width=130).print(table)


def replay(file: Path) -> None:
    """Run the input in `file` once through the target that its name begins with."""
    name = next((file.name.rsplit(mark, 1)[0] for mark in CRASH_MARKS if mark in file.name), None)
    if name is None:
        raise SystemExit(f"{file.name}: the name of a saved input begins with its target, as in cbor-crash-0123")
    sys.path[:0] = map(str, LIBRARIES)
    from pave_wire.errors import WireError

    started_s = time.thread_time()
    try:
        find(name).run(file.read_bytes())
        outcome = "no error"
    except WireError as error:
        outcome = f"{type(error).__name__}: {error}"
    print(f"{name}: {outcome}, {(time.thread_time() - started_s) * 1000:.1f} ms")


def main() -> None:
    """Run, print, and exit 1 when a target broke or a control did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="seconds", type=int, default=60, help="seconds for all targets together")
    parser.add_argument("--target", dest="names", action="append", help="only this one; may be repeated")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, help="of libFuzzer; else a random one, which is printed")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "fuzz", help="where corpus and crashes are kept")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one saved input and end")
    arguments = parser.parse_args()
    if arguments.replay:
        replay(arguments.replay)
        return
    if importlib.util.find_spec("atheris") is None:
        raise SystemExit('atheris is missing: `pip install -e ".[dev]"`, on Linux with CPython 3.11 to 3.14')
    seed = arguments.seed or secrets.randbelow(2**31 - 1) + 1
    print(f"seed {seed}")
    sys.path[:0] = map(str, LIBRARIES)
    chosen = [find(name) for name in arguments.names] if arguments.names else TARGETS
    present = [target for target in chosen if target.exists]
    absent = [target.name for target in chosen if not target.exists]
    proofs = controls(seed, arguments.jobs)
    rows = campaign(present, arguments.seconds, arguments.jobs, seed, arguments.out)
    show([*proofs, *rows], absent)
    for crash in (crash for row in rows for crash in row["crashes"]):
        print(f"replay: python -m fuzz --replay {crash}")
    blind = [row["target"] for row in proofs if not row["crashes"]]
    broken = [row["target"] for row in rows if row["exit"] != 0 or row["crashes"]]
    total = sum(row["inputs"] for row in rows)
    print(
        json.dumps({"seed": seed, "inputs": total, "broken": broken, "blind": blind, "absent": absent, "targets": rows})
    )
    sys.exit(1 if blind or broken else 0)


if __name__ == "__main__":
    main()
