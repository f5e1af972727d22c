"""`pave-emulator replay`: a gateway's journal made a scenario, and two traces compared."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from pave_emulator import trace_file
from pave_emulator.cli.mistakes import FAILED, mistakes
from pave_emulator.scenario import replay as replays
from pave_emulator.trace import Record
from pave_emulator.trace_file import Difference

app = typer.Typer(no_args_is_help=True, help="Play again what was recorded.")
FIELD_UT, NOISE_UT = (20.9, 0.8, 43.7), 0.3  # Paris, as the scenarios of Bercy have it


@app.command()
def journal(
    export: Annotated[Path, typer.Argument(help="readings of a gateway's journal, NDJSON")],
    out: Annotated[Path, typer.Argument(help="the scenario to write, YAML")],
    site: Annotated[Path | None, typer.Option(help="site file: which device lies on which bay (TOML)")] = None,
    bay: Annotated[list[str] | None, typer.Option(help="DEVICE=BAY, repeatable")] = None,
    seed: Annotated[int, typer.Option(help="of the scenario")] = 1,
) -> None:
    """Turn an exported journal into a scenario with the same vehicles at the same times."""
    with mistakes():
        bays = (_bays_of_site(site) if site else {}) | dict(_pair(text) for text in bay or [])
        if not bays:
            raise ValueError("which device lies on which bay: give --site or --bay DEVICE=BAY")
        with export.open() as lines:
            told = replays.replay(lines, bays, str(export))
        made = replays.scenario(told, export.stem, seed, FIELD_UT, NOISE_UT)
        out.write_text(replays.to_yaml(made))
    typer.echo(
        f"{len(told.visits)} visits from {told.readings} readings: {told.repeated} repeated, {told.other} of other "
        f"things, {told.too_short} changes too short for a vehicle; second 0 is {told.start.isoformat()}Z"
    )


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help="a trace, NDJSON")],
    other: Annotated[Path, typer.Argument(help="another")],
) -> None:
    """Say where two traces first differ. Status 0: nowhere; 1: there."""
    with mistakes(), one.open() as a, other.open() as b:
        found = trace_file.first_difference(trace_file.read(a, str(one)), trace_file.read(b, str(other)))
    if found is None:
        typer.echo("the traces are the same")
        return
    _print(found, one, other)
    raise typer.Exit(FAILED)


def _print(found: Difference, one: Path, other: Path) -> None:
    typer.echo(f"line {found.line} is the first that differs:")
    for path, record in ((one, found.one), (other, found.other)):
        typer.echo(f"  {path}: {_text(record)}")


def _text(record: Record | None) -> str:
    return record.line() if record else "(has ended)"


def _bays_of_site(path: Path) -> dict[str, str]:
    try:
        tables: list[dict[str, Any]] = tomllib.loads(path.read_text()).get("bay", [])
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    if not tables:
        raise ValueError(f"{path}: no [[bay]] with id and device")
    for number, table in enumerate(tables, start=1):
        if not isinstance(table.get("id"), str) or not isinstance(table.get("device"), str):
            raise ValueError(f"{path}: [[bay]] number {number} has no id and device")
    return {table["device"]: table["id"] for table in tables}


def _pair(text: str) -> tuple[str, str]:
    device, separator, bay = text.partition("=")
    if not (separator and device and bay):
        raise ValueError(f"--bay {text!r}: DEVICE=BAY expected")
    return device, bay
