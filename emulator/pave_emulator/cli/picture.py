"""`pave-emulator picture`: what a display of a running device shows, as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pave_emulator.cli import options, outputs
from pave_emulator.cli.mistakes import mistakes
from pave_emulator.control import ControlClient


def picture(
    device: Annotated[str, typer.Argument(help="a device of the emulator that runs in --work-dir")],
    out: Annotated[Path, typer.Argument(help="the PNG to write")],
    chip: Annotated[str, typer.Option(help="which display, where the board has several")] = "",
    work_dir: options.WorkDir = options.DEFAULT_WORK_DIR,
) -> None:
    """Write what a display shows at this moment."""
    with mistakes(), ControlClient(work_dir) as emulator:
        outputs.check(out, "OUT")
        done = emulator.ask("picture", device=device, chip=chip, path=str(out.resolve()))
    typer.echo(f"{out}: {done['chip']} of {device}")
