"""`pave-emulator list`: parts that can be emulated, boards and scenarios that are there, faults."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from pave_emulator import board as boards
from pave_emulator import fault_list
from pave_emulator.board import Board
from pave_emulator.chips import PARTS
from pave_emulator.cli.mistakes import mistakes
from pave_emulator.scenario import load as scenarios
from pave_emulator.scenario.model import Scenario

BOARDS, SCENARIOS = "hardware/boards/*.toml", "examples/*/scenarios/*.yaml"


def list_parts(
    files: Annotated[list[Path] | None, typer.Argument(help="board (.toml) and scenario (.yaml) files")] = None,
) -> None:
    """List parts and faults, and the boards and scenarios named (or, with none named, those of this directory)."""
    with mistakes():
        found = files or [*sorted(Path().glob(BOARDS)), *sorted(Path().glob(SCENARIOS))]
        lines = [_line(path) for path in found]
    for name, kind in sorted(PARTS.items()):
        summary = (inspect.getdoc(inspect.getmodule(kind)) or "").split("\n", 1)[0]
        typer.echo(f"part      {name:10} {summary}")
    for name in sorted(fault_list.FAULTS):
        typer.echo(f"fault     {fault_list.usage(name)}")
    for line in lines:
        typer.echo(line)


def _line(path: Path) -> str:
    if path.suffix == ".toml":
        return f"board     {_board(boards.load(path))}"
    return f"scenario  {path}: {_scenario(scenarios.load(path))}"


def _board(board: Board) -> str:
    chips = [f"{c.name} ({c.part}{f' at {c.address:#04x}' if c.address else ''})" for c in board.chips.values()]
    return f"{board.name}: {', '.join(chips)}"


def _scenario(scenario: Scenario) -> str:
    counts = {
        "devices": scenario.devices, "visits": scenario.visits, "steps": scenario.steps,
        "properties": scenario.properties,
    }  # fmt: skip
    has = ", ".join(f"{len(items)} {what}" for what, items in counts.items() if items)
    return f"{scenario.name}{f' ({has})' if has else ''}"
