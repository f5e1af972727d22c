"""`pave-emulator replay`: a gateway's journal made a scenario, and two traces compared."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pave_emulator import trace_file
from pave_emulator.cli import outputs
from pave_emulator.cli.mistakes import FAILED, mistakes
from pave_emulator.reading import unread
from pave_emulator.scenario import replay as replays
from pave_emulator.scenario.replay import Replay
from pave_emulator.trace import Record
from pave_emulator.writing import writing

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
        outputs.check(out, "OUT", export, *([site] if site else []))
        told = _told(export, bays)
        made = replays.scenario(told, export.stem, seed, FIELD_UT, NOISE_UT)
        with writing(out):
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
    """Say where two traces first differ, and whether they are of the same run. Status 0: the same; 1: not."""
    with mistakes():
        a, b = trace_file.read(one), trace_file.read(other)
        for trace in (a, b):
            if not trace.header:
                typer.echo(f"{trace.path} has no header (an older emulator's): its records are compared", err=True)
        keys = sorted(a.header.keys() & b.header.keys())
        headers = [key for key in keys if a.header[key] != b.header[key]]
        found = trace_file.first_difference(a.records, b.records)
    for key in headers:
        typer.echo(f"{key} differs: {a.header[key]} and {b.header[key]}")
    if found:
        typer.echo("the first record that differs:")
        for trace, record in ((a, found.one), (b, found.other)):
            typer.echo(f"  {trace.path}:{trace.line(found.number)}: {_text(record)}")
    if headers or found:
        raise typer.Exit(FAILED)
    typer.echo("the traces are the same")


def _text(record: Record | None) -> str:
    return record.line() if record else "(has ended)"


def _told(export: Path, bays: Mapping[str, str]) -> Replay:
    try:
        with export.open() as lines:
            return replays.replay(lines, bays, str(export))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(unread(export, "export of a journal", error)) from error


def _bays_of_site(path: Path) -> dict[str, str]:
    try:
        tables: list[dict[str, Any]] = tomllib.loads(path.read_text()).get("bay", [])
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(unread(path, "site file", error)) from error
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
