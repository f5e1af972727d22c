"""Runs the program of a measure as a process of its own and says what it cost: CPU, and memory with all it started.

Memory is the proportional set size (PSS): a page that several processes share counts once. It is sampled, so a peak
between two samples is missed.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from simulation.processes import end_with_parent

ROOT = Path(__file__).parent.parent
SAMPLE_S = 0.5
LOOK_S = 0.5  # for how long the cores are watched before one is chosen


def run(module: str, *arguments: str) -> dict[str, Any]:
    """Run `python -m module`; return the JSON object of its last line, with "peak_mb" added."""
    command = [sys.executable, "-m", module, *arguments]
    peak_bytes = 0
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=end_with_parent
    ) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=SAMPLE_S)
                break
            except subprocess.TimeoutExpired:
                peak_bytes = max(peak_bytes, memory_bytes(process.pid))
    if process.returncode != 0:
        raise SystemExit(f"{module} {' '.join(arguments)} ended with {process.returncode}:\n{output}{errors}")
    return {**json.loads(output.splitlines()[-1]), "peak_mb": round(peak_bytes / 1e6)}


def stay_on_one_core() -> None:
    """Keep this process, and what it starts, on the core that is the most idle now.

    In virtual time host and VMs take turns, so they do not need two; on one, a VM finds its call in the cache, and no
    core has to be woken up for it.
    """
    before = psutil.cpu_times(percpu=True)
    time.sleep(LOOK_S)
    idle_s = [now.idle - then.idle for now, then in zip(psutil.cpu_times(percpu=True), before, strict=True)]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0), key=lambda core: idle_s[core])})


def own_cpu_s() -> tuple[float, float]:
    """CPU seconds, user and system, of this process and of all that it started and that has ended."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime, ended.ru_utime + ended.ru_stime


def cpu_s(pid: int) -> float:
    """CPU seconds so far of a process and of everything below it, what has ended included."""
    total_s = 0.0
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total_s += sum(process.cpu_times()[:4])  # own user and system time, and those of the children it reaped
    return total_s


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process and of everything below it."""
    total = 0
    for process in family(pid):
        with contextlib.suppress(OSError, ValueError, StopIteration):  # it has ended meanwhile
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def family(pid: int) -> list[psutil.Process]:
    """A process and everything below it; empty when it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def median_and_p95(values: list[float]) -> tuple[float, float]:
    """The middle of the values, and what 95 % of them do not exceed."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
