"""`pave-emulator fault`: let something go wrong in an emulator that runs."""

from __future__ import annotations

from typing import Annotated

import typer

from pave_emulator import fault_list
from pave_emulator.cli import options
from pave_emulator.cli.mistakes import mistakes
from pave_emulator.control import ControlClient


def fault(
    name: Annotated[str | None, typer.Argument(help="which; left out: list them")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(help="KEY=VALUE ...")] = None,
    work_dir: options.WorkDir = options.DEFAULT_WORK_DIR,
) -> None:
    """Inject a fault, or do something to the world, in the emulator that runs in --work-dir.

    For example: pave-emulator fault power_cut device=s1 s=5
    """
    if name is None:
        for one in sorted(fault_list.FAULTS):
            typer.echo(f"{fault_list.usage(one):70} {fault_list.help_of(one)}")
        return
    with mistakes():
        checked = fault_list.parse(name, arguments or [])
        with ControlClient(work_dir) as emulator:
            emulator.ask("fault", name=name, arguments=checked)
    typer.echo(f"done: {name}")
