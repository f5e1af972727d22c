"""What the gateway takes beside time: memory while readings go through it, a start, writes to the disk, a look-up."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

from rich.console import Console

from benchmarks._ingest_servers import GATEWAY, ROOT, SERVERS, Client, Server
from pave_gateway.store.journal import JournalReader

CHUNK = 50_000
OUTSTANDING = 256
SITE_PER_S = 17.0  # 10,000 devices, one report in ten minutes each
WRITTEN_S, QUICK_WRITTEN_S = 90.0, 10.0
LOOKUP_DEVICES = 10_000

Figures = dict[str, Any]


def endurance(settings: Any) -> Figures:
    """Send `settings.readings` readings through one gateway, kill it, start it again."""
    folder = settings.folder / "endurance"
    kind = SERVERS[GATEWAY]
    with ExitStack() as stack:
        client = Client()
        stack.callback(client.close)
        server = Server(kind, folder, settings.two_cores)
        stack.callback(server.kill)
        first_start_s, idle_mb = server.started_s, server.pss_mb()
        chunk = min(CHUNK, max(kind.devices, settings.readings // 10))
        samples: list[tuple[int, float]] = []
        answered, took_s = 0, 0.0
        while server.asked < settings.readings:
            result = client.run(server, chunk, outstanding=OUTSTANDING)
            answered += result.answered
            took_s += result.took_s
            samples.append((server.asked, round(server.pss_mb(), 1)))
        server.kill()
        again = Server(kind, folder, settings.two_cores)
        stack.callback(again.kill)
        stored = JournalReader(folder / "journal.db").last_position()
    failures = [f"{answered} readings were answered, {stored} are stored"] if stored < answered else []
    return {
        "readings": answered,
        "stored": stored,
        "per_s": round(answered / took_s),
        "pss_mb_idle": round(idle_mb, 1),
        "pss_mb": samples,
        "pss_mb_most": max(mb for _, mb in samples),
        "growth_percent": round((samples[-1][1] / samples[len(samples) // 2][1] - 1) * 100, 2),
        "journal_mb": round(sum(path.stat().st_size for path in folder.glob("journal.db*")) / 1e6, 1),
        "first_start_s": round(first_start_s, 2),
        "start_s": round(again.started_s, 2),
        "pss_mb_after_start": round(again.pss_mb(), 1) if again else 0.0,
        "failures": failures,
    }


def show_endurance(console: Console, found: Figures) -> None:
    """Print it."""
    samples = found["pss_mb"]
    marks = dict.fromkeys(samples[max(0, len(samples) * fifth // 5 - 1)] for fifth in range(1, 6))
    told = ", ".join(f"{mb} MB after {readings:,}" for readings, mb in marks)
    console.print(f"Endurance: {found['readings']:,} readings at {found['per_s']:,}/s; {found['stored']:,} stored in "
                  f"{found['journal_mb']:,} MB\n  memory (PSS): {found['pss_mb_idle']} MB idle; {told}\n"
                  f"  start: {found['first_start_s']} s on an empty journal, {found['start_s']} s after SIGKILL with "
                  f"{found['stored']:,} readings")  # fmt: skip


def written(settings: Any) -> Figures:
    """Count what the kernel is given to write while readings come as from a quiet site."""
    for_s = QUICK_WRITTEN_S if settings.quick else WRITTEN_S
    with ExitStack() as stack:
        client = Client()
        stack.callback(client.close)
        server = Server(SERVERS[GATEWAY], settings.folder / "written", settings.two_cores)
        stack.callback(server.kill)
        client.run(server, server.kind.devices, outstanding=OUTSTANDING)  # every device is known from here on
        time.sleep(2.0)  # the checkpoint that this was due for
        before = server.written_bytes()
        result = client.run(server, int(for_s * SITE_PER_S), rate=SITE_PER_S)
        total = server.written_bytes() - before
    return {
        "for_s": round(result.took_s, 1),
        "readings": result.answered,
        "bytes_per_reading": round(total / max(1, result.answered)),
        "p50_ms": result.p50_ms,
        "p99_ms": result.p99_ms,
    }


def show_written(console: Console, found: Figures) -> None:
    """Print it."""
    console.print(f"Written: {found['bytes_per_reading']:,} bytes per reading, {found['readings']:,} readings in "
                  f"{found['for_s']} s; answered after {found['p50_ms']:.0f} ms (median), "
                  f"{found['p99_ms']:.0f} ms (p99)")  # fmt: skip


def lookup(_settings: Any) -> Figures:
    """Find contexts in a process of its own."""
    command = [sys.executable, "-m", "benchmarks._ingest_lookup", str(LOOKUP_DEVICES)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def show_lookup(console: Console, found: Figures) -> None:
    """Print it."""
    console.print(f"Look-up: {found['median_us']:.2f} us among {found['devices']:,} contexts")
