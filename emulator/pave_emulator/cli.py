"""`pave-emulator`: run devices on a scenario at wall clock, list what can be emulated."""

from __future__ import annotations

import asyncio
import inspect
import signal
from pathlib import Path
from typing import Annotated

import typer

from pave_emulator import board as boards
from pave_emulator.air.wifi import AccessPoint, WifiAir
from pave_emulator.board import BoardError
from pave_emulator.chips import PARTS
from pave_emulator.clock import WallClock
from pave_emulator.device import DeviceSpec
from pave_emulator.flash.image import FlashError
from pave_emulator.flash.partitions import PartitionError
from pave_emulator.fleet import Fleet
from pave_emulator.scenario import load as scenarios
from pave_emulator.scenario.load import ScenarioError
from pave_emulator.scenario.world import Bay, Change, World

MAC_PREFIX = bytes.fromhex("24a160fe")  # an Espressif prefix; the rest counts the devices of a run
DEFAULT_KIND = "delivery"

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


def main() -> None:
    """Entry point of `pave-emulator`."""
    app()


@app.command()
def run(
    scenario: Annotated[Path, typer.Argument(help="scenario file (YAML)")],
    device: Annotated[list[str], typer.Option(help="NAME=FLASH.bin:BOARD.toml[:BAY[:KIND]], repeatable")],
    seed: Annotated[int | None, typer.Option(help="instead of the scenario's")] = None,
    ssid: Annotated[str, typer.Option(help="name of the access point")] = AccessPoint.ssid,
    key: Annotated[str, typer.Option(help="its key")] = AccessPoint.key,
    log_dir: Annotated[Path, typer.Option(help="one console log per device")] = Path("var/emulator"),
    seconds: Annotated[float | None, typer.Option("--for", help="stop after so many seconds")] = None,
) -> None:
    """Run devices until Ctrl-C; print their consoles and what happens to the bays."""
    try:
        specs, bays = _parse_devices(device)
        world = World(scenarios.load(scenario, seed), bays)
        clock = WallClock()
        air = WifiAir(clock, AccessPoint(ssid, key))
        fleet = Fleet(specs, world, air, clock, log_dir, on_truth=_print_truth)
    except (ValueError, FlashError, PartitionError, BoardError, ScenarioError) as error:
        raise typer.Exit(_fail(str(error))) from error
    fleet.subscribe(lambda name, line: typer.echo(f"{name:>16} | {line}"))
    asyncio.run(_run(fleet, seconds))


@app.command("list")
def list_parts(board: Annotated[list[Path] | None, typer.Argument(help="board files to describe")] = None) -> None:
    """List the parts that can be emulated, and what is on the boards named."""
    for name, kind in PARTS.items():
        summary = (inspect.getdoc(inspect.getmodule(kind)) or "").split("\n", 1)[0]
        typer.echo(f"part   {name:10} {summary}")
    for path in board or sorted(Path("hardware/boards").glob("*.toml")):
        try:
            found = boards.load(path)
        except BoardError as error:
            raise typer.Exit(_fail(str(error))) from error
        chips = ", ".join(f"{c.name} ({c.part} at {c.address:#04x})" for c in found.chips.values())
        typer.echo(f"board  {found.name}: {chips}")


async def _run(fleet: Fleet, seconds: float | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await fleet.start()
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        pass
    finally:
        stats = fleet.stats()
        await fleet.stop()
    for name, counts in stats.items():
        typer.echo(f"{name:>16} | " + "  ".join(f"{what} {count}" for what, count in counts.items()))


def _parse_devices(texts: list[str]) -> tuple[list[DeviceSpec], list[Bay]]:
    specs: list[DeviceSpec] = []
    bays: list[Bay] = []
    for number, text in enumerate(texts, start=1):
        name, separator, rest = text.partition("=")
        flash, board, place, kind = [*rest.split(":"), "", "", ""][:4]
        if not separator or not flash or not board:
            raise ValueError(f"--device {text!r}: NAME=FLASH.bin:BOARD.toml[:BAY[:KIND]] expected")
        specs.append(DeviceSpec(name, MAC_PREFIX + number.to_bytes(2, "big"), Path(board), Path(flash), place or None))
        if place:
            bays.append(Bay(place, kind or DEFAULT_KIND))
    return specs, bays


def _print_truth(change: Change) -> None:
    typer.echo(
        f"{change.bay:>16} * {'occupied' if change.occupied else 'free'} (change {change.n}, {change.t_s:.1f} s)"
    )


def _fail(message: str) -> int:
    typer.echo(message, err=True)
    return 2
