"""`pave-emulator record`: the trace of an emulator that runs, or of a run made for it, in a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from pave_emulator.cli import options, outputs
from pave_emulator.cli import run as runs
from pave_emulator.cli.mistakes import mistakes
from pave_emulator.control import ControlClient
from pave_emulator.writing import writing


def record(
    out: Annotated[Path, typer.Argument(help="where the trace goes, NDJSON")],
    scenario: Annotated[Path | None, typer.Argument(help="run this; left out: follow what runs in --work-dir")] = None,
    device: options.Devices = None,
    clock: options.Clock = options.ClockName.virtual,
    seed: options.Seed = None,
    seconds: options.Seconds = None,
    fields: options.Fields = None,
    work_dir: options.WorkDir = options.DEFAULT_WORK_DIR,
) -> None:
    """Record every datagram, flash operation, pin edge, boot and console line, and what each magnetometer was given."""
    if scenario is not None:
        runs.run(scenario, device, clock, seed, seconds, trace=out, fields=fields, quiet=True, work_dir=work_dir)
        return
    with mistakes():
        if device or seed is not None or fields:
            raise ValueError("--device, --seed and --fields belong to a run: give a SCENARIO")
        outputs.check(out, "OUT")
        count = _follow(out, work_dir, seconds)
    typer.echo(f"{count} records")


def _follow(out: Path, work_dir: Path, seconds: float | None) -> int:
    """Write what the running emulator records, for so many seconds of the wall's clock, until it ends or Ctrl-C."""
    count, end_s = 0, None if seconds is None else time.monotonic() + seconds
    with ControlClient(work_dir) as emulator, out.open("w") as file:
        try:
            for line in emulator.trace(end_s):
                with writing(out):
                    file.write(line)
                count += 1
        except KeyboardInterrupt:
            pass
    return count
